//! The providers of the kit keep the contract, and do as they are told.

use std::sync::Arc;
use std::time::Duration;

use verify_core::port::{Assessment, HumanCheck};
use verify_core::port::{
    Clock, Compared, Concluded, Dispatched, Inquired, Provider, Rejection, RejectionKind, RiskLevel,
    RiskScorer, Unavailable,
};
use verify_core::time::Timestamp;
use verify_testkit::requests::{self, compare, conclude, dispatch, human, inquire};
use verify_testkit::suite::provider::ProviderUnderTest;
use verify_testkit::{
    ManualClock, ScriptedHumanCheck, ScriptedProvider, ScriptedRiskScorer, Turn, Verb, provider_suite,
};

const PHONE: &str = "+12025550199";

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_700_000_000_000))
}

fn under_test(provider: Arc<ScriptedProvider>) -> ProviderUnderTest {
    let sent = Arc::clone(&provider);
    ProviderUnderTest {
        provider,
        now: clock().now(),
        phone: PHONE.to_owned(),
        mailbox: "ann@example.com".to_owned(),
        received: Box::new(move |to| sent.last_sent_to(to).map(|sent| sent.code)),
    }
}

provider_suite!(scripted_own, || async {
    under_test(Arc::new(ScriptedProvider::own("own", Arc::new(clock()))))
});
provider_suite!(scripted_managed, || async {
    under_test(Arc::new(ScriptedProvider::managed(
        "managed",
        "scope",
        Arc::new(clock()),
    )))
});

fn managed() -> (ManualClock, Arc<ScriptedProvider>) {
    let clock = clock();
    let provider = ScriptedProvider::managed("managed", "scope", Arc::new(clock.clone()));
    (clock, Arc::new(provider))
}

#[tokio::test]
async fn a_script_decides_whether_a_message_goes_out_and_what_is_told() {
    let (_, provider) = managed();
    provider.script(
        Verb::Dispatch,
        [
            Turn::Reject(RejectionKind::PrefixBlocked),
            Turn::Unknown,
            Turn::Lost,
        ],
    );
    let rejected = provider.dispatch(&dispatch(PHONE, 1)).await;
    assert!(matches!(
        rejected,
        Dispatched::Rejected(Rejection {
            kind: RejectionKind::PrefixBlocked,
            ..
        })
    ));
    assert!(matches!(
        provider.dispatch(&dispatch(PHONE, 2)).await,
        Dispatched::Unknown(_)
    ));
    assert!(provider.sent().is_empty());
    assert!(matches!(
        provider.dispatch(&dispatch(PHONE, 3)).await,
        Dispatched::Unknown(_)
    ));
    assert_eq!(provider.sent().len(), 1);
    assert_eq!(provider.inquire(&inquire(PHONE, 2)).await, Inquired::NotSent);
    assert!(matches!(
        provider.inquire(&inquire(PHONE, 3)).await,
        Inquired::Sent { .. }
    ));
    assert!(matches!(
        provider.dispatch(&dispatch(PHONE, 4)).await,
        Dispatched::Accepted { .. }
    ));
    assert_eq!(
        (
            provider.count(Verb::Dispatch),
            provider.count(Verb::Inquire),
            provider.asked().len()
        ),
        (4, 2, 6)
    );
}

#[tokio::test]
async fn a_lost_match_has_happened() {
    let (_, provider) = managed();
    provider.dispatch(&dispatch(PHONE, 1)).await;
    let right = provider.last_sent_to(PHONE).unwrap().code;
    provider.script(Verb::Compare, [Turn::Reject(RejectionKind::Down), Turn::Lost]);
    assert!(matches!(
        provider.compare(&compare(PHONE, &right)).await,
        Compared::NotAsked(_)
    ));
    assert!(matches!(
        provider.compare(&compare(PHONE, &right)).await,
        Compared::Unknown(_)
    ));
    assert_eq!(provider.compare(&compare(PHONE, &right)).await, Compared::Gone);
    assert!(matches!(
        provider.inquire(&inquire(PHONE, 1)).await,
        Inquired::Converted { .. }
    ));
}

#[tokio::test]
async fn a_lost_conclusion_has_happened_and_an_unknown_one_has_not() {
    let (_, provider) = managed();
    provider.dispatch(&dispatch(PHONE, 1)).await;
    provider.script(Verb::Conclude, [Turn::Unknown, Turn::Lost]);
    assert!(matches!(
        provider.conclude(&conclude(PHONE)).await,
        Concluded::Unknown(_)
    ));
    assert_eq!(
        provider.compare(&compare(PHONE, "999999")).await,
        Compared::NoMatch
    );
    assert!(matches!(
        provider.conclude(&conclude(PHONE)).await,
        Concluded::Unknown(_)
    ));
    assert_eq!(provider.conclude(&conclude(PHONE)).await, Concluded::Gone);
}

#[tokio::test]
async fn a_slow_call_waits_for_its_release_and_then_for_no_deadline() {
    let (clock, provider) = managed();
    provider.script(Verb::Dispatch, [Turn::Slow, Turn::Slow]);
    for (late, sent) in [(Duration::ZERO, 1), (Duration::from_secs(60), 1)] {
        let waiting = tokio::spawn({
            let provider = Arc::clone(&provider);
            async move { provider.dispatch(&dispatch(PHONE, 1)).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(late);
        provider.release();
        let answer = waiting.await.unwrap();
        assert_eq!(
            matches!(answer, Dispatched::Accepted { .. }),
            late.is_zero(),
            "{answer:?}"
        );
        assert_eq!(provider.sent().len(), sent);
    }
}

#[tokio::test]
async fn health_is_what_was_set() {
    let (_, provider) = managed();
    provider.set_health(Some(RejectionKind::Credentials));
    assert!(
        matches!(provider.health().await, Err(rejection) if rejection.kind == RejectionKind::Credentials)
    );
}

#[tokio::test]
async fn a_scorer_follows_its_script_then_finds_all_low() {
    let scorer = ScriptedRiskScorer::new();
    scorer.next_level(RiskLevel::High);
    scorer.script([Err(Unavailable), Ok(Assessment::of_score(70))]);
    let request = requests::assess(PHONE);
    assert_eq!(
        scorer.assess(&request).await.unwrap().level,
        Some(RiskLevel::High)
    );
    assert_eq!(scorer.assess(&request).await, Err(Unavailable));
    assert_eq!(scorer.assess(&request).await.unwrap().score, Some(70));
    assert_eq!(scorer.assess(&request).await.unwrap().level, Some(RiskLevel::Low));
    assert_eq!(scorer.asked().len(), 4);
}

#[tokio::test]
async fn a_token_shows_a_person_once() {
    let check = ScriptedHumanCheck::new();
    check.accept("token");
    assert_eq!(check.verify(&human("token")).await, Ok(true));
    assert_eq!(check.verify(&human("token")).await, Ok(false));
    check.set_unavailable(true);
    assert_eq!(check.verify(&human("token")).await, Err(Unavailable));
}

#[tokio::test]
async fn i20_nothing_personal_is_in_a_debug_text() {
    let (_, provider) = managed();
    provider.dispatch(&dispatch(PHONE, 1)).await;
    let shown = format!("{provider:?} {:?} {:?}", provider.asked(), provider.sent());
    let code = provider.last_sent_to(PHONE).unwrap().code;
    assert!(!shown.contains("2025550199") && !shown.contains(&code));
}

//! The tests notice when a rule of the core is switched off. Each check here is one of those that show a promise; it
//! passes on the whole machine, and on the machine that lacks the rule it names the promise.
#![cfg(verify_broken)]
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::broken::Broken;
use verify_core::command::{CheckRequest, Person, SendRequest};
use verify_core::event::EventKind;
use verify_core::flow::{Step, drive};
use verify_core::keys::Print;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::port::{Compared, Detail, End};
use verify_core::record::Status;
use verify_core::store::Origin;
use verify_lab::explore::{Kinds, World};
use verify_tests::explored::{Finding, SCENARIOS, Size, finding};
use verify_tests::promises::{
    explore, i01_two_wrong_checks_one_comparison, i02_two_right_checks_one_approval,
    i03_a_send_does_not_lower_failures, i06_counted_before_compared, i10_a_send_writes_no_run,
};
use verify_tests::{
    Asks, NO_FIRST_WAIT, TO, approved, check, code, events, failures, judged, policy, send, sent,
    verifications, world,
};

/// The check passes on the whole machine and finds the promise of its name on the broken one.
fn notices(test: &str, how: Broken, check: fn(World) -> Finding, kinds: Kinds) {
    assert_eq!(check(world(kinds)), Ok(()), "the whole machine");
    let found = check(world(kinds).broken(how));
    let promise = test.split('_').next().unwrap_or_default();
    let named = |what: &String| what.starts_with(&format!("{promise}:"));
    assert!(found.as_ref().is_err_and(named), "{how:?}: {found:?}");
}

macro_rules! notices {
    ($($test:ident: $how:ident by $check:ident on $kinds:ident),+ $(,)?) => {
        /// Every test, and what it breaks.
        const TESTS: &[(&str, Broken)] = &[$((stringify!($test), Broken::$how)),+];
        $(
            #[test]
            fn $test() {
                notices(stringify!($test), Broken::$how, $check, Kinds::$kinds);
            }
        )+
    };
}

notices! {
    i01_count_after_compare_is_noticed: CountAfterCompare by i01_two_wrong_checks_one_comparison on Managed,
    i02_approve_without_compare_and_swap_is_noticed:
        ApproveWithoutCompareAndSwap by i02_two_right_checks_one_approval on Own,
    i03_reset_failures_on_resend_is_noticed: ResetFailuresOnResend by i03_a_send_does_not_lower_failures on Own,
    i06_count_after_compare_is_noticed: CountAfterCompare by i06_counted_before_compared on Managed,
    i07_reset_on_unknown_is_noticed: ResetOnUnknown by i07_every_verdict_leaves_the_failure on Managed,
    i10_reset_failures_on_resend_is_noticed: ResetFailuresOnResend by i10_a_send_writes_no_run on Own,
    i130_share_between_mailboxes_is_noticed: ShareBetweenMailboxes by i130_a_code_proves_its_own_mailbox on Own,
    i133_end_what_is_newer_is_noticed: EndWhatIsNewer by i133_what_was_sent_since_lives on Managed,
    i22_extend_expiry_on_resend_is_noticed: ExtendExpiryOnResend by i22_a_resend_extends_no_life on Own,
    i24_ignore_expected_version_is_noticed: IgnoreExpectedVersion by i24_ends_are_final on Own,
    i31_skip_one_limit_is_noticed: SkipOneLimit by i31_three_sends_from_wherever on Own,
    i36_share_between_standings_is_noticed: ShareBetweenStandings by i36_strangers_do_not_keep_a_known_caller_out on Own,
    i48_charge_after_dispatch_is_noticed: ChargeAfterDispatch by i48_all_is_charged_before_a_dispatch on Own,
    i48_skip_one_limit_is_noticed: SkipOneLimit by i48_all_is_charged_before_a_dispatch on Own,
    i51_resend_after_unknown_is_noticed: ResendAfterUnknown by i51_one_message_for_a_charge on TwoOwn,
    i55_accept_token_of_another_kind_is_noticed:
        AcceptTokenOfAnotherKind by i55_a_proof_is_no_device_token on Own,
    i62_count_on_what_is_lost_is_noticed: CountOnWhatIsLost by i62_nothing_is_sent_over_a_store_that_lost_its_data on Own,
}

#[test]
fn every_switch_has_a_test_for_each_promise_that_it_breaks() {
    let mut wanted: Vec<String> = Broken::ALL
        .iter()
        .flat_map(|how| {
            let name = how.as_str();
            how.promises()
                .iter()
                .map(move |id| format!("i{id:02}_{name}_is_noticed"))
        })
        .collect();
    wanted.sort();
    let names: Vec<&str> = TESTS.iter().map(|(test, _)| *test).collect();
    assert_eq!(names, wanted);
    assert!(TESTS.iter().all(|(test, how)| test.contains(how.as_str())));
}

fn i07_every_verdict_leaves_the_failure(mut world: World) -> Finding {
    sent(world.ask(send()));
    for verdict in [
        Compared::NoMatch,
        Compared::Gone,
        Compared::Unknown(Detail::default()),
    ] {
        let mut world = world.clone();
        judged(&mut world, verdict.clone());
        finding(failures(&world) == 1, &format!("i07: {verdict:?} gave it back"))?;
    }
    Ok(())
}

fn i62_nothing_is_sent_over_a_store_that_lost_its_data(mut world: World) -> Finding {
    world.store.set_origin(Origin {
        made: world.now,
        ..Origin::default()
    });
    world.run(send());
    finding(
        world.dispatches == 0,
        "i62: it was sent as if nothing had been counted",
    )
}

fn i130_a_code_proves_its_own_mailbox(mut world: World) -> Finding {
    let (mine, theirs) = ("ann@corp.example", "ann+t1@corp.example");
    sent(world.ask(SendRequest::to(mine)));
    let right = world.code_for(mine).map(|code| code.expose().to_owned());
    let answer = world.ask(CheckRequest::to(theirs, right.unwrap_or_default()));
    finding(
        matches!(answer, CheckAnswer::Refused(_)),
        "i130: a code proved another mailbox",
    )
}

/// The provider said that the code is over, and before it is written down another one is sent.
fn i133_what_was_sent_since_lives(mut world: World) -> Finding {
    world.use_policies(policy(NO_FIRST_WAIT));
    world.managed = world.managed.clone().renewing();
    sent(world.ask(send()));
    for _ in 0..5 {
        world.managed.compare(&"scope".into(), TO, "none", world.now);
    }
    world.advance(Duration::from_secs(31));
    let asked = world.begin(check("000000"), "compare");
    let Step::Compare(ended) = asked else {
        panic!("it begins with a comparison")
    };
    sent(world.ask(send()));
    let said = Compared::Ended {
        upstream: ended.request().upstream.clone().unwrap_or_default(),
        end: End::UsedUp,
    };
    drive(ended.resume(world.now, said), &mut world);
    finding(failures(&world) == 0, "i133: it was counted")?;
    let answer = world.ask(check(&code(&world)));
    finding(
        matches!(answer, CheckAnswer::Approved(_)),
        "i133: what was sent since is dead",
    )
}

fn i22_a_resend_extends_no_life(mut world: World) -> Finding {
    let first = sent(world.ask(send()));
    world.advance(Duration::from_secs(300));
    let second = sent(world.ask(send()));
    finding(
        first.expires_at == second.expires_at,
        "i22: a resend gave a new life",
    )
}

/// A check and a resend of the same code: what is approved is never pending again.
fn i24_ends_are_final(mut world: World) -> Finding {
    sent(world.ask(send()));
    let right = code(&world);
    world.advance(Duration::from_secs(31));
    explore(world, 61, [check(&right).into(), send().into()], |world, _| {
        let ended = |nonce: Print| {
            let events = world.store.events();
            events
                .values()
                .any(|event| event.kind == EventKind::Approved && event.verification == Some(nonce))
        };
        let again = verifications(world)
            .iter()
            .any(|one| one.status() == Status::Pending && ended(one.nonce.print()));
        finding(!again, "i24: approved, and pending again")
    })
}

fn i31_three_sends_from_wherever(mut world: World) -> Finding {
    for host in 0..20 {
        let ip = std::net::Ipv4Addr::new(198, 51, 100, host);
        world.run(send().ip(ip.into()));
        world.advance(Duration::from_secs(29));
    }
    finding(world.sent.len() <= 3, "i31: more than three in ten minutes")
}

fn known(token: String) -> SendRequest {
    send().device_token(token)
}

fn i36_strangers_do_not_keep_a_known_caller_out(mut world: World) -> Finding {
    sent(world.ask(send()));
    let device = approved(world.ask(check(&code(&world)))).device_token;
    for _ in 0..20 {
        world.advance(Duration::from_secs(61));
        world.run(send());
    }
    let answer = world.ask(known(device));
    finding(
        matches!(answer, SendAnswer::Sent(_)),
        "i36: strangers kept a known caller out",
    )
}

/// By ip, destination (ten minutes, a day, the gap), subject, prefix, service.
fn i48_all_is_charged_before_a_dispatch(mut world: World) -> Finding {
    let ip = std::net::Ipv4Addr::LOCALHOST.into();
    drop(world.begin(SendRequest::to(Person::at(TO).subject("ann")).ip(ip), "dispatch"));
    let charged = world.store.counters().len();
    finding(charged == 8, &format!("i48: {charged} limits of 8 were charged"))
}

fn i51_one_message_for_a_charge(world: World) -> Finding {
    explore(world, 31, [send().into()], |world, _| {
        let charged = events(world, EventKind::SendIntended);
        finding(world.sent.len() <= charged, "i51: sent twice for one charge")
    })
}

/// Just after an approval strangers wait for the gap, and a known caller does not.
fn i55_a_proof_is_no_device_token(mut world: World) -> Finding {
    sent(world.ask(send()));
    let approval = approved(world.ask(check(&code(&world))));
    sent(world.clone().ask(known(approval.device_token)));
    let answer = world.ask(known(approval.proof));
    finding(
        matches!(answer, SendAnswer::Refused(_)),
        "i55: a proof made a known caller",
    )
}

/// A machine without a rule is found by the search that is about it, under the promise of that rule.
#[test]
fn searches_find_broken_machines() {
    use Broken::{
        ApproveWithoutCompareAndSwap, ChargeAfterDispatch, CountAfterCompare, IgnoreExpectedVersion,
        ResetFailuresOnResend, ShareBetweenMailboxes, SkipOneLimit,
    };
    for (how, name, kinds, promise) in [
        (
            ApproveWithoutCompareAndSwap,
            "check/check, right",
            Kinds::Own,
            "i02",
        ),
        (ChargeAfterDispatch, "send/send", Kinds::Own, "i48"),
        (CountAfterCompare, "check/check, wrong", Kinds::Managed, "i06"),
        (IgnoreExpectedVersion, "check/resend", Kinds::Own, "i24"),
        (ResetFailuresOnResend, "check/resend, wrong", Kinds::Own, "i03"),
        (SkipOneLimit, "send/send", Kinds::Managed, "i48"),
        (
            ShareBetweenMailboxes,
            "check/check, two mailboxes",
            Kinds::Own,
            "i130",
        ),
    ] {
        let named = SCENARIOS.iter().find(|named| named.name == name);
        let mut scenario = (named.unwrap().make)(kinds);
        scenario.world = scenario.world.broken(how);
        let found = scenario.explore(Size::Tests).unwrap_err();
        assert!(found.what.starts_with(promise), "{how:?}: {found}");
    }
}

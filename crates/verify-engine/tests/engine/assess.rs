//! What risk scorers say, and what follows from several of them.

use std::sync::Arc;

use async_trait::async_trait;
use verify_core::command::SendRequest;
use verify_core::outcome::{Outcome, RefusalCode, SendAnswer};
use verify_core::policy::{RiskAction, RiskRules};
use verify_core::port::{AssessRequest, Assessment, RejectionKind, RiskLevel, RiskScorer, Unavailable};
use verify_core::vocabulary::Channel;
use verify_engine::{Engine, EngineBuilder};
use verify_testkit::ScriptedRiskScorer;

use crate::support::{Gate, Parts, number, policies};

type Word = Result<Assessment, Unavailable>;

fn level(level: RiskLevel) -> Word {
    Ok(Assessment::of_level(level))
}

fn score(score: u8) -> Word {
    Ok(Assessment::of_score(score))
}

fn verdict(kind: RejectionKind) -> Word {
    Ok(Assessment {
        verdict: Some(kind),
        signals: vec!["ported to a landline".into()],
        ..Assessment::default()
    })
}

/// One more scorer, which says these words one after the other and then finds everything low.
fn scorer(builder: EngineBuilder, words: impl IntoIterator<Item = Word>) -> EngineBuilder {
    let scorer = ScriptedRiskScorer::new();
    scorer.script(words);
    builder.risk_scorer(scorer)
}

fn refused_as(outcome: &Outcome<SendAnswer>) -> Option<RefusalCode> {
    match outcome.answer.as_ref().unwrap() {
        SendAnswer::Refused(refusal) => Some(refusal.code),
        SendAnswer::Sent(_) | SendAnswer::Repeated(_) => None,
    }
}

fn rule(outcome: &Outcome<SendAnswer>) -> Option<&str> {
    outcome.explanation.rules.first().map(|hit| &*hit.rule)
}

/// What a send comes to after these words, one of each scorer, and which rule named it.
async fn came_of(
    said: &[Word],
    change: impl FnOnce(&mut RiskRules),
) -> (Option<RefusalCode>, Option<String>) {
    let parts = Parts::new(Gate::open());
    let policies = policies(|policy| change(&mut policy.risk));
    let builder = parts.builder().policy(policies);
    let builder = said
        .iter()
        .fold(builder, |builder, word| scorer(builder, [word.clone()]));
    let outcome = send(&builder.build().unwrap(), 1).await;
    let refused = refused_as(&outcome);
    assert_eq!(parts.provider.sends(), usize::from(refused.is_none()), "{said:?}");
    (refused, rule(&outcome).map(str::to_owned))
}

async fn send(engine: &Engine, n: usize) -> Outcome<SendAnswer> {
    engine.send(SendRequest::to(number(n))).await
}

#[tokio::test]
async fn the_worst_answer_wins_whether_it_is_a_level_or_a_score() {
    let rules = RiskRules::default();
    let (low, medium) = (level(RiskLevel::Low), level(RiskLevel::Medium));
    let high_score = score(rules.high_from);
    let (step_up, blocked) = (Some(RefusalCode::StepUpRequired), Some(RefusalCode::Blocked));
    for (said, worst) in [
        (vec![low.clone(), medium.clone()], step_up),
        (vec![medium.clone(), low.clone()], step_up),
        (vec![low.clone(), high_score.clone()], blocked),
        (vec![high_score, medium], blocked),
        (vec![low, score(rules.medium_from)], step_up),
        (vec![score(rules.medium_from - 1)], None),
    ] {
        let steps_up = |rules: &mut RiskRules| rules.medium = RiskAction::StepUp;
        assert_eq!(came_of(&said, steps_up).await.0, worst, "{said:?}");
    }
}

#[tokio::test]
async fn a_scorer_that_cannot_be_asked_counts_as_the_policy_says() {
    let (low, high, missing) = (level(RiskLevel::Low), level(RiskLevel::High), Err(Unavailable));
    let unavailable = |action| move |rules: &mut RiskRules| rules.unavailable = action;
    let step_up = |rule: &str| (Some(RefusalCode::StepUpRequired), Some(rule.to_owned()));
    for said in [vec![missing.clone()], vec![low.clone(), missing.clone()]] {
        let came = came_of(&said, unavailable(RiskAction::StepUp)).await;
        assert_eq!(came, step_up("risk_unavailable"), "{said:?}");
    }
    let worse = came_of(&[high, missing.clone()], unavailable(RiskAction::StepUp)).await;
    assert_eq!(worse, (Some(RefusalCode::Blocked), Some("risk_high".to_owned())));
    let fine = came_of(&[low, missing], unavailable(RiskAction::Proceed)).await;
    assert_eq!(fine, (None, None));
}

/// Never answers.
struct Hangs;

#[async_trait]
impl RiskScorer for Hangs {
    async fn assess(&self, _request: &AssessRequest) -> Word {
        std::future::pending().await
    }
}

/// Has a bug.
struct Panics;

#[async_trait]
impl RiskScorer for Panics {
    async fn assess(&self, _request: &AssessRequest) -> Word {
        panic!("a bug")
    }
}

#[tokio::test]
async fn a_scorer_that_panics_is_unavailable_also_when_it_is_the_only_one() {
    let parts = Parts::new(Gate::open());
    let policies = policies(|policy| policy.risk.unavailable = RiskAction::StepUp);
    let engine = parts.builder().policy(policies).risk_scorer(Panics);
    let outcome = send(&engine.build().unwrap(), 1).await;
    assert_eq!(refused_as(&outcome), Some(RefusalCode::StepUpRequired));
    assert_eq!(rule(&outcome), Some("risk_unavailable"));
}

#[tokio::test(start_paused = true)]
async fn of_several_scorers_the_worst_holds_and_one_that_hangs_holds_up_nobody() {
    for (scorers, sent) in [
        (vec![Some(RiskLevel::Low), Some(RiskLevel::High)], false),
        (vec![Some(RiskLevel::High), None], false),
        (vec![Some(RiskLevel::Low), None], true),
        (vec![None], true),
    ] {
        let parts = Parts::new(Gate::open());
        let builder = scorers.iter().fold(parts.builder(), |builder, said| match said {
            Some(said) => scorer(builder, [level(*said)]),
            None => builder.risk_scorer(Hangs),
        });
        let outcome = send(&builder.build().unwrap(), 1).await;
        assert_eq!(refused_as(&outcome).is_none(), sent, "{scorers:?}");
        assert_eq!(parts.provider.sends(), usize::from(sent));
    }
}

#[tokio::test]
async fn a_scorers_verdict_refuses_the_channel_and_is_remembered() {
    let parts = Parts::new(Gate::open());
    let words = [verdict(RejectionKind::ChannelUnreachable)];
    let engine = scorer(parts.builder(), words).build().unwrap();
    let unreachable = Some(RefusalCode::ChannelUnavailable);

    let first = send(&engine, 1).await;
    assert_eq!(refused_as(&first), unreachable);
    let said = &first.explanation.providers[0];
    assert_eq!((&*said.provider, said.came), ("risk", "channel_unreachable"));
    assert_eq!(said.detail.message(), "the risk scorer: ported to a landline");
    let again = send(&engine, 1).await;
    assert_eq!(
        (refused_as(&again), rule(&again)),
        (unreachable, Some("channel_unreachable"))
    );
    assert_eq!(again.explanation.providers, [], "the note says so, nobody else");
    assert_eq!(parts.provider.sends(), 0);

    let call = SendRequest::to(number(1)).by(Channel::Call);
    assert_eq!(
        refused_as(&engine.send(call).await),
        None,
        "a note is of its channel"
    );
    assert_eq!(
        refused_as(&send(&engine, 2).await),
        None,
        "and of its destination"
    );
}

#[tokio::test]
async fn of_several_verdicts_one_of_the_destination_holds_and_any_other_says_nothing() {
    let unreachable = || verdict(RejectionKind::ChannelUnreachable);
    let nothing = || verdict(RejectionKind::Down);
    for said in [
        vec![unreachable(), level(RiskLevel::Low)],
        vec![Err(Unavailable), unreachable()],
        vec![nothing(), unreachable()],
    ] {
        let came = came_of(&said, |_| {}).await.0;
        assert_eq!(came, Some(RefusalCode::ChannelUnavailable), "{said:?}");
    }
    assert_eq!(came_of(&[nothing()], |_| {}).await, (None, None));
}

#[tokio::test]
async fn every_scorer_is_asked_the_same_once_a_send() {
    let parts = Parts::new(Gate::open());
    let scorers = [(); 2].map(|()| Arc::new(ScriptedRiskScorer::new()));
    let builder = scorers.iter().fold(parts.builder(), |builder, scorer| {
        builder.risk_scorer(scorer.clone())
    });
    assert_eq!(refused_as(&send(&builder.build().unwrap(), 1).await), None);
    let [one, other] = scorers.map(|scorer| scorer.asked());
    assert_eq!((one.len(), one), (1, other));
}

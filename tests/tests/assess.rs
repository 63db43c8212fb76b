//! What a send makes of the words of risk scorers, on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::flow::{AssessAnswer, Step, drive};
use verify_core::outcome::{Outcome, RefusalCode, SendAnswer};
use verify_core::port::{Assessment, Blame, RejectionKind, RiskLevel, Unavailable};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};
use verify_tests::{Asks, events, policy, refused, send, sent, world};

type Word = Result<Assessment, Unavailable>;

const AWAY: Word = Err(Unavailable);

fn level(level: RiskLevel) -> Word {
    Ok(Assessment::of_level(level))
}

fn score(score: u8) -> Word {
    Ok(Assessment::of_score(score))
}

fn verdict(kind: RejectionKind) -> Word {
    Ok(Assessment::of_verdict(kind))
}

/// A send of which the scorers say this.
fn said(world: &mut World, answer: AssessAnswer) -> Outcome<SendAnswer> {
    let Step::Assess(asked) = world.begin(send(), "assess") else {
        panic!("the scorers are asked")
    };
    drive(asked.resume(world.now, answer), world).of()
}

/// The code of its refusal; none when it was sent.
fn refusal_of(outcome: Outcome<SendAnswer>) -> Option<RefusalCode> {
    match outcome.answer.unwrap() {
        SendAnswer::Refused(refusal) => Some(refusal.code),
        SendAnswer::Sent(_) | SendAnswer::Repeated(_) => None,
    }
}

#[test]
fn of_several_words_the_most_severe_decides() {
    use RefusalCode::{Blocked, StepUpRequired};
    use RiskLevel::{High, Low, Medium};
    for (words, refusal) in [
        (vec![level(Low)], None),
        (vec![score(49)], None),
        (vec![score(50)], Some(StepUpRequired)),
        (vec![score(79)], Some(StepUpRequired)),
        (vec![score(80)], Some(Blocked)),
        (vec![level(Low), level(Medium)], Some(StepUpRequired)),
        (vec![level(High), level(Low), level(Medium)], Some(Blocked)),
        (vec![level(Low), score(80)], Some(Blocked)),
        (vec![score(100), level(Medium)], Some(Blocked)),
        // Whoever says neither finds nothing.
        (vec![Ok(Assessment::default())], None),
    ] {
        let mut world = World::new(policy("version = 1\n[risk]\nmedium = \"step_up\"\n"), Kinds::Own);
        let came = refusal_of(said(&mut world, AssessAnswer::Said(words.clone())));
        assert_eq!(came, refusal, "{words:?}");
        assert_eq!(world.dispatches, u32::from(refusal.is_none()), "{words:?}");
    }
}

#[test]
fn a_scorer_that_cannot_be_asked_counts_as_the_policy_says() {
    use RefusalCode::{Blocked, StepUpRequired};
    use RiskLevel::{High, Low, Medium};
    let refused = |unavailable: &str, answer| {
        let text = format!("version = 1\n[risk]\nmedium = \"step_up\"\nunavailable = \"{unavailable}\"\n");
        let mut world = World::new(policy(&text), Kinds::Own);
        refusal_of(said(&mut world, answer))
    };
    for (unavailable, words, refusal) in [
        ("proceed", vec![AWAY], None),
        ("proceed", vec![], None),
        ("proceed", vec![AWAY, level(Medium)], Some(StepUpRequired)),
        ("refuse", vec![], Some(Blocked)),
        ("refuse", vec![level(Low), AWAY], Some(Blocked)),
        ("step_up", vec![level(Low), AWAY], Some(StepUpRequired)),
        // What was told is worse than what could not be.
        ("step_up", vec![level(High), AWAY], Some(Blocked)),
        ("refuse", vec![level(Medium), AWAY], Some(Blocked)),
    ] {
        let came = refused(unavailable, AssessAnswer::Said(words.clone()));
        assert_eq!(came, refusal, "{unavailable}: {words:?}");
    }
    // No word at all, and an answer to another question.
    for answer in [AssessAnswer::Unavailable, AssessAnswer::Human(true)] {
        assert_eq!(refused("refuse", answer.clone()), Some(Blocked));
        assert_eq!(refused("proceed", answer), None);
    }
}

#[test]
fn a_verdict_on_the_destination_is_settled_as_a_providers_and_any_other_says_nothing() {
    for kind in RejectionKind::ALL {
        let mut world = world(Kinds::Own);
        let outcome = said(&mut world, AssessAnswer::Said(vec![verdict(*kind)]));
        if kind.blame() != Blame::Destination {
            assert_eq!((refusal_of(outcome), world.dispatches), (None, 1), "{kind:?}");
            continue;
        }
        let mut other = verify_tests::world(Kinds::Own);
        other.rejecting.insert("own".into(), *kind);
        let by_provider = other.ask(send());
        assert_eq!(outcome.answer, Ok(by_provider), "{kind:?}");
        assert_eq!(world.dispatches, 0, "{kind:?}");
        let told = &outcome.explanation.providers[0];
        assert_eq!((&*told.provider, told.came), ("risk", kind.as_str()));
    }
}

#[test]
fn a_verdict_is_remembered_and_the_channel_that_is_offered_goes_out_at_once() {
    let mut world = world(Kinds::Own);
    let words = vec![verdict(RejectionKind::ChannelUnreachable), level(RiskLevel::Low)];
    let refusal = refused(said(&mut world, AssessAnswer::Said(words)).answer.unwrap());
    assert_eq!(refusal.code, RefusalCode::ChannelUnavailable);
    assert_eq!(refusal.fallback, [Channel::Call, Channel::Email]);
    sent(world.ask(send().by(Channel::Call)));
    world.advance(Duration::from_secs(31));
    let again = refused(world.ask(send()));
    assert_eq!(again.code, RefusalCode::ChannelUnavailable);
    assert_eq!(world.dispatches, 1, "nobody was asked again");
}

#[test]
fn a_verdict_stands_above_the_risk_and_the_worst_of_several_holds() {
    use RejectionKind::{ChannelUnreachable, Down, OptedOut};
    for (words, holds) in [
        (
            vec![verdict(ChannelUnreachable), level(RiskLevel::High)],
            ChannelUnreachable,
        ),
        (vec![verdict(OptedOut), verdict(ChannelUnreachable)], OptedOut),
        (vec![verdict(ChannelUnreachable), verdict(OptedOut)], OptedOut),
        (
            vec![verdict(Down), verdict(ChannelUnreachable), AWAY],
            ChannelUnreachable,
        ),
    ] {
        let mut world = world(Kinds::Own);
        let outcome = said(&mut world, AssessAnswer::Said(words));
        let told = outcome.explanation.providers[0].came;
        assert_eq!(told, holds.as_str());
        assert_eq!(refusal_of(outcome), Some(RefusalCode::ChannelUnavailable));
    }
}

/// What somebody is told who sends again and again while the scorer says the same.
fn course(kind: RejectionKind, decoy: bool) -> Vec<(String, u32)> {
    let mut world = World::new(
        policy("version = 1\n[privacy]\ndisclosure = \"private\"\n"),
        Kinds::Own,
    );
    let mut course = Vec::new();
    for _ in 0..6 {
        let request = send().decoy(decoy);
        let mut step = world.start(request);
        let mut trips = 0;
        let outcome = loop {
            step = match step {
                Step::Done(outcome) => break *outcome,
                Step::Assess(asked) => asked.resume(world.now, AssessAnswer::Said(vec![verdict(kind)])),
                other => {
                    trips += u32::from(other.kind() == "store");
                    world.perform(other)
                }
            };
        };
        course.push((outcome.as_str().to_owned(), trips));
        world.advance(Duration::from_secs(31));
    }
    assert_eq!(world.dispatches, 0);
    assert_eq!(
        events(&world, EventKind::NoteTaken),
        0,
        "who exists tomorrow would pay for it"
    );
    course
}

#[test]
fn i40_a_verdict_does_not_tell_a_decoy_from_the_real_thing() {
    for kind in RejectionKind::ALL
        .iter()
        .filter(|kind| kind.blame() == Blame::Destination)
    {
        assert_eq!(course(*kind, true), course(*kind, false), "{kind:?}");
    }
}

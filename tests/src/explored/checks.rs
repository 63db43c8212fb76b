//! Checks that race with checks, and with a resend of their code.

use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::outcome::{Answer, CheckAnswer, Outcome};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Kinds, World};

use super::{Finding, Scenario, finding, sent_once};
use crate::{NO_FIRST_WAIT, answered, check, events, failures, policy, send, wrong};

fn wrong_answers(outcomes: &[Option<Outcome>]) -> usize {
    answered(outcomes, "wrong_code")
}

/// Whoever was told that a guess is wrong is counted, unless a success ended the run.
fn counted(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    let counted = failures(world) as usize >= wrong_answers(outcomes);
    let reset = events(world, EventKind::Approved) > 0;
    finding(counted || reset, "i06: a guess was answered and not counted")
}

pub(super) fn both_wrong(kinds: Kinds) -> Scenario {
    let (world, _, _) = sent_once(kinds);
    Scenario::new(world, [check("000000").into(), check("000001").into()])
        .jumps(&[15])
        .holds(|world, outcomes| {
            counted(world, outcomes)?;
            let compared = wrong_answers(outcomes).max(world.compared as usize);
            finding(compared <= 1, "i01: two guesses inside the wait")
        })
        .at_end(five_guesses)
}

/// Whoever goes on guessing, waiting as long as is told, gets five guesses of a code.
fn five_guesses(world: &World, outcomes: &[Option<Outcome>]) -> Finding {
    let mut world = world.clone();
    let mut answered = wrong_answers(outcomes);
    for _ in 0..8 {
        world.advance(Duration::from_secs(60));
        let outcome = world.run(check("000000")).0;
        answered += wrong_answers(&[Some(outcome)]);
    }
    finding(
        answered.max(world.compared as usize) <= 5,
        "i01: more than five guesses of a code",
    )
}

pub(super) fn both_right(kinds: Kinds) -> Scenario {
    let (mut world, _, code) = sent_once(kinds);
    // Under the default policy the second check would wait, and the two would never meet.
    world.use_policies(policy(NO_FIRST_WAIT));
    Scenario::new(world, [check(&code).into(), check(&code).into()]).jumps(&[61])
}

pub(super) fn one_right(kinds: Kinds) -> Scenario {
    let (mut world, _, code) = sent_once(kinds);
    world.use_policies(policy(NO_FIRST_WAIT));
    let guess = check(&wrong(&code));
    Scenario::new(world, [check(&code).into(), guess.into()])
        .jumps(&[61])
        .holds(counted)
}

/// The same request twice: whoever is told an approval is told the same.
pub(super) fn one_key(kinds: Kinds) -> Scenario {
    let (mut world, _, code) = sent_once(kinds);
    world.use_policies(policy(NO_FIRST_WAIT));
    let again = check(&code).key("once");
    Scenario {
        always: false,
        ..Scenario::new(world, [again.clone().into(), again.into()])
    }
    .holds(|world, outcomes| {
        finding(events(world, EventKind::Approved) <= 1, "i02: approved twice")?;
        let proof = |outcome: &Outcome| match &outcome.answer {
            Ok(Answer::Check(CheckAnswer::Approved(approval))) => Some(approval.proof.clone()),
            _ => None,
        };
        let proofs: Vec<String> = outcomes.iter().flatten().filter_map(proof).collect();
        finding(
            proofs.windows(2).all(|pair| pair[0] == pair[1]),
            "i29: another proof for the same key",
        )
    })
}

/// After its gap a code is sent again by another channel while somebody gives it.
pub(super) fn check_resend(kinds: Kinds) -> Scenario {
    let (world, code) = sent_before(kinds);
    let call = send().by(Channel::Call);
    Scenario::new(world, [check(&code).into(), call.into()]).jumps(&[61])
}

/// The same with a guess: the resend lowers no failure count.
pub(super) fn wrong_check_resend(kinds: Kinds) -> Scenario {
    let (world, code) = sent_before(kinds);
    Scenario::new(world, [check(&wrong(&code)).into(), send().into()])
        .jumps(&[61])
        .holds(|world, outcomes| {
            let wrong = wrong_answers(outcomes);
            finding(
                failures(world) as usize >= wrong,
                "i03: a send lowered the failures",
            )
        })
}

fn sent_before(kinds: Kinds) -> (World, String) {
    let (mut world, _, code) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    (world, code)
}

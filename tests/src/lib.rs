//! What the workspace-level tests share: worlds, commands by name, and short ways to look at outcomes.

pub mod explored;
#[cfg(doctest)]
mod manual;
pub mod promises;

use std::time::Duration;

use verify_core::command::{
    CheckRequest, Command, RedeemRequest, SendRequest, TickRequest, VerificationRequest,
};
use verify_core::event::EventKind;
use verify_core::flow::Step;
use verify_core::limit::Counter;
use verify_core::outcome::{Answer, Approval, Outcome, Refusal, Verification};
use verify_core::policy::PolicySet;
use verify_core::port::Inquired;
use verify_core::record::{DeliveryStatus, Record};
use verify_core::store::{RecordKey, RecordKind};
use verify_core::vocabulary::{Purpose, ServiceId};
use verify_lab::explore::{Kinds, World};

/// A number that anybody may have.
pub const TO: &str = "+12025550123";
/// Both makers of codes.
pub const BOTH: [Kinds; 2] = [Kinds::Own, Kinds::Managed];

/// A policy whose first wait is off, so that guesses follow one another.
pub const NO_FIRST_WAIT: &str =
    "version = 1\n[lockout]\nwaits = { 5 = \"15m\", 10 = \"1h\", 100 = \"never\" }\n";

/// The same without a limit on checks, so that only the lockout stands against guesses.
pub const ONLY_THE_LOCKOUT: &str = "version = 1\n[lockout]\nwaits = { 5 = \"15m\", 10 = \"1h\", 100 = \"never\" }\n\
    [[limit]]\nname = \"checks_per_identity\"\nmax = \"unlimited\"\n";

/// A policy from a file's text over the defaults.
pub fn policy(text: &str) -> PolicySet {
    match PolicySet::from_toml(text) {
        Ok(loaded) => loaded.policies,
        Err(errors) => panic!("{errors}"),
    }
}

/// A world under the default policy.
pub fn world(kinds: Kinds) -> World {
    World::new(PolicySet::default(), kinds)
}

/// A send to [`TO`].
pub fn send() -> Command {
    Command::Send(SendRequest::to(TO))
}

/// A check of [`TO`].
pub fn check(code: &str) -> Command {
    Command::Check(CheckRequest::to(TO, code))
}

/// A cancel.
pub fn cancel(id: &str) -> Command {
    Command::Cancel(VerificationRequest {
        service: ServiceId::default(),
        verification_id: id.into(),
    })
}

/// A status.
pub fn status(id: &str) -> Command {
    Command::Status(VerificationRequest {
        service: ServiceId::default(),
        verification_id: id.into(),
    })
}

/// A redemption of a proof for signing in with [`TO`].
pub fn redeem(proof: &str) -> RedeemRequest {
    RedeemRequest {
        service: ServiceId::default(),
        proof: proof.into(),
        purpose: Purpose::SignIn,
        to: TO.into(),
        country: None,
        subject: None,
        amount: None,
        payee: None,
        idempotency_key: None,
    }
}

/// The verification that was sent, or the end of the test.
pub fn sent(answer: Answer) -> Verification {
    match answer {
        Answer::Sent(verification) => *verification,
        other => panic!("not sent: {other:?}"),
    }
}

/// The refusal, or the end of the test.
pub fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

/// The approval, or the end of the test.
pub fn approved(answer: Answer) -> Approval {
    match answer {
        Answer::Approved(approval) => *approval,
        other => panic!("not approved: {other:?}"),
    }
}

/// The code that [`TO`] got last.
pub fn code(world: &World) -> String {
    world
        .code_for(TO)
        .map_or_else(String::new, |code| code.expose().to_owned())
}

/// A code that it is not, as long.
pub fn wrong(right: &str) -> String {
    let flip = |digit: char| if digit == '9' { '0' } else { '9' };
    right.chars().map(flip).collect()
}

/// The failures that any lockout counts, summed.
pub fn failures(world: &World) -> u32 {
    let counted = |counter: &Counter| match counter {
        Counter::Backoff(run) => run.count,
        Counter::Window(_) => 0,
    };
    world
        .store
        .counters()
        .values()
        .map(|kept| counted(&kept.state))
        .sum()
}

/// How many events of a kind are in the outbox.
pub fn events(world: &World, kind: EventKind) -> usize {
    world
        .store
        .events()
        .values()
        .filter(|event| event.kind == kind)
        .count()
}

/// How many flows were answered with an approval.
pub fn approvals(outcomes: &[Option<Outcome>]) -> usize {
    let approved = |outcome: &&Outcome| matches!(outcome.answer, Answer::Approved(_));
    outcomes.iter().flatten().filter(approved).count()
}

/// What holds in every state of every run of flows about one verification. The text begins with the promise.
pub fn always(world: &World, outcomes: &[Option<Outcome>]) -> Result<(), String> {
    let intents = events(world, EventKind::SendIntended);
    if world.dispatches as usize > intents {
        return Err(format!(
            "i48: {} dispatches for {intents} charged intents",
            world.dispatches
        ));
    }
    if events(world, EventKind::Approved) > 1 || approvals(outcomes) > 1 {
        return Err("i02: approved twice".into());
    }
    if approvals(outcomes) > events(world, EventKind::Approved) {
        return Err("an approval was told that is not recorded".into());
    }
    if world.compared as usize > events(world, EventKind::CheckTaken) {
        return Err("i06: compared before it was counted".into());
    }
    rejected_is_true(world)
}

/// What is recorded as surely not sent was not.
pub fn rejected_is_true(world: &World) -> Result<(), String> {
    let entries = record(world).map_or(Vec::new(), |(_, record)| record.entries);
    let mut deliveries = entries.iter().flat_map(|entry| &entry.deliveries);
    let sent = |id: &[u8; 16]| world.sent.iter().any(|sent| sent.dispatch_id == *id);
    match deliveries.any(|it| it.status() == DeliveryStatus::Rejected && sent(&it.id)) {
        true => Err("i51: recorded as surely not sent, and it was".into()),
        false => Ok(()),
    }
}

/// The record of the only destination that there is.
pub fn record(world: &World) -> Option<(RecordKey, Record)> {
    let mut records = world
        .store
        .records()
        .iter()
        .filter(|((_, key), _)| key.kind == RecordKind::Verifications);
    records
        .next()
        .and_then(|((_, key), row)| Some((*key, Record::decode(row).ok()?)))
}

/// A send whose flow dies before its message leaves, and ticks that hear so. Nothing is left of it.
pub fn died_unsent(world: &mut World, request: SendRequest) {
    let step = world.start(Command::Send(request));
    let Step::Assess(_) = world.perform(step) else {
        panic!("the intent is recorded")
    };
    world.advance(Duration::from_secs(300));
    ticks_hear_not_sent(world);
    assert!(record(world).is_none(), "surely nothing was sent");
}

/// Ticks of the only record, whose provider says each time that it was never sent.
fn ticks_hear_not_sent(world: &mut World) {
    let Some((key, _)) = record(world) else {
        panic!("there is no record")
    };
    for _ in 0..3 {
        let mut step = world.start(Command::Tick(TickRequest {
            service: ServiceId::default(),
            record: key,
        }));
        while !matches!(step, Step::Done(_)) {
            step = match step {
                Step::Inquire(asked) => asked.resume(world.now, Inquired::NotSent),
                step => world.perform(step),
            };
        }
    }
}

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

//! What the workspace-level tests share: worlds, commands by name, and short ways to look at outcomes.

pub mod explored;
#[cfg(doctest)]
mod manual;
pub mod promises;

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest, StatusRequest, TickRequest};
use verify_core::event::EventKind;
use verify_core::flow::{Step, drive};
use verify_core::keys::Keys;
use verify_core::limit::Counter;
use verify_core::outcome::{
    Answer, Approval, CheckAnswer, Outcome, Refusal, Request, SendAnswer, StatusAnswer, VerificationView,
};
use verify_core::policy::PolicySet;
use verify_core::port::{Compared, Inquired};
use verify_core::record::{DeliveryStatus, Record, Verification};
use verify_core::store::{RecordKey, RecordKind};
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

/// The rings without their older keys.
pub fn newest_alone(keys: &Keys) -> Keys {
    let text = keys.to_text();
    let rings = text.expose().split('/');
    let newest: Vec<_> = rings.map(|ring| ring.split(',').next().unwrap_or(ring)).collect();
    match Keys::parse(&newest.join("/")) {
        Ok(keys) => keys,
        Err(error) => panic!("{error}"),
    }
}

/// A world under the default policy.
pub fn world(kinds: Kinds) -> World {
    World::new(PolicySet::default(), kinds)
}

/// Short ways to ask a world.
pub trait Asks {
    /// Runs a request to its end: its own answer, or the end of the test where it could not be done.
    fn ask<R: Request>(&mut self, request: R) -> R::Answer {
        self.ask_counted(request).0
    }

    /// The same, with the store round trips that it took.
    fn ask_counted<R: Request>(&mut self, request: R) -> (R::Answer, u32);

    /// Begins a flow and takes it to its first step of this kind.
    fn begin(&mut self, request: impl Into<Command>, kind: &str) -> Step;
}

impl Asks for World {
    fn ask_counted<R: Request>(&mut self, request: R) -> (R::Answer, u32) {
        let (outcome, trips) = self.run(request);
        match outcome.of::<R::Answer>().answer {
            Ok(answer) => (answer, trips),
            Err(fault) => panic!("{fault}"),
        }
    }

    fn begin(&mut self, request: impl Into<Command>, kind: &str) -> Step {
        let mut step = self.start(request);
        while step.kind() != kind {
            step = match step.over() {
                Ok(outcome) => panic!("over before it asks for a {kind}: {outcome:?}"),
                Err(step) => self.perform(step),
            };
        }
        step
    }
}

/// A send to [`TO`].
pub fn send() -> SendRequest {
    SendRequest::to(TO)
}

/// A check of [`TO`].
pub fn check(code: &str) -> CheckRequest {
    CheckRequest::to(TO, code)
}

/// A wrong guess of which the provider says this.
pub fn judged(world: &mut World, verdict: Compared) -> Outcome<CheckAnswer> {
    let Step::Compare(asked) = world.begin(check("000000"), "compare") else {
        panic!("it begins with a comparison")
    };
    drive(asked.resume(world.now, verdict), world).of()
}

/// The verification that was sent, or the end of the test.
pub fn sent(answer: SendAnswer) -> VerificationView {
    match answer {
        SendAnswer::Sent(verification) => *verification,
        other => panic!("not sent: {other:?}"),
    }
}

/// The refusal, or the end of the test.
pub fn refused(answer: impl Into<Answer>) -> Refusal {
    let answer = answer.into();
    match answer.refusal() {
        Some(refusal) => refusal.clone(),
        None => panic!("not refused: {answer:?}"),
    }
}

/// The approval, or the end of the test.
pub fn approved(answer: CheckAnswer) -> Approval {
    match answer {
        CheckAnswer::Approved(approval) => *approval,
        CheckAnswer::Unclaimed(unclaimed) => {
            let whose = unclaimed.whose().clone();
            unclaimed.of(&whose).expect("it is whose it says")
        }
        other => panic!("not approved: {other:?}"),
    }
}

/// A verification as it is now, or the end of the test.
pub fn seen(world: &mut World, id: &str) -> VerificationView {
    match world.ask(StatusRequest::of(id)) {
        StatusAnswer::Found(seen) => *seen,
        StatusAnswer::Refused(refusal) => panic!("not there: {refusal:?}"),
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

/// How many flows were answered with this word.
pub fn answered(outcomes: &[Option<Outcome>], word: &str) -> usize {
    let with = |outcome: &&Outcome| outcome.as_str() == word;
    outcomes.iter().flatten().filter(with).count()
}

/// How many flows were answered with an approval.
pub fn approvals(outcomes: &[Option<Outcome>]) -> usize {
    answered(outcomes, "approved")
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
    let verifications = verifications(world);
    let mut deliveries = verifications.iter().flat_map(|one| &one.deliveries);
    let sent = |id| world.sent.iter().any(|sent| sent.dispatch_id == id);
    match deliveries.any(|it| it.status() == DeliveryStatus::Rejected && sent(it.id)) {
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

/// Its verifications; none where there is no record.
pub fn verifications(world: &World) -> Vec<Verification> {
    record(world).map_or(Vec::new(), |(_, record)| record.verifications)
}

/// A repair of the only record that there is.
pub fn tick(world: &World) -> TickRequest {
    let Some((record, _)) = record(world) else {
        panic!("there is no record")
    };
    TickRequest::of(record)
}

/// A send whose flow dies before its message leaves, and ticks that hear so. Nothing is left of it.
pub fn died_unsent(world: &mut World, request: SendRequest) {
    drop(world.begin(request, "assess"));
    world.advance(Duration::from_secs(300));
    let tick = tick(world);
    for _ in 0..3 {
        let mut step = world.start(tick.clone());
        loop {
            step = match step {
                Step::Done(_) => break,
                Step::Inquire(asked) => asked.resume(world.now, Inquired::NotSent),
                step => world.perform(step),
            };
        }
    }
    assert!(record(world).is_none(), "surely nothing was sent");
}

/// The README's code compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

//! The core beside the naive reference: random commands, clocks, mishaps and policies, and every answer is compared.
//!
//! What is compared is the whole answer, its waits and counts included, and how many messages went out. After a clock
//! was set back the two need not agree: then the core may refuse for as long as it was set back, and must admit nothing
//! that the reference refuses.
#![allow(missing_docs, reason = "tests")]

mod acts;
#[cfg(verify_broken)]
mod noticed;
mod one_instant;
#[path = "../support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use acts::{Act, Rules, ask, rules, short_waits, with_jumps, with_mishaps};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use verify_core::policy::{Max, Policy, PolicySet, Then};
use verify_core::port::Maker;
use verify_core::record::Status;
use verify_core::time::{Timestamp, Until};
use verify_lab::explore::{Kinds, World};
use verify_lab::reference::{
    Answers, Ask, CheckAsk, CoreSide, Guess, Of, Outside, Person, Reference, Seen, SendAsk, Told,
};
use verify_tests::failures;

fn policies(policy: Policy) -> PolicySet {
    PolicySet {
        default: Arc::new(policy),
        ..PolicySet::default()
    }
}

/// The core and the reference, and what they were asked.
struct Pair {
    core: CoreSide,
    reference: Reference,
    log: Vec<String>,
    verifications: usize,
    approvals: usize,
    last: usize,
    /// The latest that the clock has shown, and by how much it was set back in all.
    latest: Timestamp,
    back: Duration,
}

impl Pair {
    fn new(policy: Policy, kinds: Kinds, machine: impl FnOnce(World) -> World) -> Self {
        let world = machine(World::new(policies(policy.clone()), kinds));
        let maker = if kinds == Kinds::Managed {
            Maker::Managed
        } else {
            Maker::Own
        };
        Self {
            reference: Reference::new(Arc::new(policy), maker, world.now),
            core: CoreSide::new(world),
            log: Vec::new(),
            verifications: 0,
            approvals: 0,
            last: 0,
            latest: Timestamp::ZERO,
            back: Duration::ZERO,
        }
    }

    fn outside(&mut self, change: Outside) {
        self.core.outside(change);
        self.reference.outside(change);
    }

    fn now(&self) -> Timestamp {
        self.core.world().now
    }

    /// Numbers are of what there is, as far as there is any.
    fn among(&self, ask: Ask) -> Ask {
        ask.among(self.verifications, self.approvals, self.core.messages())
    }

    fn ask(&mut self, ask: &Ask) -> Result<(), String> {
        let before = failures(self.core.world());
        let core = self.core.answer(ask);
        let counted = failures(self.core.world()) > before;
        match &core {
            Told::Sent(seen) => {
                self.last = seen.verification;
                self.verifications = self.verifications.max(self.last + 1);
            }
            Told::Approved { approval, .. } => self.approvals = self.approvals.max(approval + 1),
            _ => {}
        }
        self.latest = self.latest.max(self.now());
        self.log.push(format!(
            "{:>9} {ask:?} -> {core:?}",
            i128::from(self.now().as_millis()) - START
        ));
        if self.agrees(ask, &core, counted) {
            return Ok(());
        }
        let reference = self.reference.clone().answer(ask);
        let (log, sent) = (
            self.log.join("\n"),
            (self.core.messages(), self.reference.messages()),
        );
        Err(format!(
            "\n{log}\ncore      {core:?}\nreference {reference:?}\nmessages {sent:?} before"
        ))
    }

    /// True when the reference says the same, and then it has happened to it too.
    fn agrees(&mut self, ask: &Ask, core: &Told, counted: bool) -> bool {
        let now = self.now();
        let said = self.asked_at(now, ask);
        let sent = self.core.messages();
        if said.0 == *core && said.1.messages() == sent {
            self.reference = said.1;
            return true;
        }
        if self.back.is_zero() {
            return false;
        }
        // The core goes by the latest instant that it has written down where it looks: some instant up to the latest
        // of all has to explain its answer.
        let mut instants: Vec<Timestamp> = self.reference.instants().chain([now, self.latest]).collect();
        instants.retain(|at| (now..=self.latest).contains(at));
        instants.sort_unstable();
        instants.dedup();
        for at in instants {
            let (told, reference) = self.asked_at(at, ask);
            let same = !counted || reference.failures() > self.reference.failures();
            if alike(core, &told) && same && reference.messages() == sent {
                self.reference = reference;
                return true;
            }
        }
        if let Ask::Check(check) = ask
            && counted
            && is_no(core)
        {
            // Counted while it was pending, and judged by an instant at which it was not: right or not, it is a failure.
            let guess = Guess::Wrong;
            let wrong = Ask::Check(CheckAsk {
                guess,
                ..check.clone()
            });
            self.reference = self.asked_at(now, &wrong).1;
            return true;
        }
        let (later, reference) = self.asked_with(self.back, now, ask);
        if matches!(ask, Ask::Redeem(..)) && alike(core, &later) {
            // A proof that was given after a jump back may carry the later instant.
            self.reference = reference;
            return true;
        }
        // Or it refuses for longer, by as much as the clock was set back at most.
        is_no(core) && (is_no(&later) || is_no(&self.asked_at(now + self.back, ask).0))
    }

    /// What the reference says when its clock shows this, and what becomes of it.
    fn asked_at(&self, at: Timestamp, ask: &Ask) -> (Told, Reference) {
        self.asked_with(Duration::ZERO, at, ask)
    }

    fn asked_with(&self, slack: Duration, at: Timestamp, ask: &Ask) -> (Told, Reference) {
        let mut reference = self.reference.clone();
        reference.slack = slack;
        let jumped = !self.back.is_zero();
        (reference.now, reference.stamp) = (at, jumped.then_some(self.now()));
        let told = reference.answer(ask);
        (reference.now, reference.stamp, reference.slack) = (self.now(), None, Duration::ZERO);
        (told, reference)
    }
}

/// The same answer, but for how long to wait and what is left. By what a verification ended, when it is over by any
/// clock, is no matter here.
fn alike(core: &Told, reference: &Told) -> bool {
    let seen = |a: &Seen, b: &Seen| {
        (a.verification, a.status, a.expires_at) == (b.verification, b.status, b.expires_at)
    };
    match (core, reference) {
        // Each limit goes by its own latest instant, the life of a code by that of its record: it may end sooner.
        (Told::Sent(a), Told::Sent(b)) => {
            (a.verification, a.status) == (b.verification, b.status) && a.expires_at <= b.expires_at
        }
        (Told::Repeated(a), Told::Repeated(b)) => seen(a, b),
        (Told::Canceled(a), Told::Canceled(b)) => seen(a, b),
        (Told::Status(a), _) if a.status != Status::Pending => true,
        (Told::Refused(_), Told::Status(b)) if b.status != Status::Pending => true,
        (Told::Status(a), Told::Status(b)) => seen(a, b),
        (Told::Refused(a), Told::Refused(b)) => a.code == b.code,
        (Told::Wrong { status: a, .. }, Told::Wrong { status: b, .. }) => a == b,
        (Told::Redeemed { .. }, Told::Redeemed { .. }) => true,
        (Told::Unlocked(_), Told::Unlocked(_)) => true,
        (a, b) => a == b,
    }
}

fn is_no(told: &Told) -> bool {
    matches!(told, Told::Refused(_) | Told::Repeated(_))
}

const START: i128 = 1_700_000_000_000;

fn side_by_side(kinds: Kinds, rules: &Rules, acts: &[Act]) -> Result<(), TestCaseError> {
    with_machine(kinds, |world| world, rules, acts)
}

/// The same, and a store in a file is asked all of it again.
fn and_in_a_file(kinds: Kinds, rules: &Rules, acts: &[Act]) -> Result<(), TestCaseError> {
    let pair = run_through(kinds, |world| world, rules, acts)?;
    support::answers_the_same_in_a_file(pair.core.world());
    Ok(())
}

fn with_machine(
    kinds: Kinds,
    machine: impl FnOnce(World) -> World,
    rules: &Rules,
    acts: &[Act],
) -> Result<(), TestCaseError> {
    run_through(kinds, machine, rules, acts).map(drop)
}

fn run_through(
    kinds: Kinds,
    machine: impl FnOnce(World) -> World,
    rules: &Rules,
    acts: &[Act],
) -> Result<Pair, TestCaseError> {
    let mut pair = Pair::new(rules.policy(), kinds, machine);
    for act in acts {
        match act {
            Act::Wait(ms) => {
                let now = pair.now() + Duration::from_millis(*ms);
                pair.outside(Outside::Now(now));
            }
            Act::Back(ms) => {
                pair.latest = pair.latest.max(pair.now());
                pair.back += Duration::from_millis(*ms);
                let now = pair.now() - Duration::from_millis(*ms);
                pair.outside(Outside::Now(now));
            }
            Act::Outside(change) => pair.outside(*change),
            Act::Ask(ask) => pair
                .ask(ask)
                .map_err(|what| TestCaseError::fail(format!("{rules:?}{what}")))?,
            Act::CheckLast(from, key, right) => {
                let last = pair.core.messages().saturating_sub(1);
                let check = CheckAsk {
                    of: Of::Verification(pair.last),
                    guess: if *right {
                        Guess::Message(last)
                    } else {
                        Guess::Wrong
                    },
                    from: from.clone(),
                    key: key.clone(),
                };
                pair.ask(&pair.among(Ask::Check(check)))
                    .map_err(|what| TestCaseError::fail(format!("{rules:?}{what}")))?;
            }
        }
    }
    Ok(pair)
}

/// The same cases in every run. `PROPTEST_CASES` runs more, `PROPTEST_RNG_SEED` others.
fn config(cases: u32) -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").map_or(cases, |more: u64| u32::try_from(more).unwrap_or(u32::MAX)),
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").unwrap_or(9)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(800))]

    #[test]
    fn own_codes(rules in rules(), acts in prop::collection::vec(ask(), 1..60)) {
        side_by_side(Kinds::Own, &rules, &acts)?;
    }

    #[test]
    fn managed_codes(rules in rules(), acts in prop::collection::vec(ask(), 1..60)) {
        side_by_side(Kinds::Managed, &rules, &acts)?;
    }

    #[test]
    fn own_codes_with_mishaps(rules in rules(), acts in prop::collection::vec(with_mishaps(), 1..60)) {
        side_by_side(Kinds::Own, &rules, &acts)?;
    }

    #[test]
    fn managed_codes_with_mishaps(rules in rules(), acts in prop::collection::vec(with_mishaps(), 1..60)) {
        side_by_side(Kinds::Managed, &rules, &acts)?;
    }

    #[test]
    fn own_codes_with_jumps_back(rules in short_waits(), acts in prop::collection::vec(with_jumps(), 1..60)) {
        side_by_side(Kinds::Own, &rules, &acts)?;
    }

    #[test]
    fn managed_codes_with_jumps_back(rules in short_waits(), acts in prop::collection::vec(with_jumps(), 1..60)) {
        side_by_side(Kinds::Managed, &rules, &acts)?;
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn own_codes_over_a_file(rules in rules(), acts in prop::collection::vec(with_mishaps(), 1..60)) {
        and_in_a_file(Kinds::Own, &rules, &acts)?;
    }

    #[test]
    fn managed_codes_over_a_file(rules in rules(), acts in prop::collection::vec(with_mishaps(), 1..60)) {
        and_in_a_file(Kinds::Managed, &rules, &acts)?;
    }
}

/// Sends to many numbers under limits of more than 16, which the core counts on a grid: it may refuse for a sixteenth
/// of the interval longer, and admits nothing that the reference refuses.
fn on_a_grid(max: u64, per: u64, steps: &[(u8, u64)]) -> Result<(), TestCaseError> {
    let mut policy = Policy::default();
    for limit in &mut policy.limits {
        let service = &*limit.name == "sends_per_service";
        limit.max = if service { Max::Units(max) } else { Max::Unlimited };
        limit.per = Duration::from_secs(per);
        limit.then = Then::Refuse;
    }
    let mut pair = Pair::new(policy, Kinds::Own, |world| world);
    for (number, wait) in steps {
        let now = pair.now() + Duration::from_millis(*wait);
        pair.outside(Outside::Now(now));
        let ask = Ask::Send(SendAsk::to(Of::Person(Person::at(format!(
            "+120255501{number:02}"
        )))));
        let core = pair.core.answer(&ask);
        let (exact, after) = pair.asked_at(now, &ask);
        let longer = Duration::from_secs(per) / 16 + Duration::from_millis(1);
        let late = pair.asked_with(longer, now, &ask).0;
        let told = format!("core {core:?}\nreference {exact:?}\na sixteenth longer {late:?}");
        match (&core, &exact) {
            (Told::Refused(core), Told::Refused(exact)) => {
                let (Some(Until::At(core)), Some(Until::At(exact))) = (core.wait, exact.wait) else {
                    return Err(TestCaseError::fail(told));
                };
                let later = match &late {
                    Told::Refused(late) => late.wait,
                    _ => None,
                };
                // Waiting for one rule may run into another, later by one clock than by the other.
                let most = later.max(Some(Until::At(exact + longer)));
                prop_assert!(exact <= core && Some(Until::At(core)) <= most, "{told}");
            }
            (Told::Refused(_), _) => prop_assert!(matches!(late, Told::Refused(_)), "{told}"),
            (Told::Sent(core), Told::Sent(exact)) => {
                prop_assert_eq!(core.verification, exact.verification, "{}", told);
                pair.reference = after;
            }
            _ => return Err(TestCaseError::fail(told)),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn i12_a_grid_refuses_for_a_sixteenth_longer_at_most(
        max in 19u64..60, per in 16u64..600, steps in prop::collection::vec((0u8..100, 0u64..9_000), 20..160),
    ) {
        on_a_grid(max, per, &steps)?;
    }
}

//! What is explored: flows that race, from which world, under which budget, and what must hold. The tests run all of it
//! at the size of tests; the program `explore` runs it larger.

mod checks;
mod ends;
mod mailboxes;
mod private;
mod reports;
mod sends;
mod three;

use std::time::Duration;

use verify_core::command::Command;
use verify_core::outcome::Outcome;
use verify_core::policy::PolicySet;
use verify_core::record::DeliveryStatus;
use verify_lab::explore::{Budget, Explored, Found, Kinds, Opening, Search, World};

use crate::{Asks, BOTH, always, code, record, send, sent, tick, verifications};

/// What is looked for: nothing, or what does not hold, beginning with the promise.
pub type Finding = Result<(), String>;

/// A finding, where something does not hold.
pub fn finding(holds: bool, what: &str) -> Finding {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

type Invariant = Box<dyn Fn(&World, &[Option<Outcome>]) -> Finding>;

/// How much may go wrong in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// What the tests explore.
    Tests,
    /// What `cargo xtask explore` does.
    Large,
}

/// Flows that race.
pub struct Scenario {
    /// Where they begin.
    pub world: World,
    flows: Vec<Opening>,
    jumps: Vec<u64>,
    tests: Budget,
    large: Budget,
    /// False where more than one approval, or more than one dispatch for a charge, is right.
    always: bool,
    holds: Invariant,
    at_end: Invariant,
}

/// A crash, a fault and a jump of time.
pub const ONE_OF_EACH: Budget = Budget {
    crashes: 1,
    faults: 1,
    time_jumps: 1,
};

/// Flows that race, by name.
pub struct Named {
    /// The commands, in the order in which they are handed in.
    pub name: &'static str,
    /// With which providers they are explored.
    pub kinds: &'static [Kinds],
    /// The scenario with one of them.
    pub make: fn(Kinds) -> Scenario,
}

macro_rules! scenarios {
    ($($name:literal on $kinds:expr => $module:ident::$make:ident,)+) => {
        /// All scenarios.
        pub const SCENARIOS: &[Named] = &[$(Named { name: $name, kinds: $kinds, make: $module::$make }),+];
    };
}

scenarios! {
    "send/send" on &BOTH => sends::send_send,
    "send/send, one key" on &BOTH => sends::one_key,
    "send/send, two identities" on &BOTH => sends::two_identities,
    "send/send, a provider is down" on &[Kinds::TwoOwn] => sends::failover,
    "send/check" on &BOTH => sends::send_check,
    "send/tick" on &BOTH => sends::send_tick,
    "send/delivered" on &BOTH => reports::send_delivered,
    "send/undelivered" on &BOTH => reports::send_undelivered,
    "report/report, the same" on &BOTH => reports::the_same_twice,
    "report/report, out of order" on &BOTH => reports::out_of_order,
    "send/report/report" on &BOTH => reports::send_and_two_reports,
    "check/check, wrong" on &BOTH => checks::both_wrong,
    "check/check, right" on &BOTH => checks::both_right,
    "check/check, one right" on &BOTH => checks::one_right,
    "check/check, one key" on &BOTH => checks::one_key,
    "check/resend" on &BOTH => checks::check_resend,
    "check/resend, wrong" on &BOTH => checks::wrong_check_resend,
    "check/cancel" on &BOTH => ends::check_cancel,
    "cancel/send" on &BOTH => ends::cancel_send,
    "match/ended" on &[Kinds::Managed] => ends::match_ended,
    "ended/resend" on &[Kinds::Managed] => ends::ended_resend,
    "ended/cancel" on &[Kinds::Managed] => ends::ended_cancel,
    "ended twice" on &[Kinds::Managed] => ends::ended_twice,
    "check/check, two mailboxes" on &BOTH => mailboxes::check_check,
    "cancel/send, two mailboxes" on &BOTH => mailboxes::cancel_send,
    "send/send, private" on &BOTH => private::send_send,
    "send/send, private and rejected" on &BOTH => private::rejected,
    "cancel/send, private" on &BOTH => private::cancel_send,
    "redeem/redeem" on &BOTH => ends::redeem_redeem,
    "redeem/redeem, one key" on &BOTH => ends::redeem_one_key,
    "unlock/check, right" on &BOTH => ends::unlock_right,
    "unlock/check, wrong" on &BOTH => ends::unlock_wrong,
    "check/check/send" on &BOTH => three::check_check_send,
    "check/cancel/send" on &BOTH => three::check_cancel_send,
    "check/send/cancel, two identities" on &BOTH => three::two_identities,
}

impl Scenario {
    /// These flows in this world, with one thing of each kind that goes wrong; two faults in the large.
    fn new(world: World, flows: impl IntoIterator<Item = Command>) -> Self {
        Self::with_reports(world, flows.into_iter().map(Opening::from))
    }

    /// The same where reports are among the flows.
    fn with_reports(world: World, flows: impl IntoIterator<Item = Opening>) -> Self {
        Self {
            world,
            flows: flows.into_iter().collect(),
            jumps: vec![31],
            tests: ONE_OF_EACH,
            large: Budget {
                faults: 2,
                ..ONE_OF_EACH
            },
            always: true,
            holds: Box::new(|_, _| Ok(())),
            at_end: Box::new(|_, _| Ok(())),
        }
    }

    fn jumps(self, seconds: &[u64]) -> Self {
        Self {
            jumps: seconds.to_vec(),
            ..self
        }
    }

    /// Looked at in every state.
    fn holds(self, invariant: impl Fn(&World, &[Option<Outcome>]) -> Finding + 'static) -> Self {
        Self {
            holds: Box::new(invariant),
            ..self
        }
    }

    /// Looked at when all flows are over.
    fn at_end(self, invariant: impl Fn(&World, &[Option<Outcome>]) -> Finding + 'static) -> Self {
        Self {
            at_end: Box::new(invariant),
            ..self
        }
    }

    /// Explores all of it.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn explore(&self, size: Size) -> Result<Explored, Box<Found>> {
        self.search(size, |search| search.run(self.world.clone(), self.flows.clone()))
    }

    /// Goes one way through it, by this seed: the world at its end, with all that its store was asked.
    ///
    /// # Errors
    /// The first thing that does not hold.
    pub fn wander(&self, seed: u64) -> Result<World, Box<Found>> {
        self.search(Size::Large, |search| {
            search.wander(self.world.clone(), self.flows.clone(), seed)
        })
    }

    /// Whether all that was not visited again goes on as what was taken for the same. The number of states.
    ///
    /// # Errors
    /// Two states that do not.
    pub fn merges_are_sound(&self) -> Result<usize, Box<Found>> {
        self.search(Size::Tests, |search| {
            search.merges_are_sound(self.world.clone(), self.flows.clone())
        })
    }

    fn search<T>(&self, size: Size, run: impl FnOnce(&Search<'_>) -> T) -> T {
        run(&Search {
            jumps: self.jumps.iter().map(|secs| Duration::from_secs(*secs)).collect(),
            budget: match size {
                Size::Tests => self.tests,
                Size::Large => self.large,
            },
            invariant: &|world, outcomes| {
                if self.always {
                    always(world, outcomes)?;
                }
                (self.holds)(world, outcomes)
            },
            at_end: &|world, outcomes| {
                repaired(world)?;
                (self.at_end)(world, outcomes)
            },
        })
    }
}

/// A world in which a code was sent, its verification's id, and the code.
fn sent_once(kinds: Kinds) -> (World, String, String) {
    let mut world = World::new(PolicySet::default(), kinds);
    let id = sent(world.ask(send())).id;
    let code = code(&world);
    (world, id, code)
}

/// When all is over, ticks repair: nothing is left between states, and what is left ends by itself.
fn repaired(world: &World) -> Finding {
    let mut world = world.clone();
    for _ in 0..4 {
        world.advance(Duration::from_secs(120));
        if record(&world).is_some() {
            world.run(tick(&world));
        }
    }
    let verifications = verifications(&world);
    let mut deliveries = verifications.iter().flat_map(|one| &one.deliveries);
    let stuck = deliveries.any(|delivery| delivery.status() == DeliveryStatus::Dispatching);
    finding(!stuck, "i28: a delivery is never settled")?;
    all_ends(world)
}

/// Two months later nothing transient is left.
pub fn all_ends(mut world: World) -> Finding {
    world.advance(Duration::from_secs(60 * 86_400));
    world.store.purge(world.now);
    let left = (
        world.store.counters().len(),
        world.store.records().len(),
        world.store.claims().len(),
    );
    finding(left == (0, 0, 0), "i11: something never ends")
}

//! The world's clock: who is awake when.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use verify_core::policy::PolicySet;
use verify_core::time::Timestamp;

use crate::world::{Wanted, World};
use crate::{Actor, Booth, Chance, Ledger};

/// When every world begins: Monday, 5 January 2026, 00:00 UTC.
pub const START: Timestamp = Timestamp::from_millis(1_767_571_200_000);

/// A world with its actors.
pub struct Simulation {
    world: World,
    ledger: Ledger,
    chance: Chance,
    queue: BinaryHeap<Reverse<Sleeper>>,
    actors: u64,
}

impl Simulation {
    /// A world under these policies. All chance comes from the seed.
    pub fn new(policies: PolicySet, seed: u64) -> Self {
        Self {
            world: World::new(policies, seed),
            ledger: Ledger::new(START),
            chance: Chance::of(seed),
            queue: BinaryHeap::new(),
            actors: 0,
        }
    }

    /// Puts an actor into the world, awake so long after [`START`].
    pub fn add(&mut self, after: Duration, actor: impl Actor + 'static) {
        let chance = self.chance.child();
        self.put(START + after, Box::new(actor), chance);
    }

    /// Runs from the beginning until so long after it. Actors that would wake later do not.
    pub fn run(&mut self, span: Duration) {
        let end = START + span;
        self.ledger.spans(span);
        let mut newborn = Vec::new();
        while let Some(Reverse(mut sleeper)) = self.queue.pop() {
            if sleeper.at >= end {
                break;
            }
            let now = sleeper.at;
            let mut booth = Booth {
                now,
                actor: sleeper.number,
                account: sleeper.account,
                chance: &mut sleeper.chance,
                world: &mut self.world,
                ledger: &mut self.ledger,
                newborn: &mut newborn,
                wanted: Wanted::default(),
            };
            let next = sleeper.actor.wake(&mut booth);
            for (at, actor) in newborn.drain(..) {
                let chance = sleeper.chance.child();
                self.put(at.max(now), actor, chance);
            }
            if let Some(at) = next {
                sleeper.at = at.max(now + Duration::from_millis(1));
                self.queue.push(Reverse(sleeper));
            }
        }
    }

    /// What came of it.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The same world with one rule of its machine switched off: shows what that rule is good for.
    #[cfg(verify_broken)]
    #[must_use]
    pub fn broken(self, how: verify_core::broken::Broken) -> Self {
        Self {
            world: self.world.broken(how),
            ..self
        }
    }

    /// The policies in force.
    pub fn policies(&self) -> &PolicySet {
        self.world.policies()
    }

    /// How many commands ran.
    pub fn commands(&self) -> u64 {
        self.world.commands()
    }

    /// How many things the store and the inboxes hold: what a long run must keep bounded.
    pub fn held(&self) -> usize {
        self.world.held()
    }

    fn put(&mut self, at: Timestamp, actor: Box<dyn Actor>, chance: Chance) {
        self.actors += 1;
        let account = self.ledger.open(actor.as_ref());
        self.queue.push(Reverse(Sleeper {
            at,
            number: self.actors,
            account,
            actor,
            chance,
        }));
    }
}

/// An actor between two wakings. Each is in the queue once.
struct Sleeper {
    at: Timestamp,
    number: u64,
    account: usize,
    actor: Box<dyn Actor>,
    chance: Chance,
}

impl Sleeper {
    /// Of two that wake at one instant, the older one goes first.
    fn order(&self) -> (Timestamp, u64) {
        (self.at, self.number)
    }
}

impl PartialEq for Sleeper {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl Eq for Sleeper {}

impl PartialOrd for Sleeper {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Sleeper {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

//! What waits for the next transaction.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;
use verify_core::store::{Changeset, Room, StoreAnswer, StoreFault};
use verify_core::vocabulary::ServiceId;

use crate::batch::Waiting;
use crate::limits::{Limits, Turns};

/// A part of the queue that is for known callers.
const FOR_KNOWN: usize = 10;
/// A part of the queue that one service's strangers may fill.
const OF_ONE_SERVICE: usize = 4;
/// What a changeset takes besides the bytes in it.
const AT_LEAST: usize = 512;

/// Changesets by service, and whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    services: BTreeMap<ServiceId, OfOne>,
    /// Those that have something waiting and nothing under way, in the order in which they come.
    turns: VecDeque<ServiceId>,
    waiting: usize,
    bytes: usize,
    under_way: usize,
}

#[derive(Debug, Default)]
struct OfOne {
    known: VecDeque<Queued>,
    strangers: VecDeque<Queued>,
    under_way: bool,
}

#[derive(Debug)]
struct Queued {
    waiting: Waiting,
    bytes: usize,
    not_after: Instant,
}

/// What is taken from the queue for one transaction.
pub(crate) type Taken = Vec<(ServiceId, Vec<Waiting>)>;

impl Queue {
    /// Lets one wait, or says why it may not.
    pub(crate) fn push(
        &mut self,
        waiting: Waiting,
        not_after: Instant,
        limits: &Limits,
    ) -> Result<(), StoreFault> {
        let bytes = size(&waiting.changeset);
        let (most, most_bytes) = match waiting.changeset.room {
            Room::Known => (limits.waiting, limits.waiting_bytes),
            Room::Stranger => (
                limits.waiting - limits.waiting / FOR_KNOWN,
                limits.waiting_bytes - limits.waiting_bytes / FOR_KNOWN,
            ),
        };
        if self.waiting >= most || self.bytes + bytes > most_bytes {
            return Err(too_many());
        }
        let service = waiting.changeset.service.clone();
        let room = waiting.changeset.room;
        let of_one = self.services.entry(service.clone()).or_default();
        if room == Room::Stranger && of_one.strangers.len() >= limits.waiting / OF_ONE_SERVICE {
            return Err(too_many());
        }
        if of_one.is_empty() && !of_one.under_way {
            self.turns.push_back(service);
        }
        let queued = Queued {
            waiting,
            bytes,
            not_after,
        };
        match room {
            Room::Known => of_one.known.push_back(queued),
            Room::Stranger => of_one.strangers.push_back(queued),
        }
        self.waiting += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// What the next transaction decides, when one may begin. Its services are under way until they are [given
    /// back](Self::ended).
    pub(crate) fn take(&mut self, limits: &Limits, now: Instant) -> Option<Taken> {
        while self.under_way < limits.at_once() && !self.turns.is_empty() {
            let most = match limits.turns {
                Turns::Together => self.turns.len(),
                Turns::Apart { .. } => 1,
            };
            let services: Vec<ServiceId> = self.turns.drain(..most).collect();
            let taken = self.take_of(services, limits.together.max(1), now);
            if !taken.is_empty() {
                self.under_way += 1;
                return Some(taken);
            }
        }
        None
    }

    /// One of each service, and again: known callers first, and no service after another's flood.
    fn take_of(&mut self, services: Vec<ServiceId>, most: usize, now: Instant) -> Taken {
        let mut taken: BTreeMap<ServiceId, Vec<Waiting>> = BTreeMap::new();
        let mut left = most;
        for room in [Room::Known, Room::Stranger] {
            let mut more = true;
            while more && left > 0 {
                more = false;
                for service in &services {
                    let next = (left > 0).then(|| self.pop(service, room, now)).flatten();
                    if let Some(next) = next {
                        taken.entry(service.clone()).or_default().push(next);
                        left -= 1;
                        more = true;
                    }
                }
            }
        }
        for service in services {
            if let Some(of_one) = self.services.get_mut(&service) {
                of_one.under_way = taken.contains_key(&service);
                if of_one.under_way {
                } else if of_one.is_empty() {
                    self.services.remove(&service);
                } else {
                    self.turns.push_back(service);
                }
            }
        }
        taken.into_iter().collect()
    }

    /// The oldest that is still worth beginning. The others are told: nothing was begun.
    fn pop(&mut self, service: &ServiceId, room: Room, now: Instant) -> Option<Waiting> {
        let of_one = self.services.get_mut(service)?;
        let queue = match room {
            Room::Known => &mut of_one.known,
            Room::Stranger => &mut of_one.strangers,
        };
        while let Some(queued) = queue.pop_front() {
            self.waiting -= 1;
            self.bytes -= queued.bytes;
            if now <= queued.not_after && !queued.waiting.answer.is_closed() {
                return Some(queued.waiting);
            }
            let late = StoreFault::unavailable("not begun in its time: too much waits for the store");
            queued.waiting.answer.send(StoreAnswer::NotApplied(late)).ok();
        }
        None
    }

    /// A transaction of these services is over.
    pub(crate) fn ended(&mut self, services: &[ServiceId]) {
        self.under_way -= 1;
        for service in services {
            if let Some(of_one) = self.services.get_mut(service) {
                of_one.under_way = false;
                if of_one.is_empty() {
                    self.services.remove(service);
                } else {
                    self.turns.push_back(service.clone());
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting
    }
}

impl OfOne {
    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.strangers.is_empty()
    }
}

fn too_many() -> StoreFault {
    StoreFault::unavailable("too much waits for the store")
}

/// About how many bytes a changeset takes while it waits.
fn size(changeset: &Changeset) -> usize {
    let records = changeset.records.iter().map(|change| match &change.write {
        verify_core::store::Write::Put(row) => row.bytes.len(),
        verify_core::store::Write::Delete | verify_core::store::Write::Keep => 0,
    });
    let claims = changeset.claims.iter().map(|claim| claim.value.len());
    let parts = changeset.charges.len()
        + changeset.takebacks.len()
        + changeset.records.len()
        + changeset.claims.len()
        + changeset.events.len()
        + changeset.alerts.len();
    AT_LEAST + 128 * parts + records.chain(claims).sum::<usize>()
}

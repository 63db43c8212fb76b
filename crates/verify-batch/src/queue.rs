//! What waits for the next transaction.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;
use verify_core::store::{Changeset, Room, Write};
use verify_core::vocabulary::ServiceId;

use crate::away::Away;
use crate::batch::Waiting;
use crate::limits::{Limits, Turns};

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
    /// Somebody takes what may be begun, one after the other, and comes upon what is pushed meanwhile.
    is_taken_from: bool,
    pushed: u64,
}

#[derive(Debug, Default)]
struct OfOne {
    known: Line,
    strangers: Line,
    under_way: bool,
    /// In its last transaction there was no place for strangers.
    known_went_alone: bool,
}

#[derive(Debug, Default)]
struct Line {
    queued: VecDeque<Queued>,
    bytes: usize,
}

#[derive(Debug)]
struct Queued {
    waiting: Waiting,
    bytes: usize,
    nth: u64,
}

/// Where one waits.
#[derive(Debug)]
pub(crate) struct Place {
    room: Room,
    nth: u64,
}

/// What is taken from the queue for one transaction.
pub(crate) type Taken = Vec<(ServiceId, Vec<Waiting>)>;

impl Queue {
    /// Lets one wait, or says why it may not.
    pub(crate) fn push(&mut self, waiting: Waiting, limits: &Limits) -> Result<Place, Away> {
        let bytes = size(&waiting.changeset);
        let (service, room) = (waiting.changeset.service.clone(), waiting.changeset.room);
        let (of_all, of_one) = Limits::shares(limits.waiting, room);
        let (bytes_of_all, bytes_of_one) = Limits::shares(limits.waiting_bytes, room);
        let has_room = self.waiting < of_all
            && self.bytes + bytes <= bytes_of_all
            && self.services.get(&service).is_none_or(|service| {
                let line = service.line(room);
                line.queued.is_empty() || line.queued.len() < of_one && line.bytes + bytes <= bytes_of_one
            });
        if !has_room {
            return Err(Away::Full);
        }
        let of_one = self.services.entry(service.clone()).or_default();
        if of_one.is_empty() && !of_one.under_way {
            self.turns.push_back(service);
        }
        let nth = self.pushed;
        let line = of_one.line_mut(room);
        line.queued.push_back(Queued { waiting, bytes, nth });
        line.bytes += bytes;
        self.pushed += 1;
        self.waiting += 1;
        self.bytes += bytes;
        Ok(Place { room, nth })
    }

    /// Takes one out again. False: it was begun, or answered.
    pub(crate) fn withdraw(&mut self, service: &ServiceId, place: &Place) -> bool {
        let Some(of_one) = self.services.get_mut(service) else {
            return false;
        };
        let line = of_one.line_mut(place.room);
        // They stand in the order in which they came.
        let found = line.queued.binary_search_by_key(&place.nth, |queued| queued.nth);
        let Some(queued) = found.ok().and_then(|index| line.queued.remove(index)) else {
            return false;
        };
        line.bytes -= queued.bytes;
        self.waiting -= 1;
        self.bytes -= queued.bytes;
        if of_one.is_empty() && !of_one.under_way {
            self.services.remove(service);
            self.turns.retain(|turn| turn != service);
        }
        true
    }

    /// True for the one that may take, until nothing is left to take.
    pub(crate) fn may_be_taken_from(&mut self) -> bool {
        !std::mem::replace(&mut self.is_taken_from, true)
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
            let taken = self.take_of(&services, limits.together.max(1), now);
            for service in services {
                self.stand_in_line(service);
            }
            if !taken.is_empty() {
                self.under_way += 1;
                return Some(taken);
            }
        }
        self.is_taken_from = false;
        None
    }

    /// Known callers alone, every other time and where all of them have a place: a flood of strangers takes as long as there is
    /// place for it. Else first one of each service, so that no flood of one keeps another's out; then known callers, one of each
    /// service and again, and then strangers.
    fn take_of(&mut self, services: &[ServiceId], most: usize, now: Instant) -> Taken {
        let known_alone = self.known_go_alone(services, most);
        let mut taken: BTreeMap<ServiceId, Vec<Waiting>> = BTreeMap::new();
        let mut left = most;
        let mut round = |rooms: &[Room]| {
            let before = left;
            for service in services {
                let next = || rooms.iter().find_map(|room| self.pop(service, *room, now));
                if let Some(next) = (left > 0).then(next).flatten() {
                    taken.entry(service.clone()).or_default().push(next);
                    left -= 1;
                }
            }
            left < before
        };
        if !known_alone {
            round(&[Room::Known, Room::Stranger]);
        }
        while round(&[Room::Known]) {}
        while !known_alone && round(&[Room::Stranger]) {}
        for service in services {
            if let Some(of_one) = self.services.get_mut(service) {
                of_one.under_way = taken.contains_key(service);
                of_one.known_went_alone = known_alone;
            }
        }
        taken.into_iter().collect()
    }

    fn known_go_alone(&self, services: &[ServiceId], most: usize) -> bool {
        let mut known = 0;
        for of_one in services.iter().filter_map(|service| self.services.get(service)) {
            if of_one.known_went_alone {
                return false;
            }
            known += of_one.known.queued.len();
        }
        (1..=most).contains(&known)
    }

    /// The oldest that is still worth beginning.
    fn pop(&mut self, service: &ServiceId, room: Room, now: Instant) -> Option<Waiting> {
        let line = self.services.get_mut(service)?.line_mut(room);
        while let Some(Queued { waiting, bytes, .. }) = line.queued.pop_front() {
            line.bytes -= bytes;
            self.waiting -= 1;
            self.bytes -= bytes;
            match waiting.in_time(now) {
                Some(waiting) if !waiting.answer.is_closed() => return Some(waiting),
                Some(_) | None => {}
            }
        }
        None
    }

    /// A transaction of these services is over.
    pub(crate) fn ended(&mut self, services: Vec<ServiceId>) {
        self.under_way -= 1;
        for service in services {
            if let Some(of_one) = self.services.get_mut(&service) {
                of_one.under_way = false;
            }
            self.stand_in_line(service);
        }
    }

    /// A service has its next turn where it has something waiting and nothing under way.
    fn stand_in_line(&mut self, service: ServiceId) {
        match self.services.get(&service) {
            Some(of_one) if of_one.under_way => {}
            Some(of_one) if of_one.is_empty() => drop(self.services.remove(&service)),
            Some(_) => self.turns.push_back(service),
            None => {}
        }
    }

    /// Answers all that wait: none of them will be begun.
    pub(crate) fn turn_away_all(&mut self, why: Away) {
        for of_one in self.services.values_mut() {
            for line in [&mut of_one.known, &mut of_one.strangers] {
                for queued in std::mem::take(line).queued {
                    queued.waiting.turn_away(why);
                }
            }
        }
        self.services.retain(|_, of_one| of_one.under_way);
        self.turns.clear();
        (self.waiting, self.bytes) = (0, 0);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting
    }
}

impl OfOne {
    fn is_empty(&self) -> bool {
        self.known.queued.is_empty() && self.strangers.queued.is_empty()
    }

    fn line(&self, room: Room) -> &Line {
        match room {
            Room::Known => &self.known,
            Room::Stranger => &self.strangers,
        }
    }

    fn line_mut(&mut self, room: Room) -> &mut Line {
        match room {
            Room::Known => &mut self.known,
            Room::Stranger => &mut self.strangers,
        }
    }
}

/// About how many bytes a changeset takes while it waits.
fn size(changeset: &Changeset) -> usize {
    let records = changeset.records.iter().map(|change| match &change.write {
        Write::Put(row) => row.bytes.len(),
        Write::Delete | Write::Keep => 0,
    });
    let claims = changeset.claims.iter().map(|claim| claim.value.len());
    let parts = changeset.charges.len()
        + changeset.takebacks.len()
        + changeset.resets.len()
        + changeset.records.len()
        + changeset.claims.len()
        + changeset.unclaim.len()
        + changeset.reads.len()
        + changeset.events.len()
        + changeset.alerts.len();
    AT_LEAST + 128 * parts + records.chain(claims).sum::<usize>()
}

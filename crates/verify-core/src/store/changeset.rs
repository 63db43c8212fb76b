//! What a flow asks of a store, and what a store answers, as data.

use std::fmt;
use std::time::Duration;

use super::key::{ClaimKey, CounterKey, RecordKey};
use crate::event::Event;
use crate::keys::{KeyId, Keys, Ring};
use crate::limit::{Backoff, Rule};
use crate::time::Timestamp;
use crate::vocabulary::ServiceId;

/// How a charge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Decide, and count when the whole changeset is applied.
    Charge,
    /// Count, even over `max`.
    Force,
    /// Decide, and count nothing.
    Probe,
}

/// One use of a limit, or one failure on a lockout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The key.
    pub key: CounterKey,
    /// What decides.
    pub rule: Rule,
    /// Units; money in micros; 1 for a failure.
    pub cost: u64,
    /// How it counts.
    pub mode: Mode,
    /// Counted only while one of these records is live; always when empty. It is decided always, so that an answer
    /// does not depend on what somebody else's flow got done. More than one only while a key is being rotated.
    pub when_live: Vec<RecordKey>,
}

/// Undoes one named charge, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Takeback {
    /// The key that was charged.
    pub key: CounterKey,
    /// What was counted.
    pub counted: Counted,
    /// The marker that makes it happen once. A takeback whose marker exists is skipped.
    pub once: ClaimKey,
    /// When the marker may be forgotten.
    pub expires_at: Timestamp,
}

/// What a takeback undoes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counted {
    /// Units in a window.
    Units {
        /// The window's length.
        per: Duration,
        /// How many.
        units: u64,
        /// The newest instant of the window after the charge.
        at: Timestamp,
    },
    /// A failure in a run.
    Failure {
        /// The run before it.
        before: Backoff,
        /// The run after it.
        charged: Backoff,
        /// How long runs are remembered.
        forget_after: Duration,
    },
}

/// Whether a record ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// Transient: forgotten after this.
    Until(Timestamp),
    /// Durable: kept until deleted.
    Durable,
}

/// The keys of the rings that a row was written under. A row that has no end must be written again before they leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WrittenUnder {
    /// What its key was made with.
    pub fingerprint: KeyId,
    /// What is sealed in it was sealed with; of several parts the first. `None`: nothing is.
    pub seal: Option<KeyId>,
}

impl WrittenUnder {
    /// What is written now with something sealed in it.
    pub const fn newest(keys: &Keys) -> Self {
        Self {
            fingerprint: keys.fingerprint.newest(),
            seal: Some(keys.seal.newest()),
        }
    }

    /// True when the rings have all of them: what was written under them is found, and can be moved.
    pub fn is_in(&self, keys: &Keys) -> bool {
        let has = |ring: &Ring, id: KeyId| ring.ids().any(|own| own == id);
        has(&keys.fingerprint, self.fingerprint) && self.seal.is_none_or(|seal| has(&keys.seal, seal))
    }
}

impl fmt::Display for WrittenUnder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fingerprint {}", self.fingerprint)?;
        self.seal.map_or(Ok(()), |seal| write!(f, ", seal {seal}"))
    }
}

/// The visible header and the opaque bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Row {
    /// Never the same twice for a key. Zero in a write: the store sets it.
    pub version: u64,
    /// When it ends.
    pub lifetime: Lifetime,
    /// Until when something in it is pending.
    pub live_until: Option<Timestamp>,
    /// When it wants a tick.
    pub due: Option<Timestamp>,
    /// Which keys it needs.
    pub under: WrittenUnder,
    /// The record; see [`crate::record`].
    pub bytes: Vec<u8>,
}

impl Row {
    /// True while something in it is pending.
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.live_until.is_some_and(|until| now < until)
    }

    /// True when it is as good as absent.
    pub fn is_outlived(&self, now: Timestamp) -> bool {
        match self.lifetime {
            Lifetime::Until(end) => end <= now,
            Lifetime::Durable => false,
        }
    }
}

/// What a record must be for the changeset to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expect {
    /// Not there.
    Absent,
    /// There, at this version.
    At(u64),
}

/// What happens to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// It becomes this.
    Put(Row),
    /// It goes.
    Delete,
    /// Nothing: only the expectation matters.
    Keep,
}

/// A compare-and-swap on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordChange {
    /// Which record.
    pub key: RecordKey,
    /// What it must be.
    pub expect: Expect,
    /// What it becomes.
    pub write: Write,
}

/// A create-once marker.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Its key.
    pub key: ClaimKey,
    /// A small value, returned to whoever claims the same key later.
    pub value: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
}

/// An event that is raised once: it is stored when its marker is new, and left out when it is there. It refuses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    /// The event.
    pub event: Event,
    /// The marker, and until when a second one is left out.
    pub once: Claim,
}

/// Whose room an entry takes when a store nears its capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Room {
    /// Strangers: refused first.
    Stranger,
    /// Known callers, and all that ends or repairs what is there.
    Known,
}

/// What a flow asks of a store: all of it, or nothing.
///
/// The store decides in this order: takebacks, resets, then the charges one after the other on what results, the
/// expectations, the claims, and whether it may have forgotten what it would have to go by. It touches one service only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changeset {
    /// The one service.
    pub service: ServiceId,
    /// The engine's time.
    pub at: Timestamp,
    /// Whose room new entries take.
    pub room: Room,
    /// How far back the rules look that have to admit it: refused while the store may lack something of that span
    /// ([`Origin::cools`](super::Origin::cools)). Zero: it goes on, whatever the store has forgotten.
    pub looks_back: Duration,
    /// When that was issued which it uses up: refused where the store may have forgotten whether it was used
    /// ([`Origin::forgot`](super::Origin::forgot)).
    pub uses_up: Option<Timestamp>,
    /// Charges to undo.
    pub takebacks: Vec<Takeback>,
    /// Runs and windows to end: nothing is counted in them any more. Absent ones are fine.
    pub resets: Vec<CounterKey>,
    /// Charges to decide and count.
    pub charges: Vec<Charge>,
    /// Records to swap.
    pub records: Vec<RecordChange>,
    /// Markers to create.
    pub claims: Vec<Claim>,
    /// Markers to remove; absent ones are fine.
    pub unclaim: Vec<ClaimKey>,
    /// Records to return in the same trip.
    pub reads: Vec<RecordKey>,
    /// Events to store with the change.
    pub events: Vec<Event>,
    /// Events to store with the change, each once.
    pub alerts: Vec<Alert>,
}

impl Changeset {
    /// An empty changeset: applied, it changes nothing.
    pub fn new(service: ServiceId, at: Timestamp, room: Room) -> Self {
        Self {
            service,
            at,
            room,
            looks_back: Duration::ZERO,
            uses_up: None,
            takebacks: Vec::new(),
            resets: Vec::new(),
            charges: Vec::new(),
            records: Vec::new(),
            claims: Vec::new(),
            unclaim: Vec::new(),
            reads: Vec::new(),
            events: Vec::new(),
            alerts: Vec::new(),
        }
    }
}

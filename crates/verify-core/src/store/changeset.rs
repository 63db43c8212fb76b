//! What a flow asks of a store, and what a store answers, as data.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::keys::Print;
use crate::limit::{Backoff, Counter, Rule};
use crate::time::{Timestamp, Until};
use crate::vocabulary::ServiceId;

/// The key of a limit or a lockout: a scope (rule, service and, for limits on people, standing) and a fingerprint.
///
/// 24 bytes without personal data. Never a session, a purpose or a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CounterKey {
    /// Which rule of which service; see [`crate::policy`].
    pub scope: u64,
    /// Of whom.
    pub print: Print,
}

/// The key of a record inside a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// What kind of record.
    pub kind: RecordKind,
    /// Whose.
    pub print: Print,
}

/// The kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecordKind {
    /// The verifications of a destination.
    Verifications,
    /// What providers and operators said about a destination or a prefix.
    Notes,
}

/// The key of a claim inside a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClaimKey {
    /// What is claimed.
    pub kind: ClaimKind,
    /// Which one.
    pub print: Print,
}

/// What a claim stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClaimKind {
    /// An idempotency key of a send.
    Send,
    /// An idempotency key of a check.
    Check,
    /// A proof that was redeemed.
    Proof,
    /// A report from a provider.
    Report,
    /// A takeback that was made.
    Takeback,
    /// An alert that was raised.
    Alert,
}

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Lifetime {
    /// Transient: forgotten after this.
    Until(Timestamp),
    /// Durable: kept until deleted.
    Durable,
}

/// The visible header and the opaque bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Row {
    /// Never the same twice for a key. Zero in a write: the store sets it.
    pub version: u64,
    /// When it ends.
    pub lifetime: Lifetime,
    /// Until when something in it is pending.
    pub live_until: Option<Timestamp>,
    /// When it wants a tick.
    pub due: Option<Timestamp>,
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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Claim {
    /// Its key.
    pub key: ClaimKey,
    /// A small value, returned to whoever claims the same key later.
    pub value: Vec<u8>,
    /// When it may be forgotten.
    pub expires_at: Timestamp,
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
/// expectations, the claims. It touches one service only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changeset {
    /// The one service.
    pub service: ServiceId,
    /// The engine's time.
    pub at: Timestamp,
    /// Whose room new entries take.
    pub room: Room,
    /// Charges to undo.
    pub takebacks: Vec<Takeback>,
    /// Runs to end.
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
}

impl Changeset {
    /// An empty changeset: applied, it changes nothing.
    pub fn new(service: ServiceId, at: Timestamp, room: Room) -> Self {
        Self {
            service,
            at,
            room,
            takebacks: Vec::new(),
            resets: Vec::new(),
            charges: Vec::new(),
            records: Vec::new(),
            claims: Vec::new(),
            unclaim: Vec::new(),
            reads: Vec::new(),
            events: Vec::new(),
        }
    }
}

/// What a store saw while it decided: the same for an applied and a refused changeset.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Seen {
    /// Every record that was named, as it is afterwards.
    pub records: Vec<(RecordKey, Option<Row>)>,
    /// One entry for each charge, in their order.
    pub counters: Vec<CounterSeen>,
    /// Claims that were there before.
    pub claims: Vec<Claim>,
    /// True when an expectation was not met.
    pub conflict: bool,
}

impl Seen {
    /// A record that was named.
    pub fn record(&self, key: &RecordKey) -> Option<&Row> {
        self.records
            .iter()
            .find(|(named, _)| named == key)
            .and_then(|(_, row)| row.as_ref())
    }

    /// A claim that was there before.
    pub fn claim(&self, key: &ClaimKey) -> Option<&Claim> {
        self.claims.iter().find(|claim| claim.key == *key)
    }
}

/// What became of a charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CounterSeen {
    /// The key.
    pub key: CounterKey,
    /// The state it was decided on.
    pub before: Counter,
    /// The state that is there afterwards.
    pub after: Counter,
    /// True when it was counted.
    pub charged: bool,
    /// Why not: when the same charge would be admitted.
    pub denied: Option<Until>,
}

/// A store's answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum StoreAnswer {
    /// All of it happened.
    Applied(Seen),
    /// Nothing happened: a charge was denied, an expectation not met, or a claim was there.
    Refused(Seen),
    /// Nothing happened, surely: the store could not be asked, or it failed before it began.
    NotApplied(super::StoreFault),
    /// It may have happened.
    Unknown,
}

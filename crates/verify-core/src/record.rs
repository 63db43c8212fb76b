//! The record of a destination: its verifications, their deliveries, and the two transition tables.
//!
//! One record for each (service, destination). It holds at most [`MOST_VERIFICATIONS`], [`KEPT_FOR_KNOWN`] of them
//! kept for known callers; terminal ones make room. Statuses are written through the tables and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keys::{KeyId, Print};
use crate::port::{Conclusion, ProviderName, RejectionKind};
use crate::store::{Lifetime, Row, StoreFault};
use crate::time::{SKEW, Timestamp};
use crate::vocabulary::{Channel, Purpose, Standing};

/// The most verifications that a destination has at a time.
pub const MOST_VERIFICATIONS: usize = 8;
/// Of these, kept for known callers, so that strangers cannot fill all.
pub const KEPT_FOR_KNOWN: usize = 2;
/// The most deliveries that a verification remembers; the oldest settled one makes room.
pub const MOST_DELIVERIES: usize = 12;
/// How long after its code died a verification can still be read.
pub const RETENTION: Duration = Duration::from_secs(600);
/// How often an unknown delivery is asked about.
pub const MOST_INQUIRIES: u8 = 4;

/// The version of the encoding below, its first byte.
const FORMAT: u8 = 1;

/// Where a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// From the moment the intent to send is recorded.
    Pending,
    /// Its code was given.
    Approved,
    /// Its code died.
    Expired,
    /// Somebody ended it.
    Canceled,
    /// Failures closed it.
    Exhausted,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Expired,
        Self::Canceled,
        Self::Exhausted,
    ];

    /// The transition table: from pending to each end, and from no end anywhere.
    pub const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Approved),
        (Self::Pending, Self::Expired),
        (Self::Pending, Self::Canceled),
        (Self::Pending, Self::Exhausted),
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Exhausted => "exhausted",
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeliveryStatus {
    /// Recorded, and perhaps handed to the provider.
    Dispatching,
    /// The provider took it.
    Accepted,
    /// Surely not sent.
    Rejected,
    /// Perhaps sent.
    Unknown,
    /// It arrived.
    Delivered,
    /// It did not, and will not.
    Undelivered,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Dispatching,
        Self::Accepted,
        Self::Rejected,
        Self::Unknown,
        Self::Delivered,
        Self::Undelivered,
    ];

    /// The transition table. It never goes back.
    pub const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Dispatching, Self::Accepted),
        (Self::Dispatching, Self::Rejected),
        (Self::Dispatching, Self::Unknown),
        (Self::Unknown, Self::Accepted),
        (Self::Unknown, Self::Rejected),
        (Self::Accepted, Self::Delivered),
        (Self::Accepted, Self::Undelivered),
        (Self::Unknown, Self::Delivered),
        (Self::Unknown, Self::Undelivered),
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatching => "dispatching",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }

    /// True when a person may have got something.
    pub const fn may_have_sent(self) -> bool {
        match self {
            Self::Dispatching | Self::Accepted | Self::Unknown | Self::Delivered | Self::Undelivered => true,
            Self::Rejected => false,
        }
    }

    /// True when it failed for good.
    pub const fn has_failed(self) -> bool {
        match self {
            Self::Rejected | Self::Undelivered => true,
            Self::Dispatching | Self::Accepted | Self::Unknown | Self::Delivered => false,
        }
    }
}

/// Whose verification it is: what a code is bound to besides service and destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Why.
    pub purpose: Purpose,
    /// The subject's fingerprint.
    pub subject: Option<Print>,
    /// Who asked for it.
    pub standing: Standing,
    /// The fingerprint of amount and payee.
    pub binding: Option<Print>,
}

/// Who makes the code of a verification, and how it is found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CodeOf {
    /// Derived by the engine.
    Own {
        /// With this key of the ring.
        key: KeyId,
        /// Counted up when a resend carries a new code.
        generation: u8,
        /// Digits.
        length: u8,
    },
    /// Made by a managed provider.
    Managed {
        /// Which one.
        provider: ProviderName,
        /// Where its codes are valid.
        scope: Arc<str>,
    },
    /// Fixed by the policy, for a test destination.
    Test,
    /// There is none that could be right.
    Decoy,
}

/// One attempt to carry a code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Delivery {
    /// Its number within the verification, rising.
    pub number: u8,
    /// Made by the flow that recorded it; by it that flow finds its own delivery again.
    pub id: [u8; 16],
    /// How.
    pub channel: Channel,
    /// Through whom.
    pub provider: ProviderName,
    /// When it was recorded.
    pub at: Timestamp,
    /// Nothing is dispatched after this.
    pub not_after: Timestamp,
    /// The provider's id.
    pub upstream: Option<String>,
    /// Why it failed, when a provider said so.
    pub rejection: Option<RejectionKind>,
    /// How often it was asked about.
    pub inquiries: u8,
    status: DeliveryStatus,
}

impl Delivery {
    /// A delivery that is about to be dispatched.
    pub fn dispatching(
        id: [u8; 16],
        channel: Channel,
        provider: ProviderName,
        at: Timestamp,
        not_after: Timestamp,
    ) -> Self {
        Self {
            number: 0,
            id,
            channel,
            provider,
            at,
            not_after,
            upstream: None,
            rejection: None,
            inquiries: 0,
            status: DeliveryStatus::Dispatching,
        }
    }

    /// Where it stands.
    pub fn status(&self) -> DeliveryStatus {
        self.status
    }

    /// Moves along the table; false, and nothing changes, where the table has no such step.
    pub fn advance(&mut self, to: DeliveryStatus) -> bool {
        let allowed = DeliveryStatus::TRANSITIONS.contains(&(self.status, to));
        if allowed {
            self.status = to;
        }
        allowed
    }

    /// When it wants to be looked at, while nobody knows what became of it.
    pub fn due(&self) -> Option<Timestamp> {
        let waits = matches!(self.status, DeliveryStatus::Dispatching | DeliveryStatus::Unknown);
        (waits && self.inquiries < MOST_INQUIRIES)
            .then(|| self.not_after + SKEW + Duration::from_secs(30) * ((1 << self.inquiries) - 1))
    }
}

/// How an approval is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApprovalMark {
    /// The flow that wrote it, and the id of its proof.
    pub id: [u8; 16],
    /// The idempotency key of the check.
    pub by_key: Option<Print>,
    /// When.
    pub at: Timestamp,
}

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// What tells it from any other.
    pub nonce: [u8; 16],
    /// Whose it is.
    pub identity: Identity,
    /// Who makes its code.
    pub code: CodeOf,
    /// When its code was issued.
    pub issued: Timestamp,
    /// When its code dies. Fixed when it was issued.
    pub expires: Timestamp,
    /// How its approval is recognised.
    pub approval: Option<ApprovalMark>,
    /// Oldest first.
    pub deliveries: Vec<Delivery>,
    /// The person agreed to automatic fallback.
    pub consent: bool,
    /// What a repair has to know: destination, subject, amount, payee, locale; sealed.
    pub sealed: Vec<u8>,
    status: Status,
}

impl Entry {
    /// A pending verification without a delivery.
    pub fn pending(
        nonce: [u8; 16],
        identity: Identity,
        code: CodeOf,
        issued: Timestamp,
        expires: Timestamp,
        sealed: Vec<u8>,
    ) -> Self {
        Self {
            nonce,
            identity,
            code,
            issued,
            expires,
            approval: None,
            deliveries: Vec::new(),
            consent: false,
            sealed,
            status: Status::Pending,
        }
    }

    /// What is written, which may lag behind time.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Where it stands at an instant: a pending one whose code died is expired.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Pending && now >= self.expires {
            Status::Expired
        } else {
            self.status
        }
    }

    /// True while its code may be given.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.status_at(now) == Status::Pending
    }

    /// Moves along the table; false, and nothing changes, where the table has no such step.
    pub fn advance(&mut self, to: Status) -> bool {
        let allowed = Status::TRANSITIONS.contains(&(self.status, to));
        if allowed {
            self.status = to;
        }
        allowed
    }

    /// True when a person may have got this code.
    pub fn may_have_sent(&self) -> bool {
        self.deliveries
            .iter()
            .any(|delivery| delivery.status.may_have_sent())
    }

    /// Adds a delivery under the next number; the oldest settled one makes room.
    pub fn add_delivery(&mut self, mut delivery: Delivery) {
        delivery.number = self
            .deliveries
            .last()
            .map_or(0, |last| last.number.wrapping_add(1));
        if self.deliveries.len() >= MOST_DELIVERIES {
            let oldest = self
                .deliveries
                .iter()
                .position(|delivery| delivery.due().is_none())
                .unwrap_or(0);
            self.deliveries.remove(oldest);
        }
        self.deliveries.push(delivery);
    }

    /// The delivery with this id.
    pub fn delivery(&self, id: &[u8; 16]) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.id == *id)
    }

    /// The delivery with this id, to settle it.
    pub fn delivery_mut(&mut self, id: &[u8; 16]) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.id == *id)
    }

    /// The managed scope of its code.
    pub fn scope(&self) -> Option<(&ProviderName, &Arc<str>)> {
        match &self.code {
            CodeOf::Managed { provider, scope } => Some((provider, scope)),
            CodeOf::Own { .. } | CodeOf::Test | CodeOf::Decoy => None,
        }
    }

    /// The newest stamp in it, which time does not run behind.
    fn newest(&self) -> Timestamp {
        let approved = self.approval.as_ref().map_or(Timestamp::ZERO, |mark| mark.at);
        self.deliveries
            .iter()
            .map(|delivery| delivery.at)
            .fold(self.issued.max(approved), Timestamp::max)
    }
}

/// A conclusion that is about to be told to a provider. Sends of its scope wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Concluding {
    /// The provider that is told.
    pub provider: ProviderName,
    /// The scope whose code ends.
    pub scope: Arc<str>,
    /// What it is told.
    pub conclusion: Conclusion,
    /// Who announced it.
    pub by: [u8; 16],
    /// It is surely over after this.
    pub until: Timestamp,
}

/// The verifications of a destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Record {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// What is being told to a provider.
    pub concluding: Option<Concluding>,
}

impl Record {
    /// Reads a row.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it is none, or of a format that this version does not know.
    pub fn decode(row: &Row) -> Result<Self, StoreFault> {
        decoded(row)
    }

    /// The row that holds it, with its header.
    ///
    /// # Errors
    /// [`StoreFault::Corrupt`] when it cannot be written; there is no such record.
    pub fn encode(&self) -> Result<Row, StoreFault> {
        let bytes = encoded(self)?;
        let announced = self.concluding.iter().map(|concluding| concluding.until);
        let expiries = self.entries.iter().map(|entry| entry.expires);
        let last = expiries.chain(announced).max().unwrap_or(Timestamp::ZERO);
        let pending = || {
            self.entries
                .iter()
                .filter(|entry| entry.status == Status::Pending)
        };
        let unsettled = self
            .entries
            .iter()
            .flat_map(|entry| &entry.deliveries)
            .filter_map(Delivery::due);
        Ok(Row {
            version: 0,
            lifetime: Lifetime::Until(last + RETENTION),
            live_until: pending().map(|entry| entry.expires).max(),
            due: pending().map(|entry| entry.expires + SKEW).chain(unsettled).min(),
            bytes,
        })
    }

    /// The newest stamp in it.
    pub fn newest(&self) -> Timestamp {
        self.entries
            .iter()
            .map(Entry::newest)
            .max()
            .unwrap_or(Timestamp::ZERO)
    }

    /// The verification with this nonce.
    pub fn entry(&self, nonce: &[u8; 16]) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.nonce == *nonce)
    }

    /// The verification with this nonce, to change it.
    pub fn entry_mut(&mut self, nonce: &[u8; 16]) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.nonce == *nonce)
    }

    /// Makes room for one more of this standing: the oldest terminal one goes. False when there is none to go.
    pub fn make_room(&mut self, standing: Standing, now: Timestamp) -> bool {
        let most = match standing {
            Standing::Stranger => MOST_VERIFICATIONS - KEPT_FOR_KNOWN,
            Standing::Known => MOST_VERIFICATIONS,
        };
        while self.entries.len() >= most {
            let Some(oldest) = self.entries.iter().position(|entry| !entry.is_pending(now)) else {
                return false;
            };
            self.entries.remove(oldest);
        }
        true
    }
}

/// What is remembered of a destination or of a prefix.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Notes {
    /// At most one for each channel.
    pub notes: Vec<Note>,
}

/// A provider's verdict, or an operator's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Note {
    /// The channel that does not reach it.
    pub channel: Channel,
    /// Why.
    pub kind: RejectionKind,
    /// Until when; `None` until an operator ends it.
    pub until: Option<Timestamp>,
}

impl Notes {
    /// Reads a row.
    ///
    /// # Errors
    /// As [`Record::decode`].
    pub fn decode(row: &Row) -> Result<Self, StoreFault> {
        decoded(row)
    }

    /// The row that holds them: durable when one of them is.
    ///
    /// # Errors
    /// As [`Record::encode`].
    pub fn encode(&self) -> Result<Row, StoreFault> {
        let bytes = encoded(self)?;
        let ends: Option<Vec<Timestamp>> = self.notes.iter().map(|note| note.until).collect();
        let lifetime = ends.map_or(Lifetime::Durable, |ends| {
            Lifetime::Until(ends.into_iter().max().unwrap_or(Timestamp::ZERO) + SKEW)
        });
        Ok(Row {
            version: 0,
            lifetime,
            live_until: None,
            due: None,
            bytes,
        })
    }

    /// The note that holds for a channel.
    pub fn of(&self, channel: Channel, now: Timestamp) -> Option<&Note> {
        self.notes
            .iter()
            .find(|note| note.channel == channel && note.until.is_none_or(|until| now < until))
    }

    /// Takes these besides.
    pub fn take_all(&mut self, others: Self, now: Timestamp) {
        for note in others.notes {
            self.take(note, now);
        }
    }

    /// Takes a note; of two on one channel the longer holds.
    pub fn take(&mut self, new: Note, now: Timestamp) {
        let longer = self
            .of(new.channel, now)
            .is_some_and(|old| match (old.until, new.until) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(old), Some(new)) => old >= new,
            });
        if !longer {
            self.notes.retain(|note| note.channel != new.channel);
            self.notes.push(new);
        }
    }
}

/// The version of the format, and the body behind it.
fn encoded(body: &impl Serialize) -> Result<Vec<u8>, StoreFault> {
    // Room for a verification or two: a list that grows byte by byte is moved half a dozen times.
    let mut bytes = Vec::with_capacity(256);
    bytes.push(FORMAT);
    postcard::to_extend(body, bytes).map_err(|_| StoreFault::Corrupt)
}

/// The body, when the version is this one.
fn decoded<T: DeserializeOwned>(row: &Row) -> Result<T, StoreFault> {
    match row.bytes.split_first() {
        Some((&FORMAT, body)) => postcard::from_bytes(body).map_err(|_| StoreFault::Corrupt),
        Some(_) | None => Err(StoreFault::Corrupt),
    }
}

//! Events: what happened, for the audit trail, alerts and analytics.
//!
//! An event is stored in the outbox with the change that caused it, or not at all; an engine's pump hands it to an
//! [`EventSink`](crate::port::EventSink). It carries fingerprints, never a number, a mailbox or a code.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::EventId;
use crate::keys::Print;
use crate::seed::Seed;
use crate::time::Timestamp;
use crate::vocabulary::{Channel, Purpose, ServiceId, Standing, spoken};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Its own id: the same each time that the event is handed over, and when the change that it is stored with is asked
    /// for again. Whoever has seen it before has seen the event.
    pub id: EventId,
    /// When, by the engine's time.
    pub at: Timestamp,
    /// Of which service.
    pub service: ServiceId,
    /// What.
    pub kind: EventKind,
    /// The destination's fingerprint.
    pub destination: Option<Print>,
    /// The subject's fingerprint.
    pub subject: Option<Print>,
    /// The verification's nonce, as a print for correlation.
    pub verification: Option<Print>,
    /// Why somebody was verified.
    pub purpose: Option<Purpose>,
    /// Whether the verification was sent, or the guess was made, as a known caller.
    pub standing: Option<Standing>,
    /// The fingerprint of the mailbox as delivered: several spellings have one `destination`. `None` for a number.
    pub mailbox: Option<Print>,
    /// The fingerprint of amount and payee.
    pub payment: Option<Print>,
    /// The channel of the delivery it is about.
    pub channel: Option<Channel>,
    /// The provider of that delivery.
    pub provider: Option<Arc<str>>,
    /// Names of the rules that took part.
    pub rules: Vec<Arc<str>>,
    /// A provider's code, when there is one.
    pub code: Option<u32>,
}

impl Event {
    /// An event of the flow with this seed, with nothing but its kind. `nth` tells several of a kind apart.
    pub fn new(seed: &Seed, nth: u8, at: Timestamp, service: ServiceId, kind: EventKind) -> Self {
        Self {
            id: seed.event_id(kind.tag(), nth),
            at,
            service,
            kind,
            destination: None,
            subject: None,
            verification: None,
            purpose: None,
            standing: None,
            mailbox: None,
            payment: None,
            channel: None,
            provider: None,
            rules: Vec::new(),
            code: None,
        }
    }

    /// True when this is a guess that was compared with the verification of that `send.intended`, where it was pending: the
    /// guess named it, or all that the send named, and a stranger's guess is at no known caller's code.
    ///
    /// Fingerprints are those of one key: across a rotation the same person has others.
    pub fn is_guess_at(&self, sent: &Self) -> bool {
        let of = |event: &Self| {
            let Self {
                destination,
                mailbox,
                subject,
                purpose,
                payment,
                ..
            } = event;
            (
                event.service.clone(),
                *destination,
                *mailbox,
                *subject,
                *purpose,
                *payment,
            )
        };
        self.kind == EventKind::CheckTaken
            && sent.kind == EventKind::SendIntended
            && of(self) == of(sent)
            && sent.standing <= self.standing
            && (self.verification.is_none() || self.verification == sent.verification)
    }
}

macro_rules! event_kinds {
    ($($(#[$meta:meta])* $variant:ident = $tag:literal $name:literal),+ $(,)?) => {
        /// What can happen. Names and tags are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind { $($(#[$meta])* $variant),+ }
        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable name.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
            /// The stable number, part of the format in which events are kept.
            pub const fn tag(self) -> u8 { match self { $(Self::$variant => $tag),+ } }
        }
        spoken!(EventKind, "kind of event", $($name),+);
    };
}

event_kinds! {
    /// A challenge is about to be sent; everything is charged.
    SendIntended = 1 "send.intended",
    /// A provider took it.
    SendAccepted = 2 "send.accepted",
    /// It was surely not sent.
    SendRejected = 3 "send.rejected",
    /// Nobody knows yet whether it was sent.
    SendUnknown = 4 "send.unknown",
    /// The risk scorer's word stopped a send.
    RiskStopped = 5 "send.risk_stopped",
    /// What a blocked country would have stopped (`monitor`).
    CountryMonitored = 6 "send.country_monitored",
    /// A delivery arrived.
    DeliveryDelivered = 7 "delivery.delivered",
    /// A delivery failed.
    DeliveryFailed = 8 "delivery.failed",
    /// A lost answer was settled.
    DeliveryReconciled = 9 "delivery.reconciled",
    /// A guess was taken. It counts as a failure unless an approval follows. It is stored with the count, before anybody knows
    /// what is pending: a check by id names its verification, any other whoever it guessed at ([`Event::is_guess_at`]).
    CheckTaken = 10 "check.taken",
    /// A verification was approved.
    Approved = 11 "verification.approved",
    /// A verification was canceled.
    Canceled = 12 "verification.canceled",
    /// A verification expired.
    Expired = 13 "verification.expired",
    /// A verification was closed by failures.
    Exhausted = 14 "verification.exhausted",
    /// A proof was redeemed.
    ProofRedeemed = 15 "proof.redeemed",
    /// A limit that only alerts was passed: once within its `per`.
    LimitAlert = 16 "limit.alert",
    /// An operator ended a lockout.
    Unlocked = 17 "operator.unlocked",
    /// An operator erased a person's records.
    Erased = 18 "operator.erased",
    /// A destination or prefix is remembered as unreachable.
    NoteTaken = 19 "note.taken",
    /// The store came up without what it held, and nobody has accepted that: what was counted, spent or opted out of before
    /// is forgotten. Told once.
    StoreForgot = 20 "store.forgot",
    /// Another server holds the store: a copy that took over, or one that was restored. What it was behind by is forgotten.
    /// Told once.
    StoreFailedOver = 21 "store.failed_over",
}

impl Serialize for EventKind {
    /// The name where people read it, else the tag.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.as_str())
        } else {
            serializer.serialize_u8(self.tag())
        }
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let name = String::deserialize(deserializer)?;
            return name.parse().map_err(serde::de::Error::custom);
        }
        let tag = u8::deserialize(deserializer)?;
        let known = Self::ALL.iter().copied().find(|kind| kind.tag() == tag);
        known.ok_or_else(|| serde::de::Error::custom("no kind of event that is known here"))
    }
}

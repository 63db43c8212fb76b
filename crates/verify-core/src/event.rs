//! Events: what happened, for the audit trail, alerts and analytics.
//!
//! An event is stored in the outbox with the change that caused it, or not at all; an engine's pump hands it to an
//! [`EventSink`](crate::port::EventSink). It carries fingerprints, never a number, a mailbox or a code.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::keys::Print;
use crate::time::Timestamp;
use crate::vocabulary::{Channel, Purpose, ServiceId};

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// When, by the engine's time.
    pub at: Timestamp,
    /// Of which service.
    pub service: ServiceId,
    /// What.
    pub kind: EventKind,
    /// The destination's fingerprint.
    pub destination: Option<Print>,
    /// The verification's nonce, as a print for correlation.
    pub verification: Option<Print>,
    /// Why somebody was verified.
    pub purpose: Option<Purpose>,
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
    /// An event with nothing but its kind.
    pub fn new(at: Timestamp, service: ServiceId, kind: EventKind) -> Self {
        Self {
            at,
            service,
            kind,
            destination: None,
            verification: None,
            purpose: None,
            channel: None,
            provider: None,
            rules: Vec::new(),
            code: None,
        }
    }
}

macro_rules! event_kinds {
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// What can happen. Names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum EventKind { $($(#[$meta])* #[serde(rename = $name)] $variant),+ }
        impl EventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable name.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
        }
    };
}

event_kinds! {
    /// A challenge is about to be sent; everything is charged.
    SendIntended = "send.intended",
    /// A provider took it.
    SendAccepted = "send.accepted",
    /// It was surely not sent.
    SendRejected = "send.rejected",
    /// Nobody knows yet whether it was sent.
    SendUnknown = "send.unknown",
    /// The risk scorer's word stopped a send.
    RiskStopped = "send.risk_stopped",
    /// What a blocked country would have stopped (`monitor`).
    CountryMonitored = "send.country_monitored",
    /// A delivery arrived.
    DeliveryDelivered = "delivery.delivered",
    /// A delivery failed.
    DeliveryFailed = "delivery.failed",
    /// A lost answer was settled.
    DeliveryReconciled = "delivery.reconciled",
    /// A guess was taken. It counts as a failure unless an approval follows.
    CheckTaken = "check.taken",
    /// A verification was approved.
    Approved = "verification.approved",
    /// A verification was canceled.
    Canceled = "verification.canceled",
    /// A verification expired.
    Expired = "verification.expired",
    /// A verification was closed by failures.
    Exhausted = "verification.exhausted",
    /// A proof was redeemed.
    ProofRedeemed = "proof.redeemed",
    /// A limit that only alerts was passed.
    LimitAlert = "limit.alert",
    /// An operator ended a lockout.
    Unlocked = "operator.unlocked",
    /// An operator erased a person's records.
    Erased = "operator.erased",
    /// A destination or prefix is remembered as unreachable.
    NoteTaken = "note.taken",
}

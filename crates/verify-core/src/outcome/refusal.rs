//! No: why a caller is refused, and why the system could not do it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::store::StoreFault;
use crate::time::Until;
use crate::vocabulary::Channel;

/// A refusal as its caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// The stable code.
    pub code: RefusalCode,
    /// What exactly, for a developer: fixed texts, never input.
    pub detail: Cow<'static, str>,
    /// The field it is about.
    pub field: Option<&'static str>,
    /// When the same request would be admitted.
    pub retry_at: Option<Until>,
    /// Channels that may be tried.
    pub fallback: Vec<Channel>,
    /// Stronger factors that would do.
    pub factors: Vec<String>,
    /// True when a step-up offers enrolment.
    pub enroll: bool,
    /// A sealed reference for the factor that answers a step-up.
    pub step_up: Option<String>,
    /// True when support is what is left.
    pub support: bool,
    /// Checks left, where the refusal is a check's and something ends them.
    pub checks_left: Option<u32>,
}

impl Refusal {
    /// A refusal with a code and a text.
    pub fn new(code: RefusalCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            field: None,
            retry_at: None,
            fallback: Vec::new(),
            factors: Vec::new(),
            enroll: false,
            step_up: None,
            support: false,
            checks_left: None,
        }
    }

    /// About this field.
    #[must_use]
    pub fn field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Until then.
    #[must_use]
    pub fn until(mut self, until: Until) -> Self {
        self.retry_at = Some(until);
        self
    }
}

macro_rules! refusal_codes {
    ($($(#[$meta:meta])* $variant:ident = $name:literal, $status:literal;)+) => {
        /// Why not. Codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RefusalCode { $($(#[$meta])* #[serde(rename = $name)] $variant),+ }
        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable code.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
            /// The HTTP status that it travels with, for whichever framework (RFC 9110; 429: RFC 6585).
            pub const fn http_status(self) -> u16 { match self { $(Self::$variant => $status),+ } }
        }
    };
}

refusal_codes! {
    /// A field is missing, unknown or does not fit another.
    InvalidRequest = "invalid_request", 400;
    /// Not a number or mailbox that can be used.
    InvalidDestination = "invalid_destination", 400;
    /// Not a code at all; nothing was counted.
    InvalidCode = "invalid_code", 400;
    /// Blocked by country, kind of number, suppression or risk.
    Blocked = "blocked", 403;
    /// A stronger factor is asked for.
    StepUpRequired = "step_up_required", 403;
    /// A human check is asked for.
    HumanCheckRequired = "human_check_required", 403;
    /// Expired, used, canceled, exhausted, foreign or never there: all alike.
    NotFound = "not_found", 404;
    /// This destination cannot be reached by this channel.
    ChannelUnavailable = "channel_unavailable", 422;
    /// Too much contention, or a key that was used for a check that is over.
    Conflict = "conflict", 409;
    /// The other request with this idempotency key still runs.
    InProgress = "in_progress", 409;
    /// The idempotency key was used with another body.
    IdempotencyMismatch = "idempotency_mismatch", 422;
    /// A limit.
    RateLimited = "rate_limited", 429;
    /// The resend gap, a code's last minute, or a short wait after a failure.
    Cooldown = "cooldown", 429;
    /// A wait of five minutes or more after failures.
    Locked = "locked", 429;
    /// No provider took it.
    ProviderUnavailable = "provider_unavailable", 503;
    /// Too many requests of one client at once: the flood shield, before anything is read or counted.
    Overloaded = "overloaded", 503;
}

/// It could not be done: a fault of the system, never of the caller. Nothing was allowed because of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Fault {
    /// The store did not do it, or may have done it.
    #[error("the store cannot be reached; try again in a while")]
    StoreUnavailable,
    /// The store has no room for anything new. What is there still counts.
    #[error("the store is full; give it more room, or wait until what it holds expires")]
    StoreFull,
    /// The store holds something that this version cannot read.
    #[error("the store holds something that this version cannot read; a newer one may have written it")]
    StoreCorrupt,
    /// A bug here: a port that panicked, an answer that no command has. The log says more.
    #[error("something is broken here; the log says what")]
    Defect,
    /// Only a provider that is not registered can do it: the one that made the code which is to be compared.
    #[error("the provider that can do this is not configured; register it again")]
    Misconfigured,
}

impl Fault {
    /// Every fault.
    pub const ALL: &'static [Self] = &[
        Self::StoreUnavailable,
        Self::StoreFull,
        Self::StoreCorrupt,
        Self::Defect,
        Self::Misconfigured,
    ];

    /// The stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreFull => "store_full",
            Self::StoreCorrupt => "store_corrupt",
            Self::Defect => "defect",
            Self::Misconfigured => "misconfigured",
        }
    }

    /// The HTTP status that it travels with. All but a defect may be gone when somebody comes again.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::StoreUnavailable | Self::StoreFull | Self::StoreCorrupt | Self::Misconfigured => 503,
            Self::Defect => 500,
        }
    }
}

impl From<&StoreFault> for Fault {
    fn from(fault: &StoreFault) -> Self {
        match fault {
            StoreFault::Unavailable(_) => Self::StoreUnavailable,
            StoreFault::Full(_) => Self::StoreFull,
            StoreFault::Corrupt(_) => Self::StoreCorrupt,
        }
    }
}

//! No: why a caller is refused, and why the system could not do it.

use std::borrow::Cow;
use std::time::Duration;

use crate::store::StoreFault;
use crate::time::{Timestamp, Until};
use crate::vocabulary::{Channel, words};

/// A refusal as its caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

    /// How long the same request waits at `now`, the engine's time; `None` when waiting does not help or is not what it
    /// takes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use verify_core::outcome::{Refusal, RefusalCode};
    /// use verify_core::time::{Timestamp, Until};
    ///
    /// let now = Timestamp::from_millis(10_000);
    /// let soon = Refusal::new(RefusalCode::Cooldown, "wait").until(Until::At(now + Duration::from_secs(30)));
    /// assert_eq!(soon.retry_in(now), Some(Duration::from_secs(30)));
    /// let never = Refusal::new(RefusalCode::Locked, "ask support").until(Until::Never);
    /// assert_eq!(never.retry_in(now), None);
    /// ```
    pub fn retry_in(&self, now: Timestamp) -> Option<Duration> {
        self.retry_at?.wait_from(now)
    }
}

words! {
    /// Why not. Codes are stable.
    RefusalCode, "refusal" {
        /// A field is missing, unknown or does not fit another.
        InvalidRequest = "invalid_request",
        /// Not a number or mailbox that can be used.
        InvalidDestination = "invalid_destination",
        /// Not a code at all; nothing was counted.
        InvalidCode = "invalid_code",
        /// Blocked by country, kind of number, suppression or risk.
        Blocked = "blocked",
        /// A stronger factor is asked for.
        StepUpRequired = "step_up_required",
        /// A human check is asked for.
        HumanCheckRequired = "human_check_required",
        /// Expired, used, canceled, exhausted, foreign or never there: all alike.
        NotFound = "not_found",
        /// This destination cannot be reached by this channel.
        ChannelUnavailable = "channel_unavailable",
        /// Too much contention, or a key that was used for a check that is over.
        Conflict = "conflict",
        /// The other request with this idempotency key still runs.
        InProgress = "in_progress",
        /// The idempotency key was used with another body.
        IdempotencyMismatch = "idempotency_mismatch",
        /// A limit.
        RateLimited = "rate_limited",
        /// The resend gap, a code's last minute, or a short wait after a failure.
        Cooldown = "cooldown",
        /// A wait of five minutes or more after failures.
        Locked = "locked",
        /// No provider took it.
        ProviderUnavailable = "provider_unavailable",
        /// Too many requests of one client at once, or too many messages under way, before anything is read or counted.
        Overloaded = "overloaded",
    }
}

impl RefusalCode {
    /// The HTTP status that it travels with, for whichever framework (RFC 9110; 429: RFC 6585).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::InvalidRequest | Self::InvalidDestination | Self::InvalidCode => 400,
            Self::Blocked | Self::StepUpRequired | Self::HumanCheckRequired => 403,
            Self::NotFound => 404,
            Self::Conflict | Self::InProgress => 409,
            Self::ChannelUnavailable | Self::IdempotencyMismatch => 422,
            Self::RateLimited | Self::Cooldown | Self::Locked => 429,
            Self::ProviderUnavailable | Self::Overloaded => 503,
        }
    }
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
    /// Only an operator can mend it: the provider that made the code which is to be compared is not registered.
    #[error(
        "this is not set up as it has to be; register the provider that made the code again, or ask for a new code"
    )]
    Misconfigured,
    /// This machine's clock and the store's differ by more than the skew. Nothing is decided until they agree.
    #[error("this machine's clock and the store's differ; set the one right that is wrong")]
    ClocksDiffer,
    /// The store came up without what it held, and limits of security and money would start from nothing. What ends or
    /// repairs something goes on.
    #[error("the store may have lost what it counted; try again after the wait, or accept the store")]
    StoreCools {
        /// For that much longer, unless an operator accepts the store before.
        wait: Duration,
    },
}

impl Fault {
    /// Every fault; the wait in one stands for any.
    pub const ALL: &'static [Self] = &[
        Self::StoreUnavailable,
        Self::StoreFull,
        Self::StoreCorrupt,
        Self::Defect,
        Self::Misconfigured,
        Self::ClocksDiffer,
        Self::StoreCools { wait: Duration::ZERO },
    ];

    /// The stable word for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreFull => "store_full",
            Self::StoreCorrupt => "store_corrupt",
            Self::Defect => "defect",
            Self::Misconfigured => "misconfigured",
            Self::ClocksDiffer => "clocks_differ",
            Self::StoreCools { .. } => "store_cools",
        }
    }

    /// The HTTP status that it travels with. All but a defect may be gone when somebody comes again.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::StoreUnavailable
            | Self::StoreFull
            | Self::StoreCorrupt
            | Self::Misconfigured
            | Self::ClocksDiffer
            | Self::StoreCools { .. } => 503,
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
            StoreFault::Defect(_) => Self::Defect,
            StoreFault::Cools(_, wait) => Self::StoreCools { wait: *wait },
        }
    }
}

//! Outcomes: what a command returns.
//!
//! [`Answer`] is what a caller may see; it has no place for a rule's name, a provider's name or a provider's code.
//! [`Explanation`] is for operators and says what decided. A refusal is an outcome; a [`Fault`] is an error.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::keys::Print;
use crate::port::Detail;
use crate::record::{DeliveryStatus, Status};
use crate::time::{Timestamp, Until};
use crate::token::Assurance;
use crate::vocabulary::{Channel, Purpose, ServiceId};

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Outcome {
    /// For the caller.
    pub answer: Answer,
    /// For operators.
    pub explanation: Explanation,
    /// What the engine does next by itself: a fallback that was consented to.
    pub follow_up: Option<Box<Command>>,
}

/// What the caller may see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Answer {
    /// A challenge is on its way.
    Sent(Box<Verification>),
    /// The same send again: nothing was sent, nothing charged.
    Repeated(Box<Verification>),
    /// The code was right.
    Approved(Box<Approval>),
    /// The code was wrong.
    WrongCode(WrongCode),
    /// A verification as it is.
    Status(Box<Verification>),
    /// It is canceled now.
    Canceled(Box<Verification>),
    /// A report was taken; `changed` says whether it told anything new.
    Reported {
        /// False for duplicates, unknown references and what is older than what is known.
        changed: bool,
    },
    /// A record was looked at; `changed` says whether there was anything to do.
    Ticked {
        /// False for a spurious tick.
        changed: bool,
    },
    /// The proof is spent.
    Redeemed(Redemption),
    /// The lockout is over.
    Unlocked,
    /// The records are gone.
    Erased {
        /// How many verifications went.
        verifications: usize,
    },
    /// No.
    Refused(Refusal),
    /// It could not be done.
    Fault(Fault),
}

impl Answer {
    /// The stable word for it, for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Repeated(_) => "repeated",
            Self::Approved(_) => "approved",
            Self::WrongCode(_) => "wrong_code",
            Self::Status(_) => "status",
            Self::Canceled(_) => "canceled",
            Self::Reported { .. } => "reported",
            Self::Ticked { .. } => "ticked",
            Self::Redeemed(_) => "redeemed",
            Self::Unlocked => "unlocked",
            Self::Erased { .. } => "erased",
            Self::Refused(_) => "refused",
            Self::Fault(_) => "fault",
        }
    }
}

/// A verification as its caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Verification {
    /// The sealed id: enough, with a code, to check.
    pub id: String,
    /// The provider's id where there is one and the policy shows it.
    pub sid: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// The channel of its latest delivery.
    pub channel: Channel,
    /// Its masked destination.
    pub to: String,
    /// Why.
    pub purpose: Purpose,
    /// Its deliveries, oldest first; empty under private disclosure.
    pub deliveries: Vec<(Channel, DeliveryStatus)>,
    /// When its code dies.
    pub expires_at: Timestamp,
    /// When the same caller may send again, `Never` when waiting does not help.
    pub resend_at: Until,
    /// Sends left for this subject and destination now, waiting out the gap in between.
    pub sends_left: u32,
    /// Checks left before the verification is closed.
    pub checks_left: u32,
    /// Channels that are offered now.
    pub fallback: Vec<Channel>,
    /// Digits of the code where they are known.
    pub code_length: u8,
}

/// The code was right.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Approval {
    /// The provider's id where there is one.
    pub sid: Option<String>,
    /// Sealed, short-lived, redeemed once.
    pub proof: String,
    /// Shows standing `known` in later requests for this subject and destination.
    pub device_token: String,
    /// Why.
    pub purpose: Purpose,
    /// By which channel.
    pub channel: Channel,
    /// What it is worth.
    pub assurance: Assurance,
    /// True for a test destination.
    pub test: bool,
}

impl std::fmt::Debug for Approval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Approval")
            .field("purpose", &self.purpose)
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// The code was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WrongCode {
    /// `Pending`, or `Exhausted` when this failure closed it.
    pub status: Status,
    /// Checks left before it is closed.
    pub checks_left: u32,
    /// When the next check is admitted.
    pub retry_at: Until,
}

/// What a spent proof proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Redemption {
    /// Why it was asked for.
    pub purpose: Purpose,
    /// By which channel.
    pub channel: Channel,
    /// What it is worth.
    pub assurance: Assurance,
    /// When the code was right.
    pub approved_at: Timestamp,
    /// True for a test destination.
    pub test: bool,
}

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
    /// Checks left.
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
    ($($(#[$meta:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Why not. Codes are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum RefusalCode { $($(#[$meta])* #[serde(rename = $name)] $variant),+ }
        impl RefusalCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// The stable code.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $name),+ } }
        }
    };
}

refusal_codes! {
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
}

/// It could not be done: a fault of the system, never of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The store did not do it, or may have done it.
    #[error("the store is unavailable; nothing was allowed because of it")]
    StoreUnavailable,
    /// What was asked needs configuration that is not there.
    #[error("the configuration names no provider for this")]
    Misconfigured,
}

/// What decided, for operators. It has fingerprints, rule names and figures, and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Explanation {
    /// The service.
    pub service: Option<ServiceId>,
    /// The command.
    pub command: &'static str,
    /// When, by the engine's time.
    pub at: Timestamp,
    /// The destination's fingerprint.
    pub destination: Option<Print>,
    /// Its last digits, as far as the policy allows.
    pub last_digits: Option<String>,
    /// The verification's nonce, for correlation.
    pub verification: Option<Print>,
    /// Everything that refused or would have, in the order of judgement; the first one named the answer.
    pub rules: Vec<RuleHit>,
    /// What providers said.
    pub providers: Vec<ProviderSaid>,
}

/// A rule that took part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RuleHit {
    /// Its name: a limit's, `lockout_destination`, `country`, `risk`, `note`, `repeat`, …
    pub rule: Arc<str>,
    /// What it saw: units used, failures in the run, a score.
    pub figure: u64,
    /// What it allows, where that is a number.
    pub allowed: Option<u64>,
    /// When it would admit the same request.
    pub until: Option<Until>,
}

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ProviderSaid {
    /// Which one.
    pub provider: Arc<str>,
    /// What came of it, in our words.
    pub came: &'static str,
    /// In its words, masked.
    pub detail: Detail,
}

/// A wait from an instant, for countdowns; `None` for never.
pub fn wait_secs(until: Until, now: Timestamp) -> Option<u64> {
    until
        .wait_from(now)
        .map(|wait: Duration| wait.as_millis().div_ceil(1_000) as u64)
}

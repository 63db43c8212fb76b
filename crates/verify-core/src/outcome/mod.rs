//! Outcomes: what a command returns.
//!
//! An [`Outcome`] holds the command's own answer ([`SendAnswer`], [`CheckAnswer`], …), which is what a caller may see: it
//! has no place for a rule's name, a provider's name or a provider's code. [`Explanation`] is for operators and says what
//! decided. A refusal is an answer; a [`Fault`] is an error.
//!
//! More fields may come to what an answer holds, so a pattern on one ends with `..`. What a command can come to, why it is
//! refused and where a verification stands are enums without a catch-all on purpose: one more of them is something that a
//! host has to decide about, and its compiler says where.

mod answer;
mod refusal;
mod unclaimed;

pub use answer::*;
pub use refusal::*;
pub use unclaimed::{NotTheirs, Unclaimed};

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::command::SendRequest;
use crate::detail::Detail;
use crate::keys::Print;
use crate::record::{DeliveryStatus, Status};
use crate::time::{Timestamp, Until};
use crate::token::Assurance;
use crate::vocabulary::{Channel, Purpose, ServiceId};

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Outcome<A = Answer> {
    /// For the caller.
    ///
    /// # Errors
    /// [`Fault`] when it could not be done; nothing was allowed because of it.
    pub answer: Result<A, Fault>,
    /// For operators.
    pub explanation: Explanation,
    /// What the engine does next by itself: a fallback that was consented to.
    pub follow_up: Option<Box<SendRequest>>,
}

impl<A> Outcome<A> {
    /// What somebody who drives no flow says: a shield, a test.
    pub const fn new(answer: Result<A, Fault>, explanation: Explanation) -> Self {
        Self {
            answer,
            explanation,
            follow_up: None,
        }
    }

    /// The same with the answer as something else.
    pub fn map<B>(self, map: impl FnOnce(A) -> B) -> Outcome<B> {
        Outcome {
            answer: self.answer.map(map),
            explanation: self.explanation,
            follow_up: self.follow_up,
        }
    }
}

impl Outcome {
    /// The stable word for what it came to, for logs and metrics.
    pub const fn as_str(&self) -> &'static str {
        match &self.answer {
            Ok(answer) => answer.as_str(),
            Err(_) => "fault",
        }
    }

    /// Why not, when the answer is no.
    pub const fn refusal(&self) -> Option<&Refusal> {
        match &self.answer {
            Ok(answer) => answer.refusal(),
            Err(_) => None,
        }
    }

    /// The same with the answer of one command. Another command's answer is a [`Fault::Defect`]: the machine gives none.
    pub fn of<A: TryFrom<Answer, Error = Fault>>(self) -> Outcome<A> {
        Outcome {
            answer: self.answer.and_then(A::try_from),
            explanation: self.explanation,
            follow_up: self.follow_up,
        }
    }
}

/// A verification as its caller may see it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct VerificationView {
    /// The sealed id: enough, with a code, to check.
    pub id: String,
    /// The provider's id where there is one; `None` under private disclosure.
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
    /// Sends left for this subject and destination now, waiting out the gap in between; `None` when no limit ends them.
    pub sends_left: Option<u32>,
    /// Checks left before the verification is closed; `None` when nothing ends them but time.
    pub checks_left: Option<u32>,
    /// Channels that are offered now.
    pub fallback: Vec<Channel>,
    /// By which other channels the same person may go on, and from when on, in the order of the policy; empty once it is over.
    pub next: Vec<Next>,
    /// Digits of the code. A managed provider may make longer or shorter ones.
    pub code_length: u8,
}

impl VerificationView {
    /// A pending verification that nothing is told of besides, to test what a host makes of one.
    pub fn pending(
        id: impl Into<String>,
        channel: Channel,
        to: impl Into<String>,
        purpose: Purpose,
        expires_at: Timestamp,
    ) -> Self {
        Self {
            id: id.into(),
            sid: None,
            status: Status::Pending,
            channel,
            to: to.into(),
            purpose,
            deliveries: Vec::new(),
            expires_at,
            resend_at: Until::At(Timestamp::ZERO),
            sends_left: None,
            checks_left: None,
            fallback: Vec::new(),
            next: Vec::new(),
            code_length: 6,
        }
    }

    /// How long its code still lives at `now`.
    pub fn expires_in(&self, now: Timestamp) -> Duration {
        self.expires_at.since(now)
    }

    /// How long the same caller waits at `now` until they may send again; `None` when waiting does not help.
    pub fn resend_in(&self, now: Timestamp) -> Option<Duration> {
        self.resend_at.wait_from(now)
    }
}

/// Another channel, and from when on a send by it is admitted as far as this person's own rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Next {
    /// By which channel.
    pub channel: Channel,
    /// From this instant on; now or later.
    pub from: Timestamp,
    /// It does not reach this destination: another one has to be asked for, such as a mailbox for a number, and what is sent
    /// there is a verification of its own. Such a channel is named from when it is offered.
    pub needs_destination: bool,
}

impl Next {
    /// This channel, from an instant on, to the same destination.
    pub const fn new(channel: Channel, from: Timestamp) -> Self {
        Self {
            channel,
            from,
            needs_destination: false,
        }
    }

    /// How long that is from `now`; zero for at once.
    pub const fn wait(&self, now: Timestamp) -> Duration {
        self.from.since(now)
    }
}

/// The code was right.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Approval {
    /// The provider's id where there is one.
    pub sid: Option<String>,
    /// Sealed, short-lived, redeemed once.
    pub proof: String,
    /// Shows standing `known` in later requests for this subject and destination.
    pub device_token: String,
    /// The user whom the send named, if any.
    pub subject: Option<String>,
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
#[non_exhaustive]
pub struct WrongCode {
    /// `Pending`, or `Exhausted` when this failure closed it.
    pub status: Status,
    /// Checks left before it is closed; `None` when nothing ends them but time.
    pub checks_left: Option<u32>,
    /// When the next check is admitted.
    pub retry_at: Until,
}

impl WrongCode {
    /// A wrong code after which nothing ends the checks but time.
    pub const fn new(status: Status, retry_at: Until) -> Self {
        Self {
            status,
            checks_left: None,
            retry_at,
        }
    }

    /// How long the next check waits at `now`; `None` when waiting does not help.
    pub fn retry_in(&self, now: Timestamp) -> Option<Duration> {
        self.retry_at.wait_from(now)
    }
}

/// What a spent proof proves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

/// What decided, for operators. It has fingerprints, rule names and figures, and no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// The service.
    pub service: Option<ServiceId>,
    /// The command.
    pub command: &'static str,
    /// When, by the engine's time.
    pub at: Timestamp,
    /// The destination's fingerprint: canonical, so that every spelling of a mailbox has it.
    pub destination: Option<Print>,
    /// Its last digits, as far as the policy allows.
    pub last_digits: Option<String>,
    /// The verification's nonce, for correlation.
    pub verification: Option<Print>,
    /// Everything that refused or would have, in the order of judgement; the first one named the answer. Of every refusal
    /// there is one; before them may stand what took part and refused nothing (a test destination, a watched country).
    pub rules: Vec<RuleHit>,
    /// What providers said.
    pub providers: Vec<ProviderSaid>,
    /// What the store said, when it did not do it.
    pub store: Option<Detail>,
}

/// A rule that took part.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct RuleHit {
    /// Its name: a limit's, `lockout_destination`, `country`, `risk_high`, `repeat`, …; where no rule decides but the request
    /// or what is there, the refusal's own code.
    pub rule: Arc<str>,
    /// What it saw or says, where that is no number: a country and its action (`KP block`), a channel, an action, a field
    /// and what is wrong with it.
    pub value: Option<Arc<str>>,
    /// What it saw: units used, failures in the run, a score.
    pub figure: u64,
    /// What it allows, where that is a number.
    pub allowed: Option<u64>,
    /// When it would admit the same request.
    pub until: Option<Until>,
}

impl RuleHit {
    /// A rule of this name that saw this much.
    pub fn new(rule: impl Into<Arc<str>>, figure: u64) -> Self {
        Self {
            rule: rule.into(),
            value: None,
            figure,
            allowed: None,
            until: None,
        }
    }
}

/// What a provider said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[non_exhaustive]
pub struct ProviderSaid {
    /// Which one.
    pub provider: Arc<str>,
    /// What came of it, in our words.
    pub came: &'static str,
    /// In its words, masked.
    pub detail: Detail,
}

/// A wait from an instant in whole seconds, rounded up, for countdowns and `Retry-After`; `None` for never.
pub fn wait_secs(until: Until, now: Timestamp) -> Option<u64> {
    until
        .wait_from(now)
        .map(|wait: Duration| wait.as_millis().div_ceil(1_000) as u64)
}

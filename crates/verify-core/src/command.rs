//! Commands: what a host asks of the machine. Texts come in raw; the machine parses them, so that every host refuses
//! alike.

use std::fmt;
use std::net::IpAddr;

use crate::port::Detail;
use crate::store::RecordKey;
use crate::vocabulary::{Channel, Country, Purpose, ServiceId};

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Command {
    /// Send a challenge, again or by another channel too.
    Send(SendRequest),
    /// Check a code.
    Check(CheckRequest),
    /// End a pending verification.
    Cancel(VerificationRequest),
    /// Read a verification. Never consumes, never counts.
    Status(VerificationRequest),
    /// A provider reports what became of a delivery.
    Report(ReportRequest),
    /// Repair and expire a record that is due.
    Tick(TickRequest),
    /// Spend a proof.
    Redeem(RedeemRequest),
    /// End a person's lockout (operator).
    Unlock(PersonRequest),
    /// Erase a person's records; counters stay (operator).
    Erase(PersonRequest),
}

impl Command {
    /// The service that it is about.
    pub fn service(&self) -> &ServiceId {
        match self {
            Self::Send(request) => &request.service,
            Self::Check(request) => &request.service,
            Self::Cancel(request) | Self::Status(request) => &request.service,
            Self::Report(request) => &request.service,
            Self::Tick(request) => &request.service,
            Self::Redeem(request) => &request.service,
            Self::Unlock(request) | Self::Erase(request) => &request.service,
        }
    }

    /// The stable word for spans and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Send(_) => "send",
            Self::Check(_) => "check",
            Self::Cancel(_) => "cancel",
            Self::Status(_) => "status",
            Self::Report(_) => "report",
            Self::Tick(_) => "tick",
            Self::Redeem(_) => "redeem",
            Self::Unlock(_) => "unlock",
            Self::Erase(_) => "erase",
        }
    }
}

/// Who calls, as far as the host knows.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Caller {
    /// The client's address, from a trusted hop. Without one, limits by ip are skipped.
    pub ip: Option<IpAddr>,
    /// The client's autonomous system.
    pub asn: Option<u32>,
    /// A device id that the application chose.
    pub device: Option<String>,
    /// The device token of an earlier approval: standing `known`, when it fits.
    pub device_token: Option<String>,
}

/// Which destination: spelled out, or the one of a verification.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A number or a mailbox as somebody typed it.
    To {
        /// The text.
        to: String,
        /// For national numbers.
        country: Option<Country>,
    },
    /// A verification id: the same destination and identity.
    Verification(String),
}

/// A send.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct SendRequest {
    /// The service.
    pub service: ServiceId,
    /// Where to.
    pub target: Target,
    /// How; the policy's default when absent, `email` for a mailbox.
    pub channel: Option<Channel>,
    /// The application's user id; absent at sign-up.
    pub subject: Option<String>,
    /// Why.
    pub purpose: Purpose,
    /// BCP 47; the policy's default when absent.
    pub locale: Option<String>,
    /// What is paid; required for `transaction`, with the payee.
    pub amount: Option<String>,
    /// To whom.
    pub payee: Option<String>,
    /// Who calls.
    pub caller: Caller,
    /// The person agreed that the next channel is used when a failure is reported.
    pub consent: bool,
    /// The token of a human check.
    pub human_check: Option<String>,
    /// A proof of a stronger factor, which answers a step-up.
    pub proof: Option<String>,
    /// The application knows no such recipient: behave as ever, send nothing. Only with private disclosure.
    pub decoy: bool,
    /// The same key and the same body: the same send.
    pub idempotency_key: Option<String>,
}

impl SendRequest {
    /// A send to a number in E.164 or a mailbox, for signing in to the default service.
    pub fn to(to: impl Into<String>) -> Self {
        Self::new(Target::To {
            to: to.into(),
            country: None,
        })
    }

    /// A send for the destination and identity of a verification.
    pub fn again(verification_id: impl Into<String>) -> Self {
        Self::new(Target::Verification(verification_id.into()))
    }

    fn new(target: Target) -> Self {
        Self {
            service: ServiceId::default(),
            target,
            channel: None,
            subject: None,
            purpose: Purpose::SignIn,
            locale: None,
            amount: None,
            payee: None,
            caller: Caller::default(),
            consent: false,
            human_check: None,
            proof: None,
            decoy: false,
            idempotency_key: None,
        }
    }

    /// By this channel.
    #[must_use]
    pub fn by(mut self, channel: Channel) -> Self {
        self.channel = Some(channel);
        self
    }

    /// For this user.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// From this address.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.caller.ip = Some(ip);
        self
    }

    /// For this purpose.
    #[must_use]
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }
}

/// A check.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CheckRequest {
    /// The service.
    pub service: ServiceId,
    /// What is checked.
    pub target: Target,
    /// The guess, exactly as it came.
    pub code: String,
    /// The application's user id; ignored with a verification id, which seals it.
    pub subject: Option<String>,
    /// Why; ignored with a verification id.
    pub purpose: Purpose,
    /// What is paid; ignored with a verification id.
    pub amount: Option<String>,
    /// To whom; ignored with a verification id.
    pub payee: Option<String>,
    /// Who calls.
    pub caller: Caller,
    /// The same key after a lost answer: the same proof.
    pub idempotency_key: Option<String>,
}

impl CheckRequest {
    /// A check of a verification by its id.
    pub fn of(verification_id: impl Into<String>, code: impl Into<String>) -> Self {
        Self::new(Target::Verification(verification_id.into()), code.into())
    }

    /// A check by destination.
    pub fn to(to: impl Into<String>, code: impl Into<String>) -> Self {
        Self::new(
            Target::To {
                to: to.into(),
                country: None,
            },
            code.into(),
        )
    }

    fn new(target: Target, code: String) -> Self {
        Self {
            service: ServiceId::default(),
            target,
            code,
            subject: None,
            purpose: Purpose::SignIn,
            amount: None,
            payee: None,
            caller: Caller::default(),
            idempotency_key: None,
        }
    }

    /// From this address.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.caller.ip = Some(ip);
        self
    }
}

/// A cancel or a status.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VerificationRequest {
    /// The service.
    pub service: ServiceId,
    /// The verification's id.
    pub verification_id: String,
}

/// What a provider reports of a delivery.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ReportRequest {
    /// The service.
    pub service: ServiceId,
    /// The reference that the dispatch carried.
    pub reference: String,
    /// What became of it.
    pub report: Report,
    /// What tells this report from any other: a second one with the same text changes nothing.
    pub dedupe: String,
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Report {
    /// It is on its way: queued, sent, ringing.
    Underway,
    /// It arrived; a call was answered.
    Delivered,
    /// It did not, and will not.
    Undelivered(Detail),
}

/// A record that is due.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TickRequest {
    /// The service.
    pub service: ServiceId,
    /// Its record.
    pub record: RecordKey,
}

/// A proof to spend. All that is named must match.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedeemRequest {
    /// The service.
    pub service: ServiceId,
    /// The proof.
    pub proof: String,
    /// Why it was asked for.
    pub purpose: Purpose,
    /// The destination that it proves.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
    /// The application's user id, when the send had one.
    pub subject: Option<String>,
    /// What is paid.
    pub amount: Option<String>,
    /// To whom.
    pub payee: Option<String>,
    /// The same key after a lost answer: the same answer.
    pub idempotency_key: Option<String>,
}

/// A person, for operators.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PersonRequest {
    /// The service.
    pub service: ServiceId,
    /// Number or mailbox.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
    /// The application's user id.
    pub subject: Option<String>,
}

macro_rules! quiet_debug {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Requests hold numbers, mailboxes, codes and user ids: none of it may reach a log.
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}

quiet_debug!(
    Caller,
    Target,
    SendRequest,
    CheckRequest,
    VerificationRequest,
    ReportRequest,
    RedeemRequest,
    PersonRequest
);

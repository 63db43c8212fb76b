//! Commands: what a host asks of the machine. Texts come in raw; the machine parses them, so that every host refuses
//! alike.
//!
//! Each command has a request, and a request names its answer ([`Request`](crate::outcome::Request)). A request is made by
//! its constructor, which asks for what it cannot be without, and its setters:
//!
//! ```
//! use verify_core::command::{CheckRequest, Person, RedeemRequest, SendRequest, UnlockRequest};
//! use verify_core::vocabulary::{Channel, Purpose, ServiceId};
//!
//! # fn requests(code: &str, proof: &str, cookie: &str) -> Result<(), Box<dyn std::error::Error>> {
//! let payer = Person::at("+12025550123").subject("ada").pays("25.00 USD", "Corner Shop");
//! let send = SendRequest::to(payer.clone()).by(Channel::Call).locale("de").ip("203.0.113.7".parse()?).key("attempt-1");
//! let check = CheckRequest::to(payer.clone(), code).device_token(cookie).key("attempt-2");
//! let redeem = RedeemRequest::of(proof, payer).key("transfer-7");
//!
//! let moved = Person::at("+12025550199").subject("ada").purpose(Purpose::ChangeDestination);
//! let redeem = RedeemRequest::of(proof, moved).service(ServiceId::new("shop")?);
//! let unlock = UnlockRequest::at("+12025550123").subject("ada").check_limits(true);
//! # let _ = (send, check, redeem, unlock);
//! # Ok(())
//! # }
//! ```
//!
//! Fields may be read and assigned, and more of them may come; so nobody outside writes a request as a struct.

mod setters;

use std::fmt;
use std::net::IpAddr;

use crate::detail::Detail;
use crate::store::RecordKey;
use crate::vocabulary::{Channel, Country, Payment, Purpose, ServiceId};

macro_rules! commands {
    ($($(#[$meta:meta])* $name:ident = $word:literal: $request:ty;)+) => {
        /// A command.
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum Command { $($(#[$meta])* $name($request)),+ }

        impl Command {
            /// The service that it is about.
            pub fn service(&self) -> &ServiceId {
                match self { $(Self::$name(request) => &request.service),+ }
            }

            /// The stable word for spans and metrics.
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => $word),+ }
            }
        }

        $(
            impl From<$request> for Command {
                fn from(request: $request) -> Self {
                    Self::$name(request)
                }
            }
        )+
    };
}

commands! {
    /// Send a challenge, again or by another channel too.
    Send = "send": SendRequest;
    /// Check a code.
    Check = "check": CheckRequest;
    /// End a pending verification.
    Cancel = "cancel": CancelRequest;
    /// Read a verification. Never consumes, never counts.
    Status = "status": StatusRequest;
    /// A provider reports what became of a delivery.
    Report = "report": ReportRequest;
    /// Repair and expire a record that is due.
    Tick = "tick": TickRequest;
    /// Spend a proof.
    Redeem = "redeem": RedeemRequest;
    /// End a person's lockout (operator).
    Unlock = "unlock": UnlockRequest;
    /// Erase a person's records; counters stay (operator).
    Erase = "erase": EraseRequest;
}

/// Who calls, as far as the host knows.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Caller {
    /// The client's address, from a trusted hop. Without one, limits by ip are skipped. An IPv4 address that IPv6 only
    /// carries counts as itself ([`address::client`](crate::address::client)).
    pub ip: Option<IpAddr>,
    /// The client's autonomous system.
    pub asn: Option<u32>,
    /// A device id that the application chose, 1 to 200 bytes.
    pub device: Option<String>,
    /// The device token of an earlier approval: standing `known`, when it fits.
    pub device_token: Option<String>,
}

/// Who is verified, and for what: the whole of what a code is made for.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Person {
    /// A number or a mailbox as somebody typed it.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
    /// The application's user id, 1 to 200 bytes, compared byte by byte; absent at sign-up.
    pub subject: Option<String>,
    /// Why.
    pub purpose: Purpose,
    /// What is paid, within the bounds of [`Payment`]; required for `transaction`.
    pub payment: Option<Payment>,
}

impl Person {
    /// Somebody at a number in E.164 or a mailbox, who signs in.
    pub fn at(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            country: None,
            subject: None,
            purpose: Purpose::SignIn,
            payment: None,
        }
    }
}

impl From<&str> for Person {
    /// As [`Person::at`].
    fn from(to: &str) -> Self {
        Self::at(to)
    }
}

impl From<String> for Person {
    /// As [`Person::at`].
    fn from(to: String) -> Self {
        Self::at(to)
    }
}

/// Who is meant: somebody who is spelled out, or the one of a verification.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// This person.
    To(Person),
    /// The destination and identity that a verification id seals, when they are those of whom the caller expects.
    Verification {
        /// The verification's id.
        id: String,
        /// Of whom it must be.
        of: Expected,
    },
}

/// Of whom a verification must be that is named by its id.
///
/// Whoever sends an id along chose it, and may have chosen one of their own: to act for somebody because of a right code
/// takes the knowledge of whose code it was. An id of somebody else is `not_found`, before anything is charged, compared
/// or asked.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// This person, in all that the send named: destination, subject or none, purpose, payment. For a caller who knows in
    /// whose name they are about to act.
    Person(Person),
    /// Whoever it is of, as far as this much fits. What a check then approves says whose it is, and gives nothing before it
    /// is told whom to act for ([`Unclaimed`](crate::outcome::Unclaimed)).
    Known(Known),
    /// Whoever it is of; as [`Known`](Self::Known) with nothing known. For sign-up, and for hosts that only pass on.
    Whoever,
}

/// What a caller knows of whom a verification is of. What is absent is not compared.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct Known {
    /// A number or a mailbox as somebody typed it.
    pub to: Option<String>,
    /// For a national number.
    pub country: Option<Country>,
    /// The application's user id.
    pub subject: Option<String>,
    /// Why.
    pub purpose: Option<Purpose>,
}

impl<P: Into<Person>> From<P> for Expected {
    /// This person; of a text as [`Person::at`].
    fn from(person: P) -> Self {
        Self::Person(person.into())
    }
}

/// A send.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SendRequest {
    /// The service.
    pub service: ServiceId,
    /// To whom, and what for.
    pub target: Target,
    /// How; the policy's default when absent, `email` for a mailbox.
    pub channel: Option<Channel>,
    /// The language of the message, as the person has it (BCP 47, or with `_`): 1 to 35 letters, digits, `-` and `_`. A wish:
    /// a provider that does not know it takes the nearest that it knows, or chooses itself. The policy's default when absent.
    pub locale: Option<String>,
    /// Who calls.
    pub caller: Caller,
    /// The person agreed that the next channel is used when a failure is reported.
    pub consent: bool,
    /// The token of a human check.
    pub human_check: Option<String>,
    /// A proof of a stronger factor, which answers a step-up.
    pub proof: Option<String>,
    /// The application knows no such recipient: behave as ever, send nothing. Refused but with private disclosure.
    pub decoy: bool,
    /// The same key and the same body: the same send.
    pub idempotency_key: Option<String>,
    /// It goes on by itself with the verification that it names, while that is pending; it begins none.
    pub(crate) goes_on: bool,
}

impl SendRequest {
    /// A send to somebody, in the default service. A text is a number in E.164 or a mailbox, for signing in.
    pub fn to(person: impl Into<Person>) -> Self {
        Self::new(Target::To(person.into()))
    }

    /// A send for the destination and identity of a verification, when it is of whom the caller expects.
    pub fn again(verification_id: impl Into<String>, of: impl Into<Expected>) -> Self {
        Self::new(Target::Verification {
            id: verification_id.into(),
            of: of.into(),
        })
    }

    /// A send to whoever is meant, in the default service.
    pub fn new(target: Target) -> Self {
        Self {
            service: ServiceId::default(),
            target,
            channel: None,
            locale: None,
            caller: Caller::default(),
            consent: false,
            human_check: None,
            proof: None,
            decoy: false,
            idempotency_key: None,
            goes_on: false,
        }
    }
}

/// A check.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CheckRequest {
    /// The service.
    pub service: ServiceId,
    /// Whose code.
    pub target: Target,
    /// The guess as it came: what a pasted one has around it, and its spaces and hyphens, are left out here.
    pub code: String,
    /// Who calls.
    pub caller: Caller,
    /// The same key after a lost answer: the same proof.
    pub idempotency_key: Option<String>,
}

impl CheckRequest {
    /// A check of a verification by its id, when it is of whom the caller expects.
    ///
    /// ```
    /// use verify_core::command::{CheckRequest, Person};
    ///
    /// // A request says `verification_id`, `code`, and whose account it wants: the application knows their number.
    /// let account = Person::at("+12025550123").subject("ada");
    /// let check = CheckRequest::of("the verification's id", "123456", account);
    /// # let _ = check;
    /// ```
    ///
    /// There is no check by id that does not say for whom:
    ///
    /// ```compile_fail,E0061
    /// use verify_core::command::CheckRequest;
    /// let check = CheckRequest::of("the verification's id", "123456");
    /// ```
    pub fn of(verification_id: impl Into<String>, code: impl Into<String>, of: impl Into<Expected>) -> Self {
        let target = Target::Verification {
            id: verification_id.into(),
            of: of.into(),
        };
        Self::new(target, code)
    }

    /// A check of what is pending for somebody.
    pub fn to(person: impl Into<Person>, code: impl Into<String>) -> Self {
        Self::new(Target::To(person.into()), code)
    }

    /// A check for whoever is meant, in the default service.
    pub fn new(target: Target, code: impl Into<String>) -> Self {
        Self {
            service: ServiceId::default(),
            target,
            code: code.into(),
            caller: Caller::default(),
            idempotency_key: None,
        }
    }
}

/// A cancel.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CancelRequest {
    /// The service.
    pub service: ServiceId,
    /// The verification's id.
    pub verification_id: String,
}

/// A status.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StatusRequest {
    /// The service.
    pub service: ServiceId,
    /// The verification's id.
    pub verification_id: String,
}

/// What a provider reports of a delivery.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
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

impl ReportRequest {
    /// A report of the delivery with this reference, in the default service.
    pub fn of(reference: impl Into<String>, report: Report, dedupe: impl Into<String>) -> Self {
        Self {
            service: ServiceId::default(),
            reference: reference.into(),
            report,
            dedupe: dedupe.into(),
        }
    }
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
#[non_exhaustive]
pub struct TickRequest {
    /// The service.
    pub service: ServiceId,
    /// Its record.
    pub record: RecordKey,
}

impl TickRequest {
    /// A tick of this record, in the default service.
    pub fn of(record: RecordKey) -> Self {
        Self {
            service: ServiceId::default(),
            record,
        }
    }
}

/// A proof to spend.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RedeemRequest {
    /// The service.
    pub service: ServiceId,
    /// The proof.
    pub proof: String,
    /// Whom it must prove, and for what: all that the send named must match.
    pub person: Person,
    /// The same key after a lost answer: the same answer.
    pub idempotency_key: Option<String>,
}

impl RedeemRequest {
    /// A proof that must be of this person, in the default service.
    pub fn of(proof: impl Into<String>, person: impl Into<Person>) -> Self {
        Self {
            service: ServiceId::default(),
            proof: proof.into(),
            person: person.into(),
            idempotency_key: None,
        }
    }
}

/// Whose lockout is ended. Any spelling of a mailbox means all that share its limits.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UnlockRequest {
    /// The service.
    pub service: ServiceId,
    /// Number or mailbox.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
    /// The application's user id, 1 to 200 bytes. Its lockout is another one than the destination's: without it that one stays.
    pub subject: Option<String>,
    /// The limits on this person's checks end too, and what was counted on them is forgotten.
    pub check_limits: bool,
}

/// Whose records are erased. Any spelling of a mailbox means all that share its limits: tagged ones too.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct EraseRequest {
    /// The service.
    pub service: ServiceId,
    /// Number or mailbox.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
}

macro_rules! in_the_default_service {
    ($($(#[$meta:meta])* $name:ident::$of:ident($field:ident) $({ $($other:ident),+ })?;)+) => {$(
        impl $name {
            $(#[$meta])*
            pub fn $of($field: impl Into<String>) -> Self {
                Self {
                    service: ServiceId::default(),
                    $field: $field.into(),
                    $($($other: Default::default()),+)?
                }
            }
        }
    )+};
}

in_the_default_service! {
    /// A cancel of a verification by its id, in the default service.
    CancelRequest::of(verification_id);
    /// A status of a verification by its id, in the default service.
    StatusRequest::of(verification_id);
    /// For whoever is at a number in E.164 or a mailbox, in the default service.
    UnlockRequest::at(to) { country, subject, check_limits };
    /// For whoever is at a number in E.164 or a mailbox, in the default service.
    EraseRequest::at(to) { country };
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
    Person,
    Target,
    Expected,
    Known,
    SendRequest,
    CheckRequest,
    CancelRequest,
    StatusRequest,
    ReportRequest,
    RedeemRequest,
    UnlockRequest,
    EraseRequest
);

//! Who a command is about: the destination, the subject, the standing and what else limits are counted by.
//! Everything that can be refused from the request alone is refused here.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address;
use crate::broken::Broken;
use crate::command::{Caller, Expected, Person, Target};
use crate::destination::{Destination, DestinationError};
use crate::event::{Event, EventKind};
use crate::hidden::is_hidden;
use crate::ids::Nonce;
use crate::keys::{Print, PrintKind, Prints};
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::TestDestination;
use crate::record::{Identity, Verification};
use crate::time::Timestamp;
use crate::token::{DeviceToken, ProofToken, VerificationToken};
use crate::vocabulary::{Country, Dimension, Payment, Purpose, Standing};

use super::context::Context;
use super::refusals::not_found;

/// The longest subject, device id and payee, in bytes; an amount has less.
const LONGEST_TEXT: usize = 200;
const LONGEST_AMOUNT: usize = 40;

/// The identity as a request spells it: what a token and a sealed part of a record carry on.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spelled {
    pub(super) subject: Option<String>,
    pub(super) purpose: Purpose,
    pub(super) payment: Option<Payment>,
}

impl Spelled {
    fn of(person: &Person) -> Self {
        Self {
            subject: person.subject.clone(),
            purpose: person.purpose,
            payment: person.payment.clone(),
        }
    }
}

impl fmt::Debug for Spelled {
    /// Nobody's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spelled")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) to: Destination,
    /// Of the canonical form: limits, lockouts, records and notes are of it.
    pub(super) destination: Prints,
    /// Of the mailbox as delivered, or of the number: identities and tokens are of it.
    pub(super) delivered: Prints,
    pub(super) spelled: Spelled,
    pub(super) subject: Option<Prints>,
    pub(super) binding: Option<Prints>,
    pub(super) standing: Standing,
    pub(super) caller: Caller,
    /// The verification that the caller named.
    pub(super) nonce: Option<Nonce>,
    /// How many digits its code has.
    pub(super) length: Option<u8>,
}

impl Who {
    /// Whoever a target names.
    pub(super) fn of(
        ctx: &mut Context,
        target: &Target,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        match target {
            Target::To(person) => Self::person(ctx, person, caller, now),
            Target::Verification { id, of } => {
                let who = Self::named(ctx, id, caller, now)?;
                match who.is_expected(ctx, of)? {
                    true => Ok(who),
                    false => Err(not_found()),
                }
            }
        }
    }

    /// Somebody who is spelled out.
    pub(super) fn person(
        ctx: &mut Context,
        person: &Person,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let to = parsed(ctx, &person.to, person.country)?;
        Self::new(ctx, to, Spelled::of(person), caller, now)
    }

    /// Whoever a verification's id seals.
    pub(super) fn named(
        ctx: &mut Context,
        id: &str,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let token: VerificationToken = ctx
            .keys
            .open_token(&ctx.service, now, id)
            .map_err(|_| not_found())?;
        let to = parsed(ctx, &token.to, None).map_err(|_| not_found())?;
        let spelled = Spelled {
            subject: token.subject,
            purpose: token.purpose,
            payment: token.payment,
        };
        ctx.explanation.verification = Some(token.nonce.print());
        Ok(Self {
            nonce: Some(token.nonce),
            length: Some(token.length),
            ..Self::new(ctx, to, spelled, caller, now)?
        })
    }

    fn new(
        ctx: &mut Context,
        to: Destination,
        spelled: Spelled,
        caller: &Caller,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        check_texts(&spelled, caller)?;
        let keys = &ctx.keys;
        let destination = keys.prints(PrintKind::Destination, &ctx.service, to.canonical().as_bytes());
        let are_one = ctx.is_broken(Broken::ShareBetweenMailboxes);
        let delivered = match are_one || to.canonical() == to.as_delivered() {
            true => destination.clone(),
            false => delivered(ctx, &to),
        };
        let subject = spelled
            .subject
            .as_ref()
            .map(|subject| keys.prints(PrintKind::Subject, &ctx.service, subject.as_bytes()));
        let binding = spelled
            .payment
            .as_ref()
            .map(|payment| keys.binding_prints(&ctx.service, payment));
        let standing = standing(ctx, caller, &delivered, subject.as_ref(), now);
        ctx.explanation.destination = Some(destination.newest());
        ctx.explanation.last_digits = to.last_digits(ctx.policy.privacy.last_digits).map(str::to_owned);
        Ok(Self {
            to,
            destination,
            delivered,
            spelled,
            subject,
            binding,
            standing,
            caller: Caller {
                ip: caller.ip.map(address::client),
                ..caller.clone()
            },
            nonce: None,
            length: None,
        })
    }

    /// The same destination with another subject, or with none.
    pub(super) fn as_subject(&self, ctx: &Context, subject: Option<String>) -> Self {
        let prints = |subject: &String| {
            ctx.keys
                .prints(PrintKind::Subject, &ctx.service, subject.as_bytes())
        };
        Self {
            subject: subject.as_ref().map(prints),
            spelled: Spelled {
                subject,
                ..self.spelled.clone()
            },
            ..self.clone()
        }
    }

    /// The person in words.
    pub(super) fn spelled_out(&self) -> Person {
        let Spelled {
            subject,
            purpose,
            payment,
        } = self.spelled.clone();
        Person {
            subject,
            purpose,
            payment,
            ..Person::at(self.to.delivery())
        }
    }

    pub(super) fn purpose(&self) -> Purpose {
        self.spelled.purpose
    }

    /// The identity of a new verification.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            purpose: self.spelled.purpose,
            subject: self.subject.as_ref().map(Prints::newest),
            standing: self.standing,
            binding: self.binding.as_ref().map(Prints::newest),
            mailbox: match &self.to {
                Destination::Phone(_) => None,
                Destination::Mailbox(_) => Some(self.delivered.newest()),
            },
        }
    }

    /// The policy's test destination that this is.
    pub(super) fn test<'a>(&self, ctx: &'a Context) -> Option<&'a TestDestination> {
        let mut tests = ctx.policy.tests.iter();
        tests.find(|test| test.to == self.to.as_delivered())
    }

    /// True when this is whom the caller expects. A destination that cannot be one is refused as in any request.
    fn is_expected(&self, ctx: &Context, of: &Expected) -> Result<bool, Refusal> {
        let is_at = |to: &str, country| {
            parsed(ctx, to, country).map(|to| to.as_delivered() == self.to.as_delivered())
        };
        match of {
            Expected::Person(person) => {
                Ok(is_at(&person.to, person.country)? && Spelled::of(person) == self.spelled)
            }
            Expected::Known(known) => {
                let at = known.to.as_ref().map(|to| is_at(to, known.country)).transpose()?;
                let subject = known.subject.is_none() || known.subject == self.spelled.subject;
                let purpose = known
                    .purpose
                    .is_none_or(|purpose| purpose == self.spelled.purpose);
                Ok(at.unwrap_or(true) && subject && purpose)
            }
            Expected::Whoever => Ok(true),
        }
    }

    /// An event about them.
    pub(super) fn event(&self, ctx: &Context, kind: EventKind, nth: u8, now: Timestamp) -> Event {
        let identity = self.identity();
        Event {
            destination: Some(self.destination.newest()),
            subject: identity.subject,
            purpose: Some(identity.purpose),
            standing: Some(identity.standing),
            mailbox: identity.mailbox,
            payment: identity.binding,
            ..ctx.event(kind, nth, now)
        }
    }

    /// The fingerprints of the destination's prefix, where it has one.
    pub(super) fn prefix(&self, ctx: &Context) -> Option<Prints> {
        let prefix = self.to.prefix()?;
        Some(
            ctx.keys
                .prints(PrintKind::Prefix, &ctx.service, prefix.as_bytes()),
        )
    }

    /// True when a verification belongs to what the request names. A known caller may meet a verification that was
    /// sent as a stranger, never the other way round.
    pub(super) fn may_meet(&self, verification: &Verification) -> bool {
        let fits = |wanted: Option<&Prints>, found: Option<&Print>| match (wanted, found) {
            (None, None) => true,
            (Some(prints), Some(print)) => prints.contains(print),
            (None, Some(_)) | (Some(_), None) => false,
        };
        verification.identity.standing <= self.standing
            && verification.identity.purpose == self.spelled.purpose
            && fits(self.subject.as_ref(), verification.identity.subject.as_ref())
            && fits(self.binding.as_ref(), verification.identity.binding.as_ref())
            && self.is_delivered_to(verification.identity.mailbox)
            && self.nonce.is_none_or(|nonce| nonce == verification.nonce)
    }

    /// True when this is the mailbox, as delivered, that shares its record with others; a number shares it with none.
    pub(super) fn is_delivered_to(&self, mailbox: Option<Print>) -> bool {
        mailbox.is_none_or(|print| self.delivered.contains(&print))
    }

    /// True when a verification is of the subject that the request names.
    pub(super) fn is_of_subject(&self, verification: &Verification) -> bool {
        let prints = self.subject.as_ref().zip(verification.identity.subject.as_ref());
        prints.is_some_and(|(prints, print)| prints.contains(print))
    }

    /// True when the request has the dimension.
    pub(super) fn has(&self, dimension: Dimension) -> bool {
        match dimension {
            Dimension::Ip | Dimension::Network => self.caller.ip.is_some(),
            Dimension::Subject => self.spelled.subject.is_some(),
            Dimension::Device => self.caller.device.is_some(),
            Dimension::Country => self.to.country().is_some(),
            Dimension::Prefix => self.to.prefix().is_some(),
            Dimension::Asn => self.caller.asn.is_some(),
            Dimension::Destination | Dimension::Service => true,
        }
    }

    /// The raw value of a dimension, empty when the request does not have it.
    pub(super) fn value(&self, dimension: Dimension) -> Value<'_> {
        let value = match dimension {
            Dimension::Ip => self.caller.ip.map(Value::of_address),
            Dimension::Network => self.caller.ip.map(Value::of_network),
            Dimension::Destination => Some(Value::Text(self.to.canonical())),
            Dimension::Subject => self.spelled.subject.as_deref().map(Value::Text),
            Dimension::Device => self.caller.device.as_deref().map(Value::Text),
            Dimension::Country => self
                .to
                .country()
                .map(|country| Value::short(country.as_str().as_bytes())),
            Dimension::Prefix => self.to.prefix().map(Value::Text),
            Dimension::Asn => self.caller.asn.map(|asn| Value::short(&asn.to_be_bytes())),
            Dimension::Service => None,
        };
        value.unwrap_or(Value::Text(""))
    }
}

/// What a limit is counted by, as bytes.
pub(super) enum Value<'a> {
    Text(&'a str),
    Short { bytes: [u8; 8], length: usize },
}

impl Value<'_> {
    /// An address as limits see it: of an IPv6 address its /64.
    fn of_address(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::short(&v4.octets()),
            IpAddr::V6(v6) => Self::short(&v6.octets()),
        }
    }

    /// The network that somebody has who has one address of it: of IPv4 a /24, of IPv6 a /48.
    fn of_network(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(v4) => Self::short(v4.octets().first_chunk::<3>().unwrap_or(&[0; 3])),
            IpAddr::V6(v6) => Self::short(v6.octets().first_chunk::<6>().unwrap_or(&[0; 6])),
        }
    }

    /// At most the first eight bytes.
    fn short(from: &[u8]) -> Self {
        let mut bytes = [0; 8];
        for (slot, byte) in bytes.iter_mut().zip(from) {
            *slot = *byte;
        }
        Self::Short {
            bytes,
            length: from.len(),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Short { bytes, length } => bytes.get(..*length).unwrap_or(bytes),
        }
    }
}

pub(super) fn parsed(ctx: &Context, to: &str, country: Option<Country>) -> Result<Destination, Refusal> {
    ctx.policy.destination(to, country).map_err(|error| {
        let of_country = error == DestinationError::UnknownCountry;
        let field = if of_country { "country" } else { "to" };
        Refusal::new(RefusalCode::InvalidDestination, error.to_string()).field(field)
    })
}

/// The fingerprints of a destination as it stands in identities and tokens.
pub(super) fn delivered(ctx: &Context, to: &Destination) -> Prints {
    let text = to.as_delivered();
    ctx.keys
        .prints(PrintKind::Destination, &ctx.service, text.as_bytes())
}

fn standing(
    ctx: &Context,
    caller: &Caller,
    delivered: &Prints,
    subject: Option<&Prints>,
    now: Timestamp,
) -> Standing {
    let token = caller.device_token.as_ref();
    let opened = token.and_then(|token| ctx.keys.open_token::<DeviceToken>(&ctx.service, now, token).ok());
    let opened = opened.or_else(|| {
        let proof = token.filter(|_| ctx.is_broken(Broken::AcceptTokenOfAnotherKind));
        proof.and_then(|proof| as_device_token(ctx, now, proof))
    });
    let fits = opened.is_some_and(|token| {
        delivered.contains(&token.destination)
            && match (subject, &token.subject) {
                (None, None) => true,
                (Some(prints), Some(print)) => prints.contains(print),
                (None, Some(_)) | (Some(_), None) => false,
            }
    });
    if fits { Standing::Known } else { Standing::Stranger }
}

/// A proof taken for a device token of what it proves, which only a broken machine does.
fn as_device_token(ctx: &Context, now: Timestamp, proof: &str) -> Option<DeviceToken> {
    let proof: ProofToken = ctx.keys.open_token(&ctx.service, now, proof).ok()?;
    Some(DeviceToken {
        destination: proof.destination,
        subject: proof.subject,
        issued: proof.approved_at,
    })
}

fn check_texts(spelled: &Spelled, caller: &Caller) -> Result<(), Refusal> {
    let unfit = |detail: String, field| Err(Refusal::new(RefusalCode::InvalidRequest, detail).field(field));
    let bounded = |text: Option<&String>, most: usize, field: &'static str| match text {
        Some(text) if text.is_empty() || text.len() > most => {
            unfit(format!("must have 1 to {most} bytes"), field)
        }
        Some(_) | None => Ok(()),
    };
    // A person reads them in the message, and they are compared byte by byte: what looks alike must be alike.
    let shown = |text: &String, most, field| {
        match bounded(Some(text), most, field) {
        Ok(()) if text.contains(is_hidden) => unfit(
            "has a line break, a tab, a space that is not the plain one (formatters of currency write such) or a mark that \
             nobody sees; the person is shown this text, so write plain spaces or remove it"
                .into(),
            field,
        ),
        Ok(()) if text.split(' ').any(str::is_empty) => unfit(
            "is blank, or has spaces around it or several in a row; write words with single spaces between them".into(),
            field,
        ),
        checked => checked,
    }
    };
    bounded(spelled.subject.as_ref(), LONGEST_TEXT, "user_id")?;
    if let Some(Payment { amount, payee }) = &spelled.payment {
        shown(amount, LONGEST_AMOUNT, "amount")?;
        shown(payee, LONGEST_TEXT, "payee")?;
    }
    bounded(caller.device.as_ref(), LONGEST_TEXT, "device")?;
    match (spelled.purpose, &spelled.payment) {
        (Purpose::Transaction, None) => Err(Refusal::new(
            RefusalCode::InvalidRequest,
            "a transaction needs an amount and a payee",
        )
        .field("amount")),
        (Purpose::Transaction, Some(_)) => Ok(()),
        (
            Purpose::SignIn
            | Purpose::SignUp
            | Purpose::ChangeDestination
            | Purpose::Recovery
            | Purpose::Manage,
            _,
        ) => Ok(()),
    }
}

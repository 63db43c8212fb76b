//! The small closed words of the domain: channel, purpose, standing, service, subject.
//!
//! Each is an enum without a catch-all, or a checked string, so that adding a channel or a purpose makes the
//! compiler name every place that has to decide about it.
//!
//! A word is written, parsed and kept in JSON as itself:
//!
//! ```
//! use verify_core::outcome::RefusalCode;
//! use verify_core::record::Status;
//! use verify_core::vocabulary::{Channel, Country, ServiceId};
//!
//! assert_eq!("whatsapp".parse::<Channel>()?.to_string(), "whatsapp");
//! assert_eq!("sns".parse::<Channel>().unwrap_err().to_string(), "unknown channel; expected one of sms call whatsapp email");
//! assert_eq!("rate_limited".parse::<RefusalCode>()?.http_status(), 429);
//! assert_eq!("pending".parse::<Status>()?, Status::Pending);
//! assert_eq!("de".parse::<Country>()?.to_string(), "DE");
//! assert_eq!("shop".parse::<ServiceId>()?.as_str(), "shop");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A word that is not in the list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown {what}; expected one of {expected}")]
pub struct UnknownWord {
    /// What kind of word was expected (`channel`, `purpose`).
    pub what: &'static str,
    /// The words that would do, separated by spaces.
    pub expected: &'static str,
}

/// `Display` and `FromStr` of an enum whose every value has a stable word.
macro_rules! spoken {
    ($name:ident, $what:literal, $($word:literal),+) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::vocabulary::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|known| known.as_str() == word).ok_or(Self::Err {
                    what: $what,
                    expected: concat!($(" ", $word),+).trim_ascii_start(),
                })
            }
        }
    };
}

/// An enum of stable words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
        )]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every word, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it stands in policies, requests, answers, events and metrics.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        $crate::vocabulary::spoken!($name, $what, $($word),+);
    };
}

pub(crate) use {spoken, words};

words! {
    /// How a challenge travels.
    Channel, "channel" {
        /// A text message.
        Sms = "sms",
        /// A voice call that reads the code out.
        Call = "call",
        /// A WhatsApp message.
        Whatsapp = "whatsapp",
        /// A mail.
        Email = "email",
    }
}

impl Channel {
    /// True for the channels that reach a phone number; the others reach a mailbox.
    pub const fn reaches_phone(self) -> bool {
        match self {
            Self::Sms | Self::Call | Self::Whatsapp => true,
            Self::Email => false,
        }
    }
}

words! {
    /// Why somebody is verified. A code made for one purpose approves no other.
    Purpose, "purpose" {
        /// Signing in to an account.
        SignIn = "sign_in",
        /// Opening an account; there may be no subject yet.
        SignUp = "sign_up",
        /// Binding a new number or mailbox to an account.
        ChangeDestination = "change_destination",
        /// Getting back into an account.
        Recovery = "recovery",
        /// Confirming an amount and a payee (PSD2 dynamic linking); both are required.
        Transaction = "transaction",
        /// Showing once more who one is before something of an account changes: a number, a factor, a password. The code
        /// goes to what the account has already, never to what is being added.
        Manage = "manage",
    }
}

words! {
    /// Whether the caller showed a device token from an earlier approval of this subject and destination.
    Standing, "standing" {
        /// No device token, or one that does not fit.
        Stranger = "stranger",
        /// A device token that fits.
        Known = "known",
    }
}

words! {
    /// What a limit can be counted by.
    Dimension, "dimension" {
        /// The client's address; an IPv6 address counts as its /64.
        Ip = "ip",
        /// The network of the client's address: of an IPv4 address its /24, of an IPv6 address its /48.
        Network = "network",
        /// The destination's fingerprint.
        Destination = "destination",
        /// The subject's fingerprint.
        Subject = "subject",
        /// A device id that the application passes.
        Device = "device",
        /// The country of the phone number.
        Country = "country",
        /// The phone number without its last four digits.
        Prefix = "prefix",
        /// The autonomous system that the application passes.
        Asn = "asn",
        /// The whole service.
        Service = "service",
    }
}

/// An amount and who gets it, as the person is shown them. Both are compared byte by byte, in the code, the proof and every
/// repeat: `25 USD` is not `25.00 USD`. So that no two look alike and differ, each is words with a single space in between,
/// without line breaks, tabs, no-break spaces (formatters of currency write them) and marks that nobody sees.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payment {
    /// The amount; 1 to 40 bytes.
    pub amount: String,
    /// To whom; 1 to 200 bytes.
    pub payee: String,
}

impl fmt::Debug for Payment {
    /// Neither: both are somebody's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payment").finish_non_exhaustive()
    }
}

/// The policy boundary: a tenant, a product, an environment.
///
/// 1 to 64 characters of `a-z A-Z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId(Arc<str>);

/// A service id that cannot be one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a service id has 1 to 64 characters of a-z A-Z 0-9 . _ -")]
pub struct InvalidServiceId;

impl ServiceId {
    /// A service id from its text.
    ///
    /// # Errors
    /// [`InvalidServiceId`] when it is empty, too long or has other characters.
    pub fn new(id: &str) -> Result<Self, InvalidServiceId> {
        let fits = (1..=64).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if fits {
            Ok(Self(id.into()))
        } else {
            Err(InvalidServiceId)
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for ServiceId {
    fn default() -> Self {
        Self("default".into())
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ServiceId {
    type Err = InvalidServiceId;
    /// As [`ServiceId::new`].
    fn from_str(id: &str) -> Result<Self, InvalidServiceId> {
        Self::new(id)
    }
}

impl TryFrom<String> for ServiceId {
    type Error = InvalidServiceId;
    fn try_from(id: String) -> Result<Self, InvalidServiceId> {
        Self::new(&id)
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.0.as_ref().into()
    }
}

/// A country: two upper-case letters (ISO 3166-1 alpha-2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([u8; 2]);

impl Country {
    /// A country from its two letters, in either case; `None` when it is not two ASCII letters.
    pub fn new(code: &str) -> Option<Self> {
        match code.as_bytes() {
            [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
                Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("ZZ")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Country {
    type Err = UnknownWord;
    /// As [`Country::new`].
    fn from_str(code: &str) -> Result<Self, UnknownWord> {
        Self::new(code).ok_or(UnknownWord {
            what: "country",
            expected: "two letters (ISO 3166-1)",
        })
    }
}

impl TryFrom<String> for Country {
    type Error = UnknownWord;
    fn try_from(code: String) -> Result<Self, UnknownWord> {
        code.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.as_str().into()
    }
}

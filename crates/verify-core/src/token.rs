//! Tokens: sealed texts that carry a fact from one request to the next.
//!
//! A token is bound to its kind, its service and an expiry, and opens without a store or not at all. Spending a
//! proof once, and whether the facts in a token fit the request at hand, is decided elsewhere.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{ApprovalId, Nonce};
use crate::keys::{Keys, Print};
use crate::seal::Use;
use crate::seed::Seed;
use crate::time::Timestamp;
use crate::vocabulary::{Channel, Payment, Purpose, ServiceId, words};

/// The longest token there is, in characters. A longer text is refused before any work is done on it.
pub const MAX_TOKEN: usize = 2048;

/// What a token is for. One kind never opens as another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenKind {
    /// Names a verification; with a code it is enough to check.
    Verification,
    /// Says that a verification was approved.
    Proof,
    /// Refers to a demand for a stronger factor.
    StepUp,
    /// Shows that this device saw an approval before.
    Device,
    /// Leads a provider's report back to its record.
    Delivery,
}

impl TokenKind {
    /// Part of the format.
    const fn tag(self) -> u8 {
        match self {
            Self::Verification => 1,
            Self::Proof => 2,
            Self::StepUp => 3,
            Self::Device => 4,
            Self::Delivery => 5,
        }
    }
}

/// What can travel as a token. The kind belongs to the type, so that no caller can mix two up.
pub trait Token: Serialize + DeserializeOwned {
    /// The kind; each has one type.
    const KIND: TokenKind;
}

/// Why a token does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a token of this kind, service and installation: changed, cut, of another kind, or sealed under a key
    /// that has left the ring. Which of these it is stays unsaid.
    #[error("this is not a valid token here; start again to get one")]
    Malformed,
    /// It was one, and its time is over.
    #[error("this token has expired; start again to get a new one")]
    Expired,
}

/// Why a token cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// It would be longer than [`MAX_TOKEN`] and never open.
    #[error("the token would have more than {MAX_TOKEN} characters; pass a shorter subject, amount or payee")]
    TooLong,
    /// The contents cannot be encoded.
    #[error("the contents of the token cannot be encoded")]
    Encoding,
}

impl Keys {
    /// A token for `contents` that opens in `service` until `expires`, and not at that instant any more.
    ///
    /// URL-safe base64 without padding. One seed may issue any number of tokens.
    ///
    /// # Errors
    /// [`IssueError`] when nothing that opens can be made.
    pub fn issue<T: Token>(
        &self,
        service: &ServiceId,
        expires: Timestamp,
        seed: &Seed,
        contents: &T,
    ) -> Result<String, IssueError> {
        let body = Zeroizing::new(postcard::to_allocvec(contents).map_err(|_| IssueError::Encoding)?);
        self.issue_as(T::KIND, service, expires, seed, &body)
    }

    /// The contents of a token of this kind, issued for `service`, that has not expired at `now`.
    ///
    /// # Errors
    /// [`TokenError::Expired`] for a genuine token whose time is over, [`TokenError::Malformed`] for the rest.
    pub fn open_token<T: Token>(
        &self,
        service: &ServiceId,
        now: Timestamp,
        token: &str,
    ) -> Result<T, TokenError> {
        self.open_as(T::KIND, service, now, token)
    }

    fn issue_as(
        &self,
        kind: TokenKind,
        service: &ServiceId,
        expires: Timestamp,
        seed: &Seed,
        body: &[u8],
    ) -> Result<String, IssueError> {
        let mut plain = Zeroizing::new(Vec::with_capacity(8 + body.len()));
        plain.extend_from_slice(&expires.as_millis().to_be_bytes());
        plain.extend_from_slice(body);
        let sealed = self
            .seal_for(Use::Token, seed, &context(kind, service), &plain)
            .map_err(|_| IssueError::TooLong)?;
        let token = URL_SAFE_NO_PAD.encode(sealed);
        if token.len() <= MAX_TOKEN {
            Ok(token)
        } else {
            Err(IssueError::TooLong)
        }
    }

    fn open_as<T: DeserializeOwned>(
        &self,
        kind: TokenKind,
        service: &ServiceId,
        now: Timestamp,
        token: &str,
    ) -> Result<T, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError::Malformed);
        }
        // This engine refuses padding and stray last bits: a token has one spelling.
        let sealed = URL_SAFE_NO_PAD.decode(token).map_err(|_| TokenError::Malformed)?;
        let plain = self
            .open_for(Use::Token, &context(kind, service), &sealed)
            .ok_or(TokenError::Malformed)?;
        let (expires, body) = plain
            .expose()
            .split_first_chunk::<8>()
            .ok_or(TokenError::Malformed)?;
        if Timestamp::from_millis(u64::from_be_bytes(*expires)) <= now {
            return Err(TokenError::Expired);
        }
        match postcard::take_from_bytes(body) {
            Ok((contents, [])) => Ok(contents),
            Ok(_) | Err(_) => Err(TokenError::Malformed),
        }
    }
}

/// One byte of kind, then the service: no two pairs share their bytes.
fn context(kind: TokenKind, service: &ServiceId) -> Vec<u8> {
    let mut context = vec![kind.tag()];
    context.extend_from_slice(service.as_str().as_bytes());
    context
}

/// A verification's id: everything a check needs besides the code. `Debug` prints the purpose only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationToken {
    /// The verification's own random bytes.
    pub nonce: Nonce,
    /// How many digits its code has: a check by this id judges a guess by it before anything else.
    pub length: u8,
    /// The number, or the mailbox as the send spelled it.
    pub to: String,
    /// The user whom the application named, if any.
    pub subject: Option<String>,
    /// What for.
    pub purpose: Purpose,
    /// What is paid and to whom, for a transaction.
    pub payment: Option<Payment>,
}

impl Token for VerificationToken {
    const KIND: TokenKind = TokenKind::Verification;
}

impl fmt::Debug for VerificationToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerificationToken")
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

/// Says that somebody was verified: for what, how, when. Redeemed once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofToken {
    /// Of the approval; what is remembered once the proof is spent.
    pub id: ApprovalId,
    /// Where the challenge went: of a mailbox as delivered.
    pub destination: Print,
    /// Who, if the application named one.
    pub subject: Option<Print>,
    /// What for.
    pub purpose: Purpose,
    /// Amount and payee, for a transaction.
    pub binding: Option<Print>,
    /// How the challenge travelled.
    pub channel: Channel,
    /// What the approval is worth.
    pub assurance: Assurance,
    /// When the code was accepted.
    pub approved_at: Timestamp,
    /// From this instant on it is worth nothing; a spent id is remembered until then.
    pub expires: Timestamp,
}

impl Token for ProofToken {
    const KIND: TokenKind = TokenKind::Proof;
}

/// Refers to a demand for a stronger factor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepUpToken {
    /// Unique.
    pub id: [u8; 16],
    /// Which destination was not enough: of a mailbox as delivered.
    pub destination: Print,
    /// Who, if the application named one.
    pub subject: Option<Print>,
    /// What for.
    pub purpose: Purpose,
}

impl Token for StepUpToken {
    const KIND: TokenKind = TokenKind::StepUp;
}

/// Shows that an approval of this subject and destination happened before: standing `known`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceToken {
    /// The destination that was approved: of a mailbox as delivered.
    pub destination: Print,
    /// Who, if the application named one.
    pub subject: Option<Print>,
    /// When.
    pub issued: Timestamp,
}

impl Token for DeviceToken {
    const KIND: TokenKind = TokenKind::Device;
}

/// Leads a report about a message back to its record. Short enough for a provider's tag of 128 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryToken {
    /// The record's key.
    pub record: Print,
    /// The verification in the record.
    pub nonce: Nonce,
    /// Which of its deliveries.
    pub delivery: u8,
}

impl Token for DeliveryToken {
    const KIND: TokenKind = TokenKind::Delivery;
}

words! {
    /// What an approval is worth, in the terms of NIST SP 800-63B-4.
    Assurance, "assurance" {
        /// A test destination with a fixed code: nobody was verified.
        Test = "test",
        /// Somebody reads the mailbox. Confirms an address or serves recovery (4.2.1.2), but is no out-of-band
        /// authentication (3.1.3.1).
        MailboxOnly = "mailbox_only",
        /// Somebody holds the phone number: out-of-band over the telephone network, a restricted authenticator
        /// (3.1.3.3 and 3.2.9), to which an alternative has to be offered. A WhatsApp account is only as good as the
        /// number that it was opened with, so it counts the same.
        PhoneRestricted = "phone_restricted",
    }
}

impl Assurance {
    /// What an approval over `channel` is worth when it was a real one.
    pub const fn of(channel: Channel) -> Self {
        if channel.reaches_phone() {
            Self::PhoneRestricted
        } else {
            Self::MailboxOnly
        }
    }

    /// True when nobody was verified.
    pub const fn is_test(self) -> bool {
        match self {
            Self::Test => true,
            Self::MailboxOnly | Self::PhoneRestricted => false,
        }
    }
}

#[cfg(test)]
mod tests;

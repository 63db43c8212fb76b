//! The calls of Verify V2 that a provider needs, each with its exact form.
//!
//! The client does not judge: a wrong code is a plain answer here, and an error says only whether Twilio may have
//! acted. [`crate::provider`] makes the engine's words of it.

use std::fmt;
use std::time::Duration;

use chrono::DateTime;
use verify_core::time::Timestamp;
use verify_core::vocabulary::Payment;

use crate::config::{Config, ConfigError};
use crate::transport::{Call, CallError, Transport, unclear};
use crate::wire::{Attempt, AttemptPage, Service, Verification, VerificationCheck};

/// A listing that is longer is not read: nobody has that many attempts at one destination within minutes.
const MOST_PAGES: usize = 5;
/// Twilio's word for a verification that was ended from outside.
pub(crate) const CANCELED: &str = "canceled";

/// Calls Twilio Verify. Clones share their connections.
#[derive(Clone)]
pub struct TwilioClient {
    transport: Transport,
}

/// A verification to start, or to send again: Twilio makes no difference.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// E.164, or a mailbox.
    pub to: &'a str,
    /// `sms`, `call`, `whatsapp` or `email`.
    pub channel: &'a str,
    /// BCP 47; chosen by the country code when absent.
    pub locale: Option<&'a str>,
    /// What is paid, and to whom.
    pub payment: Option<&'a Payment>,
    /// A JSON object with at most 10 texts of at most 128 characters, which events carry back.
    pub tags: Option<&'a str>,
}

/// Which verification is meant.
#[derive(Clone, Copy)]
pub enum Which<'a> {
    /// The one with this id.
    Sid(&'a str),
    /// The pending one of this destination.
    To(&'a str),
}

/// A code to check.
#[derive(Clone, Copy)]
pub struct Check<'a> {
    /// Of which verification.
    pub which: Which<'a>,
    /// The guess.
    pub code: &'a str,
    /// As at the start.
    pub payment: Option<&'a Payment>,
}

/// Which attempts to list.
#[derive(Clone, Copy)]
pub struct AttemptFilter<'a> {
    /// The Verify Service.
    pub service: &'a str,
    /// E.164, or a mailbox.
    pub to: &'a str,
    /// Made after this …
    pub after: Timestamp,
    /// … and before this. Twilio counts in whole seconds; the range is widened to them.
    pub before: Timestamp,
}

/// A complete listing.
#[derive(Debug, Clone)]
pub struct Attempts {
    /// All of them.
    pub attempts: Vec<Attempt>,
    /// What Twilio's clock said when it answered, if it did.
    pub asked_at: Option<Timestamp>,
}

impl TwilioClient {
    /// A client. Opens no connection.
    ///
    /// # Errors
    /// [`ConfigError`] when the configuration cannot work.
    pub fn new(config: &Config) -> Result<Self, ConfigError> {
        Ok(Self {
            transport: Transport::new(config)?,
        })
    }

    /// Starts a verification, or sends its code again.
    ///
    /// # Errors
    /// [`CallError`]; after [`CallError::Unclear`] a message may be on its way.
    pub async fn start(&self, service: &str, start: &Start<'_>) -> Result<Verification, CallError> {
        let mut form = vec![("To", start.to.to_owned()), ("Channel", start.channel.to_owned())];
        push(&mut form, "Locale", start.locale);
        push_payment(&mut form, start.payment);
        push(&mut form, "Tags", start.tags);
        let url = self.transport.url(&["v2", "Services", service, "Verifications"]);
        self.transport.send(&Call::Post(url, form)).await?.read()
    }

    /// Checks a code. Counts at Twilio, whatever the answer.
    ///
    /// # Errors
    /// [`CallError`]; 20404 means that there is nothing (any more) to check.
    pub async fn check(&self, service: &str, check: &Check<'_>) -> Result<VerificationCheck, CallError> {
        let mut form = vec![match check.which {
            Which::Sid(sid) => ("VerificationSid", sid.to_owned()),
            Which::To(to) => ("To", to.to_owned()),
        }];
        push(&mut form, "Code", Some(check.code));
        push_payment(&mut form, check.payment);
        let url = self
            .transport
            .url(&["v2", "Services", service, "VerificationCheck"]);
        self.transport.send(&Call::Post(url, form)).await?.read()
    }

    /// Reads a verification. Twilio allows 60 readings a minute and 250 a day of each.
    ///
    /// # Errors
    /// [`CallError`]; 20404 for one that has ended.
    pub async fn fetch(&self, service: &str, which: Which<'_>) -> Result<Verification, CallError> {
        let url = self
            .transport
            .url(&["v2", "Services", service, "Verifications", which.key()]);
        self.transport.send(&Call::Get(url)).await?.read()
    }

    /// Ends a verification: its code must not work any more.
    ///
    /// # Errors
    /// [`CallError`]; 20404 for one that has ended already.
    pub async fn cancel(&self, service: &str, which: Which<'_>) -> Result<Verification, CallError> {
        let url = self
            .transport
            .url(&["v2", "Services", service, "Verifications", which.key()]);
        let form = vec![("Status", CANCELED.to_owned())];
        self.transport.send(&Call::Post(url, form)).await?.read()
    }

    /// Lists what was sent to a destination: all of it or an error.
    ///
    /// # Errors
    /// [`CallError`], also for a listing of more than 500 attempts.
    pub async fn attempts(&self, filter: &AttemptFilter<'_>) -> Result<Attempts, CallError> {
        let mut url = self.transport.url(&["v2", "Attempts"]);
        let before = filter.before + Duration::from_millis(999);
        url.query_pairs_mut()
            .append_pair("ChannelData.To", filter.to)
            .append_pair("VerifyServiceSid", filter.service)
            .append_pair("DateCreatedAfter", &iso_8601(filter.after))
            .append_pair("DateCreatedBefore", &iso_8601(before))
            .append_pair("PageSize", "100");
        let mut found = Attempts {
            attempts: Vec::new(),
            asked_at: None,
        };
        for _ in 0..MOST_PAGES {
            let reply = self.transport.send(&Call::Get(url)).await?;
            let page: AttemptPage = reply.read()?;
            // The first page: what was made while the others were read is not in it.
            found.asked_at = found.asked_at.or(reply.date);
            found.attempts.extend(page.attempts);
            match page.meta.next_page_url {
                Some(next) => url = self.transport.same_host(&next)?,
                None => return Ok(found),
            }
        }
        Err(unclear("more attempts than are read"))
    }

    /// Reads a Verify Service. Sends nothing and costs nothing.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn service(&self, service: &str) -> Result<Service, CallError> {
        let url = self.transport.url(&["v2", "Services", service]);
        self.transport.send(&Call::Get(url)).await?.read()
    }
}

impl<'a> Which<'a> {
    /// What stands in the address. Twilio takes the destination there as well as the id.
    const fn key(self) -> &'a str {
        match self {
            Self::Sid(key) | Self::To(key) => key,
        }
    }
}

fn push(form: &mut Vec<(&'static str, String)>, name: &'static str, value: Option<&str>) {
    form.extend(value.map(|value| (name, value.to_owned())));
}

fn push_payment(form: &mut Vec<(&'static str, String)>, payment: Option<&Payment>) {
    push(form, "Amount", payment.map(|payment| payment.amount.as_str()));
    push(form, "Payee", payment.map(|payment| payment.payee.as_str()));
}

/// Whole seconds, cut off; the last instant that can be written when it is too far away.
fn iso_8601(at: Timestamp) -> String {
    let instant = i64::try_from(at.as_millis())
        .ok()
        .and_then(DateTime::from_timestamp_millis);
    instant
        .unwrap_or(DateTime::<chrono::Utc>::MAX_UTC)
        .format("%Y-%m-%dT%H:%M:%SZ")
        .to_string()
}

impl fmt::Debug for TwilioClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TwilioClient").field(&self.transport).finish()
    }
}

macro_rules! quiet_debug {
    ($($name:ident),+) => {$(
        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // They hold numbers, mailboxes and codes.
                f.write_str(stringify!($name))
            }
        }
    )+};
}

quiet_debug!(Start, Which, Check, AttemptFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_whole_seconds() {
        let at = Timestamp::from_millis(1_438_286_400_999);
        assert_eq!(iso_8601(at), "2015-07-30T20:00:00Z");
        assert!(iso_8601(Timestamp::MAX).starts_with('+'));
    }

    #[test]
    fn i65_debug_shows_no_number_and_no_code() {
        let check = Check {
            which: Which::To("+12025550110"),
            code: "483920",
            payment: None,
        };
        assert_eq!(format!("{check:?} {:?}", check.which), "Check Which");
    }
}

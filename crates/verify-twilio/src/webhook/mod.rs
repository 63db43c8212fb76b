//! What Twilio calls back with: checked first, then read.
//!
//! A report says what became of a delivery, and never that a code was right. [`Webhooks`] is all that a server needs, whichever
//! framework it has; with axum `verify_axum::webhook` makes a route of it:
//!
//! ```
//! use verify_core::secret::SecretString;
//! use verify_twilio::webhook::{Kind, Webhooks};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let token = SecretString::new("the account's auth token".to_owned());
//! let webhooks = Webhooks::new([token], "https://shop.example.com")?;
//!
//! // Of the request: path and query as they came, the headers by their names, the body's bytes.
//! let called = webhooks.read(Kind::VerifyEvents, "/webhooks/twilio", |_| None, b"[]");
//! assert!(called.is_err(), "nobody signed it, so it reports nothing");
//! # Ok(())
//! # }
//! ```

mod status;

pub(crate) use status::message_report;
pub use status::{REFERENCE_PARAMETER, call_status, message_status};

use verify_core::command::ReportRequest;
use verify_core::secret::SecretString;

use crate::events::message_events;
use crate::signature::{Body, Mismatch, NoToken, Validator};

/// The header that holds the signature. What has none is not worth reading.
pub const SIGNATURE: &str = "x-twilio-signature";
const CONTENT_TYPE: &str = "content-type";
const IDEMPOTENCY_TOKEN: &str = "i-twilio-idempotency-token";

/// Which webhook was called: a route for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Event Streams: a list of events, which is how Twilio Verify reports.
    VerifyEvents,
    /// The status callback of a message.
    SmsStatus,
    /// The status callback of a call.
    VoiceStatus,
}

/// Why a webhook changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not known to come from Twilio.
    #[error(transparent)]
    NotSigned(Mismatch),
    /// It is genuine, and not what its route expects.
    #[error(transparent)]
    Unreadable(Unreadable),
}

/// A genuine request that is not what its route expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// A field that such a callback always has is missing.
    #[error("the callback has no {0}; check which callback is configured for this url")]
    Missing(&'static str),
    /// Not a JSON list of events.
    #[error("the body is not a json list of events; check the sink's configuration")]
    NotEvents,
}

/// Checks and reads webhooks.
#[derive(Debug, Clone)]
pub struct Webhooks {
    validator: Validator,
    public_url: String,
}

impl Webhooks {
    /// Webhooks that are signed with these auth tokens (the account's primary one, and the next while it is rotated) and sent to
    /// this base of a URL: scheme, host, and what a proxy takes away from the path.
    ///
    /// # Errors
    /// [`NoToken`] when there is none, or an empty one.
    pub fn new(
        tokens: impl IntoIterator<Item = SecretString>,
        public_url: impl AsRef<str>,
    ) -> Result<Self, NoToken> {
        Ok(Self {
            validator: Validator::new(tokens)?,
            public_url: public_url.as_ref().trim_end_matches('/').to_owned(),
        })
    }

    /// What a webhook reports, for the default service. The URL is the configured base with this path and query as they came;
    /// `header` looks a header up by its name in lower case, and none that names a host is asked for.
    ///
    /// # Errors
    /// [`Refused`] when it is not genuine or not readable. It is for operators.
    pub fn read<'a>(
        &self,
        kind: Kind,
        path_and_query: &str,
        header: impl Fn(&'static str) -> Option<&'a str>,
        body: &[u8],
    ) -> Result<Vec<ReportRequest>, Refused> {
        let url = format!("{}{path_and_query}", self.public_url);
        let form = form(header(CONTENT_TYPE).unwrap_or_default(), body);
        let signed = form.as_deref().map_or(Body::Raw(body), Body::Form);
        self.validator
            .validate(&url, header(SIGNATURE).unwrap_or_default(), signed)
            .map_err(Refused::NotSigned)?;
        let form = form.unwrap_or_default();
        let token = header(IDEMPOTENCY_TOKEN);
        match kind {
            Kind::VerifyEvents => message_events(body),
            Kind::SmsStatus => message_status(&url, &form, token),
            Kind::VoiceStatus => call_status(&url, &form, token),
        }
        .map_err(Refused::Unreadable)
    }
}

/// The fields of a form; `None` for any other body.
pub fn form(content_type: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        .then(|| form_urlencoded::parse(body).into_owned().collect())
}

//! Webhooks of Twilio: whether they are genuine, and what they report.

use axum::http::{HeaderMap, HeaderName, header};
use std::collections::BTreeSet;
use std::sync::Arc;
use verify_core::command::ReportRequest;
use verify_core::keys::Keys;
use verify_core::secret::SecretString;
use verify_core::time::Timestamp;
use verify_core::token::DeliveryToken;
use verify_core::vocabulary::ServiceId;
use verify_twilio::events::message_events;
use verify_twilio::signature::{Body, Mismatch, Validator, Variant};
use verify_twilio::webhook::{Inbound, Unreadable, call_status, message_status};

use crate::cli::WebhookCheck;
use crate::environment::Environment;
use crate::tools::Said;

/// The header that holds the signature.
pub const SIGNATURE: HeaderName = HeaderName::from_static("x-twilio-signature");
const IDEMPOTENCY_TOKEN: HeaderName = HeaderName::from_static("i-twilio-idempotency-token");

/// Which webhook was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Event Streams: a list of events.
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
    #[error("{reason}; tried: {tried}", reason = .0.reason, tried = spellings(&.0.tried))]
    NotSigned(Mismatch),
    /// It is genuine, and not what this route expects.
    #[error(transparent)]
    Unreadable(Unreadable),
}

/// Checks and reads webhooks.
pub struct Webhooks {
    validator: Validator,
    public_url: String,
    keys: Arc<Keys>,
    services: Vec<ServiceId>,
}

impl Webhooks {
    /// Webhooks signed with these tokens and sent to this base of a URL; `None` where either is missing.
    pub fn new(
        tokens: Vec<SecretString>,
        public_url: Option<String>,
        keys: &Keys,
        services: &BTreeSet<ServiceId>,
    ) -> Option<Self> {
        Some(Self {
            validator: Validator::new(tokens).ok()?,
            public_url: public_url?,
            keys: Arc::new(keys.clone()),
            services: services.iter().cloned().collect(),
        })
    }

    /// What a webhook reports. The URL is the configured base with this path and query; no header is believed.
    ///
    /// # Errors
    /// [`Refused`] when it is not genuine or not readable.
    pub fn read(
        &self,
        kind: Kind,
        path_and_query: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<Inbound>, Refused> {
        let url = format!("{}{path_and_query}", self.public_url);
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let form = form(text(header::CONTENT_TYPE).unwrap_or_default(), body);
        let signed = form.as_deref().map_or(Body::Raw(body), Body::Form);
        self.validator
            .validate(&url, text(SIGNATURE).unwrap_or_default(), signed)
            .map_err(Refused::NotSigned)?;
        let form = form.unwrap_or_default();
        let token = text(IDEMPOTENCY_TOKEN);
        match kind {
            Kind::VerifyEvents => message_events(body),
            Kind::SmsStatus => message_status(&url, &form, token),
            Kind::VoiceStatus => call_status(&url, &form, token),
        }
        .map_err(Refused::Unreadable)
    }

    /// The command for a report; `None` when its reference opens for no service here.
    pub fn command(&self, inbound: Inbound, now: Timestamp) -> Option<ReportRequest> {
        let opens = |service: &&ServiceId| {
            self.keys
                .open_token::<DeliveryToken>(service, now, &inbound.reference)
                .is_ok()
        };
        let service = self.services.iter().find(opens)?.clone();
        Some(ReportRequest {
            service,
            reference: inbound.reference,
            report: inbound.report,
            dedupe: inbound.dedupe,
        })
    }
}

/// `webhook check`: which spelling of the URL a signature fits.
pub fn check_by_hand(check: &WebhookCheck, environment: &Environment<'_>) -> Said {
    let mut faults = Vec::new();
    let tokens: Vec<SecretString> = ["TWILIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN_SECONDARY"]
        .iter()
        .filter_map(|name| environment.get_or_file(name, &mut faults))
        .map(SecretString::new)
        .collect();
    if !faults.is_empty() {
        return Said::misused(faults.join("\n"));
    }
    let Ok(validator) = Validator::new(tokens) else {
        return Said::misused("TWILIO_AUTH_TOKEN: needed; webhooks are signed with the account's auth token");
    };
    let body = match std::fs::read(&check.body_file) {
        Ok(body) => body,
        Err(error) => {
            return Said::misused(format!(
                "--body-file: cannot read {}: {}",
                check.body_file.display(),
                error.kind()
            ));
        }
    };
    let form = form(&check.content_type, &body);
    let signed = form.as_deref().map_or(Body::Raw(&body), Body::Form);
    match validator.validate(&check.url, &check.signature, signed) {
        Ok(variant) => Said::well(format!("the signature fits: {variant}")),
        Err(mismatch) => Said::no(format!(
            "the signature does not fit: {}\ntried: {}",
            mismatch.reason,
            spellings(&mismatch.tried)
        )),
    }
}

/// The fields of a form; `None` for any other body.
fn form(content_type: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence
        .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        .then(|| form_urlencoded::parse(body).into_owned().collect())
}

fn spellings(tried: &[Variant]) -> String {
    if tried.is_empty() {
        return "nothing".to_owned();
    }
    tried
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

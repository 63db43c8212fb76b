//! Webhooks of Twilio: whether they are genuine, and what they report.

use std::collections::BTreeSet;
use std::sync::Arc;

use verify_axum::Called;
use verify_core::command::ReportRequest;
use verify_core::keys::Keys;
use verify_core::secret::SecretString;
use verify_core::time::Timestamp;
use verify_core::token::DeliveryToken;
use verify_core::vocabulary::ServiceId;
use verify_twilio::signature::{Body, Validator};
use verify_twilio::webhook::{self, Kind, Refused, form};

use crate::cli::WebhookCheck;
use crate::environment::Environment;
use crate::tools::Said;

/// Checks and reads webhooks, and finds the service that each report is of.
pub struct Webhooks {
    twilio: webhook::Webhooks,
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
            twilio: webhook::Webhooks::new(tokens, public_url?).ok()?,
            keys: Arc::new(keys.clone()),
            services: services.iter().cloned().collect(),
        })
    }

    /// What a webhook reports.
    ///
    /// # Errors
    /// [`Refused`] when it is not genuine or not readable.
    pub fn read(&self, kind: Kind, called: &Called) -> Result<Vec<ReportRequest>, Refused> {
        let header = |name| called.header(name);
        self.twilio
            .read(kind, called.path_and_query(), header, called.body())
    }

    /// A report in the service in which its reference opens; `None` when there is no such service here.
    pub fn placed(&self, report: ReportRequest, now: Timestamp) -> Option<ReportRequest> {
        let opens = |service: &&ServiceId| {
            self.keys
                .open_token::<DeliveryToken>(service, now, &report.reference)
                .is_ok()
        };
        let service = self.services.iter().find(opens)?.clone();
        Some(report.service(service))
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
        Err(mismatch) => Said::no(mismatch.to_string()),
    }
}

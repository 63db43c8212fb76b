//! What stands in the policy's file and is not policy: where a provider is reached, by which credentials, what is logged.
//!
//! Secrets are never in the file: it names the environment variables that hold them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::file::{Read, Section, env_name, is_name, list, unshown_text, word, words, wrong};
use crate::vocabulary::{Purpose, ServiceId};

/// What the file says to the host. Everything is optional; the host has defaults of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSettings {
    /// The Twilio account, its credentials by reference, and where it is reached.
    pub twilio: TwilioSettings,
    /// The Twilio Verify Services.
    pub verify_services: VerifyServices,
    /// What is logged.
    pub logging: LoggingSettings,
    /// The environment variable that holds the key of fingerprints.
    pub hmac_key_env: Option<String>,
    /// The environment variable that holds the token by which webhooks are verified.
    pub webhook_auth_token_env: Option<String>,
}

/// The Twilio account, its credentials by reference, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TwilioSettings {
    /// The account's SID (`AC` and 32 hexadecimal digits; another length is only warned of).
    pub account_sid: Option<String>,
    /// The environment variable that holds the account's SID.
    pub account_sid_env: Option<String>,
    /// Which credentials call the API.
    pub auth_mode: Option<AuthMode>,
    /// The environment variable that holds the API key's SID.
    pub api_key_sid_env: Option<String>,
    /// The environment variable that holds the API key's secret.
    pub api_key_secret_env: Option<String>,
    /// The environment variable that holds the auth token.
    pub auth_token_env: Option<String>,
    /// The region, such as `us1` or `ie1`.
    pub region: Option<String>,
    /// The edge, such as `ashburn` or `dublin`.
    pub edge: Option<String>,
}

/// Which credentials call Twilio's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// An API key and its secret.
    ApiKey,
    /// The account's auth token.
    AuthToken,
}

words! { AuthMode { ApiKey = "api_key", AuthToken = "auth_token" } }

/// The Twilio Verify Services: one for all, and those of services and purposes that have their own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyServices {
    /// For whatever has none of its own.
    pub default: Option<String>,
    /// By purpose, for services that name none.
    pub purposes: BTreeMap<Purpose, String>,
    /// By service.
    pub services: BTreeMap<ServiceId, String>,
    /// By service and purpose.
    pub service_purposes: BTreeMap<(ServiceId, Purpose), String>,
}

impl VerifyServices {
    /// Reads the Verify Service of a service, a purpose, or a purpose of a service.
    pub(super) fn read(
        &mut self,
        service: Option<&ServiceId>,
        purpose: Option<Purpose>,
        section: &mut Section<'_, '_>,
    ) {
        let Some(sid) = read_verify_service(section, "verify_service_sid") else {
            return;
        };
        match (service.cloned(), purpose) {
            (Some(service), Some(purpose)) => drop(self.service_purposes.insert((service, purpose), sid)),
            (Some(service), None) => drop(self.services.insert(service, sid)),
            (None, Some(purpose)) => drop(self.purposes.insert(purpose, sid)),
            (None, None) => self.default = Some(sid),
        }
    }

    /// The Verify Service for a verification: the one of service and purpose, else of the service, else of the
    /// purpose, else the default. A service's own comes before a purpose's, so that tenants stay apart.
    pub fn of(&self, service: &ServiceId, purpose: Purpose) -> Option<&str> {
        self.service_purposes
            .get(&(service.clone(), purpose))
            .or_else(|| self.services.get(service))
            .or_else(|| self.purposes.get(&purpose))
            .or(self.default.as_ref())
            .map(String::as_str)
    }
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LoggingSettings {
    /// More fields to redact, besides those that always are.
    pub redact_fields: Vec<String>,
    /// From which level on.
    pub level: Option<LogLevel>,
}

/// A log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What needs somebody now.
    Error,
    /// What may need somebody.
    Warn,
    /// What happened.
    Info,
    /// How it came about.
    Debug,
    /// Everything.
    Trace,
}

words! {
    LogLevel { Error = "error", Warn = "warn", Info = "info", Debug = "debug", Trace = "trace" }
}

/// Reads the host's sections of the file's root.
pub(super) fn read_host(root: &mut Section<'_, '_>, host: &mut HostSettings) {
    root.within("twilio", |twilio| read_twilio(twilio, &mut host.twilio));
    root.within("logging", |logging| {
        logging.set("redact_fields", &mut host.logging.redact_fields, list(field));
        host.logging.level = logging.optional("log_level", word);
    });
    root.within("security", |security| {
        host.hmac_key_env = security.optional("hmac_key_env", env_name);
        host.webhook_auth_token_env = security.optional("webhook_auth_token_env", env_name);
    });
}

fn read_twilio(section: &mut Section<'_, '_>, twilio: &mut TwilioSettings) {
    twilio.account_sid = read_sid(section, "account_sid", "AC");
    twilio.account_sid_env = section.optional("account_sid_env", env_name);
    twilio.auth_mode = section.optional("auth_mode", word);
    twilio.api_key_sid_env = section.optional("api_key_sid_env", env_name);
    twilio.api_key_secret_env = section.optional("api_key_secret_env", env_name);
    twilio.auth_token_env = section.optional("auth_token_env", env_name);
    twilio.region = section.optional("region", host_label);
    twilio.edge = section.optional("edge", host_label);
    if twilio.account_sid.is_some() && twilio.account_sid_env.is_some() {
        section.fault("account_sid_env", "found account_sid too; one of them would do");
    }
    if twilio.edge.is_none() && twilio.region.as_deref().is_some_and(|region| region != "us1") {
        let path = section.path_of("region");
        section.report().warning(
            &path,
            "a region other than us1 is reached only with its edge; name the edge too",
        );
    }
}

/// Reads the SID of a Verify Service.
pub(super) fn read_verify_service(section: &mut Section<'_, '_>, key: &str) -> Option<String> {
    read_sid(section, key, "VA")
}

/// Reads a SID. Another length than Twilio's is a warning; another kind is a fault. What stands there is not
/// repeated: it may be a secret in the wrong place.
fn read_sid(section: &mut Section<'_, '_>, key: &str, kind: &str) -> Option<String> {
    const LENGTH: usize = 34;
    let wanted = format!("a SID of {kind} and 32 hexadecimal digits");
    let sid = section.optional(key, |value| {
        unshown_text(value, &wanted, |text| {
            text.len() <= 64
                && text
                    .strip_prefix(kind)
                    .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()))
        })
    })?;
    if sid.len() != LENGTH {
        let path = section.path_of(key);
        let digits = sid.len() - kind.len();
        section.report().warning(
            &path,
            format!("a SID has 32 hexadecimal digits after {kind}, this one has {digits}"),
        );
    }
    Some(sid)
}

/// A part of a host name.
fn host_label(value: &Value) -> Read<String> {
    let fits = |text: &&str| {
        (1..=32).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    let found = value.as_str().filter(fits).map(str::to_owned);
    found.ok_or_else(|| {
        wrong(
            value,
            "a part of a host name (a-z 0-9 -), such as \"us1\" or \"dublin\",",
        )
    })
}

fn field(value: &Value) -> Read<String> {
    let found = value.as_str().filter(|text| is_name(text)).map(str::to_owned);
    found.ok_or_else(|| wrong(value, "a list of field names"))
}

//! The Twilio account: credentials by reference, all or none.

use std::collections::BTreeSet;

use verify_core::secret::SecretString;
use verify_core::vocabulary::ServiceId;
use verify_twilio::{AuthMode, Config, Credentials, TwilioSettings, VerifyServices};

use super::Goal;
use crate::environment::Environment;

/// What a real gateway needs of Twilio, by the names of the variables.
pub(super) const NEEDED: [&str; 4] = [
    "TWILIO_ACCOUNT_SID",
    "TWILIO_API_KEY_SID",
    "TWILIO_API_KEY_SECRET",
    "TWILIO_VERIFY_SERVICE_SID",
];

/// A Twilio account and how to reach it.
#[derive(Debug)]
pub struct TwilioAccount {
    /// Where it is called, and as whom.
    pub api: Config,
    /// What the file says, and the environment over it.
    pub settings: TwilioSettings,
    /// The tokens that webhooks may be signed with; a second one while they are rotated.
    pub webhook_tokens: Vec<SecretString>,
}

/// The account; `None` when nothing names one, which means demo mode. Some of it without the rest is a fault, and so are services
/// that share a Verify Service without a word.
pub(super) fn read(
    file: &TwilioSettings,
    environment: &Environment<'_>,
    goal: Goal,
    services: &BTreeSet<ServiceId>,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<TwilioAccount> {
    let names = Names::of(file);
    let mut verify_services = file.services.clone();
    let from_env = environment.get_or_file("TWILIO_VERIFY_SERVICE_SID", faults);
    let mut found = Found {
        account_sid: environment.get_or_file(&names.account_sid, faults),
        key_sid: environment.get_or_file(&names.key_sid, faults),
        key_secret: environment.get_or_file(&names.key_secret, faults),
        auth_token: environment.get_or_file(&names.auth_token, faults),
    };
    let in_environment = found.any() || from_env.is_some();
    verify_services.default = from_env.or(verify_services.default);
    found.account_sid = found.account_sid.or_else(|| file.account_sid.clone());

    let by_token = file.auth_mode == Some(AuthMode::AuthToken);
    let missing = found.missing(&names, by_token, verify_services.default.is_some());
    if !in_environment && (found.account_sid.is_none() || goal == Goal::Check) {
        if found.account_sid.is_some() {
            notes.push(format!(
                "the file names a Twilio account; to serve, set {} too",
                missing.join(", ")
            ));
        }
        return None;
    }
    if !missing.is_empty() {
        faults.push(format!(
            "{}: missing, while other Twilio credentials are set; set all of them, or none for demo mode",
            missing.join(", ")
        ));
        return None;
    }
    if let Err(error) = verify_services.scopes(services) {
        faults.push(format!("twilio: {error}"));
    }
    found.into_account(file, environment, verify_services, by_token, faults)
}

/// The names of the variables; the file may choose its own.
struct Names {
    account_sid: String,
    key_sid: String,
    key_secret: String,
    auth_token: String,
    webhook_token: Option<String>,
}

impl Names {
    fn of(file: &TwilioSettings) -> Self {
        let or =
            |named: &Option<String>, standard: &str| named.clone().unwrap_or_else(|| standard.to_owned());
        let TwilioSettings {
            account_sid_env,
            api_key_sid_env,
            api_key_secret_env,
            auth_token_env,
            webhook_auth_token_env,
            ..
        } = file;
        Self {
            account_sid: or(account_sid_env, "TWILIO_ACCOUNT_SID"),
            key_sid: or(api_key_sid_env, "TWILIO_API_KEY_SID"),
            key_secret: or(api_key_secret_env, "TWILIO_API_KEY_SECRET"),
            auth_token: or(auth_token_env, "TWILIO_AUTH_TOKEN"),
            webhook_token: webhook_auth_token_env.clone(),
        }
    }
}

struct Found {
    account_sid: Option<String>,
    key_sid: Option<String>,
    key_secret: Option<String>,
    auth_token: Option<String>,
}

impl Found {
    fn any(&self) -> bool {
        [
            &self.account_sid,
            &self.key_sid,
            &self.key_secret,
            &self.auth_token,
        ]
        .iter()
        .any(|value| value.is_some())
    }

    fn missing(&self, names: &Names, by_token: bool, service: bool) -> Vec<String> {
        let mut needed = vec![(&names.account_sid, self.account_sid.is_some())];
        if by_token {
            needed.push((&names.auth_token, self.auth_token.is_some()));
        } else {
            needed.push((&names.key_sid, self.key_sid.is_some()));
            needed.push((&names.key_secret, self.key_secret.is_some()));
        }
        let service_name = "TWILIO_VERIFY_SERVICE_SID".to_owned();
        needed.push((&service_name, service));
        needed
            .into_iter()
            .filter(|(_, there)| !there)
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn into_account(
        self,
        file: &TwilioSettings,
        environment: &Environment<'_>,
        services: VerifyServices,
        by_token: bool,
        faults: &mut Vec<String>,
    ) -> Option<TwilioAccount> {
        let names = Names::of(file);
        let of_webhooks = names
            .webhook_token
            .as_deref()
            .filter(|name| *name != names.auth_token);
        let of_webhooks = of_webhooks.and_then(|name| environment.get_or_file(name, faults));
        let second = environment.get_or_file("TWILIO_AUTH_TOKEN_SECONDARY", faults);
        let credentials = if by_token {
            Credentials::AuthToken {
                token: SecretString::new(self.auth_token.clone()?),
            }
        } else {
            Credentials::ApiKey {
                sid: self.key_sid?,
                secret: SecretString::new(self.key_secret?),
            }
        };
        let settings = TwilioSettings {
            account_sid: self.account_sid,
            region: environment.get("TWILIO_REGION").or_else(|| file.region.clone()),
            edge: environment.get("TWILIO_EDGE").or_else(|| file.edge.clone()),
            services,
            ..file.clone()
        };
        // There is an account: nothing was missing.
        let api = Config {
            base_url: environment.get("TWILIO_BASE_URL"),
            ..settings.config(credentials).ok()?
        };
        if let Err(error) = api.base() {
            faults.push(format!("twilio: {error}"));
        }
        let webhook_tokens = of_webhooks
            .or(self.auth_token)
            .into_iter()
            .chain(second)
            .map(SecretString::new);
        Some(TwilioAccount {
            api,
            settings,
            webhook_tokens: webhook_tokens.collect(),
        })
    }
}

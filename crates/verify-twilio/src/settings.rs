//! What a policy file says of Twilio: the account, its credentials by reference, where it is reached, the Verify Services.
//!
//! Secrets are never in the file: it names the environment variables that hold them. The keys are in the reference of
//! policy files, under *What is not policy*.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use verify_core::policy::file::{Read, Section, Word, env_name, list, unshown_text, word, wrong};
use verify_core::policy::{Place, PolicyFile, PolicySet};
use verify_core::port::Scopes;
use verify_core::vocabulary::{Purpose, ServiceId};

use crate::client::TwilioClient;
use crate::config::{Config, ConfigError, Credentials, is_label};
use crate::provider::TwilioVerify;

/// The name of the provider, in records and routes, and whose keys they are in a file.
const NAME: &str = "twilio";

/// What a policy file says of Twilio. Everything is optional; the application has defaults of its own.
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
    /// The environment variable that holds the token by which webhooks are verified.
    pub webhook_auth_token_env: Option<String>,
    /// The Verify Services.
    pub services: VerifyServices,
}

/// Which credentials call Twilio's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// An API key and its secret.
    ApiKey,
    /// The account's auth token.
    AuthToken,
}

impl Word for AuthMode {
    const ALL: &'static [Self] = &[Self::ApiKey, Self::AuthToken];

    fn word(self) -> &'static str {
        match self {
            Self::ApiKey => "api_key",
            Self::AuthToken => "auth_token",
        }
    }
}

impl TwilioSettings {
    /// Reads what is Twilio's in a policy file: `[twilio]`, `service_sid` and `shared` in `[verify]`, `verify_service_sid`
    /// at services and purposes, and `webhook_auth_token_env` in `[security]`.
    ///
    /// What is wrong there comes out of [`PolicyFile::policies`], together with the faults of the policy. What was read is
    /// worth nothing before that, and has no effect before [`provider`](Self::provider): without that call no engine is built
    /// from the policies.
    ///
    /// ```
    /// use verify_core::policy::PolicyFile;
    /// use verify_core::secret::SecretString;
    /// use verify_twilio::{Credentials, TwilioSettings};
    ///
    /// # fn read(text: &str, variable: impl Fn(&str) -> Option<String>) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut file = PolicyFile::from_toml(text)?;
    /// let twilio = TwilioSettings::read(&mut file);
    /// let mut policies = file.policies()?.policies; // every fault of the file, Twilio's sections included
    ///
    /// let token = twilio.auth_token_env.as_deref().and_then(variable).ok_or("no auth token")?;
    /// let account = twilio.config(Credentials::AuthToken { token: SecretString::new(token) })?;
    /// let provider = twilio.provider(&account, &mut policies, [])?;
    /// // Engine::builder().policy(policies).provider(provider) …
    /// # let _ = provider;
    /// # Ok(())
    /// # }
    /// # let text = "[twilio]\naccount_sid = \"AC00000000000000000000000000000000\"\nauth_token_env = \"TOKEN\"\n\
    /// #     [verify]\nservice_sid = \"VA00000000000000000000000000000000\"";
    /// # read(text, |name| (name == "TOKEN").then(|| "secret".to_owned())).unwrap();
    /// ```
    pub fn read(file: &mut PolicyFile) -> Self {
        let mut settings = Self::default();
        file.backend(NAME, "TwilioSettings::provider", |file| {
            settings.services = VerifyServices::read(file);
            file.section("twilio", |twilio| settings.read_account(twilio));
            file.section("security", |security| {
                settings.webhook_auth_token_env = security.optional("webhook_auth_token_env", env_name);
            });
        });
        settings
    }

    /// The account, with the region and edge that the file names. Where the file names a variable that holds its SID, that
    /// is put into `account_sid` first.
    ///
    /// # Errors
    /// [`ConfigError::Empty`] without an account.
    pub fn config(&self, credentials: Credentials) -> Result<Config, ConfigError> {
        let account_sid = self.account_sid.clone().filter(|sid| !sid.is_empty());
        let account_sid = account_sid.ok_or(ConfigError::Empty {
            what: "the account sid (twilio.account_sid)",
        })?;
        Ok(Config {
            region: self.region.clone(),
            edge: self.edge.clone(),
            ..Config::new(account_sid, credentials)
        })
    }

    /// The provider `twilio` at an account, each service and purpose in the Verify Service that the file gives it: client
    /// and scopes in one. It takes up what the file says, so that an engine is built from the policies.
    ///
    /// `services`: those that commands come for; none means the default one. Those that have a policy of their own are among
    /// them anyway. One that is not gets the default Verify Service for every purpose.
    ///
    /// # Errors
    /// [`ConfigError`] where Twilio cannot be called so, or where nothing says which Verify Service is the default.
    pub fn provider<'a>(
        &self,
        account: &Config,
        policies: &mut PolicySet,
        services: impl IntoIterator<Item = &'a ServiceId>,
    ) -> Result<TwilioVerify, ConfigError> {
        if self.services.default.is_none() {
            return Err(ConfigError::Empty {
                what: "the default verify service (verify.service_sid)",
            });
        }
        let mut all: BTreeSet<ServiceId> = services.into_iter().cloned().collect();
        if all.is_empty() {
            all.insert(ServiceId::default());
        }
        all.extend(policies.services.keys().cloned());
        let scopes = self.services.scopes(&all)?;
        let provider = TwilioVerify::new(NAME, TwilioClient::new(account)?, scopes);
        policies.take_up(NAME);
        Ok(provider)
    }

    fn read_account(&mut self, section: &mut Section<'_, '_>) {
        self.account_sid = read_sid(section, "account_sid", "AC");
        self.account_sid_env = section.optional("account_sid_env", env_name);
        self.auth_mode = section.optional("auth_mode", word);
        self.api_key_sid_env = section.optional("api_key_sid_env", env_name);
        self.api_key_secret_env = section.optional("api_key_secret_env", env_name);
        self.auth_token_env = section.optional("auth_token_env", env_name);
        self.region = section.optional("region", host_label);
        self.edge = section.optional("edge", host_label);
        if self.account_sid.is_some() && self.account_sid_env.is_some() {
            section.fault("account_sid_env", "found account_sid too; one of them would do");
        }
        if self.edge.is_none() && self.region.as_deref().is_some_and(|region| region != "us1") {
            let message = "a region other than us1 is reached only with its edge; name the edge too";
            section.warning("region", message);
        }
    }
}

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
    /// Services that may be on one Verify Service, though a code of one is right at the others then.
    pub shared: BTreeSet<ServiceId>,
}

impl VerifyServices {
    fn read(file: &mut PolicyFile) -> Self {
        let mut found = Self::default();
        file.section("verify", |verify| {
            found.default = read_sid(verify, "service_sid", "VA");
            let shared = verify.optional("shared", list(service_id)).unwrap_or_default();
            if let [alone] = shared.as_slice() {
                let message = format!("changes nothing: found {alone} alone, and it takes two to share");
                verify.warning("shared", message);
            }
            found.shared = shared.into_iter().collect();
        });
        file.services_and_purposes(|place, section| {
            let Some(sid) = read_sid(section, "verify_service_sid", "VA") else {
                return;
            };
            match place {
                Place::Service(service) => drop(found.services.insert(service.clone(), sid)),
                Place::Purpose(purpose) => drop(found.purposes.insert(purpose, sid)),
                Place::PurposeOfService(service, purpose) => {
                    found.service_purposes.insert((service.clone(), purpose), sid);
                }
            }
        });
        found
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

    /// Where codes are valid. All services must be named that there are: the Verify Service of a purpose holds for those
    /// that have none of their own. An engine takes no policy for a service that is not named here.
    ///
    /// # Errors
    /// [`ConfigError::SharedVerifyService`] where several services are on one Verify Service, whatever the purposes, and
    /// [`shared`](Self::shared) does not name all of them.
    pub fn scopes<'a>(
        &self,
        services: impl IntoIterator<Item = &'a ServiceId>,
    ) -> Result<Scopes, ConfigError> {
        let mut named = BTreeMap::new();
        let mut on_each: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let mut unsaid = BTreeSet::new();
        for service in services {
            for purpose in Purpose::ALL {
                let Some(sid) = self.of(service, *purpose) else {
                    continue;
                };
                named.insert((service.clone(), Some(*purpose)), sid.into());
                on_each.entry(sid).or_default().insert(service.as_str());
                if !self.shared.contains(service) {
                    unsaid.insert(sid);
                }
            }
        }
        on_each.retain(|sid, services| services.len() > 1 && unsaid.contains(sid));
        if on_each.is_empty() {
            let default = self.default.as_deref().unwrap_or_default().into();
            return Ok(Scopes { default, named });
        }
        let found = on_each.into_iter().map(|(sid, services)| {
            let services: Vec<&str> = services.into_iter().collect();
            format!("{} on {}", services.join(", "), masked(sid))
        });
        let found: Vec<String> = found.collect();
        Err(ConfigError::SharedVerifyService {
            found: found.join("; "),
        })
    }
}

/// Enough of a SID to find it by.
fn masked(sid: &str) -> String {
    let from = sid.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
    format!("VA…{}", sid.get(from..).unwrap_or_default())
}

fn service_id(value: &Value) -> Read<ServiceId> {
    let found = value.as_str().and_then(|text| ServiceId::new(text).ok());
    found.ok_or_else(|| wrong(value, "a service id, 1 to 64 characters of a-z A-Z 0-9 . _ -,"))
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
        let digits = sid.len() - kind.len();
        let message = format!("a SID has 32 hexadecimal digits after {kind}, this one has {digits}");
        section.warning(key, message);
    }
    Some(sid)
}

/// A part of a host name.
fn host_label(value: &Value) -> Read<String> {
    let found = value.as_str().filter(|text| !text.is_empty() && is_label(text));
    found.map(str::to_owned).ok_or_else(|| {
        wrong(
            value,
            "a part of a host name (a-z 0-9 -), such as \"us1\" or \"dublin\",",
        )
    })
}

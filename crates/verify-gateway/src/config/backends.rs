//! Who sends. A new provider is an arm here: what names it, what it needs, and how an engine gets it.

use std::collections::BTreeSet;

use verify_core::keys::Keys;
use verify_core::policy::{PolicyFile, PolicySet};
use verify_core::vocabulary::ServiceId;
use verify_engine::EngineBuilder;
use verify_twilio::{ConfigError, TwilioSettings};

use super::Goal;
use super::twilio::{self, TwilioAccount};
use crate::demo::Demo;
use crate::environment::Environment;
use crate::webhook::Webhooks;

/// What the file says of providers.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct InFile {
    twilio: TwilioSettings,
}

impl InFile {
    /// The sections of which the two differ.
    pub(super) fn sections_unlike(&self, other: &Self) -> impl Iterator<Item = &'static str> {
        let Self { twilio } = self;
        (*twilio != other.twilio).then_some("twilio").into_iter()
    }

    pub(super) fn read(file: &mut PolicyFile) -> Self {
        Self {
            twilio: TwilioSettings::read(file),
        }
    }
}

/// Who sends.
#[derive(Debug)]
pub enum Provider {
    /// A simulated phone network, in demo mode and there alone.
    Demo,
    /// Twilio Verify.
    Twilio(Box<TwilioAccount>),
}

impl Provider {
    /// The variables of which one provider's are needed to be more than a demo, for messages.
    pub(super) fn needed() -> String {
        twilio::NEEDED.join(", ")
    }

    /// The providers whose credentials are there, in the order in which they are tried; none of them means demo mode.
    pub(super) fn configured(
        file: &InFile,
        environment: &Environment<'_>,
        goal: Goal,
        services: &BTreeSet<ServiceId>,
        notes: &mut Vec<String>,
        faults: &mut Vec<String>,
    ) -> Vec<Self> {
        let twilio = twilio::read(&file.twilio, environment, goal, services, notes, faults);
        let twilio = twilio.map(|account| Self::Twilio(Box::new(account)));
        twilio.into_iter().collect()
    }

    /// What it lacks to be told what became of messages.
    pub(super) fn lacks(&self, public_url: Option<&str>) -> Option<String> {
        let missing = match self {
            Self::Demo => None,
            Self::Twilio(account) if account.webhook_tokens.is_empty() => Some("TWILIO_AUTH_TOKEN"),
            Self::Twilio(_) if public_url.is_none() => Some("VERIFY_PUBLIC_URL"),
            Self::Twilio(_) => None,
        };
        missing.map(|name| format!("{name}: not set, so webhooks cannot be verified and all are refused"))
    }

    /// Gives an engine the provider.
    ///
    /// # Errors
    /// [`BackendError`] when it cannot be reached as configured.
    pub fn equip(self, mut to: Equipped, around: &Around<'_>) -> Result<Equipped, BackendError> {
        match self {
            Self::Demo => {
                // Nothing real is sent, so nothing is built from what the file says of accounts.
                to.policies.backends.clear();
                let demo = Demo::start();
                to.builder = demo.equip(to.builder);
                to.demo = Some(demo);
            }
            Self::Twilio(account) => {
                let public_url = around.public_url.map(str::to_owned);
                to.webhooks = Webhooks::new(
                    account.webhook_tokens.clone(),
                    public_url,
                    around.keys,
                    around.services,
                );
                let TwilioAccount { api, settings, .. } = &*account;
                let provider = settings.provider(api, &mut to.policies, around.services)?;
                to.notes
                    .extend(account.api.warnings().iter().map(ToString::to_string));
                to.notes
                    .extend(provider.warnings().iter().map(ToString::to_string));
                to.builder = to.builder.provider(if to.webhooks.is_some() {
                    provider.with_message_events()
                } else {
                    provider
                });
            }
        }
        Ok(to)
    }
}

/// An engine on its way, and what its providers bring besides.
pub struct Equipped {
    /// The engine.
    pub builder: EngineBuilder,
    /// The policies; providers take up what their file says of them.
    pub policies: PolicySet,
    /// The demo, if it is one.
    pub demo: Option<Demo>,
    /// Where a provider reports, if it can.
    pub webhooks: Option<Webhooks>,
    /// What is worth a line at start.
    pub notes: Vec<String>,
}

/// What providers need to know of the gateway.
pub struct Around<'a> {
    /// The key rings.
    pub keys: &'a Keys,
    /// All services that there are.
    pub services: &'a BTreeSet<ServiceId>,
    /// The base of the URL that webhooks are sent to.
    pub public_url: Option<&'a str>,
}

/// Why an engine does not get a provider. A change of the configuration mends it.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// Twilio cannot be reached as configured.
    #[error("the provider twilio: {0}")]
    Twilio(#[from] ConfigError),
}

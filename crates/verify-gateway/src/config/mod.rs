//! Configuration: flags, variables and one file become settings, or a list of all that is wrong.

mod environment;
mod file;
mod keys;
mod twilio;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use verify_core::keys::Keys;
use verify_core::policy::{LogLevel, PolicySet};

pub use environment::Environment;
pub use twilio::TwilioAccount;
pub use values::AppEnv;

use crate::callers::Callers;
use crate::cli::ServeArgs;
use crate::client_ip::TrustedProxies;
use file::File;

/// How to serve.
#[derive(Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Which surroundings these are.
    pub env: AppEnv,
    /// From which level on to log.
    pub log_level: LogLevel,
    /// More fields to redact in logs.
    pub redact: Vec<String>,
    /// Who may call.
    pub callers: Callers,
    /// Requests of one client address per second; `None` for no shield.
    pub flood_shield: Option<NonZeroU32>,
    /// The base of the URL that webhooks are sent to, without a slash at its end.
    pub public_url: Option<String>,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// The file, for a reload.
    pub config: Option<PathBuf>,
    /// The policies.
    pub policies: PolicySet,
    /// Demo or real.
    pub mode: Mode,
    /// What is worth a line at start.
    pub notes: Vec<String>,
}

/// Demo or real.
#[derive(Debug)]
pub enum Mode {
    /// A simulated provider; on this machine only. New keys at each start unless there are some.
    Demo(Option<Box<Keys>>),
    /// Twilio.
    Live(Box<Live>),
}

/// What only a real gateway has.
#[derive(Debug)]
pub struct Live {
    /// The key rings.
    pub keys: Keys,
    /// The account.
    pub twilio: TwilioAccount,
}

/// All that is wrong with a configuration: one fault a line, each naming its flag, variable or key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct ConfigErrors(pub Vec<String>);

/// What the settings are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// To serve: everything must be there.
    Serve,
    /// To look at: secrets that are nowhere at all (a check in a pipeline has none) are noted; some without the others
    /// are a fault as ever.
    Check,
}

/// The settings.
///
/// # Errors
/// All faults at once.
pub fn resolve(
    args: &ServeArgs,
    environment: &Environment<'_>,
    goal: Goal,
) -> Result<Settings, ConfigErrors> {
    let mut faults = Vec::new();
    let file = read_file(args, environment, &mut faults);
    let mut values = values::Values::read(args, environment, &file, &mut faults);
    let mut notes = file.loaded.warnings.clone();
    let host = &file.loaded.host;
    let account = twilio::read(host, environment, goal, &mut notes, &mut faults);
    let keys = keys::read(host, environment, &mut notes, &mut faults);
    let mode = match account {
        None => demo(&values, keys, goal, &mut notes, &mut faults),
        Some(twilio) => live(twilio, keys, &values, goal, &mut notes, &mut faults),
    };
    check_tests(values.env, &file.loaded.policies, &mut faults);
    match mode {
        Some(mode) if faults.is_empty() => Ok(Settings {
            listen: values.listen,
            env: values.env,
            log_level: values.log_level,
            redact: file.loaded.host.logging.redact_fields.clone(),
            callers: std::mem::take(&mut values.callers),
            flood_shield: values.flood_shield,
            public_url: values.public_url,
            proxies: values.proxies,
            config: file.path,
            policies: file.loaded.policies,
            mode,
            notes,
        }),
        Some(_) | None => Err(ConfigErrors(faults)),
    }
}

/// The policies of a file, read again.
///
/// # Errors
/// All that is wrong with it; what is in force stays in force.
pub fn reread(path: &Path, env: AppEnv) -> Result<PolicySet, ConfigErrors> {
    let mut faults = Vec::new();
    let file = File::read(path, &mut faults);
    check_tests(env, &file.loaded.policies, &mut faults);
    if faults.is_empty() {
        Ok(file.loaded.policies)
    } else {
        Err(ConfigErrors(faults))
    }
}

fn read_file(args: &ServeArgs, environment: &Environment<'_>, faults: &mut Vec<String>) -> File {
    let path = args
        .config
        .clone()
        .or_else(|| environment.get("VERIFY_CONFIG").map(PathBuf::from));
    path.map_or_else(File::none, |path| File::read(&path, faults))
}

/// I-64: a fixed code must not be left on where real people are verified.
fn check_tests(env: AppEnv, policies: &PolicySet, faults: &mut Vec<String>) {
    let named = std::iter::once(("tests".to_owned(), &policies.default)).chain(
        policies
            .services
            .iter()
            .map(|(id, policy)| (format!("services.{id}.tests"), policy)),
    );
    let left_on = named.filter(|(_, policy)| !policy.tests.is_empty());
    if env == AppEnv::Production {
        faults.extend(left_on.map(|(key, _)| {
            format!("{key}: found test destinations with APP_ENV=production; remove them, or start elsewhere")
        }));
    }
}

fn demo(
    values: &values::Values,
    keys: Option<Keys>,
    goal: Goal,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<Mode> {
    if values.env == AppEnv::Production && goal == Goal::Serve {
        faults.push(format!(
            "APP_ENV: production refuses demo mode, and there are no provider credentials; set {}",
            twilio::NEEDED.join(", ")
        ));
    }
    if !values.listen.ip().to_canonical().is_loopback() {
        faults.push(format!(
            "{}: {} can be reached from other machines, and demo mode serves this one only; listen on 127.0.0.1, or \
             set provider credentials ({})",
            values.listen_origin,
            values.listen,
            twilio::NEEDED.join(", ")
        ));
    }
    if !values.callers.is_empty() {
        notes.push("VERIFY_API_KEYS: not asked for in demo mode".to_owned());
    }
    Some(Mode::Demo(keys.map(Box::new)))
}

fn live(
    twilio: TwilioAccount,
    keys: Option<Keys>,
    values: &values::Values,
    goal: Goal,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<Mode> {
    let mut missing = |fault: String| match goal {
        Goal::Serve => faults.push(fault),
        Goal::Check => notes.push(fault),
    };
    if keys.is_none() {
        missing("VERIFY_KEYS: needed with a real provider; `verify-gateway keys new` prints one".to_owned());
    }
    if values.callers.is_empty() {
        missing(
            "VERIFY_API_KEYS: needed with a real provider, or nobody could call; `verify-gateway keys caller NAME` \
             makes an entry"
                .to_owned(),
        );
    }
    if twilio.webhook_tokens.is_empty() {
        notes.push(
            "TWILIO_AUTH_TOKEN: not set, so webhooks cannot be verified and all are refused".to_owned(),
        );
    } else if values.public_url.is_none() {
        notes.push(
            "VERIFY_PUBLIC_URL: not set, so webhooks cannot be verified and all are refused".to_owned(),
        );
    }
    match (keys, goal) {
        (Some(keys), Goal::Serve | Goal::Check) => Some(Mode::Live(Box::new(Live { keys, twilio }))),
        (None, Goal::Check) => Some(Mode::Demo(None)),
        (None, Goal::Serve) => None,
    }
}

#[cfg(test)]
mod tests;

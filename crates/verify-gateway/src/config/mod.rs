//! Configuration: flags, variables and one file become settings, or a list of all that is wrong.

pub mod backends;
mod file;
mod keys;
mod logging;
mod memory;
mod reached;
mod store;
mod twilio;
mod urls;
mod values;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use verify_core::keys::Keys;
use verify_core::policy::PolicySet;
use verify_core::port::Clock;
use verify_core::vocabulary::ServiceId;
use verify_engine::{SystemClock, SystemEntropy};

pub use crate::environment::Environment;
pub use file::Beside;
pub use logging::LogLevel;
pub use memory::Budget;
pub(crate) use memory::size;
pub(crate) use store::of_operator as store_of_operator;
pub use store::{Storage, Store};
pub use twilio::TwilioAccount;
pub use values::AppEnv;

use crate::callers::Callers;
use crate::cli::ServeArgs;
use backends::Provider;
use file::File;
use values::Values;
use verify_http::TrustedProxies;

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
    /// What the file says besides policy, for a reload.
    pub beside: Beside,
    /// Whether a reload takes a weaker policy.
    pub reload_weaker: bool,
    /// Whether opt-outs may be under keys that are not there any more.
    pub forget_missing_keys: bool,
    /// The policies.
    pub policies: PolicySet,
    /// All services that there are.
    pub services: BTreeSet<ServiceId>,
    /// The key rings. New ones at each start in demo mode, unless there are some.
    pub keys: Keys,
    /// Where state lives.
    pub storage: Storage,
    /// Who sends, in the order in which they are tried.
    pub providers: Vec<Provider>,
    /// What is worth a line at start.
    pub notes: Vec<String>,
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

const NEW_KEYS: &str = "VERIFY_KEYS: not set, so keys are new at each start: what this one keeps in the store is found by no later \
                        one, and its opt-outs stay there, under keys that nobody has; set it to what `verify-gateway keys new` \
                        prints, or name no store";
const DEMO_CLOCK: &str = "demo mode: the clock is this machine's again at each start; what the store kept while it was moved ahead \
                          (/demo/clock) lies in the future until then";

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
    let values = Values::read(args, environment, &file, &mut faults);
    let mut notes = file.warnings.clone();
    if goal == Goal::Check {
        // Whoever serves hears it from the engine.
        notes.extend(file.policies.notes_at(SystemClock.now()));
    }
    let services = services(&file.policies, &values.callers);
    let found = Provider::configured(
        &file.beside.backends,
        environment,
        goal,
        &services,
        &mut notes,
        &mut faults,
    );
    let keys = keys::read(
        file.beside.hmac_key_env.as_deref(),
        environment,
        &mut notes,
        &mut faults,
    );
    let storage = values.stored.storage(found.is_empty());
    notes.extend(values.stored.without_effect(&storage.store));
    if found.is_empty() {
        check_demo(&values, goal, &mut notes, &mut faults);
        notes.extend(lost_by_a_demo(&storage.store, keys.as_ref()));
    } else {
        check_real(&found, keys.as_ref(), &values, goal, &mut notes, &mut faults);
        notes.extend(storage.lacks());
    }
    check_tests(values.env, &file.policies, &mut faults);
    if !faults.is_empty() {
        return Err(ConfigErrors(faults));
    }
    // A check without keys goes no further than a demo would.
    let providers = if found.is_empty() || keys.is_none() {
        vec![Provider::Demo]
    } else {
        found
    };
    Ok(Settings {
        listen: values.listen,
        env: values.env,
        log_level: values.log_level,
        redact: file.beside.logging.redact_fields.clone(),
        callers: values.callers,
        flood_shield: values.flood_shield,
        public_url: values.public_url,
        proxies: values.proxies,
        config: file.path,
        beside: file.beside,
        reload_weaker: args.reload_weaker,
        // New ones at each start open nothing, which is said.
        forget_missing_keys: args.forget_missing_keys || keys.is_none(),
        policies: file.policies,
        services,
        keys: keys.unwrap_or_else(|| Keys::generate(&SystemEntropy.bytes())),
        storage,
        providers,
        notes,
    })
}

/// The policies of a file, read again, and what stands beside them. A file in which nothing stands is a fault here.
///
/// # Errors
/// All that is wrong with it; what is in force stays in force.
pub fn reread(path: &Path, env: AppEnv) -> Result<(PolicySet, Beside), ConfigErrors> {
    let mut faults = Vec::new();
    let file = File::read(path, &mut faults);
    check_tests(env, &file.policies, &mut faults);
    if faults.is_empty() && file.is_empty {
        // Most often it is being written just now.
        faults.push(format!("{}: nothing stands in it", path.display()));
    }
    if faults.is_empty() {
        Ok((file.policies, file.beside))
    } else {
        Err(ConfigErrors(faults))
    }
}

/// The key rings, for whoever does not serve.
///
/// # Errors
/// All faults at once.
pub(crate) fn keys_of_operator(
    args: &ServeArgs,
    environment: &Environment<'_>,
) -> Result<Option<Keys>, ConfigErrors> {
    let (mut notes, mut faults) = (Vec::new(), Vec::new());
    let file = read_file(args, environment, &mut faults);
    let variable = file.beside.hmac_key_env.as_deref();
    let keys = keys::read(variable, environment, &mut notes, &mut faults);
    match faults.is_empty() {
        true => Ok(keys),
        false => Err(ConfigErrors(faults)),
    }
}

fn read_file(args: &ServeArgs, environment: &Environment<'_>, faults: &mut Vec<String>) -> File {
    let path = args
        .config
        .clone()
        .or_else(|| environment.get("VERIFY_CONFIG").map(PathBuf::from));
    path.map_or_else(File::default, |path| File::read(&path, faults))
}

/// The services that the file names and those that somebody calls in; without callers the default one.
fn services(policies: &PolicySet, callers: &Callers) -> BTreeSet<ServiceId> {
    let uncalled = callers.is_empty().then(ServiceId::default);
    let named = policies.services.keys().cloned();
    named.chain(callers.services()).chain(uncalled).collect()
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

fn check_demo(values: &Values, goal: Goal, notes: &mut Vec<String>, faults: &mut Vec<String>) {
    if values.env == AppEnv::Production && goal == Goal::Serve {
        faults.push(format!(
            "APP_ENV: production refuses demo mode, and there are no provider credentials; set {}",
            Provider::needed()
        ));
    }
    if !values.listen.ip().to_canonical().is_loopback() {
        faults.push(format!(
            "{}: {} can be reached from other machines, and demo mode serves this one only; listen on 127.0.0.1, or \
             set provider credentials ({})",
            values.listen_origin,
            values.listen,
            Provider::needed()
        ));
    }
    if !values.callers.is_empty() {
        notes.push("VERIFY_API_KEYS: not asked for in demo mode".to_owned());
    }
}

/// What a demo on a store that outlives it does not take along.
fn lost_by_a_demo(store: &Store, keys: Option<&Keys>) -> Vec<String> {
    let keys = keys.is_none().then_some(NEW_KEYS);
    let lost = keys.into_iter().chain([DEMO_CLOCK]);
    lost.filter(|_| store.outlives()).map(str::to_owned).collect()
}

fn check_real(
    providers: &[Provider],
    keys: Option<&Keys>,
    values: &Values,
    goal: Goal,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) {
    let mut missing = |fault: &str| match goal {
        Goal::Serve => faults.push(fault.to_owned()),
        Goal::Check => notes.push(fault.to_owned()),
    };
    if keys.is_none() {
        missing("VERIFY_KEYS: needed with a real provider; `verify-gateway keys new` prints one");
    }
    if values.callers.is_empty() {
        missing(
            "VERIFY_API_KEYS: needed with a real provider, or nobody could call; `verify-gateway keys caller NAME` \
             makes an entry",
        );
    }
    let public_url = values.public_url.as_deref();
    notes.extend(providers.iter().filter_map(|provider| provider.lacks(public_url)));
    // Right where a proxy takes the path off before the request comes here; else no signature ever fits.
    let path = public_url.and_then(|url| url.split_once("://")?.1.split_once('/'));
    if let (Some(url), Some((_, path))) = (public_url, path) {
        notes.push(format!(
            "VERIFY_PUBLIC_URL: has the path /{path}; webhooks are expected to be called at {url}/webhooks/… and to come \
             here without it, as when a proxy takes it off; otherwise leave the path out, or all of them are refused"
        ));
    }
}

#[cfg(test)]
mod tests;

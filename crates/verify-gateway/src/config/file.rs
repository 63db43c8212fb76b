//! The file: the policy, what stores and providers have in it, and a section of the gateway's own.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use verify_core::policy::{Loaded, PolicyErrors, PolicyFile, PolicySet};

use super::backends::InFile;
use super::keys;
use super::logging::LoggingSettings;

/// The gateway's own section.
const SECTION: &str = "gateway";
/// Its keys; each is also a variable.
const KEYS: [&str; 19] = [
    "listen",
    "store",
    "state_dir",
    "store_durability",
    "store_size",
    "store_password_file",
    "store_ca_file",
    "store_cert_file",
    "store_key_file",
    "store_schema",
    "store_connections",
    "store_on_failover",
    "store_prefix",
    "store_wait_replicas",
    "memory_budget",
    "public_url",
    "trusted_proxies",
    "forwarded_header",
    "flood_shield",
];

/// What the file says; the defaults where there is none.
#[derive(Default)]
pub(super) struct File {
    pub(super) path: Option<PathBuf>,
    pub(super) policies: PolicySet,
    pub(super) warnings: Vec<String>,
    pub(super) beside: Beside,
    /// Nothing stands in it.
    pub(super) is_empty: bool,
}

/// What the file says besides policy. It holds from start to end: a reload leaves it out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beside {
    pub(super) backends: InFile,
    pub(super) logging: LoggingSettings,
    pub(super) hmac_key_env: Option<String>,
    gateway: Map<String, Value>,
}

impl Beside {
    /// The sections of which the two differ.
    pub fn sections_unlike(&self, other: &Self) -> Vec<&'static str> {
        let Self {
            backends,
            logging,
            hmac_key_env,
            gateway,
        } = self;
        [
            (SECTION, *gateway != other.gateway),
            ("logging", *logging != other.logging),
            ("security", *hmac_key_env != other.hmac_key_env),
        ]
        .into_iter()
        .filter_map(|(section, differs)| differs.then_some(section))
        .chain(backends.sections_unlike(&other.backends))
        .collect()
    }
}

impl File {
    /// Reads a file. After a fault its policy is the default one, and what stands beside it is there all the same: so that what is
    /// wrong with that is said at once too.
    pub(super) fn read(path: &Path, faults: &mut Vec<String>) -> Self {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                faults.push(format!("{}: cannot be read: {}", path.display(), error.kind()));
                return Self::default();
            }
        };
        let parsed = if is_json(path, &text) {
            PolicyFile::from_json(&text)
        } else {
            PolicyFile::from_toml(&text)
        };
        let mut file = Self::default();
        if let Err(errors) = parsed.and_then(|parsed| file.read_all(parsed)) {
            faults.extend(errors.to_string().lines().map(str::to_owned));
        }
        file.check_gateway(faults);
        file.path = Some(path.to_owned());
        file
    }

    fn read_all(&mut self, mut file: PolicyFile) -> Result<(), PolicyErrors> {
        self.is_empty = file.is_empty();
        self.beside.backends = InFile::read(&mut file);
        self.beside.logging = LoggingSettings::read(&mut file);
        self.beside.hmac_key_env = keys::in_file(&mut file);
        file.section(SECTION, |section| {
            let entries = section.rest().into_iter();
            self.beside.gateway = entries
                .map(|(key, value)| (key.to_owned(), value.clone()))
                .collect();
        });
        let Loaded { policies, warnings } = file.policies()?;
        (self.policies, self.warnings) = (policies, warnings);
        Ok(())
    }

    fn check_gateway(&self, faults: &mut Vec<String>) {
        for (key, value) in &self.beside.gateway {
            if !KEYS.contains(&key.as_str()) {
                faults.push(format!(
                    "{SECTION}.{key}: unknown key; known are {}",
                    KEYS.join(", ")
                ));
            } else if !value.is_string() {
                faults.push(format!("{SECTION}.{key}: expected a text, as in the variable"));
            }
        }
    }

    /// A value of the gateway's own section.
    pub(super) fn gateway(&self, key: &str) -> Option<&str> {
        self.beside.gateway.get(key).and_then(Value::as_str)
    }
}

fn is_json(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => true,
        Some("toml") => false,
        Some(_) | None => text.trim_start_matches('\u{feff}').trim_start().starts_with('{'),
    }
}

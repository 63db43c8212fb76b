//! The file: policy, providers, and a section of the gateway's own.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use verify_core::policy::{HostSettings, Loaded, PolicySet};

/// The gateway's own section.
const SECTION: &str = "gateway";
/// Its keys; each is also a variable.
const KEYS: [&str; 5] = ["listen", "store", "public_url", "trusted_proxies", "flood_shield"];

/// What the file says; the defaults where there is none.
pub(super) struct File {
    pub(super) path: Option<PathBuf>,
    pub(super) loaded: Loaded,
    gateway: Map<String, Value>,
}

impl File {
    pub(super) fn none() -> Self {
        let loaded = Loaded {
            policies: PolicySet::default(),
            host: HostSettings::default(),
            warnings: Vec::new(),
            own_sections: Map::new(),
        };
        Self {
            path: None,
            loaded,
            gateway: Map::new(),
        }
    }

    /// Reads a file. After a fault it is as if there were none.
    pub(super) fn read(path: &Path, faults: &mut Vec<String>) -> Self {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                faults.push(format!("{}: cannot be read: {}", path.display(), error.kind()));
                return Self::none();
            }
        };
        let loaded = if is_json(path, &text) {
            PolicySet::from_json_with(&text, &[SECTION])
        } else {
            PolicySet::from_toml_with(&text, &[SECTION])
        };
        match loaded {
            Ok(mut loaded) => {
                let gateway = own_section(&mut loaded, faults);
                Self {
                    path: Some(path.to_owned()),
                    loaded,
                    gateway,
                }
            }
            Err(errors) => {
                faults.extend(errors.to_string().lines().map(str::to_owned));
                Self::none()
            }
        }
    }

    /// A value of the gateway's own section.
    pub(super) fn gateway(&self, key: &str) -> Option<&str> {
        self.gateway.get(key).and_then(Value::as_str)
    }
}

fn own_section(loaded: &mut Loaded, faults: &mut Vec<String>) -> Map<String, Value> {
    let section = match loaded.own_sections.remove(SECTION) {
        None => return Map::new(),
        Some(Value::Object(section)) => section,
        Some(_) => {
            faults.push(format!("{SECTION}: expected a section"));
            return Map::new();
        }
    };
    for (key, value) in &section {
        if !KEYS.contains(&key.as_str()) {
            faults.push(format!(
                "{SECTION}.{key}: unknown key; known are {}",
                KEYS.join(", ")
            ));
        } else if !value.is_string() {
            faults.push(format!("{SECTION}.{key}: expected a text, as in the variable"));
        }
    }
    section
}

fn is_json(path: &Path, text: &str) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => true,
        Some("toml") => false,
        Some(_) | None => text.trim_start().starts_with('{'),
    }
}

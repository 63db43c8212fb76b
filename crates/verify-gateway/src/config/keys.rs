//! The key rings.

use verify_core::keys::Keys;
use verify_core::policy::PolicyFile;
use verify_core::policy::file::env_name;

use crate::environment::Environment;

/// The variable that holds the key of fingerprints, if the file names one in `[security]`.
pub(super) fn in_file(file: &mut PolicyFile) -> Option<String> {
    let mut variable = None;
    file.section("security", |security| {
        variable = security.optional("hmac_key_env", env_name);
    });
    variable
}

/// The rings of `VERIFY_KEYS`, or those that the file's fingerprint key gives.
pub(super) fn read(
    in_file: Option<&str>,
    environment: &Environment<'_>,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<Keys> {
    if let Some(text) = environment.get_or_file("VERIFY_KEYS", faults) {
        return Keys::parse(&text)
            .map_err(|error| faults.push(format!("VERIFY_KEYS: {error}")))
            .ok();
    }
    let variable = in_file?;
    let master = environment.get_or_file(variable, faults)?;
    match Keys::derive_from(master.as_bytes()) {
        Ok(keys) => {
            notes.push(format!(
                "{variable}: all key rings are derived from this one key, since VERIFY_KEYS is not set; they cannot be \
                 rotated without starting over"
            ));
            Some(keys)
        }
        Err(error) => {
            faults.push(format!("{variable}: {error}"));
            None
        }
    }
}

//! The key rings.

use verify_core::keys::Keys;
use verify_core::policy::HostSettings;

use super::environment::Environment;

/// The rings of `VERIFY_KEYS`, or those that the file's fingerprint key gives.
pub(super) fn read(
    host: &HostSettings,
    environment: &Environment<'_>,
    notes: &mut Vec<String>,
    faults: &mut Vec<String>,
) -> Option<Keys> {
    if let Some(text) = environment.get_or_file("VERIFY_KEYS", faults) {
        return Keys::parse(&text)
            .map_err(|error| faults.push(format!("VERIFY_KEYS: {error}")))
            .ok();
    }
    let variable = host.hmac_key_env.as_deref()?;
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

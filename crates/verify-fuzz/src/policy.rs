//! Policy files.

use verify_core::policy::{Loaded, PolicyErrors, PolicyFile, PolicySet};
use verify_twilio::TwilioSettings;

use crate::input::{choice, text};

/// Any text as TOML (an even first byte) or JSON: what is refused names a place, what is taken is printed, reads back
/// as the same policies in both languages and passes its own check.
pub fn policy(data: &[u8]) {
    let (language, data) = choice(data);
    let text = text(data);
    let found = if language % 2 == 0 {
        PolicyFile::from_toml(&text)
    } else {
        PolicyFile::from_json(&text)
    };
    let loaded = match found.and_then(read) {
        Ok(loaded) => loaded,
        Err(errors) => {
            let mut faults = errors.faults().peekable();
            assert!(faults.peek().is_some(), "a refusal without a fault");
            for (key, message) in faults {
                assert!(
                    !message.is_empty() && !message.contains('\n'),
                    "{key:?}: {message:?}"
                );
            }
            return;
        }
    };
    let mut policies = loaded.policies;
    // What backends have in a file is not printed.
    policies.backends.clear();
    if let Err(errors) = policies.check() {
        panic!("i60: taken from a file, and not fit to be one: {errors}");
    }
    let printed = policies.to_toml();
    let again = PolicySet::from_toml(&printed).unwrap_or_else(|errors| panic!("i60: {errors}\n{printed}"));
    assert_eq!(again.policies, policies, "i60: printed as\n{printed}");
    let table: toml::Table = toml::from_str(&printed).expect("what is printed is TOML");
    let json = serde_json::to_string(&table).expect("a table is an object");
    let again = PolicySet::from_json(&json).unwrap_or_else(|errors| panic!("i60: {errors}\n{json}"));
    assert_eq!(again.policies, policies, "i60: printed as\n{json}");
}

/// As the gateway reads it, but for what it does with sections of its own.
fn read(mut file: PolicyFile) -> Result<Loaded, PolicyErrors> {
    TwilioSettings::read(&mut file);
    for section in ["gateway", "logging", "security"] {
        file.section(section, |section| drop(section.rest()));
    }
    file.policies()
}

//! Operators' tools: make keys, look after a store, look into a webhook.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use verify_core::keys::{Keys, MAX_KEYS};
use verify_core::vocabulary::ServiceId;
use verify_engine::SystemEntropy;

use crate::callers::{Callers, Role, entry};
use crate::cli::{KeysTool, Tool, WebhookTool};
use crate::environment::Environment;
use crate::{store, webhook};

/// What a tool says, and the exit code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
    /// 0 when it went well, 1 when the answer is no, 2 when the question was wrong.
    pub code: u8,
}

impl Said {
    pub(crate) fn well(out: impl Into<String>) -> Self {
        Self {
            out: out.into(),
            err: String::new(),
            code: 0,
        }
    }

    pub(crate) fn no(out: impl Into<String>) -> Self {
        Self {
            out: out.into(),
            err: String::new(),
            code: 1,
        }
    }

    pub(crate) fn misused(err: impl Into<String>) -> Self {
        Self {
            out: String::new(),
            err: err.into(),
            code: 2,
        }
    }
}

/// Runs a tool.
pub fn run(tool: &Tool, environment: &Environment<'_>) -> Said {
    match tool {
        Tool::Keys(KeysTool::New) => {
            Said::well(Keys::generate(&SystemEntropy.bytes()).to_text().expose().as_str())
        }
        Tool::Keys(KeysTool::Rotate { announce, switch }) => {
            rotate(*announce, *switch, environment).unwrap_or_else(Said::misused)
        }
        Tool::Keys(KeysTool::Caller { name, role, service }) => caller(name, role, service),
        Tool::Store { args, tool } => store::tools::run(args, tool, environment),
        Tool::Webhook(WebhookTool::Check(check)) => webhook::check_by_hand(check, environment),
    }
}

/// The rings that are next, or why there are none.
fn rotate(announce: bool, switch: bool, environment: &Environment<'_>) -> Result<Said, String> {
    let mut faults = Vec::new();
    let text = environment.get_or_file("VERIFY_KEYS", &mut faults);
    if !faults.is_empty() {
        return Err(faults.join("\n"));
    }
    let text = text.ok_or(
        "VERIFY_KEYS: needed, by value or by a file that VERIFY_KEYS_FILE names; `keys new` prints the first",
    )?;
    let keys = Keys::parse(&text).map_err(|error| format!("VERIFY_KEYS: {error}"))?;
    let next = match switch {
        true => keys.switched().ok_or(
            "VERIFY_KEYS: the last key of a ring is none that was announced; `keys rotate --announce` adds one, and every process \
             must have it first",
        )?,
        false if keys.switched().is_some() => {
            return Err(
                "VERIFY_KEYS: keys were announced already; give these to every process, and then `keys rotate --switch` puts them in \
                 front"
                    .to_owned(),
            );
        }
        false => {
            let rings = [&keys.fingerprint, &keys.code, &keys.seal];
            if rings.iter().any(|ring| ring.ids().count() == MAX_KEYS) {
                return Err(format!(
                    "VERIFY_KEYS: a ring has {MAX_KEYS} keys, and can have no more; cut the eldest off at its end, once nothing is \
                     under it"
                ));
            }
            let seed = SystemEntropy.bytes();
            match announce {
                true => keys.announced(&seed),
                false => keys.rotated(&seed),
            }
        }
    };
    Ok(Said::well(next.to_text().expose().as_str()))
}

fn caller(name: &str, role: &str, service: &str) -> Said {
    let Some(role) = [Role::App, Role::Operator]
        .into_iter()
        .find(|known| known.as_str() == role)
    else {
        return Said::misused("--role is app or operator");
    };
    let Ok(service) = ServiceId::new(service) else {
        return Said::misused("--service has 1 to 64 characters of a-z A-Z 0-9 . _ -");
    };
    let key = format!("vk_{}", URL_SAFE_NO_PAD.encode(SystemEntropy.bytes::<32>()));
    let entry = entry(name, role, &key, &service);
    match Callers::parse(&entry) {
        Ok(_) => Said::well(format!(
            "key:   {key}\nentry: {entry}\n\nThe caller sends the key as `Authorization: Bearer <key>`; it is shown \
             this once.\nThe entry goes into VERIFY_API_KEYS, after a comma if there are others."
        )),
        Err(_) => Said::misused("a caller's name has 1 to 64 characters of a-z A-Z 0-9 . _ -"),
    }
}

#[cfg(test)]
mod tests {
    use verify_core::keys::KeyId;

    use super::*;

    fn run_in_nothing(tool: Tool) -> Said {
        run(&tool, &Environment::new(&|_| None))
    }

    #[test]
    fn new_keys_are_exactly_the_value_and_never_the_same() {
        let one = run_in_nothing(Tool::Keys(KeysTool::New));
        let two = run_in_nothing(Tool::Keys(KeysTool::New));
        assert_eq!(Keys::parse(&one.out).unwrap().to_text().expose(), &one.out);
        assert_ne!(one.out, two.out);
    }

    fn rotated(keys: &str, announce: bool, switch: bool) -> Said {
        let lookup = |name: &str| (name == "VERIFY_KEYS" && !keys.is_empty()).then(|| keys.to_owned());
        let tool = Tool::Keys(KeysTool::Rotate { announce, switch });
        run(&tool, &Environment::new(&lookup))
    }

    #[test]
    fn i56_rings_are_turned_in_one_step_or_in_two() {
        let ids = |said: &Said| {
            assert_eq!(said.code, 0, "{}", said.err);
            let keys = Keys::parse(&said.out).unwrap();
            [&keys.fingerprint, &keys.code, &keys.seal]
                .map(|ring| ring.ids().map(KeyId::get).collect::<Vec<_>>())
        };
        let same = |ids: &[u8]| [(); 3].map(|()| ids.to_vec());
        let first = run_in_nothing(Tool::Keys(KeysTool::New)).out;
        let at_once = rotated(&first, false, false);
        assert_eq!(ids(&at_once), same(&[2, 1]));
        let announced = rotated(&at_once.out, true, false);
        assert_eq!(ids(&announced), same(&[2, 1, 3]));
        let switched = rotated(&announced.out, false, true);
        assert_eq!(ids(&switched), same(&[3, 2, 1]));
        let secrets = |text: &str| {
            let mut keys: Vec<_> = text.split(['/', '=', ',']).map(str::to_owned).collect();
            keys.sort();
            keys
        };
        assert_eq!(secrets(&switched.out), secrets(&announced.out), "none is made");
        let full = (0..5).fold(switched.out, |keys, _| rotated(&keys, false, false).out);
        for (keys, announce, switch, said) in [
            ("", false, false, "VERIFY_KEYS: needed"),
            ("v1/what", false, false, "VERIFY_KEYS: keys have the form"),
            (&first, false, true, "none that was announced"),
            (&at_once.out, false, true, "none that was announced"),
            (&announced.out, true, false, "announced already"),
            (&announced.out, false, false, "announced already"),
            (&full, false, false, "a ring has 8 keys"),
            (&full, true, false, "a ring has 8 keys"),
        ] {
            let refused = rotated(keys, announce, switch);
            assert!(refused.code == 2 && refused.err.contains(said), "{}", refused.err);
            assert_eq!(refused.out, "");
        }
    }

    #[test]
    fn a_new_caller_is_known_by_its_key() {
        let tool = KeysTool::Caller {
            name: "shop".into(),
            role: "operator".into(),
            service: "eu".into(),
        };
        let said = run_in_nothing(Tool::Keys(tool));
        let line = |label: &str| {
            said.out
                .lines()
                .find_map(|line| line.strip_prefix(label))
                .unwrap()
                .trim()
        };
        let callers = Callers::parse(line("entry:")).unwrap();
        let caller = callers.by_key(line("key:")).unwrap();
        assert_eq!(
            (caller.name.as_str(), caller.role, caller.service.as_str()),
            ("shop", Role::Operator, "eu")
        );
    }

    #[test]
    fn what_cannot_be_a_caller_is_refused() {
        for (name, role, service) in [
            ("a b", "app", "default"),
            ("a", "root", "default"),
            ("a", "app", ""),
        ] {
            let tool = KeysTool::Caller {
                name: name.into(),
                role: role.into(),
                service: service.into(),
            };
            assert_eq!(
                run_in_nothing(Tool::Keys(tool)).code,
                2,
                "{name} {role} {service}"
            );
        }
    }
}

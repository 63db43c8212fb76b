use super::*;
use crate::callers::{Role, entry};
use std::collections::BTreeMap;
use verify_core::vocabulary::ServiceId;
use verify_twilio::Credentials;

mod files;

fn with(vars: &[(&str, &str)], args: &ServeArgs, goal: Goal) -> Result<Settings, Vec<String>> {
    let vars: BTreeMap<String, String> = vars
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let lookup = |name: &str| vars.get(name).cloned();
    resolve(args, &Environment::new(&lookup), goal).map_err(|ConfigErrors(faults)| faults)
}

fn is_demo(settings: &Settings) -> bool {
    matches!(settings.providers.as_slice(), [Provider::Demo])
}

/// The account of a real gateway.
fn account(settings: &Settings) -> &TwilioAccount {
    let [Provider::Twilio(account)] = settings.providers.as_slice() else {
        panic!("{:?}", settings.providers)
    };
    account
}

fn serve(vars: &[(&str, &str)]) -> Result<Settings, Vec<String>> {
    with(vars, &ServeArgs::default(), Goal::Serve)
}

/// The whole of a live configuration.
fn live() -> Vec<(&'static str, String)> {
    vec![
        ("TWILIO_ACCOUNT_SID", format!("AC{}", "0".repeat(32))),
        ("TWILIO_API_KEY_SID", format!("SK{}", "0".repeat(32))),
        ("TWILIO_API_KEY_SECRET", "the-api-secret".to_owned()),
        ("TWILIO_VERIFY_SERVICE_SID", format!("VA{}", "0".repeat(32))),
        ("VERIFY_KEYS", Keys::generate(&[7; 32]).to_text().expose().clone()),
        (
            "VERIFY_API_KEYS",
            entry("shop", Role::App, "key", &ServiceId::default()),
        ),
    ]
}

fn serve_live(change: impl FnOnce(&mut Vec<(&'static str, String)>)) -> Result<Settings, Vec<String>> {
    let mut vars = live();
    change(&mut vars);
    let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
    serve(&vars)
}

/// A file that is gone when the test ends.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("verify-gateway-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn args(&self) -> ServeArgs {
        ServeArgs {
            config: Some(self.0.clone()),
            ..ServeArgs::default()
        }
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

#[test]
fn nothing_at_all_is_demo_mode_on_this_machine() {
    let settings = serve(&[]).unwrap();
    assert!(is_demo(&settings));
    assert_eq!(settings.storage.store, Store::Memory);
    let other = serve(&[]).unwrap();
    assert_ne!(
        settings.keys.to_text().expose(),
        other.keys.to_text().expose(),
        "new keys at each start"
    );
    assert_eq!(settings.listen.to_string(), "127.0.0.1:3000");
    assert_eq!(settings.flood_shield, NonZeroU32::new(100));
    assert!(
        is_demo(&serve(&[("TWILIO_ACCOUNT_SID", " ")]).unwrap()),
        "empty is unset"
    );
}

#[test]
fn demo_mode_serves_this_machine_only_and_never_production() {
    let faults = serve(&[("VERIFY_LISTEN", "0.0.0.0:3000")]).unwrap_err();
    assert!(faults[0].starts_with("VERIFY_LISTEN: 0.0.0.0:3000"), "{faults:?}");
    assert!(serve(&[("VERIFY_LISTEN", "[::1]:0")]).is_ok());
    let faults = serve(&[("APP_ENV", "production")]).unwrap_err();
    assert!(faults[0].contains("production refuses demo mode"), "{faults:?}");
}

#[test]
fn a_whole_set_of_credentials_is_a_real_gateway() {
    let settings = serve_live(|vars| vars.push(("VERIFY_LISTEN", "0.0.0.0:80".into()))).unwrap();
    assert!(matches!(
        account(&settings).api.credentials,
        Credentials::ApiKey { .. }
    ));
    assert!(!format!("{settings:?}").contains("the-api-secret"));
    assert!(
        settings
            .notes
            .iter()
            .any(|note| note.starts_with("TWILIO_AUTH_TOKEN: not set"))
    );
}

#[test]
fn partial_credentials_are_an_error_that_names_what_is_missing() {
    for left_out in 0..6 {
        let name = live()[left_out].0;
        let faults = serve_live(|vars| drop(vars.remove(left_out))).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].starts_with(name),
            "{name}: {faults:?}"
        );
    }
    let faults = serve(&[("TWILIO_AUTH_TOKEN", "t")]).unwrap_err();
    for name in twilio::NEEDED {
        assert!(faults[0].contains(name), "{faults:?}");
    }
}

#[test]
fn secrets_may_come_from_files() {
    let file = TempFile::new("secret", "the-secret\n");
    let settings = serve_live(|vars| {
        vars.retain(|(name, _)| *name != "TWILIO_API_KEY_SECRET");
        vars.push(("TWILIO_API_KEY_SECRET_FILE", file.0.display().to_string()));
    });
    let settings = settings.unwrap();
    let Credentials::ApiKey { secret, .. } = &account(&settings).api.credentials else {
        panic!("no api key")
    };
    assert_eq!(secret.expose(), "the-secret");

    let faults = serve_live(|vars| vars.push(("VERIFY_KEYS_FILE", "/nowhere".into()))).unwrap_err();
    assert!(
        faults[0].starts_with("VERIFY_KEYS_FILE: found VERIFY_KEYS too"),
        "{faults:?}"
    );
}

#[test]
fn a_flag_beats_a_variable_beats_the_file() {
    let file = TempFile::new(
        "order.toml",
        "[gateway]\nlisten = \"127.0.0.1:1\"\nflood_shield = \"off\"\n",
    );
    let listens = |vars: &[(&str, &str)], flag: Option<&str>| {
        let args = ServeArgs {
            listen: flag.map(str::to_owned),
            ..file.args()
        };
        with(vars, &args, Goal::Serve).unwrap().listen.port()
    };
    assert_eq!(listens(&[], None), 1);
    assert_eq!(listens(&[("VERIFY_LISTEN", "127.0.0.1:2")], None), 2);
    assert_eq!(
        listens(&[("VERIFY_LISTEN", "127.0.0.1:2")], Some("127.0.0.1:3")),
        3
    );
    assert_eq!(with(&[], &file.args(), Goal::Serve).unwrap().flood_shield, None);
}

#[test]
fn a_store_that_is_not_known_is_refused_with_what_would_do() {
    let known = "this build knows these stores: memory, sqlite:PATH, postgres://USER@HOST/DATABASE, redis://USER@HOST:PORT";
    let by_flag = ServeArgs {
        store: Some("mysql://host".to_owned()),
        ..ServeArgs::default()
    };
    let faults = with(&[], &by_flag, Goal::Serve).unwrap_err();
    assert_eq!(faults, [format!("--store: {known}")]);
    let faults = serve(&[("VERIFY_STORE", "Memory")]).unwrap_err();
    assert_eq!(faults, [format!("VERIFY_STORE: {known}")]);
    let file = TempFile::new("store.toml", "[gateway]\nstore = \"postgres\"\n");
    let faults = with(&[], &file.args(), Goal::Serve).unwrap_err();
    assert_eq!(faults, [format!("gateway.store: {known}")]);

    let settings = serve(&[("VERIFY_STORE", "memory")]).unwrap();
    assert_eq!(settings.storage.store, Store::Memory);
}

#[test]
fn state_is_in_a_file_outside_demo_mode_and_its_place_is_the_state_directory() {
    let real = |more: &[(&'static str, &str)]| {
        let more = more.iter().map(|(name, value)| (*name, (*value).to_owned()));
        serve_live(|vars| vars.extend(more))
    };
    let store = |more: &[(&'static str, &str)]| real(more).unwrap().storage.store.to_string();
    let cwd = std::env::current_dir().unwrap();
    assert_eq!(
        store(&[]),
        format!("sqlite:{}/verify-state/verify.db", cwd.display())
    );
    assert_eq!(
        store(&[("STATE_DIRECTORY", "/var/lib/a:/var/lib/b")]),
        "sqlite:/var/lib/a/verify.db"
    );
    let named = [("STATE_DIRECTORY", "/a"), ("VERIFY_STORE", "sqlite:b/c.db")];
    assert_eq!(store(&named), "sqlite:/a/b/c.db");
    let by_file = TempFile::new("store", "sqlite:/d.db\n");
    assert_eq!(
        store(&[("VERIFY_STORE_FILE", by_file.0.to_str().unwrap())]),
        "sqlite:/d.db"
    );
    let flags = ServeArgs {
        store: Some("sqlite:e.db".to_owned()),
        state_dir: Some("/f".into()),
        ..ServeArgs::default()
    };
    let settings = with(&named, &flags, Goal::Serve).unwrap();
    assert_eq!(settings.storage.store.to_string(), "sqlite:/f/e.db");
    assert!(!settings.storage.remembers, "a demo keeps nothing");
    let keyless = |settings: &Settings| {
        settings
            .notes
            .iter()
            .any(|note| note.starts_with("VERIFY_KEYS: not set"))
    };
    assert!(keyless(&settings) && !keyless(&serve(&[]).unwrap()));
    let file = TempFile::new(
        "storage.toml",
        "[gateway]\nstore = \"sqlite:g.db\"\nstate_dir = \"/h\"\nstore_durability = \"process\"\nstore_size = \"2GiB\"\n\
         memory_budget = \"10%\"\n",
    );
    let Storage {
        store,
        durability,
        most_bytes,
        memory,
        ..
    } = with(&[], &file.args(), Goal::Serve).unwrap().storage;
    assert_eq!(store.to_string(), "sqlite:/h/g.db");
    assert_eq!(
        (durability, most_bytes, memory),
        (
            verify_sqlite::Durability::Process,
            Some(2 << 30),
            Budget::Percent(10)
        )
    );
}

#[test]
fn a_store_that_may_forget_is_told_at_start() {
    for (variable, value, note) in [
        (
            "VERIFY_STORE",
            "memory",
            "VERIFY_STORE: memory; a restart forgets",
        ),
        (
            "VERIFY_STORE_DURABILITY",
            "process",
            "VERIFY_STORE_DURABILITY: process; a loss of power",
        ),
    ] {
        let settings = serve_live(|vars| vars.push((variable, value.to_owned())));
        let notes = settings.unwrap().notes;
        assert!(notes.iter().any(|said| said.starts_with(note)), "{notes:?}");
    }
}

#[tokio::test]
async fn i57_the_store_in_memory_has_the_budget_s_room_and_says_how_much_of_it_is_used() {
    let args = ServeArgs {
        memory_budget: Some("16MiB".to_owned()),
        ..ServeArgs::default()
    };
    let settings = with(&[], &args, Goal::Serve).unwrap();
    let store = crate::store::OpenStore::open(&settings.storage).await.unwrap();
    let app = crate::serve::assemble(settings, store, None).unwrap().app;
    let store = app.store.as_ref().unwrap();
    assert!(store.room_used().await.unwrap() < f64::EPSILON);
    for n in 0..20 {
        let person = verify_core::command::Person::at(format!("+1202555{:04}", 100 + u16::from(n)));
        let ip = std::net::IpAddr::from([203, 0, 113, n]);
        let request = verify_core::command::SendRequest::to(person).ip(ip);
        app.engine.send(request).await.answer.unwrap();
    }
    let used = store.room_used().await.unwrap();
    assert!((0.001..0.01).contains(&used), "20 of some 12 000: {used}");
}

#[test]
fn every_fault_is_named_at_once() {
    let file = TempFile::new("faults.toml", "[gateway]\nport = 1\nstore = 5\n");
    let vars = [
        ("VERIFY_LISTEN", "here"),
        ("APP_ENV", "prod"),
        ("LOG_LEVEL", "loud"),
        ("VERIFY_FLOOD_SHIELD", "0/s"),
        ("VERIFY_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("VERIFY_PUBLIC_URL", "example.com?x"),
        ("VERIFY_KEYS", "secret"),
        ("VERIFY_STORE", "mongodb://:hunter2@host"),
        ("VERIFY_STORE_DURABILITY", "maybe"),
        ("VERIFY_STORE_SIZE", "big"),
        ("VERIFY_MEMORY_BUDGET", "200%"),
    ];
    let faults = with(&vars, &file.args(), Goal::Serve).unwrap_err();
    for named in vars
        .iter()
        .map(|(name, _)| *name)
        .chain(["gateway.port", "gateway.store"])
    {
        assert!(
            faults.iter().any(|fault| fault.starts_with(named)),
            "{named}: {faults:#?}"
        );
    }
    let text = faults.join("\n");
    assert!(!text.contains("hunter2") && !text.contains("secret"), "{text}");
}

#[test]
fn faults_of_all_readers_of_the_file_come_at_once() {
    let text = "[gateway]\nport = 1\nlisten = \"here\"\ntrusted_proxies = \"10.0.0.1/8\"\n[twilio]\nauth_mode = \"token\"\n[logging]\nlog_level = \"verbose\"\nlevel = 1\n\
                redact_fields = [\"a b\"]\n[security]\nhmac_key = \"x\"\nhmac_key_env = \"a secret\"\n[code]\nlength = 3\n";
    let file = TempFile::new("readers.toml", text);
    let faults = with(&[], &file.args(), Goal::Serve).unwrap_err();
    for line in [
        "gateway.port: unknown key; known are listen, store, state_dir, store_durability, store_size, store_password_file, \
         store_ca_file, store_cert_file, store_key_file, store_schema, store_connections, store_on_failover, \
         store_prefix, store_wait_replicas, memory_budget, public_url, trusted_proxies, forwarded_header, flood_shield",
        "twilio.auth_mode: found \"token\"; one of api_key, auth_token would do",
        "logging.log_level: found \"verbose\"; one of error, warn, info, debug, trace would do",
        "logging.redact_fields: found \"a b\"; a list of field names would do",
        "logging.level: unknown key; known here: log_level, redact_fields",
        "security.hmac_key: unknown key; known here: hmac_key_env, webhook_auth_token_env",
        "security.hmac_key_env: found another text; the name of an environment variable (letters, digits and _), never \
         the secret itself, would do",
        "code.length: found 3; a whole number from 4 to 10 would do",
    ] {
        assert!(faults.iter().any(|fault| fault == line), "{line}\n{faults:#?}");
    }
    for key in ["gateway.listen", "gateway.trusted_proxies"] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(key)),
            "{key}\n{faults:#?}"
        );
    }
    assert_eq!(faults.len(), 10, "{faults:#?}");
}

#[test]
fn an_impossible_policy_names_all_its_keys() {
    let text = "[code]\nlength = 3\nttl = \"-5m\"\nresend = \"maybe\"\n[lockout]\nforget_after = \"99999999999999999999d\"\n";
    let file = TempFile::new("policy.toml", text);
    let faults = with(&[], &file.args(), Goal::Serve).unwrap_err();
    for key in ["code.length", "code.ttl", "code.resend", "lockout.forget_after"] {
        assert!(
            faults.iter().any(|fault| fault.starts_with(key)),
            "{key}: {faults:#?}"
        );
    }
    assert!(reread(&file.0, AppEnv::NotProduction).is_err());
}

#[test]
fn i64_production_refuses_test_destinations() {
    let text = "[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = 2099-12-31\n";
    let file = TempFile::new("tests.toml", text);
    assert!(with(&[], &file.args(), Goal::Serve).is_ok());
    let faults = with(&[("APP_ENV", "production")], &file.args(), Goal::Check).unwrap_err();
    assert!(
        faults[0].starts_with("tests: found test destinations"),
        "{faults:?}"
    );
    assert!(!faults[0].contains("555"));
    assert!(reread(&file.0, AppEnv::Production).is_err());
}

#[test]
fn a_file_that_names_an_account_is_no_demo_but_can_be_checked_without_secrets() {
    let text = format!(
        "[twilio]\naccount_sid = \"AC{}\"\n[verify]\nservice_sid = \"VA{}\"\n",
        "0".repeat(32),
        "0".repeat(32)
    );
    let file = TempFile::new("account.toml", &text);
    let faults = with(&[], &file.args(), Goal::Serve).unwrap_err();
    assert!(
        faults[0].starts_with("TWILIO_API_KEY_SID, TWILIO_API_KEY_SECRET: missing"),
        "{faults:?}"
    );
    let checked = with(&[], &file.args(), Goal::Check).unwrap();
    assert!(
        checked
            .notes
            .iter()
            .any(|note| note.contains("TWILIO_API_KEY_SID"))
    );
    assert!(with(&[("TWILIO_API_KEY_SID", "SK1")], &file.args(), Goal::Check).is_err());
}

#[test]
fn one_fingerprint_key_gives_all_rings_and_that_is_said() {
    let text = format!(
        "{{\"security\": {{\"hmacKeyEnv\": \"MY_KEY\"}}, \"verify\": {{\"serviceSid\": \"VA{}\"}}}}",
        "0".repeat(32)
    );
    let file = TempFile::new("derived.json", &text);
    let mut vars = live();
    vars.retain(|(name, _)| *name != "VERIFY_KEYS");
    vars.push(("MY_KEY", "k".repeat(64)));
    let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let settings = with(&vars, &file.args(), Goal::Serve).unwrap();
    account(&settings);
    assert!(
        settings
            .notes
            .iter()
            .any(|note| note.starts_with("MY_KEY: all key rings")),
        "{:?}",
        settings.notes
    );
}

fn in_use(name: &str) -> ServeArgs {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../verify-core/tests/fixtures/");
    ServeArgs {
        config: Some(format!("{fixtures}{name}").into()),
        ..ServeArgs::default()
    }
}

#[test]
fn the_files_in_use_load_as_they_stand() {
    // What the policies of both come to is the core's to test; here it is that nothing of them is lost.
    let policies = |sections: &str| PolicySet::from_toml(sections).unwrap().policies;
    let file = File::read(&in_use("twilio-verify.toml").config.unwrap(), &mut Vec::new());
    let says = "[channels]\ndefault_locale = \"en\"\n[risk]\nmedium = \"step_up\"";
    assert_eq!(file.policies.default, policies(says).default);
    assert_eq!(
        file.beside.logging.redact_fields,
        ["to", "email", "code", "auth_token", "api_key_secret"]
    );
    assert_eq!(file.beside.logging.level, Some(LogLevel::Info));
    assert_eq!(file.warnings.len(), 2, "{:?}", file.warnings);

    let file = File::read(&in_use("verify.config.json").config.unwrap(), &mut Vec::new());
    assert_eq!(
        file.policies.default,
        policies("[channels]\ndefault_locale = \"en\"").default
    );
    assert_eq!(
        file.beside.hmac_key_env.as_deref(),
        Some("VERIFY_DESTINATION_HMAC_KEY")
    );

    let checked = |name| with(&[], &in_use(name), Goal::Check).unwrap();
    assert_eq!(checked("twilio-verify.toml").log_level, LogLevel::Info);
    assert!(is_demo(&checked("verify.config.json")));
}

#[test]
fn the_level_of_the_file_reaches_the_logs() {
    let text = std::fs::read_to_string(in_use("twilio-verify.toml").config.unwrap()).unwrap();
    let file = TempFile::new("level.toml", &text.replace("\"info\"", "\"debug\""));
    let level = |vars: &[(&str, &str)]| with(vars, &file.args(), Goal::Check).unwrap().log_level;
    assert_eq!(level(&[]), LogLevel::Debug);
    assert_eq!(level(&[("LOG_LEVEL", "trace")]), LogLevel::Trace);
}

#[test]
fn i23_services_on_one_verify_service_do_not_start_unless_the_file_says_so() {
    let service = |id: &str| ServiceId::new(id).unwrap();
    let callers = [
        entry("shop", Role::App, "key", &service("shop")),
        entry("bank", Role::App, "other-key", &service("bank")),
    ];
    let started = |text: &str, goal| {
        let file = TempFile::new("shared.toml", text);
        let mut vars = live();
        vars.push(("VERIFY_API_KEYS", callers.join(",")));
        let vars: Vec<(&str, &str)> = vars.iter().map(|(name, value)| (*name, value.as_str())).collect();
        with(&vars, &file.args(), goal).map(|_| ())
    };
    let own = |at: &str, last: u8| format!("[{at}]\nverify_service_sid = \"VA{}{last}\"\n", "0".repeat(31));
    let (bank, shop) = (own("services.bank", 1), own("services.shop", 1));
    let recovery = own("services.shop.purposes.recovery", 1);
    for (text, services) in [
        // Both on the one of the variable.
        (String::new(), "bank, shop on VA…0000"),
        (
            "[verify]\nshared = [\"bank\", \"pawn\"]".to_owned(),
            "bank, shop on VA…0000",
        ),
        // Callers or not: what the file names is one.
        (bank.clone() + "[services.pawn]\n", "pawn, shop on VA…0000"),
        (bank.clone() + &shop, "bank, shop on VA…0001"),
        (bank.clone() + &recovery, "bank, shop on VA…0001"),
    ] {
        for goal in [Goal::Serve, Goal::Check] {
            let faults = started(&text, goal).unwrap_err();
            let [fault] = faults.as_slice() else {
                panic!("{text}: {faults:#?}")
            };
            assert!(fault.starts_with("twilio: "), "{text}: {fault}");
            for said in [services, "verify_service_sid", "verify.shared"] {
                assert!(fault.contains(said), "{text}: {fault}");
            }
        }
    }
    let shared = "[verify]\nshared = [\"bank\", \"shop\"]\n";
    for fine in [
        bank.clone(),
        shared.to_owned(),
        shared.to_owned() + &bank + &recovery,
        bank + &own("services.shop", 2),
    ] {
        assert_eq!(started(&fine, Goal::Serve), Ok(()), "{fine}");
    }
}

/// The policy's own keys are compared with the page where the policy is.
#[test]
fn the_page_has_every_key_of_the_file_that_is_no_policy() {
    let page = include_str!("../../../../docs/policy.md");
    let text = "twilio.zz = 1\nlogging.zz = 1\nsecurity.zz = 1\nverify.zz = 1\nservices.ID.zz = 1\npurposes.recovery.zz = 1\n";
    let file = TempFile::new("page.toml", text);
    let faults = with(&[], &file.args(), Goal::Check).unwrap_err();
    let mut paths = Vec::new();
    for fault in &faults {
        let (key, known) = fault.split_once(": unknown key; known here: ").unwrap();
        let section = key.strip_suffix(".zz").unwrap();
        let section = section.replace("recovery", "PURPOSE");
        let keys = known
            .split(", ")
            .filter(|key| section != "services.ID" || key.ends_with("_sid"));
        let keys = keys.filter(|key| section != "purposes.PURPOSE" || key.ends_with("_sid"));
        paths.extend(keys.map(|key| format!("{section}.{key}")));
    }
    assert_eq!(faults.len(), 6, "{faults:#?}");
    assert!(paths.len() >= 20, "{paths:#?}");
    for path in paths {
        assert!(
            page.contains(&format!("| `{path}` |")),
            "{path} is not in the page"
        );
    }
}

#[test]
fn a_network_with_host_bits_says_what_it_should_be() {
    for (found, said) in [
        (
            "10.0.0.7/8",
            "expected 10.0.0.0/8, or 10.0.0.7 for that one address",
        ),
        (
            "fd00::1/64",
            "expected fd00::/64, or fd00::1 for that one address",
        ),
        (
            "10.0.0.0/8, 192.0.2.1/24",
            "found \"192.0.2.1/24\"; expected 192.0.2.0/24",
        ),
    ] {
        let faults = serve(&[("VERIFY_TRUSTED_PROXIES", found)]).unwrap_err();
        assert!(faults[0].contains(said), "{faults:?}");
        let file = TempFile::new(
            "proxies.toml",
            &format!("[gateway]\ntrusted_proxies = \"{found}\"\n"),
        );
        let faults = with(&[], &file.args(), Goal::Serve).unwrap_err();
        assert!(
            faults[0].starts_with("gateway.trusted_proxies: ") && faults[0].contains(said),
            "{faults:?}"
        );
    }
    for fine in ["10.0.0.0/8", "10.0.0.7", "10.0.0.7/32", "::1, 192.0.2.0/24"] {
        assert!(serve(&[("VERIFY_TRUSTED_PROXIES", fine)]).is_ok(), "{fine}");
    }
    let faults = serve(&[("VERIFY_FORWARDED_HEADER", "x-real-ip")]).unwrap_err();
    assert!(faults[0].starts_with("VERIFY_FORWARDED_HEADER: "), "{faults:?}");
}

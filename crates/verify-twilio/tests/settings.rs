//! What policy files say of Twilio, as people write them and as they should not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use verify_core::policy::{Loaded, PolicyErrors, PolicyFile};
use verify_core::port::Provider;
use verify_core::secret::SecretString;
use verify_core::vocabulary::{Purpose, ServiceId};
use verify_twilio::{AuthMode, Credentials, TwilioSettings};

const IN_TOML: &str = include_str!("../../verify-core/tests/fixtures/twilio-verify.toml");
const IN_JSON: &str = include_str!("../../verify-core/tests/fixtures/verify.config.json");
/// A digit short, as the file has it.
const SERVICE: &str = "VA0a1b2c3d4e5f60718293a4b5c6d7e8f";

/// What a file says, where a host keeps the rest of `[logging]` and `[security]`.
fn read(mut file: PolicyFile) -> Result<(TwilioSettings, Loaded), PolicyErrors> {
    let settings = TwilioSettings::read(&mut file);
    file.section("logging", |logging| drop(logging.rest()));
    file.section("security", |security| {
        security.value("hmac_key_env");
    });
    Ok((settings, file.policies()?))
}

fn in_toml(text: &str) -> Result<(TwilioSettings, Loaded), PolicyErrors> {
    read(PolicyFile::from_toml(text)?)
}

/// The keys of the faults of a text.
fn faulty_keys(text: &str) -> Vec<String> {
    let errors = in_toml(text).unwrap_err();
    errors.faults().map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn the_toml_file_in_use_loads_as_it_stands() {
    let (twilio, loaded) = in_toml(IN_TOML).unwrap();
    assert_eq!(
        twilio.account_sid.as_deref(),
        Some("AC2f7c2c6b2d2f4a1b9a0b3c1d2e3f4a5")
    );
    assert_eq!(twilio.auth_mode, Some(AuthMode::ApiKey));
    assert_eq!(twilio.api_key_sid_env.as_deref(), Some("TWILIO_API_KEY_SID"));
    assert_eq!(
        twilio.api_key_secret_env.as_deref(),
        Some("TWILIO_API_KEY_SECRET")
    );
    assert_eq!(twilio.auth_token_env.as_deref(), Some("TWILIO_AUTH_TOKEN"));
    assert_eq!(
        (twilio.region.as_deref(), twilio.edge.as_deref()),
        (Some("us1"), Some("ashburn"))
    );
    let verify_service = twilio.services.of(&ServiceId::default(), Purpose::SignIn);
    assert_eq!(verify_service, Some(SERVICE));

    // Their SIDs are a digit short: said, and no reason to stop.
    assert_eq!(
        loaded.warnings,
        [
            "verify.service_sid: a SID has 32 hexadecimal digits after VA, this one has 31",
            "twilio.account_sid: a SID has 32 hexadecimal digits after AC, this one has 31",
        ]
    );
}

#[test]
fn the_json_file_in_use_loads_as_it_stands() {
    let (twilio, _) = read(PolicyFile::from_json(IN_JSON).unwrap()).unwrap();
    assert_eq!(
        twilio.webhook_auth_token_env.as_deref(),
        Some("TWILIO_AUTH_TOKEN")
    );
    assert_eq!(twilio.services.default.as_deref(), Some(SERVICE));
    assert_eq!(
        (twilio.region.as_deref(), twilio.edge.as_deref()),
        (Some("us1"), Some("ashburn"))
    );
}

#[test]
fn a_file_without_twilio_says_nothing_of_it() {
    let (twilio, loaded) = in_toml("[code]\nlength = 8").unwrap();
    assert_eq!(twilio, TwilioSettings::default());
    assert_eq!(loaded.policies.default.code.length, 8);
}

#[test]
fn i60_a_typing_error_never_passes() {
    for (text, key) in [
        ("[twilio]\naccount = \"x\"", "twilio.account"),
        ("[verify]\nservice = \"x\"", "verify.service"),
        ("[verify]\nshared = [\"a b\"]", "verify.shared"),
        ("[security]\nwebhook_token = \"x\"", "security.webhook_token"),
        (
            "[services.acme]\nservice_sid = \"x\"",
            "services.acme.service_sid",
        ),
        ("verify_service_sid = \"x\"", "verify_service_sid"),
        ("twilio = 5", "twilio"),
        ("[twilio]\nauth_mode = \"token\"", "twilio.auth_mode"),
        ("[twilio]\nregion = \"us1.evil.example/\"", "twilio.region"),
        ("[twilio]\nedge = \"\"", "twilio.edge"),
        ("[twilio]\nauth_token_env = \"A TOKEN\"", "twilio.auth_token_env"),
        (
            "[verify]\nservice_sid = \"AC2f7c2c6b2d2f4a1b9a0b3c1d2e3f4a55\"",
            "verify.service_sid",
        ),
        (
            "[services.acme.purposes.recovery]\nverify_service_sid = \"VA\"",
            "services.acme.purposes.recovery.verify_service_sid",
        ),
        (
            "[twilio]\naccount_sid = \"AC00000000000000000000000000000000\"\naccount_sid_env = \"A\"",
            "twilio.account_sid_env",
        ),
    ] {
        assert_eq!(faulty_keys(text), [key], "{text}");
    }
}

#[test]
fn faults_come_with_those_of_the_policy_and_name_what_is_known() {
    let text = "[twilio]\nzone = 1\nregion = 5\n[code]\nlength = 3\n[purposes.sign_in]\nverify_sid = \"x\"";
    let errors = in_toml(text).unwrap_err().to_string();
    let lines: Vec<_> = errors.lines().collect();
    assert_eq!(
        lines,
        [
            "twilio.region: found 5; a part of a host name (a-z 0-9 -), such as \"us1\" or \"dublin\", would do",
            "code.length: found 3; a whole number from 4 to 10 would do",
            "purposes.sign_in.verify_sid: unknown key; known here: channels, code, risk, verify_service_sid",
            "twilio.zone: unknown key; known here: account_sid, account_sid_env, api_key_secret_env, \
             api_key_sid_env, auth_mode, auth_token_env, edge, region",
        ]
    );
}

#[test]
fn secrets_in_the_wrong_place_are_not_repeated() {
    for line in [
        "api_key_secret_env = \"5f4dcc3b-5aa7\"",
        "account_sid = \"5f4dcc3b-5aa7\"",
        "account_sid = \"SK5f4dcc3b5aa765d61d8327deb882cf99\"",
    ] {
        let shown = in_toml(&format!("[twilio]\n{line}")).unwrap_err().to_string();
        assert!(
            shown.starts_with("twilio.") && !shown.contains("5f4dcc3b"),
            "{shown}"
        );
    }
}

#[test]
fn a_region_without_its_edge_is_said() {
    let (_, loaded) = in_toml("[twilio]\nregion = \"ie1\"").unwrap();
    assert_eq!(
        loaded.warnings,
        ["twilio.region: a region other than us1 is reached only with its edge; name the edge too"]
    );
}

#[test]
fn one_service_alone_shares_nothing_and_that_is_said() {
    let (_, loaded) = in_toml("[verify]\nshared = [\"acme\"]").unwrap();
    assert_eq!(
        loaded.warnings,
        ["verify.shared: changes nothing: found acme alone, and it takes two to share"]
    );
}

#[test]
fn services_and_purposes_have_verify_services_of_their_own() {
    let (twilio, loaded) = in_toml(
        r#"
        [purposes.recovery]
        verify_service_sid = "VA00000000000000000000000000000001"
        code = { length = 10 }
        [services.acme]
        verifyServiceSid = "VA00000000000000000000000000000002"
        [services.acme.code]
        resend = "new"
        [services.acme.purposes.sign_up]
        verify_service_sid = "VA00000000000000000000000000000003"
        [services.other.code]
        length = 8
        "#,
    )
    .unwrap();
    let (own, other) = (ServiceId::default(), ServiceId::new("other").unwrap());
    let acme = ServiceId::new("acme").unwrap();
    let last = |sid: &str| sid.chars().last();
    let sid = |service: &ServiceId, purpose| twilio.services.of(service, purpose).and_then(last);
    assert_eq!(sid(&own, Purpose::Recovery), Some('1'));
    assert_eq!(sid(&own, Purpose::SignIn), None);
    assert_eq!(sid(&acme, Purpose::Recovery), Some('2'), "tenants stay apart");
    assert_eq!(sid(&acme, Purpose::SignUp), Some('3'));

    // As scopes it is the same, for all services that are named.
    let services = loaded.policies.services.keys().chain([&own]);
    let scopes = twilio.services.scopes(services).unwrap_err().to_string();
    assert!(scopes.contains("(default, other on VA…0001)"), "{scopes}");
    let mut shared = twilio.services.clone();
    shared.shared = [own.clone(), other.clone()].into();
    let services = loaded.policies.services.keys().chain([&own]);
    let scopes = shared.scopes(services).unwrap();
    for service in [&own, &acme, &other] {
        for purpose in Purpose::ALL.iter().copied() {
            let scope = scopes.of(service, purpose);
            let named = twilio.services.of(service, purpose).unwrap_or_default();
            assert_eq!(&**scope, named, "{service} {purpose}");
        }
    }
    assert_eq!(last(scopes.of(&other, Purpose::Recovery)), Some('1'));
    let unnamed = ServiceId::new("unnamed").unwrap();
    assert_eq!(&**scopes.of(&unnamed, Purpose::Recovery), "");
}

#[test]
fn the_provider_is_what_the_file_says_and_takes_it_up() {
    let text = r#"
        [twilio]
        account_sid = "AC00000000000000000000000000000000"
        region = "ie1"
        edge = "dublin"
        [verify]
        service_sid = "VA00000000000000000000000000000000"
        [purposes.recovery]
        verify_service_sid = "VA00000000000000000000000000000001"
        [services.acme]
        verify_service_sid = "VA00000000000000000000000000000002"
    "#;
    let (twilio, loaded) = in_toml(text).unwrap();
    let mut policies = loaded.policies;
    let [keys] = policies.backends.as_slice() else {
        panic!("{:?}", policies.backends)
    };
    assert_eq!(
        (keys.paths().as_str(), keys.taken_up),
        (
            "purposes.recovery.verify_service_sid, services.acme.verify_service_sid, twilio.account_sid, \
             twilio.edge, twilio.region, verify.service_sid",
            false
        )
    );
    assert!(!format!("{keys:?}").contains("AC0000"));
    let token = || Credentials::AuthToken {
        token: SecretString::new("t".to_owned()),
    };
    let account = twilio.config(token()).unwrap();
    assert_eq!(
        account.base().unwrap().as_str(),
        "https://verify.dublin.ie1.twilio.com/"
    );
    let shop = ServiceId::new("shop").unwrap();
    let provider = twilio.provider(&account, &mut policies, [&shop]).unwrap();
    assert!(policies.backends[0].taken_up);
    let scopes = provider.capabilities().scopes;
    for (service, purpose, last) in [
        ("shop", Purpose::SignIn, '0'),
        ("shop", Purpose::Recovery, '1'),
        ("acme", Purpose::Recovery, '2'),
    ] {
        let scope = scopes.of(&ServiceId::new(service).unwrap(), purpose);
        assert!(scope.ends_with(last), "{service} {purpose}: {scope}");
    }

    // What it lacks is named, and nothing is taken up then.
    let (mut twilio, loaded) = in_toml("[twilio]\naccount_sid_env = \"SID\"").unwrap();
    let mut policies = loaded.policies;
    let error = twilio.config(token()).unwrap_err().to_string();
    assert!(error.contains("twilio.account_sid"), "{error}");
    twilio.account_sid = Some("AC00000000000000000000000000000000".into());
    let account = twilio.config(token()).unwrap();
    let error = twilio
        .provider(&account, &mut policies, [])
        .unwrap_err()
        .to_string();
    assert!(error.contains("verify.service_sid"), "{error}");
    assert!(!policies.backends[0].taken_up);
}

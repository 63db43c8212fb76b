//! What is missing or does not fit is told when the engine is built, with what to do about it.

use std::time::Duration;

use crate::support::{Gate, Parts, TestProvider, policies};
use verify_core::keys::Keys;
use verify_core::vocabulary::Channel;
use verify_engine::{BuildError, Engine};

fn parts() -> Parts {
    Parts::new(Gate::open())
}

fn error(builder: verify_engine::EngineBuilder) -> BuildError {
    builder.build().unwrap_err()
}

#[test]
fn keys_a_store_and_a_provider_are_needed() {
    let parts = parts();
    let keys = || Keys::generate(&[1; 32]);
    assert_eq!(error(Engine::builder()), BuildError::MissingKeys);
    assert_eq!(error(Engine::builder().keys(keys())), BuildError::MissingStore);
    assert_eq!(
        error(Engine::builder().keys(keys()).store(parts.store.clone())),
        BuildError::MissingProvider
    );
}

#[test]
fn somebody_says_whether_there_is_a_client_address() {
    let parts = parts();
    let builder = || {
        Engine::builder()
            .keys(Keys::generate(&[1; 32]))
            .store(parts.store.clone())
            .provider(parts.provider.clone())
    };
    let told = error(builder()).to_string();
    assert!(
        told.contains("checks_per_ip, sends_per_ip") && told.contains("without_client_ip()"),
        "{told}"
    );
    assert!(builder().with_client_ip().build().is_ok());
    assert!(builder().without_client_ip().build().is_ok());
}

#[test]
fn providers_are_told_apart_by_plain_names() {
    let parts = parts();
    let named = |name| parts.builder().provider(TestProvider::new(name, &Gate::open()));
    assert_eq!(
        error(named("fake")),
        BuildError::DuplicateProvider { name: "fake".into() }
    );
    for name in ["", "Twilio", "a b", "abcdefghijabcdefghijabcdefghijabc"] {
        assert_eq!(error(named(name)), BuildError::ProviderName { name: name.into() });
    }
    assert_eq!(
        error(named("decoy")),
        BuildError::ReservedName { name: "decoy".into() }
    );
    assert!(named("other-1").build().is_ok());
}

#[test]
fn the_default_channel_is_carried_by_somebody() {
    let parts = parts();
    let email = policies(|policy| policy.channels.default = Channel::Email);
    let told = error(parts.builder().policy(email));
    assert_eq!(
        told,
        BuildError::NoProviderForDefault {
            place: "the policy".into(),
            channel: Channel::Email
        }
    );
    let nobody = parts.builder().route(Channel::Sms, None, Vec::<String>::new());
    assert!(matches!(
        error(nobody),
        BuildError::NoProviderForDefault {
            channel: Channel::Sms,
            ..
        }
    ));
}

#[test]
fn routes_and_paces_name_providers_that_there_are() {
    let parts = parts();
    let told = error(parts.builder().route(Channel::Sms, None, ["fale"])).to_string();
    assert!(
        told.contains("fale") && told.contains("registered are fake"),
        "{told}"
    );
    assert!(matches!(
        error(parts.builder().pacing("fale", 5)),
        BuildError::UnknownProvider { called: "pacing", .. }
    ));
    assert_eq!(
        error(parts.builder().route(Channel::Email, None, ["fake"])),
        BuildError::RouteWithoutChannel {
            channel: Channel::Email,
            name: "fake".into()
        }
    );
}

#[test]
fn what_would_admit_nothing_is_an_error() {
    let parts = parts();
    assert_eq!(
        error(parts.builder().pacing("fake", 0)),
        BuildError::ZeroRate { called: "pacing" }
    );
    assert_eq!(
        error(parts.builder().flood_shield(0)),
        BuildError::ZeroRate {
            called: "flood_shield"
        }
    );
    assert_eq!(
        error(parts.builder().store_timeout(Duration::ZERO)),
        BuildError::ZeroStoreTimeout
    );
}

#[test]
fn a_policy_built_in_code_is_checked_like_a_file() {
    let parts = parts();
    let short = policies(|policy| policy.code.length = 3);
    assert!(matches!(
        error(parts.builder().policy(short.clone())),
        BuildError::Policy(_)
    ));

    let engine = parts.engine();
    let before = engine.policies();
    assert!(matches!(engine.reload(short), Err(BuildError::Policy(_))));
    assert_eq!(engine.policies(), before, "a faulty policy changes nothing");
    let longer = policies(|policy| policy.code.length = 8);
    engine.reload(longer.clone()).unwrap();
    assert_eq!(*engine.policies(), longer);
}

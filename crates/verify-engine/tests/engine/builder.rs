//! What is missing or does not fit is told when the engine is built, with what to do about it.

use std::sync::Arc;
use std::time::Duration;

use crate::support::{Gate, Parts, TestProvider, policies};
use verify_core::command::SendRequest;
use verify_core::keys::Keys;
use verify_core::outcome::SendAnswer;
use verify_core::policy::file::env_name;
use verify_core::policy::{PolicyFile, PolicySet};
use verify_core::port::{
    Clock, Entropy, EventSink, HumanCheck, KeySource, NoEvents, NoHumanCheck, NoRefusals, NoRisk, Provider,
    RefusalSink, RiskScorer,
};
use verify_core::store::Store;
use verify_core::vocabulary::Channel;
use verify_engine::{BuildError, Engine, SystemEntropy};

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

/// Whoever chooses an adapter while the program runs has it in a box.
#[tokio::test]
async fn a_port_in_a_box_is_a_port() {
    let parts = parts();
    let store: Box<dyn Store> = Box::new(parts.store.clone());
    let provider: Box<dyn Provider> = Box::new(parts.provider.clone());
    let keys: Box<dyn KeySource> = Box::new(HeldKeys(Keys::generate(&[7; 32]).into()));
    let clock: Box<dyn Clock> = Box::new(parts.clock.clone());
    let entropy: Box<dyn Entropy> = Box::new(SystemEntropy);
    let scorer: Box<dyn RiskScorer> = Box::new(NoRisk);
    let human: Box<dyn HumanCheck> = Box::new(NoHumanCheck);
    let events: Box<dyn EventSink> = Box::new(NoEvents);
    let refusals: Box<dyn RefusalSink> = Box::new(NoRefusals);
    let engine = Engine::builder()
        .store(store)
        .provider(provider)
        .key_source(keys)
        .clock(clock)
        .entropy(entropy)
        .risk_scorer(scorer)
        .human_check(human)
        .event_sink(events)
        .refusal_sink(refusals)
        .without_client_ip()
        .build()
        .unwrap();
    let sent = engine.send(SendRequest::to("+12025550142")).await;
    assert!(matches!(sent.answer, Ok(SendAnswer::Sent(_))), "{sent:?}");
}

struct HeldKeys(Arc<Keys>);

impl KeySource for HeldKeys {
    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.0)
    }
}

/// A file that says something of a mailer, which `read` reads and perhaps nobody builds.
fn with_a_mailer(text: &str) -> PolicySet {
    let mut file = PolicyFile::from_toml(text).unwrap();
    file.backend("mailer", "Mailer::provider", |file| {
        file.section("mailer", |mailer| drop(mailer.optional("password_env", env_name)));
        file.services_and_purposes(|_, section| drop(section.optional("sender", env_name)));
    });
    file.policies().unwrap().policies
}

const OF_A_MAILER: &str = "[mailer]\npassword_env = \"A\"\n[services.shop]\nsender = \"shop\"\n";

#[tokio::test]
async fn i137_what_a_file_says_of_a_backend_that_nobody_built_is_an_error() {
    let mut policies = with_a_mailer(OF_A_MAILER);
    let said = error(parts().builder().policy(policies.clone())).to_string();
    for named in ["mailer.password_env", "services.shop.sender", "Mailer::provider"] {
        assert!(said.contains(named), "{said}");
    }
    policies.take_up("another");
    error(parts().builder().policy(policies.clone()));
    policies.take_up("mailer");
    parts().builder().policy(policies).build().unwrap();
    // A reader of keys that are there for others is no backend, and a file without keys has none.
    parts()
        .builder()
        .policy(with_a_mailer("version = 1"))
        .build()
        .unwrap();
}

#[tokio::test]
async fn a_reload_builds_no_backend() {
    let mut policies = with_a_mailer(OF_A_MAILER);
    policies.take_up("mailer");
    let engine = parts().builder().policy(policies).build().unwrap();
    let same = format!("{OF_A_MAILER}[code]\nlength = 8\n");
    engine.reload(with_a_mailer(&same)).unwrap();
    assert_eq!(engine.policies().default.code.length, 8);
    let other = OF_A_MAILER.replace("\"shop\"", "\"other\"");
    let refused = engine.reload(with_a_mailer(&other)).unwrap_err().to_string();
    assert!(refused.contains("services.shop.sender"), "{refused}");
    assert_eq!(engine.policies().default.code.length, 8, "nothing changed");
    // A policy made in code says nothing of it.
    engine.reload(PolicySet::default()).unwrap();
    engine.reload(with_a_mailer(&same)).unwrap();
}

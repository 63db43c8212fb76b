//! What is measured carries no personal data, and every documented name is measured.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use verify_core::command::{CheckRequest, Expected, Person, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::SendAnswer;
use verify_core::policy::PolicySet;
use verify_core::port::{NoRisk, RejectionKind};
use verify_core::store::{Epoch, Origin, StoreFault};
use verify_engine::{Engine, telemetry};
use verify_testkit::{ModelStore, ScriptedHumanCheck, ScriptedProvider};

use crate::support::{Gate, HeldClock, Mood, Parts, number};

/// Remembers every name with its labels.
#[derive(Default)]
struct Names {
    names: Mutex<BTreeSet<String>>,
    labels: Mutex<BTreeSet<String>>,
    described: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
}

impl Names {
    fn note(&self, key: &Key) {
        self.names.lock().insert(key.name().to_owned());
        self.labels.lock().extend(
            key.labels()
                .map(|label| format!("{}={}", label.key(), label.value())),
        );
    }

    fn learn(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        let meaning = (unit, text.to_string());
        self.described.lock().insert(name.as_str().to_owned(), meaning);
    }
}

impl Recorder for Names {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.learn(name, unit, text);
    }
    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.learn(name, unit, text);
    }
    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, text: SharedString) {
        self.learn(name, unit, text);
    }
    fn register_counter(&self, key: &Key, _metadata: &Metadata<'_>) -> Counter {
        self.note(key);
        Counter::noop()
    }
    fn register_gauge(&self, key: &Key, _metadata: &Metadata<'_>) -> Gauge {
        self.note(key);
        Gauge::noop()
    }
    fn register_histogram(&self, key: &Key, _metadata: &Metadata<'_>) -> Histogram {
        self.note(key);
        Histogram::noop()
    }
}

const NAMES: [&str; 14] = [
    telemetry::COMMANDS,
    telemetry::COMMAND_SECONDS,
    telemetry::FLOW_STEPS,
    telemetry::REFUSALS,
    telemetry::STORE_SECONDS,
    telemetry::STORE_FAULTS,
    telemetry::STORE_EPOCH_CHANGES,
    telemetry::STORE_CLOCK_DIFFERENCE,
    telemetry::PROVIDER_SECONDS,
    telemetry::PROVIDER_RESULTS,
    telemetry::BREAKER_OPEN,
    telemetry::ASSESSMENTS,
    telemetry::EVENTS,
    telemetry::MISSING_IP,
];

#[tokio::test]
async fn a_recorder_that_comes_late_counts_and_knows_what_everything_means() {
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let send = |n| engine.send(SendRequest::to(number(n)));
    send(0).await.answer.unwrap();
    let names = Names::default();
    let _recording = metrics::set_default_local_recorder(&names);
    // The same as before, so that nothing of it is asked for the first time.
    send(1).await.answer.unwrap();
    let measured = names.names.lock().clone();
    for name in [
        telemetry::COMMANDS,
        telemetry::COMMAND_SECONDS,
        telemetry::FLOW_STEPS,
        telemetry::STORE_SECONDS,
        telemetry::BREAKER_OPEN,
    ] {
        assert!(measured.contains(name), "{name}: {measured:?}");
    }
    let described = names.described.lock().clone();
    for name in NAMES {
        let (unit, text) = &described[name];
        let is_time = name.ends_with("_seconds");
        assert_eq!(
            *unit,
            Some(if is_time { Unit::Seconds } else { Unit::Count }),
            "{name}"
        );
        assert!(text.ends_with('.') && !text.starts_with(' '), "{name}: {text}");
    }
}

/// With clocks of their own.
async fn look_at_a_store_that_is_emptied(names: &Names) {
    let store = ModelStore::new();
    let engine = Parts::new(Gate::open()).on_the_wall(store.clone());
    for epoch in [1, 1, 2] {
        let changed = |names: &Names| names.names.lock().contains(telemetry::STORE_EPOCH_CHANGES);
        assert!(!changed(names), "the first one that is seen is no change");
        store.change(|state| {
            state.set_origin(Origin {
                epoch: Epoch([epoch; 16]),
                accepted: true,
                moved: (epoch == 2).then(|| engine.now()),
                clock: engine.now(),
                ..Origin::default()
            });
        });
        engine.readiness().await;
    }
}

// long because every metric has something that must happen for it.
#[tokio::test]
async fn i20_every_documented_metric_is_measured_and_none_names_a_person() {
    let names = Names::default();
    let _recording = metrics::set_default_local_recorder(&names);
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().with_client_ip().build().unwrap();
    let SendAnswer::Sent(sent) = engine
        .send(SendRequest::to(Person::at("+12025550142").subject("ann-7")))
        .await
        .answer
        .unwrap()
    else {
        panic!()
    };
    let code = parts.provider.last_code();
    engine
        .check(CheckRequest::of(&sent.id, "000000", Expected::Whoever))
        .await
        .answer
        .unwrap();
    engine
        .check(CheckRequest::of(&sent.id, &code, Expected::Whoever))
        .await
        .answer
        .unwrap();
    parts.clock.advance(Duration::from_secs(60));
    engine
        .check(CheckRequest::of(&sent.id, &code, Expected::Whoever))
        .await
        .answer
        .unwrap();
    parts.provider.rejects(RejectionKind::OptedOut, 1);
    engine.send(SendRequest::to("+12025550143")).await.answer.unwrap();
    engine.pump_once().await.unwrap();
    *parts.store.mood.lock() = Mood::Down;
    engine
        .send(SendRequest::to("+12025550144"))
        .await
        .answer
        .unwrap_err();
    look_at_a_store_that_is_emptied(&names).await;

    let measured = names.names.lock().clone();
    for name in NAMES {
        assert!(
            measured.contains(name),
            "{name} is documented and was not measured: {measured:?}"
        );
    }
    let described = names.described.lock().clone();
    assert_eq!(described.keys().cloned().collect::<BTreeSet<_>>(), measured);
    let labels = names.labels.lock().clone();
    for wanted in [
        "answer=sent",
        "answer=approved",
        "result=opted_out",
        "provider=fake",
        "kind=send.accepted",
    ] {
        assert!(labels.contains(wanted), "{wanted}: {labels:?}");
    }
    for secret in ["202555", "5550142", "ann-7", &code, &sent.id] {
        assert!(
            labels.iter().all(|label| !label.contains(secret)),
            "a label holds {secret}"
        );
    }
}

/// Remembers every line that is a warning or worse.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::WARN
    }
    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _span: &Id, _values: &Record<'_>) {}
    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().target().to_owned());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }
    fn enter(&self, _span: &Id) {}
    fn exit(&self, _span: &Id) {}
}

#[tokio::test]
async fn i65_the_stores_own_words_are_logged_masked() {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.clone());
    let parts = Parts::new(Gate::open());
    let engine = parts.engine();
    let full = StoreFault::full("no room for +12025550142 in shard 3");
    *parts.store.mood.lock() = Mood::Says(full);
    engine
        .send(SendRequest::to("+12025550144"))
        .await
        .answer
        .unwrap_err();
    engine.sweep_once().await.unwrap_err();

    let lines = lines.0.lock().clone();
    for (target, said) in [
        (telemetry::TARGET_STORE, r#"operation="apply" fault="full""#),
        (telemetry::TARGET_COMMAND, r#"fault="store_full""#),
        (telemetry::TARGET_STORE, r#"operation="services" fault="full""#),
    ] {
        let told = |line: &&String| {
            line.starts_with(target)
                && line.contains(said)
                && line.contains("no room for [number] in shard 3")
        };
        assert_eq!(lines.iter().filter(told).count(), 1, "{said}: {lines:#?}");
    }
    assert!(lines.iter().all(|line| !line.contains("555")), "{lines:#?}");
}

/// The gateway has this from its configuration; who embeds the engine has it from the build.
#[test]
fn i137_a_test_destination_whose_date_is_over_is_named_when_an_engine_is_built_or_reloaded() {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.clone());
    let rules = |until: &str| {
        let text =
            format!("[[tests.destination]]\nto = \"+12025550190\"\ncode = \"424242\"\nuntil = \"{until}\"");
        PolicySet::from_toml(&text).unwrap().policies
    };
    let told = || {
        let lines = lines.0.lock();
        let of_it = |line: &&String| line.contains("tests.destination[0].until");
        lines.iter().filter(of_it).count()
    };
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().policy(rules("2099-12-31")).build().unwrap();
    assert_eq!(told(), 0);
    drop(parts.builder().policy(rules("2001-01-01")).build().unwrap());
    assert_eq!(told(), 1);
    engine.reload(rules("2001-01-01")).unwrap();
    assert_eq!(told(), 2);
}

/// What is named at the build under a policy, with a scorer, a human check and reports, or without.
fn named(text: &str, equipped: bool) -> Vec<String> {
    let lines = Lines::default();
    let _logging = tracing::subscriber::set_default(lines.clone());
    let clock = HeldClock::new();
    let provider = match equipped {
        true => ScriptedProvider::own("all", clock.clone()),
        false => ScriptedProvider::managed("all", "scope", clock.clone())
            .with_capabilities(|it| it.reports = false),
    };
    let mut builder = Engine::builder()
        .policy(PolicySet::from_toml(text).unwrap().policies)
        .keys(Keys::generate(&[7; 32]))
        .store(ModelStore::new())
        .provider(provider)
        .clock(clock)
        .without_client_ip();
    if equipped {
        builder = builder
            .risk_scorer(NoRisk)
            .human_check(ScriptedHumanCheck::default());
    }
    drop(builder.build().unwrap());
    lines.0.lock().clone()
}

#[test]
fn i137_what_an_engine_has_nobody_for_is_named_when_it_is_built() {
    for (key, text) in [
        ("risk", "[risk]\nhigh = \"proceed\""),
        ("risk", "[risk]\nthresholds = { high = 90 }"),
        (
            "purposes.recovery.risk",
            "[purposes.recovery.risk]\nmedium = \"refuse\"",
        ),
        ("services.shop.risk", "[services.shop.risk]\nhigh = \"step_up\""),
        ("channels.automatic", "[channels]\nautomatic = \"always\""),
        ("code.resend", "[code]\nresend = \"new\""),
        ("countries.human_check", "[countries]\nhuman_check = [\"FR\"]"),
        ("countries.human_check", "[countries]\ndefault = \"human_check\""),
    ] {
        let of_key = |line: &&String| line.contains(&format!("\"{key}: "));
        let found = named(text, false);
        assert_eq!(found.iter().filter(of_key).count(), 1, "{text}: {found:?}");
        let found = named(text, true);
        assert_eq!(found.iter().filter(of_key).count(), 0, "{text}: {found:?}");
    }
    assert!(
        named("", false)
            .iter()
            .all(|line| !line.contains("changes nothing"))
    );
}

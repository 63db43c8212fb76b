//! What is measured carries no personal data, and every documented name is measured.

use std::collections::BTreeSet;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::port::RejectionKind;
use verify_engine::{SendOutcome, telemetry};

use crate::support::{Gate, Mood, Parts};

/// Remembers every name with its labels.
#[derive(Default)]
struct Names {
    names: Mutex<BTreeSet<String>>,
    labels: Mutex<BTreeSet<String>>,
}

impl Names {
    fn note(&self, key: &Key) {
        self.names.lock().insert(key.name().to_owned());
        self.labels.lock().extend(
            key.labels()
                .map(|label| format!("{}={}", label.key(), label.value())),
        );
    }
}

impl Recorder for Names {
    fn describe_counter(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_gauge(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}
    fn describe_histogram(&self, _key: KeyName, _unit: Option<Unit>, _text: SharedString) {}
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

#[tokio::test]
async fn i20_every_documented_metric_is_measured_and_none_names_a_person() {
    let names = Names::default();
    let _recording = metrics::set_default_local_recorder(&names);
    let parts = Parts::new(Gate::open());
    let engine = parts.builder().with_client_ip().build().unwrap();
    let SendOutcome::Sent(sent) = engine
        .send(SendRequest::to("+12025550142").subject("ann-7"))
        .await
        .unwrap()
    else {
        panic!()
    };
    let code = parts.provider.last_code();
    engine.check(CheckRequest::of(&sent.id, "000000")).await.unwrap();
    engine.check(CheckRequest::of(&sent.id, &code)).await.unwrap();
    parts.clock.advance(Duration::from_secs(60));
    engine.check(CheckRequest::of(&sent.id, &code)).await.unwrap();
    parts.provider.rejects(RejectionKind::OptedOut, 1);
    engine.send(SendRequest::to("+12025550143")).await.unwrap();
    engine.pump_once().await.unwrap();
    *parts.store.mood.lock() = Mood::Down;
    engine.send(SendRequest::to("+12025550144")).await.unwrap_err();

    let measured = names.names.lock().clone();
    for name in [
        telemetry::COMMANDS,
        telemetry::COMMAND_SECONDS,
        telemetry::FLOW_STEPS,
        telemetry::REFUSALS,
        telemetry::STORE_SECONDS,
        telemetry::STORE_FAULTS,
        telemetry::PROVIDER_SECONDS,
        telemetry::PROVIDER_RESULTS,
        telemetry::BREAKER_OPEN,
        telemetry::ASSESSMENTS,
        telemetry::EVENTS,
        telemetry::MISSING_IP,
    ] {
        assert!(
            measured.contains(name),
            "{name} is documented and was not measured: {measured:?}"
        );
    }
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

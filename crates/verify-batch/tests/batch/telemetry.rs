//! Every documented name is measured, and told what it means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use parking_lot::Mutex;
use tokio::time::sleep;
use verify_batch::telemetry;

use crate::changesets::*;
use crate::memory::{How, Memory, Step};

/// Remembers every name with its labels.
#[derive(Default)]
struct Names {
    measured: Mutex<BTreeMap<String, BTreeSet<String>>>,
    described: Mutex<BTreeMap<String, (Option<Unit>, String)>>,
}

impl Names {
    fn note(&self, key: &Key) {
        let mut measured = self.measured.lock();
        let labels = measured.entry(key.name().to_owned()).or_default();
        labels.extend(
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

#[tokio::test(start_paused = true)]
async fn a_recorder_that_comes_late_measures_and_knows_what_everything_means() {
    let memory = Memory::default();
    let lanes = lanes(&memory);
    assert!(is_applied(&lanes.apply(&charging(one(), 1), WITHIN).await));
    let names = Names::default();
    let _recording = metrics::set_default_local_recorder(&names);
    memory.refuses(record(1));
    decided_together(&lanes, &[charging(one(), 1), creating(one(), 1)]).await;
    memory.script([Some((Step::Committed, How::Fails))]);
    lanes.apply(&charging(one(), 2), WITHIN).await;
    memory.is_down(true);
    for _ in 0..6 {
        lanes.apply(&charging(one(), 1), WITHIN).await;
    }
    memory.is_down(false);
    sleep(Duration::from_secs(2)).await;
    let measured = names.measured.lock().clone();
    let described = names.described.lock().clone();
    let labels = [
        (telemetry::BATCH_CHANGESETS, ""),
        (telemetry::QUEUE_SECONDS, ""),
        (telemetry::LANE_SECONDS, ""),
        (telemetry::WAITING, ""),
        (telemetry::TURNED_AWAY, "why=stalled"),
        (telemetry::RETRIES, ""),
        (telemetry::IN_DOUBT, "end=committed"),
        (telemetry::STALLED, ""),
    ];
    let names: BTreeSet<&str> = labels.iter().map(|(name, _)| *name).collect();
    assert!(
        measured.keys().eq(&names) && described.keys().eq(&names),
        "{measured:?}"
    );
    for (name, label) in labels {
        assert!(
            measured[name].iter().eq(Some(label).filter(|it| !it.is_empty())),
            "{name}"
        );
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

//! The metrics that every command touches, each looked up once: to find a metric by its labels costs several times
//! what it costs to count.

use std::sync::atomic::{AtomicUsize, Ordering};

use metrics::{Counter, Histogram, SharedString, counter, histogram};
use parking_lot::RwLock;

use crate::telemetry::{self, COMMAND_SECONDS, COMMANDS, FLOW_STEPS, REFUSALS, STORE_SECONDS};

/// Those of one engine. Their labels are words of closed lists, and names of rules: they are few.
#[derive(Default)]
pub(crate) struct Meters {
    recorder: AtomicUsize,
    commands: Known<[&'static str; 2], Counter>,
    of_command: Known<&'static str, (Histogram, Histogram)>,
    refusals: Known<(&'static str, SharedString), Counter>,
    store: Known<&'static str, Histogram>,
}

impl Meters {
    /// True when the recorder is another one than at the last call.
    pub(crate) fn have_a_new_recorder(&self) -> bool {
        let now = telemetry::recorder();
        self.recorder.swap(now, Ordering::Relaxed) != now
    }

    pub(crate) fn command_ended(
        &self,
        command: &'static str,
        answer: &'static str,
        seconds: f64,
        steps: usize,
    ) {
        let count = || counter!(COMMANDS, "command" => command, "answer" => answer);
        self.commands.with(
            |key| *key == [command, answer],
            || [command, answer],
            count,
            |it| it.increment(1),
        );
        let measure = || {
            (
                histogram!(COMMAND_SECONDS, "command" => command),
                histogram!(FLOW_STEPS, "command" => command),
            )
        };
        self.of_command.with(
            |key| *key == command,
            || command,
            measure,
            |(took, taken)| {
                took.record(seconds);
                taken.record(steps as f64);
            },
        );
    }

    pub(crate) fn refused(&self, code: &'static str, rule: &str) {
        let name = || SharedString::from_owned(rule.to_owned());
        self.refusals.with(
            |key| key.0 == code && *key.1 == *rule,
            || (code, name()),
            || counter!(REFUSALS, "code" => code, "rule" => name()),
            |it| it.increment(1),
        );
    }

    pub(crate) fn store_called(&self, operation: &'static str, seconds: f64) {
        let measure = || histogram!(STORE_SECONDS, "operation" => operation);
        self.store.with(
            |key| *key == operation,
            || operation,
            measure,
            |it| it.record(seconds),
        );
    }
}

/// A few values, each made when a recorder is asked for it the first time.
struct Known<K, V>(RwLock<Vec<(usize, K, V)>>);

impl<K, V> Default for Known<K, V> {
    fn default() -> Self {
        Self(RwLock::new(Vec::new()))
    }
}

impl<K, V> Known<K, V> {
    fn with(
        &self,
        is_it: impl Fn(&K) -> bool,
        key: impl FnOnce() -> K,
        make: impl FnOnce() -> V,
        then: impl FnOnce(&V),
    ) {
        let recorder = telemetry::recorder();
        let known = self.0.read();
        if let Some((_, _, value)) = known.iter().find(|(of, key, _)| *of == recorder && is_it(key)) {
            return then(value);
        }
        drop(known);
        // Two that come at once both make one; they are handles of the same metric.
        let value = make();
        then(&value);
        self.0.write().push((recorder, key(), value));
    }
}

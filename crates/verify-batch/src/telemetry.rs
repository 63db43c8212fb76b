//! The names of everything that is measured here, in one place.
//!
//! They go through the `metrics` facade. A recorder may be installed at any time: it is told with the next changeset what each
//! of them means and in which unit. Labels are words of closed lists.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};

macro_rules! measured {
    ($(#[doc = $help:literal] $name:ident = $word:literal: $describe:ident $unit:ident;)+) => {
        $(#[doc = $help] pub const $name: &str = $word;)+

        fn describe() {
            $(metrics::$describe!($word, Unit::$unit, $help.trim());)+
        }
    };
}

measured! {
    /// Changesets that were decided in one transaction. Histogram.
    BATCH_CHANGESETS = "verify_store_batch_changesets": describe_histogram Count;
    /// From asking until a transaction takes it. Histogram, seconds.
    QUEUE_SECONDS = "verify_store_queue_seconds": describe_histogram Seconds;
    /// From a transaction's beginning until its lanes are held and loaded: a connection, locks, a trip. Histogram, seconds.
    LANE_SECONDS = "verify_store_lane_seconds": describe_histogram Seconds;
    /// Changesets that wait for the next transaction. Gauge.
    WAITING = "verify_store_waiting_changesets": describe_gauge Count;
    /// Changesets that were not begun, by `why`: `full` (too many wait), `late`, `stalled` (it answers nobody). Counter.
    TURNED_AWAY = "verify_store_turned_away_total": describe_counter Count;
    /// Transactions that were begun again, in whole or one by one. Counter.
    RETRIES = "verify_store_batch_retries_total": describe_counter Count;
    /// Transactions whose answer was lost, by what was learnt: `end` is `committed`, `not_committed`, `unknown`. Counter.
    IN_DOUBT = "verify_store_batches_in_doubt_total": describe_counter Count;
    /// 1 while the store answers nobody and is asked each second whether it is back, else 0. Gauge.
    STALLED = "verify_store_stalled": describe_gauge Count;
}

/// Which recorder was told what everything means.
#[derive(Debug, Default)]
pub(crate) struct Introduced(AtomicUsize);

impl Introduced {
    /// Tells a recorder that was not there before.
    pub(crate) fn to_the_recorder(&self) {
        let recorder = metrics::with_recorder(|recorder| std::ptr::from_ref(recorder).addr());
        if self.0.swap(recorder, Ordering::Relaxed) != recorder {
            describe();
        }
    }
}

pub(crate) fn decided_together(changesets: usize) {
    histogram!(BATCH_CHANGESETS).record(changesets as f64);
}

pub(crate) fn queued(took: Duration) {
    histogram!(QUEUE_SECONDS).record(took.as_secs_f64());
}

pub(crate) fn lanes_were_held(after: Duration) {
    histogram!(LANE_SECONDS).record(after.as_secs_f64());
}

pub(crate) fn waiting(changesets: usize) {
    gauge!(WAITING).set(changesets as f64);
}

pub(crate) fn turned_away(why: &'static str) {
    counter!(TURNED_AWAY, "why" => why).increment(1);
}

pub(crate) fn retried() {
    counter!(RETRIES).increment(1);
}

pub(crate) fn in_doubt(known: Option<bool>) {
    let end = match known {
        Some(true) => "committed",
        Some(false) => "not_committed",
        None => "unknown",
    };
    counter!(IN_DOUBT, "end" => end).increment(1);
}

pub(crate) fn stalled(is: bool) {
    gauge!(STALLED).set(f64::from(u8::from(is)));
}

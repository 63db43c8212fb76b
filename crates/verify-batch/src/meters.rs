//! What operators see of it.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const TOGETHER: &str = "verify_store_batch_changesets";
const WAITED: &str = "verify_store_lane_seconds";
const WAITING: &str = "verify_store_waiting_changesets";
const TURNED_AWAY: &str = "verify_store_turned_away_total";
const RETRIED: &str = "verify_store_batch_retries_total";
const IN_DOUBT: &str = "verify_store_batches_in_doubt_total";

pub(crate) fn describe() {
    describe_histogram!(
        TOGETHER,
        Unit::Count,
        "Changesets that were decided in one transaction."
    );
    describe_histogram!(
        WAITED,
        Unit::Seconds,
        "From asking to the answer: queue, lane, transaction, commit."
    );
    describe_gauge!(
        WAITING,
        Unit::Count,
        "Changesets that wait for the next transaction."
    );
    describe_counter!(
        TURNED_AWAY,
        Unit::Count,
        "Changesets that found too many waiting."
    );
    describe_counter!(
        RETRIED,
        Unit::Count,
        "Transactions that were begun again, in whole or one by one."
    );
    describe_counter!(
        IN_DOUBT,
        Unit::Count,
        "Transactions whose answer was lost, by what was learnt of them: committed, not_committed, unknown."
    );
}

pub(crate) fn decided_together(changesets: usize) {
    histogram!(TOGETHER).record(changesets as f64);
}

pub(crate) fn waited(took: Duration) {
    histogram!(WAITED).record(took.as_secs_f64());
}

pub(crate) fn waiting(changesets: usize) {
    gauge!(WAITING).set(changesets as f64);
}

pub(crate) fn turned_away() {
    counter!(TURNED_AWAY).increment(1);
}

pub(crate) fn retried() {
    counter!(RETRIED).increment(1);
}

pub(crate) fn in_doubt(known: Option<bool>) {
    let end = match known {
        Some(true) => "committed",
        Some(false) => "not_committed",
        None => "unknown",
    };
    counter!(IN_DOUBT, "end" => end).increment(1);
}

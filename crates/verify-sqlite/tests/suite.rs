//! The contract of a store, and the model's answers.

mod support;

use support::{fresh, open};
use verify_batch::{Limits, Turns};
use verify_sqlite::SqliteOptions;
use verify_testkit::{capped_store_suite, store_answers_as_the_model, store_suite};

store_suite!(sqlite, || async { open(SqliteOptions::at(fresh())) });

capped_store_suite!(small_sqlite, || async {
    let mut limits = Limits::of(Turns::Together);
    limits.outbox_events = 100;
    open(SqliteOptions::at(fresh()).most_bytes(192 << 10).limits(limits))
});

store_answers_as_the_model!(sqlite_answers_as_the_model, 48, || async {
    open(SqliteOptions::at(fresh()))
});

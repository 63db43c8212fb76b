//! The contract of a store, for one opening and for several of one file, and the model's answers.

mod support;

use support::{fresh, open};
use verify_batch::{Limits, Turns};
use verify_sqlite::SqliteOptions;
use verify_testkit::{
    InTurns, capped_store_suite, durable_store_suite, store_answers_as_the_model, store_suite,
};

store_suite!(sqlite, || async { open(SqliteOptions::at(fresh())) });

store_suite!(sqlite_opened_twice, || async {
    let path = fresh();
    let first = open(SqliteOptions::at(&path));
    InTurns::of(first, [open(SqliteOptions::at(&path))])
});

capped_store_suite!(small_sqlite, || async {
    let mut limits = Limits::of(Turns::Together);
    limits.outbox_events = 100;
    open(SqliteOptions::at(fresh()).most_bytes(192 << 10).limits(limits))
});

durable_store_suite!(durable_sqlite, || async {
    let path = fresh();
    move || {
        let path = path.clone();
        async move { open(SqliteOptions::at(path)) }
    }
});

store_answers_as_the_model!(sqlite_answers_as_the_model, 48, || async {
    open(SqliteOptions::at(fresh()))
});

store_answers_as_the_model!(sqlite_opened_twice_answers_as_the_model, 16, || async {
    let path = fresh();
    let first = open(SqliteOptions::at(&path));
    InTurns::of(first, [open(SqliteOptions::at(&path))])
});

//! The contract of a store, for one opening and for several of one file, and the model's answers.

mod support;

use std::path::PathBuf;

use support::{fresh, open};
use verify_batch::{Limits, Turns};
use verify_core::store::Store;
use verify_sqlite::SqliteOptions;
use verify_testkit::{
    InTurns, capped_store_suite, durable_store_suite, store_answers_as_the_model, store_around, store_suite,
};

/// A store whose file is looked through when a case is over.
struct Scanned<S: Store> {
    inner: S,
    path: PathBuf,
}

impl<S: Store> Drop for Scanned<S> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            support::scan(&self.path);
        }
    }
}

store_around! {
    Scanned,
    apply(this, changeset, within) { this.inner.apply(changeset, within).await }
}

store_suite!(sqlite, || async {
    let path = fresh();
    let inner = open(SqliteOptions::at(&path));
    Scanned { inner, path }
});

store_suite!(sqlite_opened_twice, || async {
    let path = fresh();
    let first = open(SqliteOptions::at(&path));
    let inner = InTurns::of(first, [open(SqliteOptions::at(&path))]);
    Scanned { inner, path }
});

capped_store_suite!(small_sqlite, || async {
    let mut limits = Limits::of(Turns::Together);
    limits.outbox_events = 100;
    let path = fresh();
    let inner = open(SqliteOptions::at(&path).most_bytes(192 << 10).limits(limits));
    Scanned { inner, path }
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

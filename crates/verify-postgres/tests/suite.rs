//! The contract of a store, for one opening and for several of one database, and the model's answers.

mod support;

use support::{fresh, open};
use verify_core::store::Store;
use verify_postgres::PostgresOptions;
use verify_testkit::{
    InTurns, capped_store_suite, durable_store_suite, store_answers_as_the_model, store_around, store_suite,
};

/// A store whose tables are looked through when a case is over.
struct Scanned<S: Store> {
    inner: S,
    options: PostgresOptions,
}

impl<S: Store> Drop for Scanned<S> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let options = self.options.clone();
            // The case's runtime may not be waited on here.
            let scanned = std::thread::spawn(move || support::run(support::scan(&options)));
            assert!(scanned.join().is_ok(), "what was found is above");
        }
    }
}

store_around! {
    Scanned,
    apply(this, changeset, within) { this.inner.apply(changeset, within).await }
}

store_suite!(postgres, || async {
    let options = fresh();
    let inner = open(options.clone()).await;
    Scanned { inner, options }
});

store_suite!(postgres_opened_twice, || async {
    let options = fresh();
    let first = open(options.clone()).await;
    let inner = InTurns::of(first, [open(options.clone()).await]);
    Scanned { inner, options }
});

capped_store_suite!(small_postgres, || async {
    let mut options = fresh().most_bytes(64 << 10);
    options.limits.outbox_events = 100;
    let inner = open(options.clone()).await;
    Scanned { inner, options }
});

durable_store_suite!(durable_postgres, || async {
    let options = fresh();
    move || {
        let options = options.clone();
        async move { open(options).await }
    }
});

store_answers_as_the_model!(postgres_answers_as_the_model, 24, || async {
    let options = fresh();
    let inner = open(options.clone()).await;
    Scanned { inner, options }
});

store_answers_as_the_model!(postgres_opened_twice_answers_as_the_model, 12, || async {
    let options = fresh();
    let first = open(options.clone()).await;
    let inner = InTurns::of(first, [open(options.clone()).await]);
    Scanned { inner, options }
});

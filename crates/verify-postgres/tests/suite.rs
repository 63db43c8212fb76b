//! The contract of a store, for one opening and for several of one database, and the model's answers.

mod support;

use support::{fresh, open};
use verify_testkit::{
    InTurns, capped_store_suite, durable_store_suite, store_answers_as_the_model, store_suite,
};

store_suite!(postgres, || async { open(fresh()).await });

store_suite!(postgres_opened_twice, || async {
    let options = fresh();
    let first = open(options.clone()).await;
    InTurns::of(first, [open(options).await])
});

capped_store_suite!(small_postgres, || async {
    let mut options = fresh().most_bytes(64 << 10);
    options.limits.outbox_events = 100;
    open(options).await
});

durable_store_suite!(durable_postgres, || async {
    let options = fresh();
    move || {
        let options = options.clone();
        async move { open(options).await }
    }
});

store_answers_as_the_model!(postgres_answers_as_the_model, 24, || async {
    open(fresh()).await
});

store_answers_as_the_model!(postgres_opened_twice_answers_as_the_model, 12, || async {
    let options = fresh();
    let first = open(options.clone()).await;
    InTurns::of(first, [open(options).await])
});

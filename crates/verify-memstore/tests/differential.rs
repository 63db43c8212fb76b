//! Whatever happens to it, the store in memory answers as the model does.

use verify_memstore::{Capacity, MemStore};
use verify_testkit::store_answers_as_the_model;

store_answers_as_the_model!(i46_the_store_in_memory_answers_as_the_model_does, 400, || async {
    MemStore::new()
});

store_answers_as_the_model!(
    i46_a_small_store_in_memory_answers_as_the_model_does,
    400,
    || async {
        MemStore::with_capacity(Capacity {
            counters: 100,
            records: 100,
            claims: 1_000,
            ..Capacity::default()
        })
    }
);

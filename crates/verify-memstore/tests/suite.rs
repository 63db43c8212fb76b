//! The store in memory keeps the contract, at its default size, in one shard, and at a cap.

use verify_memstore::{Capacity, MemStore};
use verify_testkit::{capped_store_suite, store_suite};

fn one_shard() -> Capacity {
    Capacity {
        counters: 1_000,
        records: 1_000,
        claims: 1_000,
        events: 1_000,
        ..Capacity::default()
    }
}

store_suite!(many_shards, || async { MemStore::new() });
store_suite!(a_single_shard, || async { MemStore::with_capacity(one_shard()) });

capped_store_suite!(at_a_small_cap, || async {
    MemStore::with_capacity(Capacity {
        counters: 20,
        records: 20,
        claims: 20,
        events: 20,
        ..Capacity::default()
    })
});
capped_store_suite!(at_a_larger_cap, || async { MemStore::with_capacity(one_shard()) });

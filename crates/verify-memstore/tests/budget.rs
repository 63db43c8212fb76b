//! What a budget of memory holds, by an allocator that counts.

use std::alloc::System;
use std::time::Duration;

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, StoreAnswer, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_memstore::{Capacity, MemStore};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn print(number: u64) -> Print {
    let mut bytes = [0; 16];
    for (slot, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *slot = byte;
    }
    Print::from_bytes(bytes)
}

/// What an accepted send with a subject and an idempotency key leaves behind, all of it new.
fn send(number: u64) -> Changeset {
    let mut changeset = Changeset::new(ServiceId::default(), NOW, Room::Stranger);
    for scope in 0..6 {
        changeset.charges.push(Charge {
            key: CounterKey {
                scope,
                print: print(number),
            },
            rule: Rule::Window {
                max: 5,
                per: Duration::from_secs(86_400),
            },
            cost: 1,
            mode: Mode::Charge,
            when_live: Vec::new(),
        });
    }
    let ends = NOW + Duration::from_secs(600);
    changeset.records.push(RecordChange {
        key: RecordKey {
            kind: RecordKind::Verifications,
            print: print(number),
        },
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: Lifetime::Until(ends),
            live_until: Some(ends),
            due: Some(ends),
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: None,
            },
            bytes: vec![7; 144],
        }),
    });
    changeset.claims.push(Claim {
        key: ClaimKey {
            kind: ClaimKind::Send,
            print: print(number),
        },
        value: vec![7; 64],
        expires_at: ends,
    });
    changeset
}

/// How many sends are admitted before one is refused.
fn admitted(store: &MemStore) -> u64 {
    let refused = (0..).find(|number| !matches!(store.apply_now(&send(*number)), StoreAnswer::Applied(_)));
    refused.unwrap_or(0)
}

/// One test, because the allocator counts for the whole process.
#[test]
fn a_budget_is_not_exceeded_and_not_wasted() {
    let budget = 64 << 20;
    let region = Region::new(COUNTING);
    let store = MemStore::with_capacity(Capacity::of_bytes(budget));
    let sends = admitted(&store);
    let change = region.change();
    let kept = (change.bytes_allocated - change.bytes_deallocated) as u64;
    assert!(kept <= budget, "{sends} sends, {kept} bytes");
    assert!(kept >= budget * 2 / 5, "{sends} sends, {kept} bytes");
    // A tenth is for known callers, and a shard is full before the others.
    assert!((0.8..=0.95).contains(&store.usage().part_of(store.capacity())));
    drop(store);
    // What a hundred thousand records were too few for.
    let store = MemStore::with_capacity(Capacity::of_bytes(256 << 20));
    assert!(admitted(&store) > 150_000);
}

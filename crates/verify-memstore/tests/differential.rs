//! Whatever happens to it, the store in memory answers as the model does.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use verify_core::event::{Event, EventKind};
use verify_core::keys::Print;
use verify_core::limit::{Counter, Rule};
use verify_core::policy::Wait;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, Counted, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, Seen, Store, StoreAnswer, Takeback, Write,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_memstore::{Capacity, MemStore};
use verify_testkit::ModelStore;

/// So few keys that everything meets everything.
const KEYS: u8 = 4;
/// So many that they lie in different shards.
const SPREAD: [u8; KEYS as usize] = [3, 77, 130, 251];

/// A changeset before it is known which versions there are, and which charges can be taken back.
#[derive(Debug, Clone)]
struct Plan {
    service: bool,
    later: u64,
    room: Room,
    charges: Vec<(u8, bool, u64, Mode, Option<u8>)>,
    resets: Vec<u8>,
    take_back: Option<usize>,
    records: Vec<(u8, Hope, WriteOf)>,
    claims: Vec<(u8, u64)>,
    unclaim: Vec<u8>,
    reads: Vec<u8>,
    events: u8,
}

/// Which version a plan expects.
#[derive(Debug, Clone, Copy)]
enum Hope {
    Absent,
    Current,
    Stale,
}

#[derive(Debug, Clone, Copy)]
enum WriteOf {
    Put {
        ends: Option<u64>,
        live: Option<u64>,
        due: Option<u64>,
    },
    Delete,
    Keep,
}

fn print(number: u8) -> Print {
    Print::from_bytes([SPREAD[usize::from(number)]; 16])
}

fn counter(number: u8, failures: bool) -> CounterKey {
    CounterKey {
        scope: u64::from(failures),
        print: print(number),
    }
}

fn record(number: u8) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: print(number),
    }
}

fn claim(number: u8) -> ClaimKey {
    ClaimKey {
        kind: ClaimKind::Check,
        print: print(number),
    }
}

fn rule(failures: bool) -> Rule {
    if failures {
        let waits = BTreeMap::from([
            (1, Wait::For(Duration::from_secs(2))),
            (3, Wait::For(Duration::from_secs(400))),
        ]);
        Rule::Backoff {
            waits: Arc::new(waits),
            forget_after: Duration::from_secs(1_000),
        }
    } else {
        Rule::Window {
            max: 5,
            per: Duration::from_secs(20),
        }
    }
}

prop_compose! {
    fn plan()(
        service in any::<bool>(),
        later in prop_oneof![4 => 0u64..3_000, 2 => 3_000u64..30_000, 1 => 30_000u64..2_000_000],
        room in select(vec![Room::Stranger, Room::Known]),
        charges in prop::collection::vec((
            0..KEYS, any::<bool>(), 1u64..4, select(vec![Mode::Charge, Mode::Charge, Mode::Force, Mode::Probe]),
            prop::option::of(0..KEYS),
        ), 0..4),
        resets in prop::collection::vec(0..KEYS, 0..2),
        take_back in prop::option::of(0usize..6),
        records in prop::collection::vec((
            0..KEYS,
            select(vec![Hope::Absent, Hope::Current, Hope::Current, Hope::Stale]),
            prop_oneof![
                3 => (prop::option::of(0u64..60_000), prop::option::of(0u64..60_000), prop::option::of(0u64..60_000))
                    .prop_map(|(ends, live, due)| WriteOf::Put { ends, live, due }),
                1 => Just(WriteOf::Delete),
                1 => Just(WriteOf::Keep),
            ],
        ), 0..3),
        claims in prop::collection::vec((0..KEYS, 1u64..60_000), 0..2),
        unclaim in prop::collection::vec(0..KEYS, 0..2),
        reads in prop::collection::vec(0..KEYS, 0..2),
        events in 0u8..3,
    ) -> Plan {
        Plan { service, later, room, charges, resets, take_back, records, claims, unclaim, reads, events }
    }
}

/// One of the two stores, and what a client learned from it.
struct Side<S> {
    store: S,
    /// By service and key: all versions that it was told, the newest last.
    versions: BTreeMap<(ServiceId, RecordKey), Vec<u64>>,
    /// Versions in the order in which they were first told: the numbers themselves may differ.
    names: Vec<u64>,
    charged: Vec<Takeback>,
}

impl<S> Side<S> {
    fn new(store: S) -> Self {
        Self {
            store,
            versions: BTreeMap::new(),
            names: Vec::new(),
            charged: Vec::new(),
        }
    }

    fn changeset(&self, plan: &Plan, at: Timestamp) -> Changeset {
        let service = ServiceId::new(if plan.service { "one" } else { "two" }).unwrap();
        let after = |millis: u64| at + Duration::from_millis(millis);
        let mut changeset = Changeset::new(service.clone(), at, plan.room);
        changeset.charges = plan
            .charges
            .iter()
            .map(|&(key, failures, cost, mode, live)| Charge {
                key: counter(key, failures),
                rule: rule(failures),
                cost,
                mode,
                when_live: live.map(record).into_iter().collect(),
            })
            .collect();
        changeset.resets = plan.resets.iter().map(|&key| counter(key, true)).collect();
        changeset.takebacks.extend(
            plan.take_back
                .and_then(|nth| self.charged.iter().rev().nth(nth))
                .cloned(),
        );
        changeset.records = plan
            .records
            .iter()
            .map(|&(key, hope, write)| RecordChange {
                key: record(key),
                expect: self.expect(&service, record(key), hope),
                write: match write {
                    WriteOf::Put { ends, live, due } => Write::Put(Row {
                        version: 0,
                        lifetime: ends.map_or(Lifetime::Durable, |millis| Lifetime::Until(after(millis))),
                        live_until: live.map(after),
                        due: due.map(after),
                        bytes: vec![key],
                    }),
                    WriteOf::Delete => Write::Delete,
                    WriteOf::Keep => Write::Keep,
                },
            })
            .collect();
        changeset.claims = plan
            .claims
            .iter()
            .map(|&(key, ends)| Claim {
                key: claim(key),
                value: vec![key],
                expires_at: after(ends),
            })
            .collect();
        changeset.unclaim = plan.unclaim.iter().map(|&key| claim(key)).collect();
        changeset.reads = plan.reads.iter().map(|&key| record(key)).collect();
        changeset.events = (0..plan.events)
            .map(|code| Event {
                code: Some(code.into()),
                ..Event::new(at, service.clone(), EventKind::SendIntended)
            })
            .collect();
        changeset
    }

    fn expect(&self, service: &ServiceId, key: RecordKey, hope: Hope) -> Expect {
        let told = self.versions.get(&(service.clone(), key));
        match hope {
            Hope::Absent => Expect::Absent,
            Hope::Current => told
                .and_then(|told| told.last())
                .map_or(Expect::Absent, |version| Expect::At(*version)),
            Hope::Stale => told
                .and_then(|told| told.first())
                .map_or(Expect::At(1), |version| Expect::At(*version)),
        }
    }

    /// Learns from an answer, and puts names in the place of version numbers.
    fn heard(&mut self, changeset: &Changeset, mut answer: StoreAnswer) -> StoreAnswer {
        let was_applied = matches!(answer, StoreAnswer::Applied(_));
        if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = &mut answer {
            if was_applied {
                self.remember_charges(changeset, seen);
            }
            for (key, row) in &mut seen.records {
                let told = self
                    .versions
                    .entry((changeset.service.clone(), *key))
                    .or_default();
                if let Some(row) = row {
                    if !told.contains(&row.version) {
                        told.push(row.version);
                    }
                    if !self.names.contains(&row.version) {
                        self.names.push(row.version);
                    }
                    row.version = self.names.iter().position(|name| *name == row.version).unwrap() as u64;
                }
            }
        }
        answer
    }

    fn remember_charges(&mut self, changeset: &Changeset, seen: &Seen) {
        for (charge, counter) in changeset
            .charges
            .iter()
            .zip(&seen.counters)
            .filter(|(_, seen)| seen.charged)
        {
            let counted = match (&counter.before, &counter.after) {
                (_, Counter::Window(after)) => {
                    let (units, at) = (charge.cost, after.newest());
                    Counted::Units {
                        per: Duration::from_secs(20),
                        units,
                        at,
                    }
                }
                (Counter::Backoff(before), Counter::Backoff(after)) => {
                    let forget_after = Duration::from_secs(1_000);
                    Counted::Failure {
                        before: *before,
                        charged: *after,
                        forget_after,
                    }
                }
                (Counter::Window(_), Counter::Backoff(_)) => unreachable!("a key has one kind of rule"),
            };
            let number = u8::try_from(self.charged.len() % 250).unwrap();
            let once = ClaimKey {
                kind: ClaimKind::Takeback,
                print: Print::from_bytes([number; 16]),
            };
            let expires_at = changeset.at + Duration::from_secs(60);
            self.charged.push(Takeback {
                key: charge.key,
                counted,
                once,
                expires_at,
            });
        }
    }
}

fn answers_alike(plans: &[Plan], capacity: Capacity) -> Result<(), TestCaseError> {
    let mut model = Side::new(ModelStore::new());
    let mut memory = Side::new(MemStore::with_capacity(capacity));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut now = Timestamp::from_millis(1_700_000_000_000);
    for plan in plans {
        // Time does not jump back here: what was forgotten in time, one of them forgets sooner than the other.
        now = now + Duration::from_millis(plan.later);
        let of_model = model.changeset(plan, now);
        let of_memory = memory.changeset(plan, now);
        let expected = model.store.apply_now(&of_model);
        let answered = memory.store.apply_now(&of_memory);
        prop_assert_eq!(
            memory.heard(&of_memory, answered),
            model.heard(&of_model, expected)
        );
        for most in [1, 100] {
            let due = runtime.block_on(memory.store.due(now, most)).unwrap();
            prop_assert_eq!(due, runtime.block_on(model.store.due(now, most)).unwrap());
        }
        let events = runtime.block_on(memory.store.outbox(100)).unwrap();
        prop_assert_eq!(&events, &runtime.block_on(model.store.outbox(100)).unwrap());
        if let Some((middle, _)) = events.get(events.len() / 2) {
            runtime.block_on(memory.store.acknowledge(*middle)).unwrap();
            runtime.block_on(model.store.acknowledge(*middle)).unwrap();
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn i46_the_store_in_memory_answers_as_the_model_does(plans in prop::collection::vec(plan(), 1..40)) {
        answers_alike(&plans, Capacity::default())?;
        answers_alike(&plans, Capacity { counters: 100, records: 100, claims: 1_000, ..Capacity::default() })?;
    }
}

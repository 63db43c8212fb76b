//! Any store beside the model: the same changesets, and the same answers.
//!
//! ```
//! # mod in_a_test_file {
//! use verify_testkit::{ModelStore, store_answers_as_the_model};
//!
//! store_answers_as_the_model!(mine, 20, || async { ModelStore::new() });
//! # }
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{TestCaseError, TestRunner};
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::{Counter, Rule};
use verify_core::policy::Wait;
use verify_core::seed::Seed;
use verify_core::store::{
    Alert, Changeset, Charge, Claim, ClaimKey, ClaimKind, Counted, CounterKey, Expect, Lifetime, Mode,
    Origin, RecordChange, RecordKey, RecordKind, Room, Row, Seen, Store, StoreAnswer, Takeback, Write,
    WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::ModelStore;

/// A test of that many runs in which a store answers as the model does. The third argument makes a fresh, empty store:
/// it needs room for what 40 changesets bring.
#[macro_export]
macro_rules! store_answers_as_the_model {
    ($name:ident, $cases:expr, $make:expr) => {
        #[test]
        fn $name() {
            $crate::suite::differential::compare($cases, $make);
        }
    };
}

/// Compares a store with the model over so many runs of up to 40 changesets.
///
/// # Panics
/// When they answer differently: with the shortest run that was found.
pub fn compare<S: Store, Making: Future<Output = S>>(cases: u32, make: impl Fn() -> Making) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => panic!("no runtime to run the stores on: {error}"),
    };
    let mut runner = TestRunner::new(ProptestConfig::with_cases(cases));
    let run = runner.run(&prop::collection::vec(plan(), 1..40), |plans| {
        runtime.block_on(async { answers_alike(&plans, make().await).await })
    });
    if let Err(failed) = run {
        panic!("{failed}");
    }
}

/// So few keys that everything meets everything.
const KEYS: u8 = 4;
/// So many that they lie in different places.
const SPREAD: [u8; KEYS as usize] = [3, 77, 130, 251];
const WITHIN: Duration = Duration::from_secs(5);

/// A changeset before it is known which versions there are, and which charges can be taken back.
#[derive(Debug, Clone)]
struct Plan {
    service: bool,
    later: u64,
    room: Room,
    charges: Vec<(u8, bool, u64, Mode, Option<u8>)>,
    resets: Vec<(u8, bool)>,
    take_back: Option<usize>,
    records: Vec<(u8, Hope, WriteOf)>,
    claims: Vec<(u8, u64)>,
    unclaim: Vec<u8>,
    reads: Vec<u8>,
    events: u8,
    alert: Option<(u8, u64)>,
    put_off: Option<u8>,
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
        key: u8,
    },
    Delete,
    Keep,
}

fn print(number: u8) -> Print {
    let byte = SPREAD.get(usize::from(number)).copied().unwrap_or_default();
    Print::from_bytes([byte; 16])
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

fn claim(kind: ClaimKind, number: u8) -> ClaimKey {
    ClaimKey {
        kind,
        print: print(number),
    }
}

fn under(number: u8) -> WrittenUnder {
    WrittenUnder {
        fingerprint: KeyId::new(number),
        seal: (number > 1).then(|| KeyId::new(number)),
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

fn write() -> impl Strategy<Value = WriteOf> {
    let instant = || prop::option::of(0u64..60_000);
    let put = (instant(), instant(), instant(), 1u8..4);
    prop_oneof![
        3 => put.prop_map(|(ends, live, due, key)| WriteOf::Put { ends, live, due, key }),
        1 => Just(WriteOf::Delete),
        1 => Just(WriteOf::Keep),
    ]
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
        resets in prop::collection::vec((0..KEYS, any::<bool>()), 0..2),
        take_back in prop::option::of(0usize..6),
        records in prop::collection::vec((
            0..KEYS, select(vec![Hope::Absent, Hope::Current, Hope::Current, Hope::Stale]), write(),
        ), 0..3),
        claims in prop::collection::vec((0..KEYS, 1u64..60_000), 0..2),
        (unclaim, reads) in (prop::collection::vec(0..KEYS, 0..2), prop::collection::vec(0..KEYS, 0..2)),
        (events, alert) in (0u8..3, prop::option::of((0..KEYS, 1u64..60_000))),
        put_off in prop::option::of(0..KEYS),
    ) -> Plan {
        Plan {
            service, later, room, charges, resets, take_back, records, claims, unclaim, reads, events, alert, put_off,
        }
    }
}

impl Plan {
    fn service(&self) -> ServiceId {
        ServiceId::new(if self.service { "one" } else { "two" }).unwrap_or_default()
    }
}

/// One of the two stores, and what a client learned from it.
struct Side<S> {
    store: S,
    /// By service and key: all versions that it was told, the newest last.
    versions: BTreeMap<(ServiceId, RecordKey), Vec<u64>>,
    /// By service: versions in the order in which they were first told. The numbers themselves may differ, and services may
    /// have the same.
    names: BTreeMap<ServiceId, Vec<u64>>,
    charged: Vec<Takeback>,
}

impl<S: Store> Side<S> {
    fn new(store: S) -> Self {
        Self {
            store,
            versions: BTreeMap::new(),
            names: BTreeMap::new(),
            charged: Vec::new(),
        }
    }

    fn changeset(&self, plan: &Plan, at: Timestamp) -> Changeset {
        let service = plan.service();
        let after = |millis: u64| at + Duration::from_millis(millis);
        let mut changeset = Changeset::new(service.clone(), at, plan.room);
        let charge = |&(key, failures, cost, mode, live): &(u8, bool, u64, Mode, Option<u8>)| Charge {
            key: counter(key, failures),
            rule: rule(failures),
            cost,
            mode,
            when_live: live.map(record).into_iter().collect(),
        };
        changeset.charges = plan.charges.iter().map(charge).collect();
        let resets = plan.resets.iter();
        changeset.resets = resets.map(|&(key, failures)| counter(key, failures)).collect();
        let taken = plan.take_back.and_then(|nth| self.charged.iter().rev().nth(nth));
        changeset.takebacks.extend(taken.cloned());
        let change = |&(key, hope, write): &(u8, Hope, WriteOf)| RecordChange {
            key: record(key),
            expect: self.expect(&service, record(key), hope),
            write: match write {
                WriteOf::Put { ends, live, due, key } => Write::Put(Row {
                    version: 0,
                    lifetime: ends.map_or(Lifetime::Durable, |millis| Lifetime::Until(after(millis))),
                    live_until: live.map(after),
                    due: due.map(after),
                    under: under(key),
                    bytes: vec![key],
                }),
                WriteOf::Delete => Write::Delete,
                WriteOf::Keep => Write::Keep,
            },
        };
        changeset.records = plan.records.iter().map(change).collect();
        let marker = |kind, key: u8, ends: u64| Claim {
            key: claim(kind, key),
            value: vec![key],
            expires_at: after(ends),
        };
        let claims = plan.claims.iter();
        changeset.claims = claims
            .map(|&(key, ends)| marker(ClaimKind::Check, key, ends))
            .collect();
        changeset.unclaim = plan
            .unclaim
            .iter()
            .map(|&key| claim(ClaimKind::Check, key))
            .collect();
        changeset.reads = plan.reads.iter().map(|&key| record(key)).collect();
        let seed = Seed::from_bytes([9; Seed::BYTES]);
        let event = |nth, kind| Event::new(&seed, nth, at, service.clone(), kind);
        changeset.events = (0..plan.events)
            .map(|nth| event(nth, EventKind::SendIntended))
            .collect();
        changeset.alerts.extend(plan.alert.map(|(key, ends)| Alert {
            event: event(0, EventKind::LimitAlert),
            once: marker(ClaimKind::Alert, key, ends),
        }));
        changeset
    }

    fn expect(&self, service: &ServiceId, key: RecordKey, hope: Hope) -> Expect {
        let told = self.versions.get(&(service.clone(), key));
        let version = match hope {
            Hope::Absent => return Expect::Absent,
            Hope::Current => told.and_then(|told| told.last()),
            Hope::Stale => return Expect::At(told.and_then(|told| told.first()).copied().unwrap_or(1)),
        };
        version.map_or(Expect::Absent, |version| Expect::At(*version))
    }

    /// Applies a plan, and learns from the answer; names stand in it in the place of version numbers, and nothing of where
    /// it comes from.
    async fn ask(&mut self, plan: &Plan, at: Timestamp) -> StoreAnswer {
        let changeset = self.changeset(plan, at);
        let mut answer = self.store.apply(&changeset, WITHIN).await;
        if let StoreAnswer::Applied(seen) = &answer {
            self.remember_charges(&changeset, seen);
        }
        if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = &mut answer {
            seen.origin = Origin::default();
            let names = self.names.entry(changeset.service.clone()).or_default();
            for (key, row) in &mut seen.records {
                let told = self
                    .versions
                    .entry((changeset.service.clone(), *key))
                    .or_default();
                if let Some(row) = row {
                    if !told.contains(&row.version) {
                        told.push(row.version);
                    }
                    if !names.contains(&row.version) {
                        names.push(row.version);
                    }
                    let name = names.iter().position(|name| *name == row.version);
                    row.version = name.unwrap_or_default() as u64;
                }
            }
        }
        answer
    }

    fn remember_charges(&mut self, changeset: &Changeset, seen: &Seen) {
        let charges = changeset.charges.iter().zip(&seen.counters);
        for (charge, counter) in charges.filter(|(_, seen)| seen.before != seen.after) {
            let counted = match (&counter.before, &counter.after) {
                (_, Counter::Window(after)) => Counted::Units {
                    per: Duration::from_secs(20),
                    units: charge.cost,
                    at: after.newest(),
                },
                (Counter::Backoff(before), Counter::Backoff(after)) => Counted::Failure {
                    before: *before,
                    charged: *after,
                    forget_after: Duration::from_secs(1_000),
                },
                // A key has one kind of rule.
                (Counter::Window(_), Counter::Backoff(_)) => continue,
            };
            let number = (self.charged.len() % 250) as u8;
            self.charged.push(Takeback {
                key: charge.key,
                counted,
                once: ClaimKey {
                    kind: ClaimKind::Takeback,
                    print: Print::from_bytes([number; 16]),
                },
                expires_at: changeset.at + Duration::from_secs(60),
            });
        }
    }
}

async fn answers_alike(plans: &[Plan], store: impl Store) -> Result<(), TestCaseError> {
    let mut model = Side::new(ModelStore::new());
    let mut other = Side::new(store);
    let mut now = Timestamp::from_millis(1_700_000_000_000);
    for plan in plans {
        // Time does not jump back here: what was forgotten in time, one of them forgets sooner than the other.
        now = now + Duration::from_millis(plan.later);
        let expected = model.ask(plan, now).await;
        prop_assert_eq!(other.ask(plan, now).await, expected);
        let service = plan.service();
        if let Some(record) = plan.put_off.map(record) {
            prop_assert_eq!(other.store.put_off(&service, &record, now).await, Ok(()));
            prop_assert_eq!(model.store.put_off(&service, &record, now).await, Ok(()));
        }
        for most in [1, 100] {
            let due = other.store.due(&service, now, most).await;
            prop_assert_eq!(due, model.store.due(&service, now, most).await);
            let services = other.store.services(now, None, most).await;
            prop_assert_eq!(services, model.store.services(now, None, most).await);
        }
        let sorted = |keys: Result<Vec<RecordKey>, _>| {
            keys.map(|mut keys| {
                keys.sort_unstable();
                keys
            })
        };
        let old = other.store.durable_under_others(&service, under(2), 100).await;
        let expected = model.store.durable_under_others(&service, under(2), 100).await;
        prop_assert_eq!(sorted(old), sorted(expected));
        outboxes_are_alike(&other.store, &model.store, &service).await?;
    }
    Ok(())
}

/// The same events in the same order, though their places may be other numbers.
async fn outboxes_are_alike(
    store: &impl Store,
    model: &ModelStore,
    service: &ServiceId,
) -> Result<(), TestCaseError> {
    let events = store.outbox(service, 100).await.unwrap_or_default();
    let expected = model.outbox(service, 100).await.unwrap_or_default();
    let told = |events: &[(_, Event)]| events.iter().map(|(_, event)| event.clone()).collect::<Vec<_>>();
    prop_assert_eq!(told(&events), told(&expected));
    let middle = events.len() / 2;
    if let (Some((through, _)), Some((expected, _))) = (events.get(middle), expected.get(middle)) {
        prop_assert_eq!(store.acknowledge(service, *through).await, Ok(()));
        prop_assert_eq!(model.acknowledge(service, *expected).await, Ok(()));
    }
    Ok(())
}

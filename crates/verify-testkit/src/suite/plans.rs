//! Changesets by chance, over so few keys that they meet.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::{Counter, Rule};
use verify_core::policy::Wait;
use verify_core::seed::Seed;
use verify_core::store::{
    Alert, Changeset, Charge, Claim, ClaimKey, ClaimKind, Counted, CounterKey, Expect, Lifetime, Mode,
    RecordChange, RecordKey, RecordKind, Room, Row, Seen, StoreAnswer, Takeback, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

/// So few keys that everything meets everything.
const KEYS: u8 = 4;
/// So many that they lie in different places.
const SPREAD: [u8; KEYS as usize] = [3, 77, 130, 251];
/// A version that nothing is given.
const NEVER: u64 = (1 << 53) - 1;

/// A changeset before it is known which versions there are, and which charges can be taken back.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) service: bool,
    pub(super) later: u64,
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
    pub(super) put_off: Option<u8>,
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

pub(super) fn record(number: u8) -> RecordKey {
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

pub(super) fn under(number: u8) -> WrittenUnder {
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
    pub(super) fn plan()(
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

/// What a client learned from a store's answers: plans need it.
#[derive(Debug, Default)]
pub(super) struct Learned {
    /// By service and key: all versions that it was told, the newest last.
    versions: BTreeMap<(ServiceId, RecordKey), Vec<u64>>,
    charged: Vec<Takeback>,
}

impl Learned {
    /// The changeset that a plan comes to.
    pub(super) fn changeset(&self, plan: &Plan, service: &ServiceId, at: Timestamp) -> Changeset {
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
            expect: self.expect(service, record(key), hope),
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
            Hope::Stale => return Expect::At(told.and_then(|told| told.first()).copied().unwrap_or(NEVER)),
        };
        version.map_or(Expect::Absent, |version| Expect::At(*version))
    }

    /// Learns from what a changeset was answered.
    pub(super) fn learn(&mut self, changeset: &Changeset, answer: &StoreAnswer) {
        if let StoreAnswer::Applied(seen) = answer {
            self.remember_charges(changeset, seen);
        }
        if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = answer {
            for (key, row) in &seen.records {
                let told = self
                    .versions
                    .entry((changeset.service.clone(), *key))
                    .or_default();
                told.extend(
                    row.as_ref()
                        .map(|row| row.version)
                        .filter(|version| !told.contains(version)),
                );
            }
        }
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

//! Changesets as the flows make them, and callers that ask for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use verify_core::event::{Event, EventKind};
use verify_core::keys::KeyId;
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, Store, StoreAnswer, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::measure::{BenchError, Measured, Sample};
use crate::scene::{BEGIN, print};

/// Limits that every send of a service is charged to, and those of its own.
const SHARED: u64 = 2;
const OWN: u64 = 6;
/// Rows that a send writes and that go with time: its counters, a record, a claim.
pub(super) const ROWS: u64 = OWN + 2;
/// What a record takes.
pub(super) const RECORD: usize = 600;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Send,
    WrongCheck,
    Refused,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Send => "sends",
            Self::WrongCheck => "wrong checks",
            Self::Refused => "refused sends",
        }
    }
}

static CALLERS: AtomicU64 = AtomicU64::new(1);

/// Callers of a store.
pub(super) struct Callers<'a> {
    store: Arc<dyn Store>,
    runtime: &'a Runtime,
    numbers: Arc<AtomicU64>,
    sent: u64,
}

impl<'a> Callers<'a> {
    pub(super) fn of(store: Arc<dyn Store>, runtime: &'a Runtime) -> Self {
        Self {
            store,
            runtime,
            // Another store's are other ones, though it may lie in the same database.
            numbers: Arc::new(AtomicU64::new(CALLERS.fetch_add(1 << 32, Ordering::Relaxed))),
            sent: 0,
        }
    }

    /// Sends so far.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// So many callers ask for so many changesets together; the time on the wall.
    pub(super) fn sample(
        &mut self,
        kind: Kind,
        operations: usize,
        callers: usize,
        services: u64,
    ) -> Measured<Sample> {
        let (store, numbers) = (Arc::clone(&self.store), Arc::clone(&self.numbers));
        let last = numbers.load(Ordering::Relaxed) + operations as u64;
        if kind == Kind::Send {
            self.sent += operations as u64;
        }
        let began = Instant::now();
        let as_expected = self.runtime.block_on(async move {
            let mut tasks = JoinSet::new();
            for _ in 0..callers {
                let (store, numbers) = (Arc::clone(&store), Arc::clone(&numbers));
                tasks.spawn(async move {
                    loop {
                        let number = numbers.fetch_add(1, Ordering::Relaxed);
                        if number >= last {
                            return true;
                        }
                        let changeset = changeset(kind, number, service(number % services), BEGIN);
                        let answer = store.apply(&changeset, Duration::from_secs(30)).await;
                        let expected = match kind {
                            Kind::Send | Kind::WrongCheck => matches!(answer, StoreAnswer::Applied(_)),
                            Kind::Refused => matches!(answer, StoreAnswer::Refused(_)),
                        };
                        if !expected {
                            let seen = answer.seen().map(|seen| seen.counters.len());
                            eprintln!("{kind:?} {number}: {seen:?}");
                            return false;
                        }
                    }
                });
            }
            tasks.join_all().await.into_iter().all(|expected| expected)
        });
        self.numbers.store(last, Ordering::Relaxed);
        match as_expected {
            true => Ok(Sample {
                time: began.elapsed(),
                operations,
            }),
            false => Err(BenchError::OtherOutcome("changeset")),
        }
    }
}

/// One of several.
pub(super) fn service(number: u64) -> ServiceId {
    ServiceId::new(&format!("service-{number}")).unwrap_or_default()
}

/// How long all that a changeset writes is kept.
pub(super) const KEPT: Duration = Duration::from_secs(3_600);

/// What a caller of this service asks for at this time.
pub(super) fn changeset(kind: Kind, number: u64, service: ServiceId, at: Timestamp) -> Changeset {
    let mut changeset = Changeset::new(service.clone(), at, Room::Stranger);
    let charge = |key: u64, max: u64| Charge {
        key: CounterKey {
            scope: 1,
            print: print(key),
        },
        rule: Rule::Window { max, per: KEPT },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    };
    let most = u64::from(u32::MAX);
    let own = 1_000 + number * OWN;
    match kind {
        Kind::Send => {
            changeset.charges.extend((0..SHARED).map(|key| charge(key, most)));
            changeset
                .charges
                .extend((own..own + OWN).map(|key| charge(key, 5)));
            changeset.records.push(record(number, at));
            changeset.claims.push(Claim {
                key: ClaimKey {
                    kind: ClaimKind::Send,
                    print: print(number),
                },
                value: vec![7; 24],
                expires_at: at + KEPT,
            });
        }
        Kind::WrongCheck => {
            changeset.charges.extend((0..SHARED).map(|key| charge(key, most)));
            changeset.charges.push(charge(own, 5));
            changeset.reads.push(record(number, at).key);
        }
        Kind::Refused => {
            changeset.charges.extend((0..SHARED).map(|key| charge(key, most)));
            changeset
                .charges
                .extend((own..own + OWN).map(|key| charge(key, 5)));
            changeset.charges.push(charge(99, 0));
            changeset.reads.push(record(number, at).key);
            return changeset;
        }
    }
    let seed = Seed::from_bytes([3; Seed::BYTES]);
    let kinds = [EventKind::SendIntended, EventKind::SendAccepted];
    let events = kinds.into_iter().zip(0..);
    changeset
        .events
        .extend(events.map(|(kind, nth)| Event::new(&seed, nth, at, service.clone(), kind)));
    changeset
}

fn record(number: u64, at: Timestamp) -> RecordChange {
    RecordChange {
        key: RecordKey {
            kind: RecordKind::Verifications,
            print: print(number),
        },
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: Lifetime::Until(at + KEPT),
            live_until: Some(at + KEPT / 6),
            due: Some(at + KEPT - Duration::from_secs(60)),
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: Some(KeyId::new(1)),
            },
            bytes: vec![9; RECORD],
        }),
    }
}

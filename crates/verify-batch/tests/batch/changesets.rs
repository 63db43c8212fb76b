//! Changesets in few words, and how to have them decided in one transaction.

use std::time::Duration;

use tokio::task::{JoinHandle, yield_now};
use verify_batch::{Lanes, Limits, Turns};
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::seed::Seed;
use verify_core::store::{
    Alert, Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, StoreAnswer, StoreFault, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::memory::{Memory, Step};

/// What is not begun within that time need not be begun any more.
pub(crate) const WITHIN: Duration = Duration::from_secs(5);
/// How many charges of [`charging`] a key admits.
pub(crate) const MOST: u64 = 3;

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000) + Duration::from_millis(millis)
}

pub(crate) fn one() -> ServiceId {
    ServiceId::new("one").unwrap()
}

pub(crate) fn two() -> ServiceId {
    ServiceId::new("two").unwrap()
}

pub(crate) fn change(service: ServiceId) -> Changeset {
    Changeset::new(service, at(0), Room::Stranger)
}

pub(crate) fn known(mut changeset: Changeset) -> Changeset {
    changeset.room = Room::Known;
    changeset
}

fn print(number: u8) -> Print {
    Print::from_bytes([number; 16])
}

pub(crate) fn counter(number: u8) -> CounterKey {
    CounterKey {
        scope: 1,
        print: print(number),
    }
}

pub(crate) fn record(number: u8) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: print(number),
    }
}

pub(crate) fn claim(kind: ClaimKind, number: u8) -> ClaimKey {
    ClaimKey {
        kind,
        print: print(number),
    }
}

pub(crate) fn charge(number: u8, cost: u64, mode: Mode) -> Charge {
    Charge {
        key: counter(number),
        rule: Rule::Window {
            max: MOST,
            per: Duration::from_secs(60),
        },
        cost,
        mode,
        when_live: Vec::new(),
    }
}

/// One unit of a limit.
pub(crate) fn charging(service: ServiceId, number: u8) -> Changeset {
    let mut changeset = change(service);
    changeset.charges.push(charge(number, 1, Mode::Charge));
    changeset
}

/// Refused, whatever there is.
pub(crate) fn refused(service: ServiceId) -> Changeset {
    let mut changeset = change(service);
    changeset.charges.push(charge(200, MOST + 1, Mode::Charge));
    changeset
}

pub(crate) fn putting(number: u8, expect: Expect, write: Write) -> RecordChange {
    RecordChange {
        key: record(number),
        expect,
        write,
    }
}

pub(crate) fn row(byte: u8) -> Row {
    Row {
        version: 0,
        lifetime: Lifetime::Durable,
        live_until: None,
        due: None,
        under: WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: None,
        },
        bytes: vec![byte],
    }
}

/// A new record.
pub(crate) fn creating(service: ServiceId, number: u8) -> Changeset {
    let mut changeset = change(service);
    changeset
        .records
        .push(putting(number, Expect::Absent, Write::Put(row(number))));
    changeset
}

pub(crate) fn event(service: ServiceId, kind: EventKind, nth: u8) -> Event {
    let mut event = Event::new(&Seed::from_bytes([1; Seed::BYTES]), nth, at(0), service, kind);
    event.code = Some(nth.into());
    event
}

pub(crate) fn telling(mut changeset: Changeset, nth: u8) -> Changeset {
    let event = event(changeset.service.clone(), EventKind::SendIntended, nth);
    changeset.events.push(event);
    changeset
}

pub(crate) fn alerting(mut changeset: Changeset, number: u8) -> Changeset {
    let event = event(changeset.service.clone(), EventKind::LimitAlert, number);
    let once = marker(ClaimKind::Alert, number);
    changeset.alerts.push(Alert { event, once });
    changeset
}

pub(crate) fn marker(kind: ClaimKind, number: u8) -> Claim {
    Claim {
        key: claim(kind, number),
        value: vec![number],
        expires_at: at(60_000),
    }
}

/// One transaction at a time.
pub(crate) fn lanes(memory: &Memory) -> Lanes<Memory> {
    Lanes::new(memory.clone(), Limits::of(Turns::Together))
}

/// Lets everybody else get as far as they can.
pub(crate) async fn settle() {
    for _ in 0..200 {
        yield_now().await;
    }
}

/// Asks, and does not wait for the answer.
pub(crate) fn asks(lanes: &Lanes<Memory>, changeset: &Changeset) -> JoinHandle<StoreAnswer> {
    asks_within(lanes, changeset, WITHIN)
}

pub(crate) fn asks_within(
    lanes: &Lanes<Memory>,
    changeset: &Changeset,
    within: Duration,
) -> JoinHandle<StoreAnswer> {
    let (lanes, changeset) = (lanes.clone(), changeset.clone());
    tokio::spawn(async move { lanes.apply(&changeset, within).await })
}

pub(crate) async fn all(asked: Vec<JoinHandle<StoreAnswer>>) -> Vec<StoreAnswer> {
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    answers
}

/// Has them decided in the next transaction of their services, which begins behind one that is under way. Not awaited.
pub(crate) async fn asks_together(
    lanes: &Lanes<Memory>,
    changesets: &[Changeset],
) -> Vec<JoinHandle<StoreAnswer>> {
    let memory = lanes.backend();
    let held = memory.hold(Step::Begin).await;
    let mut services: Vec<ServiceId> = changesets.iter().map(|it| it.service.clone()).collect();
    services.sort();
    services.dedup();
    if lanes.limits().turns == Turns::Together {
        services.truncate(1);
    }
    let before: Vec<_> = services
        .into_iter()
        .map(|service| asks(lanes, &change(service)))
        .collect();
    settle().await;
    let asked = changesets
        .iter()
        .map(|changeset| asks(lanes, changeset))
        .collect();
    settle().await;
    drop(held);
    for answer in all(before).await {
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    }
    asked
}

/// The same, and their answers.
pub(crate) async fn decided_together(lanes: &Lanes<Memory>, changesets: &[Changeset]) -> Vec<StoreAnswer> {
    all(asks_together(lanes, changesets).await).await
}

pub(crate) fn is_applied(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::Applied(_))
}

pub(crate) fn is_refused(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::Refused(_))
}

pub(crate) fn is_unavailable(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::NotApplied(StoreFault::Unavailable(_)))
}

pub(crate) fn is_unknown(answer: &StoreAnswer) -> bool {
    matches!(answer, StoreAnswer::Unknown(_))
}

/// The events of a service by what tells them apart, in their order.
pub(crate) fn told(memory: &Memory, service: &ServiceId) -> Vec<u32> {
    let kept = memory.kept();
    let of_it = kept.events.iter().filter(|((of, _), _)| of == service);
    of_it
        .map(|(_, bytes)| verify_core::store::kept::read_event(bytes).unwrap().code.unwrap())
        .collect()
}

/// How often a key was charged.
pub(crate) fn charged(memory: &Memory, service: &ServiceId, number: u8) -> u64 {
    let kept = memory.kept();
    let Some((bytes, _)) = kept.counters.get(&(service.clone(), counter(number))) else {
        return 0;
    };
    let (state, _) = verify_core::store::kept::read_counter(bytes).unwrap();
    match state {
        verify_core::limit::Counter::Window(window) => window.used(Duration::from_secs(60), at(0)),
        verify_core::limit::Counter::Backoff(_) => panic!("no window"),
    }
}

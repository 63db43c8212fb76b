//! Changesets in few words.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::{Counter, Rule};
use verify_core::policy::Wait;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Lifetime, Mode, RecordChange,
    RecordKey, RecordKind, Room, Row, Seen, Store, StoreAnswer, Write, WrittenUnder,
};
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::ServiceId;

/// The store that a case is about.
pub(super) type Subject = Arc<dyn Store>;

/// What is not begun within that time need not be begun any more.
pub(super) const WITHIN: Duration = Duration::from_secs(5);

/// This many milliseconds after some day.
pub(super) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000) + Duration::from_millis(millis)
}

pub(super) fn change(millis: u64) -> Changeset {
    Changeset::new(ServiceId::default(), at(millis), Room::Stranger)
}

/// A service besides the default one.
pub(super) fn another() -> ServiceId {
    match ServiceId::new("another") {
        Ok(service) => service,
        Err(error) => panic!("a service id: {error}"),
    }
}

fn print(number: u32) -> Print {
    let mut bytes = [7; 16];
    for (slot, byte) in bytes.iter_mut().zip(number.to_be_bytes()) {
        *slot = byte;
    }
    Print::from_bytes(bytes)
}

pub(super) fn counter(number: u32) -> CounterKey {
    CounterKey {
        scope: 11,
        print: print(number),
    }
}

pub(super) fn record(number: u32) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: print(number),
    }
}

pub(super) fn claim(number: u32) -> ClaimKey {
    ClaimKey {
        kind: ClaimKind::Send,
        print: print(number),
    }
}

/// At most `max` in `per` milliseconds.
pub(super) fn window(max: u64, per: u64) -> Rule {
    Rule::Window {
        max,
        per: Duration::from_millis(per),
    }
}

/// A minute after the first failure, an hour after the third, forgotten after a day.
pub(super) fn lockout() -> Rule {
    let waits = BTreeMap::from([
        (1, Wait::For(Duration::from_secs(60))),
        (3, Wait::For(Duration::from_secs(3_600))),
    ]);
    Rule::Backoff {
        waits: Arc::new(waits),
        forget_after: Duration::from_secs(86_400),
    }
}

pub(super) fn charge(key: CounterKey, rule: &Rule) -> Charge {
    Charge {
        key,
        rule: rule.clone(),
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    }
}

pub(super) fn force(key: CounterKey, rule: &Rule) -> Charge {
    Charge {
        mode: Mode::Force,
        ..charge(key, rule)
    }
}

pub(super) fn probe(key: CounterKey, rule: &Rule) -> Charge {
    Charge {
        mode: Mode::Probe,
        ..charge(key, rule)
    }
}

/// A transient row that is neither live nor due.
pub(super) fn row(bytes: &[u8], ends: u64) -> Row {
    Row {
        version: 0,
        lifetime: Lifetime::Until(at(ends)),
        live_until: None,
        due: None,
        under: under(1),
        bytes: bytes.to_vec(),
    }
}

/// Written under keys with this number.
pub(super) fn under(number: u8) -> WrittenUnder {
    WrittenUnder {
        fingerprint: KeyId::new(number),
        seal: Some(KeyId::new(number)),
    }
}

pub(super) fn event(kind: EventKind, code: u32) -> Event {
    let seed = Seed::from_bytes([1; Seed::BYTES]);
    let mut event = Event::new(&seed, 0, at(0), ServiceId::default(), kind);
    event.code = Some(code);
    event
}

/// What makes changesets readable.
pub(super) trait Build: Sized {
    fn charging(self, charge: Charge) -> Self;
    fn swapping(self, key: RecordKey, expect: Expect, write: Write) -> Self;
    fn reading(self, key: RecordKey) -> Self;
    fn claiming(self, key: ClaimKey, value: &[u8], ends: u64) -> Self;
    fn telling(self, event: Event) -> Self;
    fn known(self) -> Self;
    fn creating(self, key: RecordKey, row: Row) -> Self {
        self.swapping(key, Expect::Absent, Write::Put(row))
    }
}

impl Build for Changeset {
    fn charging(mut self, charge: Charge) -> Self {
        self.charges.push(charge);
        self
    }

    fn swapping(mut self, key: RecordKey, expect: Expect, write: Write) -> Self {
        self.records.push(RecordChange { key, expect, write });
        self
    }

    fn reading(mut self, key: RecordKey) -> Self {
        self.reads.push(key);
        self
    }

    fn claiming(mut self, key: ClaimKey, value: &[u8], ends: u64) -> Self {
        self.claims.push(Claim {
            key,
            value: value.to_vec(),
            expires_at: at(ends),
        });
        self
    }

    fn telling(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }

    fn known(mut self) -> Self {
        self.room = Room::Known;
        self
    }
}

pub(super) async fn applied(store: &Subject, changeset: Changeset) -> Seen {
    match store.apply(&changeset, WITHIN).await {
        StoreAnswer::Applied(seen) => seen,
        other @ (StoreAnswer::Refused(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
            panic!("expected it to be applied: {changeset:?}\nbut: {other:?}")
        }
    }
}

pub(super) async fn refused(store: &Subject, changeset: Changeset) -> Seen {
    match store.apply(&changeset, WITHIN).await {
        StoreAnswer::Refused(seen) => seen,
        other @ (StoreAnswer::Applied(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
            panic!("expected it to be refused: {changeset:?}\nbut: {other:?}")
        }
    }
}

/// The state of a counter, found out without counting.
pub(super) async fn state(store: &Subject, key: CounterKey, rule: &Rule, millis: u64) -> Counter {
    let changeset = change(millis).charging(probe(key, rule));
    let (StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen)) = store.apply(&changeset, WITHIN).await
    else {
        panic!("a probe must be decided");
    };
    match seen.counters.into_iter().next() {
        Some(counter) => counter.before,
        None => panic!("a probe must be answered"),
    }
}

pub(super) async fn read(store: &Subject, key: RecordKey, millis: u64) -> Option<Row> {
    applied(store, change(millis).reading(key))
        .await
        .record(&key)
        .cloned()
}

/// True when nobody holds this claim.
pub(super) async fn is_free(store: &Subject, key: ClaimKey, millis: u64) -> bool {
    // Refused by its own expectation, so that asking claims nothing.
    let asking =
        change(millis)
            .claiming(key, b"", millis + 1)
            .swapping(record(9_999), Expect::At(1), Write::Keep);
    refused(store, asking).await.claim(&key).is_none()
}

/// When the charge at this place would be admitted; `None`: it is.
pub(super) fn denied(seen: &Seen, place: usize, charge: &Charge, millis: u64) -> Option<Until> {
    let before = seen.counters.get(place).map(|counter| &counter.before);
    before.and_then(|before| before.denied(&charge.rule, charge.cost, at(millis)))
}

/// True when the charge at this place was counted.
pub(super) fn was_counted(seen: &Seen, place: usize) -> bool {
    let counter = seen.counters.get(place);
    counter.is_some_and(|counter| counter.before != counter.after)
}

/// What a future comes to, where it is over after it was looked at so often; it is dropped otherwise.
pub(super) async fn at_most<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| {
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Every event of the default service that waits, by its code.
pub(super) async fn waiting(store: &Subject) -> Vec<Option<u32>> {
    waiting_of(store, &ServiceId::default()).await
}

/// The same of a service.
pub(super) async fn waiting_of(store: &Subject, service: &ServiceId) -> Vec<Option<u32>> {
    match store.outbox(service, 10_000).await {
        Ok(events) => events.into_iter().map(|(_, event)| event.code).collect(),
        Err(fault) => panic!("the outbox must be readable: {fault}"),
    }
}

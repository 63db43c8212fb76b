//! The forms in which rows were ever kept (`verify_core::store::kept`), byte for byte: what an earlier program wrote is read, and what
//! a later one writes is not guessed at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::path::Path;

use rusqlite::Connection;
use support::{WITHIN, charging, creating, fresh, nothing, open, record, run};
use verify_core::keys::Print;
use verify_core::limit::{Backoff, Counter, Stamp, Window};
use verify_core::store::{
    Changeset, Claim, ClaimKey, ClaimKind, Lifetime, Mode, Seen, Store, StoreAnswer, StoreFault,
};
use verify_core::time::Timestamp;
use verify_sqlite::{SqliteOptions, SqliteStore};

/// When the changesets of these tests are, and when what they write ends.
const AT: u64 = 1_790_000_000_000;
const LATER: u64 = AT + 3_600_000;
const CLAIM: ClaimKey = ClaimKey {
    kind: ClaimKind::Send,
    print: Print::from_bytes([9; 16]),
};

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn claiming() -> Changeset {
    let mut changeset = nothing();
    changeset.claims.push(Claim {
        key: CLAIM,
        value: Vec::new(),
        expires_at: at(LATER),
    });
    changeset
}

fn probing() -> Changeset {
    let mut changeset = charging(1);
    for charge in &mut changeset.charges {
        charge.mode = Mode::Probe;
    }
    changeset
}

fn reading() -> Changeset {
    let mut changeset = nothing();
    changeset.reads.push(record(2));
    changeset
}

/// A file with a counter, a record and a claim.
async fn one_of_each(path: &Path) -> SqliteStore {
    let store = open(SqliteOptions::at(path));
    for changeset in [charging(1), creating(2), claiming()] {
        let answer = store.apply(&changeset, WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    }
    store
}

/// Little-endian numbers between what stands before and behind them.
fn kept(before: &[u8], numbers: &[u64], behind: &[u8]) -> Vec<u8> {
    let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
    before
        .iter()
        .copied()
        .chain(numbers)
        .chain(behind.iter().copied())
        .collect()
}

/// Puts these bytes in the place of the only row.
fn put(path: &Path, table: &str, bytes: &[u8]) {
    let file = Connection::open(path).unwrap();
    let written = file.execute(&format!("UPDATE {table} SET value = ?1"), [bytes]);
    assert_eq!(written, Ok(1));
}

async fn seen(store: &SqliteStore, changeset: Changeset) -> Seen {
    store.apply(&changeset, WITHIN).await.seen().unwrap()
}

#[test]
fn counters_of_every_kept_form_are_read() {
    run(async {
        let path = fresh();
        let store = one_of_each(&path).await;
        let stamp = Stamp {
            at: at(AT - 1_000),
            units: 3,
        };
        let window = |ended| Counter::Window(Window::of(at(AT), at(ended), &[stamp]).unwrap());
        let run = Counter::Backoff(Backoff {
            count: 4,
            last: at(AT),
            run: 7,
        });
        for (form, numbers, state) in [
            (1, &[LATER, AT, AT - 1_000, 3][..], window(0)),
            (3, &[LATER, AT, AT - 5_000, AT - 1_000, 3], window(AT - 5_000)),
            (2, &[LATER, AT, 4, 7], run),
        ] {
            put(&path, "counter", &kept(&[1, form], numbers, b""));
            let seen = seen(&store, probing()).await;
            let before = seen.counters.first().map(|counter| &counter.before);
            assert_eq!(before, Some(&state), "form {form}");
        }
    });
}

#[test]
fn records_and_claims_of_every_kept_form_are_read() {
    run(async {
        let path = fresh();
        let store = one_of_each(&path).await;
        // Its version, its end, until when it is live and when it is due; the keys that it is under, and its bytes.
        let numbers = [5, LATER, AT + 1, AT + 2];
        put(&path, "record", &kept(&[1, 2 | 4 | 8], &numbers, &[1, 3, b'x']));
        let read = seen(&store, reading()).await;
        let row = read.record(&record(2)).unwrap();
        assert_eq!((row.version, row.lifetime), (5, Lifetime::Until(at(LATER))));
        assert_eq!((row.live_until, row.due), (Some(at(AT + 1)), Some(at(AT + 2))));
        let under = (row.under.fingerprint.get(), row.under.seal.map(|key| key.get()));
        assert_eq!((under, &*row.bytes), ((1, Some(3)), &b"x"[..]));
        // Durable, and none of the rest.
        put(&path, "record", &kept(&[1, 1], &[6, LATER, 0, 0], &[1, 0, b'y']));
        let read = seen(&store, reading()).await;
        let row = read.record(&record(2)).unwrap();
        assert_eq!((row.version, row.lifetime), (6, Lifetime::Durable));
        assert_eq!((row.live_until, row.due, row.under.seal), (None, None, None));
        put(&path, "claim", &kept(&[1], &[LATER], b"told"));
        let claimed = seen(&store, claiming()).await;
        assert_eq!(claimed.claim(&CLAIM).unwrap().value, b"told");
    });
}

#[test]
fn i146_a_row_of_a_later_form_is_a_fault_of_those_that_name_it() {
    run(async {
        let path = fresh();
        let store = one_of_each(&path).await;
        for (table, changeset) in [
            ("counter", probing()),
            ("record", reading()),
            ("claim", claiming()),
        ] {
            put(&path, table, &kept(&[2, 1], &[LATER, AT], b""));
            let answer = store.apply(&changeset, WITHIN).await;
            assert!(
                matches!(answer, StoreAnswer::NotApplied(StoreFault::Corrupt(_))),
                "{table}: {answer:?}"
            );
            assert!(matches!(
                store.apply(&nothing(), WITHIN).await,
                StoreAnswer::Applied(_)
            ));
        }
    });
}

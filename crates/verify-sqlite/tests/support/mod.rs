//! Files to open, and changesets for them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests are outside of test functions, and not every binary needs each"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::store::{
    Changeset, Charge, CounterKey, Expect, Lifetime, Mode, RecordChange, RecordKey, RecordKind, Room, Row,
    Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_sqlite::{SqliteOptions, SqliteStore};

/// What is not begun within that time need not be begun any more.
pub const WITHIN: Duration = Duration::from_secs(5);

/// Where a test binary has its files. What the last run left is removed first.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let binary = std::env::current_exe().unwrap();
    let name = binary.file_stem().unwrap().to_owned();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&directory).ok();
    fs::create_dir_all(&directory).unwrap();
    directory
});

/// A path where there is no file yet.
pub fn fresh() -> PathBuf {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    DIRECTORY.join(format!("{}.db", NUMBERS.fetch_add(1, Ordering::Relaxed)))
}

/// The store in a file.
pub fn open(options: SqliteOptions) -> SqliteStore {
    SqliteStore::open(options).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a test on a runtime.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

fn print(number: u64) -> Print {
    Print::from_bytes((u128::from(number) << 64).to_be_bytes())
}

/// The key of a limit.
pub fn counter(number: u64) -> CounterKey {
    CounterKey {
        scope: 1,
        print: print(number),
    }
}

/// The key of a record.
pub fn record(number: u64) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: print(number),
    }
}

/// A changeset that asks for nothing.
pub fn nothing() -> Changeset {
    Changeset::new(ServiceId::default(), at(), Room::Stranger)
}

/// One use of a limit of a million an hour.
pub fn charging(number: u64) -> Changeset {
    let mut changeset = nothing();
    changeset.charges.push(Charge {
        key: counter(number),
        rule: Rule::Window {
            max: 1_000_000,
            per: Duration::from_secs(3_600),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    changeset
}

/// A record, durable when its number is odd.
pub fn creating(number: u64) -> Changeset {
    let mut changeset = nothing();
    changeset.records.push(RecordChange {
        key: record(number),
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: match number % 2 {
                0 => Lifetime::Until(at() + Duration::from_secs(3_600)),
                _ => Lifetime::Durable,
            },
            live_until: None,
            due: None,
            under: WrittenUnder {
                fingerprint: KeyId::new(1),
                seal: Some(KeyId::new(1)),
            },
            bytes: number.to_be_bytes().to_vec(),
        }),
    });
    changeset
}

/// Nothing is wrong in the file: no transient row without an end, no durable one with, none of no service.
pub fn scan(path: &Path) {
    assert_eq!(faults(&Connection::open(path).unwrap()), None);
}

/// What is wrong in a file.
pub fn faults(file: &Connection) -> Option<String> {
    let faults = file.query_row(&verify_lab::faults_in_sqlite(), (), |row| row.get(0));
    faults.unwrap()
}

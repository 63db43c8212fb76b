//! A server for a test program, and a place of its own in it for each test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests are outside of test functions, and not every binary needs each"
)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Commands, Connection};
use tokio::task::JoinSet;
use verify_core::keys::{KeyId, Print};
use verify_core::store::{
    Changeset, Expect, Lifetime, RecordChange, RecordKey, RecordKind, Room, Row, Store, StoreAnswer, Write,
    WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_lab::{RedisKind, RedisServer};
use verify_redis::{RedisOptions, RedisStore};

/// What is not begun within that time need not be begun any more.
pub const WITHIN: Duration = Duration::from_secs(5);

/// Where a test binary has its servers.
pub fn directory(name: &str) -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    let binary = binary.file_stem().unwrap().to_owned();
    std::env::temp_dir().join("verify-tests").join(binary).join(name)
}

/// A server of a test's own.
pub fn server_with(kind: RedisKind, name: &str, settings: &[&str]) -> RedisServer {
    RedisServer::start(kind, &directory(name), settings).unwrap_or_else(|error| panic!("{error}"))
}

static INSTALLED: LazyLock<RedisServer> = LazyLock::new(|| server_with(RedisKind::Installed, "server", &[]));
static REDIS_62: LazyLock<RedisServer> = LazyLock::new(|| server_with(RedisKind::Redis62, "server-62", &[]));
static VALKEY: LazyLock<RedisServer> = LazyLock::new(|| server_with(RedisKind::Valkey, "server-valkey", &[]));

/// The server of all tests in this binary.
pub fn server(kind: RedisKind) -> &'static RedisServer {
    match kind {
        RedisKind::Installed => &INSTALLED,
        RedisKind::Redis62 => &REDIS_62,
        RedisKind::Valkey => &VALKEY,
    }
}

/// A place where nothing is yet.
pub fn fresh() -> RedisOptions {
    fresh_on(RedisKind::Installed)
}

/// The same on such a server.
pub fn fresh_on(kind: RedisKind) -> RedisOptions {
    fresh_at(&server(kind).url())
}

/// The same at a URL. Keys stay for an hour after their end: an engine's time in a test has nothing to do with the server's.
pub fn fresh_at(url: &str) -> RedisOptions {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let mut options = RedisOptions::parse(url)
        .unwrap()
        .prefix(&format!("test-{number}:"));
    options.margin = Duration::from_secs(3_600);
    options
}

/// The store there.
pub async fn open(options: RedisOptions) -> RedisStore {
    let opened = RedisStore::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a test on a runtime.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.unwrap().block_on(test);
}

/// The time of what is asked here.
pub fn at() -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000)
}

/// A changeset that asks for nothing.
pub fn nothing() -> Changeset {
    Changeset::new(ServiceId::default(), at(), Room::Stranger)
}

/// The key of a record.
pub fn record(number: u64) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: Print::from_bytes((u128::from(number) << 64).to_be_bytes()),
    }
}

/// A durable record with its number.
pub fn creating(service: &str, number: u64) -> Changeset {
    let mut changeset = nothing();
    changeset.service = ServiceId::new(service).unwrap();
    changeset.records.push(RecordChange {
        key: record(number),
        expect: Expect::Absent,
        write: Write::Put(Row {
            version: 0,
            lifetime: Lifetime::Durable,
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

/// Whether that is there.
pub async fn is_there(store: &impl Store, service: &str, number: u64) -> bool {
    let mut changeset = nothing();
    changeset.service = ServiceId::new(service).unwrap();
    changeset.reads.push(record(number));
    let seen = store.apply(&changeset, WITHIN).await.seen().unwrap();
    seen.record(&record(number)).is_some()
}

/// Asks until the store decides again.
pub async fn recovered(store: &impl Store) {
    while store.apply(&nothing(), WITHIN).await.seen().is_err() {
        tokio::task::yield_now().await;
    }
}

/// Creates records from sixteen at once until this many were, has something happen in the midst, and goes on as long again; what each
/// was told.
pub async fn load(store: &RedisStore, service: &'static str, act: impl FnOnce()) -> Vec<(u64, StoreAnswer)> {
    const BEFORE: u64 = 200;
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (store, next) = (store.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            let mut told = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::SeqCst);
                if number >= 2 * BEFORE {
                    return told;
                }
                told.push((number, store.apply(&creating(service, number), WITHIN).await));
            }
        });
    }
    while next.load(Ordering::SeqCst) < BEFORE {
        tokio::task::yield_now().await;
    }
    act();
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Holds a store to what was told; how many are missing that were answered.
pub async fn missing(store: &RedisStore, service: &str, told: &[(u64, StoreAnswer)]) -> usize {
    let mut missing = 0;
    for (number, answer) in told {
        let there = is_there(store, service, *number).await;
        match answer {
            StoreAnswer::Applied(_) => missing += usize::from(!there),
            StoreAnswer::NotApplied(_) => assert!(!there, "{number} was surely not applied, and is there"),
            StoreAnswer::Unknown(_) => {}
            StoreAnswer::Refused(seen) => panic!("{number} was there before: {seen:?}"),
        }
    }
    missing
}

/// A connection of somebody else to a server.
pub fn connected(port: u16) -> Connection {
    redis::Client::open(format!("redis://127.0.0.1:{port}"))
        .unwrap()
        .get_connection()
        .unwrap()
}

/// No transient key without an end, no durable one with, nothing that points at what is not there, and what a lane says that it holds
/// is what it holds.
pub fn scan(server: &mut Connection, prefix: &str) {
    let keys: Vec<Vec<u8>> = server
        .scan_match(format!("{prefix}*"))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut by_service: HashMap<Vec<u8>, HashMap<Vec<u8>, Vec<u8>>> = HashMap::new();
    for key in keys {
        let end = key.iter().position(|byte| *byte == b'}').unwrap() + 1;
        let (service, name) = (key[..end].to_vec(), key[end..].to_vec());
        let ends = redis::cmd("PTTL").arg(&key).query::<i64>(server).unwrap() >= 0;
        let mut row = Vec::new();
        if name[0] == b'r' {
            row = server.get(&key).unwrap();
        }
        let is_durable = match name[0] {
            b'l' | b'o' | b'd' | b't' | b'k' | b's' => true,
            // Of the store, and not a claim.
            b'm' => name.len() == 1,
            b'r' => row[1] & 1 == 1,
            b'c' | b'x' | b'w' => false,
            _ => panic!("a key of no kind: {key:?}"),
        };
        assert_eq!(ends, !is_durable, "{key:?}");
        by_service.entry(service).or_default().insert(name, row);
    }
    for (service, names) in by_service {
        let key = |kind: &[u8]| [service.as_slice(), kind].concat();
        let rows = names.iter().filter(|(name, _)| name[0] == b'r');
        let due: Vec<Vec<u8>> = server.zrange(key(b"d"), 0, -1).unwrap();
        for name in &due {
            assert!(
                names.contains_key(&[b"r", name.as_slice()].concat()),
                "a record that is gone is due"
            );
        }
        let times: Vec<Vec<u8>> = server.hkeys(key(b"t")).unwrap();
        assert!(
            times.iter().all(|name| due.contains(name)),
            "one was put off that is not due"
        );
        let mut listed: Vec<Vec<u8>> = server.zrange(key(b"k"), 0, -1).unwrap();
        let mut durable: Vec<Vec<u8>> = rows
            .filter(|(_, row)| row[1] & 9 == 9)
            .map(|(name, row)| [&row[34..36], &name[1..]].concat())
            .collect();
        listed.sort();
        durable.sort();
        assert_eq!(listed, durable, "what is listed as durable");
        if names.contains_key(b"l".as_slice()) {
            let events: Vec<(String, Vec<Vec<u8>>)> = redis::cmd("XRANGE")
                .arg(key(b"o"))
                .arg("-")
                .arg("+")
                .query(server)
                .unwrap();
            let bytes: usize = events.iter().map(|(_, fields)| fields[1].len()).sum();
            let told: Option<usize> = server.hget(key(b"l"), "bytes").unwrap();
            assert_eq!(told.unwrap_or(0), bytes, "the outbox of a lane");
        }
    }
}

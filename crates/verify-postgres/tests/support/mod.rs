//! A server for a test program, and a place of its own in it for each test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests are outside of test functions, and not every binary needs each"
)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use tokio_postgres::types::FromSql;
use tokio_postgres::{Client, NoTls};
use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Expect, Lifetime, RecordChange, RecordKey, RecordKind, Room, Row, Store, StoreAnswer, Write,
    WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_lab::{PostgresServer, Syncs};
use verify_postgres::{PostgresOptions, PostgresStore};

/// Where a test binary has its servers.
pub fn directory(name: &str) -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    let binary = binary.file_stem().unwrap().to_owned();
    // What another user has to reach must not lie below a home that it may not enter.
    std::env::temp_dir().join("verify-tests").join(binary).join(name)
}

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    PostgresServer::start(&directory("server"), Syncs::No, "").unwrap_or_else(|error| panic!("{error}"))
});

/// The server of all tests in this binary.
pub fn server() -> &'static PostgresServer {
    &SERVER
}

/// A place where nothing is yet.
pub fn fresh() -> PostgresOptions {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let options = PostgresOptions::parse(&SERVER.url()).unwrap();
    options.schema(&format!("test_{number}")).connections(4)
}

/// Statements as somebody else carries them out.
pub async fn execute(statements: &str) {
    let config = PostgresOptions::parse(&SERVER.url()).unwrap().config;
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(statements).await.unwrap();
}

/// The store there.
pub async fn open(options: PostgresOptions) -> PostgresStore {
    let opened = PostgresStore::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

/// A connection as the owner of a test's server.
pub async fn connected(options: &PostgresOptions) -> Client {
    let mut config = options.config.clone();
    let (client, connection) = config.user("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

/// Asks the server of a test as its owner.
pub async fn as_owner(options: &PostgresOptions, sql: &str) {
    connected(options).await.batch_execute(sql).await.unwrap();
}

/// Asks until the answer is yes.
pub async fn until(client: &Client, sql: &str) {
    loop {
        let rows = client.query_typed(sql, &[]).await.unwrap();
        if rows.first().is_some_and(|row| row.get(0)) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// What is not begun within that time need not be begun any more.
pub const WITHIN: Duration = Duration::from_secs(5);

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

/// The key of a record.
pub fn record(number: u64) -> RecordKey {
    RecordKey {
        kind: RecordKind::Verifications,
        print: Print::from_bytes((u128::from(number) << 64).to_be_bytes()),
    }
}

/// A service by its number.
pub fn service(number: u32) -> ServiceId {
    ServiceId::new(&format!("service-{number}")).unwrap()
}

/// A changeset that asks for nothing.
pub fn nothing() -> Changeset {
    Changeset::new(ServiceId::default(), at(), Room::Stranger)
}

/// A record, and an event with its number.
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
    let mut event = Event::new(
        &Seed::from_bytes([1; Seed::BYTES]),
        0,
        at(),
        ServiceId::default(),
        EventKind::SendIntended,
    );
    event.code = Some(u32::try_from(number).unwrap());
    changeset.events.push(event);
    changeset
}

/// A changeset that reads a record.
pub fn reading(number: u64) -> Changeset {
    let mut changeset = nothing();
    changeset.reads.push(record(number));
    changeset
}

/// What a load was told: of each number what became of it.
#[derive(Debug, Default)]
pub struct Told {
    pub applied: Vec<u64>,
    pub not_applied: Vec<u64>,
    pub unknown: Vec<u64>,
}

/// Sixteen tasks create records until they are stopped; what they were told.
pub fn load(
    store: &PostgresStore,
    from: u64,
    stop: &Arc<AtomicBool>,
    count: &Arc<AtomicU32>,
) -> JoinHandle<Told> {
    let (store, stop, count) = (store.clone(), Arc::clone(stop), Arc::clone(count));
    tokio::spawn(async move {
        let mut tasks = JoinSet::new();
        for task in 0..16 {
            let (store, stop, count) = (store.clone(), Arc::clone(&stop), Arc::clone(&count));
            tasks.spawn(async move {
                let mut told = Told::default();
                for number in (from + task..).step_by(16) {
                    if stop.load(Ordering::SeqCst) {
                        break;
                    }
                    match store.apply(&creating(number), WITHIN).await {
                        StoreAnswer::Applied(_) => {
                            told.applied.push(number);
                            count.fetch_add(1, Ordering::SeqCst);
                        }
                        StoreAnswer::NotApplied(_) => told.not_applied.push(number),
                        StoreAnswer::Unknown(_) => told.unknown.push(number),
                        StoreAnswer::Refused(seen) => panic!("{number} was there before: {seen:?}"),
                    }
                }
                told
            });
        }
        let mut all = Told::default();
        for told in tasks.join_all().await {
            all.applied.extend(told.applied);
            all.not_applied.extend(told.not_applied);
            all.unknown.extend(told.unknown);
        }
        all
    })
}

/// Asks until the store decides again.
pub async fn recovered(store: &PostgresStore) {
    while store.apply(&nothing(), WITHIN).await.seen().is_err() {
        tokio::task::yield_now().await;
    }
}

/// Holds a store to what was told: what was applied is there with its event, what was not is not. How much is missing.
pub async fn missing(store: &PostgresStore, told: &Told) -> usize {
    let is_there = async |number: u64| loop {
        // A server that is busy answers some of them late.
        if let Ok(seen) = store.apply(&reading(number), WITHIN).await.seen() {
            break seen.record(&record(number)).is_some();
        }
    };
    let mut missing = 0;
    for number in &told.applied {
        missing += usize::from(!is_there(*number).await);
    }
    for number in &told.not_applied {
        assert!(
            !is_there(*number).await,
            "{number} was surely not applied, and is there"
        );
    }
    missing
}

/// Nothing is wrong in the tables: no transient row without an end, no durable one with, none of no service.
pub async fn scan(options: &PostgresOptions) {
    assert_eq!(faults(&connected(options).await, &options.schema).await, None);
}

/// The one value that a statement asks for.
pub async fn value<T: for<'a> FromSql<'a>>(client: &Client, sql: &str) -> T {
    client
        .query_typed(sql, &[])
        .await
        .unwrap()
        .first()
        .unwrap()
        .get(0)
}

/// What is wrong in a schema's tables.
pub async fn faults(owner: &Client, schema: &str) -> Option<String> {
    let faults = verify_lab::faults_in_postgres(schema);
    value(owner, &faults).await
}

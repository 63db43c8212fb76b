//! What rows there are, and what writing them costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use support::{
    WITHIN, as_owner, connected, creating, directory, fresh, open, record, run, scan, until, value,
};
use tokio_postgres::Client;
use verify_core::keys::KeyId;
use verify_core::store::{Store, StoreAnswer, WrittenUnder};
use verify_core::vocabulary::ServiceId;
use verify_lab::{PostgresServer, Syncs, in_the_clear};
use verify_postgres::{PostgresOptions, PostgresStore};

/// A transient row has an expiry, a durable one none, and no row lies beside a lane.
#[test]
fn i11_every_row_ends_or_is_durable_and_is_somebody_s() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        for number in 0..50 {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        scan(&options).await;
    });
}

/// However many a later program left before it: what comes behind them is due, and is moved to new keys.
#[test]
fn i150_records_of_unknown_kinds_hide_none_that_is_known() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let known = record(15);
        for number in (1..=15).step_by(2) {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        let unknown = format!(
            "UPDATE {schema}.record SET due = 1; UPDATE {schema}.record SET key = decode('00', 'hex') || substr(key, 2)
             WHERE key < (SELECT key FROM {schema}.record ORDER BY key DESC LIMIT 1)",
            schema = options.schema
        );
        as_owner(&options, &unknown).await;
        let under = WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: Some(KeyId::new(1)),
        };
        let service = ServiceId::default();
        let listed = store.durable_under(under, None, 3).await;
        assert_eq!(listed, Ok(vec![(service.clone(), known)]));
        assert_eq!(
            store.due(&service, support::nothing().at, 3).await,
            Ok(vec![known])
        );
    });
}

/// What the scan above looks for, it finds.
#[test]
fn a_row_that_must_not_be_there_is_found() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        for number in [0, 1] {
            store.apply(&creating(number), WITHIN).await.seen().unwrap();
        }
        let (owner, schema) = (connected(&options).await, &options.schema);
        let counter = "INSERT INTO counter SELECT id, '', '', 1 FROM lane";
        owner
            .batch_execute(&format!("SET search_path = {schema}; {counter}"))
            .await
            .unwrap();
        let here = [
            ("UPDATE batch SET lane = 99", "a batch of no lane"),
            ("UPDATE lane SET held = held + 1", "other bytes than it says"),
        ];
        for (spoils, fault) in verify_lab::SPOILS.iter().copied().chain(here) {
            owner.batch_execute(&format!("BEGIN; {spoils}")).await.unwrap();
            let found = support::faults(&owner, schema).await;
            assert!(found.is_some_and(|found| found.contains(fault)), "{spoils}");
            owner.batch_execute("ROLLBACK").await.unwrap();
        }
        scan(&options).await;
    });
}

/// What a dump is searched for is found in it, whether it stands there as text or as bytes.
#[test]
fn what_stands_in_the_clear_is_found() {
    run(async {
        let options = fresh();
        drop(open(options.clone()).await);
        let schema = &options.schema;
        let plants = format!(
            "INSERT INTO {schema}.lane (service) VALUES ('planted-text');
             INSERT INTO {schema}.claim VALUES (1, 'planted-key', '\\x00706c616e7465642d62797465730a', 1)"
        );
        as_owner(&options, &plants).await;
        let dump = support::server().dump().unwrap();
        let planted = ["planted-text", "planted-key", "planted-bytes"];
        assert_eq!(in_the_clear(&dump, &planted), planted);
    });
}

/// What is refused waits for no disk.
#[test]
fn i49_a_refusal_costs_no_flush() {
    const MANY: u64 = 200;
    run(async {
        // Nobody else writes there, and what is written is flushed by whoever wants it to be.
        let quiet = "autovacuum = off\nwal_level = minimal\nmax_wal_senders = 0\nwal_writer_delay = '10s'";
        let server = PostgresServer::start(&directory("flushes"), Syncs::Yes, quiet).unwrap();
        let options = PostgresOptions::parse(&server.url()).unwrap();
        let owner = connected(&options).await;
        let flushes = async |from: u64, is_new: bool| {
            let store = open(options.clone()).await;
            for number in from..from + MANY {
                let answer = store.apply(&creating(number), WITHIN).await;
                let is_applied = matches!(answer, StoreAnswer::Applied(_));
                let is_refused = matches!(answer, StoreAnswer::Refused(_));
                assert_eq!((is_applied, is_refused), (is_new, !is_new), "{answer:?}");
            }
            // A connection says what it did when it ends.
            store.close();
            drop(store);
            until(
                &owner,
                "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'",
            )
            .await;
            let flushes: i64 = value(&owner, "SELECT wal_sync FROM pg_stat_wal").await;
            flushes.unsigned_abs()
        };
        let before = flushes(MANY, true).await;
        let written = flushes(0, true).await;
        let refused = flushes(0, false).await;
        assert!(written - before >= MANY, "{before}, {written}");
        assert!(refused - written < MANY / 10, "{written}, {refused}");
    });
}

/// So many counters of a lane, which may be dropped from this minute on.
fn counters(options: &PostgresOptions, lane: &str, many: u32, gone: u64) -> String {
    let (schema, to) = (&options.schema, FIRST + many - 1);
    format!(
        "INSERT INTO {schema}.counter SELECT {lane}, decode(to_hex(k), 'hex'), '', {gone} FROM generate_series({FIRST}, {to}) k"
    )
}

/// From here on a number has eight hexadecimal digits.
const FIRST: u32 = 1 << 28;
const NEVER: u64 = 1 << 53;

#[test]
fn what_an_idle_service_left_is_in_nobody_else_s_way() {
    run(async {
        let server = PostgresServer::start(&directory("idle"), Syncs::No, "autovacuum = off").unwrap();
        let options = PostgresOptions::parse(&server.url()).unwrap();
        let store = open(options.clone()).await;
        let owner = connected(&options).await;
        store.apply(&creating(100), WITHIN).await.seen().unwrap();
        let (schema, lane) = (
            &options.schema,
            format!("(SELECT id FROM {}.lane)", options.schema),
        );
        for sql in [
            counters(&options, "-1", 20_000, 1),
            counters(&options, &lane, 20_000, NEVER),
            format!("ANALYZE {schema}.counter"),
            "SELECT pg_stat_reset()".to_owned(),
        ] {
            owner.batch_execute(&sql).await.unwrap();
        }
        // More than what is dropped with one of them.
        for number in 0..32 {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        }
        let read = entries_read(store, &owner, "counter").await;
        assert!(read < 1_000, "{read} rows were looked at");
    });
}

/// How many entries of a table and of its indexes were looked at, all told.
async fn entries_read(store: PostgresStore, owner: &Client, table: &str) -> i64 {
    // A connection says what it read when it ends.
    store.close();
    drop(store);
    let others = "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'client backend'";
    until(owner, others).await;
    let read = format!(
        "SELECT (SELECT sum(coalesce(seq_tup_read, 0)) FROM pg_stat_user_tables WHERE relname = '{table}')::bigint
         + (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = '{table}')::bigint"
    );
    value(owner, &read).await
}

/// A table that was empty a minute ago has not been counted by its server: what it thinks of it may be wrong by any factor.
#[test]
fn what_a_lane_holds_is_not_looked_at_by_who_names_some_of_it() {
    run(async {
        let server = PostgresServer::start(&directory("uncounted"), Syncs::No, "autovacuum = off").unwrap();
        let options = PostgresOptions::parse(&server.url()).unwrap();
        let store = open(options.clone()).await;
        let owner = connected(&options).await;
        let creates = async |numbers: std::ops::Range<u64>| {
            let all = numbers.map(|number| {
                let store = store.clone();
                tokio::spawn(async move { store.apply(&creating(number), WITHIN).await })
            });
            for answer in all.collect::<Vec<_>>() {
                let answer = answer.await.unwrap();
                assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
            }
        };
        creates(0..1_000).await;
        owner.batch_execute("SELECT pg_stat_reset()").await.unwrap();
        for nth in 1..5 {
            creates(nth * 1_000..nth * 1_000 + 500).await;
        }
        let read = entries_read(store, &owner, "record").await;
        assert!(read < 4_000, "{read} entries were looked at for 2000 records");
    });
}

#[test]
fn what_is_dropped_with_a_batch_ends_in_time() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        store.apply(&creating(0), WITHIN).await.seen().unwrap();
        let schema = &options.schema;
        let slow = format!(
            "CREATE FUNCTION {schema}.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN OLD; END';
             CREATE TRIGGER slow BEFORE DELETE ON {schema}.counter FOR EACH ROW EXECUTE FUNCTION {schema}.slow()"
        );
        as_owner(&options, &slow).await;
        let lane = format!("(SELECT id FROM {schema}.lane)");
        as_owner(&options, &counters(&options, &lane, 1, 1)).await;
        // One of eight drops what is outlived.
        let mut refused = 0;
        for number in 1..9 {
            match store.apply(&creating(number), WITHIN).await {
                StoreAnswer::Applied(_) => {}
                StoreAnswer::NotApplied(_) => refused += 1,
                other @ (StoreAnswer::Refused(_) | StoreAnswer::Unknown(_)) => panic!("{other:?}"),
            }
        }
        assert_eq!(refused, 1);
    });
}

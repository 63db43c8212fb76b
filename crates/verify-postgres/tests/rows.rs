//! What rows there are, and what writing them costs.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use support::{WITHIN, connected, creating, directory, fresh, open, run, scan, until};
use verify_core::store::{Store, StoreAnswer};
use verify_lab::{PostgresServer, Syncs};
use verify_postgres::PostgresOptions;

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
            let rows = owner
                .query_typed("SELECT wal_sync FROM pg_stat_wal", &[])
                .await
                .unwrap();
            rows[0].get::<_, i64>(0).unsigned_abs()
        };
        let before = flushes(MANY, true).await;
        let written = flushes(0, true).await;
        let refused = flushes(0, false).await;
        assert!(written - before >= MANY, "{before}, {written}");
        assert!(refused - written < MANY / 10, "{written}, {refused}");
    });
}

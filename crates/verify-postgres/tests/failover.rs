//! Another server holds the database: it is seen, told, and cools where that is asked for.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::collections::BTreeSet;

use support::{WITHIN, as_owner, connected, creating, directory, fresh, nothing, open, run};
use verify_core::store::{Origin, Store, StoreAnswer};
use verify_lab::{PostgresServer, Syncs};
use verify_postgres::{OnFailover, PostgresOptions, PostgresStore, inspect};

/// It was last seen elsewhere.
async fn moves(options: &PostgresOptions) {
    let elsewhere = format!("UPDATE {}.meta SET timeline = timeline + 1", options.schema);
    as_owner(options, &elsewhere).await;
}

async fn answered(store: &PostgresStore) -> Origin {
    store.apply(&nothing(), WITHIN).await.seen().unwrap().origin
}

#[test]
fn i62_a_server_that_took_over_is_seen_in_the_first_answer_and_cools_where_asked() {
    run(async {
        for on_failover in [OnFailover::Tell, OnFailover::Cool] {
            let options = fresh().on_failover(on_failover);
            let store = open(options.clone()).await;
            let before = answered(&store).await;
            assert_eq!((before.moved, before.accepted), (None, true));
            moves(&options).await;
            let after = answered(&store).await;
            assert!(after.moved.is_some());
            let cools = on_failover == OnFailover::Cool;
            assert_eq!((after.epoch != before.epoch, !after.accepted), (cools, cools));
            store.accept().await.unwrap();
            let later = answered(&store).await;
            assert_eq!(
                (later.moved, later.epoch, later.accepted),
                (after.moved, after.epoch, true)
            );
            // And where nobody decides anything.
            moves(&options).await;
            let seen = store.health().await.unwrap();
            assert!(seen.moved > later.moved, "{seen:?}");
            assert_eq!((seen.epoch != later.epoch, !seen.accepted), (cools, cools));
        }
    });
}

#[test]
fn i62_however_many_see_it_it_is_one_failover() {
    run(async {
        let options = fresh().on_failover(OnFailover::Cool);
        let mut stores = Vec::new();
        for _ in 0..4 {
            stores.push(open(options.clone()).await);
        }
        moves(&options).await;
        let mut asked = Vec::new();
        // Other services have lanes of their own: nothing but the one row keeps these apart.
        for (store, number) in stores.iter().cycle().cloned().zip(0..16) {
            asked.push(tokio::spawn(async move {
                let mut changeset = nothing();
                changeset.service = support::service(number);
                let origin = store.apply(&changeset, WITHIN).await.seen().unwrap().origin;
                (origin.epoch, origin.moved, origin.accepted)
            }));
        }
        let mut origins = BTreeSet::new();
        for asked in asked {
            origins.insert(asked.await.unwrap());
        }
        assert_eq!(origins.len(), 1, "{origins:?}");
        assert!(
            origins
                .iter()
                .all(|(_, moved, accepted)| moved.is_some() && !accepted)
        );
    });
}

#[test]
fn i62_a_dump_that_another_server_restored_is_seen_by_its_identifier() {
    run(async {
        let options = fresh();
        drop(open(options.clone()).await);
        let elsewhere = format!("UPDATE {}.meta SET system = system - 1", options.schema);
        as_owner(&options, &elsewhere).await;
        let store = open(options).await;
        assert!(store.health().await.unwrap().moved.is_some());
    });
}

#[test]
fn i62_a_role_that_may_not_see_which_server_it_is_goes_on_without() {
    run(async {
        let server = PostgresServer::start(&directory("untold"), Syncs::No, "").unwrap();
        let mut options = PostgresOptions::parse(&server.url()).unwrap();
        as_owner(
            &options,
            "CREATE ROLE lesser LOGIN; GRANT CREATE ON DATABASE postgres TO lesser;
             REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
        )
        .await;
        options.config.user("lesser");
        let store = open(options).await;
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        assert_eq!(store.health().await.unwrap().moved, None);
    });
}

/// What schema 1 held is there afterwards, and was not moved; a program that knows no more than schema 1 may go on.
#[test]
fn i148_tables_of_schema_1_are_brought_to_this_one() {
    run(async {
        let options = fresh();
        let owner = connected(&options).await;
        let (schema, tables) = (&options.schema, include_str!("../src/schema_1.sql"));
        let made = format!(
            "CREATE SCHEMA {schema}; SET search_path = {schema}; {tables}; UPDATE meta SET version = 1, needs = 1,
             epoch = decode(repeat('07', 16), 'hex'), made = 5, accepted = true;
             INSERT INTO lane (service, version, seq) VALUES ('default', 41, 0)"
        );
        owner.batch_execute(&made).await.unwrap();
        let looked_at = inspect(&options).await.unwrap();
        assert_eq!((looked_at.schema, looked_at.needs), (1, 1));
        let store = open(options.clone()).await;
        let origin = answered(&store).await;
        assert_eq!(
            (origin.epoch.0, origin.accepted, origin.moved),
            ([7; 16], true, None)
        );
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
        let read = store.apply(&support::reading(1), WITHIN).await.seen().unwrap();
        assert_eq!(read.record(&support::record(1)).unwrap().version, 42);
        let looked_at = inspect(&options).await.unwrap();
        assert_eq!((looked_at.schema, looked_at.needs), (2, 1));
    });
}

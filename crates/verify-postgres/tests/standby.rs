//! A server whose commits wait for a copy: what the copy may not have is not said to be there.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use support::{WITHIN, connected, creating, directory, open, recovered, run, until};
use tokio_postgres::Client;
use verify_core::store::{Changeset, Store, StoreAnswer};
use verify_lab::{PostgresServer, Syncs};
use verify_postgres::{PostgresOptions, PostgresStore};

/// A server whose copy is not there, and a store whose commits wait for it; each service has a lane already.
async fn without_its_copy(name: &str, services: u32) -> (PostgresServer, PostgresOptions, PostgresStore) {
    let lacking = "synchronous_standby_names = 'one_that_is_not_there'\nsynchronous_commit = local";
    let server = PostgresServer::start(&directory(name), Syncs::No, lacking).unwrap();
    let options = PostgresOptions::parse(&server.url()).unwrap();
    let store = open(options.clone()).await;
    for number in 0..services {
        let made = store.apply(&of_its_own(100, number), WITHIN).await;
        assert!(matches!(made, StoreAnswer::Applied(_)), "{made:?}");
    }
    let mut waiting = options.clone();
    waiting.config.options("-c synchronous_commit=on");
    (server, options, open(waiting).await)
}

/// A record in a service of that number.
fn of_its_own(number: u64, service: u32) -> Changeset {
    let mut changeset = creating(number);
    changeset.service = support::service(service);
    for event in &mut changeset.events {
        event.service = changeset.service.clone();
    }
    changeset
}

const WAITING: &str = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";

/// From now on nobody waits for a copy.
async fn alone(owner: &Client) {
    for sql in [
        "ALTER SYSTEM SET synchronous_standby_names = ''",
        "SELECT pg_reload_conf()",
    ] {
        owner.batch_execute(sql).await.unwrap();
    }
}

#[test]
fn i149_a_commit_that_the_copy_may_not_have_is_in_doubt_however_its_wait_ends() {
    run(async {
        let ends = [None, Some("pg_cancel_backend"), Some("pg_terminate_backend")];
        let (_server, options, store) = without_its_copy("server", 3).await;
        let owner = connected(&options).await;
        for (end, service) in ends.into_iter().zip(0..) {
            let changeset = of_its_own(1, service);
            let broken_off = async {
                // What was in doubt before waits too.
                let newest = "ORDER BY query_start DESC LIMIT 1";
                until(&owner, &format!("SELECT count(*) > {service} {WAITING}")).await;
                if let Some(end) = end {
                    let end = format!("SELECT {end}(pid) FROM (SELECT pid {WAITING} {newest}) it");
                    owner.batch_execute(&end).await.unwrap();
                }
            };
            let (answer, ()) = tokio::join!(store.apply(&changeset, WITHIN), broken_off);
            assert!(matches!(answer, StoreAnswer::Unknown(_)), "{end:?}: {answer:?}");
        }
        alone(&owner).await;
        until(&owner, &format!("SELECT count(*) = 0 {WAITING}")).await;
        recovered(&store).await;
    });
}

/// A wait that was broken off while the copy is there: asked about, it is on the copy after all.
#[test]
fn i149_what_is_asked_about_is_there_once_the_copy_has_it() {
    run(async {
        let (_server, options, store) = without_its_copy("asked", 1).await;
        let owner = connected(&options).await;
        let changeset = of_its_own(1, 0);
        let broken_off = async {
            until(&owner, &format!("SELECT count(*) = 1 {WAITING}")).await;
            let cancel = format!("SELECT pg_cancel_backend(pid) {WAITING}");
            owner.batch_execute(&cancel).await.unwrap();
            alone(&owner).await;
        };
        let (answer, ()) = tokio::join!(store.apply(&changeset, WITHIN), broken_off);
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    });
}

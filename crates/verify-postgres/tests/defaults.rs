//! What the server, a role or a pool has as its defaults decides nothing, and no connection is given back in the middle of
//! something.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::sync::LazyLock;
use std::time::Duration;

use deadpool_postgres::{Manager, Pool};
use support::{WITHIN, as_owner, connected, creating, fresh, nothing, open, run, until};
use tokio_postgres::NoTls;
use verify_core::store::{EventSeq, Store, StoreAnswer};
use verify_core::vocabulary::ServiceId;
use verify_postgres::{OpenError, PostgresOptions, PostgresStore};
use verify_testkit::{InTurns, store_answers_as_the_model};

/// A role for whom every transaction is stricter than asked for, may not write, and has no time, unless it says otherwise.
fn strict() -> PostgresOptions {
    static MADE: LazyLock<()> = LazyLock::new(|| {
        let made = std::thread::spawn(|| {
            run(as_owner(
                &fresh(),
                "CREATE ROLE strict LOGIN SUPERUSER; ALTER ROLE strict SET default_transaction_isolation = 'serializable';
                 ALTER ROLE strict SET default_transaction_read_only = on; ALTER ROLE strict SET default_transaction_deferrable = on",
            ));
        });
        made.join().unwrap();
    });
    LazyLock::force(&MADE);
    let mut options = fresh();
    options.config.user("strict");
    options
}

store_answers_as_the_model!(a_strict_role_answers_as_the_model, 6, || async {
    let options = strict();
    let first = open(options.clone()).await;
    InTurns::of(first, [open(options).await])
});

/// Under a stricter level whoever waited for a row that was changed meanwhile fails.
#[test]
fn i149_what_waited_for_somebody_who_wrote_goes_on_under_a_stricter_default() {
    run(async {
        let options = strict();
        let store = open(options.clone()).await;
        assert!(matches!(
            store.apply(&creating(1), WITHIN).await,
            StoreAnswer::Applied(_)
        ));
        // In a transaction who waits is looked at once.
        let (owner, watch) = (connected(&options).await, connected(&options).await);
        let schema = &options.schema;
        let hold = format!("BEGIN READ WRITE; UPDATE {schema}.lane SET held = held");
        owner.batch_execute(&hold).await.unwrap();
        let service = ServiceId::default();
        let acknowledged = store.acknowledge(&service, EventSeq(1));
        let deciding = nothing();
        let decided = store.apply(&deciding, WITHIN);
        let freed = async {
            let waiting = format!(
                "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%{schema}.lane%'"
            );
            until(&watch, &waiting).await;
            owner.batch_execute("COMMIT").await.unwrap();
        };
        let (acknowledged, decided, ()) = tokio::join!(acknowledged, decided, freed);
        assert_eq!(acknowledged, Ok(()));
        assert!(decided.seen().is_ok());
        assert!(store.outbox(&service, 10).await.unwrap().is_empty());
    });
}

/// A pool of one connection, as somebody hands it in.
fn pool_of_one(options: &PostgresOptions) -> Pool {
    let manager = Manager::new(options.config.clone(), NoTls);
    Pool::builder(manager).max_size(1).build().unwrap()
}

#[test]
fn i149_what_fails_or_is_dropped_while_it_migrates_gives_no_connection_back() {
    run(async {
        let mut options = fresh();
        as_owner(&options, "CREATE ROLE nobody_in_particular LOGIN").await;
        options.config.user("nobody_in_particular");
        let pool = pool_of_one(&options);
        let refused = PostgresStore::with_pool(pool.clone(), options.clone()).await;
        assert!(matches!(refused, Err(OpenError::Migrate(_))), "{refused:?}");
        pool.get().await.unwrap().batch_execute("SELECT 1").await.unwrap();

        let options = fresh();
        let (owner, pool) = (connected(&options).await, pool_of_one(&options));
        let schema = &options.schema;
        let hold = format!("SELECT pg_advisory_lock(hashtext('verify {schema}'))");
        owner.batch_execute(&hold).await.unwrap();
        let opening = tokio::spawn(PostgresStore::with_pool(pool.clone(), options.clone()));
        until(
            &owner,
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'advisory'",
        )
        .await;
        opening.abort();
        assert!(opening.await.is_err());
        let client = pool.get().await.unwrap();
        let answered = tokio::time::timeout(Duration::from_secs(10), client.batch_execute("SELECT 1"));
        assert!(answered.await.is_ok(), "it waits with what was dropped");
    });
}

/// Whatever a server warns of besides.
#[test]
fn i149_another_warning_puts_nothing_in_doubt() {
    run(async {
        let options = fresh();
        let store = open(options.clone()).await;
        let schema = &options.schema;
        let warns = format!(
            "CREATE FUNCTION {schema}.warns() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE WARNING $$so it is$$; RETURN NEW; END';
             CREATE TRIGGER warns BEFORE INSERT OR UPDATE ON {schema}.batch FOR EACH ROW EXECUTE FUNCTION {schema}.warns()"
        );
        as_owner(&options, &warns).await;
        let answer = store.apply(&creating(1), WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    });
}

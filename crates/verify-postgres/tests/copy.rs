//! Moved whole, and looked at.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use support::{creating, fresh, open, reading, record, run, scan};
use verify_batch::copy::{CopyError, compare, copy};
use verify_core::store::{Store, StoreAnswer};
use verify_postgres::{OpenError, PostgresOptions, PostgresTables, inspect, migrate};

async fn filled() -> PostgresOptions {
    let options = fresh();
    let store = open(options.clone()).await;
    for number in 0..2_500 {
        let answer = store.apply(&creating(number), support::WITHIN).await;
        assert!(matches!(answer, StoreAnswer::Applied(_)), "{answer:?}");
    }
    store.close();
    options
}

#[test]
fn i62_a_copy_goes_on_where_the_other_ended() {
    run(async {
        let (from, to) = (filled().await, fresh());
        {
            let source = PostgresTables::alone(&from).await.unwrap();
            // Killed half-way: nothing of it is there, and it is begun again.
            let half = PostgresTables::alone(&to).await.unwrap();
            verify_batch::copy::Target::put_lane(&half, &Default::default(), Default::default())
                .await
                .unwrap();
            drop(half);
            let target = PostgresTables::alone(&to).await.unwrap();
            copy(&source, &target).await.unwrap();
        }
        let source = PostgresTables::alone(&from).await.unwrap();
        let target = PostgresTables::alone(&to).await.unwrap();
        let held = compare(&source, &target).await.unwrap();
        assert_eq!((held.services, held.rows), (1, [0, 2_500, 0, 2_500]));
        assert_eq!(copy(&source, &target).await, Err(CopyError::NotEmpty));
        drop((source, target));
        scan(&to).await;
        let store = open(to).await;
        let seen = store.apply(&reading(7), support::WITHIN).await.seen().unwrap();
        assert!(seen.record(&record(7)).is_some() && seen.origin.accepted);
    });
}

#[test]
fn tables_that_somebody_is_at_are_not_copied() {
    run(async {
        let options = filled().await;
        let _held = PostgresTables::alone(&options).await.unwrap();
        assert!(matches!(
            PostgresTables::alone(&options).await,
            Err(OpenError::InUse)
        ));
    });
}

#[test]
fn a_database_is_looked_at_and_not_changed() {
    run(async {
        let options = fresh();
        let found = inspect(&options).await.unwrap();
        assert_eq!((found.schema, found.known, found.origin), (0, 2, None));
        // The server of these tests does not wait for the disk, and that is said.
        assert!(found.weak.iter().any(|(name, _)| name == "fsync"), "{found:?}");
        assert_eq!(migrate(&options).await.unwrap(), 0);
        assert_eq!(migrate(&options).await.unwrap(), 2);
        assert_eq!(inspect(&options).await.unwrap().schema, 2);
        drop(open(options.clone()).await);
        assert!(inspect(&options).await.unwrap().origin.unwrap().accepted);
    });
}

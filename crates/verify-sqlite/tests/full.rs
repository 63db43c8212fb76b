//! A disk that is full: what is new is refused, strangers first; reads and refusals go on, and room mends it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use support::{WITHIN, charging, creating, fresh, open, run};
use verify_core::store::{Changeset, Room, Store, StoreAnswer, StoreFault};
use verify_lab::SmallDisk;
use verify_sqlite::{SqliteOptions, SqliteStore};

fn known(changeset: Changeset) -> Changeset {
    Changeset {
        room: Room::Known,
        ..changeset
    }
}

async fn is_applied(store: &SqliteStore, changeset: Changeset) -> bool {
    match store.apply(&changeset, WITHIN).await {
        StoreAnswer::Applied(_) => true,
        StoreAnswer::NotApplied(StoreFault::Full(_)) => false,
        other @ (StoreAnswer::Refused(_) | StoreAnswer::NotApplied(_) | StoreAnswer::Unknown(_)) => {
            panic!("{other:?}")
        }
    }
}

#[test]
fn i57_on_a_disk_that_fills_strangers_are_refused_first_and_nothing_is_lost() {
    let disk = match SmallDisk::mounted(&fresh().with_extension("disk"), 64) {
        Ok(disk) => disk,
        // The test command says so by name.
        Err(error) => return println!("skipped: no file system can be mounted here: {error}"),
    };
    run(async {
        let path = disk.path().join("verify.db");
        {
            let store = open(SqliteOptions::at(&path));
            assert!(is_applied(&store, creating(1)).await);
            assert!(is_applied(&store, charging(1)).await);
        }
        // Between nine tenths and all of it.
        disk.leave(3 << 20).unwrap();
        let store = open(SqliteOptions::at(&path));
        assert!(!is_applied(&store, creating(2)).await, "a stranger's is refused");
        assert!(
            is_applied(&store, known(creating(3))).await,
            "a known caller's is not"
        );
        assert!(
            is_applied(&store, charging(1)).await,
            "what is there can be changed"
        );
        disk.fill().unwrap();
        let mut look = support::nothing();
        look.reads.push(support::record(3));
        let seen = store.apply(&look, WITHIN).await.seen().unwrap();
        assert!(
            seen.record(&support::record(3)).is_some(),
            "what is there can be read"
        );
        assert!(!is_applied(&store, known(creating(4))).await);
        drop(store);
        disk.make_room().unwrap();
        let store = open(SqliteOptions::at(&path));
        for number in [2, 4] {
            assert!(is_applied(&store, creating(number)).await);
        }
        drop(store);
        support::scan(&path);
    });
}

/// SQLite itself finds that there is no room, in the middle of a transaction.
#[test]
fn i149_a_transaction_for_which_there_is_no_room_was_not_applied() {
    let disk = match SmallDisk::mounted(&fresh().with_extension("disk"), 64) {
        Ok(disk) => disk,
        Err(error) => return println!("skipped: no file system can be mounted here: {error}"),
    };
    run(async {
        let path = disk.path().join("verify.db");
        let store = open(SqliteOptions::at(&path));
        // The disk was looked at just now: for a second nobody knows that it is full.
        assert!(is_applied(&store, creating(0)).await);
        disk.fill().unwrap();
        let mut refused = Vec::new();
        for number in 1..2_000 {
            if !is_applied(&store, creating(number)).await {
                refused.push(number);
            }
        }
        assert!(!refused.is_empty());
        disk.make_room().unwrap();
        drop(store);
        let store = open(SqliteOptions::at(&path));
        for number in refused {
            assert!(
                is_applied(&store, creating(number)).await,
                "{number} was not there"
            );
        }
        drop(store);
        support::scan(&path);
    });
}

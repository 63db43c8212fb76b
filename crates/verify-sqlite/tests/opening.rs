//! Which files are opened, as what, and what is said of the others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use rusqlite::Connection;
use support::{fresh, nothing, open};
use verify_core::store::{Epoch, Store};
use verify_sqlite::{OpenError, SqliteOptions, SqliteStore};

fn why_not(options: SqliteOptions) -> OpenError {
    SqliteStore::open(options).map(drop).unwrap_err()
}

#[test]
fn the_file_and_its_log_are_readable_for_their_owner_alone() {
    let path = fresh();
    let _open = open(SqliteOptions::at(&path));
    for ending in ["", "-wal", "-shm"] {
        let file = format!("{}{ending}", path.display());
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
}

#[test]
fn a_directory_that_is_missing_is_named() {
    let path = fresh().join("nowhere").join("verify.db");
    let why = why_not(SqliteOptions::at(&path)).to_string();
    assert!(
        why.contains("nowhere") && why.contains("the directory must exist"),
        "{why}"
    );
}

#[test]
fn a_file_that_is_no_database_or_somebody_else_s_is_left_as_it_is() {
    let text = fresh();
    fs::write(
        &text,
        "these are notes of mine, and a good many of them\n".repeat(100),
    )
    .unwrap();
    let before = fs::read(&text).unwrap();
    assert!(matches!(
        why_not(SqliteOptions::at(&text)),
        OpenError::NotADatabase { .. }
    ));
    assert_eq!(fs::read(&text).unwrap(), before);

    let other = fresh();
    Connection::open(&other)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (a)")
        .unwrap();
    assert!(matches!(
        why_not(SqliteOptions::at(&other)),
        OpenError::NotOurs { .. }
    ));
    let tables = "SELECT group_concat(name) FROM sqlite_schema";
    let left: String = Connection::open(&other)
        .unwrap()
        .query_row(tables, (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, "theirs");
}

/// A later program may add what this one can live with; it says so in the file.
#[test]
fn i148_a_newer_schema_is_refused_where_it_must_be_and_used_where_it_may_be() {
    let path = fresh();
    drop(open(SqliteOptions::at(&path)));
    let later = |version: u32, needs: u32| {
        let file = Connection::open(&path).unwrap();
        file.pragma_update(None, "user_version", version).unwrap();
        file.execute("UPDATE meta SET needs = ?1", [needs]).unwrap();
    };
    later(9, 1);
    drop(open(SqliteOptions::at(&path)));
    later(9, 2);
    let why = why_not(SqliteOptions::at(&path));
    assert!(
        matches!(
            why,
            OpenError::Newer {
                found: 9,
                needed: 2,
                ..
            }
        ),
        "{why}"
    );
}

#[test]
fn i148_of_many_that_begin_at_once_one_makes_the_file() {
    for _ in 0..5 {
        let path = fresh();
        let opened: Vec<_> = (0..8)
            .map(|_| {
                let path = path.clone();
                thread::spawn(move || open(SqliteOptions::at(path)))
            })
            .collect();
        let stores: Vec<_> = opened.into_iter().map(|opened| opened.join().unwrap()).collect();
        support::run(async {
            let mut epochs = Vec::new();
            for store in &stores {
                epochs.push(store.health().await.unwrap().epoch);
            }
            epochs.dedup();
            assert_eq!(epochs.len(), 1, "{epochs:?}");
        });
    }
}

#[test]
fn i62_an_empty_file_in_the_place_of_one_that_is_remembered_is_not_a_first_start() {
    support::run(async {
        let remembered = Some(Epoch([7; 16]));
        let store = open(SqliteOptions::at(fresh()).remembered(remembered));
        let origin = store.health().await.unwrap();
        assert!(!origin.accepted && Some(origin.epoch) != remembered);
        let seen = store.apply(&nothing(), support::WITHIN).await.seen().unwrap();
        assert!(!seen.origin.accepted, "every answer says so");
        store.accept().await.unwrap();
        assert_eq!(store.health().await.unwrap().epoch, origin.epoch);
        assert!(store.health().await.unwrap().accepted);
        let begun = store.begin_epoch().await.unwrap();
        assert!(!begun.accepted && begun.epoch != origin.epoch);
    });
}

#[test]
fn i62_what_was_emptied_under_a_running_store_was_not_expected() {
    support::run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        let before = store.health().await.unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch("DELETE FROM counter; DELETE FROM record; DELETE FROM claim; DELETE FROM lane; UPDATE meta SET epoch = NULL")
            .unwrap();
        let origin = store
            .apply(&nothing(), support::WITHIN)
            .await
            .seen()
            .unwrap()
            .origin;
        assert!(!origin.accepted && origin.epoch != before.epoch);
        // What starts meanwhile goes by the row, though it remembers nothing.
        let other = open(SqliteOptions::at(&path));
        let told = other.health().await.unwrap();
        assert_eq!((told.epoch, told.accepted), (origin.epoch, false));
    });
}

/// What is written into a file that was moved away is lost with it.
#[test]
fn i62_a_file_that_was_moved_away_decides_nothing_and_what_is_put_in_its_place_was_not_expected() {
    support::run(async {
        let path = fresh();
        let store = open(SqliteOptions::at(&path));
        let first = store.health().await.unwrap();
        fs::rename(&path, path.with_extension("moved")).unwrap();
        assert!(store.health().await.is_err());
        let answer = store.apply(&nothing(), support::WITHIN).await;
        assert!(answer.seen().is_err(), "nothing is decided on it");
        // The same bytes: nobody can tell by them that they are of before.
        fs::copy(path.with_extension("moved"), &path).unwrap();
        let seen = store.apply(&nothing(), support::WITHIN).await.seen().unwrap();
        assert!(!seen.origin.accepted && seen.origin.epoch != first.epoch);
        assert_eq!(store.health().await.unwrap().epoch, seen.origin.epoch);
    });
}

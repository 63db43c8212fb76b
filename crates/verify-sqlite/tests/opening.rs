//! Which files are opened, as what, and what is said of the others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests are outside of test functions"
)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;

use rusqlite::Connection;
use support::{WITHIN, creating, fresh, nothing, open, record};
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

/// How many of the records up to this one are there.
async fn there(store: &SqliteStore, through: u64) -> u64 {
    let mut look = nothing();
    look.reads.extend((1..=through).map(record));
    let seen = store.apply(&look, WITHIN).await.seen().unwrap();
    (1..=through)
        .map(|number| u64::from(seen.record(&record(number)).is_some()))
        .sum()
}

fn ending(path: &Path, ending: &str) -> std::path::PathBuf {
    format!("{}{ending}", path.display()).into()
}

/// SQLite finds a log by the name of its file: that of the one before must not be read into the copy.
#[test]
fn i62_a_copy_that_is_moved_over_a_running_store_is_not_mixed_with_the_log_of_the_one_before() {
    support::run(async {
        let path = fresh();
        // The second is as another process in an overlapping restart: it notices later.
        let (store, second) = (open(SqliteOptions::at(&path)), open(SqliteOptions::at(&path)));
        for number in 1..=10 {
            store.apply(&creating(number), WITHIN).await.seen().unwrap();
        }
        let copy = path.with_extension("copy");
        let copied = format!("VACUUM INTO '{}'", copy.display());
        Connection::open(&path).unwrap().execute_batch(&copied).unwrap();
        for number in 11..=300 {
            store.apply(&creating(number), WITHIN).await.seen().unwrap();
        }
        assert_eq!(there(&store, 300).await, 300);
        fs::rename(&copy, &path).unwrap();
        assert_eq!(there(&store, 300).await, 10, "what the copy has, and no more");
        assert!(!store.health().await.unwrap().accepted);
        for number in 501..=510 {
            let answer = store.apply(&creating(number), WITHIN).await;
            assert!(answer.seen().is_ok());
        }
        // What was begun since is not taken for the log of the one before.
        assert_eq!(there(&second, 300).await, 10);
        assert_eq!(there(&second, 510).await, 20);
        assert!(ending(&path, "-wal-of-before").exists(), "nothing was destroyed");
        drop((store, second));
        support::scan(&path);
        assert_eq!(there(&open(SqliteOptions::at(&path)), 510).await, 20);
    });
}

#[test]
fn a_log_that_comes_along_with_the_file_belongs_to_it() {
    support::run(async {
        let (path, other) = (fresh(), fresh());
        let store = open(SqliteOptions::at(&path));
        store.apply(&creating(1), WITHIN).await.seen().unwrap();
        let elsewhere = open(SqliteOptions::at(&other));
        for number in 2..=9 {
            elsewhere.apply(&creating(number), WITHIN).await.seen().unwrap();
        }
        // As a process leaves them that was killed.
        for part in ["-wal", ""] {
            let left = ending(&other, &format!("{part}-left"));
            fs::copy(ending(&other, part), &left).unwrap();
            fs::rename(left, ending(&path, part)).unwrap();
        }
        assert_eq!(there(&store, 9).await, 8);
        drop(store);
        support::scan(&path);
    });
}

/// A process that opens a file a second time must not give up the locks that it has on it: `sqlite3` of a distribution would take
/// itself for the last to close it, and remove the log that is in use.
#[test]
fn i62_a_file_stays_locked_however_often_a_process_opens_it() {
    let path = fresh();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let is_locked = || {
        // Where SQLite has its lock of whoever reads.
        let place = format!(":{} 1073741826 ", inode(&path));
        fs::read_to_string("/proc/locks").unwrap().contains(&place)
    };
    let _first = open(SqliteOptions::at(&path));
    assert!(is_locked());
    let second = open(SqliteOptions::at(&path));
    assert!(is_locked());
    support::run(async { second.close().await });
    assert!(is_locked());
}

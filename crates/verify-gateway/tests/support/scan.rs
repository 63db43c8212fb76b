//! What gateways left in their stores: nothing that should have an end without one, nothing of nobody, and nothing in the clear.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "helpers of tests, in a crate of each test file"
)]

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use verify_lab::{PostgresServer, faults_in_postgres, faults_in_sqlite, in_the_clear};

/// In the clear in every store, so that the search is seen to find what is there.
const SERVICE: &str = "default";

/// I-11: nothing is wrong in the file.
pub fn file(path: &Path) {
    let file = Connection::open(path).unwrap();
    let faults = file.query_row(&faults_in_sqlite(), (), |row| row.get(0));
    assert_eq!(faults, Ok(None::<String>));
}

/// I-20: none of these is in the file or in its log, if it has one.
pub fn file_has_none_of(path: &Path, planted: &[&str]) {
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let mut bytes = fs::read(path).unwrap();
    bytes.extend(fs::read(log).unwrap_or_default());
    has_none_of(&bytes, planted);
}

/// I-11: nothing is wrong in the database.
pub fn database(server: &PostgresServer) {
    assert_eq!(server.ask(&faults_in_postgres("verify")).unwrap(), "");
}

/// I-20: none of these is in a dump of the database, as text or as bytes.
pub fn database_has_none_of(server: &PostgresServer, planted: &[&str]) {
    has_none_of(&server.dump().unwrap(), planted);
}

fn has_none_of(bytes: &[u8], planted: &[&str]) {
    let planted = [planted, &[SERVICE]].concat();
    assert_eq!(in_the_clear(bytes, &planted), [SERVICE]);
}

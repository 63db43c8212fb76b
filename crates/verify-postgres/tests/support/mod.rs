//! A server for a test program, and a place of its own in it for each test.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "helpers of tests are outside of test functions, and not every binary needs each"
)]

use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use verify_lab::{PostgresServer, Syncs};
use verify_postgres::{PostgresOptions, PostgresStore};

/// Where a test binary has its servers.
pub fn directory(name: &str) -> PathBuf {
    let binary = std::env::current_exe().unwrap();
    let binary = binary.file_stem().unwrap().to_owned();
    // What another user has to reach must not lie below a home that it may not enter.
    std::env::temp_dir().join("verify-tests").join(binary).join(name)
}

static SERVER: LazyLock<PostgresServer> = LazyLock::new(|| {
    PostgresServer::start(&directory("server"), Syncs::No, "").unwrap_or_else(|error| panic!("{error}"))
});

/// A place where nothing is yet.
pub fn fresh() -> PostgresOptions {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
    let options = PostgresOptions::parse(&SERVER.url()).unwrap();
    options.schema(&format!("test_{number}")).connections(4)
}

/// The store there.
pub async fn open(options: PostgresOptions) -> PostgresStore {
    let opened = PostgresStore::open(options).await;
    opened.unwrap_or_else(|error| panic!("{error}"))
}

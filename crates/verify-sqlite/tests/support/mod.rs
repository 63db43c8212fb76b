//! Files to open.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use verify_sqlite::{SqliteOptions, SqliteStore};

/// Where a test binary has its files. What the last run left is removed first.
static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let binary = std::env::current_exe().unwrap();
    let name = binary.file_stem().unwrap().to_owned();
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::remove_dir_all(&directory).ok();
    fs::create_dir_all(&directory).unwrap();
    directory
});

/// A path where there is no file yet.
pub(crate) fn fresh() -> PathBuf {
    static NUMBERS: AtomicU32 = AtomicU32::new(0);
    DIRECTORY.join(format!("{}.db", NUMBERS.fetch_add(1, Ordering::Relaxed)))
}

/// The store in a file.
pub(crate) fn open(options: SqliteOptions) -> SqliteStore {
    SqliteStore::open(options).unwrap_or_else(|error| panic!("{error}"))
}

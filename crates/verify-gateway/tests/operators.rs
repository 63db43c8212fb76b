//! What whoever sets up a store is told: by a check, at a start, and by the tools.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::{Serving, body, send};
use rusqlite::Connection;

/// A directory of a test, where there is nothing yet. What another user has to reach must not lie below a home that it may not enter.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir()
        .join("verify-tests")
        .join(format!("operators-{name}"));
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

/// A gateway in demo mode on a file of this directory, and what it said until it served.
fn demo_in(home: &Path, vars: &[(&str, &str)]) -> (Serving, String) {
    let mut child = program::program();
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--store",
        "sqlite:verify.db",
        "--state-dir",
    ];
    child.args(args).arg(home).envs(vars.iter().copied());
    child.stderr(std::process::Stdio::piped());
    let mut serving = Serving::of(child.spawn().unwrap(), "Open http://");
    let said = std::mem::take(&mut serving.said);
    (serving, said)
}

#[test]
fn a_file_that_was_replaced_is_told_once() {
    let home = directory("replaced");
    let keys = program::keys();
    let (mut serving, _) = demo_in(&home, &[("VERIFY_KEYS", &keys)]);
    assert_eq!(send(&serving, "+12025550123").0, 201);
    let (file, copy) = (home.join("verify.db"), home.join("copy.db"));
    let copied = format!("VACUUM INTO '{}'", copy.display());
    Connection::open(&file).unwrap().execute_batch(&copied).unwrap();
    fs::rename(&copy, &file).unwrap();
    let told = "another file stands in the place of the store";
    serving.line_with(told);
    // Whoever reads and whoever writes have both met it.
    while body(&serving.get("/readyz"))["store_room_used"].is_null()
        || send(&serving, "+12025550124").0 != 503
    {
        std::thread::yield_now();
    }
    serving.signal("-TERM");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut serving.lines, &mut rest).unwrap();
    assert!(!rest.contains(told), "{rest}");
}

//! What whoever sets up a store is told: by a check, at a start, and by the tools.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use program::{Serving, body, check, code, out, run, send, stop};
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
fn who_else_may_open_the_file_is_told_at_the_start_and_by_a_check() {
    let home = directory("modes");
    let keys = program::keys();
    let vars = [("VERIFY_KEYS", keys.as_str())];
    let allow = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let checked = || run(&["store", "check", "--state-dir", home.to_str().unwrap()], &[]);
    let file = home.join("verify.db");
    let (may_open, may_replace) = ("others may open it (0644); chmod 600 it", "(0777); chmod 700 it");
    allow(&home, 0o700);
    for (directory, of_file, opens, replaces) in [
        (0o755, 0o600, false, false),
        (0o1777, 0o600, false, false),
        (0o777, 0o600, false, true),
        (0o700, 0o644, true, false),
    ] {
        let (serving, said) = demo_in(&home, &vars);
        stop(serving);
        allow(&home, directory);
        allow(&file, of_file);
        let (serving, said_then) = demo_in(&home, &vars);
        stop(serving);
        let told = checked();
        assert!(!said.contains("chmod"), "{said}");
        for told in [said_then, out(&told)] {
            assert_eq!(
                (told.contains(may_open), told.contains(may_replace)),
                (opens, replaces),
                "{told}"
            );
        }
        assert_eq!(
            told.status.code(),
            Some(i32::from(opens || replaces)),
            "{}",
            out(&told)
        );
        allow(&home, 0o700);
        allow(&file, 0o600);
    }
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

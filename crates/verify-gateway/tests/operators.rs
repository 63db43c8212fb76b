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
use std::process::Output;

use program::{Serving, body, check, code, err, out, run, send, stop};
use rusqlite::Connection;
use verify_lab::{PostgresServer, Syncs};

/// A directory of a test, where there is nothing yet. What another user has to reach must not lie below a home that it may not enter.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir()
        .join("verify-tests")
        .join(format!("operators-{name}"));
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

/// A start of a gateway that is no demo, which must not come to anything.
fn refused(more: &[(&str, &str)]) -> String {
    let live = program::live_vars("http://127.0.0.1:9");
    let vars: Vec<_> = live.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let start = run(&["--listen", "127.0.0.1:0"], &[vars.as_slice(), more].concat());
    assert_eq!(start.status.code(), Some(2), "{}", err(&start));
    err(&start)
}

#[test]
fn a_check_says_which_rights_a_role_lacks_and_that_a_standby_cannot_be_written() {
    let home = directory("rights");
    let replica = "wal_level = replica\nmax_wal_senders = 4";
    let server = PostgresServer::start(&home.join("server"), Syncs::Yes, replica).unwrap();
    let state = home.join("state");
    let tool = |tool: &str, url: &str| {
        let vars = [
            ("VERIFY_STORE", url),
            ("STATE_DIRECTORY", state.to_str().unwrap()),
        ];
        run(&["store", tool], &vars)
    };
    assert_eq!(tool("migrate", &server.url()).status.code(), Some(0));
    let whole = tool("check", &server.url());
    assert_eq!(whole.status.code(), Some(0), "{}{}", out(&whole), err(&whole));
    let reader = "CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA verify TO reader; GRANT SELECT ON ALL TABLES IN SCHEMA verify TO reader";
    server.ask(reader).unwrap();
    let reader = server.url().replace("postgres@", "reader@");
    let lesser = tool("check", &reader);
    assert_eq!(lesser.status.code(), Some(1), "{}", err(&lesser));
    let rights = "INSERT, UPDATE, DELETE on verify.record;";
    assert!(
        out(&lesser).contains("WRONG rights: this role lacks ") && out(&lesser).contains(rights),
        "{}",
        out(&lesser)
    );
    let mut copy = PostgresServer::copy_of(&server, &home.join("copy")).unwrap();
    copy.begin(&[]).unwrap();
    let follows = tool("check", &copy.url());
    assert_eq!(follows.status.code(), Some(1), "{}", err(&follows));
    assert!(
        out(&follows).contains("WRONG server: the server is a copy that follows"),
        "{}",
        out(&follows)
    );
    for (url, said) in [
        (reader, rights),
        (copy.url(), "(a standby), where nothing can be written"),
    ] {
        let told = refused(&[
            ("VERIFY_STORE", &url),
            ("STATE_DIRECTORY", state.to_str().unwrap()),
        ]);
        assert!(
            told.contains(said) && !told.contains("pg_control_system"),
            "{told}"
        );
    }
}

#[test]
fn i20_what_is_wrong_with_a_password_is_said_by_the_name_of_its_variable() {
    let home = directory("password");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    server.ask("CREATE ROLE app LOGIN PASSWORD 'hunter2'").unwrap();
    server.wants_password_of("app").unwrap();
    let url = server.url().replace("postgres@", "app@");
    let both = url.replace("app@", "app:hunter2@");
    let cut = url.replace("app@", "app:x@hunter2@");
    let empty = home.join("empty");
    fs::write(&empty, "").unwrap();
    let none = refused(&[("VERIFY_STORE", &url)]);
    assert!(
        none.contains("VERIFY_STORE_PASSWORD_FILE: the database asks for a password"),
        "{none}"
    );
    for (url, file, said) in [
        (
            &url,
            "/nowhere/at/all",
            "VERIFY_STORE_PASSWORD_FILE: cannot read /nowhere/at/all: ",
        ),
        (&url, "/", "VERIFY_STORE_PASSWORD_FILE: cannot read /: "),
        (&url, empty.to_str().unwrap(), "/empty is empty"),
        (
            &both,
            "/etc/hostname",
            "VERIFY_STORE_PASSWORD_FILE: found a password in the URL",
        ),
        (&cut, "", "VERIFY_STORE: not a Postgres URL"),
    ] {
        let vars = [
            ("VERIFY_STORE", url.as_str()),
            ("VERIFY_STORE_PASSWORD_FILE", file),
        ];
        let checked = run(&["--check-config"], &vars);
        for told in [err(&checked), refused(&vars)] {
            assert!(told.contains(said) && !told.contains("hunter2"), "{told}");
        }
        assert_eq!(checked.status.code(), Some(2));
    }
    // What is set for another store keeps nobody from starting.
    let file = format!("sqlite:{}", home.join("of.db").display());
    let vars = [
        ("VERIFY_STORE", file.as_str()),
        ("VERIFY_STORE_PASSWORD_FILE", "/nowhere/at/all"),
    ];
    let checked = run(&["--check-config"], &vars);
    assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
    // Each host with its own port.
    let hosts = url.replace("/postgres", ",127.0.0.2:7/postgres");
    let printed = run(&["--check-config", "--print"], &[("VERIFY_STORE", &hosts)]);
    let shown = format!(
        "# store: postgres://127.0.0.1:{},127.0.0.2:7/postgres,",
        server.port()
    );
    assert!(out(&printed).starts_with(&shown), "{}", out(&printed));
}

#[test]
fn a_copy_says_of_which_of_the_two_it_speaks() {
    let home = directory("copy");
    let state = home.to_str().unwrap();
    let tool = |args: &[&str]| run(&[&["store", "--state-dir", state], args].concat(), &[]);
    assert_eq!(tool(&["migrate"]).status.code(), Some(0));
    fs::write(
        home.join("other.db"),
        "no database at all, by its bytes".repeat(40),
    )
    .unwrap();
    let there = "sqlite:verify.db";
    for (from, to, said) in [
        ("memory", there, "FROM: the store is in the memory"),
        (there, "memory", "TO: the store is in the memory"),
        ("sqlite:missing.db", there, "FROM: there is no file "),
        ("sqlite:other.db", there, "FROM: "),
        (there, "sqlite:other.db", "TO: "),
        (
            there,
            "postgres://nobody@127.0.0.1:9/none",
            "TO: the database cannot be used: ",
        ),
        (there, "sqlite:empty.db", "FROM: nothing was ever kept there"),
        (there, there, "TO: is the store that FROM is"),
    ] {
        let told = tool(&["copy", from, to]);
        assert_eq!(told.status.code(), Some(2), "{from} {to}");
        let told = err(&told);
        assert!(
            told.starts_with(said) && !told.contains("--store"),
            "{from} {to}: {told}"
        );
    }
    for store in [there, "sqlite:full.db"] {
        for args in [
            ["migrate", "--store", store].as_slice(),
            &["epoch", "new", "--store", store],
        ] {
            assert_eq!(tool(args).status.code(), Some(0), "{args:?}");
        }
    }
    let full = Connection::open(home.join("full.db")).unwrap();
    let lane = "INSERT INTO lane (service, version, seq, events, bytes) VALUES ('default', 1, 1, 0, 0)";
    full.execute(lane, ()).unwrap();
    drop(full);
    let told = err(&tool(&["copy", there, "sqlite:full.db"]));
    assert!(
        told.starts_with("TO: the store to fill holds something"),
        "{told}"
    );
}

#[test]
fn what_a_store_cannot_be_or_does_not_go_by_is_told() {
    for (variable, value, said) in [
        ("VERIFY_STORE_SIZE", "20", "at least 256KiB"),
        ("VERIFY_STORE_SIZE", "255KiB", "at least 256KiB"),
        ("VERIFY_STORE_CONNECTIONS", "2", "a number from 3 to 1000"),
        ("VERIFY_STORE_CONNECTIONS", "1001", "a number from 3 to 1000"),
        ("VERIFY_STORE_WAIT_REPLICAS", "17", "a number from 0 to 16"),
    ] {
        let checked = run(&["--check-config"], &[(variable, value)]);
        assert_eq!(checked.status.code(), Some(2), "{variable}");
        let fault = format!("{variable}: found {value:?}; expected {said}");
        assert!(err(&checked).starts_with(&fault), "{}", err(&checked));
    }
    let stores = ["memory", "sqlite:v.db", "postgres://u@h/db", "redis://u@h"];
    let (kept, reached) = ([false, true, true, false], [false, false, true, true]);
    let (of_postgres, of_redis) = ([false, false, true, false], [false, false, false, true]);
    for (variable, value, goes_by) in [
        ("VERIFY_STORE_DURABILITY", "full", kept),
        ("VERIFY_STORE_SIZE", "256KiB", kept),
        ("VERIFY_STORE_PASSWORD_FILE", "/etc/hostname", reached),
        ("VERIFY_STORE_CA_FILE", "/etc/hostname", reached),
        ("VERIFY_STORE_SCHEMA", "other", of_postgres),
        ("VERIFY_STORE_CONNECTIONS", "3", of_postgres),
        ("VERIFY_STORE_ON_FAILOVER", "tell", reached),
        ("VERIFY_STORE_PREFIX", "shop:", of_redis),
        ("VERIFY_STORE_WAIT_REPLICAS", "1", of_redis),
        ("VERIFY_MEMORY_BUDGET", "1GiB", [true, false, false, false]),
    ] {
        for (store, goes_by) in stores.into_iter().zip(goes_by) {
            let checked = run(&["--check-config"], &[("VERIFY_STORE", store), (variable, value)]);
            assert_eq!(checked.status.code(), Some(0), "{}", err(&checked));
            let note = format!("note: {variable}: changes nothing, because the store is ");
            assert_eq!(
                !err(&checked).contains(&note),
                goes_by,
                "{store}: {}",
                err(&checked)
            );
        }
    }
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
fn a_demo_on_a_file_says_what_the_next_one_will_not_find() {
    let home = directory("demo");
    let (serving, said) = demo_in(&home, &[]);
    stop(serving);
    assert!(
        said.contains("keys are new at each start") && said.contains("opt-outs stay there"),
        "{said}"
    );
    assert!(said.contains("the clock is this machine's again"), "{said}");
    let keys = program::keys();
    let (serving, said) = demo_in(&home, &[("VERIFY_KEYS", &keys)]);
    stop(serving);
    assert!(
        !said.contains("keys are new") && said.contains("the clock is this machine's again"),
        "{said}"
    );
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

/// What a tool printed that did what it was asked.
fn printed(said: &Output) -> String {
    assert_eq!(said.status.code(), Some(0), "{}", err(said));
    out(said).trim().to_owned()
}

#[test]
fn i56_keys_are_rotated_by_the_tool_and_nothing_pending_is_lost() {
    let home = directory("rotate");
    let rotate = |keys: &str, how: &[&str]| {
        let file = home.join("keys");
        fs::write(&file, keys).unwrap();
        let vars = [("VERIFY_KEYS_FILE", file.to_str().unwrap())];
        printed(&run(&[&["keys", "rotate"], how].concat(), &vars))
    };
    let first = printed(&run(&["keys", "new"], &[]));
    let announced = rotate(&first, &["--announce"]);
    let switched = rotate(&announced, &["--switch"]);
    let at_once = rotate(&switched, &[]);
    let gateway = |keys: &str| demo_in(&home, &[("VERIFY_KEYS", keys)]).0;
    // The last time the other way round: a node that was not switched yet reads what one that was has written.
    let turns = [
        (&first, &announced),
        (&announced, &switched),
        (&switched, &at_once),
        (&switched, &announced),
    ];
    for (nth, (made_under, read_under)) in turns.into_iter().enumerate() {
        let to = format!("+1202555013{nth}");
        let serving = gateway(made_under);
        let right = code(&serving, &to);
        stop(serving);
        let serving = gateway(read_under);
        assert_eq!(check(&serving, &to, &right).0, 200, "{nth}");
        stop(serving);
    }
    let both = run(
        &["keys", "rotate", "--announce", "--switch"],
        &[("VERIFY_KEYS", &first)],
    );
    assert_eq!(both.status.code(), Some(2));
}

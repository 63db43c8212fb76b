//! The program on Redis: what it answered is there after kills, what it is refused for, and its operators' tools.
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
use std::process::Output;

use program::{Serving, another, check, code, err, kill, out, run, stop};
use verify_lab::{RedisKind, RedisServer, in_the_clear};

/// A directory of a test, where there is nothing yet.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir()
        .join("verify-tests")
        .join(format!("redis-{name}"));
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

/// One that keeps what was answered.
const KEEPS: [&str; 2] = ["appendonly yes", "appendfsync always"];

fn server(home: &Path, settings: &[&str]) -> RedisServer {
    RedisServer::start(RedisKind::Installed, &home.join("server"), settings).unwrap()
}

/// A gateway in demo mode on a store, with the keys of all gateways here.
fn demo(home: &Path, store: &str) -> Serving {
    let vars = [
        ("VERIFY_STORE", store),
        ("VERIFY_KEYS", &program::keys()),
        ("STATE_DIRECTORY", home.to_str().unwrap()),
    ];
    Serving::start_with(&[], &vars, "Open http://")
}

/// A start of a gateway that is no demo, which must not come to anything.
fn refused(home: &Path, more: &[(&str, &str)]) -> String {
    let live = program::live_vars("http://127.0.0.1:9");
    let mut vars: Vec<_> = live.iter().map(|(name, value)| (*name, value.as_str())).collect();
    vars.push(("STATE_DIRECTORY", home.to_str().unwrap()));
    vars.extend_from_slice(more);
    let start = run(&["--listen", "127.0.0.1:0"], &vars);
    assert_eq!(start.status.code(), Some(2), "{}", err(&start));
    err(&start)
}

fn tool(home: &Path, store: &str, args: &[&str]) -> Output {
    let keys = program::keys();
    let vars = [
        ("VERIFY_STORE", store),
        ("VERIFY_KEYS", keys.as_str()),
        ("STATE_DIRECTORY", home.to_str().unwrap()),
    ];
    run(&[["store"].as_slice(), args].concat(), &vars)
}

/// What a tool printed that did what it was asked.
fn printed(said: &Output) -> String {
    assert_eq!(said.status.code(), Some(0), "{}{}", out(said), err(said));
    out(said)
}

/// All that a server has written down.
fn written(server: &RedisServer) -> Vec<u8> {
    let files = fs::read_dir(server.directory().join("appendonlydir")).unwrap();
    files
        .flat_map(|file| fs::read(file.unwrap().path()).unwrap())
        .collect()
}

#[test]
fn i05_a_gateway_on_redis_that_is_killed_takes_nothing_with_it_and_nothing_is_in_the_clear() {
    let home = directory("killed");
    let mut server = server(&home, &KEEPS);
    let url = server.url();
    let (pending, guessed, used) = ("+12025550123", "+12025550124", "+12025550125");
    let serving = demo(&home, &url);
    let (right, spent) = (code(&serving, pending), code(&serving, used));
    assert_eq!(check(&serving, used, &spent).0, 200);
    let wrong = another(&code(&serving, guessed));
    assert_eq!(check(&serving, guessed, &wrong).0, 401);
    kill(serving);
    server.kill().unwrap();
    server.begin().unwrap();
    let serving = demo(&home, &url);
    assert_eq!(check(&serving, guessed, &wrong).0, 429, "i01");
    assert_ne!(check(&serving, used, &spent).0, 200, "i02");
    assert_eq!(check(&serving, pending, &right).0, 200);
    let ready = program::body(&serving.get("/readyz"));
    assert_eq!(
        (&ready["ok"], &ready["store"]),
        (&true.into(), &"ok".into()),
        "{ready}"
    );
    assert!(ready["store_room_used"].is_number(), "{ready}");
    let metrics = serving.get("/metrics");
    assert!(metrics.contains("verify_store_held_bytes"), "{metrics}");
    stop(serving);
    let planted = [pending, "2025550123", &right, &spent, "default"];
    assert_eq!(in_the_clear(&written(&server), &planted), ["default"]);
}

#[test]
fn i62_an_emptied_redis_is_missed_however_it_is_spelled() {
    let home = directory("emptied");
    let server = server(&home, &KEEPS);
    let other = format!("redis://localhost:{}/0", server.port());
    let live = |url: &str| {
        let state = home.to_str().unwrap();
        program::live(&[("VERIFY_STORE", url), ("STATE_DIRECTORY", state)])
    };
    stop(live(&server.url()));
    let whole = printed(&tool(&home, &server.url(), &["check"]));
    assert!(whole.contains("accepted"), "{whole}");
    server.command("FLUSHALL").unwrap();
    let missed = tool(&home, &other, &["check"]);
    assert!(
        out(&missed).contains("WRONG epoch: none, and it was "),
        "{}",
        out(&missed)
    );
    stop(live(&other));
    let missed = tool(&home, &server.url(), &["check"]);
    assert!(out(&missed).contains("nobody accepted it"), "{}", out(&missed));
    printed(&tool(&home, &other, &["accept"]));
    printed(&tool(&home, &server.url(), &["check"]));
    let begun = printed(&tool(&home, &other, &["epoch", "new"]));
    assert!(begun.contains("has begun"), "{begun}");
    assert!(printed(&tool(&home, &other, &["rekey"])).contains("no durable record"));
}

#[test]
fn a_check_of_redis_says_what_it_forgets_and_a_migration_that_there_is_nothing_to_do() {
    let home = directory("check");
    let server = server(&home, &["maxmemory 1gb"]);
    let url = server.url();
    let migrated = printed(&tool(&home, &url, &["migrate"]));
    assert!(
        migrated.contains(&url) && migrated.contains("nothing to make or to migrate"),
        "{migrated}"
    );
    let checked = || {
        let said = tool(&home, &url, &["check"]);
        (said.status.code(), out(&said))
    };
    let (code, said) = checked();
    assert_eq!(code, Some(1), "{said}");
    for line in [
        &format!("ok    store: {url}, Redis "),
        "ok    server: can be written, and forgets nothing",
        "WRONG durability: appendonly no: ",
        "ok    epoch: none yet",
        "ok    clock: 0.",
        "% of maxmemory used, ",
        "ms for a command and its answer",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    server.command("CONFIG SET appendonly yes").unwrap();
    let everysec = checked().1;
    assert!(
        everysec.contains("WRONG durability: appendfsync everysec: "),
        "{everysec}"
    );
    server.command("CONFIG SET appendfsync always").unwrap();
    let (code, said) = checked();
    assert_eq!(code, Some(0), "{said}");
    server.command("CONFIG SET maxmemory-policy allkeys-lru").unwrap();
    let evicts = checked().1;
    let told = "server's maxmemory-policy is allkeys-lru; set it to noeviction";
    assert!(
        evicts.contains("WRONG server: ") && evicts.contains(told),
        "{evicts}"
    );
    let start = refused(&home, &[("VERIFY_STORE", &url)]);
    assert!(start.contains("VERIFY_STORE") && start.contains(told), "{start}");
    server.command("CONFIG SET maxmemory-policy noeviction").unwrap();
    server.command("REPLICAOF 127.0.0.1 1").unwrap();
    let follows = checked().1;
    assert!(follows.contains("WRONG server: it is a replica"), "{follows}");
    let start = refused(&home, &[("VERIFY_STORE", &url)]);
    assert!(start.contains("is a replica, and no master was found"), "{start}");
}

#[test]
fn i20_what_is_wrong_with_a_password_of_redis_is_said_by_the_name_of_its_variable() {
    let home = directory("password");
    let server = server(&home, &["requirepass hunter2"]);
    let url = server.url();
    let with = |who: &str| url.replace("redis://", &format!("redis://{who}@"));
    let file = |name: &str, text: &str| {
        let path = home.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (right, wrong, empty) = (
        file("right", "hunter2\n"),
        file("wrong", "hunter3\n"),
        file("empty", ""),
    );
    for (store, password, said) in [
        (
            url.clone(),
            "",
            "VERIFY_STORE_PASSWORD_FILE: the database asks for a password",
        ),
        (
            url.clone(),
            &wrong,
            "VERIFY_STORE_PASSWORD_FILE, or the password in VERIFY_STORE: the server does not take",
        ),
        (
            with(":hunter3"),
            "",
            "VERIFY_STORE_PASSWORD_FILE, or the password in VERIFY_STORE: the server does not take",
        ),
        (url.clone(), &empty, "/empty is empty"),
        (
            url.clone(),
            "/nowhere/at/all",
            "VERIFY_STORE_PASSWORD_FILE: cannot read /nowhere/at/all: ",
        ),
        (
            with(":hunter2"),
            &right,
            "VERIFY_STORE_PASSWORD_FILE: found a password in the URL",
        ),
        (with("u:hunter2/x"), "", "VERIFY_STORE: not a Redis URL"),
    ] {
        let vars = [
            ("VERIFY_STORE", store.as_str()),
            ("VERIFY_STORE_PASSWORD_FILE", password),
        ];
        let told = refused(&home, &vars);
        assert!(told.contains(said) && !told.contains("hunter"), "{told}");
    }
}

#[test]
fn i20_a_password_of_redis_is_neither_shown_nor_taken_from_the_command_line() {
    let home = directory("shown");
    let server = server(&home, &["requirepass hunter2"]);
    let url = server.url();
    let with = url.replace("redis://", "redis://:hunter2@");
    let file = home.join("password");
    fs::write(&file, "hunter2\n").unwrap();
    let state = home.to_str().unwrap();
    let vars = [
        ("VERIFY_STORE", url.as_str()),
        ("VERIFY_STORE_PASSWORD_FILE", file.to_str().unwrap()),
        ("STATE_DIRECTORY", state),
    ];
    let serving = program::live(&vars);
    assert!(!serving.said.contains("hunter2"), "{}", serving.said);
    stop(serving);
    let flag = run(&["--check-config", "--store", &with], &[]);
    let told = err(&flag);
    assert_eq!(flag.status.code(), Some(2));
    assert!(
        told.starts_with("--store: found a password on the command line") && !told.contains("hunter2"),
        "{told}"
    );
    let printed = run(
        &["--check-config", "--print"],
        &[
            ("VERIFY_STORE", &with),
            ("VERIFY_STORE_PREFIX", "shop:"),
            ("VERIFY_STORE_WAIT_REPLICAS", "1"),
        ],
    );
    let shown = format!(
        "# store: {url}, durability the server's, keys begin with shop:, each answer waits for 1 replicas"
    );
    assert!(out(&printed).starts_with(&shown), "{}", out(&printed));
    let unfit = run(
        &["--check-config"],
        &[("VERIFY_STORE", &url), ("VERIFY_STORE_PREFIX", "a b")],
    );
    let told = err(&unfit);
    assert!(
        told.starts_with("VERIFY_STORE_PREFIX: the prefix \"a b\" is none"),
        "{told}"
    );
}

#[test]
fn i62_all_of_a_file_goes_to_redis_and_back() {
    let home = directory("copy");
    let server = server(&home, &KEEPS);
    let (there, file, back) = (server.url(), "sqlite:verify.db", "sqlite:back.db");
    let copy = |from: &str, to: &str| tool(&home, file, &["copy", from, to]);
    let serving = demo(&home, file);
    let (pending, used) = ("+12025550123", "+12025550125");
    let (right, spent) = (code(&serving, pending), code(&serving, used));
    assert_eq!(check(&serving, used, &spent).0, 200);
    stop(serving);

    // One that was killed half-way left its mark, and something that the next one does not bring.
    server.command("SET verify:{*}f somebody").unwrap();
    server.command("SET verify:{default}rleft something").unwrap();
    server.command("ZADD verify:{*}s 0 left").unwrap();
    let start = refused(&home, &[("VERIFY_STORE", &there)]);
    assert!(
        start.contains("a copy into this store was broken off") && start.contains("`store copy` again"),
        "{start}"
    );
    for tools in [["check"].as_slice(), &["accept"], &["epoch", "new"]] {
        let said = tool(&home, &there, tools);
        assert_ne!(said.status.code(), Some(0));
        let said = out(&said) + &err(&said);
        assert!(said.contains("a copy into this store was broken off"), "{said}");
    }
    let copied = printed(&copy(file, &there));
    assert!(
        copied.starts_with("copied: ") && copied.contains("versions, sequences and the epoch are the same"),
        "{copied}"
    );
    let left = server
        .command("EXISTS verify:{default}rleft verify:{*}f")
        .unwrap();
    assert_eq!(left, "0", "what the first one left");
    assert!(printed(&copy(file, &there)).starts_with("was copied before: "));
    let again = copy(&there, &there.replace("127.0.0.1", "localhost"));
    assert!(
        err(&again).starts_with("TO: is the store that FROM is"),
        "{}",
        err(&again)
    );
    for made in [["migrate"].as_slice(), &["epoch", "new"]] {
        printed(&tool(&home, "sqlite:other.db", made));
    }
    let full = copy("sqlite:other.db", &there);
    assert!(
        err(&full).starts_with("TO: the store to fill holds something"),
        "{}",
        err(&full)
    );

    printed(&copy(&there, back));
    // The first and the last are alike, row by row.
    assert!(printed(&copy(file, back)).starts_with("was copied before: "));
    for store in [there.as_str(), back] {
        let serving = demo(&home, store);
        assert_ne!(check(&serving, used, &spent).0, 200, "i02: {store}");
        assert_eq!(check(&serving, pending, &right).0, 200, "{store}");
        stop(serving);
    }
}

//! Stores that lost what they held, under gateways that run, that start at once, and that come with other words for them.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::thread;

use program::{Serving, ask_as_shop, body, err, live, out, run, stop};
use rusqlite::Connection;
use serde_json::json;
use verify_lab::{PostgresServer, Syncs};

const NODES: usize = 8;

/// A directory of a test, where there is nothing yet. What another user has to reach must not lie below a home that it may not enter.
fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir()
        .join("verify-tests")
        .join(format!("loss-{name}"));
    fs::remove_dir_all(&path).ok();
    fs::create_dir_all(&path).unwrap();
    path
}

/// A store, and the state directory of whoever uses it.
struct Place {
    store: String,
    schema: &'static str,
    state: PathBuf,
}

impl Place {
    fn of(store: &str, state: PathBuf) -> Self {
        Self {
            store: store.to_owned(),
            schema: "verify",
            state,
        }
    }

    fn vars(&self) -> [(&str, &str); 3] {
        [
            ("VERIFY_STORE", &self.store),
            ("VERIFY_STORE_SCHEMA", self.schema),
            ("STATE_DIRECTORY", self.state.to_str().unwrap()),
        ]
    }

    fn serve(&self) -> Serving {
        live(&self.vars())
    }

    /// What a tool says, well or not.
    fn tool(&self, args: &[&str]) -> String {
        let keys = program::keys();
        let vars = [self.vars().as_slice(), &[("VERIFY_KEYS", keys.as_str())]].concat();
        let said = run(&[["store"].as_slice(), args].concat(), &vars);
        out(&said) + &err(&said)
    }

    /// What `store check` says of the epoch.
    fn epoch(&self) -> String {
        let said = self.tool(&["check"]);
        let line = said
            .lines()
            .find(|line| line.get(6..).is_some_and(|line| line.starts_with("epoch")));
        line.unwrap_or_else(|| panic!("{said}")).to_owned()
    }

    fn is_accepted(&self) -> bool {
        self.epoch().ends_with("accepted")
    }
}

/// Whether a check waits because the store may have lost what it counted; `Retry-After` says for how long.
fn waits(serving: &Serving) -> bool {
    let asked = json!({ "to": "+12025550123", "code": "123456", "ip": "198.51.100.1" });
    let (status, head, told) = ask_as_shop(serving, "/verify/check", &asked);
    let waits = told["code"] == "store_unavailable";
    if waits {
        assert!(status == 503 && head.contains("retry-after: "), "{head} {told}");
    }
    // What was seen a moment ago is told once more.
    while (body(&serving.get("/readyz"))["store"] == "cools") != waits {
        thread::yield_now();
    }
    waits
}

#[test]
fn i62_a_file_that_is_gone_is_missed_whichever_way_led_to_it() {
    let home = directory("ways");
    fs::create_dir(home.join("state")).unwrap();
    symlink("state", home.join("link")).unwrap();
    let straight = Place::of("sqlite:verify.db", home.join("state"));
    let around = Place::of("sqlite:../state/./verify.db", home.join("link"));
    stop(straight.serve());
    assert!(straight.is_accepted() && around.is_accepted());
    fs::remove_file(home.join("state/verify.db")).unwrap();
    stop(around.serve());
    assert!(
        !straight.is_accepted() && !around.is_accepted(),
        "{}",
        around.epoch()
    );
}

#[test]
fn i62_a_database_that_is_gone_is_missed_however_it_is_spelled() {
    let home = directory("spelled");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    let port = server.port();
    let place = |url: String| Place::of(&url, home.join("state"));
    let (one, other) = (
        place(server.url()),
        place(format!(
            "postgresql://localhost:{port}/%70ostgres?user=postgres&application_name=other&connect_timeout=3"
        )),
    );
    stop(one.serve());
    assert!(one.is_accepted() && other.is_accepted());
    // Another schema is another store.
    let beside = Place {
        schema: "beside",
        ..place(server.url())
    };
    stop(beside.serve());
    assert!(beside.is_accepted(), "a first start: {}", beside.epoch());
    server.ask("DROP SCHEMA verify CASCADE").unwrap();
    stop(other.serve());
    assert!(!one.is_accepted() && beside.is_accepted());
}

#[test]
fn i62_a_tool_that_comes_first_is_no_first_start() {
    let home = directory("tools");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    let node = Place::of(&server.url(), home.join("state"));
    let elsewhere = Place::of(&server.url(), home.join("elsewhere"));
    stop(node.serve());
    server.ask("DROP SCHEMA verify CASCADE").unwrap();
    for tool in [
        ["rekey"].as_slice(),
        &["accept"],
        &["migrate"],
        &["rekey"],
        &["accept"],
        &["check"],
    ] {
        elsewhere.tool(tool);
        let said = elsewhere.epoch();
        assert!(said.contains("none"), "{tool:?}: {said}");
    }
    stop(node.serve());
    assert!(!node.is_accepted(), "whoever remembers it missed it");
    // Somebody knows of a loss that nobody remembers.
    server.ask("DROP SCHEMA verify CASCADE").unwrap();
    assert!(elsewhere.tool(&["epoch", "new"]).contains("has begun"));
    stop(Place::of(&server.url(), home.join("third")).serve());
    assert!(!elsewhere.is_accepted());
}

#[test]
fn i62_a_database_emptied_under_gateways_makes_all_of_them_wait() {
    let home = directory("emptied");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    let places: Vec<_> = (0..3)
        .map(|node| Place::of(&server.url(), home.join(format!("state-{node}"))))
        .collect();
    let mut nodes: Vec<_> = places.iter().map(Place::serve).collect();
    assert!(!nodes.iter().any(waits));
    let tables =
        "verify.lane, verify.batch, verify.counter, verify.claim, verify.record, verify.event, verify.lease";
    let emptied =
        format!("TRUNCATE {tables}; UPDATE verify.meta SET epoch = NULL, made = 0, accepted = false");
    server.ask(&emptied).unwrap();
    // One of them is started anew at once, and one that never was here comes along.
    stop(nodes.remove(0));
    nodes.push(places[0].serve());
    nodes.push(Place::of(&server.url(), home.join("new")).serve());
    assert!(nodes.iter().all(waits));
    assert!(!places[1].is_accepted());
    places[1].tool(&["accept"]);
    assert!(!nodes.iter().any(waits));
    nodes.into_iter().for_each(stop);
}

#[test]
fn i62_a_file_replaced_under_a_gateway_makes_it_wait_even_by_its_own_copy() {
    let home = directory("replaced");
    let place = Place::of("sqlite:verify.db", home.clone());
    let file = home.join("verify.db");
    let swap = |copy: &PathBuf| {
        for beside in ["verify.db-wal", "verify.db-shm"] {
            fs::remove_file(home.join(beside)).ok();
        }
        fs::rename(copy, &file).unwrap();
    };
    let node = place.serve();
    assert!(!waits(&node));
    let (stale, empty) = (home.join("stale.db"), home.join("empty.db"));
    let open = Connection::open(&file).unwrap();
    open.execute("VACUUM INTO ?1", [stale.to_str().unwrap()]).unwrap();
    drop(open);
    swap(&stale);
    assert!(waits(&node), "a copy of before has forgotten what came after");
    // Whoever starts meanwhile believes what stands there.
    let beside = place.serve();
    assert!(waits(&beside));
    stop(beside);
    place.tool(&["accept"]);
    assert!(!waits(&node));
    let made = Place::of("sqlite:empty.db", home.clone()).tool(&["migrate"]);
    assert!(made.contains("made"), "{made}");
    swap(&empty);
    assert!(waits(&node));
    stop(node);
    let again = place.serve();
    assert!(waits(&again), "a restart is no way around it");
    place.tool(&["accept"]);
    assert!(!waits(&again));
    stop(again);
}

#[test]
fn i148_eight_that_start_at_once_on_nothing_make_it_once() {
    let home = directory("at-once");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    for (name, store) in [
        ("postgres", server.url()),
        ("sqlite", format!("sqlite:{}", home.join("verify.db").display())),
    ] {
        // All in one state directory, as of one machine.
        let place = Place::of(&store, home.join(name));
        let nodes: Vec<_> = thread::scope(|scope| {
            let started: Vec<_> = (0..NODES).map(|_| scope.spawn(|| place.serve())).collect();
            started.into_iter().map(|node| node.join().unwrap()).collect()
        });
        assert!(!nodes.iter().any(waits), "{name}");
        assert!(place.is_accepted(), "{name}: {}", place.epoch());
        nodes.into_iter().for_each(stop);
    }
}

//! Eight processes of the program on one Postgres: together they admit what one does.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/program.rs"]
mod program;
#[path = "support/scan.rs"]
mod scan;

use std::thread;

use nodes::{NODES, Nodes, count, directory};
use program::{Serving, another, ask, body, check, stop};
use serde_json::json;
use verify_lab::{PostgresServer, Syncs};

fn send_from(node: &Serving, to: &str, ip: &str) -> u16 {
    ask(node, "/verify/send", json!({ "to": to, "ip": ip })).0
}

#[test]
fn i05_eight_nodes_admit_together_what_one_does() {
    let mut nodes = Nodes::start("totals");
    // I-26: one of many sends to one number leaves.
    let to = "+12025550123";
    let sent = nodes.at_once(4, |node, _| send_from(node, to, "203.0.113.1"));
    assert_eq!(count(&sent, 201), 1, "i26: {sent:?}");
    nodes.later(1);
    assert_eq!(nodes.arrived(to).len(), 1, "i26");

    // I-01: of wrong guesses at once one is compared; the wait after it holds everywhere.
    let wrong = another(&nodes.code("+12025550124"));
    let guessed = nodes.at_once(8, |node, _| check(node, "+12025550124", &wrong).0);
    assert_eq!(count(&guessed, 401), 1, "i01: {guessed:?}");
    assert_eq!(count(&guessed, 429), guessed.len() - 1, "i01: {guessed:?}");

    // I-02, I-54: a code is accepted once, and its proof redeemed once.
    let right = nodes.code("+12025550125");
    let proofs = std::sync::Mutex::new(Vec::new());
    let checked = nodes.at_once(4, |node, _| {
        let (status, told) = check(node, "+12025550125", &right);
        proofs
            .lock()
            .unwrap()
            .extend(told["proof"].as_str().map(str::to_owned));
        status
    });
    assert_eq!(count(&checked, 200), 1, "i02: {checked:?}");
    let proof = proofs.into_inner().unwrap().pop().unwrap();
    let redeem = json!({ "proof": proof, "purpose": "sign_in", "to": "+12025550125" });
    let redeemed = nodes.at_once(4, |node, _| ask(node, "/proofs/redeem", redeem.clone()).0);
    assert_eq!(count(&redeemed, 200), 1, "i54: {redeemed:?}");

    // I-05: of sends from one address as many as one node admits.
    let number = |nth: usize| format!("+1{}555{:04}", 303 + nth % 5, 100 + nth);
    let alone: Vec<u16> = (0..20)
        .map(|nth| send_from(&nodes.nodes[0], &number(nth), "198.51.100.1"))
        .collect();
    let together = nodes.at_once(8, |node, nth| send_from(node, &number(100 + nth), "198.51.100.2"));
    assert!(count(&alone, 201) > 0 && count(&alone, 429) > 0, "{alone:?}");
    assert_eq!(count(&together, 201), count(&alone, 201), "i05: {together:?}");
    nodes.stop();
    scan::database(&nodes.server);
    let planted = [to, "2025550125", &right, "203.0.113.1", "198.51.100.2", &proof];
    scan::database_has_none_of(&nodes.server, &planted);
}

/// Makes the tables those of schema 1 again, and writes down what is there when somebody says that they are of another one.
const OLDER: &str = "
    ALTER TABLE verify.meta DROP system, DROP timeline, DROP moved;
    UPDATE verify.meta SET version = 1;
    CREATE TABLE migrated (schema integer, held bigint, version bigint);
    CREATE FUNCTION migrated() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
      INSERT INTO public.migrated SELECT NEW.version, sum(held), sum(version) FROM verify.lane; RETURN NULL; END';
    CREATE TRIGGER migrated AFTER UPDATE OF version ON verify.meta FOR EACH ROW EXECUTE FUNCTION public.migrated();";

#[test]
fn i148_eight_that_start_at_once_on_an_older_schema_migrate_it_once_and_lose_nothing() {
    let mut nodes = Nodes::start("older");
    let (pending, guessed, used) = ("+12025550123", "+12025550124", "+12025550125");
    let (right, spent) = (nodes.code(pending), nodes.code(used));
    assert_eq!(check(&nodes.nodes[0], used, &spent).0, 200);
    let wrong = another(&nodes.code(guessed));
    assert_eq!(check(&nodes.nodes[0], guessed, &wrong).0, 401);
    nodes.stop();
    let held = nodes.sql("SELECT sum(held), sum(version) FROM verify.lane");
    nodes.sql(OLDER);
    nodes.begin();
    let migrated = nodes.sql("SELECT * FROM migrated");
    assert_eq!(migrated, format!("2|{held}"), "by one of them, once");
    let is_ready = |node: &Serving| body(&node.get("/readyz"))["ok"] == true;
    assert!(nodes.nodes.iter().all(is_ready));

    let locked = nodes.at_once(1, |node, _| check(node, guessed, &wrong).0);
    assert_eq!(count(&locked, 429), NODES, "i01: {locked:?}");
    let again = nodes.at_once(1, |node, _| check(node, used, &spent).0);
    assert_eq!(count(&again, 200), 0, "i02: {again:?}");
    let checked = nodes.at_once(1, |node, _| check(node, pending, &right).0);
    assert_eq!(count(&checked, 200), 1, "{checked:?}");
    nodes.stop();
    scan::database(&nodes.server);
}

/// A gateway that is no demo, whose clock is off by so much.
fn off_by(server: &PostgresServer, seconds: i64) -> Serving {
    let state = directory(&format!("state-{seconds}"));
    program::live(&[
        ("VERIFY_STORE", &server.url()),
        ("STATE_DIRECTORY", state.to_str().unwrap()),
        ("FAKETIME", &format!("{seconds:+}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("LD_PRELOAD", &faketime().unwrap()),
    ])
}

fn faketime() -> Option<String> {
    let machine = std::env::consts::ARCH;
    let library = format!("/usr/lib/{machine}-linux-gnu/faketime/libfaketime.so.1");
    std::path::Path::new(&library).exists().then_some(library)
}

#[test]
fn i44_a_node_whose_clock_is_off_refuses_by_itself() {
    if faketime().is_none() {
        // The test command says so by name.
        return println!("skipped: libfaketime is not installed");
    }
    let server = PostgresServer::start(&directory("clocks"), Syncs::No, "").unwrap();
    for (seconds, state) in [(8, "ok"), (-8, "ok"), (3_600, "clock"), (-3_600, "clock")] {
        let node = off_by(&server, seconds);
        let ready = || {
            body(&node.get("/readyz"))["store"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let mut seen = ready();
        for _ in 0..200 {
            if seen == "clock" {
                break;
            }
            // Each look is one answer of the store; three in a row decide.
            thread::sleep(std::time::Duration::from_millis(20));
            seen = ready();
        }
        assert_eq!(seen, state, "{seconds} s");
        let asked = json!({ "to": "+12025550123", "ip": "198.51.100.1" });
        let (status, head, sent) = program::ask_as_shop(&node, "/verify/send", &asked);
        let is_told = sent["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("clock"));
        if state == "clock" {
            assert_eq!((status, &sent["code"]), (503, &json!("store_unavailable")));
            assert!(is_told && head.contains("\r\nretry-after: 5"), "{head} {sent}");
            let ready = node.get("/readyz");
            let why = body(&ready)["store_detail"].to_string();
            assert!(
                program::status(&ready) == 503 && why.contains("differ by more than"),
                "{ready}"
            );
        } else {
            assert!(!is_told, "{seconds} s: {sent}");
        }
        stop(node);
    }
}

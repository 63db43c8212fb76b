//! Eight processes of the program on one Postgres: together they admit what one does, killed or not.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use program::{Serving, another, ask, body, check, send, stop};
use serde_json::{Value, json};
use verify_lab::{PostgresServer, Syncs};

const NODES: usize = 8;

/// Where a test has its server. What another user has to reach must not lie below a home that it may not enter.
fn directory(name: &str) -> PathBuf {
    std::env::temp_dir()
        .join("verify-tests")
        .join(format!("many-{name}"))
}

/// Gateways on one database, with one set of keys.
struct Nodes {
    server: PostgresServer,
    store: String,
    keys: String,
    nodes: Vec<Serving>,
}

impl Nodes {
    fn start(name: &str) -> Self {
        let server = PostgresServer::start(&directory(name), Syncs::No, "").unwrap();
        let mut nodes = Self {
            store: server.url(),
            server,
            keys: program::keys(),
            nodes: Vec::new(),
        };
        nodes.nodes = (0..NODES).map(|_| nodes.another()).collect();
        nodes
    }

    fn another(&self) -> Serving {
        let vars = [
            ("VERIFY_KEYS", self.keys.as_str()),
            ("VERIFY_STORE", self.store.as_str()),
            ("VERIFY_STORE_CONNECTIONS", "4"),
            ("VERIFY_FLOOD_SHIELD", "off"),
        ];
        Serving::start_with(&[], &vars, "Open http://")
    }

    /// Everybody's clock is held, and goes on by as much.
    fn later(&self, seconds: u32) {
        for node in &self.nodes {
            ask(node, "/demo/clock", json!({ "advance_seconds": seconds }));
        }
    }

    /// The messages that arrived there, whoever sent them.
    fn arrived(&self, to: &str) -> Vec<Value> {
        let inbox = format!("/demo/inbox?to={}", to.replace('+', "%2B"));
        let messages = self.nodes.iter().map(|node| body(&node.get(&inbox)));
        messages
            .flat_map(|messages| messages.as_array().cloned().unwrap_or_default())
            .collect()
    }

    /// I-11, I-20: none of these is in a dump of the database, as text or as bytes.
    fn holds_nothing_in_the_clear(&self, planted: &[&str]) {
        let mut dump = self.server.as_its_user("pg_dump");
        let dump = dump.arg(&self.store).output().unwrap();
        let dump = String::from_utf8(dump.stdout).unwrap();
        assert!(dump.contains("COPY verify.record"), "it is a dump");
        for text in planted {
            let bytes: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
            assert!(!dump.contains(text) && !dump.contains(&bytes), "i20: {text}");
        }
    }

    fn code(&self, to: &str) -> String {
        assert_eq!(send(&self.nodes[0], to).0, 201);
        self.later(1);
        self.arrived(to)[0]["code"].as_str().unwrap().to_owned()
    }

    /// The same of all nodes at once, each so often; the statuses.
    fn at_once(&self, each: usize, act: impl Fn(&Serving, usize) -> u16 + Sync) -> Vec<u16> {
        let number = AtomicUsize::new(0);
        thread::scope(|scope| {
            let asked: Vec<_> = (0..each * NODES)
                .map(|nth| {
                    let (act, number) = (&act, &number);
                    let node = &self.nodes[nth % NODES];
                    scope.spawn(move || act(node, number.fetch_add(1, Ordering::SeqCst)))
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        })
    }
}

fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|told| **told == status).count()
}

fn send_from(node: &Serving, to: &str, ip: &str) -> u16 {
    ask(node, "/verify/send", json!({ "to": to, "ip": ip })).0
}

#[test]
fn i05_eight_nodes_admit_together_what_one_does() {
    let nodes = Nodes::start("totals");
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
    nodes.holds_nothing_in_the_clear(&[to, "2025550125", &right, "203.0.113.1", "198.51.100.2", &proof]);
    nodes.nodes.into_iter().for_each(stop);
}

/// Nodes die under load, again and again; `VERIFY_KILLS` says how often.
#[test]
fn i05_nodes_that_are_killed_take_nothing_with_them() {
    let rounds = std::env::var("VERIFY_KILLS").map_or(5, |rounds| rounds.parse().unwrap());
    let mut nodes = Nodes::start("killed");
    let (used, guessed) = ("+12025550125", "+12025550124");
    let right = nodes.code(used);
    assert_eq!(check(&nodes.nodes[0], used, &right).0, 200);
    let wrong = another(&nodes.code(guessed));
    assert_eq!(check(&nodes.nodes[0], guessed, &wrong).0, 401);
    let admitted = AtomicUsize::new(0);
    for round in 0..rounds {
        let stopped = AtomicBool::new(false);
        let asked = AtomicUsize::new(0);
        thread::scope(|scope| {
            let (nodes, stopped, asked, admitted) = (&nodes.nodes, &stopped, &asked, &admitted);
            for client in 0..4 {
                let (right, wrong) = (&right, &wrong);
                scope.spawn(move || {
                    for nth in client.. {
                        if stopped.load(Ordering::SeqCst) {
                            break;
                        }
                        let address = &nodes[nth % NODES].address;
                        let body = match nth % 3 {
                            0 => json!({ "to": used, "code": right }),
                            1 => json!({ "to": guessed, "code": wrong }),
                            _ => json!({ "to": format!("+1303555{:04}", 100 + (round * 97 + nth) % 5_000), "ip": "198.51.100.3" }),
                        };
                        let path = if nth % 3 == 2 { "/verify/send" } else { "/verify/check" };
                        // One that is dead does not answer.
                        let Some(status) = program::try_ask(address, path, &body) else { continue };
                        asked.fetch_add(1, Ordering::SeqCst);
                        match nth % 3 {
                            0 => assert_ne!(status, 200, "i02: it was used"),
                            1 => assert_ne!(status, 401, "i01: its wait is not over"),
                            _ => drop(admitted.fetch_add(usize::from(status == 201), Ordering::SeqCst)),
                        }
                    }
                });
            }
            while asked.load(Ordering::SeqCst) < 60 {
                thread::yield_now();
            }
            nodes[round % NODES].signal("-KILL");
            while asked.load(Ordering::SeqCst) < 120 {
                thread::yield_now();
            }
            stopped.store(true, Ordering::SeqCst);
        });
        nodes.nodes[round % NODES] = nodes.another();
    }
    // As many as one node admits from an address: none was sent without a charge.
    let fresh = |nth: usize| format!("+1404555{:04}", 100 + nth);
    let alone = (0..20)
        .filter(|nth| send_from(&nodes.nodes[0], &fresh(*nth), "198.51.100.4") == 201)
        .count();
    assert!(admitted.into_inner() <= alone, "i05");
    nodes.nodes.into_iter().for_each(stop);
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
        let (_, _, sent) = program::ask_as_shop(&node, "/verify/send", &asked);
        let sent = sent.to_string();
        let refused = sent.contains("misconfigured") || sent.contains("clock");
        assert_eq!(refused, state == "clock", "{seconds} s: {sent}");
        stop(node);
    }
}

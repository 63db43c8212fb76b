//! Eight processes of the program on one Postgres, killed under load: nothing that counts goes with them, and whoever reads what
//! all of them tell misses nothing.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/program.rs"]
mod program;
#[path = "support/scan.rs"]
mod scan;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nodes::{NODES, Nodes};
use program::{Serving, another, ask, check};
use serde_json::json;
use verify_core::event::EventKind;
use verify_core::store::kept;
use verify_twilio::double::{Answer, Double};

/// Keeps, as the database writes it, each event with its place: what was handed over is not there any more.
const WRITTEN: &str = "
    CREATE TABLE written (service text, seq bigint, value bytea);
    CREATE FUNCTION written() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
      INSERT INTO public.written SELECT service, NEW.seq, NEW.value FROM verify.lane WHERE id = NEW.lane; RETURN NULL; END';
    CREATE TRIGGER written AFTER INSERT ON verify.event FOR EACH ROW EXECUTE FUNCTION public.written();";

/// All that was written is handed over, whoever had to go on for whom.
fn drained(nodes: &Nodes) {
    while nodes.sql("SELECT count(*) FROM verify.event") != "0" {
        thread::yield_now();
    }
}

/// What the database wrote down: by its id, whose event it is, at which place, and of which kind.
type Written = HashMap<String, (String, u64, EventKind)>;

fn written(nodes: &Nodes) -> Written {
    let bytes = |hex: &str| -> Vec<u8> {
        let pair = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(pair).collect()
    };
    let rows = nodes.sql("SELECT service, seq, encode(value, 'hex') FROM written");
    let of = |row: &str| {
        let [service, seq, value] = row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let event = kept::read_event(&bytes(value)).unwrap();
        let at = (service.to_owned(), seq.parse().unwrap(), event.kind);
        (event.id.to_string(), at)
    };
    rows.lines().map(of).collect()
}

/// The places of each service's events in the order in which their one reader saw them: all that were written.
fn places(nodes: &Nodes, written: &Written) -> HashMap<String, Vec<u64>> {
    let seen = nodes.events();
    let ids: HashSet<&String> = seen.iter().map(|(_, id)| id).collect();
    let lost = written.iter().filter(|(id, _)| !ids.contains(id));
    let lost: Vec<_> = lost.map(|(_, at)| at).collect();
    assert!(lost.is_empty(), "nobody was told of {lost:?}");
    let mut places: HashMap<String, Vec<u64>> = HashMap::new();
    // What came before anything was written down has no place.
    for (service, seq, _) in seen.iter().filter_map(|(_, id)| written.get(id)) {
        places.entry(service.clone()).or_default().push(*seq);
    }
    places
}

/// Each goes on by one; how often one went back instead.
fn went_back(seen: &[u64]) -> usize {
    let (mut furthest, mut back) = (seen[0], 0);
    for pair in seen.windows(2) {
        let &[before, now] = pair else { continue };
        assert!(now <= furthest + 1, "behind {furthest} there came {now}");
        back += usize::from(now <= before);
        furthest = furthest.max(now);
    }
    back
}

/// A code that was used up, and a wrong one for a destination whose wait is not over.
struct Codes {
    used: (&'static str, String),
    wrong: (&'static str, String),
}

impl Codes {
    /// Asks one of the nodes for one of the three things that must not be had; whether it sent a message.
    fn ask(&self, address: &str, round: usize, nth: usize) -> Option<bool> {
        let (path, body) = match nth % 3 {
            0 => ("/verify/check", json!({ "to": self.used.0, "code": self.used.1 })),
            1 => (
                "/verify/check",
                json!({ "to": self.wrong.0, "code": self.wrong.1 }),
            ),
            _ => {
                let to = format!("+1303555{:04}", 100 + (round * 97 + nth) % 5_000);
                ("/verify/send", json!({ "to": to, "ip": "198.51.100.3" }))
            }
        };
        // One that is dead does not answer.
        let (status, _) = program::try_ask(address, path, &body)?;
        match nth % 3 {
            0 => assert_ne!(status, 200, "i02: it was used"),
            1 => assert_ne!(status, 401, "i01: its wait is not over"),
            _ => {}
        }
        Some(status == 201)
    }
}

/// Kills one of the nodes in the midst of a load on all; how many requests were answered, and how many messages were sent.
fn killed_under_load(nodes: &[Serving], victim: usize, codes: &Codes, round: usize) -> (usize, usize) {
    let sent = AtomicUsize::new(0);
    let ask = |nth: usize| {
        let one = codes.ask(&nodes[nth % NODES].address, round, nth);
        sent.fetch_add(usize::from(one == Some(true)), Ordering::SeqCst);
        one.is_some()
    };
    let answered = load::under_load(4, ask, |load| {
        load.reaches(60);
        nodes[victim].signal("-KILL");
        load.reaches(120);
    });
    (answered, sent.into_inner())
}

/// Nodes die under load, again and again.
#[test]
fn i05_nodes_that_are_killed_take_nothing_with_them() {
    let rounds = load::kills();
    let mut nodes = Nodes::start("killed");
    nodes.sql(WRITTEN);
    let (used, guessed) = ("+12025550125", "+12025550124");
    let right = nodes.code(used);
    assert_eq!(check(&nodes.nodes[0], used, &right).0, 200);
    let wrong = another(&nodes.code(guessed));
    assert_eq!(check(&nodes.nodes[0], guessed, &wrong).0, 401);
    let codes = Codes {
        used: (used, right),
        wrong: (guessed, wrong),
    };
    let (mut random, mut answered, mut admitted) = (0x9e37_79b9_7f4a_7c15_u64, 0, 0);
    for round in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let victim = random as usize % NODES;
        let (asked, sent) = killed_under_load(&nodes.nodes, victim, &codes, round);
        (answered, admitted) = (answered + asked, admitted + sent);
        nodes.nodes[victim] = nodes.another(victim);
    }
    // As many as one node admits from an address: none was sent without a charge, answered or not.
    drained(&nodes);
    let before = written(&nodes);
    let fresh = |nth: usize| format!("+1404555{:04}", 100 + nth);
    let alone = |nth: &usize| {
        let asked = json!({ "to": fresh(*nth), "ip": "198.51.100.4" });
        ask(&nodes.nodes[0], "/verify/send", asked).0 == 201
    };
    let alone = (0..20).filter(alone).count();
    let intended = before
        .values()
        .filter(|(_, _, kind)| *kind == EventKind::SendIntended);
    let intended = intended.count() - [used, guessed].len();
    assert!(
        admitted <= intended && intended <= alone,
        "i05: {intended} of {alone}"
    );
    drained(&nodes);
    let written = written(&nodes);
    nodes.stop();
    scan::database(&nodes.server);
    scan::database_has_none_of(&nodes.server, &[&used[1..], &guessed[1..], &codes.used.1]);
    for (service, seen) in places(&nodes, &written) {
        assert_eq!(seen[0], 1, "{service}");
        let back = went_back(&seen);
        assert!(back <= rounds, "{service}: {back} times in {rounds} rounds");
    }
    println!(
        "did: {rounds} kills among {NODES} gateways, {answered} answers, {} events",
        written.len()
    );
}

/// Asks for a message, and does not wait for the answer.
fn begin_to_send(address: &str, to: &str, ip: &str) -> TcpStream {
    let asked = json!({ "to": to, "ip": ip }).to_string();
    let length = asked.len();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /verify/send HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-key\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all((head + &asked).as_bytes()).unwrap();
    stream
}

/// All nodes die while the provider keeps silent. What became of those messages is due to be asked once their time is over, and
/// eight sweepers start at once on all of it.
#[test]
fn i28_a_delivery_that_is_due_is_inquired_about_once_however_many_sweep() {
    const SENDS: usize = 40;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let twilio = runtime.block_on(Double::start()).unwrap();
    for _ in 0..SENDS {
        twilio.then(Answer::silence());
    }
    let attempt = json!({
        "sid": format!("VL{}", "1".repeat(32)),
        "verification_sid": format!("VE{}", "1".repeat(32)),
        "date_created": chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        "conversion_status": "unconverted",
        "channel": "sms",
    });
    let page = json!({ "attempts": [attempt], "meta": { "next_page_url": null } }).to_string();
    for _ in 0..SENDS * NODES {
        twilio.then(Answer::json(200, page.clone()));
    }
    let mut nodes = Nodes::start_with("due", &program::live_vars(&twilio.base_url()));
    let to = |nth: usize| format!("+1{}55501{:02}", 303 + nth % 5, nth);
    let asking: Vec<_> = (0..SENDS)
        .map(|nth| {
            begin_to_send(
                &nodes.nodes[nth % NODES].address,
                &to(nth),
                &format!("198.51.{nth}.1"),
            )
        })
        .collect();
    while twilio.recorded().len() < SENDS {
        thread::yield_now();
    }
    for node in nodes.nodes.drain(..) {
        program::kill(node);
    }
    drop(asking);
    // Nobody is left whose work it could be.
    nodes.sql("DELETE FROM verify.lease");
    nodes.begin();
    while nodes.sql("SELECT count(*) FROM verify.record WHERE due < extract(epoch FROM now()) * 1000 + 60000")
        != "0"
    {
        thread::yield_now();
    }
    nodes.stop();
    scan::database(&nodes.server);
    let inquired = twilio.recorded().split_off(SENDS);
    let mut times: HashMap<String, usize> = HashMap::new();
    for asked in &inquired {
        assert!(
            asked.method == "GET" && asked.target.starts_with("/v2/Attempts"),
            "{asked:?}"
        );
        *times.entry(asked.target.clone()).or_default() += 1;
    }
    assert_eq!((times.len(), inquired.len()), (SENDS, SENDS), "{times:?}");
}

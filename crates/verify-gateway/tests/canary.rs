//! I-20: a full run of the program at `trace`, with a planted number, mailbox, user, codes and secrets. Nothing of it may
//! stand in what is logged, in metrics, in answers to anybody else, in what operators are explained, or in what is stored.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;
#[path = "support/scan.rs"]
mod scan;

use std::fs;
use std::io::Read;
use std::path::Path;

use program::Serving;
use serde_json::{Value, json};
use verify_lab::{PostgresServer, Syncs};

const NUMBER: &str = "+12025550167";
const MAILBOX: &str = "canary.bird@example.com";

/// What was given by whom and to whom. The last one opted out, which has no end.
const PERSONAL: [&str; 11] = [
    "2025550167",
    "555-0167",
    "canary.bird",
    "Canary.Bird",
    "canary-user",
    "canary-device",
    "canary-key",
    "canary-payee",
    "4711.42",
    "198.51.100.23",
    "2025550115",
];

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap_or_default()
}

fn post(serving: &Serving, path: &str, json: &Value) -> String {
    serving.post(path, &json.to_string())
}

/// The same under an idempotency key.
fn post_once(serving: &Serving, path: &str, key: &str, json: &Value) -> String {
    let (asked, length) = (json.to_string(), json.to_string().len());
    serving.exchange(&format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nidempotency-key: canary-key-{key}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{asked}"
    ))
}

/// What was answered, and codes, tokens and ids among it.
struct Told {
    said: String,
    secrets: Vec<String>,
}

impl Told {
    /// All that must stand nowhere.
    fn planted(&self) -> Vec<&str> {
        let secrets = self.secrets.iter().map(String::as_str);
        PERSONAL.into_iter().chain(secrets).collect()
    }
}

/// Two people go through it all, a third opted out, and what is malformed is refused.
fn all_of_it(serving: &Serving) -> Told {
    let mut told = Told {
        said: String::new(),
        secrets: Vec::new(),
    };
    for (to, spelled) in [
        (NUMBER, "+1 (202) 555-0167"),
        (MAILBOX, "Canary.Bird+tag@example.com"),
    ] {
        told.goes_through(serving, to, spelled);
    }
    let opted_out = json!({ "to": "+1 202 555 0115", "channel": "sms", "user_id": "canary-user" });
    told.said += &post(serving, "/verify/send", &opted_out);
    for bad in [
        "12025550167",
        "+1202555016x",
        "canary.bird@",
        "+12025550167 ext 5",
    ] {
        let unknown = json!({ "to": bad, "unknown": "canary-user" });
        told.said += &post(serving, "/verify/send", &unknown);
        told.said += &post(serving, "/verify/send", &json!({ "to": bad }));
    }
    told
}

impl Told {
    /// Sent, guessed wrong, sent again, approved, redeemed, and sent once more.
    fn goes_through(&mut self, serving: &Serving, to: &str, spelled: &str) {
        let later = |seconds: u32| post(serving, "/demo/clock", &json!({ "advance_seconds": seconds }));
        let person = json!({ "to": spelled, "user_id": "canary-user", "purpose": "transaction",
            "amount": "4711.42 EUR", "payee": "canary-payee" });
        let mut send = person.clone();
        send["device"] = "canary-device".into();
        send["ip"] = "198.51.100.23".into();
        let sent = post_once(serving, "/verify/send", &format!("send-{}", to.len()), &send);
        let id = body(&sent)["verification_id"].as_str().unwrap().to_owned();
        self.said += &sent;
        later(2);
        let inbox = serving.get(&format!("/demo/inbox?to={}", to.replace('+', "%2B")));
        let inbox = match body(&inbox).as_array() {
            Some(list) if !list.is_empty() => body(&inbox),
            _ => body(&serving.get("/demo/inbox?to=Canary.Bird%2Btag%40example.com")),
        };
        let code = inbox[0]["code"].as_str().unwrap().to_owned();
        let guess = json!({ "verification_id": id, "code": "909090" });
        self.said += &post(serving, "/verify/check", &guess);
        later(61);
        self.said += &post(serving, "/verify/send", &json!({ "verification_id": id }));
        self.said += &serving.get(&format!("/verify/{id}"));
        let right = json!({ "verification_id": id, "code": code });
        let approved = body(&post_once(
            serving,
            "/verify/check",
            &format!("check-{}", to.len()),
            &right,
        ));
        let proof = approved["proof"].as_str().unwrap().to_owned();
        let device = approved["device_token"].as_str().unwrap().to_owned();
        let mut redeem = person.clone();
        redeem["proof"] = proof.as_str().into();
        let redeemed = post_once(
            serving,
            "/proofs/redeem",
            &format!("redeem-{}", to.len()),
            &redeem,
        );
        assert!(redeemed.starts_with("HTTP/1.1 200"), "{redeemed}");
        self.said += &redeemed;
        self.said += &serving.get(&format!("/operator/explain/{id}"));
        self.secrets
            .extend([code, "909090".to_owned(), proof, device, id]);
        later(601);
        self.said += &post(serving, "/verify/send", &person);
    }
}

#[test]
fn i20_nothing_personal_stands_in_any_output_at_trace() {
    let vars = [
        ("LOG_LEVEL", "trace"),
        ("RUST_LOG", "trace"),
        ("VERIFY_FLOOD_SHIELD", "off"),
    ];
    let mut serving = Serving::start_with(&[], &vars, "Open http://");
    let mut told = all_of_it(&serving);
    told.said += &serving.get("/metrics");
    serving.signal("-TERM");
    let mut logged = String::new();
    serving.lines.read_to_string(&mut logged).unwrap();
    assert!(
        logged.lines().count() > 20 && logged.contains("\"level\":\"debug\""),
        "the run was logged in full"
    );
    for planted in told.planted() {
        if let Some(line) = logged.lines().find(|line| line.contains(planted)) {
            panic!("{planted} stands in the log: {line}");
        }
    }
    // Answers hold the caller's own tokens, and never a code or the destination.
    for planted in told.planted().into_iter().filter(|planted| planted.len() < 20) {
        let line = told.said.lines().find(|line| line.contains(planted));
        assert_eq!(line, None, "{planted} stands in an answer");
    }
}

/// A gateway on this store goes through it all and is killed: nobody tidies up.
fn left_on(store: &str, state: &Path) -> Told {
    let keys = program::keys();
    let vars = [("VERIFY_KEYS", keys.as_str()), ("VERIFY_FLOOD_SHIELD", "off")];
    let args = ["--store", store, "--state-dir", state.to_str().unwrap()];
    let serving = Serving::start_with(&args, &vars, "Open http://");
    let told = all_of_it(&serving);
    program::kill(serving);
    told
}

#[test]
fn i11_i20_what_a_gateway_left_in_a_file_ends_or_is_durable_and_none_of_it_is_in_the_clear() {
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join("canary");
    fs::remove_dir_all(&state).ok();
    let told = left_on("sqlite:verify.db", &state);
    let file = state.join("verify.db");
    scan::file_has_none_of(&file, &told.planted());
    // Whoever opens it brings what stands in its log into the file.
    scan::file(&file);
    scan::file_has_none_of(&file, &told.planted());
}

#[test]
fn i11_i20_what_a_gateway_left_in_postgres_ends_or_is_durable_and_none_of_it_is_in_the_clear() {
    // What another user has to reach must not lie below a home that it may not enter.
    let home = std::env::temp_dir().join("verify-tests").join("canary");
    let server = PostgresServer::start(&home.join("server"), Syncs::No, "").unwrap();
    let told = left_on(&server.url(), &home.join("state"));
    scan::database(&server);
    scan::database_has_none_of(&server, &told.planted());
}

//! I-20: a full run of the program at `trace`, with a planted number, mailbox, user, codes and secrets. Nothing of it may
//! stand in what is logged, in metrics, in answers to anybody else, or in what operators are explained.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::io::Read;

use program::Serving;
use serde_json::{Value, json};

const NUMBER: &str = "+12025550167";
const MAILBOX: &str = "canary.bird@example.com";

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap_or_default()
}

#[test]
// long because it is one run, told in order
fn i20_nothing_personal_stands_in_any_output_at_trace() {
    let vars = [
        ("LOG_LEVEL", "trace"),
        ("RUST_LOG", "trace"),
        ("VERIFY_FLOOD_SHIELD", "off"),
    ];
    let mut serving = Serving::start_with(&[], &vars, "Open http://");
    let post = |serving: &Serving, path: &str, json: Value| serving.post(path, &json.to_string());
    let mut said = String::new();
    let mut secrets = Vec::new();

    for (to, spelled) in [
        (NUMBER, "+1 (202) 555-0167"),
        (MAILBOX, "Canary.Bird+tag@example.com"),
    ] {
        let request = json!({ "to": spelled, "user_id": "canary-user", "device": "canary-device", "ip": "198.51.100.23" });
        let sent = post(&serving, "/verify/send", request);
        let id = body(&sent)["verification_id"].as_str().unwrap().to_owned();
        said += &sent;
        post(&serving, "/demo/clock", json!({ "advance_seconds": 2 }));
        let inbox = serving.get(&format!("/demo/inbox?to={}", to.replace('+', "%2B")));
        let inbox = match body(&inbox).as_array() {
            Some(list) if !list.is_empty() => body(&inbox),
            _ => body(&serving.get("/demo/inbox?to=Canary.Bird%2Btag%40example.com")),
        };
        let code = inbox[0]["code"].as_str().unwrap().to_owned();
        said += &post(
            &serving,
            "/verify/check",
            json!({ "verification_id": id, "code": "909090" }),
        );
        post(&serving, "/demo/clock", json!({ "advance_seconds": 61 }));
        said += &post(&serving, "/verify/send", json!({ "verification_id": id }));
        said += &serving.get(&format!("/verify/{id}"));
        let approved = body(&post(
            &serving,
            "/verify/check",
            json!({ "verification_id": id, "code": code }),
        ));
        let proof = approved["proof"].as_str().unwrap().to_owned();
        let device = approved["device_token"].as_str().unwrap().to_owned();
        let redeemed =
            json!({ "proof": proof, "purpose": "sign_in", "to": spelled, "user_id": "canary-user" });
        said += &post(&serving, "/proofs/redeem", redeemed);
        said += &serving.get(&format!("/operator/explain/{id}"));
        secrets.extend([code, "909090".to_owned(), proof, device, id]);
        post(&serving, "/demo/clock", json!({ "advance_seconds": 601 }));
    }
    for bad in [
        "12025550167",
        "+1202555016x",
        "canary.bird@",
        "+12025550167 ext 5",
    ] {
        said += &post(
            &serving,
            "/verify/send",
            json!({ "to": bad, "unknown": "canary-user" }),
        );
        said += &post(&serving, "/verify/send", json!({ "to": bad }));
    }
    said += &serving.get("/metrics");
    serving.signal("-TERM");
    let mut logged = String::new();
    serving.lines.read_to_string(&mut logged).unwrap();
    assert!(
        logged.lines().count() > 20 && logged.contains("\"level\":\"debug\""),
        "the run was logged in full"
    );

    let personal = [
        "2025550167",
        "555-0167",
        "canary.bird",
        "Canary.Bird",
        "canary-user",
        "canary-device",
        "198.51.100.23",
    ];
    for planted in personal.iter().copied().chain(secrets.iter().map(String::as_str)) {
        if let Some(line) = logged.lines().find(|line| line.contains(planted)) {
            panic!("{planted} stands in the log: {line}");
        }
    }
    // Answers hold the caller's own tokens, and never a code or the destination.
    for planted in personal.iter().copied().chain(
        secrets
            .iter()
            .map(String::as_str)
            .filter(|secret| secret.len() < 20),
    ) {
        let line = said.lines().find(|line| line.contains(planted));
        assert_eq!(line, None, "{planted} stands in an answer");
    }
}

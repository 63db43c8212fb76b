//! Hundreds of requests at once on a real socket, under the default policy.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use std::thread;

use program::{Serving, TempFile};
use serde_json::{Value, json};

const TO: &str = "+12025550143";

/// Status and body of an answer.
fn parsed(answer: &str) -> (u16, Value) {
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let body = answer.split("\r\n\r\n").nth(1).unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// The same request on as many connections, at the same time.
fn at_once(serving: &Serving, count: usize, path: &str, body: &Value) -> Vec<(u16, Value)> {
    let text = body.to_string();
    thread::scope(|scope| {
        let callers: Vec<_> = (0..count)
            .map(|_| scope.spawn(|| parsed(&serving.post(path, &text))))
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    })
}

fn having(answers: &[(u16, Value)], status: u16) -> usize {
    answers.iter().filter(|answer| answer.0 == status).count()
}

fn sent(serving: &Serving) -> String {
    let (status, body) = parsed(&serving.post("/verify/send", &json!({ "to": TO }).to_string()));
    assert_eq!(status, 201, "{body}");
    serving.post("/demo/clock", &json!({ "advance_seconds": 2 }).to_string());
    body["verification_id"].as_str().unwrap().to_owned()
}

fn inbox(serving: &Serving) -> Vec<Value> {
    let answer = serving.get(&format!("/demo/inbox?to=%2B{}", &TO[1..]));
    parsed(&answer).1.as_array().unwrap().clone()
}

/// A code that is not the one that arrived.
fn wrong(serving: &Serving) -> String {
    let code = inbox(serving)[0]["code"].as_str().unwrap().to_owned();
    code.chars()
        .map(|digit| if digit == '9' { '0' } else { '9' })
        .collect()
}

fn serving(args: &[&str]) -> Serving {
    // The shield would turn most of them away before anything is decided, which is not what is asked here.
    Serving::start_with(args, &[("VERIFY_FLOOD_SHIELD", "off")], "Open http://")
}

#[test]
fn i01_of_two_hundred_wrong_checks_one_is_compared() {
    let serving = serving(&[]);
    let id = sent(&serving);
    let guess = json!({ "verification_id": id, "code": wrong(&serving) });
    let answers = at_once(&serving, 200, "/verify/check", &guess);
    assert_eq!((having(&answers, 401), having(&answers, 429)), (1, 199));
}

#[test]
fn i01_of_two_hundred_wrong_checks_five_are_compared_without_the_first_wait() {
    let text = "version = 1\n[lockout]\nwaits = { 5 = \"15m\" }\n";
    let file = TempFile::new("five.toml", text);
    let serving = serving(&["--config", file.path()]);
    let id = sent(&serving);
    let guess = json!({ "verification_id": id, "code": wrong(&serving) });
    let answers = at_once(&serving, 200, "/verify/check", &guess);
    assert_eq!((having(&answers, 401), having(&answers, 429)), (5, 195));
}

#[test]
fn i02_of_two_hundred_right_checks_one_is_approved() {
    let serving = serving(&[]);
    let id = sent(&serving);
    let code = inbox(&serving)[0]["code"].as_str().unwrap().to_owned();
    let answers = at_once(
        &serving,
        200,
        "/verify/check",
        &json!({ "verification_id": id, "code": code }),
    );
    assert_eq!(having(&answers, 200), 1);
}

#[test]
fn i26_of_two_hundred_sends_one_message_arrives() {
    let serving = serving(&[]);
    let answers = at_once(&serving, 200, "/verify/send", &json!({ "to": TO }));
    serving.post("/demo/clock", &json!({ "advance_seconds": 5 }).to_string());
    assert_eq!(inbox(&serving).len(), 1);
    assert_eq!(having(&answers, 201), 1, "the others are repeats, or met the gap");
}

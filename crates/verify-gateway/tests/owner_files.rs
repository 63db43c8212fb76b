//! The two configuration files that are in use, each with the program itself, against a server that checks what it is
//! asked: method, path, authentication, and the exact form.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use program::Serving;
use serde_json::{Value, json};
use verify_core::keys::Keys;
use verify_core::vocabulary::ServiceId;
use verify_gateway::callers::{Role, entry};
use verify_twilio::double::{Answer as Twilio, Double, Recorded};

const TOML: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../verify-core/tests/fixtures/twilio-verify.toml"
);
const JSON: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../verify-core/tests/fixtures/verify.config.json"
);
const SERVICE: &str = "VA0a1b2c3d4e5f60718293a4b5c6d7e8f";
const TO: &str = "+12025550143";

fn sid() -> String {
    format!("VE{}", "1".repeat(32))
}

fn pending(status: u16) -> Twilio {
    Twilio::json(
        status,
        json!({ "sid": sid(), "status": "pending", "valid": false }).to_string(),
    )
}

/// The program under a file, calling Twilio there.
fn serving(file: &str, twilio: &Double) -> Serving {
    let keys = Keys::generate(&[7; 32]).to_text();
    let callers = [
        entry("shop", Role::App, "shop-key", &ServiceId::default()),
        entry("ops", Role::Operator, "ops-key", &ServiceId::default()),
    ]
    .join(",");
    let base = twilio.base_url();
    let vars = [
        ("TWILIO_ACCOUNT_SID", "AC2f7c2c6b2d2f4a1b9a0b3c1d2e3f4a5"),
        ("TWILIO_API_KEY_SID", "SK00000000000000000000000000000000"),
        ("TWILIO_API_KEY_SECRET", "key-secret"),
        ("TWILIO_AUTH_TOKEN", "auth-token"),
        ("TWILIO_BASE_URL", base.as_str()),
        ("VERIFY_KEYS", keys.expose()),
        ("VERIFY_DESTINATION_HMAC_KEY", "0123456789abcdef0123456789abcdef"),
        ("VERIFY_API_KEYS", callers.as_str()),
        ("VERIFY_STORE", "memory"),
    ];
    Serving::start_with(&["--config", file], &vars, "listening on http://")
}

fn call(serving: &Serving, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let answer = serving.exchange(&format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer shop-key\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    ));
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (
        status,
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap(),
    )
}

/// Every request came by this method to this path, with the API key, as a form.
#[track_caller]
fn asked(request: &Recorded, method: &str, target: &str) {
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        (method, target)
    );
    let basic = STANDARD.encode("SK00000000000000000000000000000000:key-secret");
    assert_eq!(
        request.header("authorization"),
        Some(format!("Basic {basic}").as_str())
    );
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
}

fn last(twilio: &Double) -> Recorded {
    twilio.recorded().pop().unwrap()
}

/// Send, mistype, cancel, and one send after the other that Twilio refuses, under one of the files.
// long because it is one conversation, told in order
async fn speaks_to_twilio(file: &'static str) {
    let twilio = Double::start().await.unwrap();
    let serving = tokio::task::block_in_place(|| serving(file, &twilio));
    let verifications = format!("/v2/Services/{SERVICE}/Verifications");

    twilio.then(pending(201));
    let (status, sent) = tokio::task::block_in_place(|| {
        call(&serving, "/verify/send", &json!({ "to": TO, "channel": "sms" }))
    });
    assert_eq!(
        (status, &sent["sid"], &sent["status"]),
        (201, &json!(sid()), &json!("pending")),
        "{sent}"
    );
    let started = last(&twilio);
    asked(&started, "POST", &verifications);
    let (form, tags) = started.body.split_once("&Tags=").unwrap();
    assert_eq!(form, "To=%2B12025550143&Channel=sms&Locale=en");
    assert!(
        tags.starts_with("%7B%22ref%22%3A%22") && tags.ends_with("%22%7D"),
        "{tags}"
    );

    twilio.then(pending(200));
    let check = json!({ "to": TO, "code": "123456" });
    let (status, wrong) = tokio::task::block_in_place(|| call(&serving, "/verify/check", &check));
    assert_eq!(
        (status, &wrong["code"], &wrong["valid"]),
        (401, &json!("wrong_code"), &json!(false)),
        "{wrong}"
    );
    let checked = last(&twilio);
    asked(
        &checked,
        "POST",
        &format!("/v2/Services/{SERVICE}/VerificationCheck"),
    );
    assert_eq!(checked.body, format!("VerificationSid={}&Code=123456", sid()));

    twilio.then(Twilio::json(
        200,
        json!({ "sid": sid(), "status": "canceled" }).to_string(),
    ));
    let cancel = format!("/verify/{}/cancel", sent["verification_id"].as_str().unwrap());
    let (status, canceled) = tokio::task::block_in_place(|| call(&serving, &cancel, &json!({})));
    assert_eq!(
        (status, &canceled["status"]),
        (200, &json!("canceled")),
        "{canceled}"
    );
    let told = last(&twilio);
    asked(&told, "POST", &format!("{verifications}/{}", sid()));
    assert_eq!(told.body, "Status=canceled");

    for (number, http, code, message, ours) in [
        (
            "+12025550151",
            400,
            60_200,
            "Invalid parameter `To`: +12025550151",
            (400, "invalid_destination"),
        ),
        (
            "+12025550152",
            403,
            60_205,
            "SMS is not supported by landline phone number",
            (422, "channel_unavailable"),
        ),
        (
            "+12025550153",
            429,
            60_203,
            "Max send attempts reached",
            (429, "rate_limited"),
        ),
        (
            "+12025550154",
            400,
            21_610,
            "Attempt to send to unsubscribed recipient",
            (422, "channel_unavailable"),
        ),
        (
            "+12025550155",
            401,
            20_003,
            "Authenticate",
            (503, "provider_unavailable"),
        ),
    ] {
        let asked_before = twilio.recorded().len();
        // Five sends of one address in ten minutes are what the files allow.
        let request = json!({ "to": number, "ip": "198.51.100.7" });
        twilio.then(Twilio::error(http, code, message));
        let (status, refused) = tokio::task::block_in_place(|| call(&serving, "/verify/send", &request));
        assert_eq!(
            (status, refused["code"].as_str().unwrap()),
            ours,
            "{code}: {refused}"
        );
        let text = refused.to_string();
        assert!(
            !text.contains(&code.to_string()) && !text.contains(message),
            "{text}"
        );
        assert_eq!(
            twilio.recorded().len(),
            asked_before + 1,
            "{code} was tried again"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_toml_file_speaks_to_twilio() {
    speaks_to_twilio(TOML).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_json_file_speaks_to_twilio() {
    speaks_to_twilio(JSON).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closing_is_told_to_twilio_too() {
    let twilio = Double::start().await.unwrap();
    let text = std::fs::read_to_string(TOML).unwrap() + "\n[lockout]\nwaits = { 1 = \"15m\" }\n";
    let text = text.replace("cooldown_seconds_after_failed_check = 60\n", "");
    let file = program::TempFile::new("closing.toml", &text);
    let serving = tokio::task::block_in_place(|| serving(file.path(), &twilio));
    twilio.then(pending(201)).then(pending(200));
    twilio.then(Twilio::json(
        200,
        json!({ "sid": sid(), "status": "canceled" }).to_string(),
    ));
    tokio::task::block_in_place(|| {
        assert_eq!(call(&serving, "/verify/send", &json!({ "to": TO })).0, 201);
        let (status, closed) = call(&serving, "/verify/check", &json!({ "to": TO, "code": "123456" }));
        assert_eq!(
            (status, &closed["verification_status"]),
            (401, &json!("exhausted")),
            "{closed}"
        );
    });
    let told = last(&twilio);
    asked(
        &told,
        "POST",
        &format!("/v2/Services/{SERVICE}/Verifications/{}", sid()),
    );
    assert_eq!(told.body, "Status=canceled");
}

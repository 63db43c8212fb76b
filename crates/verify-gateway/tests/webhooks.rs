//! What Twilio reports is believed when it is signed, and changes nothing otherwise.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use support::{Answer, Gateway};
use verify_twilio::double::{Answer as Twilio, Double};

const TOKEN: &str = "primary-token";
const BASE: &str = "https://verify.example.com/base";

/// A gateway with one message under way: the verification's id, and the reference that reports carry back.
async fn under_way() -> (Gateway, String, String, Double) {
    let twilio = Double::start().await.unwrap();
    twilio.then(Twilio::json(
        201,
        json!({ "sid": format!("VE{}", "1".repeat(32)), "status": "pending" }).to_string(),
    ));
    let vars = [
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_AUTH_TOKEN_SECONDARY", "second-token"),
        ("VERIFY_PUBLIC_URL", BASE),
    ];
    let gateway = Gateway::live(&twilio.base_url(), &vars);
    let key = [("authorization", "Bearer shop-key")];
    let sent = gateway
        .post_with("/verify/send", &key, json!({ "to": "+12025550143" }))
        .await
        .accepts(201);
    let id = sent["verification_id"].as_str().unwrap().to_owned();
    let started = twilio.recorded();
    let tags = form_urlencoded::parse(started[0].body.as_bytes())
        .find(|(name, _)| name == "Tags")
        .unwrap()
        .1;
    let tags: Value = serde_json::from_str(&tags).unwrap();
    let reference = tags["ref"].as_str().unwrap().to_owned();
    (gateway, id, reference, twilio)
}

/// The signature of a form, as Twilio's documentation describes it.
fn signature(token: &str, url: &str, form: &[(&str, &str)]) -> String {
    let mut fields = form.to_vec();
    fields.sort_unstable();
    let text: String = std::iter::once(url)
        .chain(fields.iter().flat_map(|(name, value)| [*name, *value]))
        .collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

async fn call_back(gateway: &Gateway, path: &str, signature: Option<&str>, form: &[(&str, &str)]) -> Answer {
    let body: String = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    // Somebody in between, or an attacker, says something about hosts; nothing of it counts.
    let request = request
        .header("x-forwarded-host", "evil.example")
        .header("host", "evil.example");
    let request = signature.into_iter().fold(request, |request, text| {
        request.header("x-twilio-signature", text)
    });
    gateway.ask(request.body(Body::from(body)).unwrap()).await
}

async fn delivery(gateway: &Gateway, id: &str) -> Value {
    let read = gateway
        .get_with(&format!("/verify/{id}"), &[("authorization", "Bearer shop-key")])
        .await
        .accepts(200);
    read["deliveries"][0]["status"].clone()
}

#[tokio::test]
async fn a_signed_report_is_taken_once_and_under_either_token() {
    let (gateway, id, reference, _twilio) = under_way().await;
    assert_eq!(delivery(&gateway, &id).await, "accepted");
    let path = format!("/webhooks/sms-status?ref={reference}");
    let form = [
        ("MessageSid", "SM1"),
        ("MessageStatus", "delivered"),
        ("NewField", "is welcome"),
    ];
    for token in [TOKEN, "second-token"] {
        let signed = signature(token, &format!("{BASE}{path}"), &form);
        call_back(&gateway, &path, Some(&signed), &form)
            .await
            .accepts(200);
        assert_eq!(delivery(&gateway, &id).await, "delivered");
    }
}

#[tokio::test]
async fn a_report_that_is_not_signed_changes_nothing() {
    let (gateway, id, reference, _twilio) = under_way().await;
    let path = format!("/webhooks/sms-status?ref={reference}");
    let form = [
        ("MessageSid", "SM1"),
        ("MessageStatus", "undelivered"),
        ("ErrorCode", "30003"),
    ];
    let url = format!("{BASE}{path}");
    let other_form = [
        ("MessageSid", "SM1"),
        ("MessageStatus", "delivered"),
        ("ErrorCode", "30003"),
    ];
    for wrong in [
        None,
        Some(String::new()),
        Some("not base64".to_owned()),
        Some(signature("another-token", &url, &form)),
        Some(signature("secret", &url, &form)),
        Some(signature(TOKEN, &format!("https://evil.example{path}"), &form)),
        Some(signature(TOKEN, &url, &other_form)),
    ] {
        call_back(&gateway, &path, wrong.as_deref(), &form)
            .await
            .refuses(403, "forbidden");
        assert_eq!(delivery(&gateway, &id).await, "accepted");
    }
}

#[tokio::test]
async fn events_lead_back_by_their_tags_and_approve_nothing() {
    let (gateway, id, reference, _twilio) = under_way().await;
    let message = "com.twilio.accountsecurity.verify.message.delivered";
    let event = json!([
        { "id": "EV1", "type": message, "data": { "message_status": "delivered", "tags": { "ref": reference } } },
        { "id": "EV2", "type": "com.twilio.accountsecurity.verify.verification.approved", "data": {} },
        { "id": "EV3", "type": message, "data": { "message_status": "delivered", "tags": { "ref": "foreign" } } },
    ]);
    let body = event.to_string();
    let hash: String = <sha2::Sha256 as sha2::Digest>::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let path = format!("/webhooks/verify-events?bodySHA256={hash}");
    let signed = signature(TOKEN, &format!("{BASE}{path}"), &[]);
    let post = async |body: &str| {
        let request = Request::post(&path)
            .header("content-type", "application/json")
            .header("x-twilio-signature", &signed);
        gateway
            .ask(request.body(Body::from(body.to_owned())).unwrap())
            .await
    };
    post(&body.replace("EV1", "EV9")).await.refuses(403, "forbidden");
    assert_eq!(delivery(&gateway, &id).await, "accepted");
    for _ in 0..2 {
        post(&body).await.accepts(200);
    }
    let read = gateway
        .get_with(&format!("/verify/{id}"), &[("authorization", "Bearer shop-key")])
        .await
        .accepts(200);
    assert_eq!(
        (&read["status"], &read["deliveries"][0]["status"]),
        (&json!("pending"), &json!("delivered"))
    );
}

#[tokio::test]
async fn large_webhooks_and_webhooks_nobody_configured_are_refused() {
    let (gateway, ..) = under_way().await;
    let long = "x".repeat(256 * 1024);
    call_back(&gateway, "/webhooks/voice-status", Some("x"), &[("a", &long)])
        .await
        .refuses(413, "too_large");
    let form = [("CallSid", "CA1"), ("CallStatus", "completed")];
    let demo = Gateway::demo();
    let signed = signature("", "/webhooks/voice-status", &form);
    call_back(&demo, "/webhooks/voice-status", Some(&signed), &form)
        .await
        .refuses(403, "forbidden");
}

#[tokio::test]
async fn codes_of_twilio_are_checked_by_twilio_and_its_name_stays_out_of_answers() {
    let (gateway, id, _, twilio) = under_way().await;
    let sid = format!("VE{}", "1".repeat(32));
    let checked = |status: &str, valid: bool| {
        Twilio::json(
            200,
            json!({ "sid": sid, "status": status, "valid": valid }).to_string(),
        )
    };
    let key = [("authorization", "Bearer shop-key")];
    twilio.then(checked("approved", true));
    let check = json!({ "verification_id": id, "code": "123456" });
    gateway
        .post_with(
            "/verify/check",
            &[("authorization", "Bearer other-key")],
            check.clone(),
        )
        .await
        .refuses(404, "not_found");
    let approved = gateway.post_with("/verify/check", &key, check).await.accepts(200);
    assert_eq!((&approved["ok"], &approved["sid"]), (&json!(true), &json!(sid)));
}

/// From one address, with a signature that does not fit and without any; who is genuine is not in their way.
#[tokio::test]
async fn unsigned_webhooks_have_a_shield_of_their_own_and_genuine_ones_pass() {
    tokio::time::pause();
    let (gateway, id, reference, _twilio) = under_way().await;
    let path = format!("/webhooks/sms-status?ref={reference}");
    let form = [("MessageSid", "SM1"), ("MessageStatus", "delivered")];
    for n in 0..10 {
        let forged = Some("Zm9yZ2Vk").filter(|_| n % 2 == 0);
        let called = call_back(&gateway, &path, forged, &form).await;
        called.refuses(403, "forbidden");
    }
    for _ in 0..100 {
        let called = call_back(&gateway, &path, Some("Zm9yZ2Vk"), &form).await;
        assert_eq!(called.refuses(503, "overloaded")["retry_after"], 1);
    }
    let gateway = gateway.from("198.51.100.9");
    let signed = signature(TOKEN, &format!("{BASE}{path}"), &form);
    for _ in 0..100 {
        let called = call_back(&gateway, &path, Some(&signed), &form).await;
        called.accepts(200);
    }
    assert_eq!(delivery(&gateway, &id).await, "delivered");
}

/// What has no signature at all is refused before it is read.
#[tokio::test]
async fn a_webhook_without_a_signature_is_not_read() {
    let (gateway, _id, _reference, _twilio) = under_way().await;
    let body = "x".repeat(300_000);
    let request = Request::post("/webhooks/verify-events").header("content-type", "application/json");
    let called = gateway.ask(request.body(Body::from(body)).unwrap()).await;
    called.refuses(403, "forbidden");
}

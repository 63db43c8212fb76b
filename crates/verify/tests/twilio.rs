//! Twilio in place of the terminal, with what stands in for it in tests.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests, not product code"
)]

#[path = "../examples/service/twilio.rs"]
mod twilio;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use verify::core::record::DeliveryStatus;
use verify::core::secret::SecretString;
use verify::prelude::*;
use verify::twilio::double::{Answer, Double, signature, with_hash_of};
use verify::twilio::webhook::{SIGNATURE, Webhooks};
use verify::twilio::{Config, Credentials};

const TOKEN: &str = "the account's auth token";
const BASE: &str = "https://shop.example.com";

fn secret() -> SecretString {
    SecretString::new(TOKEN.to_owned())
}

/// A service whose Twilio is the double.
async fn service() -> (Double, Engine, Router) {
    let double = Double::start().await.unwrap();
    let mut config = Config::new(
        format!("AC{}", "0".repeat(32)),
        Credentials::AuthToken { token: secret() },
    );
    config.base_url = Some(double.base_url());
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(twilio::provider(&config, &format!("VA{}", "0".repeat(32))).unwrap())
        .without_client_ip()
        .build()
        .unwrap();
    let router = twilio::router(
        engine.clone(),
        Webhooks::new([secret()], format!("{BASE}/")).unwrap(),
    );
    (double, engine, router)
}

/// Sends, and gives the verification's id and the event by which Twilio says that it arrived.
async fn under_way(double: &Double, engine: &Engine) -> (String, String) {
    let started = json!({ "sid": format!("VE{}", "1".repeat(32)), "status": "pending" });
    double.then(Answer::json(201, started.to_string()));
    let sent = engine.send(SendRequest::to("+12025550143")).await.answer.unwrap();
    let SendAnswer::Sent(verification) = sent else {
        panic!("not sent: {sent:?}")
    };
    // What a start says in `Tags` comes back in the events about it.
    let asked = double.recorded().remove(0).body;
    let tags = url_decoded(&asked, "Tags");
    let event = json!([{
        "id": "EZ1",
        "type": "com.twilio.accountsecurity.verify.message.delivered",
        "data": { "message_status": "delivered", "tags": tags },
    }]);
    (verification.id, event.to_string())
}

fn url_decoded(form: &str, name: &str) -> Value {
    let mut fields = verify::twilio::webhook::form("application/x-www-form-urlencoded", form.as_bytes())
        .unwrap()
        .into_iter();
    let (_, value) = fields.find(|(field, _)| field == name).unwrap();
    serde_json::from_str(&value).unwrap()
}

async fn call(router: &Router, path: &str, signature: Option<&str>, body: &str) -> StatusCode {
    let mut request = Request::post(path)
        .header("host", "evil.example")
        .header("content-type", "application/json");
    if let Some(signature) = signature {
        request = request.header(SIGNATURE, signature);
    }
    let request = request.body(Body::from(Bytes::copy_from_slice(body.as_bytes())));
    router.clone().oneshot(request.unwrap()).await.unwrap().status()
}

async fn delivery(engine: &Engine, id: &str) -> DeliveryStatus {
    match engine.status(StatusRequest::of(id)).await.answer.unwrap() {
        StatusAnswer::Found(verification) => verification.deliveries[0].1,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_signed_report_arrives_and_a_second_one_changes_nothing() {
    let (double, engine, router) = service().await;
    let (id, event) = under_way(&double, &engine).await;
    assert_eq!(delivery(&engine, &id).await, DeliveryStatus::Accepted);
    let path = with_hash_of(event.as_bytes(), "/webhooks/twilio");
    let signed = signature(TOKEN, &format!("{BASE}{path}"), &[]);
    for _ in 0..2 {
        let status = call(&router, &path, Some(&signed), &event).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(delivery(&engine, &id).await, DeliveryStatus::Delivered);
    }
}

#[tokio::test]
async fn i35_a_report_that_is_not_signed_changes_nothing() {
    let (double, engine, router) = service().await;
    let (id, event) = under_way(&double, &engine).await;
    let path = with_hash_of(event.as_bytes(), "/webhooks/twilio");
    let url = format!("{BASE}{path}");
    let other = event.replace("EZ1", "EZ2");
    for (signed, body) in [
        (None, &event),
        (Some(signature("another token", &url, &[])), &event),
        (
            Some(signature(TOKEN, &format!("https://evil.example{path}"), &[])),
            &event,
        ),
        (Some(signature(TOKEN, &url, &[])), &other),
    ] {
        let status = call(&router, &path, signed.as_deref(), body).await;
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(delivery(&engine, &id).await, DeliveryStatus::Accepted);
    }
}

//! While the store is down nothing is allowed, and everybody is told to come back.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha1::Sha1;
use support::Gateway;
use verify_core::keys::{Keys, Print};
use verify_core::secret::SecretString;
use verify_core::seed::Seed;
use verify_core::time::Timestamp;
use verify_core::token::DeliveryToken;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;
use verify_gateway::app::App;
use verify_gateway::callers::Callers;
use verify_gateway::client_ip::TrustedProxies;
use verify_gateway::demo::Demo;
use verify_gateway::explain::Explanations;
use verify_gateway::webhook::Webhooks;
use verify_memstore::MemStore;
use verify_testkit::FaultyStore;

const BASE: &str = "https://verify.example.com";

fn without_a_store(keys: &Keys) -> Gateway {
    let store = FaultyStore::new(MemStore::new());
    store.set_down(true);
    let demo = Demo::start();
    let engine = demo
        .equip(Engine::builder())
        .keys(keys.clone())
        .store(store)
        .with_client_ip()
        .build()
        .unwrap();
    let services = BTreeSet::from([ServiceId::default()]);
    let token = SecretString::new("token".to_owned());
    Gateway::over(App {
        engine,
        callers: Callers::default(),
        proxies: TrustedProxies::default(),
        explanations: Explanations::default(),
        webhooks: Webhooks::new(vec![token], Some(BASE.to_owned()), keys, &services),
        demo: Some(demo),
        metrics: None,
    })
}

#[tokio::test]
async fn nothing_is_allowed_because_the_store_is_down() {
    let keys = Keys::generate(&[1; 32]);
    let id = Gateway::with(&[("VERIFY_KEYS", keys.to_text().expose())])
        .sent("+12025550143")
        .await;
    let gateway = without_a_store(&keys);
    gateway
        .post("/verify/send", json!({ "to": "+12025550143" }))
        .await
        .refuses(503, "store_unavailable");
    let check = json!({ "verification_id": id, "code": "123456" });
    gateway
        .post("/verify/check", check)
        .await
        .refuses(503, "store_unavailable");
    gateway
        .get(&format!("/verify/{id}"))
        .await
        .refuses(503, "store_unavailable");
    assert_eq!(gateway.get("/readyz").await.accepts(503)["store"], "unavailable");
    gateway.get("/healthz").await.accepts(200);
}

#[tokio::test]
async fn twilio_is_asked_to_report_again() {
    let keys = Keys::generate(&[1; 32]);
    let gateway = without_a_store(&keys);
    let token = DeliveryToken {
        record: Print::from_bytes([2; 16]),
        nonce: [3; 16],
        delivery: 0,
    };
    let seed = Seed::from_bytes([4; 32]);
    let reference = keys
        .issue(&ServiceId::default(), Timestamp::MAX, &seed, &token)
        .unwrap();
    let post = async |reference: &str| {
        let path = format!("/webhooks/sms-status?ref={reference}");
        let mut mac = Hmac::<Sha1>::new_from_slice(b"token").unwrap();
        mac.update(format!("{BASE}{path}MessageSidSM1MessageStatusdelivered").as_bytes());
        let request = Request::post(&path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("x-twilio-signature", STANDARD.encode(mac.finalize().into_bytes()));
        gateway
            .ask(
                request
                    .body(Body::from("MessageSid=SM1&MessageStatus=delivered"))
                    .unwrap(),
            )
            .await
    };
    post(&reference).await.refuses(503, "store_unavailable");
    post("of-somebody-else").await.accepts(200);
}

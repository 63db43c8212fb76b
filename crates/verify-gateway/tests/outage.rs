//! While the store is down nothing is allowed, and everybody is told to come back.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

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
use verify_core::ids::Nonce;
use verify_core::keys::{Keys, Print};
use verify_core::secret::SecretString;
use verify_core::seed::Seed;
use verify_core::store::{Epoch, Origin, Store, StoreFault};
use verify_core::time::Timestamp;
use verify_core::token::DeliveryToken;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;
use verify_gateway::app::App;
use verify_gateway::callers::Callers;
use verify_gateway::demo::Demo;
use verify_gateway::explain::Explanations;
use verify_gateway::gate::Gate;
use verify_gateway::webhook::Webhooks;
use verify_http::TrustedProxies;
use verify_memstore::MemStore;
use verify_testkit::{FaultyStore, ModelStore, store_around};

const BASE: &str = "https://verify.example.com";

/// Refuses all that it is asked, in these words.
struct Ails<S> {
    inner: S,
    fault: StoreFault,
}

impl<S> Ails<S> {
    fn fault(&self, _: Option<&ServiceId>) -> Result<(), StoreFault> {
        Err(self.fault.clone())
    }
}

store_around! {
    Ails,
    apply(this, _changeset, _within) {
        let fault = this.fault.clone();
        StoreAnswer::NotApplied(fault)
    },
    first Self::fault
}

/// Has a bug.
struct Panics<S> {
    inner: S,
}

store_around! {
    Panics,
    apply(_this, _changeset, _within) {
        panic!("a defect of this store")
    }
}

fn without_a_store(keys: &Keys) -> Gateway {
    let store = FaultyStore::new(MemStore::new());
    store.set_down(true);
    over(store, keys)
}

fn over(store: impl Store + 'static, keys: &Keys) -> Gateway {
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
        shield: None,
        gate: Gate::new(true),
        callers: Callers::default(),
        proxies: TrustedProxies::default(),
        explanations: Explanations::default(),
        webhooks: Webhooks::new(vec![token], Some(BASE.to_owned()), keys, &services),
        demo: Some(demo),
        metrics: None,
        store: None,
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
async fn what_is_wrong_with_the_store_is_told_each_with_what_to_do() {
    let keys = Keys::generate(&[1; 32]);
    let words = "shard 3 refused +12025550142";
    for (fault, state, advice) in [
        (
            StoreFault::unavailable(words),
            "unavailable",
            "try again in a while",
        ),
        (StoreFault::full(words), "full", "give it more room"),
        (
            StoreFault::corrupt(words),
            "corrupt",
            "run the version that wrote it",
        ),
    ] {
        let gateway = over(
            Ails {
                inner: MemStore::new(),
                fault,
            },
            &keys,
        );
        let ready = gateway.get("/readyz").await.accepts(503);
        assert_eq!(
            (&ready["ok"], &ready["store"], &ready["store_detail"]),
            (&json!(false), &json!(state), &json!("shard 3 refused [number]"))
        );
        let answer = gateway
            .post("/verify/send", json!({ "to": "+12025550143" }))
            .await;
        let problem = answer.refuses(503, "store_unavailable");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("nothing was allowed") && detail.contains(advice),
            "{detail}"
        );
        let id = answer.header("x-request-id").unwrap();
        let explained = gateway.get(&format!("/operator/explain/{id}")).await.accepts(200);
        assert_eq!(explained["explanations"][0]["store"], "shard 3 refused [number]");
    }
    let well = Gateway::demo().get("/readyz").await.accepts(200);
    assert_eq!((&well["store"], well.get("store_detail")), (&json!("ok"), None));
}

/// A copy from before comes up under an epoch that nobody accepted.
#[tokio::test]
async fn i62_a_store_that_lost_its_data_is_told_with_the_wait_and_what_ends_goes_on() {
    let store = ModelStore::new();
    let gateway = over(store.clone(), &Keys::generate(&[1; 32]));
    let id = gateway.sent("+12025550143").await;
    gateway.later(1).await;
    let renew = |accepted| {
        let origin = Origin {
            epoch: Epoch([9; 16]),
            made: gateway.app.engine.now(),
            accepted,
            ..Origin::default()
        };
        store.change(|state| state.set_origin(origin));
    };
    renew(false);
    let send = || gateway.post("/verify/send", json!({ "to": "+12025550144" }));
    let check = json!({ "verification_id": id, "code": gateway.code("+12025550143").await });
    let waits = |answer: &support::Answer| {
        let problem = answer.refuses(503, "store_unavailable");
        let wait = answer.header("retry-after").unwrap().parse::<u64>().unwrap();
        assert!((3_600..=3_610).contains(&wait), "{wait}");
        assert!(
            problem["detail"].as_str().unwrap().contains("accepted"),
            "{problem}"
        );
    };
    waits(&send().await);
    waits(&gateway.post("/verify/check", check.clone()).await);
    let ready = gateway.get("/readyz").await.accepts(200);
    assert_eq!((&ready["ok"], &ready["store"]), (&json!(true), &json!("cools")));
    assert!(ready["store_cools_until"].is_string(), "{ready}");
    gateway.get(&format!("/verify/{id}")).await.accepts(200);
    let unlock = json!({ "to": "+12025550143" });
    gateway.post("/operator/unlock", unlock).await.accepts(200);

    renew(true);
    gateway.post("/verify/check", check).await.accepts(200);
    renew(false);
    waits(&send().await);
    gateway.later(3_611).await;
    send().await.accepts(201);
}

#[tokio::test]
async fn a_bug_is_told_as_one_and_explained_like_any_other_answer() {
    let inner = MemStore::new();
    let gateway = over(Panics { inner }, &Keys::generate(&[1; 32]));
    let answer = gateway
        .post("/verify/send", json!({ "to": "+12025550143" }))
        .await;
    let problem = answer.refuses(500, "internal");
    assert!(!problem.to_string().contains("defect"), "{problem}");
    let id = answer.header("x-request-id").unwrap();
    let explained = gateway.get(&format!("/operator/explain/{id}")).await.accepts(200);
    assert_eq!(explained["explanations"][0]["command"], "send");
}

#[tokio::test]
async fn twilio_is_asked_to_report_again() {
    let keys = Keys::generate(&[1; 32]);
    let gateway = without_a_store(&keys);
    let token = DeliveryToken {
        record: Print::from_bytes([2; 16]),
        nonce: Nonce::from_bytes([3; 16]),
        delivery: 0,
    };
    let seed = Seed::from_bytes([4; Seed::BYTES]);
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

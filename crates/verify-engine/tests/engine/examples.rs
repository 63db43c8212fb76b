//! The examples do what they say.

use std::net::SocketAddr;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Gate, TestProvider};

macro_rules! examples {
    ($($name:ident = $path:literal),+ $(,)?) => {$(
        #[path = $path]
        #[allow(dead_code, reason = "a test calls what `main` calls")]
        mod $name;
    )+};
}

examples! {
    smallest = "../../examples/smallest.rs",
    swapped_provider_held_clock = "../../examples/swapped_provider_held_clock.rs",
    own_provider = "../../examples/own_provider.rs",
    own_risk_scorer = "../../examples/own_risk_scorer.rs",
    axum_handler = "../../examples/axum_handler.rs",
}

#[tokio::test]
async fn the_smallest_program_approves() {
    assert_eq!(smallest::run().await.unwrap(), "approved");
}

#[tokio::test]
async fn a_swapped_provider_carries_the_code_and_a_held_clock_lets_it_die() {
    assert_eq!(
        swapped_provider_held_clock::run().await.unwrap(),
        ("approved", "not_found")
    );
}

#[tokio::test]
async fn an_own_provider_carries_the_code() {
    assert_eq!(own_provider::run().await.unwrap(), "approved");
}

#[tokio::test]
async fn an_own_risk_scorer_refuses_what_it_finds_risky() {
    let came = own_risk_scorer::run().await.unwrap();
    assert_eq!(came, [("+12025550123", "sent"), ("+12025550177", "blocked")]);
}

async fn posted(app: &axum::Router, path: &str, body: Value) -> (StatusCode, Value) {
    let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
    let request = Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .extension(ConnectInfo(peer))
        .body(Body::from(body.to_string()))
        .unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 4_096).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn the_web_application_signs_in_with_the_right_code_only() {
    let provider = TestProvider::new("fake", &Gate::open());
    let app = axum_handler::app(axum_handler::engine(provider.clone()).unwrap());
    let (status, sent) = posted(&app, "/code", json!({ "to": "+12025550123" })).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    assert!(!sent["to"].as_str().unwrap().contains("555"), "{sent}");
    let right = provider.last_code();
    let (status, body) = posted(
        &app,
        "/sign-in",
        json!({ "verification_id": sent["verification_id"], "code": right }),
    )
    .await;
    assert_eq!((status, &body["signed_in"]), (StatusCode::OK, &json!(true)));
    let again = json!({ "verification_id": sent["verification_id"], "code": right });
    assert_eq!(posted(&app, "/sign-in", again).await.0, StatusCode::NOT_FOUND);
    let (status, body) = posted(&app, "/code", json!({ "to": "no number" })).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("invalid_destination"))
    );
}

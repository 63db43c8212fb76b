//! The examples do what they say.

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{Gate, Parts};

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

/// A browser of somebody: it keeps cookies.
struct Browser<'a> {
    app: &'a axum::Router,
    parts: &'a Parts,
    cookies: Vec<(String, String)>,
}

impl Browser<'_> {
    async fn asks(&mut self, request: axum::http::request::Builder, body: Value) -> (StatusCode, Value) {
        let peer: SocketAddr = "192.0.2.1:4711".parse().unwrap();
        let cookies = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        let request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::COOKIE, cookies.collect::<Vec<_>>().join("; "))
            .extension(ConnectInfo(peer))
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = value.split(';').next().unwrap();
            self.cookies.retain(|(had, _)| had != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 4_096).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    async fn posts(&mut self, path: &str, body: Value) -> (StatusCode, Value) {
        self.asks(Request::post(path), body).await
    }

    /// Asks for a code and reads it: the verification's id, and the code.
    async fn gets_code(&mut self, path: &str, body: Value) -> (String, String) {
        // Longer ago than the gap between two messages.
        self.parts.clock.advance(Duration::from_secs(60));
        let (status, sent) = self.posts(path, body).await;
        assert_eq!(status, StatusCode::OK, "{sent}");
        assert!(!sent["to"].as_str().unwrap().contains("555"), "{sent}");
        let id = sent["verification_id"].as_str().unwrap();
        (id.to_owned(), self.parts.provider.last_code())
    }

    async fn signs_up(&mut self, account: &str, to: &str) {
        let (id, code) = self.gets_code("/sign-up/code", json!({ "to": to })).await;
        let guess = json!({ "account": account, "verification_id": id, "code": code });
        assert_eq!(self.posts("/sign-up", guess).await.0, StatusCode::OK);
        assert_eq!(self.is().await, account);
    }

    /// Whom the application takes them for.
    async fn is(&mut self) -> String {
        let (status, body) = self.asks(Request::get("/me"), Value::Null).await;
        match status {
            StatusCode::OK => body["account"].as_str().unwrap().to_owned(),
            _ => "nobody".to_owned(),
        }
    }
}

fn web() -> (axum::Router, Parts) {
    let parts = Parts::new(Gate::open());
    let engine = axum_handler::engine(parts.provider.clone()).clock(parts.clock.clone());
    (axum_handler::app(engine.build().unwrap()), parts)
}

const fn browser<'a>(app: &'a axum::Router, parts: &'a Parts) -> Browser<'a> {
    Browser {
        app,
        parts,
        cookies: Vec::new(),
    }
}

#[tokio::test]
async fn the_web_application_signs_in_with_the_account_s_own_code_and_once() {
    let (app, parts) = web();
    browser(&app, &parts).signs_up("ada", "+12025550123").await;
    let mut ada = browser(&app, &parts);
    let (id, code) = ada.gets_code("/sign-in/code", json!({ "account": "ada" })).await;
    assert_eq!(ada.is().await, "nobody", "a code is not a session");
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let guess = |code: &str| json!({ "account": "ada", "verification_id": id, "code": code });
    let key = |key: &str| Request::post("/sign-in").header("idempotency-key", key);
    let (status, body) = ada.posts("/sign-in", guess(wrong)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    parts.clock.advance(Duration::from_secs(60));
    let (status, body) = ada.asks(key("a"), guess(&code)).await;
    assert_eq!(
        (status, ada.is().await.as_str()),
        (StatusCode::OK, "ada"),
        "{body}"
    );
    // The answer was lost: the same attempt is answered again, and another is not.
    assert_eq!(ada.asks(key("a"), guess(&code)).await.0, StatusCode::OK);
    assert_eq!(ada.asks(key("b"), guess(&code)).await.0, StatusCode::NOT_FOUND);
    let (status, body) = ada.posts("/sign-up/code", json!({ "to": "no number" })).await;
    assert_eq!(
        (status, &body["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_destination"))
    );
}

/// Mallory verifies a number of her own, and names somebody else's account beside the verification's id.
#[tokio::test]
async fn the_web_application_lets_nobody_into_another_s_account_with_a_code_of_their_own() {
    let (app, parts) = web();
    browser(&app, &parts).signs_up("ada", "+12025550123").await;
    browser(&app, &parts).signs_up("mallory", "+12025550177").await;
    let mut mallory = browser(&app, &parts);
    let (id, code) = mallory
        .gets_code("/sign-in/code", json!({ "account": "mallory" }))
        .await;
    let guess = |account: &str| json!({ "account": account, "verification_id": id, "code": code });
    for path in ["/sign-in", "/sign-up"] {
        let (status, body) = mallory.posts(path, guess("ada")).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}: {body}");
        assert_eq!(mallory.is().await, "nobody", "{path}");
    }
    // Signing up spent the code; to sign in as herself she takes another.
    let mut mallory = browser(&app, &parts);
    let (id, code) = mallory
        .gets_code("/sign-up/code", json!({ "to": "+12025550178" }))
        .await;
    let taken = json!({ "account": "ada", "verification_id": id, "code": code });
    assert_eq!(mallory.posts("/sign-up", taken).await.0, StatusCode::CONFLICT);
    assert_eq!(mallory.is().await, "nobody");
}

#[tokio::test]
async fn the_web_application_moves_money_for_what_was_confirmed_and_once() {
    let (app, parts) = web();
    let mut ada = browser(&app, &parts);
    ada.signs_up("ada", "+12025550123").await;
    let transfer = |amount: &str| json!({ "amount": amount, "payee": "shop" });
    let (id, code) = ada.gets_code("/transfer/code", transfer("10 USD")).await;
    let confirmed = |amount: &str| {
        let mut body = transfer(amount);
        body["verification_id"] = json!(id);
        body["code"] = json!(code);
        body
    };
    let (status, body) = ada.posts("/transfer", confirmed("99 USD")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another amount: {body}");
    let mut stranger = browser(&app, &parts);
    assert_eq!(
        stranger.posts("/transfer", confirmed("10 USD")).await.0,
        StatusCode::UNAUTHORIZED
    );
    let (status, body) = ada.posts("/transfer", confirmed("10 USD")).await;
    assert_eq!(
        (status, &body["transfers"]),
        (StatusCode::OK, &json!(1)),
        "{body}"
    );
    assert_eq!(
        ada.posts("/transfer", confirmed("10 USD")).await.0,
        StatusCode::NOT_FOUND
    );
}

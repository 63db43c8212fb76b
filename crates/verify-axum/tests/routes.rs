//! The ready routes, as people and their applications use them.

#![allow(clippy::unwrap_used, reason = "helpers of tests, not product code")]

use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::request::Parts;
use axum::http::{Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};
use tower::ServiceExt;
use verify_axum::{Asked, ForwardingHeader, Host, Problem, ProblemCode, TrustedProxies, Who, routes};
use verify_core::command::Person;
use verify_core::keys::Keys;
use verify_core::outcome::Approval;
use verify_core::time::Timestamp;
use verify_core::vocabulary::Purpose;
use verify_engine::Engine;
use verify_memstore::MemStore;
use verify_testkit::{ManualClock, ScriptedProvider};

const MINE: &str = "+12025550123";
const THEIRS: &str = "+12025550199";

/// An application with an account for each of two numbers, which opens a session by naming the account.
#[derive(Clone)]
struct Accounts;

impl Host for Accounts {
    async fn who(&self, _parts: &Parts, asked: Asked) -> Result<Who, Response> {
        let account = match asked.to.as_str() {
            MINE => "me",
            THEIRS => "them",
            other if other.starts_with("+1202") => other,
            _ => {
                return Err(Problem::new(ProblemCode::NotFound, "no account has this number").into_response());
            }
        };
        let account = account.to_owned();
        Ok(Person::at(asked.to)
            .subject(account)
            .purpose(Purpose::SignIn)
            .into())
    }

    async fn approved(&self, _parts: &Parts, person: Person, _approval: Approval) -> Response {
        Json(json!({ "session": person.subject })).into_response()
    }
}

struct App {
    router: Router,
    provider: Arc<ScriptedProvider>,
}

struct Got {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

impl App {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let provider = Arc::new(ScriptedProvider::own("sms", Arc::clone(&clock) as _));
        let engine = Engine::builder()
            .keys(Keys::generate(&[42; 32]))
            .store(MemStore::new())
            .provider(Arc::clone(&provider))
            .clock(clock)
            .with_client_ip()
            .build()
            .unwrap();
        let proxies = TrustedProxies::new(
            vec!["10.0.0.0/8".parse().unwrap()],
            ForwardingHeader::XForwardedFor,
        );
        let router = routes(engine, Accounts)
            .layer(Extension(proxies))
            .layer(MockConnectInfo(SocketAddr::from(([10, 0, 0, 1], 4711))));
        Self { router, provider }
    }

    async fn post(&self, path: &str, body: Value, headers: &[(&str, &str)]) -> Got {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Got {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or_default(),
        }
    }

    async fn code_for(&self, to: &str) -> String {
        let got = self.post("/send", json!({ "to": to }), &[]).await;
        assert_eq!(got.status, StatusCode::CREATED, "{}", got.body);
        self.provider.last_sent_to(to).unwrap().code
    }
}

#[tokio::test]
async fn a_code_opens_the_session_of_whom_it_was_sent_to() {
    let app = App::new();
    let code = app.code_for(MINE).await;
    let got = app.post("/check", json!({ "to": MINE, "code": code }), &[]).await;
    assert_eq!(
        (got.status, &got.body),
        (StatusCode::OK, &json!({ "session": "me" }))
    );
    let cookie = got.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-verify-device="), "{cookie}");
}

#[tokio::test]
async fn a_code_for_ones_own_number_opens_no_other_account() {
    let app = App::new();
    app.code_for(THEIRS).await;
    let code = app.code_for(MINE).await;
    let got = app
        .post("/check", json!({ "to": THEIRS, "code": code }), &[])
        .await;
    assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{}", got.body);
    assert!(!got.headers.contains_key(header::SET_COOKIE));
}

#[tokio::test]
async fn a_refusal_is_a_problem_document_with_a_true_wait() {
    let app = App::new();
    app.code_for(MINE).await;
    let got = app
        .post("/send", json!({ "to": MINE, "channel": "call" }), &[])
        .await;
    assert_eq!(got.headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(got.body["ok"], false, "{}", got.body);

    let got = app
        .post("/check", json!({ "to": MINE, "code": "abcdef" }), &[])
        .await;
    assert_eq!(
        (got.status, &got.body["code"]),
        (StatusCode::BAD_REQUEST, &json!("invalid_code"))
    );

    let got = app.post("/send", json!({ "to": "+442079460000" }), &[]).await;
    assert_eq!(
        (got.status, &got.body["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_send() {
    let app = App::new();
    let key = [("idempotency-key", "k1")];
    let first = app.post("/send", json!({ "to": MINE }), &key).await;
    let again = app.post("/send", json!({ "to": MINE }), &key).await;
    assert_eq!(first.body["verification_id"], again.body["verification_id"]);
    assert_eq!(app.provider.sent().len(), 1);
}

#[tokio::test]
async fn i63_limits_count_for_the_client_behind_the_proxy() {
    let app = App::new();
    let check = |user: u32, client: &'static str| {
        let body = json!({ "to": format!("+1202555{user:04}"), "code": "123456" });
        let app = &app;
        async move { app.post("/check", body, &[("x-forwarded-for", client)]).await }
    };
    let mut refused = None;
    for user in 100..200 {
        let got = check(user, "198.51.100.1").await;
        if got.body["code"] == "rate_limited" {
            refused = Some(user);
            break;
        }
    }
    let user = refused.expect("one address may not check without end");
    assert_eq!(check(user, "198.51.100.2").await.body["code"], "not_found");
}

#[tokio::test]
async fn without_a_peer_address_it_says_how_to_serve() {
    let app = App::new();
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(app.provider)
        .with_client_ip()
        .build()
        .unwrap();
    let request = Request::post("/send")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(json!({ "to": MINE }).to_string()))
        .unwrap();
    let response = routes(engine, Accounts).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert!(String::from_utf8_lossy(&bytes).contains("into_make_service_with_connect_info"));
}

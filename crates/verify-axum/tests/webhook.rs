//! The webhook route, with a reader that believes whoever knows a word.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use tower::ServiceExt;
use verify_axum::{Called, Problem, webhook};
use verify_core::command::{Report, ReportRequest, SendRequest, StatusRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{SendAnswer, StatusAnswer};
use verify_core::record::DeliveryStatus;
use verify_core::time::Timestamp;
use verify_engine::Engine;
use verify_memstore::MemStore;
use verify_testkit::{FaultyStore, ManualClock, ScriptedProvider};

/// Where the route is nested, with a query as providers append it.
const URL: &str = "/hooks/sms?for=delivery";

struct App {
    router: Router,
    engine: Engine,
    store: Arc<FaultyStore<MemStore>>,
    id: String,
    reference: String,
}

/// Every line of the body is a reference; all arrived.
fn arrived(called: &Called) -> Result<Vec<ReportRequest>, Problem> {
    if called.header("x-word") != Some(called.path_and_query()) {
        return Err(Problem::not_signed());
    }
    let lines = std::str::from_utf8(called.body()).unwrap().lines();
    Ok(lines
        .map(|reference| ReportRequest::of(reference, Report::Delivered, "arrived"))
        .collect())
}

impl App {
    /// With one message under way.
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
        let provider = Arc::new(ScriptedProvider::own("sms", Arc::clone(&clock) as _));
        let store = Arc::new(FaultyStore::new(MemStore::new()));
        let engine = Engine::builder()
            .keys(Keys::generate(&[42; 32]))
            .store(Arc::clone(&store))
            .provider(Arc::clone(&provider))
            .clock(clock)
            .without_client_ip()
            .build()
            .unwrap();
        let sent = engine.send(SendRequest::to("+12025550123")).await.answer.unwrap();
        let SendAnswer::Sent(verification) = sent else {
            panic!("not sent: {sent:?}")
        };
        let hooks = Router::new().route("/sms", webhook(engine.clone(), arrived));
        Self {
            router: Router::new().nest("/hooks", hooks),
            engine,
            store,
            id: verification.id,
            reference: provider.sent()[0].reference.clone(),
        }
    }

    async fn call(&self, word: &str, body: String) -> StatusCode {
        let request = Request::post(URL).header("x-word", word).body(Body::from(body));
        let answered = self.router.clone().oneshot(request.unwrap()).await.unwrap();
        answered.status()
    }

    async fn delivery(&self) -> DeliveryStatus {
        let found = self.engine.status(StatusRequest::of(&self.id)).await.answer;
        let StatusAnswer::Found(verification) = found.unwrap() else {
            panic!("not found")
        };
        verification.deliveries[0].1
    }
}

#[tokio::test]
async fn a_reader_sees_the_url_as_it_was_called_and_what_it_reports_is_recorded() {
    let app = App::new().await;
    assert_eq!(
        app.call("/sms?for=delivery", app.reference.clone()).await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(app.delivery().await, DeliveryStatus::Accepted);
    let status = app.call(URL, app.reference.clone()).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(app.delivery().await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_report_that_fits_nothing_is_taken_and_keeps_no_other_back() {
    let app = App::new().await;
    let body = format!("nobody's\n{}", app.reference);
    assert_eq!(app.call(URL, body).await, StatusCode::NO_CONTENT);
    assert_eq!(app.delivery().await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn what_cannot_be_recorded_is_asked_for_again() {
    let app = App::new().await;
    app.store.set_down(true);
    let status = app.call(URL, app.reference.clone()).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    app.store.set_down(false);
    assert_eq!(app.delivery().await, DeliveryStatus::Accepted);
    assert_eq!(app.call(URL, app.reference.clone()).await, StatusCode::NO_CONTENT);
    assert_eq!(app.delivery().await, DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_not_read() {
    let app = App::new().await;
    let long = "x".repeat(verify_axum::body::MAX_WEBHOOK + 1);
    assert_eq!(app.call(URL, long).await, StatusCode::PAYLOAD_TOO_LARGE);
}

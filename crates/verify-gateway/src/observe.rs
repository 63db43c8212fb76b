//! What is seen of every request: an id, a span, a log line, two metrics. Paths are never logged, routes are: a path
//! can hold a verification id.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics::{
    Counter, Histogram, Label, Unit, counter, describe_counter, describe_gauge, describe_histogram, histogram,
};
use parking_lot::RwLock;
use tower::{Layer, Service};
use tracing::Instrument;
use verify_engine::SystemEntropy;

use verify_http::Problem;

use crate::logs::DROPPED;
use crate::serve::{ENDED, OPEN};
use crate::store::measured;

/// Requests, by `method`, `route` and `status`. Counter.
pub const REQUESTS: &str = "verify_http_requests_total";
/// From a request's head to its answer's, by `route`. Histogram, seconds.
pub const REQUEST_SECONDS: &str = "verify_http_request_seconds";
/// Requests that the flood shield turned away. Counter.
pub const SHIELDED: &str = "verify_http_shielded_total";

/// Tells the recorder what the gateway's own metrics mean; the engine tells it of its own.
pub fn describe() {
    let count = Unit::Count;
    describe_counter!(REQUESTS, count, "Requests, by method, route and status.");
    describe_counter!(SHIELDED, count, "Requests that the flood shield turned away.");
    describe_counter!(DROPPED, count, "Lines of the log that were lost.");
    describe_gauge!(OPEN, count, "Connections that are open just now.");
    measured::describe();
    let ended =
        "Connections ended because their client took too long, by why (idle, head, body, parting, room).";
    describe_counter!(ENDED, count, ended);
    let seconds = "Seconds from a request's head to its answer's, by route.";
    describe_histogram!(REQUEST_SECONDS, Unit::Seconds, seconds);
}

/// The header that carries the id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Tells one request from all others; operators find by it what decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new one. Ids that clients bring along are not used: two requests with one id would hide each other.
    pub fn fresh() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        static PROCESS: std::sync::LazyLock<u64> =
            std::sync::LazyLock::new(|| u64::from_be_bytes(SystemEntropy.bytes()));
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:016x}-{serial:x}", *PROCESS).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Wraps every route in an [`Observed`].
#[derive(Clone, Default)]
pub struct Observing {
    meters: Arc<Meters>,
}

impl<S> Layer<S> for Observing {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed {
            inner,
            meters: Arc::clone(&self.meters),
        }
    }
}

/// A route that is observed. It answers a request that panicked, too.
#[derive(Clone)]
pub struct Observed<S> {
    inner: S,
    meters: Arc<Meters>,
}

impl<S> Service<Request> for Observed<S>
where
    S: Service<Request, Error = Infallible>,
    S::Response: IntoResponse,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let start = Instant::now();
        let id = RequestId::fresh();
        let path = request.extensions().get::<MatchedPath>().cloned();
        let method = known_method(request.method().as_str());
        let route = path.as_ref().map_or("none", MatchedPath::as_str);
        let span = tracing::info_span!(
            "request",
            request_id = id.as_str(),
            route,
            caller = tracing::field::Empty
        );
        request.extensions_mut().insert(id.clone());
        let meters = Arc::clone(&self.meters);
        let answering = self.inner.call(request);
        Box::pin(async move {
            let mut response = or_internal(answering).instrument(span.clone()).await;
            let took = start.elapsed().as_secs_f64();
            let status = response.status().as_u16();
            span.in_scope(|| tracing::debug!(method, status, ms = took * 1_000.0, "answered"));
            let route = path.as_ref().map_or("none", MatchedPath::as_str);
            meters.answered(method, route, status, took);
            mark(&mut response, &id);
            Ok(response)
        })
    }
}

/// The answer, or `internal` when it panicked.
async fn or_internal<R: IntoResponse>(answering: impl Future<Output = Result<R, Infallible>>) -> Response {
    let mut answering = pin!(answering);
    let answered =
        poll_fn(
            |context| match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(Poll::Ready(Ok(answer))) => Poll::Ready(Some(answer)),
                Ok(Poll::Pending) => Poll::Pending,
                Err(_) => Poll::Ready(None),
            },
        );
    match answered.await {
        Some(answer) => answer.into_response(),
        None => {
            // The panic's own words went to the panic hook; they may hold anything, so they go no further.
            tracing::error!("a request panicked");
            Problem::internal().into_response()
        }
    }
}

/// The metrics of requests, each looked up once.
#[derive(Default)]
struct Meters {
    routes: RwLock<HashMap<Box<str>, OfRoute>>,
}

struct OfRoute {
    seconds: Histogram,
    answers: Vec<((&'static str, u16), Counter)>,
}

impl OfRoute {
    fn counter(&self, method: &'static str, status: u16) -> Option<&Counter> {
        let known = self.answers.iter().find(|(key, _)| *key == (method, status));
        known.map(|(_, counter)| counter)
    }
}

impl Meters {
    fn answered(&self, method: &'static str, route: &str, status: u16, seconds: f64) {
        if let Some(of_route) = self.routes.read().get(route)
            && let Some(counter) = of_route.counter(method, status)
        {
            of_route.seconds.record(seconds);
            counter.increment(1);
            return;
        }
        let mut routes = self.routes.write();
        let of_route = routes.entry(route.into()).or_insert_with(|| OfRoute {
            seconds: histogram!(REQUEST_SECONDS, "route" => route.to_owned()),
            answers: Vec::new(),
        });
        of_route.seconds.record(seconds);
        let labels = [
            Label::new("method", method),
            Label::new("route", route.to_owned()),
            Label::new("status", status.to_string()),
        ];
        let counter = counter!(REQUESTS, labels.iter());
        counter.increment(1);
        if of_route.counter(method, status).is_none() {
            of_route.answers.push(((method, status), counter));
        }
    }
}

/// What stands on every answer. Answers hold codes, proofs and ids, so no cache may keep them.
fn mark(response: &mut Response, id: &RequestId) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert(X_REQUEST_ID, id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// A client can invent methods; a label's values must not grow with them.
fn known_method(method: &str) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

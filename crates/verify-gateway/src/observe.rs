//! What is seen of every request: an id, a span, a log line, two metrics. Paths are never logged, routes are: a path
//! can hold a verification id.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use tracing::Instrument;
use verify_core::port::Entropy;
use verify_engine::SystemEntropy;

/// Requests, by `method`, `route` and `status`. Counter.
pub const REQUESTS: &str = "verify_http_requests_total";
/// From a request's head to its answer's, by `route`. Histogram, seconds.
pub const REQUEST_SECONDS: &str = "verify_http_request_seconds";
/// Requests that the flood shield turned away. Counter.
pub const SHIELDED: &str = "verify_http_shielded_total";

/// The header that carries the id.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Tells one request from all others; operators find by it what decided.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// A new one. Ids that clients bring along are not used: two requests with one id would hide each other.
    pub fn fresh() -> Self {
        static SERIAL: AtomicU64 = AtomicU64::new(0);
        static PROCESS: std::sync::LazyLock<u64> = std::sync::LazyLock::new(|| {
            let [a, b, c, d, e, f, g, h, ..] = SystemEntropy.seed();
            u64::from_be_bytes([a, b, c, d, e, f, g, h])
        });
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        Self(format!("{:016x}-{serial:x}", *PROCESS).into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Wraps every request.
pub async fn observe(mut request: Request, next: Next) -> Response {
    let id = RequestId::fresh();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("none".to_owned(), |path| path.as_str().to_owned());
    let method = request.method().as_str().to_owned();
    let span = tracing::info_span!(
        "request",
        request_id = id.as_str(),
        route,
        caller = tracing::field::Empty
    );
    request.extensions_mut().insert(id.clone());

    let start = Instant::now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let took = start.elapsed();

    let status = response.status().as_u16();
    span.in_scope(|| tracing::debug!(method, status, ms = took.as_secs_f64() * 1_000.0, "answered"));
    histogram!(REQUEST_SECONDS, "route" => route.clone()).record(took.as_secs_f64());
    counter!(REQUESTS, "method" => known_method(&method), "route" => route, "status" => status.to_string())
        .increment(1);
    mark(&mut response, &id);
    response
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

//! Webhooks: what a provider reports of its deliveries.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{OriginalUri, Request};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{MethodRouter, post};
use tokio::time::timeout;
use verify_core::command::ReportRequest;
use verify_engine::Engine;
use verify_http::{Problem, ProblemCode};

use crate::body::{MAX_WEBHOOK, read};

/// Providers hang up after some seconds (Twilio after 5), and want their answer before.
const PATIENCE: Duration = Duration::from_millis(3_500);

/// What a webhook was called with, as signatures cover it.
#[derive(Clone)]
pub struct Called {
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Called {
    /// Reads a request whose body has at most [`MAX_WEBHOOK`] bytes; `hold` is asked for room for each part of it.
    ///
    /// # Errors
    /// As [`read`](crate::body::read).
    pub async fn of(request: Request, hold: impl FnMut(usize) -> bool) -> Result<Self, Problem> {
        let original = request.extensions().get::<OriginalUri>();
        Ok(Self {
            uri: original.map_or_else(|| request.uri().clone(), |OriginalUri(uri)| uri.clone()),
            headers: request.headers().clone(),
            body: read(request, MAX_WEBHOOK, hold).await?,
        })
    }

    /// Path and query as they came, also where the route is nested.
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", PathAndQuery::as_str)
    }

    /// The header of this name, where there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body's bytes.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// `POST`: takes what a provider reports, and answers 204.
///
/// `read` checks that the request is genuine, before all else, and says what it reports; what it refuses changes nothing. A
/// report of a delivery that is not known, or that came before, changes nothing either. When the engine cannot record one, the
/// answer is 503, which providers take for a request to send it again: what was recorded then is a repetition.
///
/// ```
/// use axum::Router;
/// use verify_axum::{Called, Problem, webhook};
/// use verify_core::command::{Report, ReportRequest};
/// use verify_engine::Engine;
///
/// /// A provider that shows a secret, and names a delivery that arrived by the reference that it was handed.
/// fn arrived(called: &Called) -> Result<Vec<ReportRequest>, Problem> {
///     if called.header("x-secret") != Some("compare real ones in constant time") {
///         return Err(Problem::not_signed());
///     }
///     let reference = String::from_utf8_lossy(called.body());
///     Ok(vec![ReportRequest::of(&*reference, Report::Delivered, "arrived")])
/// }
///
/// fn app(engine: Engine) -> Router {
///     Router::new().route("/webhooks/sms", webhook(engine, arrived))
/// }
/// ```
///
/// Twilio's are read by `verify_twilio::webhook::Webhooks`.
pub fn webhook<S, F>(engine: Engine, read: F) -> MethodRouter<S>
where
    S: Clone + Send + Sync + 'static,
    F: Fn(&Called) -> Result<Vec<ReportRequest>, Problem> + Clone + Send + Sync + 'static,
{
    post(move |request: Request| async move {
        let called = Called::of(request, |_| true).await?;
        let reports = read(&called)?;
        report_all(reports, |report| async { engine.report(report).await.answer }).await?;
        Ok::<_, Problem>(StatusCode::NO_CONTENT)
    })
}

/// Hands reports over one after the other, all of them whatever becomes of one, for as long as a provider waits.
///
/// # Errors
/// 503 when one was not recorded.
pub async fn report_all<R, T, E>(
    reports: impl IntoIterator<Item = ReportRequest>,
    report: impl Fn(ReportRequest) -> R,
) -> Result<(), Problem>
where
    R: Future<Output = Result<T, E>>,
{
    let all = async {
        let mut failed = false;
        for one in reports {
            failed |= report(one).await.is_err();
        }
        failed
    };
    // What is dropped here goes on in the engine; sent again, it changes nothing any more.
    match timeout(PATIENCE, all).await {
        Ok(false) => Ok(()),
        Ok(true) | Err(_) => Err(Problem::new(
            ProblemCode::StoreUnavailable,
            "it could not be recorded; send it again",
        )),
    }
}

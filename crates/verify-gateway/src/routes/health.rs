//! `/healthz`, `/readyz`, `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use utoipa::ToSchema;
use verify_core::store::StoreFault;
use verify_engine::Engine;

use super::answers::OperatorKeyed;
use crate::app::{App, OperatorOrLocal};
use verify_http::{Problem, ProblemBody, ProblemCode};

/// How long an answer about readiness is given again. Probes come every few seconds.
const GLANCE_HOLDS: Duration = Duration::from_secs(2);

/// How the process is.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always true.
    ok: bool,
}

/// Whether commands can be carried out just now.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Ready {
    /// True when they can.
    ok: bool,
    /// `ok`, `unavailable`, `full`, or `corrupt` (it holds something that this version cannot read).
    #[schema(value_type = String)]
    store: &'static str,
    /// The store's own words, when it is not ok: for operators, and for requests that come straight from this machine.
    /// Numbers and mailboxes in them are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_detail: Option<String>,
    /// All providers.
    providers: Vec<ProviderState>,
}

/// How a provider is. What it said stands in the log, not here: nobody needs a key for this route.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ProviderState {
    /// Its name.
    name: String,
    /// `ok`, `unavailable`, `resting` (a breaker keeps sends or checks away) or `misconfigured` (its credentials, or what every
    /// request needs of its configuration).
    #[schema(value_type = String)]
    state: &'static str,
}

/// The process runs.
#[utoipa::path(get, path = "/healthz", tag = "host", security(()), responses((status = 200, body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { ok: true })
}

/// The store and the providers can be reached.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "host",
    security(()),
    responses(
        (status = 200, description = "Ready.", body = Ready),
        (status = 503, description = "Not ready.", body = Ready),
    )
)]
pub(super) async fn readyz(
    State(app): State<Arc<App>>,
    Extension(glance): Extension<Glance>,
    operator: Result<OperatorOrLocal, Problem>,
) -> Result<Response, Problem> {
    let mut ready = glance.at(&app.engine).await?;
    if operator.is_err() {
        ready.store_detail = None;
    }
    let status = if ready.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    Ok((status, Json(ready)).into_response())
}

/// What readiness was a moment ago.
///
/// Nobody needs a key to ask, and to answer costs a call of every provider: however many ask, they are asked once
/// in a while.
#[derive(Clone, Default)]
pub(super) struct Glance(Arc<Mutex<Option<(Instant, Ready)>>>);

impl Glance {
    async fn at(&self, engine: &Engine) -> Result<Ready, Problem> {
        let mut seen = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, ready)) = &*seen
            && at.elapsed() < GLANCE_HOLDS
        {
            return Ok(ready.clone());
        }
        let engine = engine.clone();
        // A task of its own: whoever asks and hangs up must not make the next one ask the providers again.
        let looking = tokio::spawn(async move {
            let ready = look(&engine).await;
            *seen = Some((Instant::now(), ready.clone()));
            ready
        });
        looking.await.map_err(|_| Problem::internal())
    }
}

async fn look(engine: &Engine) -> Ready {
    let readiness = engine.readiness().await;
    let store = readiness.store.as_ref().err();
    if let Some(fault) = store {
        let (kind, detail) = (fault.as_str(), fault.detail().message());
        tracing::warn!(kind, detail, "the store is not ready");
    }
    let store_detail = store.map(|fault| fault.detail().message());
    let providers = readiness.providers.iter().map(|(name, provider)| {
        let state = match &provider.health {
            Ok(()) | Err(_) if provider.operator_fault => "misconfigured",
            Ok(()) | Err(_) if provider.breaker_open => "resting",
            Ok(()) => "ok",
            Err(_) => "unavailable",
        };
        if let Err(rejection) = &provider.health {
            let (kind, detail) = (rejection.kind.as_str(), rejection.detail.message());
            tracing::warn!(provider = &**name, kind, detail, "a provider is not ready");
        }
        ProviderState {
            name: name.to_string(),
            state,
        }
    });
    Ready {
        ok: readiness.is_ready(),
        store: store.map_or("ok", StoreFault::as_str),
        store_detail: store_detail.filter(|words| !words.is_empty()).map(str::to_owned),
        providers: providers.collect(),
    }
}

/// Metrics in the text format of Prometheus. For operators, and for requests that come straight from this machine.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "host",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        OperatorKeyed,
        (status = 404, description = "`not_found`: this process records none", body = ProblemBody),
    )
)]
pub(super) async fn metrics(_: OperatorOrLocal, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let Some(recorder) = &app.metrics else {
        return Err(Problem::new(
            ProblemCode::NotFound,
            "this process records no metrics",
        ));
    };
    recorder.run_upkeep();
    Ok((
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4")],
        recorder.render(),
    )
        .into_response())
}

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
use verify_engine::{Engine, Readiness};

use super::answers::OperatorKeyed;
use crate::app::{App, OperatorOrLocal};
use crate::store::measured::age;
use crate::store::{OpenStore, WARNED_FROM};
use verify_core::time::Timestamp;
use verify_http::views::rfc3339;
use verify_http::{Problem, ProblemBody, ProblemCode};

/// How long an answer about readiness is given again. Probes come every few seconds.
const GLANCE_HOLDS: Duration = Duration::from_secs(2);
/// How old it may be while somebody looks again, which takes five seconds where somebody does not answer.
const GLANCE_HELPS: Duration = Duration::from_secs(10);

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
    /// `ok`, `unavailable`, `full`, `corrupt` (it holds something that this version cannot read), `clock` (its clock and this
    /// machine's differ: nothing is decided), or `cools` (it came up without what it held: sends, checks and redeems wait, and
    /// all else goes on).
    #[schema(value_type = String)]
    store: &'static str,
    /// Until when a store that cools is waited for, unless an operator accepts it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_cools_until: Option<String>,
    /// What is wrong, in the store's own words where it said so: for operators, and for requests that come straight from this machine.
    /// Numbers and mailboxes in them are masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    store_detail: Option<String>,
    /// The part of the store's room that is used, 0 to 1: for operators, and for requests that come straight from this machine.
    /// From 0.9 on strangers are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    store_room_used: Option<f64>,
    /// Services whose events no sink takes, from four fifths of what may wait on: for operators, and for requests that come
    /// straight from this machine. When no more fit what strangers begin is refused.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    store_outboxes: Vec<OutboxState>,
    /// All providers.
    providers: Vec<ProviderState>,
}

/// Events of a service that no sink took yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OutboxState {
    /// Whose.
    service: String,
    /// How many.
    events: u64,
    /// For how many seconds the first of them has been waiting.
    #[serde(skip_serializing_if = "Option::is_none")]
    oldest_seconds: Option<u64>,
    /// The part of what may wait, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    used: f64,
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
    let mut ready = glance.at(|| look(app.engine.clone(), app.store.clone())).await?;
    if operator.is_err() {
        ready.store_detail = None;
        ready.store_room_used = None;
        ready.store_outboxes.clear();
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
/// in a while. Who asks meanwhile does not wait for them: a provider that hangs would hold a connection for each.
#[derive(Clone, Default)]
pub(super) struct Glance(Arc<Seen>);

#[derive(Default)]
struct Seen {
    last: parking_lot::Mutex<Option<(Instant, Ready)>>,
    looking: Arc<Mutex<()>>,
}

impl Glance {
    async fn at<F>(&self, look: impl FnOnce() -> F) -> Result<Ready, Problem>
    where
        F: Future<Output = Ready> + Send + 'static,
    {
        if let Some(ready) = self.0.within(GLANCE_HOLDS) {
            return Ok(ready);
        }
        let looking = match Arc::clone(&self.0.looking).try_lock_owned() {
            Ok(looking) => looking,
            Err(_) => {
                if let Some(ready) = self.0.within(GLANCE_HELPS) {
                    return Ok(ready);
                }
                let looking = Arc::clone(&self.0.looking).lock_owned().await;
                if let Some(ready) = self.0.within(GLANCE_HOLDS) {
                    return Ok(ready);
                }
                looking
            }
        };
        let (seen, looked) = (Arc::clone(&self.0), look());
        // A task of its own: whoever asks and hangs up must not make the next one ask the providers again.
        let looked = tokio::spawn(async move {
            let ready = looked.await;
            *seen.last.lock() = Some((Instant::now(), ready.clone()));
            drop(looking);
            ready
        });
        looked.await.map_err(|_| Problem::internal())
    }
}

impl Seen {
    /// The last answer, when it is not older than that.
    fn within(&self, age: Duration) -> Option<Ready> {
        let last = self.last.lock();
        let (at, ready) = last.as_ref()?;
        (at.elapsed() < age).then(|| ready.clone())
    }
}

/// What is the matter with the store, in a word and for operators.
fn state_of_store(readiness: &Readiness) -> (&'static str, &str) {
    match (&readiness.store, readiness.cools_until) {
        (Err(fault), _) => (fault.as_str(), fault.detail().message()),
        (Ok(_), _) if readiness.clocks_differ => (
            "clock",
            "its clock and this machine's differ by more than ten seconds: set the one right that is wrong",
        ),
        (Ok(_), Some(_)) => (
            "cools",
            "it came up without what it held: limits would start from nothing. Accept it, or wait",
        ),
        (Ok(_), None) => ("ok", ""),
    }
}

/// Outboxes that are worth a word. A store that does not say is told elsewhere.
async fn nearly_full(open: &OpenStore, now: Timestamp) -> Vec<OutboxState> {
    let outboxes = open.figures().await.unwrap_or_default().outboxes;
    let nearly_full = outboxes.iter().filter(|outbox| outbox.used >= WARNED_FROM);
    nearly_full
        .map(|outbox| OutboxState {
            service: outbox.service.to_string(),
            events: outbox.events,
            oldest_seconds: age(outbox, now),
            used: in_thousandths(outbox.used),
        })
        .collect()
}

fn in_thousandths(part: f64) -> f64 {
    (part * 1_000.0).round() / 1_000.0
}

async fn look(engine: Engine, open: Option<OpenStore>) -> Ready {
    let readiness = engine.readiness().await;
    let (store, words) = state_of_store(&readiness);
    if store != "ok" {
        tracing::warn!(kind = store, detail = words, "the store is not ready");
    }
    let (room, outboxes) = match open.filter(|_| readiness.store.is_ok()) {
        Some(open) => (
            open.room_used().await.ok(),
            nearly_full(&open, engine.now()).await,
        ),
        None => (None, Vec::new()),
    };
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
        store,
        store_cools_until: readiness.cools_until.map(rfc3339),
        store_detail: (!words.is_empty()).then(|| words.to_owned()),
        store_room_used: room.map(in_thousandths),
        store_outboxes: outboxes,
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

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    fn ready() -> Ready {
        Ready {
            ok: true,
            store: "ok",
            store_cools_until: None,
            store_detail: None,
            store_room_used: None,
            store_outboxes: Vec::new(),
            providers: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn i142_whoever_asks_while_a_provider_hangs_is_answered_by_what_was_seen_before() {
        let glance = Glance::default();
        assert!(glance.at(|| async { ready() }).await.is_ok());
        advance(GLANCE_HOLDS).await;
        let looking = glance.clone();
        let hangs = tokio::spawn(async move { looking.at(std::future::pending).await });
        tokio::task::yield_now().await;
        let asked = || timeout(Duration::from_millis(1), glance.at(|| async { ready() }));
        for _ in 0..100 {
            assert!(asked().await.is_ok_and(|told| told.is_ok()));
        }
        advance(GLANCE_HELPS).await;
        assert!(asked().await.is_err(), "what is old tells nothing");
        hangs.abort();
    }
}

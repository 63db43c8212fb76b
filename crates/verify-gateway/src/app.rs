//! What all requests share, and how a request reaches the engine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use metrics_exporter_prometheus::PrometheusHandle;
use verify_core::outcome::{Refusal, VerificationView};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;

use crate::asked::Asked;
use crate::callers::{Caller, Callers, Role};
use crate::demo::Demo;
use crate::explain::Explanations;
use crate::gate::Gate;
use crate::observe::RequestId;
use crate::shield::Shield;
use crate::store::OpenStore;
use crate::webhook::Webhooks;
use verify_http::views::VerificationJson;
use verify_http::{Problem, ProblemCode};
use verify_http::{TrustedProxies, was_forwarded};

/// What all requests share.
pub struct App {
    /// The engine. It has no flood shield of its own: that would count a request twice.
    pub engine: Engine,
    /// Asked before the engine is.
    pub shield: Option<Shield>,
    /// Asked before a webhook is read.
    pub gate: Gate,
    /// Who may call; ignored in demo mode.
    pub callers: Callers,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// What decided, for operators.
    pub explanations: Explanations,
    /// Checks and reads webhooks; without one every webhook is refused.
    pub webhooks: Option<Webhooks>,
    /// The simulated provider and its inbox, in demo mode.
    pub demo: Option<Demo>,
    /// What `/metrics` shows; `None` where no recorder is installed.
    pub metrics: Option<PrometheusHandle>,
    /// The store, where `/readyz` shows how full it is.
    pub store: Option<OpenStore>,
}

impl App {
    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Does what a request asks, and keeps what decided it.
    ///
    /// # Errors
    /// `internal`, `store_unavailable` or `provider_unavailable` when it could not be done. A refusal is an answer.
    pub async fn run<R: Asked>(&self, request: &RequestId, asked: R) -> Result<R::Answer, Problem> {
        let named = asked.named().map(str::to_owned);
        let outcome = asked.ask(&self.engine).await;
        let shown = outcome.answer.as_ref().ok().and_then(R::shown);
        let ids = named.as_deref().into_iter().chain(shown);
        self.explanations.keep(request, ids, outcome.explanation);
        outcome.answer.map_err(Problem::from)
    }

    /// Whose request this is.
    ///
    /// # Errors
    /// `unauthenticated` without a known key, except in demo mode.
    fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        if self.demo.is_some() {
            return Ok(Caller::demo());
        }
        let known = bearer(headers).and_then(|key| self.callers.by_key(key));
        known.cloned().ok_or_else(|| {
            Problem::new(
                ProblemCode::Unauthenticated,
                "send a known API key as Authorization: Bearer <key>",
            )
        })
    }

    /// The address that a request comes from.
    pub(crate) fn client(&self, parts: &Parts) -> Option<IpAddr> {
        peer(parts).map(|peer| self.proxies.client(peer, &parts.headers))
    }
}

/// Asks the engine on behalf of one request, and keeps what decided.
pub struct Desk {
    app: Arc<App>,
    caller: Caller,
    request: RequestId,
    client: Option<IpAddr>,
}

impl Desk {
    /// The service of the caller.
    pub fn service(&self) -> ServiceId {
        self.caller.service.clone()
    }

    /// The caller's name.
    pub fn caller_name(&self) -> &str {
        &self.caller.name
    }

    /// What all requests share.
    pub fn app(&self) -> &App {
        &self.app
    }

    /// The address for limits: the one that the caller passes, else the client's own.
    pub fn client(&self, passed: Option<IpAddr>) -> Option<IpAddr> {
        passed.or(self.client)
    }

    /// Turns a flood away: of the client that the request names, or else of the caller.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn shield(&self, named: Option<IpAddr>) -> Result<(), Problem> {
        let now = self.app.now();
        let refusal = self.app.shield.as_ref().and_then(|shield| match named {
            Some(client) => shield.of_client(client, now),
            None => shield.of_caller(&self.caller.name, self.client?, now),
        });
        let Some(refusal) = refusal else { return Ok(()) };
        metrics::counter!(crate::observe::SHIELDED).increment(1);
        Err(Problem::refused(refusal, now))
    }

    /// Does what the request asks, and keeps what decided it.
    ///
    /// # Errors
    /// As [`App::run`].
    pub async fn run<R: Asked>(&self, asked: R) -> Result<R::Answer, Problem> {
        self.app.run(&self.request, asked).await
    }

    /// A verification as it is now.
    pub fn verification(&self, verification: VerificationView) -> Json<VerificationJson> {
        Json(VerificationJson::of(verification, self.app.now()))
    }

    /// The engine's refusal, as of now.
    pub fn refused(&self, refusal: Refusal) -> Problem {
        Problem::refused(refusal, self.app.now())
    }
}

impl FromRequestParts<Arc<App>> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let caller = app.caller(&parts.headers)?;
        tracing::Span::current().record("caller", caller.name.as_str());
        Ok(Self {
            caller,
            request: parts.extensions.get::<RequestId>().cloned().unwrap_or_default(),
            client: app.client(parts),
            app: Arc::clone(app),
        })
    }
}

/// A [`Desk`] of an operator.
pub struct OperatorDesk(pub Desk);

impl FromRequestParts<Arc<App>> for OperatorDesk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let desk = Desk::from_request_parts(parts, app).await?;
        match desk.caller.role {
            Role::Operator => Ok(Self(desk)),
            Role::App => Err(Problem::new(
                ProblemCode::Forbidden,
                "this route needs the role operator",
            )),
        }
    }
}

/// An operator, or somebody on this machine whose request came straight here.
pub struct OperatorOrLocal;

impl FromRequestParts<Arc<App>> for OperatorOrLocal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        let straight = |peer: &IpAddr| peer.to_canonical().is_loopback() && !app.proxies.trusts(*peer);
        if peer(parts).as_ref().is_some_and(straight) && !was_forwarded(&parts.headers) {
            return Ok(Self);
        }
        OperatorDesk::from_request_parts(parts, app).await.map(|_| Self)
    }
}

fn peer(parts: &Parts) -> Option<IpAddr> {
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, key) = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
}

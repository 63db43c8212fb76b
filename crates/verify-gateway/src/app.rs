//! What all requests share, and how a request reaches the engine.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use metrics_exporter_prometheus::PrometheusHandle;
use verify_core::command::{Command, Target};
use verify_core::outcome::Answer;
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_engine::Engine;

use crate::callers::{Caller, Callers, Role};
use crate::client_ip::{TrustedProxies, was_forwarded};
use crate::demo::Demo;
use crate::explain::Explanations;
use crate::observe::RequestId;
use crate::problem::{Problem, ProblemCode};
use crate::webhook::Webhooks;

/// What all requests share.
pub struct App {
    /// The engine.
    pub engine: Engine,
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
}

impl App {
    /// The engine's time.
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Carries out a command that a request brought, and keeps what decided it.
    ///
    /// # Errors
    /// Whatever the engine refuses.
    pub async fn run(&self, request: &RequestId, command: Command) -> Result<Answer, Problem> {
        let named = verification_named(&command).map(str::to_owned);
        let outcome = self.engine.run(command).await;
        match self.explanations.keep(request, named.as_deref(), outcome) {
            Answer::Refused(refusal) => Err(Problem::refused(refusal, self.now())),
            Answer::Fault(fault) => Err(fault.into()),
            answer @ (Answer::Sent(_)
            | Answer::Repeated(_)
            | Answer::Approved(_)
            | Answer::WrongCode(_)
            | Answer::Status(_)
            | Answer::Canceled(_)
            | Answer::Reported { .. }
            | Answer::Ticked { .. }
            | Answer::Redeemed(_)
            | Answer::Unlocked
            | Answer::Erased { .. }) => Ok(answer),
        }
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

    fn client(&self, parts: &Parts) -> Option<IpAddr> {
        peer(parts).map(|peer| self.proxies.client(peer, &parts.headers))
    }
}

/// Carries out commands on behalf of one request, and keeps what decided.
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

    /// Turns a flood of one client address away.
    ///
    /// # Errors
    /// `overloaded`.
    pub fn shield(&self, client: Option<IpAddr>) -> Result<(), Problem> {
        if client.is_none_or(|ip| self.app.engine.admits(ip)) {
            return Ok(());
        }
        metrics::counter!(crate::observe::SHIELDED).increment(1);
        Err(Problem::new(
            ProblemCode::Overloaded,
            "too many requests of one client at once; slow down",
        )
        .retry_after(1))
    }

    /// Carries out a command, and keeps what decided it.
    ///
    /// # Errors
    /// Whatever the engine refuses.
    pub async fn run(&self, command: Command) -> Result<Answer, Problem> {
        self.app.run(&self.request, command).await
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

/// What was a bug, or an answer that does not belong to the command.
pub fn internal() -> Problem {
    Problem::new(
        ProblemCode::Internal,
        "something went wrong here; the log of this request id says what",
    )
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

fn verification_named(command: &Command) -> Option<&str> {
    match command {
        Command::Send(request) => of_target(&request.target),
        Command::Check(request) => of_target(&request.target),
        Command::Cancel(request) | Command::Status(request) => Some(&request.verification_id),
        Command::Report(_)
        | Command::Tick(_)
        | Command::Redeem(_)
        | Command::Unlock(_)
        | Command::Erase(_) => None,
    }
}

fn of_target(target: &Target) -> Option<&str> {
    match target {
        Target::Verification(id) => Some(id.as_str()),
        Target::To { .. } => None,
    }
}

//! verify behind axum.
//!
//! - [`Problem`] is a response: a handler that returns `Result<_, Problem>` may end with `?` wherever the engine says no
//!   ([`OrProblem`]).
//! - [`ClientIp`], [`IdempotencyKey`], [`DeviceCookie`] and [`JsonBody`] read what the engine wants from a request, and
//!   refuse with problem documents too.
//! - [`routes`] are ready routes over an engine; what is the application's own (who somebody is, what a right code
//!   opens) comes in as a [`Host`].
//! - [`webhook`] is a route for what a provider reports.
//!
//! ```
//! use axum::{Extension, Json, Router, extract::State, routing::post};
//! use verify_axum::{ClientIp, IdempotencyKey, ForwardingHeader, JsonBody, OrProblem, Problem, TrustedProxies, views::VerificationJson};
//! use verify_core::command::SendRequest;
//! use verify_engine::Engine;
//!
//! #[derive(serde::Deserialize)]
//! struct AskForCode {
//!     to: String,
//! }
//!
//! async fn ask_for_code(
//!     State(engine): State<Engine>,
//!     ClientIp(ip): ClientIp,
//!     key: IdempotencyKey,
//!     JsonBody(body): JsonBody<AskForCode>,
//! ) -> Result<Json<VerificationJson>, Problem> {
//!     let mut request = SendRequest::to(body.to).ip(ip);
//!     request.idempotency_key = key.0;
//!     let sent = engine.send(request).await.or_problem(engine.now())?;
//!     Ok(Json(VerificationJson::of(sent.verification, engine.now())))
//! }
//!
//! fn app(engine: Engine) -> Router {
//!     let proxies = TrustedProxies::new(vec![], ForwardingHeader::XForwardedFor); // the load balancers before this server
//!     Router::new()
//!         .route("/code", post(ask_for_code))
//!         .layer(Extension(proxies))
//!         .with_state(engine)
//! }
//! ```
//!
//! Serve it with `into_make_service_with_connect_info::<SocketAddr>()`: without the peer's address there is no client's
//! address, and [`ClientIp`] answers 500 and says so.

pub mod body;
mod client;
mod device;
mod idempotency;
mod routes;
mod webhook;

pub use body::JsonBody;
pub use client::ClientIp;
pub use device::DeviceCookie;
pub use idempotency::IdempotencyKey;
pub use routes::{Asked, Host, Who, routes};
pub use verify_http::{
    ForwardingHeader, OrProblem, PROBLEM_JSON, Problem, ProblemBody, ProblemCode, Sent, TrustedProxies, views,
};
pub use webhook::{Called, report_all, webhook};

//! Two routes of a web application: ask for a code, and sign in with it.
//!
//! `cargo run -p verify-engine --example axum_handler`, then
//! `curl -d '{"to":"+12025550123"}' -H 'content-type: application/json' localhost:3000/code`.

use std::error::Error;
use std::net::SocketAddr;

use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, Fault, Refusal, RefusalCode, SendAnswer, wait_secs};
use verify_core::port::{DispatchRequest, Dispatched, Provider};
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;

#[derive(Deserialize)]
struct AskForCode {
    to: String,
}

#[derive(Deserialize)]
struct SignIn {
    verification_id: String,
    code: String,
}

/// The application's routes over an engine.
pub(crate) fn app(engine: Engine) -> Router {
    Router::new()
        .route("/code", post(ask_for_code))
        .route("/sign-in", post(sign_in))
        .with_state(engine)
}

async fn ask_for_code(
    State(engine): State<Engine>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<AskForCode>,
) -> Response {
    let outcome = engine.send(SendRequest::to(body.to).ip(peer.ip())).await;
    match outcome.answer {
        Ok(SendAnswer::Sent(verification) | SendAnswer::Repeated(verification)) => {
            Json(json!({ "verification_id": verification.id, "to": verification.to })).into_response()
        }
        Ok(SendAnswer::Refused(refusal)) => refused(&engine, &refusal),
        Err(fault) => failed(fault),
    }
}

async fn sign_in(
    State(engine): State<Engine>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Json(body): Json<SignIn>,
) -> Response {
    let check = CheckRequest::of(body.verification_id, body.code).ip(peer.ip());
    match engine.check(check).await.answer {
        // Here the application opens its session.
        Ok(CheckAnswer::Approved(_)) => Json(json!({ "signed_in": true })).into_response(),
        Ok(CheckAnswer::WrongCode(wrong)) => (
            StatusCode::UNAUTHORIZED,
            Json(json!({ "checks_left": wrong.checks_left })),
        )
            .into_response(),
        Ok(CheckAnswer::Refused(refusal)) => refused(&engine, &refusal),
        Err(fault) => failed(fault),
    }
}

fn refused(engine: &Engine, refusal: &Refusal) -> Response {
    let status = match refusal.code {
        RefusalCode::RateLimited | RefusalCode::Cooldown | RefusalCode::Locked => {
            StatusCode::TOO_MANY_REQUESTS
        }
        RefusalCode::NotFound => StatusCode::NOT_FOUND,
        RefusalCode::ProviderUnavailable | RefusalCode::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        RefusalCode::Blocked | RefusalCode::StepUpRequired | RefusalCode::HumanCheckRequired => {
            StatusCode::FORBIDDEN
        }
        RefusalCode::Conflict | RefusalCode::InProgress => StatusCode::CONFLICT,
        RefusalCode::InvalidRequest
        | RefusalCode::InvalidDestination
        | RefusalCode::InvalidCode
        | RefusalCode::ChannelUnavailable
        | RefusalCode::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let retry_after = refusal.retry_at.and_then(|until| wait_secs(until, engine.now()));
    (
        status,
        Json(json!({ "code": refusal.code.as_str(), "retry_after": retry_after })),
    )
        .into_response()
}

fn failed(fault: Fault) -> Response {
    let status = match fault {
        Fault::StoreUnavailable | Fault::StoreFull | Fault::StoreCorrupt | Fault::Misconfigured => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Fault::Defect => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({ "code": fault.as_str() }))).into_response()
}

/// An engine as this application wants it.
pub(crate) fn engine(provider: impl Provider + 'static) -> Result<Engine, Box<dyn Error>> {
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(provider)
        .with_client_ip()
        .flood_shield(100)
        .build()?;
    Ok(engine)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let terminal = Deliverer::new(
        "terminal",
        [Channel::Sms],
        |message: DispatchRequest| async move {
            if let Some(code) = &message.code {
                println!("a phone hears: {}", code.expose());
            }
            Dispatched::Accepted { upstream: None }
        },
    );
    let engine = engine(terminal)?;
    let background = engine.spawn_background();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let service = app(engine).into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await?;
    background.shutdown().await;
    Ok(())
}

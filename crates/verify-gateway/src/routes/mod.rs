//! The routes: each is a command of the engine, or something about the process.

#[allow(dead_code, reason = "they stand in the document; what is sent is a problem")]
mod answers;
mod check;
mod demo;
mod docs;
mod health;
mod operator;
mod proofs;
mod send;
mod verification;
mod webhooks;
mod who;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, Desk};
use crate::observe::Observing;
use crate::openapi;
use verify_axum::IdempotencyKey;
use verify_http::{Problem, ProblemCode};

/// All routes over what they share.
pub fn router(app: Arc<App>) -> Router {
    let is_demo = app.demo.is_some();
    let document = openapi::Document::default();
    let documented = OpenApiRouter::with_openapi(openapi::base(is_demo))
        .routes(routes!(send::send))
        .routes(routes!(check::check))
        .routes(routes!(verification::read))
        .routes(routes!(verification::cancel))
        .routes(routes!(proofs::redeem))
        .routes(routes!(webhooks::verify_events))
        .routes(routes!(webhooks::sms_status))
        .routes(routes!(webhooks::voice_status))
        .routes(routes!(operator::unlock))
        .routes(routes!(operator::erase))
        .routes(routes!(operator::explain))
        .routes(routes!(health::healthz))
        .routes(routes!(health::metrics))
        .merge(with(
            health::Glance::default(),
            OpenApiRouter::new().routes(routes!(health::readyz)),
        ))
        .merge(with(
            document.clone(),
            OpenApiRouter::new()
                .routes(routes!(docs::openapi))
                .routes(routes!(docs::docs)),
        ));
    let documented = match app.demo.clone() {
        Some(demo) => documented.merge(with(demo, demo::documented())),
        None => documented,
    };
    let (router, described) = documented.split_for_parts();
    document.describe(openapi::with_problems(described));
    let router = if is_demo {
        router.merge(demo::page())
    } else {
        router
    };
    router
        .merge(docs::assets())
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method)
        .layer(Observing::default())
        .with_state(app)
}

/// Routes that share something of their own; the others do not carry it along.
fn with<T: Clone + Send + Sync + 'static>(
    shared: T,
    routes: OpenApiRouter<Arc<App>>,
) -> OpenApiRouter<Arc<App>> {
    routes.layer(axum::Extension(shared))
}

async fn unknown_route() -> Problem {
    Problem::new(
        ProblemCode::NotFound,
        "there is no such route; GET /openapi.json lists them",
    )
}

async fn unknown_method() -> Problem {
    Problem::new(
        ProblemCode::MethodNotAllowed,
        "this route has no such method; the header Allow lists them",
    )
}

/// The header `Idempotency-Key` as the engine knows it: callers of one service choose their keys without knowing of each
/// other, so that each has keys of its own. Hashed, since the engine bounds the length of a key.
fn key_of(desk: &Desk, key: IdempotencyKey) -> Option<String> {
    // A name has no colon, so that no two pairs read alike.
    let own = format!("{}:{}", desk.caller_name(), key.0?);
    let hash = Sha256::digest(own.as_bytes());
    Some(hash.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// An id in the path. One that is no text is as unknown as any other.
struct PathId(String);

impl<S: Send + Sync> FromRequestParts<S> for PathId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(Problem::new(
                ProblemCode::NotFound,
                "there is nothing with this id; ask for a new code",
            )),
        }
    }
}

//! `/webhooks/…`: what Twilio reports. Signed, or nothing happens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::RequestExt;
use axum::body::Bytes;
use axum::extract::{FromRequest, OriginalUri, Request};
use axum::http::HeaderMap;
use axum::http::uri::PathAndQuery;
use serde::Serialize;
use utoipa::ToSchema;
use verify_twilio::webhook::Inbound;

use super::answers::Signed;
use crate::app::App;
use crate::observe::RequestId;
use crate::webhook::{Kind, Refused, Webhooks};
use verify_axum::body::{MAX_WEBHOOK, read};
use verify_http::{Problem, ProblemCode};

/// Twilio hangs up after 5 s, and wants its answer before.
const PATIENCE: Duration = Duration::from_millis(3_500);

/// It was taken.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Taken {
    /// Always true.
    ok: bool,
}

/// Takes events of Twilio Verify.
#[utoipa::path(
    post,
    path = "/webhooks/verify-events",
    tag = "webhooks",
    security(()),
    request_body(content = String, content_type = "application/json"),
    responses(
        (status = 200, description = "Taken; a duplicate changes nothing.", body = Taken),
        Signed,
    )
)]
pub(super) async fn verify_events(called: Called) -> Result<Json<Taken>, Problem> {
    take(Kind::VerifyEvents, called).await
}

/// Takes the status of a message.
#[utoipa::path(
    post,
    path = "/webhooks/sms-status",
    tag = "webhooks",
    security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Taken; a duplicate changes nothing.", body = Taken),
        Signed,
    )
)]
pub(super) async fn sms_status(called: Called) -> Result<Json<Taken>, Problem> {
    take(Kind::SmsStatus, called).await
}

/// Takes the status of a call.
#[utoipa::path(
    post,
    path = "/webhooks/voice-status",
    tag = "webhooks",
    security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Taken; a duplicate changes nothing.", body = Taken),
        Signed,
    )
)]
pub(super) async fn voice_status(called: Called) -> Result<Json<Taken>, Problem> {
    take(Kind::VoiceStatus, called).await
}

/// A webhook as it came.
pub(super) struct Called {
    app: Arc<App>,
    id: RequestId,
    path_and_query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl FromRequest<Arc<App>> for Called {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &Arc<App>) -> Result<Self, Problem> {
        let Ok(OriginalUri(uri)) = request.extract_parts().await;
        Ok(Self {
            app: Arc::clone(app),
            id: request.extensions().get().cloned().unwrap_or_default(),
            path_and_query: uri.path_and_query().map_or("/", PathAndQuery::as_str).to_owned(),
            headers: request.headers().clone(),
            body: read(request, MAX_WEBHOOK).await?,
        })
    }
}

async fn take(kind: Kind, called: Called) -> Result<Json<Taken>, Problem> {
    let app = called.app;
    let Some(webhooks) = &app.webhooks else {
        tracing::warn!("a webhook was refused: no auth token or no public url is configured");
        return Err(not_signed());
    };
    let reports = webhooks
        .read(kind, &called.path_and_query, &called.headers, &called.body)
        .map_err(|refused| explain(&refused))?;
    // What is dropped here goes on in the engine; sent again, it changes nothing any more.
    match tokio::time::timeout(PATIENCE, report_all(&app, webhooks, &called.id, reports)).await {
        Ok(taken) => taken.map(|()| Json(Taken { ok: true })),
        Err(_) => Err(again()),
    }
}

async fn report_all(
    app: &App,
    webhooks: &Webhooks,
    id: &RequestId,
    reports: Vec<Inbound>,
) -> Result<(), Problem> {
    let mut failed = false;
    for inbound in reports {
        let Some(report) = webhooks.command(inbound, app.now()) else {
            tracing::debug!("a report was left alone: its reference is expired or not ours");
            continue;
        };
        failed |= app.run(id, report).await.is_err();
    }
    // Those that were taken change nothing when they come again.
    if failed { Err(again()) } else { Ok(()) }
}

fn explain(refused: &Refused) -> Problem {
    tracing::warn!(why = %refused, "a webhook was refused");
    match refused {
        Refused::NotSigned(_) => not_signed(),
        Refused::Unreadable(unreadable) => Problem::new(ProblemCode::InvalidRequest, unreadable.to_string()),
    }
}

fn not_signed() -> Problem {
    Problem::new(
        ProblemCode::Forbidden,
        "the signature is missing or does not fit; the log says what was tried",
    )
}

fn again() -> Problem {
    Problem::new(
        ProblemCode::StoreUnavailable,
        "it could not be recorded; send it again",
    )
}

//! `/webhooks/…`: what Twilio reports. Signed, or nothing happens.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, OriginalUri, Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use verify_core::command::Command;
use verify_twilio::webhook::Inbound;

use crate::app::App;
use crate::body::{MAX_WEBHOOK, read};
use crate::observe::RequestId;
use crate::problem::{Problem, ProblemBody, ProblemCode};
use crate::webhook::{Kind, Refused, Webhooks};

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
        (status = 400, description = "`invalid_request`: it is signed, and not what this route expects", body = ProblemBody),
        (status = 403, description = "`forbidden`: the signature is missing or does not fit", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`: send it again", body = ProblemBody),
    )
)]
pub(super) async fn verify_events(
    app: State<Arc<App>>,
    id: Extension<RequestId>,
    uri: OriginalUri,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::VerifyEvents, app, id, uri, request).await
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
        (status = 400, description = "`invalid_request`: it is signed, and not what this route expects", body = ProblemBody),
        (status = 403, description = "`forbidden`: the signature is missing or does not fit", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`: send it again", body = ProblemBody),
    )
)]
pub(super) async fn sms_status(
    app: State<Arc<App>>,
    id: Extension<RequestId>,
    uri: OriginalUri,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::SmsStatus, app, id, uri, request).await
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
        (status = 400, description = "`invalid_request`: it is signed, and not what this route expects", body = ProblemBody),
        (status = 403, description = "`forbidden`: the signature is missing or does not fit", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`: send it again", body = ProblemBody),
    )
)]
pub(super) async fn voice_status(
    app: State<Arc<App>>,
    id: Extension<RequestId>,
    uri: OriginalUri,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::VoiceStatus, app, id, uri, request).await
}

async fn take(
    kind: Kind,
    State(app): State<Arc<App>>,
    Extension(id): Extension<RequestId>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    let headers = request.headers().clone();
    let body = read(request, MAX_WEBHOOK).await?;
    let Some(webhooks) = &app.webhooks else {
        tracing::warn!("a webhook was refused: no auth token or no public url is configured");
        return Err(not_signed());
    };
    let path_and_query = uri.path_and_query().map_or("/", |path| path.as_str());
    let reports = webhooks
        .read(kind, path_and_query, &headers, &body)
        .map_err(|refused| explain(&refused))?;
    // What is dropped here goes on in the engine; sent again, it changes nothing any more.
    match tokio::time::timeout(PATIENCE, report_all(&app, webhooks, &id, reports)).await {
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
    for inbound in reports {
        let Some(report) = webhooks.command(inbound, app.now()) else {
            tracing::debug!("a report was left alone: its reference is expired or not ours");
            continue;
        };
        if let Err(problem) = app.run(id, Command::Report(report)).await {
            let code = problem.body().code;
            if matches!(code, ProblemCode::StoreUnavailable | ProblemCode::Conflict) {
                return Err(again());
            }
            tracing::debug!(refused = code.as_str(), "a report was left alone");
        }
    }
    Ok(())
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

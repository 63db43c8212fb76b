//! `/webhooks/…`: what Twilio reports. Signed, or nothing happens.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;
use verify_core::outcome::{Refusal, RefusalCode};
use verify_core::time::Until;
use verify_twilio::webhook::{Kind, Refused, SIGNATURE};

use super::answers::Signed;
use crate::app::App;
use crate::gate;
use crate::observe::{RequestId, SHIELDED};
use verify_axum::{Called, report_all};
use verify_http::{Problem, ProblemCode};

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
pub(super) async fn verify_events(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::VerifyEvents, app, request).await
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
pub(super) async fn sms_status(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::SmsStatus, app, request).await
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
pub(super) async fn voice_status(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Taken>, Problem> {
    take(Kind::VoiceStatus, app, request).await
}

async fn take(kind: Kind, app: Arc<App>, request: Request) -> Result<Json<Taken>, Problem> {
    let (parts, body) = request.into_parts();
    // Without a socket there is no peer, and no stranger.
    let client = app.client(&parts).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let Some(mut pass) = app.gate.pass(client) else {
        metrics::counter!(SHIELDED).increment(1);
        let why = "too many webhooks without a signature that fits; send it again";
        let refusal = Refusal::new(RefusalCode::Overloaded, why);
        let now = app.now();
        return Err(Problem::refused(
            refusal.until(Until::At(now + gate::SECOND)),
            now,
        ));
    };
    let Some(webhooks) = &app.webhooks else {
        pass.unsigned();
        warn_of(&app, &"no auth token or no public url is configured");
        return Err(Problem::not_signed());
    };
    // What has no signature at all is not worth reading.
    if !parts.headers.contains_key(SIGNATURE) {
        pass.unsigned();
        warn_of(&app, &"it has no signature");
        return Err(Problem::not_signed());
    }
    let id: RequestId = parts.extensions.get().cloned().unwrap_or_default();
    let called = Called::of(Request::from_parts(parts, body), |bytes| pass.hold(bytes)).await?;
    let reports = match webhooks.read(kind, &called) {
        Ok(reports) => reports,
        Err(refused) => {
            warn_of(&app, &refused);
            return Err(match refused {
                Refused::NotSigned(_) => {
                    pass.unsigned();
                    Problem::not_signed()
                }
                Refused::Unreadable(unreadable) => {
                    Problem::new(ProblemCode::InvalidRequest, unreadable.to_string())
                }
            });
        }
    };
    let placed = reports.into_iter().filter_map(|report| {
        let placed = webhooks.placed(report, app.now());
        if placed.is_none() {
            tracing::debug!("a report was left alone: its reference is expired or not ours");
        }
        placed
    });
    report_all(placed, |report| app.run(&id, report)).await?;
    Ok(Json(Taken { ok: true }))
}

/// Anybody can cause it, so it is said now and then.
fn warn_of(app: &App, why: &dyn std::fmt::Display) {
    if let Some(not_warned) = app.gate.warns() {
        tracing::warn!(%why, not_warned, "a webhook was refused");
    }
}

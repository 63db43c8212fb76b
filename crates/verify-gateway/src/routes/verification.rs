//! `GET /verify/{id}` and `POST /verify/{id}/cancel`.

use axum::Json;
use verify_core::command::{CancelRequest, StatusRequest};

use super::PathId;
use super::answers::{Contended, Keyed, Shielded, Sought};
use crate::app::Desk;
use verify_http::views::VerificationJson;
use verify_http::{OrProblem, Problem};

/// Reads a verification. Never consumes, never counts.
#[utoipa::path(
    get,
    path = "/verify/{id}",
    tag = "verify",
    params(("id" = String, Path, description = "The verification.")),
    responses(
        (status = 200, description = "As it is.", body = VerificationJson),
        Keyed,
        Sought,
        Shielded,
    )
)]
pub(super) async fn read(desk: Desk, PathId(id): PathId) -> Result<Json<VerificationJson>, Problem> {
    desk.shield(None)?;
    let request = StatusRequest::of(id).service(desk.service());
    let found = desk.run(request).await?.or_problem(desk.app().now())?;
    Ok(desk.verification(found))
}

/// Ends a pending verification: its code is worth nothing from now on.
#[utoipa::path(
    post,
    path = "/verify/{id}/cancel",
    tag = "verify",
    params(("id" = String, Path, description = "The verification.")),
    responses(
        (status = 200, description = "It is canceled.", body = VerificationJson),
        Keyed,
        Sought,
        Contended,
        Shielded,
    )
)]
pub(super) async fn cancel(desk: Desk, PathId(id): PathId) -> Result<Json<VerificationJson>, Problem> {
    desk.shield(None)?;
    let request = CancelRequest::of(id).service(desk.service());
    let canceled = desk.run(request).await?.or_problem(desk.app().now())?;
    Ok(desk.verification(canceled))
}

//! `GET /verify/{id}` and `POST /verify/{id}/cancel`.

use axum::Json;
use verify_core::command::{Command, VerificationRequest};
use verify_core::outcome::Answer;

use super::PathId;
use crate::app::{Desk, internal};
use crate::problem::{Problem, ProblemBody};
use crate::views::VerificationView;

/// Reads a verification. Never consumes, never counts.
#[utoipa::path(
    get,
    path = "/verify/{id}",
    tag = "verify",
    params(("id" = String, Path, description = "The verification.")),
    responses(
        (status = 200, description = "As it is.", body = VerificationView),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 404, description = "`not_found`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`, `overloaded`", body = ProblemBody),
    )
)]
pub(super) async fn read(desk: Desk, PathId(id): PathId) -> Result<Json<VerificationView>, Problem> {
    answer(&desk, Command::Status(of(&desk, id)?)).await
}

/// Ends a pending verification: its code is worth nothing from now on.
#[utoipa::path(
    post,
    path = "/verify/{id}/cancel",
    tag = "verify",
    params(("id" = String, Path, description = "The verification.")),
    responses(
        (status = 200, description = "It is canceled.", body = VerificationView),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 404, description = "`not_found`", body = ProblemBody),
        (status = 409, description = "`conflict`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`, `overloaded`", body = ProblemBody),
    )
)]
pub(super) async fn cancel(desk: Desk, PathId(id): PathId) -> Result<Json<VerificationView>, Problem> {
    answer(&desk, Command::Cancel(of(&desk, id)?)).await
}

fn of(desk: &Desk, verification_id: String) -> Result<VerificationRequest, Problem> {
    desk.shield(desk.client(None))?;
    Ok(VerificationRequest {
        service: desk.service(),
        verification_id,
    })
}

async fn answer(desk: &Desk, command: Command) -> Result<Json<VerificationView>, Problem> {
    match desk.run(command).await? {
        Answer::Status(verification) | Answer::Canceled(verification) => {
            Ok(Json(VerificationView::of(*verification, desk.app().now())))
        }
        Answer::Sent(_)
        | Answer::Repeated(_)
        | Answer::Approved(_)
        | Answer::WrongCode(_)
        | Answer::Reported { .. }
        | Answer::Ticked { .. }
        | Answer::Redeemed(_)
        | Answer::Unlocked
        | Answer::Erased { .. }
        | Answer::Refused(_)
        | Answer::Fault(_) => Err(internal()),
    }
}

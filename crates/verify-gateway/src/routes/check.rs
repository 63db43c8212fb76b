//! `POST /verify/check`.

use std::net::IpAddr;

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::{Caller, CheckRequest, Command};
use verify_core::outcome::Answer;
use verify_core::vocabulary::{Country, Purpose};

use super::IdempotencyKey;
use super::send::target;
use crate::app::{Desk, internal};
use crate::body::JsonBody;
use crate::problem::{Problem, ProblemBody};
use crate::views::{ApprovalView, address, country, word};

/// A guess: for a verification, or for what is pending at a destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Check)]
pub(super) struct CheckBody {
    /// The verification; this or `to`.
    verification_id: Option<String>,
    /// The number or mailbox; this or `verification_id`.
    to: Option<String>,
    /// The code, as it was typed.
    code: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The application's own id of the user, as in the send.
    user_id: Option<String>,
    /// As in the send.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// As in the send.
    amount: Option<String>,
    /// As in the send.
    payee: Option<String>,
    /// The address of the person's device, where the caller is a backend.
    #[serde(default, deserialize_with = "address")]
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    /// From an earlier approval of this user and destination.
    device_token: Option<String>,
}

/// Checks a code.
#[utoipa::path(
    post,
    path = "/verify/check",
    tag = "verify",
    params(("Idempotency-Key" = Option<String>, Header, description = "After a lost answer, the same key gives the same proof.")),
    request_body = CheckBody,
    responses(
        (status = 200, description = "The code is right.", body = ApprovalView),
        (status = 400, description = "`invalid_request`, `invalid_destination`, `invalid_code`: nothing was counted", body = ProblemBody),
        (status = 401, description = "`wrong_code`, `unauthenticated`", body = ProblemBody),
        (status = 404, description = "`not_found`: nothing to check; ask for a new code", body = ProblemBody),
        (status = 409, description = "`conflict`, `in_progress`", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 415, description = "`unsupported_media_type`", body = ProblemBody),
        (status = 422, description = "`idempotency_mismatch`", body = ProblemBody),
        (status = 429, description = "`rate_limited`, `cooldown`, `locked`", body = ProblemBody),
        (status = 503, description = "`provider_unavailable`, `store_unavailable`, `overloaded`", body = ProblemBody),
    )
)]
pub(super) async fn check(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<CheckBody>,
) -> Result<Response, Problem> {
    let client = desk.client(body.ip);
    desk.shield(client)?;
    let request = CheckRequest {
        service: desk.service(),
        target: target(body.to, body.verification_id, body.country)?,
        code: body.code,
        subject: body.user_id,
        purpose: body.purpose.unwrap_or(Purpose::SignIn),
        amount: body.amount,
        payee: body.payee,
        caller: Caller {
            ip: client,
            device_token: body.device_token,
            ..Caller::default()
        },
        idempotency_key: key.of(&desk),
    };
    match desk.run(Command::Check(request)).await? {
        Answer::Approved(approval) => Ok(Json(ApprovalView::from(*approval)).into_response()),
        Answer::WrongCode(wrong) => Err(Problem::wrong_code(&wrong, desk.app().now())),
        Answer::Sent(_)
        | Answer::Repeated(_)
        | Answer::Status(_)
        | Answer::Canceled(_)
        | Answer::Reported { .. }
        | Answer::Ticked { .. }
        | Answer::Redeemed(_)
        | Answer::Unlocked
        | Answer::Erased { .. }
        | Answer::Refused(_)
        | Answer::Fault(_) => Err(internal()),
    }
}

//! `POST /verify/check`.

use std::net::IpAddr;

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::CheckRequest;
use verify_core::outcome::CheckAnswer;
use verify_core::vocabulary::{Country, Purpose};

use super::answers::{Bodied, Carried, Limited, Repeatable};
use super::key_of;
use super::who::Spelled;
use crate::app::Desk;
use verify_axum::{IdempotencyKey, JsonBody};
use verify_http::views::{ApprovalJson, address, country, word};
use verify_http::{Problem, ProblemBody, ProblemCode};

/// A guess: for a verification, or for what is pending at a destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Check)]
pub(super) struct CheckBody {
    /// The verification. With it, `to`, `user_id` and `purpose` say of whom it must be: whoever sends an id along chose
    /// it, so name the user for whom you are about to act. Another's is `not_found`, and nothing was counted.
    verification_id: Option<String>,
    /// The number or mailbox: whose pending code it is, or of whom the `verification_id` must be.
    to: Option<String>,
    /// The code as it was typed or pasted: white space around it is dropped, spaces and hyphens (ASCII) are left out, what
    /// remains is exactly as many digits 0 to 9 as were sent.
    code: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The application's own id of the user, as in the send: 1 to 200 bytes.
    #[schema(min_length = 1, max_length = 200)]
    user_id: Option<String>,
    /// As in the send.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// As in the send.
    #[schema(min_length = 1, max_length = 40)]
    amount: Option<String>,
    /// As in the send.
    #[schema(min_length = 1, max_length = 200)]
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
        (status = 200, description = "The code is right.", body = ApprovalJson),
        (status = 400, description = "`invalid_request`, `invalid_destination`, `invalid_code`: nothing was counted", body = ProblemBody),
        (status = 401, description = "`wrong_code`, `unauthenticated`", body = ProblemBody),
        (status = 404, description = "`not_found`: nothing to check; ask for a new code", body = ProblemBody),
        Repeatable,
        Bodied,
        (status = 422, description = "`idempotency_mismatch`", body = ProblemBody),
        Limited,
        Carried,
    )
)]
pub(super) async fn check(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<CheckBody>,
) -> Result<Json<ApprovalJson>, Problem> {
    desk.shield(body.ip)?;
    let client = desk.client(body.ip);
    let spelled = Spelled {
        country: body.country,
        user_id: body.user_id,
        purpose: body.purpose,
        amount: body.amount,
        payee: body.payee,
    };
    let target = spelled.checked(body.to, body.verification_id)?;
    let mut request = CheckRequest::new(target, body.code).service(desk.service());
    request.caller.ip = client;
    request.caller.device_token = body.device_token;
    request.idempotency_key = key_of(&desk, key);
    match desk.run(request).await? {
        CheckAnswer::Approved(approval) => Ok(Json(ApprovalJson::from(*approval))),
        // This host acts for nobody: its answer says whose code it was, and the caller compares.
        CheckAnswer::Unclaimed(unclaimed) => {
            let whose = unclaimed.whose().clone();
            let claimed = unclaimed.of(&whose);
            let approval = claimed.map_err(|_| Problem::new(ProblemCode::Internal, "internal error"))?;
            Ok(Json(approval.into()))
        }
        CheckAnswer::WrongCode(wrong) => Err(Problem::wrong_code(&wrong, desk.app().now())),
        CheckAnswer::Refused(refusal) => Err(desk.refused(refusal)),
    }
}

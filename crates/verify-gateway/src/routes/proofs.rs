//! `POST /proofs/redeem`.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::{Command, RedeemRequest};
use verify_core::outcome::Answer;
use verify_core::vocabulary::{Country, Purpose};

use super::IdempotencyKey;
use crate::app::{Desk, internal};
use crate::body::JsonBody;
use crate::problem::{Problem, ProblemBody, ProblemCode};
use crate::views::{RedemptionView, country, word};

/// A proof and all that it must prove.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Redeem)]
pub(super) struct RedeemBody {
    /// The proof of an approval.
    proof: String,
    /// Why the verification was asked for.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = String)]
    purpose: Option<Purpose>,
    /// The number or mailbox that is proven.
    to: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The application's own id of the user, when the send had one.
    user_id: Option<String>,
    /// What is paid, when the send said so.
    amount: Option<String>,
    /// To whom.
    payee: Option<String>,
}

/// Spends a proof, once. A mismatch is `not_found` and spends nothing.
#[utoipa::path(
    post,
    path = "/proofs/redeem",
    tag = "proofs",
    params(("Idempotency-Key" = Option<String>, Header, description = "After a lost answer, the same key gives the same answer.")),
    request_body = RedeemBody,
    responses(
        (status = 200, description = "It is spent.", body = RedemptionView),
        (status = 400, description = "`invalid_request`, `invalid_destination`", body = ProblemBody),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 404, description = "`not_found`: spent, expired, foreign, or not for this", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 415, description = "`unsupported_media_type`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`, `overloaded`", body = ProblemBody),
    )
)]
pub(super) async fn redeem(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RedeemBody>,
) -> Result<Json<RedemptionView>, Problem> {
    desk.shield(desk.client(None))?;
    let purpose = body.purpose.ok_or_else(|| {
        Problem::new(
            ProblemCode::InvalidRequest,
            "name the purpose that the proof must be for",
        )
        .at("purpose")
    })?;
    let request = RedeemRequest {
        service: desk.service(),
        proof: body.proof,
        purpose,
        to: body.to,
        country: body.country,
        subject: body.user_id,
        amount: body.amount,
        payee: body.payee,
        idempotency_key: key.of(&desk),
    };
    match desk.run(Command::Redeem(request)).await? {
        Answer::Redeemed(redemption) => Ok(Json(redemption.into())),
        Answer::Sent(_)
        | Answer::Repeated(_)
        | Answer::Approved(_)
        | Answer::WrongCode(_)
        | Answer::Status(_)
        | Answer::Canceled(_)
        | Answer::Reported { .. }
        | Answer::Ticked { .. }
        | Answer::Unlocked
        | Answer::Erased { .. }
        | Answer::Refused(_)
        | Answer::Fault(_) => Err(internal()),
    }
}

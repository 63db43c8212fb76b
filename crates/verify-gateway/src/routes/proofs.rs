//! `POST /proofs/redeem`.

use axum::Json;
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::RedeemRequest;
use verify_core::vocabulary::{Country, Purpose};

use super::answers::{Addressed, Bodied, Keyed, Shielded};
use super::key_of;
use super::who::Spelled;
use crate::app::Desk;
use verify_axum::{IdempotencyKey, JsonBody};
use verify_http::views::{RedemptionJson, country, word};
use verify_http::{OrProblem, Problem, ProblemBody, ProblemCode};

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
    /// The application's own id of the user, when the send had one: 1 to 200 bytes.
    #[schema(min_length = 1, max_length = 200)]
    user_id: Option<String>,
    /// What is paid, when the send said so.
    #[schema(min_length = 1, max_length = 40)]
    amount: Option<String>,
    /// To whom.
    #[schema(min_length = 1, max_length = 200)]
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
        (status = 200, description = "It is spent.", body = RedemptionJson),
        Addressed,
        Keyed,
        (status = 404, description = "`not_found`: spent, expired, foreign, or not for this", body = ProblemBody),
        Bodied,
        Shielded,
    )
)]
pub(super) async fn redeem(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<RedeemBody>,
) -> Result<Json<RedemptionJson>, Problem> {
    desk.shield(None)?;
    let purpose = body.purpose.ok_or_else(|| {
        Problem::new(
            ProblemCode::InvalidRequest,
            "name the purpose that the proof must be for",
        )
        .at("purpose")
    })?;
    let spelled = Spelled {
        country: body.country,
        user_id: body.user_id,
        purpose: Some(purpose),
        amount: body.amount,
        payee: body.payee,
    };
    let mut request = RedeemRequest::of(body.proof, spelled.person(body.to)?).service(desk.service());
    request.idempotency_key = key_of(&desk, key);
    let redemption = desk.run(request).await?.or_problem(desk.app().now())?;
    Ok(Json(redemption.into()))
}

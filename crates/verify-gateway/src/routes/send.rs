//! `POST /verify/send`: a send, a resend, "call me instead".

use std::net::IpAddr;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::{Caller, Command, SendRequest, Target};
use verify_core::outcome::Answer;
use verify_core::vocabulary::{Channel, Country, Purpose};

use super::IdempotencyKey;
use crate::app::{Desk, internal};
use crate::body::JsonBody;
use crate::problem::{Problem, ProblemBody, ProblemCode};
use crate::views::{VerificationView, address, country, word};

/// A send: to a destination, or again for the destination and identity of a verification.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Send)]
pub(super) struct SendBody {
    /// A number or a mailbox; this or `verification_id`.
    to: Option<String>,
    /// An earlier verification; this or `to`.
    verification_id: Option<String>,
    /// `sms`, `call`, `whatsapp` or `email`; the policy's default, or `email` for a mailbox.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = Option<String>)]
    channel: Option<Channel>,
    /// The application's own id of the user.
    user_id: Option<String>,
    /// `sign_in` (default), `sign_up`, `change_destination`, `recovery` or `transaction`.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// The language of the message (BCP 47).
    locale: Option<String>,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The address of the person's device, where the caller is a backend.
    #[serde(default, deserialize_with = "address")]
    #[schema(value_type = Option<String>)]
    ip: Option<IpAddr>,
    /// The autonomous system of that address.
    asn: Option<u32>,
    /// A device id of the application.
    device: Option<String>,
    /// From an earlier approval of this user and destination.
    device_token: Option<String>,
    /// True when the person agreed that the next channel is used once a failure is reported.
    #[serde(default)]
    consent: bool,
    /// The token of a human check.
    human_check: Option<String>,
    /// The proof that answers a step-up.
    proof: Option<String>,
    /// What is paid, for `transaction`.
    amount: Option<String>,
    /// To whom.
    payee: Option<String>,
    /// True when the application knows no such person and wants an answer like any other; needs private disclosure.
    #[serde(default)]
    decoy: bool,
}

/// Sends a challenge.
#[utoipa::path(
    post,
    path = "/verify/send",
    tag = "verify",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key with the same body is the same send.")),
    request_body = SendBody,
    responses(
        (status = 201, description = "A challenge is on its way.", body = VerificationView),
        (status = 200, description = "A repeat: nothing was sent, nothing counted.", body = VerificationView),
        (status = 400, description = "`invalid_request`, `invalid_destination`", body = ProblemBody),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 403, description = "`blocked`, `step_up_required`, `human_check_required`", body = ProblemBody),
        (status = 404, description = "`not_found`: the verification that is named", body = ProblemBody),
        (status = 409, description = "`conflict`, `in_progress`", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 415, description = "`unsupported_media_type`", body = ProblemBody),
        (status = 422, description = "`channel_unavailable`, `idempotency_mismatch`", body = ProblemBody),
        (status = 429, description = "`rate_limited`, `cooldown`, `locked`", body = ProblemBody),
        (status = 503, description = "`provider_unavailable`, `store_unavailable`, `overloaded`", body = ProblemBody),
    )
)]
pub(super) async fn send(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<SendBody>,
) -> Result<Response, Problem> {
    let client = desk.client(body.ip);
    desk.shield(client)?;
    let request = body.into_request(&desk, key, client)?;
    let (status, verification) = match desk.run(Command::Send(request)).await? {
        Answer::Sent(verification) => (StatusCode::CREATED, verification),
        Answer::Repeated(verification) => (StatusCode::OK, verification),
        Answer::Approved(_)
        | Answer::WrongCode(_)
        | Answer::Status(_)
        | Answer::Canceled(_)
        | Answer::Reported { .. }
        | Answer::Ticked { .. }
        | Answer::Redeemed(_)
        | Answer::Unlocked
        | Answer::Erased { .. }
        | Answer::Refused(_)
        | Answer::Fault(_) => return Err(internal()),
    };
    Ok((
        status,
        Json(VerificationView::of(*verification, desk.app().now())),
    )
        .into_response())
}

impl SendBody {
    fn into_request(
        self,
        desk: &Desk,
        key: IdempotencyKey,
        client: Option<IpAddr>,
    ) -> Result<SendRequest, Problem> {
        self.fits_together()?;
        Ok(SendRequest {
            service: desk.service(),
            target: target(self.to, self.verification_id, self.country)?,
            channel: self.channel,
            subject: self.user_id,
            purpose: self.purpose.unwrap_or(Purpose::SignIn),
            locale: self.locale,
            amount: self.amount,
            payee: self.payee,
            caller: Caller {
                ip: client,
                asn: self.asn,
                device: self.device,
                device_token: self.device_token,
            },
            consent: self.consent,
            human_check: self.human_check,
            proof: self.proof,
            decoy: self.decoy,
            idempotency_key: key.of(desk),
        })
    }

    /// A verification seals who it is for and why; a body that says it again could only contradict.
    fn fits_together(&self) -> Result<(), Problem> {
        let sealed = [
            ("country", self.country.is_some()),
            ("user_id", self.user_id.is_some()),
            ("purpose", self.purpose.is_some()),
            ("amount", self.amount.is_some()),
            ("payee", self.payee.is_some()),
        ];
        match sealed.iter().find(|(_, there)| *there) {
            Some((field, _)) if self.verification_id.is_some() => Err(Problem::new(
                ProblemCode::InvalidRequest,
                "a verification_id already says this; leave the field out",
            )
            .at(field)),
            Some(_) | None => Ok(()),
        }
    }
}

/// What a body is about: a destination or a verification, never both.
pub(super) fn target(
    to: Option<String>,
    verification_id: Option<String>,
    country: Option<Country>,
) -> Result<Target, Problem> {
    match (to, verification_id) {
        (Some(to), None) => Ok(Target::To { to, country }),
        (None, Some(id)) => Ok(Target::Verification(id)),
        (None, None) => Err(Problem::new(
            ProblemCode::InvalidRequest,
            "name a number or mailbox in to, or a verification_id",
        )
        .at("to")),
        (Some(_), Some(_)) => Err(Problem::new(
            ProblemCode::InvalidRequest,
            "name either to or a verification_id, not both",
        )
        .at("verification_id")),
    }
}

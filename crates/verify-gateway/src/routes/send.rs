//! `POST /verify/send`: a send, a resend, "call me instead".

use std::net::IpAddr;

use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use verify_core::command::SendRequest;
use verify_core::vocabulary::{Channel, Country, Purpose};

use super::answers::{Addressed, Bodied, Carried, Keyed, Limited, Repeatable};
use super::key_of;
use super::who::Spelled;
use crate::app::Desk;
use verify_axum::{IdempotencyKey, JsonBody};
use verify_http::views::{VerificationJson, address, country, word};
use verify_http::{OrProblem, Problem, ProblemBody};

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
    /// The application's own id of the user, 1 to 200 bytes; compared byte by byte.
    #[schema(min_length = 1, max_length = 200)]
    user_id: Option<String>,
    /// `sign_in` (default), `sign_up`, `change_destination`, `recovery`, `transaction`, or `manage`: showing once more who one
    /// is before something of the account changes.
    #[serde(default, deserialize_with = "word")]
    #[schema(value_type = Option<String>)]
    purpose: Option<Purpose>,
    /// The language of the message, a wish: 1 to 35 letters, digits, `-` and `_`, as in BCP 47. Where a provider does not know
    /// it, the nearest that it knows is taken, or it chooses itself.
    #[schema(min_length = 1, max_length = 35, pattern = "^[A-Za-z0-9_-]+$")]
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
    /// A device id of the application, 1 to 200 bytes.
    #[schema(min_length = 1, max_length = 200)]
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
    /// What is paid, for `transaction`: 1 to 40 bytes, words with single spaces between them, no line breaks, tabs or marks
    /// that nobody sees. Compared byte by byte.
    #[schema(min_length = 1, max_length = 40)]
    amount: Option<String>,
    /// To whom: 1 to 200 bytes, otherwise as `amount`.
    #[schema(min_length = 1, max_length = 200)]
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
        (status = 201, description = "A challenge is on its way. Under private disclosure: it was taken, and what becomes of it is not told.", body = VerificationJson),
        (status = 200, description = "A repeat: nothing was sent, nothing counted.", body = VerificationJson),
        Addressed,
        Keyed,
        (status = 403, description = "`blocked`, `step_up_required`, `human_check_required`", body = ProblemBody),
        (status = 404, description = "`not_found`: the verification that is named", body = ProblemBody),
        Repeatable,
        Bodied,
        (status = 422, description = "`channel_unavailable`, `idempotency_mismatch`", body = ProblemBody),
        Limited,
        Carried,
    )
)]
pub(super) async fn send(
    desk: Desk,
    key: IdempotencyKey,
    JsonBody(body): JsonBody<SendBody>,
) -> Result<Response, Problem> {
    desk.shield(body.ip)?;
    let client = desk.client(body.ip);
    let request = body.into_request(&desk, key, client)?;
    let sent = desk.run(request).await?.or_problem(desk.app().now())?;
    Ok((sent.status(), desk.verification(sent.verification)).into_response())
}

impl SendBody {
    fn into_request(
        self,
        desk: &Desk,
        key: IdempotencyKey,
        client: Option<IpAddr>,
    ) -> Result<SendRequest, Problem> {
        let spelled = Spelled {
            country: self.country,
            user_id: self.user_id,
            purpose: self.purpose,
            amount: self.amount,
            payee: self.payee,
        };
        let mut request = SendRequest::new(spelled.target(self.to, self.verification_id)?)
            .service(desk.service())
            .consent(self.consent)
            .decoy(self.decoy);
        request.channel = self.channel;
        request.locale = self.locale;
        request.caller.ip = client;
        request.caller.asn = self.asn;
        request.caller.device = self.device;
        request.caller.device_token = self.device_token;
        request.human_check = self.human_check;
        request.proof = self.proof;
        request.idempotency_key = key_of(desk, key);
        Ok(request)
    }
}

//! `/operator/…`: end a lockout, erase a person's records, ask what decided.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verify_core::command::{Command, PersonRequest};
use verify_core::outcome::Answer;
use verify_core::vocabulary::Country;

use super::PathId;
use crate::app::{Desk, OperatorDesk, internal};
use crate::body::JsonBody;
use crate::explain::ExplanationView;
use crate::problem::{Problem, ProblemBody, ProblemCode};
use crate::views::country;

/// A person.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Person)]
pub(super) struct PersonBody {
    /// The number or mailbox.
    to: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The application's own id of the user.
    user_id: Option<String>,
}

impl PersonBody {
    fn of(self, desk: &Desk) -> PersonRequest {
        PersonRequest {
            service: desk.service(),
            to: self.to,
            country: self.country,
            subject: self.user_id,
        }
    }
}

/// It is done.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Done {
    /// Always true.
    ok: bool,
    /// How many verifications went, for an erasure.
    #[serde(skip_serializing_if = "Option::is_none")]
    verifications: Option<usize>,
}

/// What decided, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Explained {
    explanations: Vec<ExplanationView>,
}

/// Ends a person's lockout.
#[utoipa::path(
    post,
    path = "/operator/unlock",
    tag = "operator",
    request_body = PersonBody,
    responses(
        (status = 200, description = "The run of failures is over.", body = Done),
        (status = 400, description = "`invalid_request`, `invalid_destination`", body = ProblemBody),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 403, description = "`forbidden`", body = ProblemBody),
        (status = 409, description = "`conflict`", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 415, description = "`unsupported_media_type`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`", body = ProblemBody),
    )
)]
pub(super) async fn unlock(
    OperatorDesk(desk): OperatorDesk,
    JsonBody(person): JsonBody<PersonBody>,
) -> Result<Json<Done>, Problem> {
    done(desk.run(Command::Unlock(person.of(&desk))).await?)
}

/// Erases a person's records; counters stay, so that an erasure gives nobody a fresh budget.
#[utoipa::path(
    post,
    path = "/operator/erase",
    tag = "operator",
    request_body = PersonBody,
    responses(
        (status = 200, description = "The records are gone.", body = Done),
        (status = 400, description = "`invalid_request`, `invalid_destination`", body = ProblemBody),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 403, description = "`forbidden`", body = ProblemBody),
        (status = 409, description = "`conflict`", body = ProblemBody),
        (status = 413, description = "`too_large`", body = ProblemBody),
        (status = 415, description = "`unsupported_media_type`", body = ProblemBody),
        (status = 503, description = "`store_unavailable`", body = ProblemBody),
    )
)]
pub(super) async fn erase(
    OperatorDesk(desk): OperatorDesk,
    JsonBody(person): JsonBody<PersonBody>,
) -> Result<Json<Done>, Problem> {
    done(desk.run(Command::Erase(person.of(&desk))).await?)
}

/// Says what decided, by the request id that an answer carried or by a verification id.
#[utoipa::path(
    get,
    path = "/operator/explain/{id}",
    tag = "operator",
    params(("id" = String, Path, description = "A request id or a verification id.")),
    responses(
        (status = 200, description = "What decided, as far as this process remembers.", body = Explained),
        (status = 401, description = "`unauthenticated`", body = ProblemBody),
        (status = 403, description = "`forbidden`", body = ProblemBody),
        (status = 404, description = "`not_found`", body = ProblemBody),
    )
)]
pub(super) async fn explain(
    OperatorDesk(desk): OperatorDesk,
    PathId(id): PathId,
) -> Result<Json<Explained>, Problem> {
    let service = desk.service();
    let mut explanations = desk.app().explanations.of(&id);
    explanations.retain(|one| one.service.as_deref().is_none_or(|of| of == service.as_str()));
    if explanations.is_empty() {
        return Err(Problem::new(
            ProblemCode::NotFound,
            "this process remembers nothing of that id; the event log may know more",
        ));
    }
    Ok(Json(Explained { explanations }))
}

fn done(answer: Answer) -> Result<Json<Done>, Problem> {
    match answer {
        Answer::Unlocked => Ok(Json(Done {
            ok: true,
            verifications: None,
        })),
        Answer::Erased { verifications } => Ok(Json(Done {
            ok: true,
            verifications: Some(verifications),
        })),
        Answer::Sent(_)
        | Answer::Repeated(_)
        | Answer::Approved(_)
        | Answer::WrongCode(_)
        | Answer::Status(_)
        | Answer::Canceled(_)
        | Answer::Reported { .. }
        | Answer::Ticked { .. }
        | Answer::Redeemed(_)
        | Answer::Refused(_)
        | Answer::Fault(_) => Err(internal()),
    }
}

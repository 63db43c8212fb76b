//! `/operator/…`: end a lockout, erase a person's records, ask what decided.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use verify_core::command::{EraseRequest, UnlockRequest};
use verify_core::outcome::{EraseAnswer, Stands, UnlockAnswer};
use verify_core::vocabulary::Country;

use super::PathId;
use super::answers::{Addressed, Bodied, Contended, OperatorKeyed, Sought, Stored};
use crate::app::OperatorDesk;
use crate::explain::{ExplanationJson, until};
use verify_axum::JsonBody;
use verify_http::views::country;
use verify_http::{Problem, ProblemCode};

/// A person whose lockout is ended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Unlock)]
pub(super) struct UnlockBody {
    /// The number or mailbox; any spelling of a mailbox means all that share its limits.
    to: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
    /// The application's own id of the user, 1 to 200 bytes. Its lockout is another one than the destination's: without it that one stays.
    #[schema(min_length = 1, max_length = 200)]
    user_id: Option<String>,
    /// The limits on this person's checks end too, and what was counted on them is forgotten.
    #[serde(default)]
    check_limits: bool,
}

/// Whoever is at a destination.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Erase)]
pub(super) struct EraseBody {
    /// The number or mailbox; any spelling of a mailbox means all that share its limits, tagged ones too.
    to: String,
    /// The country of a national number (ISO 3166-1, two letters).
    #[serde(default, deserialize_with = "country")]
    #[schema(value_type = Option<String>)]
    country: Option<Country>,
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

/// The lockout is over, and what refuses the person all the same.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Unlocked {
    /// Always true.
    ok: bool,
    /// Empty when nothing that is counted by this person refuses them any more.
    stands: Vec<StandsJson>,
}

/// A rule that still refuses.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Stands)]
pub(super) struct StandsJson {
    /// A limit's name, `lockout_destination` or `lockout_subject`.
    rule: String,
    /// Of whom: `stranger`, or `known` for callers with a device token.
    #[schema(value_type = String)]
    standing: &'static str,
    /// False: it is of a `user_id` that was not named. Name it, and its lockout ends too.
    named: bool,
    /// When it would admit one more: an instant, or `never`.
    until: String,
}

impl From<Stands> for StandsJson {
    fn from(stands: Stands) -> Self {
        Self {
            rule: stands.rule.to_string(),
            standing: stands.standing.as_str(),
            named: stands.named,
            until: until(stands.until),
        }
    }
}

impl Done {
    fn with(verifications: Option<usize>) -> Json<Self> {
        Json(Self {
            ok: true,
            verifications,
        })
    }
}

/// What decided, oldest first.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Explained {
    explanations: Vec<ExplanationJson>,
}

/// Ends a person's lockout, and says what stands all the same.
#[utoipa::path(
    post,
    path = "/operator/unlock",
    tag = "operator",
    request_body = UnlockBody,
    responses(
        (status = 200, description = "The run of failures is over; `stands` says what else refuses the person.", body = Unlocked),
        Addressed,
        OperatorKeyed,
        Contended,
        Bodied,
        Stored,
    )
)]
pub(super) async fn unlock(
    OperatorDesk(desk): OperatorDesk,
    JsonBody(body): JsonBody<UnlockBody>,
) -> Result<Json<Unlocked>, Problem> {
    let mut request = UnlockRequest::at(body.to)
        .service(desk.service())
        .check_limits(body.check_limits);
    request.country = body.country;
    request.subject = body.user_id;
    match desk.run(request).await? {
        UnlockAnswer::Unlocked { stands } => Ok(Json(Unlocked {
            ok: true,
            stands: stands.into_iter().map(StandsJson::from).collect(),
        })),
        UnlockAnswer::Refused(refusal) => Err(desk.refused(refusal)),
    }
}

/// Erases a person's records; counters stay, so that an erasure gives nobody a fresh budget.
#[utoipa::path(
    post,
    path = "/operator/erase",
    tag = "operator",
    request_body = EraseBody,
    responses(
        (status = 200, description = "The records are gone.", body = Done),
        Addressed,
        OperatorKeyed,
        Contended,
        Bodied,
        Stored,
    )
)]
pub(super) async fn erase(
    OperatorDesk(desk): OperatorDesk,
    JsonBody(body): JsonBody<EraseBody>,
) -> Result<Json<Done>, Problem> {
    let mut request = EraseRequest::at(body.to).service(desk.service());
    request.country = body.country;
    match desk.run(request).await? {
        EraseAnswer::Erased { verifications } => Ok(Done::with(Some(verifications))),
        EraseAnswer::Refused(refusal) => Err(desk.refused(refusal)),
    }
}

/// Says what decided, by the request id that an answer carried or by a verification id.
#[utoipa::path(
    get,
    path = "/operator/explain/{id}",
    tag = "operator",
    params(("id" = String, Path, description = "A request id or a verification id.")),
    responses(
        (status = 200, description = "What decided, as far as this process remembers.", body = Explained),
        OperatorKeyed,
        Sought,
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

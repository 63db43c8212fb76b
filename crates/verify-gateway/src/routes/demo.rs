//! `/demo/…` and the page at `/`: in demo mode only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::routing::get;
use axum::{Extension, Json, Router};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use verify_core::vocabulary::ServiceId;
use verify_demo::Message;

use super::answers::{Addressed, Bodied};
use crate::app::App;
use crate::demo::{Demo, MOST_ADVANCE};
use crate::page;
use verify_axum::JsonBody;
use verify_http::views::rfc3339;
use verify_http::{Problem, ProblemBody, ProblemCode};

/// The routes that stand in the document.
pub(super) fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(inbox))
        .routes(routes!(read_clock, advance_clock))
}

/// The page and what it loads.
pub(super) fn page() -> Router<Arc<App>> {
    Router::new()
        .route(
            "/",
            get(|| async { page::html(include_str!("../../assets/index.html")) }),
        )
        .route(
            "/demo/app.js",
            get(|| async { page::script(include_str!("../../assets/app.js")) }),
        )
        .route(
            "/demo/style.css",
            get(|| async { page::style(include_str!("../../assets/style.css")) }),
        )
}

/// Whose inbox.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct InboxQuery {
    /// A number or a mailbox.
    to: String,
}

/// A message that arrived on the simulated network.
#[derive(Serialize, ToSchema)]
pub(super) struct InboxMessage {
    /// Where.
    to: String,
    /// How.
    #[schema(value_type = String)]
    channel: &'static str,
    /// The code that it carries.
    code: String,
    /// What a person reads or hears.
    body: String,
    /// When.
    at: String,
}

impl From<Message> for InboxMessage {
    fn from(message: Message) -> Self {
        Self {
            to: message.to,
            channel: message.channel.as_str(),
            code: message.code,
            body: message.body,
            at: rfc3339(message.at),
        }
    }
}

/// How far to move the clock.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Advance {
    /// So many seconds ahead; at most 366 days.
    advance_seconds: u64,
}

/// The clock.
#[derive(Serialize, ToSchema)]
#[schema(as = Clock)]
pub(super) struct ClockJson {
    /// The engine's time.
    now: String,
    /// How far it is ahead of the wall's.
    ahead_seconds: u64,
}

/// Reads a simulated inbox, newest first.
#[utoipa::path(
    get,
    path = "/demo/inbox",
    tag = "demo",
    params(InboxQuery),
    responses(
        (status = 200, body = Vec<InboxMessage>),
        Addressed,
    )
)]
async fn inbox(
    State(app): State<Arc<App>>,
    Extension(demo): Extension<Demo>,
    query: Result<Query<InboxQuery>, QueryRejection>,
) -> Result<Json<Vec<InboxMessage>>, Problem> {
    let Query(InboxQuery { to }) = query.map_err(|_| {
        Problem::new(
            ProblemCode::InvalidRequest,
            "name the number or mailbox: /demo/inbox?to=…",
        )
    })?;
    // A plus sign that nobody encoded arrives as a blank.
    let to = if to.starts_with(' ') {
        format!("+{}", to.trim_start())
    } else {
        to
    };
    let read = app.engine.destination(&ServiceId::default(), &to, None);
    let to =
        read.map_err(|error| Problem::new(ProblemCode::InvalidDestination, error.to_string()).at("to"))?;
    Ok(Json(
        demo.inbox(&to).into_iter().map(InboxMessage::from).collect(),
    ))
}

/// Reads the clock.
#[utoipa::path(get, path = "/demo/clock", tag = "demo", responses((status = 200, body = ClockJson)))]
async fn read_clock(State(app): State<Arc<App>>, Extension(demo): Extension<Demo>) -> Json<ClockJson> {
    clock(&app, &demo)
}

/// Moves the clock ahead; answers when all that was due by then has happened.
#[utoipa::path(
    post,
    path = "/demo/clock",
    tag = "demo",
    request_body = Advance,
    responses(
        (status = 200, body = ClockJson),
        (status = 400, description = "`invalid_request`", body = ProblemBody),
        Bodied,
    )
)]
async fn advance_clock(
    State(app): State<Arc<App>>,
    Extension(demo): Extension<Demo>,
    JsonBody(Advance { advance_seconds }): JsonBody<Advance>,
) -> Result<Json<ClockJson>, Problem> {
    let by = Duration::from_secs(advance_seconds);
    if by > MOST_ADVANCE {
        let most = format!(
            "the clock moves by at most {} seconds at once",
            MOST_ADVANCE.as_secs()
        );
        return Err(Problem::new(ProblemCode::InvalidRequest, most).at("advance_seconds"));
    }
    demo.advance(&app.engine, by).await;
    Ok(clock(&app, &demo))
}

fn clock(app: &App, demo: &Demo) -> Json<ClockJson> {
    Json(ClockJson {
        now: rfc3339(app.now()),
        ahead_seconds: demo.ahead().as_secs(),
    })
}

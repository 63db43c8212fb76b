//! Ready routes: ask for a code, and hand it in.

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use verify_core::command::{Caller, CheckRequest, Person, SendRequest};
use verify_core::outcome::Approval;
use verify_core::vocabulary::{Channel, Country, Purpose};
use verify_engine::Engine;
use verify_http::views::{VerificationJson, country, word};
use verify_http::{OrProblem, Problem};

use crate::{ClientIp, DeviceCookie, IdempotencyKey, JsonBody};

/// Whom a client says that it means. Nothing of it is proven.
#[derive(Clone, PartialEq, Eq)]
pub struct Asked {
    /// A number or a mailbox, as it was typed.
    pub to: String,
    /// For national numbers.
    pub country: Option<Country>,
    /// What for; the host decides what it lets a client choose.
    pub purpose: Option<Purpose>,
}

/// Whom the application means by that.
#[derive(Clone, PartialEq, Eq)]
pub struct Who {
    /// Who is verified, and for what.
    pub person: Person,
    /// True when there is no such person and the answer must look like any other; needs `disclosure = "private"`.
    pub decoy: bool,
}

impl From<Person> for Who {
    fn from(person: Person) -> Self {
        Self { person, decoy: false }
    }
}

/// What is the application's own.
pub trait Host: Clone + Send + Sync + 'static {
    /// Whom a request means: the account of a destination, or the one of the session that `parts` show. It is asked for
    /// a send and again for the check, so that a code opens what it was asked for and nothing else.
    ///
    /// # Errors
    /// What the client gets instead.
    fn who(&self, parts: &Parts, asked: Asked) -> impl Future<Output = Result<Who, Response>> + Send;

    /// The code was right, for this person: opens the session, changes the number. The device cookie goes with the
    /// response by itself.
    fn approved(
        &self,
        parts: &Parts,
        person: Person,
        approval: Approval,
    ) -> impl Future<Output = Response> + Send;
}

/// `POST /send` and `POST /check` for people, to be nested where the application wants them.
///
/// A send takes `{to, country?, purpose?, channel?, locale?, consent?, human_check?}` and answers with a
/// [`VerificationJson`]: 201, or 200 for a repeat. A check takes `{to, country?, purpose?, code}` and answers as
/// [`Host::approved`] does. Both read `Idempotency-Key`, the device cookie and the client's address; a refusal is a problem
/// document.
pub fn routes<H: Host>(engine: Engine, host: H) -> Router {
    Router::new()
        .route("/send", post(send::<H>))
        .route("/check", post(check::<H>))
        .with_state(Shared { engine, host })
}

#[derive(Clone)]
struct Shared<H> {
    engine: Engine,
    host: H,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SendBody {
    to: String,
    #[serde(default, deserialize_with = "country")]
    country: Option<Country>,
    #[serde(default, deserialize_with = "word")]
    purpose: Option<Purpose>,
    #[serde(default, deserialize_with = "word")]
    channel: Option<Channel>,
    locale: Option<String>,
    #[serde(default)]
    consent: bool,
    human_check: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    to: String,
    #[serde(default, deserialize_with = "country")]
    country: Option<Country>,
    #[serde(default, deserialize_with = "word")]
    purpose: Option<Purpose>,
    code: String,
}

/// What both routes read of a request besides its body.
struct Client {
    parts: Parts,
    caller: Caller,
    key: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let ClientIp(ip) = ClientIp::from_request_parts(parts, state).await?;
        let Ok(DeviceCookie(device_token)) = DeviceCookie::from_request_parts(parts, state).await;
        let IdempotencyKey(key) = IdempotencyKey::from_request_parts(parts, state).await?;
        let mut caller = Caller::default().ip(ip);
        caller.device_token = device_token;
        Ok(Self {
            parts: parts.clone(),
            caller,
            key,
        })
    }
}

async fn send<H: Host>(
    State(shared): State<Shared<H>>,
    client: Client,
    JsonBody(body): JsonBody<SendBody>,
) -> Result<Response, Response> {
    let asked = Asked {
        to: body.to,
        country: body.country,
        purpose: body.purpose,
    };
    let who = shared.host.who(&client.parts, asked).await?;
    let mut request = SendRequest::to(who.person)
        .caller(client.caller)
        .consent(body.consent)
        .decoy(who.decoy);
    request.channel = body.channel;
    request.locale = body.locale;
    request.human_check = body.human_check;
    request.idempotency_key = client.key;
    let engine = &shared.engine;
    let sent = engine.send(request).await.or_problem(engine.now());
    let sent = sent.map_err(Problem::into_response)?;
    let status = sent.status();
    let view = VerificationJson::of(sent.verification, engine.now());
    Ok((status, axum::Json(view)).into_response())
}

async fn check<H: Host>(
    State(shared): State<Shared<H>>,
    client: Client,
    JsonBody(body): JsonBody<CheckBody>,
) -> Result<Response, Response> {
    let asked = Asked {
        to: body.to,
        country: body.country,
        purpose: body.purpose,
    };
    let person = shared.host.who(&client.parts, asked).await?.person;
    let mut request = CheckRequest::to(person.clone(), body.code).caller(client.caller);
    request.idempotency_key = client.key;
    let engine = &shared.engine;
    let approval = engine.check(request).await.or_problem(engine.now());
    let approval = approval.map_err(Problem::into_response)?;
    let cookie = DeviceCookie(Some(approval.device_token.clone()));
    Ok((
        cookie,
        shared.host.approved(&client.parts, person, approval).await,
    )
        .into_response())
}

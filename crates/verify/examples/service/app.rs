//! Sign-up, sign-in, "call me instead", a change of number, a payment, and an operator's unlock.

use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::json;
use verify::axum::{Asked, Host, Who, routes};
use verify::prelude::*;

use super::accounts::Accounts;

/// What all requests share.
#[derive(Clone)]
pub struct App {
    pub engine: Engine,
    pub accounts: Accounts,
    /// What an operator sends as `Authorization`.
    pub operator: String,
}

/// The routes. `POST /code/send` and `POST /code/check` are verify's; a send with `"channel": "call"` is "call me instead".
pub fn router(app: App, proxies: TrustedProxies) -> Router {
    let codes = routes(app.engine.clone(), app.clone());
    Router::new()
        .route("/pay", post(pay))
        .route("/pay/confirm", post(confirm))
        .route("/operator/unlock", post(unlock))
        .with_state(app)
        .nest("/code", codes)
        .layer(Extension(proxies))
}

impl App {
    /// The one spelling of a number under which accounts are kept.
    fn canonical(&self, to: &str, country: Option<Country>) -> Result<String, Problem> {
        let read = self.engine.destination(&ServiceId::default(), to, country);
        let number =
            read.map_err(|error| Problem::new(ProblemCode::InvalidDestination, error.to_string()).at("to"))?;
        Ok(number.canonical().to_owned())
    }

    fn session(&self, parts: &Parts) -> Result<String, Problem> {
        let account = self.accounts.signed_in(parts);
        account.ok_or_else(|| Problem::new(ProblemCode::Unauthenticated, "sign in first"))
    }
}

impl Host for App {
    /// Whom a code is for. A sign-in is for the account of the number; nothing that the client says of an account counts.
    async fn who(&self, parts: &Parts, asked: Asked) -> Result<Who, Response> {
        let number = self
            .canonical(&asked.to, asked.country)
            .map_err(Problem::into_response)?;
        let purpose = asked.purpose.unwrap_or(Purpose::SignIn);
        let person = Person::at(number.clone()).purpose(purpose);
        let person = match purpose {
            Purpose::SignUp => person,
            Purpose::ChangeDestination => {
                person.subject(self.session(parts).map_err(Problem::into_response)?)
            }
            Purpose::SignIn | Purpose::Recovery => match self.accounts.of_number(&number) {
                Some(account) => person.subject(account),
                None => return Err(unknown()),
            },
            // A payment has routes of its own, which say what is paid. Nothing here is changed by a proof of who asks.
            Purpose::Transaction | Purpose::Manage => return Err(unknown()),
        };
        Ok(person.into())
    }

    /// The code was right for this person, whom `who` named.
    async fn approved(&self, _parts: &Parts, person: Person, _approval: Approval) -> Response {
        let account = match (person.purpose, person.subject) {
            (Purpose::ChangeDestination, Some(account)) => {
                let changed = self.accounts.change_number(&account, &person.to);
                return Json(json!({ "account": account, "changed": changed })).into_response();
            }
            (_, Some(account)) => account,
            (_, None) => self.accounts.open(&person.to),
        };
        let session = self.accounts.sign_in(account.clone());
        (
            [(header::SET_COOKIE, session)],
            Json(json!({ "account": account })),
        )
            .into_response()
    }
}

fn unknown() -> Response {
    Problem::new(
        ProblemCode::NotFound,
        "there is no account with this number; sign up first",
    )
    .into_response()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payment {
    amount: String,
    payee: String,
    /// When it is confirmed.
    code: Option<String>,
}

/// Whoever is signed in, paying this: the code that is sent says so, and is good for nothing else.
fn payer(app: &App, parts: &Parts, payment: &Payment) -> Result<(String, Person), Problem> {
    let account = app.session(parts)?;
    let number = app.accounts.number_of(&account);
    let number = number.ok_or_else(|| Problem::new(ProblemCode::NotFound, "this account has no number"))?;
    let person = Person::at(number)
        .subject(account.clone())
        .pays(&payment.amount, &payment.payee);
    Ok((account, person))
}

async fn pay(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    parts: Parts,
    JsonBody(payment): JsonBody<Payment>,
) -> Result<Response, Problem> {
    let (_, person) = payer(&app, &parts, &payment)?;
    let sent = app.engine.send(SendRequest::to(person).ip(ip)).await;
    let sent = sent.or_problem(app.engine.now())?;
    Ok(Json(json!({ "sent_to": sent.verification.to })).into_response())
}

async fn confirm(
    State(app): State<App>,
    ClientIp(ip): ClientIp,
    parts: Parts,
    JsonBody(payment): JsonBody<Payment>,
) -> Result<Response, Problem> {
    let (account, person) = payer(&app, &parts, &payment)?;
    let code = payment.code.as_deref().unwrap_or_default();
    let checked = app
        .engine
        .check(CheckRequest::to(person.clone(), code).ip(ip))
        .await;
    let approval = checked.or_problem(app.engine.now())?;
    // Where the money is moved the proof is spent, once, for exactly this. Here that is the same process; it may be
    // another service, which is handed the proof.
    let redeemed = app.engine.redeem(RedeemRequest::of(approval.proof, person)).await;
    redeemed.or_problem(app.engine.now())?;
    let payments = app.accounts.pay(account, payment.amount, payment.payee);
    Ok(Json(json!({ "payments": payments })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unlock {
    to: String,
}

async fn unlock(
    State(app): State<App>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Unlock>,
) -> Result<Response, Problem> {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    if shown != Some(app.operator.as_str()) {
        return Err(Problem::new(
            ProblemCode::Unauthenticated,
            "this is for operators",
        ));
    }
    let number = app.canonical(&body.to, None)?;
    let mut request = UnlockRequest::at(&number).check_limits(true);
    request.subject = app.accounts.of_number(&number);
    let stands = app.engine.unlock(request).await.or_problem(app.engine.now())?;
    let stands: Vec<_> = stands.iter().map(|one| one.rule.to_string()).collect();
    Ok(Json(json!({ "unlocked": true, "stands": stands })).into_response())
}

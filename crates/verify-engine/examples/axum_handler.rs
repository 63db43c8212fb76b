//! A web application with accounts: sign up, sign in, and move money.
//!
//! What matters is in [`sign_in`]: a session is opened for an account after a check that expects *that account's* person.
//! A request says which verification its code is for, and may say its own; an id proves nothing about the name beside it.
//!
//! `cargo run -p verify-engine --example axum_handler`, then
//! `curl -d '{"to":"+12025550123"}' -H 'content-type: application/json' localhost:3000/sign-up/code`.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use verify_core::command::{Caller, CheckRequest, Expected, Person, RedeemRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{Approval, CheckAnswer, Fault, RedeemAnswer, Refusal, SendAnswer, wait_secs};
use verify_core::port::{DispatchRequest, Dispatched, Provider};
use verify_core::vocabulary::{Channel, Purpose};
use verify_engine::{Deliverer, Engine, EngineBuilder};
use verify_memstore::MemStore;

#[derive(Clone)]
pub(crate) struct App {
    engine: Engine,
    /// In place of a database.
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    /// The number on file of each account.
    accounts: HashMap<String, String>,
    /// Whose each session is.
    sessions: HashMap<String, String>,
    /// What was moved.
    transfers: Vec<(String, Transfer)>,
}

#[derive(Deserialize)]
struct Number {
    to: String,
}

#[derive(Deserialize)]
struct Account {
    account: String,
}

/// A code, and for which account somebody shows it.
#[derive(Deserialize)]
struct Guess {
    account: String,
    verification_id: String,
    code: String,
}

#[derive(Clone, Deserialize)]
struct Transfer {
    amount: String,
    payee: String,
}

#[derive(Deserialize)]
struct ConfirmedTransfer {
    #[serde(flatten)]
    transfer: Transfer,
    verification_id: String,
    code: String,
}

/// The application's routes over an engine.
pub(crate) fn app(engine: Engine) -> Router {
    let tables = Arc::default();
    Router::new()
        .route("/sign-up/code", post(sign_up_code))
        .route("/sign-up", post(sign_up))
        .route("/sign-in/code", post(sign_in_code))
        .route("/sign-in", post(sign_in))
        .route("/me", get(me))
        .route("/transfer/code", post(transfer_code))
        .route("/transfer", post(transfer))
        .with_state(App { engine, tables })
}

async fn sign_up_code(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Number>,
) -> Response {
    let newcomer = Person::at(body.to).purpose(Purpose::SignUp);
    app.send(newcomer, caller(peer, &headers)).await
}

/// Nobody is known yet, so whoever holds the code gets an account: for the number that was verified, which the approval
/// names, and not for one that this request might.
async fn sign_up(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Guess>,
) -> Response {
    let check =
        CheckRequest::of(body.verification_id, body.code, Expected::Whoever).caller(caller(peer, &headers));
    let unclaimed = match app.engine.check(check).await.answer {
        Ok(CheckAnswer::Unclaimed(unclaimed)) => unclaimed,
        other => return app.not_approved(other),
    };
    let to = unclaimed.whose().to.clone();
    // A code for signing in is none for signing up.
    let Ok(approval) = unclaimed.of(&Person::at(&*to).purpose(Purpose::SignUp)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if app.tables().accounts.contains_key(&body.account) {
        return StatusCode::CONFLICT.into_response();
    }
    app.tables().accounts.insert(body.account.clone(), to);
    app.session(body.account, &approval)
}

async fn sign_in_code(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Account>,
) -> Response {
    match app.person(&body.account) {
        Some(person) => app.send(person, caller(peer, &headers)).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The code must be the account's own: the application says whom it expects, from its own tables.
async fn sign_in(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Guess>,
) -> Response {
    let Some(person) = app.person(&body.account) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut check = CheckRequest::of(body.verification_id, body.code, person).caller(caller(peer, &headers));
    check.idempotency_key = idempotency_key(&headers);
    match app.engine.check(check).await.answer {
        Ok(CheckAnswer::Approved(approval)) => app.session(body.account, &approval),
        other => app.not_approved(other),
    }
}

async fn me(State(app): State<App>, headers: HeaderMap) -> Response {
    match app.signed_in(&headers) {
        Some(account) => Json(json!({ "account": account })).into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn transfer_code(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<Transfer>,
) -> Response {
    match app.payer(&headers, &body) {
        Some((_, payer)) => app.send(payer, caller(peer, &headers)).await,
        None => StatusCode::UNAUTHORIZED.into_response(),
    }
}

/// The check says who confirmed what; the proof is spent where the money moves, and once. An application with a ledger of
/// its own hands the proof to it.
async fn transfer(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Json(body): Json<ConfirmedTransfer>,
) -> Response {
    let Some((account, payer)) = app.payer(&headers, &body.transfer) else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    let check = CheckRequest::of(body.verification_id, body.code, payer.clone());
    let mut check = check.caller(caller(peer, &headers));
    check.idempotency_key = idempotency_key(&headers);
    let approval = match app.engine.check(check).await.answer {
        Ok(CheckAnswer::Approved(approval)) => approval,
        other => return app.not_approved(other),
    };
    match app
        .engine
        .redeem(RedeemRequest::of(approval.proof, payer))
        .await
        .answer
    {
        Ok(RedeemAnswer::Redeemed(_)) => {
            app.tables().transfers.push((account, body.transfer));
            Json(json!({ "transfers": app.tables().transfers.len() })).into_response()
        }
        Ok(RedeemAnswer::Refused(refusal)) => refused(&app.engine, &refusal),
        Err(fault) => failed(fault),
    }
}

impl App {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who must hold a code for this account: its user, at the number on file.
    fn person(&self, account: &str) -> Option<Person> {
        let number = self.tables().accounts.get(account)?.clone();
        Some(Person::at(number).subject(account))
    }

    fn signed_in(&self, headers: &HeaderMap) -> Option<String> {
        let session = cookie(headers, "session")?;
        self.tables().sessions.get(&session).cloned()
    }

    /// Who is signed in, and must confirm exactly this transfer.
    fn payer(&self, headers: &HeaderMap, transfer: &Transfer) -> Option<(String, Person)> {
        let account = self.signed_in(headers)?;
        let person = self.person(&account)?;
        Some((account, person.pays(&*transfer.amount, &*transfer.payee)))
    }

    async fn send(&self, person: Person, caller: Caller) -> Response {
        let request = SendRequest::to(person).caller(caller);
        match self.engine.send(request).await.answer {
            Ok(SendAnswer::Sent(verification) | SendAnswer::Repeated(verification)) => {
                Json(json!({ "verification_id": verification.id, "to": verification.to })).into_response()
            }
            Ok(SendAnswer::Refused(refusal)) => refused(&self.engine, &refusal),
            Err(fault) => failed(fault),
        }
    }

    /// A session, and the token by which this device is known next time.
    fn session(&self, account: String, approval: &Approval) -> Response {
        let session = format!("{:032x}", rand::random::<u128>());
        self.tables().sessions.insert(session.clone(), account.clone());
        let cookies = [("session", &session), ("device", &approval.device_token)].map(|(name, value)| {
            let cookie = format!("{name}={value}; HttpOnly; Secure; SameSite=Lax; Path=/");
            (header::SET_COOKIE, cookie)
        });
        (AppendHeaders(cookies), Json(json!({ "account": account }))).into_response()
    }

    /// Everything but the approval that a route waits for.
    fn not_approved(&self, answer: Result<CheckAnswer, Fault>) -> Response {
        match answer {
            // Of a request that said whom it expects, or did not say it where it should: nobody acts on it.
            Ok(CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_)) => failed(Fault::Defect),
            Ok(CheckAnswer::WrongCode(wrong)) => (
                StatusCode::UNAUTHORIZED,
                Json(json!({ "checks_left": wrong.checks_left })),
            )
                .into_response(),
            Ok(CheckAnswer::Refused(refusal)) => refused(&self.engine, &refusal),
            Err(fault) => failed(fault),
        }
    }
}

/// Where a request comes from. Behind a proxy, what it says of its peer.
fn caller(peer: SocketAddr, headers: &HeaderMap) -> Caller {
    let mut caller = Caller::default().ip(peer.ip());
    caller.device_token = cookie(headers, "device");
    caller
}

/// The client's name for this attempt: sent again after a lost answer, it gets the same approval.
fn idempotency_key(headers: &HeaderMap) -> Option<String> {
    let key = headers.get("idempotency-key")?;
    key.to_str().ok().map(str::to_owned)
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

fn refused(engine: &Engine, refusal: &Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.code.http_status()).unwrap_or(StatusCode::FORBIDDEN);
    let retry_after = refusal.retry_at.and_then(|until| wait_secs(until, engine.now()));
    (
        status,
        Json(json!({ "code": refusal.code, "retry_after": retry_after })),
    )
        .into_response()
}

fn failed(fault: Fault) -> Response {
    let status = match fault {
        Fault::StoreUnavailable
        | Fault::StoreFull
        | Fault::StoreCorrupt
        | Fault::Misconfigured
        | Fault::ClocksDiffer
        | Fault::StoreCools { .. } => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Defect => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, Json(json!({ "code": fault.as_str() }))).into_response()
}

/// The engine as this application wants it; a test puts a held clock in.
pub(crate) fn engine(provider: impl Provider + 'static) -> EngineBuilder {
    Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(provider)
        .with_client_ip()
        .flood_shield(100)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let terminal = Deliverer::new(
        "terminal",
        [Channel::Sms],
        |message: DispatchRequest| async move {
            if let Some(code) = &message.code {
                println!("a phone hears: {}", code.expose());
            }
            Dispatched::Accepted { upstream: None }
        },
    );
    let engine = engine(terminal).build()?;
    let background = engine.spawn_background();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let service = app(engine).into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await?;
    background.shutdown().await;
    Ok(())
}

//! The application, driven as its clients do: nobody waits, and nothing is sent.

#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests, not product code"
)]

#[path = "../examples/service/accounts.rs"]
mod accounts;
#[path = "../examples/service/app.rs"]
mod app;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;
use verify::core::time::Timestamp;
use verify::prelude::*;
use verify_testkit::{ManualClock, ScriptedProvider};

const ADA: &str = "+12025550123";
const EVE: &str = "+12025550199";

struct Service {
    router: Router,
    accounts: accounts::Accounts,
    phones: Arc<ScriptedProvider>,
    clock: Arc<ManualClock>,
}

/// A client with the cookies that it was given.
#[derive(Default)]
struct Client {
    cookies: Vec<String>,
}

fn service() -> Service {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_800_000_000_000)));
    let phones = Arc::new(ScriptedProvider::own("phones", Arc::clone(&clock) as _));
    let policy = include_str!("../examples/service/verify.toml");
    let engine = Engine::builder()
        .policy(PolicySet::from_toml(policy).unwrap().policies)
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(Arc::clone(&phones))
        .clock(Arc::clone(&clock))
        .with_client_ip()
        .build()
        .unwrap();
    let accounts = accounts::Accounts::default();
    let app = app::App {
        engine,
        accounts: accounts.clone(),
        operator: "Bearer operator".to_owned(),
    };
    let peer = MockConnectInfo(SocketAddr::from(([203, 0, 113, 7], 4711)));
    let router = app::router(app, TrustedProxies::default()).layer(peer);
    Service {
        router,
        accounts,
        phones,
        clock,
    }
}

impl Service {
    async fn post(&self, client: &mut Client, path: &str, body: Value) -> (StatusCode, Value) {
        let mut request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        if path.starts_with("/operator") {
            request = request.header(header::AUTHORIZATION, "Bearer operator");
        }
        if !client.cookies.is_empty() {
            request = request.header(header::COOKIE, client.cookies.join("; "));
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for set in parts.headers.get_all(header::SET_COOKIE) {
            let pair = set.to_str().unwrap().split(';').next().unwrap();
            client.cookies.push(pair.to_owned());
        }
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        (parts.status, serde_json::from_slice(&bytes).unwrap())
    }

    /// The code of the last message to somebody.
    fn heard(&self, to: &str) -> String {
        self.phones.last_sent_to(to).unwrap().code
    }

    async fn signed_up(&self, to: &str) -> (Client, String) {
        let mut client = Client::default();
        let (status, said) = self
            .post(
                &mut client,
                "/code/send",
                json!({ "to": to, "purpose": "sign_up" }),
            )
            .await;
        assert_eq!(status, StatusCode::CREATED, "{said}");
        let check = json!({ "to": to, "purpose": "sign_up", "code": self.heard(to) });
        let (status, said) = self.post(&mut client, "/code/check", check).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        (client, said["account"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn sign_up_then_sign_in_with_a_number_spelled_otherwise() {
    let service = service();
    let (_, account) = service.signed_up(ADA).await;
    service.clock.advance(Duration::from_secs(60));
    let mut client = Client::default();
    let (status, _) = service
        .post(&mut client, "/code/send", json!({ "to": "(202) 555-0123" }))
        .await;
    assert_eq!(status, StatusCode::CREATED);
    let check = json!({ "to": "202 555 0123", "code": service.heard(ADA) });
    let (status, said) = service.post(&mut client, "/code/check", check).await;
    assert_eq!(
        (status, said["account"].as_str()),
        (StatusCode::OK, Some(account.as_str()))
    );
}

#[tokio::test]
async fn call_me_instead_brings_the_same_code() {
    let service = service();
    let mut client = Client::default();
    let send = |channel: &str| json!({ "to": ADA, "purpose": "sign_up", "channel": channel });
    service.post(&mut client, "/code/send", send("sms")).await;
    let texted = service.heard(ADA);
    let (status, said) = service.post(&mut client, "/code/send", send("call")).await;
    assert_eq!(
        (status, said["code"].as_str()),
        (StatusCode::TOO_MANY_REQUESTS, Some("cooldown"))
    );
    service
        .clock
        .advance(Duration::from_secs(said["retry_after"].as_u64().unwrap()));
    let (status, said) = service.post(&mut client, "/code/send", send("call")).await;
    assert_eq!(
        (status, said["channel"].as_str()),
        (StatusCode::CREATED, Some("call"))
    );
    assert_eq!(service.heard(ADA), texted);
}

#[tokio::test]
async fn a_number_is_changed_by_whoever_is_signed_in_and_hears_the_code() {
    let service = service();
    let (mut client, account) = service.signed_up(ADA).await;
    let new = "+12025550145";
    let body = json!({ "to": new, "purpose": "change_destination" });
    let (status, _) = service
        .post(&mut Client::default(), "/code/send", body.clone())
        .await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    service.post(&mut client, "/code/send", body).await;
    let check = json!({ "to": new, "purpose": "change_destination", "code": service.heard(new) });
    let (status, said) = service.post(&mut client, "/code/check", check).await;
    assert_eq!((status, &said["changed"]), (StatusCode::OK, &json!(true)));
    assert_eq!(service.accounts.of_number(new), Some(account));
    assert_eq!(service.accounts.of_number(ADA), None);
}

#[tokio::test]
async fn a_payment_is_confirmed_for_this_amount_and_payee_once() {
    let service = service();
    let (mut client, _) = service.signed_up(ADA).await;
    service.clock.advance(Duration::from_secs(60));
    let payment = json!({ "amount": "EUR 12.00", "payee": "Bakery" });
    let (status, said) = service.post(&mut client, "/pay", payment).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    let code = service.heard(ADA);
    let more = json!({ "amount": "EUR 1200.00", "payee": "Bakery", "code": code });
    let (status, _) = service.post(&mut client, "/pay/confirm", more).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "the code is of another amount");
    // That was a guess at what is pending for this number, and guesses have waits between them.
    service.clock.advance(Duration::from_secs(60));
    let right = json!({ "amount": "EUR 12.00", "payee": "Bakery", "code": code });
    let (status, said) = service.post(&mut client, "/pay/confirm", right.clone()).await;
    assert_eq!((status, &said["payments"]), (StatusCode::OK, &json!(1)));
    let (status, _) = service.post(&mut client, "/pay/confirm", right).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "a code is good once");
}

#[tokio::test]
async fn whoever_hears_a_code_for_their_own_number_gets_no_other_account() {
    let service = service();
    let (_, adas) = service.signed_up(ADA).await;
    service.signed_up(EVE).await;
    let mut eve = Client::default();
    service.post(&mut eve, "/code/send", json!({ "to": EVE })).await;
    let code = service.heard(EVE);
    for body in [
        json!({ "to": ADA, "code": code }),
        json!({ "to": ADA, "purpose": "recovery", "code": code }),
        json!({ "to": ADA, "code": code, "account": adas }),
    ] {
        let (status, said) = service.post(&mut eve, "/code/check", body).await;
        assert!(status.is_client_error(), "{said}");
    }
    assert!(eve.cookies.is_empty());
}

#[tokio::test]
async fn an_operator_lets_somebody_in_again() {
    let service = service();
    service.signed_up(ADA).await;
    let mut client = Client::default();
    service.clock.advance(Duration::from_secs(60));
    service
        .post(&mut client, "/code/send", json!({ "to": ADA }))
        .await;
    let wrong = match service.heard(ADA).as_str() {
        "000000" => "000001",
        _ => "000000",
    };
    let guess = json!({ "to": ADA, "code": wrong });
    let wait = loop {
        service.clock.advance(Duration::from_secs(60));
        let (_, said) = service.post(&mut client, "/code/check", guess.clone()).await;
        match said["retry_after"].as_u64() {
            Some(wait) if wait > 60 => break Duration::from_secs(wait),
            Some(_) | None => {}
        }
    };
    // The limit on sends is over then, the lockout is not.
    service.clock.advance(wait / 2);
    let send = json!({ "to": ADA });
    let (_, said) = service.post(&mut client, "/code/send", send.clone()).await;
    assert_eq!(said["code"], "locked", "{said}");

    let (status, said) = service.post(&mut client, "/operator/unlock", send.clone()).await;
    assert_eq!((status, &said["stands"]), (StatusCode::OK, &json!([])));
    let (status, said) = service.post(&mut client, "/code/send", send).await;
    assert_eq!(status, StatusCode::CREATED, "{said}");
}

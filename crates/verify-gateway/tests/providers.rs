//! What a provider answers to one request is held against no other.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

mod support;

use serde_json::{Value, json};
use support::{Answer, Gateway};
use verify_core::policy::PolicySet;
use verify_twilio::double::{Answer as Twilio, Double};

const SHOP: [(&str, &str); 1] = [("authorization", "Bearer shop-key")];

fn sid(n: usize) -> String {
    format!("VE{n:032}")
}

fn verification(n: usize, status: &str) -> Twilio {
    let body = json!({ "sid": sid(n), "status": status, "valid": status == "approved" });
    Twilio::json(201, body.to_string())
}

/// A send from an address and to a prefix that no other `n` has.
async fn send(gateway: &Gateway, n: usize) -> Answer {
    send_with(gateway, n, json!({})).await
}

async fn send_with(gateway: &Gateway, n: usize, more: Value) -> Answer {
    let mut body = json!({ "to": number(n), "ip": format!("198.51.{}.{}", n / 250, n % 250) });
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    gateway.post_with("/verify/send", &SHOP, body).await
}

fn number(n: usize) -> String {
    format!("+1202{:03}01{:02}", 200 + n % 700, n / 700)
}

async fn cancel(gateway: &Gateway, id: &str) -> Answer {
    let path = format!("/verify/{id}/cancel");
    gateway.post_with(&path, &SHOP, json!({})).await
}

#[tokio::test]
async fn i23_no_reload_brings_a_service_onto_the_verify_service_of_others() {
    let gateway = Gateway::live("http://127.0.0.1:9", &[]);
    let reload = |service: &str| {
        let policies = PolicySet::from_toml(&format!("[services.{service}.code]\nlength = 8\n"));
        gateway.app.engine.reload(policies.unwrap().policies)
    };
    let refused = reload("late").unwrap_err().to_string();
    assert!(refused.contains("the service late"), "{refused}");
    assert!(gateway.app.engine.policies().services.is_empty());
    reload("other").unwrap();
}

/// A language that Twilio does not know keeps no message from being sent.
#[tokio::test]
async fn i132_a_language_that_the_provider_turns_away_is_left_out() {
    for (locale, asked) in [
        ("de-DE", &[Some("Locale=de&")][..]),
        ("de_AT", &[Some("Locale=de&")]),
        ("eu", &[Some("Locale=eu&"), None]),
        ("x-none", &[Some("Locale=x-none&"), None]),
    ] {
        let twilio = Double::start().await.unwrap();
        for _ in 1..asked.len() {
            twilio.then(Twilio::error(404, 20404, "The requested resource was not found"));
        }
        twilio.then(verification(1, "pending"));
        let gateway = Gateway::live(&twilio.base_url(), &[]);
        send_with(&gateway, 1, json!({ "locale": locale }))
            .await
            .accepts(201);
        let bodies = twilio.recorded();
        assert_eq!(bodies.len(), asked.len(), "{locale}: {bodies:?}");
        for (request, wish) in bodies.iter().zip(asked) {
            let body = &request.body;
            assert!(
                wish.map_or(!body.contains("Locale"), |wish| body.contains(wish)),
                "{locale}: {body}"
            );
        }
    }
}

/// A key that may not cancel, or an account over its rate: ten sends and ten cancels, and everybody else is served.
#[tokio::test]
async fn i141_cancels_that_the_provider_refuses_keep_no_send_from_going_out() {
    for refusal in [
        Twilio::error(403, 20003, "Permission denied"),
        Twilio::error(429, 20429, "Too many requests").header("retry-after", "60"),
        Twilio::error(500, 20500, "Internal server error"),
    ] {
        let twilio = Double::start().await.unwrap();
        let gateway = Gateway::live(&twilio.base_url(), &[]);
        for n in 0..10 {
            twilio.then(verification(n, "pending")).then(refusal.clone());
            let sent = send(&gateway, n).await.accepts(201);
            cancel(&gateway, sent["verification_id"].as_str().unwrap())
                .await
                .accepts(200);
        }
        assert_eq!(twilio.recorded().len(), 20, "each cancel was told");
        let mut refused = 0;
        for n in 10..210 {
            twilio.then(verification(n, "pending"));
            refused += usize::from(send(&gateway, n).await.status != 201);
        }
        assert_eq!(refused, 0, "of 200 honest sends after {refusal:?}");
    }
}

/// A mail where no mailer is set up, a call for a transaction, a number that a trial account does not reach: anybody can
/// ask for those, and an instance that turned unready by them could be taken out by anybody.
#[tokio::test]
async fn i109_what_a_request_can_choose_never_turns_readiness() {
    let mail = json!({ "to": "ann@example.com" });
    let call = json!({ "channel": "call" });
    for (http, code, more) in [
        (400, 60217, mail.clone()),
        (401, 60603, mail.clone()),
        (401, 99_999, mail),
        (400, 60214, call.clone()),
        (403, 21608, json!({})),
        (403, 99_999, call),
        (404, 20404, json!({})),
    ] {
        let twilio = Double::start().await.unwrap();
        twilio
            .then(Twilio::error(http, code, "not here"))
            .then(Twilio::json(200, json!({ "sid": "VA" }).to_string()));
        let gateway = Gateway::live(&twilio.base_url(), &[]);
        let refused = send_with(&gateway, 1, more).await;
        assert_ne!(refused.status, 201, "{code}");
        gateway.get("/readyz").await.accepts(200);
    }
    let twilio = Double::start().await.unwrap();
    twilio
        .then(Twilio::error(401, 20003, "Authenticate"))
        .then(Twilio::json(200, json!({ "sid": "VA" }).to_string()));
    let gateway = Gateway::live(&twilio.base_url(), &[]);
    send(&gateway, 1).await.refuses(503, "provider_unavailable");
    let ready = gateway.get("/readyz").await.accepts(503);
    assert_eq!(ready["providers"][0]["state"], "misconfigured");
}

/// Ten sends that end in nothing, and everybody is told for how long the provider rests.
#[tokio::test]
async fn a_provider_that_rests_says_until_when_and_what_it_carries_is_not_offered() {
    let gateway = Gateway::live("http://127.0.0.1:9", &[]);
    for n in 0..10 {
        let refused = send(&gateway, n).await.refuses(503, "provider_unavailable");
        assert_eq!(refused.get("fallback"), None, "{refused}");
        assert_eq!(refused.get("retry_after"), None, "{refused}");
    }
    let refused = send(&gateway, 10).await.refuses(503, "provider_unavailable");
    let wait = refused["retry_after"].as_u64().unwrap();
    assert!((1..=30).contains(&wait), "{refused}");
    assert_eq!(refused.get("fallback"), None, "{refused}");
}

/// Forbidden is surely not sent: nothing is pending, and neither the gap nor the money of it is kept.
#[tokio::test]
async fn i34_a_403_is_surely_not_sent_whatever_its_code_says() {
    let twilio = Double::start().await.unwrap();
    twilio
        .then(Twilio::error(403, 60001, "Forbidden"))
        .then(verification(1, "pending"));
    let gateway = Gateway::live(&twilio.base_url(), &[]);
    send(&gateway, 1).await.refuses(503, "provider_unavailable");
    send(&gateway, 1).await.accepts(201);
}

/// The same send before the stated instant is refused without a call, whichever cap it was and whatever was said of it.
#[tokio::test]
async fn i134_what_a_cap_is_told_to_last_is_remembered() {
    for (answer, least, most) in [
        (Twilio::error(429, 60212, "Too many concurrent requests"), 9, 10),
        (Twilio::error(429, 60203, "Max send attempts reached"), 599, 600),
        (Twilio::error(429, 60202, "Max check attempts reached"), 599, 600),
        (
            Twilio::error(429, 60203, "Max send attempts reached").header("retry-after", "120"),
            119,
            120,
        ),
        (
            Twilio::error(429, 20429, "Too many requests")
                .header("retry-after", "1")
                .header("twilio-reached-rate-limit", "ip"),
            1,
            1,
        ),
    ] {
        let twilio = Double::start().await.unwrap();
        let said = format!("{answer:?}");
        twilio.then(answer);
        let gateway = Gateway::live(&twilio.base_url(), &[]);
        for _ in 0..2 {
            let refused = send(&gateway, 1).await.refuses(429, "rate_limited");
            let wait = refused["retry_after"].as_u64().unwrap();
            assert!((least..=most).contains(&wait), "{said}: {refused}");
        }
        assert_eq!(
            twilio.recorded().len(),
            1,
            "{said}: remembered, and not asked again"
        );
    }
}

/// What Twilio says is over beyond doubt is over here: the record says so, nobody is asked again, and nobody is locked out.
#[tokio::test]
async fn i133_what_ended_at_the_provider_has_ended_here() {
    for (answer, status) in [
        (
            Twilio::error(429, 60202, "Max check attempts reached"),
            "exhausted",
        ),
        (verification(1, "max_attempts_reached"), "exhausted"),
        (verification(1, "expired"), "expired"),
        (verification(1, "canceled"), "canceled"),
        (Twilio::error(404, 20404, "Not found"), "pending"),
    ] {
        let said = format!("{answer:?}");
        let twilio = Double::start().await.unwrap();
        twilio.then(verification(1, "pending")).then(answer);
        let gateway = Gateway::live(&twilio.base_url(), &[]);
        let sent = send(&gateway, 1).await.accepts(201);
        let id = sent["verification_id"].as_str().unwrap();
        let body = json!({ "verification_id": id, "code": "000000" });
        gateway
            .post_with("/verify/check", &SHOP, body.clone())
            .await
            .refuses(404, "not_found");
        let path = format!("/verify/{id}");
        let seen = gateway.get_with(&path, &SHOP).await.accepts(200);
        assert_eq!(seen["status"], status, "{said}");
        let again = gateway.post_with("/verify/check", &SHOP, body).await;
        match status {
            // Nothing is known: the failure counts, and the next guess waits.
            "pending" => drop(again.refuses(429, "cooldown")),
            _ => drop(again.refuses(404, "not_found")),
        }
        assert_eq!(twilio.recorded().len(), 2, "{said}");
    }
}

//! Whole journeys through the routes, on the simulated phone network.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use serde_json::{Value, json};
use support::{Gateway, another};

const TO: &str = "+12025550143";

#[tokio::test]
// long because it is one journey, told in order
async fn a_code_arrives_is_mistyped_called_out_and_proves_something_once() {
    let gateway = Gateway::demo();
    let sent = gateway
        .post("/verify/send", json!({ "to": TO, "channel": "sms" }))
        .await
        .accepts(201);
    assert_eq!(
        (&sent["status"], &sent["channel"], &sent["purpose"]),
        (&json!("pending"), &json!("sms"), &json!("sign_in"))
    );
    assert!(sent["sid"].is_string() && !sent["to"].as_str().unwrap().contains("5550"));
    let id = sent["verification_id"].as_str().unwrap();
    gateway.later(1).await;
    let code = gateway.code(TO).await;

    let wrong = gateway
        .post(
            "/verify/check",
            json!({ "verification_id": id, "code": another(&code) }),
        )
        .await;
    let wrong = wrong.refuses(401, "wrong_code");
    assert_eq!(
        (
            &wrong["valid"],
            &wrong["verification_status"],
            &wrong["checks_left"]
        ),
        (&json!(false), &json!("pending"), &json!(4))
    );

    let early = gateway
        .post("/verify/check", json!({ "verification_id": id, "code": code }))
        .await;
    let wait = early.refuses(429, "cooldown")["retry_after"].as_u64().unwrap();
    assert!((59..=60).contains(&wait), "{wait}");
    gateway.later(wait).await;

    let called = gateway
        .post(
            "/verify/send",
            json!({ "verification_id": id, "channel": "call" }),
        )
        .await
        .accepts(201);
    assert_eq!(
        called["deliveries"][0],
        json!({ "channel": "sms", "status": "delivered" })
    );
    gateway.later(1).await;
    let arrived: Vec<Value> = gateway
        .inbox(TO)
        .await
        .iter()
        .map(|message| message["channel"].clone())
        .collect();
    assert_eq!(arrived, ["call", "sms"]);

    let approved = gateway
        .post("/verify/check", json!({ "verification_id": id, "code": code }))
        .await
        .accepts(200);
    assert_eq!(
        (&approved["ok"], &approved["status"], &approved["valid"]),
        (&json!(true), &json!("approved"), &json!(true))
    );
    gateway
        .post("/verify/check", json!({ "verification_id": id, "code": code }))
        .await
        .refuses(404, "not_found");

    let redeem = |purpose: &str| json!({ "proof": approved["proof"], "purpose": purpose, "to": TO });
    gateway
        .post("/proofs/redeem", redeem("recovery"))
        .await
        .refuses(404, "not_found");
    let redeemed = gateway
        .post("/proofs/redeem", redeem("sign_in"))
        .await
        .accepts(200);
    assert_eq!(
        (&redeemed["purpose"], redeemed["approved_at"].is_string()),
        (&json!("sign_in"), true)
    );
    gateway
        .post("/proofs/redeem", redeem("sign_in"))
        .await
        .refuses(404, "not_found");
}

#[tokio::test]
async fn clients_that_know_to_and_code_alone_keep_working() {
    let gateway = Gateway::demo();
    gateway.sent(TO).await;
    gateway.later(1).await;
    let code = gateway.code(TO).await;
    let approved = gateway
        .post("/verify/check", json!({ "to": TO, "code": code }))
        .await
        .accepts(200);
    assert_eq!(
        (&approved["ok"], &approved["status"]),
        (&json!(true), &json!("approved"))
    );
}

#[tokio::test]
async fn a_repeat_sends_nothing_and_says_so() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    let again = gateway
        .post("/verify/send", json!({ "to": TO }))
        .await
        .accepts(200);
    assert_eq!(again["status"], "pending");
    gateway.later(2).await;
    assert_eq!(gateway.inbox(TO).await.len(), 1);

    let keyed = [("idempotency-key", "k1")];
    gateway.later(60).await;
    gateway
        .post_with("/verify/send", &keyed, json!({ "verification_id": id }))
        .await
        .accepts(201);
    gateway
        .post_with("/verify/send", &keyed, json!({ "verification_id": id }))
        .await
        .accepts(200);
    gateway
        .post_with("/verify/send", &keyed, json!({ "to": "+12025550144" }))
        .await
        .refuses(422, "idempotency_mismatch");
}

#[tokio::test]
async fn i41_reading_neither_consumes_nor_counts() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    gateway.later(1).await;
    let first = gateway.get(&format!("/verify/{id}")).await.accepts(200);
    for _ in 0..20 {
        let read = gateway.get(&format!("/verify/{id}")).await.accepts(200);
        assert_eq!(
            (&read["checks_left"], &read["sends_left"]),
            (&first["checks_left"], &first["sends_left"])
        );
    }
    for path in ["/verify/check", "/proofs/redeem", &format!("/verify/{id}/cancel")] {
        gateway.get(path).await.json();
    }
    let code = gateway.code(TO).await;
    gateway
        .post("/verify/check", json!({ "verification_id": id, "code": code }))
        .await
        .accepts(200);
    assert_eq!(
        gateway.get(&format!("/verify/{id}")).await.accepts(200)["status"],
        "approved"
    );
}

#[tokio::test]
async fn a_canceled_code_is_worth_nothing() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    gateway.later(1).await;
    let code = gateway.code(TO).await;
    let canceled = gateway
        .post(&format!("/verify/{id}/cancel"), json!({}))
        .await
        .accepts(200);
    assert_eq!(canceled["status"], "canceled");
    gateway
        .post("/verify/check", json!({ "verification_id": id, "code": code }))
        .await
        .refuses(404, "not_found");
}

#[tokio::test]
async fn the_demo_destinations_behave_as_they_are_described() {
    let gateway = Gateway::demo();
    let send = async |to: &str, channel: &str, ip: &str| {
        gateway
            .post("/verify/send", json!({ "to": to, "channel": channel, "ip": ip }))
            .await
    };
    let landline = send("+12025550111", "sms", "192.0.2.1").await;
    assert_eq!(
        landline.refuses(422, "channel_unavailable")["fallback"][0],
        "call"
    );
    send("+12025550111", "call", "192.0.2.1").await.accepts(201);
    send("+12025550115", "sms", "192.0.2.2")
        .await
        .refuses(422, "channel_unavailable");
    send("+12025560118", "sms", "192.0.2.3")
        .await
        .refuses(422, "channel_unavailable");
    send("+12025550114", "sms", "192.0.2.4")
        .await
        .refuses(503, "provider_unavailable");
    send("+12025550116", "sms", "192.0.2.5")
        .await
        .refuses(403, "blocked");
    send("+12025550117", "sms", "192.0.2.6").await.accepts(201);

    let failed = send("+12025550110", "sms", "192.0.2.7").await.accepts(201);
    let silent = send("+12025550112", "sms", "192.0.2.8").await.accepts(201);
    let lost = send("+12025550113", "sms", "192.0.2.9").await.accepts(201);
    assert_eq!(lost["deliveries"][0]["status"], "unknown");
    let read = async |sent: &Value| {
        let id = sent["verification_id"].as_str().unwrap();
        gateway.get(&format!("/verify/{id}")).await.accepts(200)
    };
    gateway.later(2).await;
    assert_eq!(read(&failed).await["deliveries"][0]["status"], "undelivered");
    assert_eq!(read(&failed).await["fallback"][0], "call");
    assert_eq!(read(&silent).await["fallback"], json!([]));
    assert_eq!(gateway.inbox("+12025550113").await.len(), 1);
    gateway.later(20).await;
    assert_eq!(read(&silent).await["fallback"][0], "call");
}

#[tokio::test]
async fn an_inbox_is_the_same_in_any_case_and_of_no_other_mailbox() {
    let gateway = Gateway::demo();
    gateway.sent("Ann.Lee+Shop@Example.com").await;
    gateway.later(1).await;
    for (to, messages) in [
        ("Ann.Lee+Shop@Example.com", 1),
        ("ann.lee+shop@example.com", 1),
        ("ANN.LEE+SHOP@EXAMPLE.COM", 1),
        ("ann.lee@example.com", 0),
    ] {
        assert_eq!(gateway.inbox(to).await.len(), messages, "{to}");
    }
}

#[tokio::test]
async fn consent_goes_on_by_itself_before_the_clock_answers() {
    let gateway = Gateway::demo();
    gateway
        .post("/verify/send", json!({ "to": "+12025550110", "consent": true }))
        .await
        .accepts(201);
    gateway.later(4).await;
    let inbox = gateway.inbox("+12025550110").await;
    assert_eq!(
        inbox
            .iter()
            .map(|message| &message["channel"])
            .collect::<Vec<_>>(),
        ["call"]
    );
}

#[tokio::test]
async fn operators_find_what_decided_and_can_end_a_lockout() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    gateway.later(1).await;
    let code = gateway.code(TO).await;
    let check = async |code: &str| {
        gateway
            .post("/verify/check", json!({ "verification_id": id, "code": code }))
            .await
    };
    check(&another(&code)).await.refuses(401, "wrong_code");
    let refused = check(&code).await;
    let body = refused.refuses(429, "cooldown");
    assert!(!body.to_string().contains("lockout"), "i59: {body}");

    let by_request = gateway
        .get(&format!(
            "/operator/explain/{}",
            refused.header("x-request-id").unwrap()
        ))
        .await;
    let by_request = by_request.accepts(200);
    assert_eq!(
        by_request["explanations"][0]["rules"][0]["rule"],
        "lockout_destination"
    );
    let by_id = gateway.get(&format!("/operator/explain/{id}")).await.accepts(200);
    assert!(by_id["explanations"].as_array().unwrap().len() >= 2);
    gateway
        .get("/operator/explain/nothing")
        .await
        .refuses(404, "not_found");

    let unlocked = gateway
        .post("/operator/unlock", json!({ "to": TO }))
        .await
        .accepts(200);
    // The resend gap is all that is left of the send before.
    assert_eq!(unlocked["stands"][0]["rule"], "resend_gap", "{unlocked}");
    check(&code).await.accepts(200);
    let erased = gateway
        .post("/operator/erase", json!({ "to": TO }))
        .await
        .accepts(200);
    assert_eq!(erased["verifications"], 1);
    gateway
        .get(&format!("/verify/{id}"))
        .await
        .refuses(404, "not_found");
}

#[tokio::test]
async fn an_unlock_says_what_keeps_the_person_out_and_lets_them_in() {
    let gateway = Gateway::demo();
    let send = json!({ "to": TO, "user_id": "ann" });
    let id = gateway.post("/verify/send", send.clone()).await.accepts(201)["verification_id"].clone();
    let check = async |code: &str| {
        let body = json!({ "verification_id": id, "code": code });
        gateway.post("/verify/check", body).await
    };
    for _ in 0..5 {
        check("000000").await.refuses(401, "wrong_code");
        gateway
            .post("/demo/clock", json!({ "advance_seconds": 61 }))
            .await
            .accepts(200);
    }
    check("000000").await.refuses(429, "locked");

    // "Unlocked", by the number alone: the user's own lockout and the check limit keep them out, and that is said.
    let rules = |answer: &serde_json::Value| {
        let stands = answer["stands"].as_array().unwrap().clone();
        let rule = |it: serde_json::Value| {
            (
                it["rule"].as_str().unwrap().to_owned(),
                it["named"].as_bool().unwrap(),
            )
        };
        stands.into_iter().map(rule).collect::<Vec<_>>()
    };
    let unlock = async |body: serde_json::Value| gateway.post("/operator/unlock", body).await;
    let answer = unlock(json!({ "to": TO })).await;
    let request = answer.header("x-request-id").unwrap().to_owned();
    let stands = rules(&answer.accepts(200));
    for rule in ["lockout_subject", "checks_per_identity"] {
        assert!(stands.contains(&(rule.to_owned(), false)), "{stands:?}");
    }
    let explained = gateway
        .get(&format!("/operator/explain/{request}"))
        .await
        .accepts(200);
    let explained = explained["explanations"][0]["rules"].as_array().unwrap().clone();
    assert_eq!(explained.len(), stands.len(), "explain says the same");
    gateway
        .post("/verify/send", send.clone())
        .await
        .refuses(429, "locked");

    // By both: the lockouts are over, the limit stands.
    let answer = unlock(json!({ "to": TO, "user_id": "ann" })).await.accepts(200);
    assert_eq!(rules(&answer), [("checks_per_identity".to_owned(), true)]);
    assert_eq!(answer["stands"][0]["standing"], "stranger");
    let wait = gateway.post("/verify/send", send.clone()).await;
    wait.refuses(429, "rate_limited");

    let answer = unlock(json!({ "to": TO, "user_id": "ann", "check_limits": true }))
        .await
        .accepts(200);
    assert_eq!(rules(&answer), []);
    gateway.post("/verify/send", send).await.accepts(201);
}

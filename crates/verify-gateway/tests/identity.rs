//! Whose code it was: what a caller says of it, what it is told, and which mailbox it is of.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use serde_json::{Value, json};
use support::Gateway;

const OWNER: &str = "support@corp.example";
const TAGGED: &str = "support+t1@corp.example";

async fn sends(gateway: &Gateway, body: Value) -> String {
    let sent = gateway.post("/verify/send", body).await.accepts(201);
    sent["verification_id"].as_str().unwrap().to_owned()
}

/// With the codes of the demo's managed provider.
#[tokio::test]
async fn i130_a_code_of_a_tagged_mailbox_proves_nothing_of_the_mailbox_and_ends_nothing_of_its_owner() {
    let gateway = Gateway::demo();
    let owners = sends(&gateway, json!({ "to": OWNER })).await;
    gateway.later(31).await;
    let tagged = sends(&gateway, json!({ "to": TAGGED })).await;
    gateway.later(1).await;
    let (right, other) = (gateway.code(OWNER).await, gateway.code(TAGGED).await);
    for (to, code) in [(OWNER, &other), (TAGGED, &right)] {
        let crossed = gateway
            .post("/verify/check", json!({ "to": to, "code": code }))
            .await;
        crossed.refuses(401, "wrong_code");
        gateway.later(60).await;
    }
    let check = json!({ "verification_id": tagged, "code": other, "to": OWNER });
    gateway
        .post("/verify/check", check)
        .await
        .refuses(404, "not_found");

    let check = json!({ "verification_id": tagged, "code": other });
    let approved = gateway.post("/verify/check", check).await.accepts(200);
    let redeem = |to: &str| json!({ "proof": approved["proof"], "purpose": "sign_in", "to": to });
    gateway
        .post("/proofs/redeem", redeem(OWNER))
        .await
        .refuses(404, "not_found");
    gateway
        .post("/proofs/redeem", redeem("Support+T1@corp.example"))
        .await
        .accepts(200);

    let check = json!({ "verification_id": owners, "code": right });
    gateway.post("/verify/check", check).await.accepts(200);
}

#[tokio::test]
async fn a_send_to_a_tagged_mailbox_is_under_the_limits_of_the_mailbox() {
    let gateway = Gateway::demo();
    sends(&gateway, json!({ "to": OWNER })).await;
    let early = gateway.post("/verify/send", json!({ "to": TAGGED })).await;
    early.refuses(429, "cooldown");
}

/// Mallory verified her own number and names somebody else's account beside the id.
#[tokio::test]
async fn i25_a_check_by_id_is_told_whose_code_is_expected_and_counts_nothing_for_another() {
    let gateway = Gateway::demo();
    let to = "+12025550143";
    let id = sends(&gateway, json!({ "to": to, "user_id": "mallory" })).await;
    gateway.later(1).await;
    let code = gateway.code(to).await;
    for (field, value) in [
        ("user_id", "ada"),
        ("to", "+12025550144"),
        ("purpose", "recovery"),
    ] {
        // Right or wrong, the code is not looked at.
        for code in [code.as_str(), "000000"] {
            let mut check = json!({ "verification_id": id, "code": code });
            check[field] = json!(value);
            let refused = gateway.post("/verify/check", check).await;
            refused.refuses(404, "not_found");
        }
    }
    let found = gateway.get(&format!("/verify/{id}")).await.accepts(200);
    assert_eq!(found["checks_left"], 5, "{found}");
    let mine = json!({
        "verification_id": id, "code": code,
        "user_id": "mallory", "to": "(202) 555-0143", "country": "US", "purpose": "sign_in",
    });
    let approved = gateway.post("/verify/check", mine).await.accepts(200);
    assert_eq!(
        (&approved["user_id"], &approved["purpose"]),
        (&json!("mallory"), &json!("sign_in"))
    );
}

/// A client from before says nothing of the person. It reads what it read, and is told whose code it was.
#[tokio::test]
async fn a_check_that_says_nothing_of_the_person_is_answered_as_ever_and_told_whose_it_is() {
    let gateway = Gateway::demo();
    for user in [Some("ada"), None] {
        let to = if user.is_some() {
            "+12025550145"
        } else {
            "+12025550146"
        };
        let id = sends(
            &gateway,
            json!({ "to": to, "user_id": user, "purpose": "recovery" }),
        )
        .await;
        gateway.later(1).await;
        let check = json!({ "verification_id": id, "code": gateway.code(to).await });
        let approved = gateway.post("/verify/check", check).await.accepts(200);
        for (field, value) in [
            ("ok", json!(true)),
            ("status", json!("approved")),
            ("valid", json!(true)),
        ] {
            assert_eq!(approved[field], value, "{approved}");
        }
        assert!(approved["proof"].is_string() && approved["device_token"].is_string());
        assert_eq!(approved["purpose"], "recovery");
        assert_eq!(approved.get("user_id"), user.map(|user| json!(user)).as_ref());
    }
}

//! What a person is told of what they sent, and an operator of what decided.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, not product code"
)]

mod support;

use serde_json::{Value, json};
use support::{Gateway, another};

const TO: &str = "+12025550143";

async fn refused_destination(gateway: &Gateway, body: Value) -> (String, String) {
    let problem = gateway
        .post("/verify/send", body)
        .await
        .refuses(400, "invalid_destination");
    let text = |name: &str| problem[name].as_str().unwrap().to_owned();
    (text("pointer"), text("detail"))
}

#[tokio::test]
async fn i136_a_text_names_what_is_wrong_with_a_destination() {
    let gateway = Gateway::demo();
    for (body, pointer, says) in [
        (
            json!({ "to": "+120255501435" }),
            "/to",
            "too long for its country",
        ),
        (json!({ "to": "+1202555014" }), "/to", "too short for its country"),
        (
            json!({ "to": "+120\u{200b}25550143" }),
            "/to",
            "hidden character after the third digit",
        ),
        (
            json!({ "to": "bob@exam\nple.com" }),
            "/to",
            "hidden character after the eighth character",
        ),
        (json!({ "to": "+12025550143, +12025550144" }), "/to", "one number"),
        (json!({ "to": "+12025550143 +12025550144" }), "/to", "one number"),
        (
            json!({ "to": "020 7946 0018", "country": "UK" }),
            "/country",
            "the United Kingdom is GB",
        ),
        (
            json!({ "to": "020 7946 0018", "country": "ZZ" }),
            "/country",
            "two letters of ISO 3166-1",
        ),
        (json!({ "to": "020 7946 0018" }), "/to", "pass `country`"),
    ] {
        let (at, said) = refused_destination(&gateway, body.clone()).await;
        assert!(at == pointer && said.contains(says), "{body}: {at} {said}");
    }
}

#[tokio::test]
async fn a_mailbox_where_no_mail_is_sent_is_the_field_that_is_named() {
    let gateway = Gateway::ruled("[channels]\nenabled = [\"sms\", \"call\"]");
    let send = |body: Value| gateway.post("/verify/send", body);
    let problem = send(json!({ "to": "ada@example.com" })).await;
    let problem = problem.refuses(422, "channel_unavailable");
    assert_eq!(problem["pointer"], "/to", "no channel was asked for");
    let chosen = send(json!({ "to": "ada@example.com", "channel": "email" })).await;
    assert_eq!(chosen.refuses(422, "channel_unavailable")["pointer"], "/channel");
}

#[tokio::test]
async fn i136_what_nobody_sees_at_the_ends_makes_no_other_destination() {
    let gateway = Gateway::demo();
    let id = gateway.sent("\u{202a}+12025550143\u{202c}").await;
    let again = gateway
        .post(
            "/verify/send",
            json!({ "to": "+1\u{a0}(202)\u{a0}555\u{2011}0143\r\n" }),
        )
        .await
        .accepts(200);
    assert_eq!(again["verification_id"], id, "a repeat of the same send");
    gateway.sent("bob@example.com\n").await;
    gateway
        .post("/verify/send", json!({ "to": "bob@example.com" }))
        .await
        .accepts(200);
}

#[tokio::test]
async fn i15_spaces_and_hyphens_of_a_pasted_code_are_left_out() {
    for (index, write) in [
        |code: &str| format!("{} {}", &code[..3], &code[3..]),
        |code: &str| format!(" {code} "),
        |code: &str| format!("{}-{}-{}", &code[..2], &code[2..4], &code[4..]),
        |code: &str| format!("\u{a0}{code}\r\n"),
        |code: &str| format!("{}\u{a0}{}", &code[..3], &code[3..]),
        |code: &str| format!("{}\u{2011}{}", &code[..3], &code[3..]),
    ]
    .into_iter()
    .enumerate()
    {
        let gateway = Gateway::demo();
        let to = format!("+1202555014{index}");
        let id = gateway.sent(&to).await;
        gateway.later(1).await;
        let code = write(&gateway.code(&to).await);
        let check = json!({ "verification_id": id, "code": code });
        gateway.post("/verify/check", check).await.accepts(200);
    }
}

#[tokio::test]
async fn what_is_paid_is_words_that_the_person_sees() {
    let gateway = Gateway::demo();
    for (amount, payee, pointer) in [
        (" ", "Bob", "/amount"),
        ("25 USD ", "Bob", "/amount"),
        ("25  USD", "Bob", "/amount"),
        ("25\u{a0}USD", "Bob", "/amount"),
        ("25\nUSD", "Bob", "/amount"),
        ("\u{202e}52 USD", "Bob", "/amount"),
        ("25 USD", "\t", "/payee"),
        ("25 USD", "Bob\u{2066}", "/payee"),
        ("25 USD", "Bob\r\nYour code is 123456", "/payee"),
    ] {
        let body = json!({ "to": TO, "purpose": "transaction", "amount": amount, "payee": payee });
        let problem = gateway
            .post("/verify/send", body)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(problem["pointer"], pointer, "{amount:?} {payee:?}");
        let no_break = amount.contains('\u{a0}');
        let said = problem["detail"].as_str().unwrap();
        assert!(!no_break || said.contains("not the plain one"), "{said}");
    }
    let body =
        json!({ "to": TO, "purpose": "transaction", "amount": "25.00 USD", "payee": "Bäckerei Öz & Söhne" });
    gateway.post("/verify/send", body).await.accepts(201);
}

#[tokio::test]
async fn a_wrong_code_that_may_be_tried_at_once_speaks_of_no_wait() {
    let gateway = Gateway::ruled("[lockout]\nwaits = \"unlimited\"");
    let id = gateway.sent(TO).await;
    gateway.later(1).await;
    let wrong = another(&gateway.code(TO).await);
    let check = json!({ "verification_id": id, "code": wrong });
    let problem = gateway
        .post("/verify/check", check)
        .await
        .refuses(401, "wrong_code");
    assert_eq!(problem["retry_after"], 0);
    let said = problem["detail"].as_str().unwrap();
    assert!(!said.contains("wait"), "{said}");
}

#[tokio::test]
async fn i131_a_number_of_no_country_falls_under_the_default_and_a_mailbox_under_no_country() {
    let policy = "[countries]\ndefault = \"block\"\nallow = [\"US\"]";
    let gateway = Gateway::ruled(policy);
    let send = async |to: &str| gateway.post("/verify/send", json!({ "to": to })).await;
    send("+80012345678").await.refuses(403, "blocked");
    send("+442079460018").await.refuses(403, "blocked");
    send(TO).await.accepts(201);
    send("bob@example.com").await.accepts(201);

    let gateway = Gateway::ruled("[countries]\ndefault = \"human_check\"\nallow = [\"US\"]");
    let send = async |to: &str| gateway.post("/verify/send", json!({ "to": to })).await;
    send("+80012345678").await.refuses(403, "blocked");
    send("bob@example.com").await.accepts(201);
    Gateway::ruled("").sent("+80012345678").await;
}

/// What an operator is told of the request that was refused.
async fn explained(gateway: &Gateway, path: &str, body: Value) -> (String, Value) {
    let answer = gateway.post(path, body).await;
    let problem = answer.json();
    let code = problem["code"].as_str().unwrap_or_default().to_owned();
    let id = answer.header("x-request-id").unwrap();
    let explained = gateway.get(&format!("/operator/explain/{id}")).await.accepts(200);
    (code, explained["explanations"][0]["rules"][0].clone())
}

#[tokio::test]
// long because one table of all refusals
async fn i135_every_refusal_of_a_send_names_what_decided_with_its_value() {
    let blocks_all = "[countries]\ndefault = \"block\"";
    let over = "[[tests.destination]]\nto = \"+12025550143\"\ncode = \"424242\"\nuntil = \"2020-01-01\"";
    for (policy, body, code, rule, value) in [
        (
            "[countries]\ndefault = \"human_check\"",
            json!({ "to": TO }),
            "blocked",
            "country",
            "US human_check",
        ),
        (blocks_all, json!({ "to": TO }), "blocked", "country", "US block"),
        (
            blocks_all,
            json!({ "to": "+80012345678" }),
            "blocked",
            "country",
            "no country block",
        ),
        (
            "[countries.US]\nchannels = [\"call\"]",
            json!({ "to": TO }),
            "channel_unavailable",
            "country_channels",
            "US sms",
        ),
        (
            "",
            json!({ "to": "+19002345678" }),
            "blocked",
            "premium_rate",
            "block",
        ),
        (
            "[email]\ndisposable = \"block\"",
            json!({ "to": "a@mailinator.com" }),
            "blocked",
            "disposable",
            "block",
        ),
        (
            over,
            json!({ "to": TO }),
            "blocked",
            "test_destination",
            "its date is over",
        ),
        (
            "",
            json!({ "to": TO, "channel": "whatsapp" }),
            "channel_unavailable",
            "channels_enabled",
            "whatsapp",
        ),
        (
            "",
            json!({ "to": "+12025550111" }),
            "channel_unavailable",
            "channel_unreachable",
            "sms",
        ),
        (
            "",
            json!({ "to": "+12025550115" }),
            "channel_unavailable",
            "opted_out",
            "sms",
        ),
        (
            "",
            json!({ "to": "+12025550114" }),
            "provider_unavailable",
            "down",
            "sms",
        ),
        (
            "",
            json!({ "to": "+12025550116" }),
            "blocked",
            "risk_high",
            "refuse",
        ),
        (
            "[risk]\nmedium = \"step_up\"",
            json!({ "to": "+12025550117" }),
            "step_up_required",
            "risk_medium",
            "step_up",
        ),
        (
            "",
            json!({ "to": "+1202" }),
            "invalid_destination",
            "invalid_destination",
            "to: the number is too short",
        ),
        (
            "",
            json!({ "to": TO, "decoy": true }),
            "invalid_request",
            "invalid_request",
            "decoy: a decoy needs",
        ),
        (
            "",
            json!({ "verification_id": "gone" }),
            "not_found",
            "not_found",
            "nothing is pending",
        ),
    ] {
        let gateway = Gateway::ruled(policy);
        let (refused, named) = explained(&gateway, "/verify/send", body.clone()).await;
        let said = named["value"].as_str().unwrap_or_default();
        assert_eq!((&*refused, named["rule"].as_str()), (code, Some(rule)), "{body}");
        assert!(said.starts_with(value), "{body}: {said}");
    }
}

#[tokio::test]
async fn i135_a_refusal_by_a_figure_names_the_figure() {
    let gateway = Gateway::ruled("[[limit]]\nname = \"sends_per_destination\"\nmax = 1");
    gateway.sent(TO).await;
    gateway.later(60).await;
    let (code, named) = explained(&gateway, "/verify/send", json!({ "to": TO })).await;
    assert_eq!(code, "rate_limited");
    assert_eq!(named["rule"], "sends_per_destination");
    assert_eq!((&named["figure"], &named["allowed"]), (&json!(1), &json!(1)));
    let check = json!({ "verification_id": "gone", "code": "123456" });
    let (code, named) = explained(&gateway, "/verify/check", check).await;
    assert_eq!((&*code, &named["rule"]), ("not_found", &json!("not_found")));
    let check = json!({ "to": TO, "code": "12" });
    let (code, named) = explained(&gateway, "/verify/check", check).await;
    assert_eq!((&*code, &named["rule"]), ("invalid_code", &json!("invalid_code")));
    let redeem = json!({ "to": TO, "proof": "none", "purpose": "sign_in" });
    let (code, named) = explained(&gateway, "/proofs/redeem", redeem).await;
    assert_eq!((&*code, &named["rule"]), ("not_found", &json!("not_found")));
}

#[tokio::test]
async fn i40_a_decoy_under_open_disclosure_is_refused_and_nobody_gets_a_message() {
    let gateway = Gateway::demo();
    let problem = gateway
        .post("/verify/send", json!({ "to": TO, "decoy": true }))
        .await
        .refuses(400, "invalid_request");
    assert_eq!(problem["pointer"], "/decoy");
    let said = problem["detail"].as_str().unwrap();
    assert!(said.contains("privacy.disclosure = \"private\""), "{said}");
    assert_eq!(gateway.inbox(TO).await, Vec::<Value>::new());
}

/// Nothing in it that stands for "no end".
fn is_a_figure(of: &Value) -> bool {
    match of {
        Value::Number(number) => number.as_u64().is_none_or(|number| number < u64::from(u32::MAX)),
        Value::Array(all) => all.iter().all(is_a_figure),
        Value::Object(all) => all.values().all(is_a_figure),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

#[tokio::test]
async fn i138_what_has_no_end_has_no_number() {
    let limits = |max: &str| {
        let named = [
            "sends_per_destination",
            "sends_per_destination_day",
            "checks_per_identity",
            "resend_gap",
        ];
        let limits = named.map(|name| format!("[[limit]]\nname = \"{name}\"\nmax = {max}\n"));
        format!("{}[lockout]\nwaits = \"unlimited\"", limits.concat())
    };
    // The second is more than a count of this size can say, the largest that a policy takes.
    for max in ["\"unlimited\"", "9007199254740991"] {
        let gateway = Gateway::ruled(&limits(max));
        let sent = gateway
            .post("/verify/send", json!({ "to": TO }))
            .await
            .accepts(201);
        assert_eq!(
            (&sent["sends_left"], &sent["checks_left"]),
            (&Value::Null, &Value::Null)
        );
        gateway.later(1).await;
        let wrong = another(&gateway.code(TO).await);
        let check = json!({ "verification_id": sent["verification_id"], "code": wrong });
        let problem = gateway
            .post("/verify/check", check)
            .await
            .refuses(401, "wrong_code");
        assert_eq!(problem.get("checks_left"), None);
        let id = sent["verification_id"].as_str().unwrap();
        let read = gateway.get(&format!("/verify/{id}")).await.accepts(200);
        for answer in [&sent, &problem, &read] {
            assert!(is_a_figure(answer), "{answer}");
        }
        let canceled = gateway
            .post(&format!("/verify/{id}/cancel"), json!({}))
            .await
            .accepts(200);
        assert_eq!(canceled["checks_left"], 0, "what is over has an end");
    }
}

#[tokio::test]
async fn i138_the_document_says_that_a_number_may_be_missing() {
    let document = Gateway::demo().get("/openapi.json").await.accepts(200);
    let of = |schema: &str, field: &str| {
        document["components"]["schemas"][schema]["properties"][field]["type"].clone()
    };
    for field in ["sends_left", "checks_left"] {
        assert_eq!(of("Verification", field), json!(["integer", "null"]));
    }
}

#[tokio::test]
async fn a_medium_risk_is_no_dead_end_and_is_reported() {
    let gateway = Gateway::demo();
    let sent = gateway
        .post("/verify/send", json!({ "to": "+12025550117" }))
        .await;
    sent.accepts(201);
    let id = sent.header("x-request-id").unwrap();
    let explained = gateway.get(&format!("/operator/explain/{id}")).await.accepts(200);
    let rule = &explained["explanations"][0]["rules"][0];
    assert_eq!(
        (&rule["rule"], &rule["value"]),
        (&json!("risk_medium"), &json!("auto"))
    );
}

#[tokio::test]
async fn i132_what_cannot_be_a_language_is_pointed_at_and_any_other_is_sent() {
    let gateway = Gateway::demo();
    let long = "a".repeat(36);
    for locale in ["", "de DE", "de/DE", "dé", "de;q=0.5", "*", "de\n", &long] {
        let body = json!({ "to": TO, "locale": locale });
        let problem = gateway
            .post("/verify/send", body)
            .await
            .refuses(400, "invalid_request");
        assert_eq!(problem["pointer"], "/locale", "{locale:?}");
    }
    for (index, locale) in ["de-DE", "de_DE", "tlh", "x", "zh-Hant-TW", "12345"]
        .into_iter()
        .enumerate()
    {
        let body = json!({ "to": format!("+1202555019{index}"), "locale": locale, "ip": format!("192.0.2.{index}") });
        gateway.post("/verify/send", body).await.accepts(201);
    }
}

/// A client that is made from the document refuses by itself what the gateway would refuse, and nothing else.
#[tokio::test]
async fn the_document_has_the_bounds_of_texts() {
    let gateway = Gateway::demo();
    let document = gateway.get("/openapi.json").await.accepts(200);
    let bound = |schema: &str, field: &str, bound: &str| {
        let bound = &document["components"]["schemas"][schema]["properties"][field][bound];
        usize::try_from(bound.as_u64().unwrap()).unwrap()
    };
    let to = "+12025550148";
    let paid = json!({ "purpose": "transaction", "amount": "10 USD", "payee": "Bob" });
    let send = json!({ "to": to });
    let check = json!({ "to": to, "code": "123456" });
    for (schema, path, plain, fields) in [
        (
            "Send",
            "/verify/send",
            &send,
            &["user_id", "device", "locale", "amount", "payee"][..],
        ),
        (
            "Check",
            "/verify/check",
            &check,
            &["user_id", "amount", "payee"][..],
        ),
        ("Unlock", "/operator/unlock", &send, &["user_id"][..]),
    ] {
        for field in fields {
            let mut body = plain.clone();
            if ["amount", "payee"].contains(field) {
                body.as_object_mut()
                    .unwrap()
                    .extend(paid.as_object().unwrap().clone());
            }
            let (least, most) = (
                bound(schema, field, "minLength"),
                bound(schema, field, "maxLength"),
            );
            for length in [least, most] {
                body[field] = json!("a".repeat(length));
                let answer = gateway.post(path, body.clone()).await;
                assert!(answer.status != 400, "{path} {field} {length}: {answer:?}");
            }
            for length in [least - 1, most + 1] {
                body[field] = json!("a".repeat(length));
                let problem = gateway
                    .post(path, body.clone())
                    .await
                    .refuses(400, "invalid_request");
                assert_eq!(problem["pointer"], format!("/{field}"), "{path} {length}");
            }
        }
    }
}

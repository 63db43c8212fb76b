//! Whatever comes in: a problem document that says what is wrong, and nothing has happened.

mod support;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use support::Gateway;

const TO: &str = "+12025550143";

#[tokio::test]
async fn a_destination_that_cannot_be_one_is_refused_and_nothing_counts() {
    let gateway = Gateway::demo();
    for to in [
        "",
        " ",
        "202-555-0143",
        "0171 1234567",
        "hello",
        "+1202555014a",
        "📞+12025550143",
        "＋１２０２５５５０１４３",
        "+1",
        "+999999999999999999",
        "ann@",
        "@example.com",
        "ann@@example.com",
        "+1202555\u{0}0143",
    ] {
        let problem = gateway
            .post("/verify/send", json!({ "to": to }))
            .await
            .refuses(400, "invalid_destination");
        assert_eq!(problem["pointer"], "/to", "{to:?}");
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
        assert!(
            to.trim().len() < 3 || !problem.to_string().contains(to),
            "i20: {problem}"
        );
    }
    let sent = gateway
        .post("/verify/send", json!({ "to": TO }))
        .await
        .accepts(201);
    assert_eq!(sent["sends_left"], 2);
}

#[tokio::test]
async fn a_code_that_cannot_be_one_is_refused_and_nothing_counts() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    for code in [
        "",
        "123",
        "12345678901",
        "12 34 5",
        "123456 7",
        "123\t456",
        "12345a",
        "１２３４５６",
        "12345\n",
        "💥💥💥💥💥💥",
    ] {
        let check = json!({ "verification_id": id, "code": code });
        gateway
            .post("/verify/check", check)
            .await
            .refuses(400, "invalid_code");
    }
    assert_eq!(
        gateway.get(&format!("/verify/{id}")).await.accepts(200)["checks_left"],
        5
    );
}

#[tokio::test]
async fn what_is_unknown_or_of_another_type_is_pointed_at() {
    let gateway = Gateway::demo();
    for (body, pointer) in [
        (json!({ "to": TO, "chanel": "sms" }), "/chanel"),
        (json!({ "to": TO, "channel": "pigeon" }), "/channel"),
        (json!({ "to": TO, "channel": 7 }), "/channel"),
        (json!({ "to": TO, "purpose": "fun" }), "/purpose"),
        (json!({ "to": TO, "country": "Germany" }), "/country"),
        (json!({ "to": TO, "ip": "localhost" }), "/ip"),
        (json!({ "to": TO, "asn": -1 }), "/asn"),
        (json!({ "to": TO, "consent": "yes" }), "/consent"),
        (json!({ "to": 12025550143_u64 }), "/to"),
        (json!({ "channel": "sms" }), "/to"),
        (json!({ "to": TO, "verification_id": "x" }), "/verification_id"),
        (
            json!({ "verification_id": "x", "purpose": "recovery" }),
            "/purpose",
        ),
        (json!({ "to": TO, "channel": "email" }), "/channel"),
        (json!({ "to": "ann@example.com", "channel": "sms" }), "/channel"),
    ] {
        let problem = gateway
            .post("/verify/send", body.clone())
            .await
            .refuses(400, "invalid_request");
        assert_eq!(problem["pointer"], pointer, "{body} {problem}");
    }
    let unknown = gateway
        .post("/verify/send", json!({ "to": TO, "channel": "pigeon" }))
        .await
        .json();
    assert_eq!(unknown["detail"], "expected one of: sms call whatsapp email");
    assert_eq!(gateway.inbox(TO).await, Vec::<Value>::new());
}

#[tokio::test]
async fn what_an_id_says_already_is_not_said_again_but_where_it_is_compared() {
    let gateway = Gateway::demo();
    let id = gateway.sent(TO).await;
    let sealed = ["country", "amount", "payee", "user_id", "purpose"];
    // A check compares the user and the purpose, and a country only with a number.
    for (path, fields) in [("/verify/send", &sealed[..]), ("/verify/check", &sealed[..3])] {
        for field in fields {
            let mut body = json!({ "verification_id": id });
            if path == "/verify/check" {
                body["code"] = json!("123456");
            }
            body[field] = json!(if *field == "purpose" { "sign_in" } else { "US" });
            let problem = gateway.post(path, body).await.refuses(400, "invalid_request");
            assert_eq!(problem["pointer"], format!("/{field}"), "{path}");
            assert_eq!(
                problem["detail"],
                "a verification_id already says this; leave the field out"
            );
        }
    }
    let left = gateway.get(&format!("/verify/{id}")).await.accepts(200);
    assert_eq!(left["checks_left"], 5, "nothing counts");
}

#[tokio::test]
async fn an_amount_without_a_payee_is_refused_wherever_it_stands() {
    let gateway = Gateway::demo();
    for (field, value, missing) in [("amount", "10 USD", "/payee"), ("payee", "Bob", "/amount")] {
        for (path, mut body) in [
            ("/verify/send", json!({ "to": TO })),
            ("/verify/check", json!({ "to": TO, "code": "123456" })),
            (
                "/proofs/redeem",
                json!({ "proof": "x", "purpose": "transaction", "to": TO }),
            ),
        ] {
            body[field] = json!(value);
            let problem = gateway.post(path, body).await.refuses(400, "invalid_request");
            assert_eq!(problem["pointer"], missing, "{path}");
        }
    }
    let both = json!({ "to": TO, "purpose": "transaction", "amount": "10 USD", "payee": "Bob" });
    gateway.post("/verify/send", both).await.accepts(201);
}

#[tokio::test]
async fn an_erasure_is_of_a_destination_and_a_user_is_not_ignored() {
    let gateway = Gateway::demo();
    gateway.sent(TO).await;
    let problem = gateway
        .post("/operator/erase", json!({ "to": TO, "user_id": "ann" }))
        .await
        .refuses(400, "invalid_request");
    assert_eq!(problem["pointer"], "/user_id");
    let erased = gateway
        .post(
            "/operator/erase",
            json!({ "to": "202 555 0143", "country": "US" }),
        )
        .await
        .accepts(200);
    assert_eq!(erased["verifications"], 1);
    gateway
        .post("/operator/unlock", json!({ "to": TO, "user_id": "ann" }))
        .await
        .accepts(200);
}

#[tokio::test]
async fn what_is_no_json_is_refused() {
    let gateway = Gateway::demo();
    let post = async |media: Option<&str>, body: &str| {
        let request = Request::post("/verify/send");
        let request = media
            .into_iter()
            .fold(request, |request, media| request.header("content-type", media));
        gateway
            .ask(request.body(Body::from(body.to_owned())).unwrap())
            .await
    };
    for body in [
        "",
        "{",
        "to=x",
        "[]",
        "null",
        "\u{feff}{}",
        "{\"to\":\"+12025550143\"}{}",
        "\"+12025550143\"",
    ] {
        post(Some("application/json"), body)
            .await
            .refuses(400, "invalid_request");
    }
    for media in [
        None,
        Some("text/plain"),
        Some("application/x-www-form-urlencoded"),
    ] {
        post(media, "{\"to\":\"+12025550143\"}")
            .await
            .refuses(415, "unsupported_media_type");
    }
    post(
        Some("application/json; charset=utf-8"),
        "{\"to\":\"+12025550143\"}",
    )
    .await
    .accepts(201);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_announced_or_not() {
    let gateway = Gateway::demo();
    let large = format!("{{\"to\":\"{}\"}}", "9".repeat(10_000_000));
    let request = Request::post("/verify/send").header("content-type", "application/json");
    gateway
        .ask(request.body(Body::from(large.clone())).unwrap())
        .await
        .refuses(413, "too_large");
    let announced = Request::post("/verify/check").header("content-type", "application/json");
    let announced = announced.header("content-length", large.len());
    gateway
        .ask(announced.body(Body::from(large)).unwrap())
        .await
        .refuses(413, "too_large");

    let just_fits = format!("{{\"to\":\"{TO}\"}}{}", " ".repeat(16 * 1024 - 21));
    assert_eq!(just_fits.len(), 16 * 1024);
    let request = Request::post("/verify/send").header("content-type", "application/json");
    gateway
        .ask(request.body(Body::from(just_fits)).unwrap())
        .await
        .accepts(201);
}

#[tokio::test]
async fn ids_that_are_malformed_or_foreign_are_not_found() {
    let gateway = Gateway::demo();
    let foreign = Gateway::demo().sent(TO).await;
    for id in ["x", "..", "%00", "%FF", "AAAA", &"A".repeat(3_000), &foreign] {
        gateway
            .get(&format!("/verify/{id}"))
            .await
            .refuses(404, "not_found");
        gateway
            .post(&format!("/verify/{id}/cancel"), json!({}))
            .await
            .refuses(404, "not_found");
    }
    for id in ["", "x", &foreign] {
        gateway
            .post(
                "/verify/check",
                json!({ "verification_id": id, "code": "123456" }),
            )
            .await
            .refuses(404, "not_found");
        gateway
            .post("/verify/send", json!({ "verification_id": id }))
            .await
            .refuses(404, "not_found");
        let redeem = json!({ "proof": id, "purpose": "sign_in", "to": TO });
        gateway
            .post("/proofs/redeem", redeem)
            .await
            .refuses(404, "not_found");
    }
}

#[tokio::test]
async fn idempotency_keys_have_bounds() {
    let gateway = Gateway::demo();
    for key in ["", &"k".repeat(256)] {
        let answer = gateway
            .post_with("/verify/send", &[("idempotency-key", key)], json!({ "to": TO }))
            .await;
        answer.refuses(400, "invalid_request");
    }
    let twice = [("idempotency-key", "a"), ("idempotency-key", "b")];
    gateway
        .post_with("/verify/send", &twice, json!({ "to": TO }))
        .await
        .refuses(400, "invalid_request");
}

#[tokio::test]
async fn the_clock_takes_no_nonsense() {
    let gateway = Gateway::demo();
    for nonsense in [
        json!(-1),
        json!(1.5),
        json!("60"),
        json!(u64::MAX),
        json!(31_622_401),
        json!(null),
    ] {
        let problem = gateway
            .post("/demo/clock", json!({ "advance_seconds": nonsense }))
            .await;
        assert_eq!(
            problem.refuses(400, "invalid_request")["pointer"],
            "/advance_seconds",
            "{nonsense}"
        );
    }
    assert_eq!(gateway.get("/demo/clock").await.accepts(200)["ahead_seconds"], 0);
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let gateway = Gateway::demo();
    for path in ["/nowhere", "/verify", "/verify/a/b/c", "/operator", "//"] {
        gateway.get(path).await.refuses(404, "not_found");
    }
    let answer = gateway.get("/verify/send/").await;
    answer.refuses(404, "not_found");
    let delete = Request::delete("/verify/send").body(Body::empty()).unwrap();
    let answer = gateway.ask(delete).await;
    answer.refuses(405, "method_not_allowed");
    assert_eq!(answer.header("allow"), Some("POST"));
}

#[tokio::test]
async fn i20_a_refusal_repeats_no_value_whatever_words_stand_in_it() {
    let gateway = Gateway::demo();
    for body in [
        json!({ "to": TO, "asn": format!("expected {TO} at line 1") }),
        json!({ "to": TO, "consent": format!("{TO}, expected {TO}") }),
        json!({ "to": TO, format!("x`, expected {TO}"): 1 }),
        json!({ "to": TO, format!("x`, expected {TO} at line 1"): 1 }),
    ] {
        let problem = gateway
            .post("/verify/send", body.clone())
            .await
            .refuses(400, "invalid_request");
        assert!(!problem.to_string().contains(TO), "{body}: {problem}");
    }
}

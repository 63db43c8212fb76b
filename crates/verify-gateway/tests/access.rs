//! Who may call what, from where, and what everybody may see.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use support::Gateway;
use verify_http::ProblemCode;
use verify_twilio::double::{Answer, Double};

const TO: &str = "+12025550143";

/// A real gateway whose provider cannot be reached: nobody listens on port 9 of this machine.
fn live() -> Gateway {
    Gateway::live("http://127.0.0.1:9", &[])
}

fn key(key: &str) -> String {
    format!("Bearer {key}")
}

#[tokio::test]
async fn every_route_but_a_few_needs_a_key() {
    let gateway = live().from("192.0.2.1");
    for path in [
        "/verify/x",
        "/openapi.json",
        "/docs",
        "/metrics",
        "/operator/explain/x",
    ] {
        let answer = gateway.get(path).await;
        answer.refuses(401, "unauthenticated");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{path}");
    }
    for path in [
        "/verify/send",
        "/verify/check",
        "/verify/x/cancel",
        "/proofs/redeem",
        "/operator/unlock",
        "/operator/erase",
    ] {
        gateway
            .post(path, json!({ "to": TO }))
            .await
            .refuses(401, "unauthenticated");
    }
    gateway.get("/healthz").await.accepts(200);
    gateway.get("/").await.refuses(404, "not_found");
    gateway.get("/demo/clock").await.refuses(404, "not_found");
}

#[tokio::test]
async fn wrong_and_partial_keys_open_nothing() {
    let gateway = live();
    for wrong in [
        "",
        "Bearer",
        "Bearer ",
        "Bearer shop-ke",
        "Bearer shop-keyy",
        "Basic shop-key",
        "shop-key",
        "Bearer SHOP-KEY",
    ] {
        gateway
            .get_with("/verify/x", &[("authorization", wrong)])
            .await
            .refuses(401, "unauthenticated");
    }
    gateway
        .get_with("/verify/x", &[("authorization", "bearer shop-key")])
        .await
        .refuses(404, "not_found");
}

#[tokio::test]
async fn operator_routes_need_the_role() {
    let gateway = live().from("192.0.2.1");
    let shop = key("shop-key");
    let ops = key("ops-key");
    let shop = [("authorization", shop.as_str())];
    let ops = [("authorization", ops.as_str())];
    for path in ["/operator/unlock", "/operator/erase"] {
        gateway
            .post_with(path, &shop, json!({ "to": TO }))
            .await
            .refuses(403, "forbidden");
        gateway
            .post_with(path, &ops, json!({ "to": TO }))
            .await
            .accepts(200);
    }
    gateway
        .get_with("/operator/explain/x", &shop)
        .await
        .refuses(403, "forbidden");
    gateway
        .get_with("/metrics", &shop)
        .await
        .refuses(403, "forbidden");
    gateway.get_with("/metrics", &ops).await.refuses(404, "not_found");
}

#[tokio::test]
async fn metrics_are_for_this_machine_unless_a_proxy_stands_in_front() {
    // No recorder is installed here: who gets through learns that, who does not is asked for a key.
    live().get("/metrics").await.refuses(404, "not_found");
    let forwarded = [("x-forwarded-for", "192.0.2.1")];
    live()
        .get_with("/metrics", &forwarded)
        .await
        .refuses(401, "unauthenticated");
}

#[tokio::test]
async fn an_unreachable_provider_is_unavailable_and_the_process_lives() {
    let gateway = live();
    let shop = key("shop-key");
    let shop = [("authorization", shop.as_str())];
    let problem = gateway
        .post_with("/verify/send", &shop, json!({ "to": TO }))
        .await
        .refuses(503, "provider_unavailable");
    assert!(
        !problem.to_string().to_lowercase().contains("twilio"),
        "{problem}"
    );
    gateway.get("/healthz").await.accepts(200);
    let ready = gateway.get("/readyz").await.accepts(503);
    assert_eq!(
        (&ready["ok"], &ready["store"], &ready["providers"][0]["state"]),
        (&json!(false), &json!("ok"), &json!("unavailable"))
    );
}

#[tokio::test]
async fn i63_the_client_is_one_value_from_a_trusted_hop_or_the_peer() {
    // Five sends of one address are admitted: a forged header must not make it look like many.
    let send = async |gateway: &Gateway, n: usize, forwarded: &str| {
        let body = json!({ "to": format!("+1202555{n:04}") });
        gateway
            .post_with("/verify/send", &[("x-forwarded-for", forwarded)], body)
            .await
    };
    let open = Gateway::demo().from("192.0.2.1");
    for n in 150..155 {
        send(&open, n, &format!("198.51.100.{n}")).await.accepts(201);
    }
    send(&open, 155, "198.51.100.155")
        .await
        .refuses(429, "rate_limited");

    let behind = Gateway::with(&[("VERIFY_TRUSTED_PROXIES", "192.0.2.0/24")]).from("192.0.2.1");
    for n in 150..155 {
        send(&behind, n, &format!("10.9.9.{n}, 198.51.100.1"))
            .await
            .accepts(201);
    }
    send(&behind, 155, "10.9.9.1, 198.51.100.1")
        .await
        .refuses(429, "rate_limited");
    send(&behind, 156, "198.51.100.2").await.accepts(201);
}

#[tokio::test]
async fn a_flood_of_one_client_is_turned_away_before_the_store() {
    let gateway = Gateway::with(&[("VERIFY_FLOOD_SHIELD", "2/s")]);
    let send = async |ip: &str| gateway.post("/verify/send", json!({ "to": TO, "ip": ip })).await;
    send("192.0.2.1").await.accepts(201);
    send("192.0.2.1").await.accepts(200);
    let turned_away = send("192.0.2.1").await.refuses(503, "overloaded");
    assert_eq!(turned_away["retry_after"], 1);
    send("192.0.2.2").await.accepts(200);
}

/// A backend speaks from one address for everybody: what it asks is not one client's flood.
#[tokio::test]
async fn what_a_caller_asks_by_itself_counts_for_no_client() {
    tokio::time::pause();
    let gateway = live().from("192.0.2.1");
    let key = [("authorization", "Bearer shop-key")];
    for _ in 0..400 {
        let read = gateway.get_with("/verify/x", &key).await;
        read.refuses(404, "not_found");
    }
    let proof = json!({ "proof": "x", "purpose": "sign_in", "to": TO });
    let redeem = gateway.post_with("/proofs/redeem", &key, proof.clone()).await;
    redeem.refuses(404, "not_found");
    // A client that is named has its hundred, whoever names it; and a caller has an end too.
    let check = json!({ "to": TO, "code": "1", "ip": "192.0.2.1" });
    for _ in 0..100 {
        let checked = gateway.post_with("/verify/check", &key, check.clone()).await;
        checked.refuses(400, "invalid_code");
    }
    let checked = gateway.post_with("/verify/check", &key, check).await;
    checked.refuses(503, "overloaded");
    for _ in 401..1_000 {
        gateway.get_with("/verify/x", &key).await;
    }
    let redeem = gateway.post_with("/proofs/redeem", &key, proof.clone()).await;
    redeem.refuses(503, "overloaded");
    let other = [("authorization", "Bearer ops-key")];
    let redeem = gateway.post_with("/proofs/redeem", &other, proof).await;
    redeem.refuses(404, "not_found");
}

#[tokio::test]
async fn one_shield_refuses_alike_on_every_route_and_tells_its_true_wait() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    // Time stands: what was used up does not come back meanwhile.
    tokio::time::pause();
    let gateway = Gateway::with(&[("VERIFY_FLOOD_SHIELD", "1/s")]).from("192.0.2.1");
    let named = json!({ "to": TO, "ip": "192.0.2.7" });
    gateway.post("/verify/send", named.clone()).await.accepts(201);
    let mut told = vec![gateway.post("/verify/send", named).await];
    for _ in 0..10 {
        gateway.get("/verify/x").await.refuses(404, "not_found");
    }
    for (path, body) in [
        ("/verify/send", json!({ "to": TO })),
        ("/verify/check", json!({ "to": TO, "code": "123456" })),
        ("/verify/x/cancel", json!({})),
        (
            "/proofs/redeem",
            json!({ "proof": "x", "purpose": "sign_in", "to": TO }),
        ),
    ] {
        told.push(gateway.post(path, body).await);
    }
    told.push(gateway.get("/verify/x").await);
    for answer in told {
        let problem = answer.refuses(503, "overloaded");
        assert_eq!(
            (&problem["retry_after"], answer.header("retry-after")),
            (&json!(1), Some("1"))
        );
        assert_eq!(
            problem["detail"],
            "too many requests of one client at once; slow down"
        );
    }
    let counted = recorder.handle().render();
    for line in [
        "verify_http_shielded_total 6",
        "verify_refusals_total{code=\"overloaded\",rule=\"flood_shield\"} 6",
    ] {
        assert!(counted.contains(line), "{line}: {counted}");
    }
    tokio::time::advance(Duration::from_secs(1)).await;
    gateway.get("/verify/x").await.refuses(404, "not_found");
}

#[tokio::test]
async fn the_document_lists_every_route_and_the_page_shows_it() {
    let gateway = Gateway::demo();
    let document = gateway.get("/openapi.json").await.accepts(200);
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    for (path, verb) in [
        ("/verify/send", "post"),
        ("/verify/check", "post"),
        ("/verify/{id}", "get"),
        ("/verify/{id}/cancel", "post"),
        ("/proofs/redeem", "post"),
        ("/webhooks/verify-events", "post"),
        ("/webhooks/sms-status", "post"),
        ("/webhooks/voice-status", "post"),
        ("/operator/unlock", "post"),
        ("/operator/erase", "post"),
        ("/operator/explain/{id}", "get"),
        ("/healthz", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/openapi.json", "get"),
        ("/docs", "get"),
        ("/demo/inbox", "get"),
        ("/demo/clock", "post"),
    ] {
        assert!(document["paths"][path][verb].is_object(), "{verb} {path}");
    }
    let send = &document["components"]["schemas"]["Send"]["properties"];
    for field in [
        "to",
        "channel",
        "user_id",
        "purpose",
        "locale",
        "country",
        "ip",
        "asn",
        "device",
        "device_token",
        "consent",
        "human_check",
        "proof",
        "amount",
        "payee",
        "decoy",
        "verification_id",
    ] {
        assert!(send[field].is_object(), "{field}");
    }
    let page = gateway.get("/docs").await;
    assert!(page.text.contains("/verify/send") && !page.text.contains("{{document}}"));
    let inside = page
        .text
        .split("id=\"document\">")
        .nth(1)
        .unwrap()
        .split("</script>")
        .next()
        .unwrap();
    assert_eq!(serde_json::from_str::<Value>(inside).unwrap(), document);
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let gateway = Gateway::demo();
    for path in ["/", "/docs"] {
        let page = gateway.get(path).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        for found in page
            .text
            .split(['"', '\''])
            .filter(|part| part.starts_with('/') && (part.ends_with(".js") || part.ends_with(".css")))
        {
            assert_eq!(gateway.get(found).await.status, 200, "{found}");
        }
        assert!(
            !page.text.contains("https://") && !page.text.contains("style="),
            "{path}"
        );
    }
}

#[tokio::test]
async fn metrics_stay_closed_behind_a_proxy_that_names_the_client_in_another_header() {
    for header in [
        ("x-real-ip", "192.0.2.1"),
        ("via", "1.1 edge"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "verify.example.com"),
        ("cf-connecting-ip", "192.0.2.1"),
    ] {
        live()
            .get_with("/metrics", &[header])
            .await
            .refuses(401, "unauthenticated");
    }
}

#[tokio::test]
async fn metrics_are_for_operators_where_a_proxy_on_this_machine_is_trusted() {
    // Such a proxy need not add a header to every request.
    let proxies = [("VERIFY_TRUSTED_PROXIES", "127.0.0.0/8")];
    Gateway::live("http://127.0.0.1:9", &proxies)
        .get("/metrics")
        .await
        .refuses(401, "unauthenticated");
}

/// A translator's clients are not one, and who has one IPv4 address has no network of them.
#[tokio::test]
async fn i63_an_address_that_ipv6_only_carries_is_one_client() {
    let gateway = Gateway::demo();
    let forms = [
        "192.0.2.33",
        "::ffff:192.0.2.33",
        "::192.0.2.33",
        "64:ff9b::192.0.2.33",
        "64:ff9b:1::192.0.2.33",
        "2002:c000:221:7::9",
    ];
    let send = async |n: usize, ip: &str| {
        let body = json!({ "to": format!("+1202555{n:04}"), "ip": ip });
        gateway.post("/verify/send", body).await
    };
    for (n, ip) in (150..155).zip(forms) {
        send(n, ip).await.accepts(201);
    }
    for (n, ip) in (155..161).zip(forms) {
        send(n, ip).await.refuses(429, "rate_limited");
    }
    send(161, "64:ff9b::192.0.2.34").await.accepts(201);
}

#[tokio::test]
async fn i63_the_other_forwarding_header_is_the_clients_own_word() {
    for (vars, believed, ignored) in [
        (&[][..], "x-forwarded-for", "forwarded"),
        (
            &[("VERIFY_FORWARDED_HEADER", "Forwarded")],
            "forwarded",
            "x-forwarded-for",
        ),
    ] {
        let mut vars = vars.to_vec();
        vars.push(("VERIFY_TRUSTED_PROXIES", "192.0.2.0/24"));
        let gateway = Gateway::with(&vars).from("192.0.2.1");
        let said = |header, client: &str| match header {
            "forwarded" => format!("for={client}"),
            _ => client.to_owned(),
        };
        let send = async |n: usize, client: &str, other: &str| {
            let headers = [
                (believed, &*said(believed, client)),
                (ignored, &*said(ignored, other)),
            ];
            let body = json!({ "to": format!("+1202555{n:04}") });
            gateway.post_with("/verify/send", &headers, body).await
        };
        for n in 150..155 {
            let other = format!("203.0.113.{n}");
            send(n, "198.51.100.1", &other).await.accepts(201);
        }
        let sent = send(155, "198.51.100.1", "203.0.113.1").await;
        sent.refuses(429, "rate_limited");
        // Nor does it make another client pay for this one.
        send(156, "198.51.100.2", "198.51.100.1").await.accepts(201);
    }
}

#[tokio::test]
async fn i63_an_unreadable_hop_does_not_hide_the_one_that_the_proxy_added() {
    let behind = Gateway::with(&[("VERIFY_TRUSTED_PROXIES", "192.0.2.0/24")]).from("192.0.2.1");
    let send = async |n: usize, forwarded: &[u8]| {
        let request = Request::post("/verify/send")
            .header("content-type", "application/json")
            .header("x-forwarded-for", HeaderValue::from_bytes(forwarded).unwrap());
        let body = json!({ "to": format!("+1202555{n:04}") }).to_string();
        behind.ask(request.body(Body::from(body)).unwrap()).await
    };
    for n in 150..155 {
        send(n, b"198.51.100.1").await.accepts(201);
    }
    send(155, b"\xff, 198.51.100.1")
        .await
        .refuses(429, "rate_limited");
}

#[tokio::test]
async fn anonymous_questions_about_readiness_do_not_multiply_into_calls_of_the_provider() {
    let twilio = Double::start().await.unwrap();
    let gateway = Gateway::live(&twilio.base_url(), &[]).from("192.0.2.1");
    gateway.get("/readyz").await;
    tokio::time::pause();
    for _ in 0..20 {
        gateway.get("/readyz").await;
    }
    assert_eq!(twilio.recorded().len(), 1);
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    gateway.get("/readyz").await;
    assert_eq!(twilio.recorded().len(), 2, "an answer is not kept for ever");
}

/// What clients do wrong, on every route; whatever is answered, and with which status, stands in the document.
#[tokio::test]
async fn every_answer_stands_in_the_document() {
    let vars = [
        ("TWILIO_AUTH_TOKEN", "token"),
        ("VERIFY_PUBLIC_URL", "https://verify.example.com"),
    ];
    let gateway = Gateway::live("http://127.0.0.1:9", &vars).from("192.0.2.1");
    let ops = key("ops-key");
    let shop = key("shop-key");
    let document = gateway
        .get_with("/openapi.json", &[("authorization", &ops)])
        .await
        .accepts(200);
    let large = format!("{{\"to\":\"{}\"}}", "x".repeat(300 * 1024));
    let bodies = ["", "{}", "{\"to\":\"+12025550143\"}", &large];
    let mut missing = BTreeSet::new();
    for (template, verbs) in document["paths"].as_object().unwrap() {
        for (verb, operation) in verbs.as_object().unwrap() {
            let path = template.replace("{id}", "x");
            for (authorization, media, body) in ["", &shop, &ops]
                .into_iter()
                .flat_map(|key| ["text/plain", "application/json"].map(|media| (key, media)))
                .flat_map(|(key, media)| bodies.map(|body| (key, media, body)))
            {
                let request = Request::builder()
                    .method(verb.to_uppercase().as_str())
                    .uri(&path)
                    .header("content-type", media)
                    .header("authorization", authorization);
                let answer = gateway
                    .ask(request.body(Body::from(body.to_owned())).unwrap())
                    .await;
                let status = answer.status.as_str();
                let media = answer.header("content-type").unwrap_or_default();
                let media = media.split(';').next().unwrap_or_default();
                if !operation["responses"][status]["content"][media].is_object() {
                    missing.insert(format!("{status} {media} {verb} {template}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[tokio::test]
async fn the_document_asks_for_a_key_where_one_is_needed() {
    let needed = json!([{ "key": [] }]);
    let demo = Gateway::demo().get("/openapi.json").await.accepts(200);
    assert_eq!(demo["security"], json!(null));
    let live = Gateway::live("http://127.0.0.1:9", &[]);
    let document = live
        .get_with("/openapi.json", &[("authorization", &key("ops-key"))])
        .await
        .accepts(200);
    assert_eq!(document["security"], needed);
    assert_eq!(document["paths"]["/healthz"]["get"]["security"], json!([{}]));
}

#[tokio::test]
async fn the_document_lists_the_codes_of_problems_as_they_are_sent() {
    let document = Gateway::demo().get("/openapi.json").await.accepts(200);
    let listed = &document["components"]["schemas"]["ProblemCode"]["enum"];
    let codes: Vec<&str> = ProblemCode::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(listed, &json!(codes));
}

/// What the engine may refuse besides, by the command of a route.
#[tokio::test]
async fn every_refusal_of_the_engine_stands_in_the_document() {
    let document = Gateway::demo().get("/openapi.json").await.accepts(200);
    for (path, verb, statuses) in [
        ("/verify/check", "post", &["409", "422", "429", "503"][..]),
        ("/verify/{id}/cancel", "post", &["404", "409", "503"]),
        ("/proofs/redeem", "post", &["400", "404", "503"]),
        ("/operator/unlock", "post", &["400", "503"]),
        ("/operator/erase", "post", &["400", "409", "503"]),
        ("/webhooks/verify-events", "post", &["400", "403", "413", "503"]),
        ("/webhooks/sms-status", "post", &["400", "403", "413", "503"]),
        ("/webhooks/voice-status", "post", &["400", "403", "413", "503"]),
        ("/metrics", "get", &["401", "403", "404"]),
        ("/demo/clock", "post", &["400", "413", "415"]),
    ] {
        for status in statuses {
            let responses = &document["paths"][path][verb]["responses"];
            assert!(responses[status].is_object(), "{status} {verb} {path}");
        }
    }
}

#[tokio::test]
async fn i29_an_idempotency_key_is_its_callers_own() {
    let twilio = Double::start().await.unwrap();
    for n in ["1", "2"] {
        let sent = json!({ "sid": format!("VE{}", n.repeat(32)), "status": "pending" });
        twilio.then(Answer::json(201, sent.to_string()));
    }
    let gateway = Gateway::live(&twilio.base_url(), &[]);
    let send = async |caller: &str, to: &str| {
        let caller = key(caller);
        let headers = [("authorization", caller.as_str()), ("idempotency-key", "1")];
        gateway
            .post_with("/verify/send", &headers, json!({ "to": to }))
            .await
    };
    send("shop-key", TO).await.accepts(201);
    send("ops-key", "+12025550144").await.accepts(201);
    send("shop-key", TO).await.accepts(200);
    send("shop-key", "+12025550145")
        .await
        .refuses(422, "idempotency_mismatch");
}

//! What goes over the wire: methods, paths, headers and forms to the letter, and what is tried again.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail the test")]

mod common;

use std::time::Duration;

use common::{ACCOUNT, NUMBER, SERVICE, SID, attempts, client, config, impatient, unreachable, verification};
use verify_core::secret::SecretString;
use verify_core::time::Timestamp;
use verify_core::vocabulary::Payment;
use verify_twilio::client::{AttemptFilter, Check, Start, Which};
use verify_twilio::double::{Answer, Double, Recorded};
use verify_twilio::{CallError, Config, Credentials, TwilioClient};

const START: Start<'_> = Start {
    to: NUMBER,
    channel: "sms",
    locale: Some("en"),
    payment: None,
    tags: None,
};

fn paid(amount: &str, payee: &str) -> Payment {
    Payment {
        amount: amount.into(),
        payee: payee.into(),
    }
}

fn line(request: &Recorded) -> String {
    format!("{} {} {}", request.method, request.target, request.body)
}

async fn answered(answer: Answer) -> Double {
    let double = Double::start().await.unwrap();
    double.then(answer);
    double
}

#[tokio::test]
async fn a_start_is_a_form_under_basic_credentials() {
    let double = answered(Answer::json(201, verification("pending"))).await;
    let started = client(&double).start(SERVICE, &START).await.unwrap();
    assert_eq!(
        (started.sid.as_deref(), started.status.as_deref()),
        (Some(SID), Some("pending"))
    );

    let [request] = double.recorded().try_into().unwrap();
    let expected =
        format!("POST /v2/Services/{SERVICE}/Verifications To=%2B14155552671&Channel=sms&Locale=en");
    assert_eq!(line(&request), expected);
    assert_eq!(
        request.header("content-type"),
        Some("application/x-www-form-urlencoded")
    );
    assert_eq!(request.header("accept"), Some("application/json"));
    // base64 of `ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:authtoken`.
    let basic = "Basic QUNhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYTphdXRodG9rZW4=";
    assert_eq!(request.header("authorization"), Some(basic));
    assert!(
        request
            .header("user-agent")
            .unwrap()
            .starts_with("verify-twilio/")
    );
}

#[tokio::test]
async fn an_api_key_calls_in_its_own_name() {
    let double = answered(Answer::json(201, verification("pending"))).await;
    let key = Credentials::ApiKey {
        sid: "SK1".into(),
        secret: SecretString::new("secret".into()),
    };
    let config = Config {
        base_url: Some(double.base_url()),
        ..Config::new(ACCOUNT, key)
    };
    TwilioClient::new(&config)
        .unwrap()
        .start(SERVICE, &START)
        .await
        .unwrap();
    assert_eq!(
        double.recorded()[0].header("authorization"),
        Some("Basic U0sxOnNlY3JldA==")
    );
}

#[tokio::test]
async fn a_start_says_all_that_it_is_given() {
    let double = answered(Answer::json(201, verification("pending"))).await;
    let start = Start {
        to: "ann+x@example.com",
        channel: "email",
        locale: None,
        payment: Some(&paid("€39.99", "Acme & Co")),
        tags: Some(r#"{"ref":"a/b="}"#),
    };
    client(&double).start(SERVICE, &start).await.unwrap();
    let expected = "To=ann%2Bx%40example.com&Channel=email&Amount=%E2%82%AC39.99&Payee=Acme+%26+Co\
                    &Tags=%7B%22ref%22%3A%22a%2Fb%3D%22%7D";
    assert_eq!(double.recorded()[0].body, expected);
}

#[tokio::test]
async fn checks_name_the_verification_or_the_destination() {
    let double = Double::start().await.unwrap();
    double
        .then(Answer::json(200, verification("approved")))
        .then(Answer::json(201, verification("pending")));
    let client = client(&double);
    let payment = paid("5", "Acme");
    let by_sid = Check {
        which: Which::Sid(SID),
        code: "012345",
        payment: Some(&payment),
    };
    let by_to = Check {
        which: Which::To(NUMBER),
        payment: None,
        ..by_sid
    };
    assert_eq!(client.check(SERVICE, &by_sid).await.unwrap().valid, Some(true));
    assert_eq!(client.check(SERVICE, &by_to).await.unwrap().valid, Some(false));
    let path = format!("POST /v2/Services/{SERVICE}/VerificationCheck");
    let said: Vec<_> = double.recorded().iter().map(line).collect();
    assert_eq!(
        said,
        [
            format!("{path} VerificationSid={SID}&Code=012345&Amount=5&Payee=Acme"),
            format!("{path} To=%2B14155552671&Code=012345"),
        ],
    );
}

#[tokio::test]
async fn readings_and_cancels_encode_what_stands_in_the_path() {
    let double = Double::start().await.unwrap();
    for status in ["pending", "canceled", "canceled"] {
        double.then(Answer::json(200, verification(status)));
    }
    let client = client(&double);
    client.fetch(SERVICE, Which::Sid(SID)).await.unwrap();
    for to in ["a/b?c@example.com", NUMBER] {
        client.cancel(SERVICE, Which::To(to)).await.unwrap();
    }
    let path = format!("/v2/Services/{SERVICE}/Verifications");
    let said: Vec<_> = double.recorded().iter().map(line).collect();
    assert_eq!(
        said,
        [
            format!("GET {path}/{SID} "),
            format!("POST {path}/a%2Fb%3Fc@example.com Status=canceled"),
            format!("POST {path}/+14155552671 Status=canceled"),
        ],
    );
}

#[tokio::test]
async fn a_base_url_with_a_path_keeps_it() {
    let double = answered(Answer::json(
        200,
        format!(r#"{{"sid":"{SERVICE}","code_length":6}}"#),
    ))
    .await;
    let client = TwilioClient::new(&config(format!("{}/twilio/", double.base_url()))).unwrap();
    assert_eq!(client.service(SERVICE).await.unwrap().code_length, Some(6));
    assert_eq!(
        line(&double.recorded()[0]),
        format!("GET /twilio/v2/Services/{SERVICE} ")
    );
}

/// Around 2015-07-30T20:00:00Z.
const FILTER: AttemptFilter<'_> = AttemptFilter {
    service: SERVICE,
    to: NUMBER,
    after: Timestamp::from_millis(1_438_286_340_500),
    before: Timestamp::from_millis(1_438_286_470_001),
};

#[tokio::test]
async fn a_listing_reads_page_after_page() {
    let double = Double::start().await.unwrap();
    let next = format!(
        "{}/v2/Attempts?PageSize=100&Page=1&PageToken=PT1",
        double.base_url()
    );
    let first =
        Answer::json(200, attempts(&[1, 2], Some(next))).header("date", "Thu, 30 Jul 2015 20:02:00 GMT");
    double.then(first).then(Answer::json(200, attempts(&[3], None)));
    let found = client(&double).attempts(&FILTER).await.unwrap();
    assert_eq!(found.attempts.len(), 3);
    assert_eq!(found.asked_at, Some(Timestamp::from_millis(1_438_286_520_000)));
    let said: Vec<_> = double.recorded().iter().map(line).collect();
    let query = format!(
        "ChannelData.To=%2B14155552671&VerifyServiceSid={SERVICE}&DateCreatedAfter=2015-07-30T19%3A59%3A00Z\
         &DateCreatedBefore=2015-07-30T20%3A01%3A11Z&PageSize=100"
    );
    assert_eq!(
        said,
        [
            format!("GET /v2/Attempts?{query} "),
            "GET /v2/Attempts?PageSize=100&Page=1&PageToken=PT1 ".into()
        ],
    );
}

#[tokio::test]
async fn credentials_do_not_follow_a_page_to_another_host() {
    let (double, other) = (Double::start().await.unwrap(), Double::start().await.unwrap());
    for next in [
        other.base_url(),
        "file:///etc/hosts".into(),
        "/v2/Attempts?Page=1".into(),
    ] {
        double.then(Answer::json(200, attempts(&[1], Some(next))));
        assert!(matches!(
            client(&double).attempts(&FILTER).await,
            Err(CallError::Unclear(_))
        ));
    }
    assert_eq!(other.recorded(), []);
}

#[tokio::test]
async fn a_listing_that_does_not_end_is_no_listing() {
    let double = Double::start().await.unwrap();
    for _ in 0..10 {
        double.then(Answer::json(
            200,
            attempts(&[1], Some(format!("{}/v2/Attempts", double.base_url()))),
        ));
    }
    assert!(matches!(
        client(&double).attempts(&FILTER).await,
        Err(CallError::Unclear(_))
    ));
    assert_eq!(double.recorded().len(), 5);
}

#[tokio::test]
async fn too_many_requests_is_tried_once_more() {
    let busy = || Answer::error(429, 20429, "Too many requests").header("retry-after", "0");
    let double = Double::start().await.unwrap();
    double
        .then(busy())
        .then(Answer::json(201, verification("pending")));
    assert!(client(&double).start(SERVICE, &START).await.is_ok());
    double
        .then(busy())
        .then(busy())
        .then(Answer::json(201, verification("pending")));
    let Err(CallError::Refused(refusal)) = client(&double).start(SERVICE, &START).await else {
        panic!("the third answer was asked for")
    };
    assert_eq!((refusal.http, refusal.detail.code), (429, Some(20429)));
    let bodies: Vec<_> = double
        .recorded()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(bodies, ["To=%2B14155552671&Channel=sms&Locale=en"; 4]);
}

#[tokio::test]
async fn nothing_else_is_tried_again() {
    for (answer, retry_after) in [
        (
            Answer::error(429, 20429, "Too many requests").header("retry-after", "2"),
            Some(2),
        ),
        (
            Answer::error(429, 20429, "Too many requests").header("retry-after", "soon"),
            None,
        ),
        (
            Answer::error(429, 60203, "Max send attempts reached").header("retry-after", "0"),
            Some(0),
        ),
        (
            Answer::error(400, 20429, "Too many requests").header("retry-after", "0"),
            Some(0),
        ),
        (Answer::json(429, "").header("retry-after", "0"), Some(0)),
    ] {
        let double = answered(answer).await;
        let Err(CallError::Refused(refusal)) = client(&double).start(SERVICE, &START).await else {
            panic!()
        };
        assert_eq!(refusal.retry_after, retry_after.map(Duration::from_secs));
        assert_eq!(double.recorded().len(), 1);
    }
}

#[tokio::test]
async fn i34_what_may_have_been_done_is_unclear_and_never_repeated() {
    let elsewhere = |status| Answer::json(status, "").header("location", "/v2/elsewhere");
    for answer in [
        Answer::error(500, 20500, "Internal Server Error"),
        Answer::error(503, 20503, "Service unavailable").header("retry-after", "0"),
        Answer::error(500, 60410, "Verification delivery attempt blocked"),
        Answer::json(502, "<html>Bad Gateway</html>"),
        Answer::json(408, ""),
        Answer::json(200, "<html>Welcome</html>"),
        Answer::json(201, ""),
        Answer::json(204, ""),
        Answer::json(200, "[]"),
        Answer::json(201, " ".repeat(2 << 20)),
        elsewhere(301),
        elsewhere(307),
        Answer::hang_up(),
        Answer::break_off(),
    ] {
        let said = format!("{answer:.80?}");
        let double = answered(answer).await;
        let found = impatient(&double).start(SERVICE, &START).await;
        assert!(
            matches!(found, Err(CallError::Unclear(_))),
            "{said:.200}: {found:?}"
        );
        assert!(double.recorded().len() <= 1, "{said:.200}");
    }
}

#[tokio::test]
async fn i34_a_kept_connection_that_breaks_is_not_tried_again_either() {
    let double = Double::start().await.unwrap();
    double
        .then(Answer::json(201, verification("pending")))
        .then(Answer::hang_up());
    let client = client(&double);
    assert!(client.start(SERVICE, &START).await.is_ok());
    assert!(matches!(
        client.start(SERVICE, &START).await,
        Err(CallError::Unclear(_))
    ));
    assert_eq!(double.recorded().len(), 2);
}

#[tokio::test]
async fn a_refused_connection_is_surely_nothing_done() {
    let found = unreachable().await.start(SERVICE, &START).await;
    assert!(matches!(found, Err(CallError::NotReached(_))), "{found:?}");
}

#[tokio::test]
async fn i65_errors_hold_no_number_and_no_page() {
    let page = format!("<html>Dear {NUMBER}, ...</html>");
    for answer in [
        Answer::error(400, 60200, &format!("Invalid parameter `To`: {NUMBER}")),
        Answer::error(500, 20500, &format!("cannot send to {NUMBER}")),
        Answer::json(403, page.clone()),
        Answer::json(502, page.clone()),
        Answer::json(200, page),
        Answer::hang_up(),
    ] {
        let double = Double::start().await.unwrap();
        double.then(answer.clone()).then(answer);
        let client = client(&double);
        let started = client.start(SERVICE, &START).await.unwrap_err();
        let listed = client.attempts(&FILTER).await.unwrap_err();
        let said = format!("{started} {started:?} {listed} {listed:?} {client:?}");
        assert!(!said.contains("4155552671") && !said.contains("html"), "{said}");
    }
    let listed = unreachable().await.attempts(&FILTER).await.unwrap_err();
    assert!(!format!("{listed} {listed:?}").contains("4155552671"));
}

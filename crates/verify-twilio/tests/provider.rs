//! Twilio's answers in the engine's words.

#![allow(clippy::unwrap_used, reason = "a helper of tests may fail the test")]

mod common;

use std::time::Duration;

use common::{NUMBER, SERVICE, SID, attempts, client, impatient, unreachable, verification};
use verify_core::code::{Code, CodeLength};
use verify_core::ids::DeliveryId;
use verify_core::port::{
    CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest, Dispatched, End, InquireRequest,
    Inquired, Maker, Provider, RejectionKind, Scopes,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Payment, Purpose, ServiceId};
use verify_twilio::double::{Answer, Double};
use verify_twilio::{TwilioClient, TwilioVerify, Warning};

/// 2015-07-30T20:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_438_286_400_000);

fn provider(client: TwilioClient) -> TwilioVerify {
    TwilioVerify::new(
        "twilio",
        client,
        Scopes {
            default: SERVICE.into(),
            ..Scopes::default()
        },
    )
}

async fn answered(answer: Answer) -> (Double, TwilioVerify) {
    let double = Double::start().await.unwrap();
    double.then(answer);
    let provider = provider(client(&double));
    (double, provider)
}

fn dispatch() -> DispatchRequest {
    DispatchRequest {
        provider: "twilio".into(),
        service: ServiceId::default(),
        scope: SERVICE.into(),
        to: NUMBER.into(),
        channel: Channel::Whatsapp,
        purpose: Purpose::SignIn,
        code: None,
        locale: "pt-BR".into(),
        payment: None,
        code_ttl: Duration::from_secs(600),
        reference: "r1".into(),
        dispatch_id: DeliveryId::from_bytes([7; 16]),
        not_after: NOW + Duration::from_secs(8),
    }
}

fn compare(upstream: Option<&str>) -> CompareRequest {
    CompareRequest {
        provider: "twilio".into(),
        service: ServiceId::default(),
        scope: SERVICE.into(),
        to: NUMBER.into(),
        upstream: upstream.map(Into::into),
        code: Code::parse("012345", CodeLength::new(6).unwrap()).unwrap(),
        payment: None,
        not_after: NOW + Duration::from_secs(8),
    }
}

fn acme() -> Payment {
    Payment {
        amount: "5".into(),
        payee: "Acme".into(),
    }
}

fn inquire() -> InquireRequest {
    InquireRequest {
        provider: "twilio".into(),
        service: ServiceId::default(),
        scope: SERVICE.into(),
        to: NUMBER.into(),
        channel: Channel::Sms,
        upstream: None,
        dispatch_id: DeliveryId::from_bytes([7; 16]),
        from: NOW,
        not_after: NOW + Duration::from_secs(8),
    }
}

fn conclude(upstream: Option<&str>) -> ConcludeRequest {
    ConcludeRequest {
        provider: "twilio".into(),
        service: ServiceId::default(),
        scope: SERVICE.into(),
        to: NUMBER.into(),
        upstream: upstream.map(Into::into),
        not_after: NOW + Duration::from_secs(8),
    }
}

#[tokio::test]
async fn it_says_what_it_can_do() {
    let double = Double::start().await.unwrap();
    let able = provider(client(&double)).capabilities();
    assert_eq!((able.name.as_ref(), able.maker), ("twilio", Maker::Managed));
    assert_eq!(able.channels, Channel::ALL);
    assert!(able.can_inquire && able.can_conclude && !able.reports);
    assert!(
        provider(client(&double))
            .with_message_events()
            .capabilities()
            .reports
    );
}

#[tokio::test]
async fn a_pending_verification_is_an_accepted_dispatch() {
    let (double, provider) = answered(Answer::json(201, verification("pending"))).await;
    let found = provider.dispatch(&dispatch()).await;
    assert_eq!(
        found,
        Dispatched::Accepted {
            upstream: Some(SID.into())
        }
    );
    let [request] = double.recorded().try_into().unwrap();
    assert_eq!(request.target, format!("/v2/Services/{SERVICE}/Verifications"));
    let form = "To=%2B14155552671&Channel=whatsapp&Locale=pt-BR&Tags=%7B%22ref%22%3A%22r1%22%7D";
    assert_eq!(request.body, form);
}

#[tokio::test]
async fn a_transaction_names_amount_and_payee() {
    let (double, provider) = answered(Answer::json(201, verification("pending"))).await;
    let request = DispatchRequest {
        payment: Some(acme()),
        ..dispatch()
    };
    provider.dispatch(&request).await;
    assert!(double.recorded()[0].body.contains("&Amount=5&Payee=Acme&"));

    let (double, provider) = answered(Answer::json(200, verification("approved"))).await;
    let request = CompareRequest {
        payment: Some(acme()),
        ..compare(None)
    };
    provider.compare(&request).await;
    assert!(
        double.recorded()[0]
            .body
            .ends_with("&Code=012345&Amount=5&Payee=Acme")
    );
}

#[tokio::test]
async fn i34_only_a_parsed_pending_verification_is_accepted() {
    for answer in [
        Answer::json(201, verification("approved")),
        Answer::json(201, verification("canceled")),
        Answer::json(201, r#"{"status":"pending"}"#),
        Answer::json(201, r#"{"sid":"","status":"pending"}"#),
        Answer::json(201, r#"{"sid":"../x","status":"pending"}"#),
        Answer::json(201, format!(r#"{{"sid":"{SID}"}}"#)),
        Answer::json(
            200,
            r#"{"code":60203,"message":"Max send attempts reached","status":429}"#,
        ),
        Answer::json(200, "OK"),
        Answer::json(200, ""),
        Answer::json(302, "").header("location", "/"),
        Answer::error(500, 20500, "Internal Server Error"),
        Answer::error(503, 20503, "Service unavailable"),
        Answer::error(400, 60239, "template replaced"),
        Answer::error(400, 30007, "Message filtered"),
        Answer::hang_up(),
        Answer::break_off(),
    ] {
        let said = format!("{answer:?}");
        let (double, provider) = answered(answer).await;
        let found = provider.dispatch(&dispatch()).await;
        assert!(matches!(found, Dispatched::Unknown(_)), "{said}: {found:?}");
        assert_eq!(double.recorded().len(), 1, "{said}");
    }
}

#[tokio::test]
// long because one table of all refusals
async fn refusals_are_sorted_by_whose_matter_they_are() {
    for (http, code, message, kind) in [
        (
            429,
            60203,
            "Max send attempts reached",
            RejectionKind::DestinationQuota,
        ),
        (
            429,
            60212,
            "Too many concurrent requests",
            RejectionKind::DestinationQuota,
        ),
        (
            400,
            60200,
            "Invalid parameter `To`: +1415",
            RejectionKind::InvalidDestination,
        ),
        (400, 60200, "Invalid parameter: Locale", RejectionKind::BadRequest),
        (
            400,
            21211,
            "Invalid 'To' Phone Number: +1415",
            RejectionKind::InvalidDestination,
        ),
        (
            403,
            60205,
            "SMS is not supported by landline phone number",
            RejectionKind::ChannelUnreachable,
        ),
        (
            400,
            21610,
            "Attempt to send to unsubscribed recipient",
            RejectionKind::OptedOut,
        ),
        (
            403,
            60410,
            "Verification delivery attempt blocked",
            RejectionKind::PrefixBlocked,
        ),
        (
            403,
            60605,
            "Verification delivery attempt blocked",
            RejectionKind::RegionBlocked,
        ),
        (401, 20003, "Authenticate", RejectionKind::Credentials),
        (
            404,
            20404,
            "The requested resource was not found",
            RejectionKind::Misconfigured,
        ),
        (418, 99999, "new", RejectionKind::BadRequest),
    ] {
        let (double, provider) =
            answered(Answer::error(http, code, message).header("retry-after", "30")).await;
        let request = DispatchRequest {
            locale: String::new(),
            ..dispatch()
        };
        let Dispatched::Rejected(rejection) = provider.dispatch(&request).await else {
            panic!("{code}")
        };
        assert_eq!((rejection.kind, rejection.detail.code), (kind, Some(code)));
        assert_eq!(rejection.retry_after, Some(Duration::from_secs(30)));
        assert_eq!(double.recorded().len(), 1);
    }
}

#[tokio::test]
async fn i67_a_send_that_did_not_leave_says_so() {
    let Dispatched::Rejected(rejection) = provider(unreachable().await).dispatch(&dispatch()).await else {
        panic!("nothing was sent")
    };
    assert_eq!(rejection.kind, RejectionKind::Down);
}

#[tokio::test]
async fn checks_match_or_do_not() {
    for (status, found) in [("approved", Compared::Match), ("pending", Compared::NoMatch)] {
        let (double, provider) = answered(Answer::json(200, verification(status))).await;
        assert_eq!(provider.compare(&compare(Some(SID))).await, found);
        let [request] = double.recorded().try_into().unwrap();
        assert_eq!(
            request.target,
            format!("/v2/Services/{SERVICE}/VerificationCheck")
        );
        assert_eq!(request.body, format!("VerificationSid={SID}&Code=012345"));
    }
}

#[tokio::test]
async fn without_an_id_the_destination_is_checked() {
    let (double, provider) = answered(Answer::json(200, verification("approved"))).await;
    assert_eq!(provider.compare(&compare(None)).await, Compared::Match);
    assert_eq!(double.recorded()[0].body, "To=%2B14155552671&Code=012345");
}

/// What says so beyond doubt has ended; whatever else there is nothing to compare with may just have matched.
#[tokio::test]
async fn i133_what_is_over_beyond_doubt_has_ended_and_the_rest_is_gone() {
    let used_up = || Answer::error(429, 60202, "Max check attempts reached");
    for (answer, end) in [
        (used_up(), Some(End::UsedUp)),
        (
            Answer::json(200, verification("max_attempts_reached")),
            Some(End::UsedUp),
        ),
        (Answer::json(200, verification("expired")), Some(End::Expired)),
        (Answer::json(200, verification("canceled")), Some(End::Canceled)),
        (Answer::json(200, verification("deleted")), None),
        (Answer::json(200, verification("failed")), None),
        (
            Answer::error(404, 20404, "The requested resource was not found"),
            None,
        ),
    ] {
        let said = format!("{answer:?}");
        let (_double, provider) = answered(answer).await;
        let ended = end.map_or(Compared::Gone, |end| Compared::Ended {
            upstream: SID.to_owned(),
            end,
        });
        assert_eq!(provider.compare(&compare(Some(SID))).await, ended, "{said}");
    }
    let (_double, provider) = answered(used_up()).await;
    let found = provider.compare(&compare(None)).await;
    assert_eq!(found, Compared::Gone, "nobody knows which");
}

#[tokio::test]
async fn i67_a_check_that_was_not_processed_is_no_failure() {
    for answer in [
        Answer::error(401, 20003, "Authenticate"),
        Answer::error(400, 60200, "Invalid parameter: Code"),
        Answer::error(429, 20429, "Too many requests").header("retry-after", "60"),
        Answer::json(404, "<html>no such page</html>"),
        Answer::json(403, ""),
    ] {
        let said = format!("{answer:?}");
        let (_double, provider) = answered(answer).await;
        let found = provider.compare(&compare(Some(SID))).await;
        assert!(matches!(found, Compared::NotAsked(_)), "{said}: {found:?}");
    }
    let found = provider(unreachable().await).compare(&compare(Some(SID))).await;
    assert!(matches!(found, Compared::NotAsked(_)), "{found:?}");
}

#[tokio::test]
async fn a_check_that_may_have_counted_is_unknown() {
    for answer in [
        Answer::error(500, 20500, "Internal Server Error"),
        Answer::json(200, "{}"),
        Answer::json(200, "<html></html>"),
        Answer::hang_up(),
    ] {
        let said = format!("{answer:?}");
        let (double, provider) = answered(answer).await;
        let found = provider.compare(&compare(Some(SID))).await;
        assert!(matches!(found, Compared::Unknown(_)), "{said}: {found:?}");
        assert_eq!(double.recorded().len(), 1, "{said}");
    }
}

#[tokio::test]
async fn i34_silence_proves_nothing() {
    let double = Double::start().await.unwrap();
    for _ in 0..4 {
        double.then(Answer::silence());
    }
    let provider = provider(impatient(&double));
    assert!(matches!(
        provider.dispatch(&dispatch()).await,
        Dispatched::Unknown(_)
    ));
    assert!(matches!(
        provider.compare(&compare(Some(SID))).await,
        Compared::Unknown(_)
    ));
    assert_eq!(provider.inquire(&inquire()).await, Inquired::Unknown);
    let cancel = conclude(Some(SID));
    assert!(matches!(provider.conclude(&cancel).await, Concluded::Unknown(_)));
}

#[tokio::test]
async fn a_lost_dispatch_is_found_among_the_attempts() {
    let late = "Thu, 30 Jul 2015 20:05:00 GMT";
    for (answer, found) in [
        (
            Answer::json(200, attempts(&[3], None)),
            Inquired::Sent {
                upstream: Some(SID.into()),
            },
        ),
        (
            Answer::json(200, attempts(&[], None)).header("date", late),
            Inquired::NotSent,
        ),
        (Answer::json(200, attempts(&[], None)), Inquired::Unknown),
        (Answer::json(200, "{}").header("date", late), Inquired::Unknown),
        (
            Answer::error(404, 20404, "not found").header("date", late),
            Inquired::Unknown,
        ),
        (
            Answer::error(500, 20500, "fault").header("date", late),
            Inquired::Unknown,
        ),
    ] {
        let (double, provider) = answered(answer).await;
        assert_eq!(provider.inquire(&inquire()).await, found);
        let query = "DateCreatedAfter=2015-07-30T19%3A59%3A00Z&DateCreatedBefore=2015-07-30T20%3A01%3A08Z";
        assert!(double.recorded()[0].target.contains(query));
    }
    assert_eq!(
        provider(unreachable().await).inquire(&inquire()).await,
        Inquired::Unknown
    );
}

#[tokio::test]
async fn the_end_is_told_by_id_or_by_destination() {
    let (double, canceling) = answered(Answer::json(200, verification("canceled"))).await;
    double.then(Answer::json(200, verification("canceled")));
    for upstream in [Some(SID), None] {
        assert_eq!(canceling.conclude(&conclude(upstream)).await, Concluded::Done);
    }
    let said: Vec<_> = double
        .recorded()
        .into_iter()
        .map(|it| (it.target, it.body))
        .collect();
    let path = |key| format!("/v2/Services/{SERVICE}/Verifications/{key}");
    assert_eq!(
        said,
        [
            (path(SID), "Status=canceled".into()),
            (path(NUMBER), "Status=canceled".into())
        ]
    );
}

#[tokio::test]
async fn an_end_that_twilio_knows_is_gone_and_all_else_unknown() {
    let cancel = conclude(Some(SID));
    let (_double, gone) = answered(Answer::error(404, 20404, "not found")).await;
    assert_eq!(gone.conclude(&cancel).await, Concluded::Gone);
    for answer in [
        Answer::json(200, verification("pending")),
        Answer::json(200, verification("approved")),
        Answer::json(200, "OK"),
        Answer::error(401, 20003, "Authenticate"),
        Answer::error(500, 20500, "fault"),
        Answer::json(404, ""),
    ] {
        let said = format!("{answer:?}");
        let (_double, provider) = answered(answer).await;
        let found = provider.conclude(&cancel).await;
        assert!(matches!(found, Concluded::Unknown(_)), "{said}: {found:?}");
    }
    let found = provider(unreachable().await).conclude(&cancel).await;
    assert!(matches!(found, Concluded::Unknown(_)), "{found:?}");
}

#[tokio::test]
async fn health_reads_every_verify_service_once() {
    let double = Double::start().await.unwrap();
    let named = [("a", SERVICE), ("b", "VAbad")]
        .map(|(service, sid)| ((ServiceId::new(service).unwrap(), None), sid.into()));
    let scopes = Scopes {
        default: SERVICE.into(),
        named: named.into(),
    };
    let provider = TwilioVerify::new("twilio", client(&double), scopes);
    assert_eq!(
        provider.warnings(),
        [Warning::OddSid {
            what: "a verify service",
            prefix: "VA"
        }]
    );
    for _ in 0..2 {
        double.then(Answer::json(200, format!(r#"{{"sid":"{SERVICE}"}}"#)));
    }
    assert_eq!(provider.health().await, Ok(()));
    let paths: Vec<_> = double
        .recorded()
        .into_iter()
        .map(|it| format!("{} {}", it.method, it.target))
        .collect();
    assert_eq!(
        paths,
        [
            format!("GET /v2/Services/{SERVICE}"),
            "GET /v2/Services/VAbad".into()
        ]
    );
}

#[tokio::test]
async fn health_says_whose_matter_it_is() {
    for (answer, kind) in [
        (
            Answer::error(401, 20003, "Authenticate"),
            RejectionKind::Credentials,
        ),
        (
            Answer::error(404, 20404, "not found"),
            RejectionKind::Misconfigured,
        ),
        (Answer::error(500, 20500, "fault"), RejectionKind::Down),
        (Answer::json(200, "<html></html>"), RejectionKind::Down),
    ] {
        let (_double, provider) = answered(answer).await;
        assert_eq!(provider.health().await.unwrap_err().kind, kind);
    }
    let found = provider(unreachable().await).health().await.unwrap_err();
    assert_eq!(found.kind, RejectionKind::Down);
}

#[tokio::test]
async fn i65_what_operators_see_holds_no_number() {
    let (_double, provider) = answered(Answer::error(
        400,
        60200,
        &format!("Invalid parameter `To`: {NUMBER}"),
    ))
    .await;
    let Dispatched::Rejected(rejection) = provider.dispatch(&dispatch()).await else {
        panic!()
    };
    assert_eq!(rejection.detail.message(), "Invalid parameter `To`: [number]");
}

#[tokio::test]
async fn i132_a_language_that_is_turned_away_keeps_no_message_from_being_sent() {
    for refusal in [
        Answer::error(404, 20404, "The requested resource was not found"),
        Answer::error(400, 60200, "Invalid parameter: Locale"),
        Answer::error(400, 60200, "Invalid parameter `Locale`: eu"),
        Answer::error(400, 60331, "Locale not supported for text-to-speech"),
    ] {
        let (double, provider) = answered(refusal).await;
        double.then(Answer::json(201, verification("pending")));
        let request = DispatchRequest {
            locale: "eu".into(),
            ..dispatch()
        };
        let found = provider.dispatch(&request).await;
        assert!(matches!(found, Dispatched::Accepted { .. }), "{found:?}");
        let [first, second] = double.recorded().try_into().unwrap();
        assert!(
            first.body.contains("Locale=eu") && !second.body.contains("Locale"),
            "{second:?}"
        );
    }
}

#[tokio::test]
async fn i132_only_what_was_surely_not_processed_is_sent_again() {
    for (answer, locale) in [
        (Answer::error(400, 60200, "Invalid parameter `To`: x"), "eu"),
        (Answer::error(500, 20500, "Internal error"), "eu"),
        (
            Answer::error(404, 20404, "The requested resource was not found"),
            "",
        ),
        (Answer::hang_up(), "eu"),
    ] {
        let (double, provider) = answered(answer).await;
        let request = DispatchRequest {
            locale: locale.into(),
            ..dispatch()
        };
        let found = provider.dispatch(&request).await;
        assert!(!matches!(found, Dispatched::Accepted { .. }), "{found:?}");
        assert_eq!(double.recorded().len(), 1, "{found:?}");
    }
}

#[tokio::test]
async fn i132_the_nearest_language_is_asked_for_and_that_of_a_country_is_left_to_twilio() {
    for (locale, asked) in [("de-DE", Some("Locale=de&")), ("und-DE", None), ("", None)] {
        let (double, provider) = answered(Answer::json(201, verification("pending"))).await;
        let request = DispatchRequest {
            locale: locale.into(),
            ..dispatch()
        };
        provider.dispatch(&request).await;
        let [request] = double.recorded().try_into().unwrap();
        match asked {
            Some(asked) => assert!(request.body.contains(asked), "{request:?}"),
            None => assert!(!request.body.contains("Locale"), "{request:?}"),
        }
    }
}

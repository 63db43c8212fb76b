//! What Twilio, or whatever stands between it and us, answers to a call.

use std::time::Duration;

use serde_json::Value;
use verify_core::ids::DeliveryId;
use verify_core::port::{Compared, Concluded, Detail, Dispatched, InquireRequest, Inquired, RejectionKind};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, ServiceId};
use verify_twilio::answer::Answer;

use crate::input::{choice, lines};

const NUMBER: &str = "+12025550123";
const MAILBOX: &str = "ann.lee@example.com";
const SID: &str = "VEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Statuses that happen, and some that should not.
const STATUSES: [u16; 24] = [
    200, 201, 400, 401, 403, 404, 429, 500, 503, 408, 204, 202, 206, 402, 405, 409, 410, 422, 301, 304, 502,
    504, 599, 100,
];
/// How a destination is spelled in somebody's message.
const SPELLINGS: [&str; 10] = [
    NUMBER,
    "+1 (202) 555-0123",
    "12025550123",
    "202.555.0123",
    "+1\u{a0}202\u{a0}555\u{a0}0123",
    "+1 202\u{2011}555\u{2011}0123",
    "+1 202–555–0123",
    "%2B12025550123",
    MAILBOX,
    "ann.lee%40example.com",
];

/// A status (the first byte), a line of `Retry-After`, one of `Date`, and a body. Nothing is taken for a success but a
/// parsed one without contradiction; what may have happened is never called a refusal; what is kept of the words has
/// no number and no mailbox in it.
pub fn twilio_answer(data: &[u8]) {
    let (status, data) = choice(data);
    let (spelling, data) = choice(data);
    let [retry_after, date, body] = lines::<3>(data);
    let answer = Answer {
        status: STATUSES[status % STATUSES.len()],
        retry_after: Some(retry_after.as_ref()).filter(|text| !text.is_empty()),
        date: Some(date.as_ref()).filter(|text| !text.is_empty()),
        body: body.as_bytes(),
    };
    let said: Value = serde_json::from_slice(answer.body).unwrap_or_default();
    sends(&answer, &said);
    compares(&answer, &said);
    concludes(&answer, &said);
    tells(&answer, &said);
    names_nobody(&body, SPELLINGS[spelling % SPELLINGS.len()]);
}

fn is_positive(answer: &Answer<'_>) -> bool {
    (200..300).contains(&answer.status)
}

/// What a status says by itself about whether it was done.
fn surely_refused(answer: &Answer<'_>) -> bool {
    (400..500).contains(&answer.status) && answer.status != 408
}

fn sends(answer: &Answer<'_>, said: &Value) {
    match answer.dispatched() {
        Dispatched::Accepted { upstream } => {
            let yes = is_positive(answer)
                && said["status"] == "pending"
                && said["sid"].as_str() == upstream.as_deref();
            assert!(yes && upstream.is_some(), "i34: taken for accepted");
        }
        Dispatched::Rejected(rejection) => {
            assert!(surely_refused(answer), "i34: it may have been sent");
            assert!(
                rejection.kind != RejectionKind::Down,
                "a provider that refuses is there"
            );
            assert!(
                rejection.retry_after <= Some(Duration::from_secs(7 * 86_400)),
                "an unbelievable wait"
            );
            masked(&rejection.detail);
        }
        Dispatched::Unknown(detail) => masked(&detail),
    }
}

fn compares(answer: &Answer<'_>, said: &Value) {
    for asked in [None, Some(SID)] {
        let same = |sid: &Value| asked.is_none() || sid.is_null() || sid.as_str() == asked;
        let plain = is_positive(answer) && same(&said["sid"]);
        match answer.compared(asked) {
            Compared::Match => {
                let yes = plain && said["status"] == "approved" && said["valid"] == true;
                assert!(yes, "i34: taken for a match");
            }
            Compared::NoMatch => {
                let no = plain && said["status"] == "pending" && said["valid"] == false;
                assert!(no, "i34: taken for a wrong guess");
            }
            Compared::Gone => assert!(
                is_positive(answer) || surely_refused(answer),
                "i07: it may have compared"
            ),
            Compared::Ended { upstream, .. } => {
                let words = ["max_attempts_reached", "expired", "canceled"];
                let said_so = plain && words.iter().any(|word| said["status"] == *word);
                let used_up = surely_refused(answer) && said["code"] == 60202;
                assert!(said_so || used_up, "i133: taken for the end");
                let named = said["sid"].as_str().filter(|_| said_so).or(asked);
                assert_eq!(Some(upstream.as_str()), named, "i133: the end of another one");
            }
            Compared::NotAsked(detail) => {
                assert!(surely_refused(answer), "i67: it may have been asked");
                masked(&detail);
            }
            Compared::Unknown(detail) => masked(&detail),
        }
    }
}

fn concludes(answer: &Answer<'_>, said: &Value) {
    match answer.concluded() {
        Concluded::Done => assert!(
            is_positive(answer) && said["status"] == "canceled",
            "i34: taken for done"
        ),
        Concluded::Gone => assert!(
            surely_refused(answer) && said["code"] == 20404,
            "i34: taken for gone"
        ),
        Concluded::Unknown(detail) => masked(&detail),
    }
}

fn tells(answer: &Answer<'_>, said: &Value) {
    let from = Timestamp::from_millis(1_438_286_400_000);
    let request = InquireRequest {
        provider: "twilio".into(),
        service: ServiceId::default(),
        scope: "VA".into(),
        to: NUMBER.to_owned(),
        channel: Channel::Sms,
        upstream: None,
        dispatch_id: DeliveryId::default(),
        from,
        not_after: from + Duration::from_secs(8),
    };
    let listed = said["attempts"].as_array().map_or(0, Vec::len);
    match answer.inquired(&request) {
        Inquired::Unknown => {}
        Inquired::NotSent => {
            let told = is_positive(answer) && said["attempts"].is_array() && answer.date.is_some();
            assert!(told, "i28: taken for never sent");
        }
        Inquired::Sent { .. } | Inquired::Converted { .. } => {
            assert!(is_positive(answer) && listed > 0, "i28: taken for sent");
        }
    }
}

fn masked(detail: &Detail) {
    assert!(is_masked(detail.message()), "i65: {:?}", detail.message());
}

/// No mailbox, and no run of five digits, however it is broken up.
pub(crate) fn is_masked(message: &str) -> bool {
    let mut run = 0;
    for c in message.chars() {
        run = match c {
            c if c.is_numeric() => run + 1,
            ' ' | '-' | '.' | '(' | ')' | '/' | '+' => run,
            _ => 0,
        };
        if run >= 5 {
            return false;
        }
    }
    !message.contains('@')
}

/// A message that spells a destination anywhere keeps nothing of it.
fn names_nobody(around: &str, spelled: &str) {
    let at = around
        .char_indices()
        .map(|(at, _)| at)
        .nth(around.chars().count() / 2);
    let (before, after) = around.split_at(at.unwrap_or(0));
    let kept = Detail::new(None, &format!("{before} {spelled} {after}"));
    let shown = kept.message();
    masked(&kept);
    for part in [
        "0123",
        "555\u{a0}",
        "555\u{2011}",
        "555–",
        "ann.lee",
        "example.com",
    ] {
        let theirs = around.contains(part) || !spelled.contains(part);
        assert!(
            theirs || !shown.contains(part),
            "i65: {spelled:?} is shown as {shown:?}"
        );
    }
}

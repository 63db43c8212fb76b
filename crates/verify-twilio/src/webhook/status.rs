//! What Twilio's status callbacks of messages and calls report.
//!
//! Check the signature first ([`crate::signature`]). The delivery is found by the reference that its callback URL carries in
//! the query parameter `ref`; a callback without one is not ours and reports nothing.

use reqwest::Url;
use verify_core::command::{Report, ReportRequest};
use verify_core::port::Detail;

use super::Unreadable;
use crate::error_table;

/// The query parameter of callback URLs that holds the reference.
pub const REFERENCE_PARAMETER: &str = "ref";

/// Reads the status callback of a message.
///
/// `url` is the URL that was called; `token` the header `I-Twilio-Idempotency-Token`, if there was one.
///
/// # Errors
/// [`Unreadable::Missing`] when it names no message or no status.
pub fn message_status(
    url: &str,
    form: &[(String, String)],
    token: Option<&str>,
) -> Result<Vec<ReportRequest>, Unreadable> {
    let sid = field(form, "MessageSid")
        .or_else(|| field(form, "SmsSid"))
        .ok_or(Unreadable::Missing("MessageSid"))?;
    let status = field(form, "MessageStatus")
        .or_else(|| field(form, "SmsStatus"))
        .ok_or(Unreadable::Missing("MessageStatus"))?;
    let code = field(form, "ErrorCode").and_then(|code| code.parse().ok());
    Ok(inbound(url, sid, status, token, message_report(status, code)))
}

/// Reads the status callback of a call. `url` and `token` as for [`message_status`].
///
/// # Errors
/// [`Unreadable::Missing`] when it names no call or no status.
pub fn call_status(
    url: &str,
    form: &[(String, String)],
    token: Option<&str>,
) -> Result<Vec<ReportRequest>, Unreadable> {
    let sid = field(form, "CallSid").ok_or(Unreadable::Missing("CallSid"))?;
    let status = field(form, "CallStatus").ok_or(Unreadable::Missing("CallStatus"))?;
    let code = field(form, "ErrorCode").and_then(|code| code.parse().ok());
    Ok(inbound(url, sid, status, token, call_report(status, code)))
}

/// What a message's status says. Statuses in either case; one that is new says no more than that it is on its way.
pub(crate) fn message_report(status: &str, code: Option<u32>) -> Report {
    match status.to_ascii_lowercase().as_str() {
        "delivered" | "read" => Report::Delivered,
        failure @ ("undelivered" | "failed" | "canceled") => undelivered(failure, code),
        _ => Report::Underway,
    }
}

fn call_report(status: &str, code: Option<u32>) -> Report {
    match status.to_ascii_lowercase().as_str() {
        "in-progress" | "answered" | "completed" => Report::Delivered,
        failure @ ("busy" | "no-answer" | "failed" | "canceled") => undelivered(failure, code),
        _ => Report::Underway,
    }
}

fn undelivered(status: &str, code: Option<u32>) -> Report {
    let meaning = code.and_then(error_table::find).map_or(status, |row| row.meaning);
    Report::Undelivered(Detail::new(code, meaning))
}

fn inbound(url: &str, sid: &str, status: &str, token: Option<&str>, report: Report) -> Vec<ReportRequest> {
    let dedupe = match token {
        // Longer than any that Twilio sends: it would only fill the store.
        Some(token) if (1..=128).contains(&token.len()) => format!("token:{token}"),
        Some(_) | None => format!("{sid}:{}", status.to_ascii_lowercase()),
    };
    reference(url)
        .map(|reference| ReportRequest::of(reference, report, dedupe))
        .into_iter()
        .collect()
}

fn reference(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let mut found = url.query_pairs().filter(|(name, _)| name == REFERENCE_PARAMETER);
    found
        .next()
        .map(|(_, value)| value.into_owned())
        .filter(|value| !value.is_empty())
}

fn field<'a>(form: &'a [(String, String)], name: &str) -> Option<&'a str> {
    form.iter()
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://verify.test/webhooks/sms-status?a=1&ref=v1.a%2Fb%3D";

    fn form(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect()
    }

    fn message(status: &str, code: &str) -> ReportRequest {
        let fields = form(&[
            ("MessageSid", "SM1"),
            ("MessageStatus", status),
            ("ErrorCode", code),
        ]);
        message_status(URL, &fields, None).unwrap().remove(0)
    }

    fn call(status: &str) -> Report {
        let fields = form(&[
            ("CallSid", "CA1"),
            ("CallStatus", status),
            ("SequenceNumber", "2"),
        ]);
        call_status(URL, &fields, None).unwrap().remove(0).report
    }

    #[test]
    fn every_status_of_a_message() {
        for status in [
            "accepted",
            "scheduled",
            "queued",
            "sending",
            "sent",
            "receiving",
            "received",
            "newer",
        ] {
            assert_eq!(message(status, "").report, Report::Underway, "{status}");
        }
        for status in ["delivered", "read", "DELIVERED"] {
            assert_eq!(message(status, "").report, Report::Delivered, "{status}");
        }
        for status in ["undelivered", "failed", "canceled"] {
            assert_eq!(
                message(status, "").report,
                Report::Undelivered(Detail::new(None, status)),
                "{status}"
            );
        }
        let blocked = Detail::new(Some(30007), "filtered as spam");
        assert_eq!(
            message("undelivered", "30007").report,
            Report::Undelivered(blocked)
        );
        assert_eq!(
            message("failed", "99999").report,
            Report::Undelivered(Detail::new(Some(99_999), "failed"))
        );
    }

    #[test]
    fn every_status_of_a_call() {
        for status in ["queued", "initiated", "ringing", "newer"] {
            assert_eq!(call(status), Report::Underway, "{status}");
        }
        for status in ["in-progress", "answered", "completed"] {
            assert_eq!(call(status), Report::Delivered, "{status}");
        }
        for status in ["busy", "no-answer", "failed", "canceled"] {
            assert_eq!(
                call(status),
                Report::Undelivered(Detail::new(None, status)),
                "{status}"
            );
        }
    }

    #[test]
    fn the_reference_comes_decoded_from_the_url() {
        assert_eq!(message("sent", "").reference, "v1.a/b=");
        let fields = form(&[
            ("MessageSid", "SM1"),
            ("MessageStatus", "sent"),
            ("ref", "forged"),
        ]);
        for url in [
            "https://verify.test/webhooks/sms-status",
            "https://verify.test/?ref=",
            "not a url",
        ] {
            assert_eq!(message_status(url, &fields, None), Ok(vec![]), "{url}");
        }
    }

    #[test]
    fn i35_a_repetition_is_told_from_a_new_report() {
        assert_eq!(message("sent", "").dedupe, message("sent", "").dedupe);
        assert_ne!(message("sent", "").dedupe, message("delivered", "").dedupe);
        let fields = form(&[("MessageSid", "SM1"), ("MessageStatus", "sent")]);
        let dedupe = |token| message_status(URL, &fields, token).unwrap().remove(0).dedupe;
        assert_eq!(dedupe(Some("abc")), "token:abc");
        assert_eq!(dedupe(None), "SM1:sent");
        assert_eq!(dedupe(Some("")), "SM1:sent");
        assert_eq!(dedupe(Some(&"x".repeat(129))), "SM1:sent");
    }

    #[test]
    fn what_a_callback_always_has_must_be_there() {
        let bare = form(&[("MessageSid", "SM1")]);
        assert_eq!(
            message_status(URL, &bare, None),
            Err(Unreadable::Missing("MessageStatus"))
        );
        assert_eq!(call_status(URL, &bare, None), Err(Unreadable::Missing("CallSid")));
        assert_eq!(
            message_status(URL, &[], None),
            Err(Unreadable::Missing("MessageSid"))
        );
    }

    #[test]
    fn the_old_names_of_the_fields_will_do() {
        let old = form(&[("SmsSid", "SM1"), ("SmsStatus", "delivered")]);
        assert_eq!(
            message_status(URL, &old, None).unwrap().remove(0).report,
            Report::Delivered
        );
    }

    #[test]
    fn i65_debug_shows_no_reference() {
        let shown = format!("{:?}", message("sent", ""));
        assert!(!shown.contains("v1.") && !shown.contains("SM1"), "{shown}");
    }
}

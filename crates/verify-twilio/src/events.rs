//! What Twilio's Event Streams report: a JSON list of CloudEvents.
//!
//! Of all events only `com.twilio.accountsecurity.verify.message.*` are read. They carry back the tags of the start,
//! and with them the delivery's reference. Events about verifications are left alone on purpose: an approval that
//! somebody reports is not an approval that the engine decided.
//!
//! Events come at least once and in any order.

use serde::Deserialize;
use serde_json::Value;
use verify_core::command::ReportRequest;

use crate::provider::REFERENCE_TAG;
use crate::webhook::{Unreadable, message_report};

const MESSAGE_EVENTS: &str = "com.twilio.accountsecurity.verify.message.";

/// Reads the body of a delivery to a sink. An event that is not about a message of ours reports nothing, and one that
/// cannot be read does not keep the others from being read: Twilio would only send all of them again.
///
/// # Errors
/// [`Unreadable::NotEvents`] when the body is not a list.
pub fn message_events(body: &[u8]) -> Result<Vec<ReportRequest>, Unreadable> {
    let events: Vec<Value> = serde_json::from_slice(body).map_err(|_| Unreadable::NotEvents)?;
    Ok(events
        .into_iter()
        .filter_map(|event| serde_json::from_value(event).ok().and_then(inbound))
        .collect())
}

#[derive(Deserialize)]
struct Event {
    id: Option<String>,
    r#type: String,
    data: Message,
}

#[derive(Deserialize)]
struct Message {
    attempt_sid: Option<String>,
    message_status: Option<String>,
    error_code: Option<Value>,
    tags: Option<Value>,
}

fn inbound(event: Event) -> Option<ReportRequest> {
    let of_type = event.r#type.strip_prefix(MESSAGE_EVENTS)?;
    let Message {
        attempt_sid,
        message_status,
        error_code,
        tags,
    } = event.data;
    let status = message_status.unwrap_or_else(|| of_type.to_owned());
    let dedupe = match (event.id.filter(|id| (1..=128).contains(&id.len())), attempt_sid) {
        (Some(id), _) => format!("event:{id}"),
        (None, Some(sid)) => format!("{sid}:{}", status.to_ascii_lowercase()),
        (None, None) => return None,
    };
    let report = message_report(&status, error_code.as_ref().and_then(code));
    Some(ReportRequest::of(reference(tags?)?, report, dedupe))
}

/// Numbers come as numbers or as texts.
fn code(value: &Value) -> Option<u32> {
    match value.as_str() {
        Some(text) => text.parse().ok(),
        None => value.as_u64().and_then(|code| u32::try_from(code).ok()),
    }
}

/// Tags go in as JSON within a text, and may come back as such.
fn reference(tags: Value) -> Option<String> {
    let tags = match tags.as_str() {
        Some(text) => serde_json::from_str(text).ok()?,
        None => tags,
    };
    tags.get(REFERENCE_TAG)?
        .as_str()
        .filter(|text| !text.is_empty())
        .map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use verify_core::command::Report;
    use verify_core::port::Detail;

    use super::*;

    fn event(id: &str, kind: &str, data: Value) -> Value {
        json!({
            "specversion": "1.0",
            "type": format!("com.twilio.accountsecurity.verify.{kind}"),
            "source": "/accounts/AC0/services/VA0/verifications/VE0",
            "id": id,
            "time": "2026-02-03T04:05:06.789Z",
            "data": data,
        })
    }

    fn read(events: Value) -> Vec<ReportRequest> {
        message_events(events.to_string().as_bytes()).unwrap()
    }

    fn sent(id: &str, status: &str) -> Value {
        let data = json!({ "attempt_sid": "VL1", "message_status": status, "error_code": null, "tags": { "ref": "r1" } });
        event(id, "message.sent", data)
    }

    #[test]
    fn message_events_become_reports() {
        for (status, report) in [
            ("SENT", Report::Underway),
            ("DELIVERED", Report::Delivered),
            ("READ", Report::Delivered),
            (
                "UNDELIVERED",
                Report::Undelivered(Detail::new(None, "undelivered")),
            ),
            ("NEWER", Report::Underway),
        ] {
            let expected = ReportRequest::of("r1", report, "event:EZ1");
            assert_eq!(read(json!([sent("EZ1", status)])), [expected], "{status}");
        }
    }

    #[test]
    fn codes_and_tags_come_in_two_forms() {
        for (code, tags) in [
            (json!(30008), json!({ "ref": "r1" })),
            (json!("30008"), json!("{\"ref\":\"r1\"}")),
        ] {
            let data = json!({ "message_status": "FAILED", "error_code": code, "tags": tags });
            let found = read(json!([event("EZ1", "message.failed", data)]));
            let detail = Detail::new(Some(30008), "not delivered for an unknown reason");
            assert_eq!(found[0].report, Report::Undelivered(detail));
            assert_eq!(found[0].reference, "r1");
        }
    }

    #[test]
    fn i35_events_about_verifications_report_nothing() {
        let data = json!({ "verification_status": "APPROVED", "message_status": "DELIVERED", "tags": { "ref": "r1" } });
        for kind in [
            "verification.approved",
            "verification.canceled",
            "attempt-dlr.delivered",
            "messages",
        ] {
            assert_eq!(read(json!([event("EZ1", kind, data.clone())])), [], "{kind}");
        }
    }

    #[test]
    fn one_unreadable_event_does_not_hide_the_others() {
        let found =
            read(json!([null, { "type": 5 }, event("EZ1", "message.sent", json!({})), sent("EZ2", "SENT")]));
        assert_eq!(
            found
                .iter()
                .map(|inbound| inbound.dedupe.as_str())
                .collect::<Vec<_>>(),
            ["event:EZ2"]
        );
        assert_eq!(message_events(b"{}"), Err(Unreadable::NotEvents));
        assert_eq!(message_events(b"<html>"), Err(Unreadable::NotEvents));
    }

    #[test]
    fn without_an_id_attempt_and_status_tell_reports_apart() {
        let mut event = sent("", "DELIVERED");
        assert_eq!(read(json!([event]))[0].dedupe, "VL1:delivered");
        event["data"]["attempt_sid"] = Value::Null;
        assert_eq!(read(json!([event])), []);
    }
}

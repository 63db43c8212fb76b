//! What claims to be Twilio calling back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use verify_core::command::{Report, ReportRequest};
use verify_core::secret::SecretString;
use verify_twilio::events::message_events;
use verify_twilio::signature::{Body, Validator};
use verify_twilio::webhook::{call_status, message_status};

use crate::input::{choice, lines};
use crate::twilio_answer::is_masked;

const TOKENS: [&str; 2] = ["first of two tokens", "second of two tokens"];
/// What a report may call an arrival, of a message or of a call.
const ARRIVALS: [&str; 5] = ["delivered", "read", "in-progress", "answered", "completed"];

/// A line of URL, one of signature, one of idempotency token, and a body. As it comes it is never genuine; signed as
/// Twilio signs (with the token that the first byte chooses) it is, and no longer after a change. What is read says
/// no more than the body does.
pub fn webhook(data: &[u8]) {
    let (key, data) = choice(data);
    let [url, signature, token, body] = lines::<4>(data);
    let form: Vec<(String, String)> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let validator =
        Validator::new(TOKENS.map(|token| SecretString::new(token.to_owned()))).expect("two tokens");
    let genuine = |url: &str, signature: &str, form: &[(String, String)]| {
        validator.validate(url, signature, Body::Form(form)).is_ok()
    };
    assert!(
        !genuine(&url, &signature, &form),
        "i35: forged, and taken for genuine"
    );
    assert!(
        validator
            .validate(&url, &signature, Body::Raw(body.as_bytes()))
            .is_err(),
        "i35: forged events"
    );

    let key = TOKENS[key % TOKENS.len()];
    let signature = signed(key, &url, &form);
    if genuine(&url, &signature, &form) {
        changed_afterwards(genuine, &url, &signature, &form);
    }
    events_need_their_hash(&validator, key, &url, body.as_bytes());

    let token = Some(token.as_ref()).filter(|token| !token.is_empty());
    for read in [message_status, call_status] {
        let found = read(&url, &form, token);
        assert_eq!(
            found,
            read(&url, &form, token),
            "the same request is another report"
        );
        let Ok(found) = found else { continue };
        assert!(found.len() <= 1);
        for inbound in &found {
            says_no_more(inbound, form.iter().map(|(_, value)| value.as_str()));
        }
    }
    if let Ok(found) = message_events(body.as_bytes()) {
        let mut said = Vec::new();
        texts_of(
            &serde_json::from_slice(body.as_bytes()).expect("what was read is JSON"),
            &mut said,
        );
        for inbound in &found {
            // A status may stand in a type too, behind its last dot.
            says_no_more(inbound, said.iter().flat_map(|text| text.split('.')));
        }
    }
}

/// As Twilio documents it: the URL, then names and values in the order of the names.
fn signed(key: &str, url: &str, form: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = form.to_vec();
    pairs.sort();
    pairs.dedup();
    let text: String = pairs
        .into_iter()
        .flat_map(|(name, value)| [name, value])
        .collect();
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("any length will do");
    // A fragment is never sent, and so never signed.
    mac.update(url.split_once('#').map_or(url, |(before, _)| before).as_bytes());
    mac.update(text.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

fn changed_afterwards(
    genuine: impl Fn(&str, &str, &[(String, String)]) -> bool,
    url: &str,
    signature: &str,
    form: &[(String, String)],
) {
    let mut longer = form.to_vec();
    match longer.last_mut() {
        Some((_, value)) => value.push('x'),
        None => longer.push(("x".to_owned(), String::new())),
    }
    // A pair that stands twice is signed once: the change has to leave something that was not there.
    if longer != form && !form.contains(&longer[longer.len() - 1]) {
        assert!(
            !genuine(url, signature, &longer),
            "i35: a changed field, and still genuine"
        );
    }
    let before = url.split_once('#').map_or(url, |(before, _)| before);
    assert!(
        !genuine(&format!("{before}x"), signature, form),
        "i35: a changed URL, and still genuine"
    );
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    assert!(
        !genuine(url, &format!("{other}{rest}"), form),
        "i35: a changed signature, and still genuine"
    );
}

fn events_need_their_hash(validator: &Validator, key: &str, url: &str, body: &[u8]) {
    let hash: String = Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let base = url.split(['?', '#']).next().unwrap_or_default();
    let url = format!("{base}?bodySHA256={hash}");
    let signature = signed(key, &url, &[]);
    // Whether a text is a URL at all is the validator's to say; that it says so of all bodies alike is looked at.
    let genuine = validator.validate(&url, &signature, Body::Raw(body)).is_ok();
    assert_eq!(
        genuine,
        validator.validate(&url, &signature, Body::Form(&[])).is_ok(),
        "i35: a genuine body"
    );
    let other = [body, b" "].concat();
    assert!(
        validator.validate(&url, &signature, Body::Raw(&other)).is_err(),
        "i35: another body, and genuine"
    );
    let unsigned = signed(key, base, &[]);
    assert!(
        validator.validate(base, &unsigned, Body::Raw(body)).is_err(),
        "i35: a body without a hash"
    );
}

fn texts_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(values) => values.iter().for_each(|value| texts_of(value, found)),
        Value::Object(fields) => fields.values().for_each(|value| texts_of(value, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn says_no_more<'a>(inbound: &ReportRequest, mut said: impl Iterator<Item = &'a str>) {
    assert!(!inbound.reference.is_empty() && !inbound.dedupe.is_empty());
    match &inbound.report {
        Report::Underway => {}
        Report::Delivered => {
            let arrived = said.any(|word| ARRIVALS.iter().any(|arrival| word.eq_ignore_ascii_case(arrival)));
            assert!(arrived, "i35: nobody said that it arrived");
        }
        Report::Undelivered(detail) => assert!(is_masked(detail.message()), "i65: {:?}", detail.message()),
    }
    assert_eq!(format!("{inbound:?}"), "ReportRequest { .. }", "i65");
}

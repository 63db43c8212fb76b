//! Requests to providers and scorers in few words, for their tests: whole ones, of which a test changes what it is about.

#![allow(clippy::panic, reason = "only tests use it")]

use std::time::Duration;

use verify_core::code::{Code, CodeLength};
use verify_core::ids::DeliveryId;
use verify_core::keys::Print;
use verify_core::port::{
    AssessRequest, CompareRequest, ConcludeRequest, DispatchRequest, HumanRequest, InquireRequest,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose, ServiceId, Standing};

const DEADLINE: Timestamp = Timestamp::from_millis(1_700_000_010_000);

/// A code.
///
/// # Panics
/// When it is not one of 4 to 10 digits.
pub fn code(text: &str) -> Code {
    let parsed = u8::try_from(text.len())
        .ok()
        .and_then(CodeLength::new)
        .map(|length| Code::parse(text, length));
    match parsed {
        Some(Ok(code)) => code,
        Some(Err(_)) | None => panic!("a code of 4 to 10 digits was expected"),
    }
}

/// A message with the own code 123456 and this number: by mail to a mailbox, else by SMS.
pub fn dispatch(to: &str, number: u8) -> DispatchRequest {
    DispatchRequest {
        provider: "any".into(),
        service: ServiceId::default(),
        scope: "scope".into(),
        to: to.to_owned(),
        channel: if to.contains('@') {
            Channel::Email
        } else {
            Channel::Sms
        },
        purpose: Purpose::SignIn,
        code: Some(code("123456")),
        locale: "en".to_owned(),
        payment: None,
        code_ttl: Duration::from_secs(600),
        reference: format!("reference-{number}"),
        dispatch_id: DeliveryId::from_bytes([number; 16]),
        not_after: DEADLINE,
    }
}

/// A guess at a provider's code.
///
/// # Panics
/// When it is not one of 4 to 10 digits.
pub fn compare(to: &str, guess: &str) -> CompareRequest {
    CompareRequest {
        provider: "any".into(),
        service: ServiceId::default(),
        scope: "scope".into(),
        to: to.to_owned(),
        upstream: None,
        code: code(guess),
        payment: None,
        not_after: DEADLINE,
    }
}

/// What became of the message of this number?
pub fn inquire(to: &str, number: u8) -> InquireRequest {
    InquireRequest {
        provider: "any".into(),
        service: ServiceId::default(),
        scope: "scope".into(),
        to: to.to_owned(),
        channel: Channel::Sms,
        upstream: None,
        dispatch_id: DeliveryId::from_bytes([number; 16]),
        from: Timestamp::ZERO,
        not_after: DEADLINE,
    }
}

/// A verification was canceled.
pub fn conclude(to: &str) -> ConcludeRequest {
    ConcludeRequest {
        provider: "any".into(),
        service: ServiceId::default(),
        scope: "scope".into(),
        to: to.to_owned(),
        upstream: None,
        not_after: DEADLINE,
    }
}

/// How risky is a message to a stranger who signs in?
pub fn assess(to: &str) -> AssessRequest {
    AssessRequest {
        service: ServiceId::default(),
        to: to.to_owned(),
        destination: Print::from_bytes([0; 16]),
        country: None,
        channel: Channel::Sms,
        purpose: Purpose::SignIn,
        subject: None,
        standing: Standing::Stranger,
        ip: None,
        asn: None,
        device: None,
    }
}

/// Does this token show a person?
pub fn human(token: &str) -> HumanRequest {
    HumanRequest {
        service: ServiceId::default(),
        purpose: Purpose::SignIn,
        destination: Print::from_bytes([0; 16]),
        token: token.to_owned(),
        ip: None,
    }
}

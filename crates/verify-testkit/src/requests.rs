//! Requests to providers in few words.

#![allow(clippy::unwrap_used, reason = "only tests use it")]

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

fn code(text: &str) -> Code {
    Code::parse(text, CodeLength::new(6).unwrap()).unwrap()
}

pub(crate) fn dispatch(to: &str, number: u8) -> DispatchRequest {
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

pub(crate) fn compare(to: &str, guess: &str) -> CompareRequest {
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

pub(crate) fn inquire(to: &str, number: u8) -> InquireRequest {
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

pub(crate) fn conclude(to: &str) -> ConcludeRequest {
    ConcludeRequest {
        provider: "any".into(),
        service: ServiceId::default(),
        scope: "scope".into(),
        to: to.to_owned(),
        upstream: None,
        not_after: DEADLINE,
    }
}

pub(crate) fn assess(to: &str) -> AssessRequest {
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

pub(crate) fn human(token: &str) -> HumanRequest {
    HumanRequest {
        service: ServiceId::default(),
        purpose: Purpose::SignIn,
        destination: Print::from_bytes([0; 16]),
        token: token.to_owned(),
        ip: None,
    }
}

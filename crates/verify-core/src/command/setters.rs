//! Setters of the requests: what a constructor does not ask for. Each takes what is there; a host that has an `Option`
//! assigns the field.

use std::net::IpAddr;

use super::{
    Caller, CancelRequest, CheckRequest, EraseRequest, Known, Person, RedeemRequest, ReportRequest,
    SendRequest, StatusRequest, TickRequest, UnlockRequest,
};
use crate::vocabulary::{Channel, Country, Payment, Purpose, ServiceId};

macro_rules! setters {
    ($($(#[$meta:meta])* $setter:ident($value:ident: $type:ty), $($field:ident).+ = $becomes:expr, of $($name:ident),+;)+) => {
        $(setters! { @each [$(#[$meta])*] $setter($value: $type), [$($field).+] = $becomes, $($name)+ })+
    };
    (@each $docs:tt $setter:ident($value:ident: $type:ty), $field:tt = $becomes:expr, $($name:ident)+) => {
        $(setters! { @one $docs $setter($value: $type), $field = $becomes, $name })+
    };
    (@one [$(#[$meta:meta])*] $setter:ident($value:ident: $type:ty), [$($field:ident).+] = $becomes:expr, $name:ident) => {
        impl $name {
            $(#[$meta])*
            #[must_use]
            pub fn $setter(mut self, $value: $type) -> Self {
                self.$($field).+ = $becomes;
                self
            }
        }
    };
}

setters! {
    /// In this service.
    service(service: ServiceId), service = service, of SendRequest, CheckRequest, CancelRequest, StatusRequest,
        ReportRequest, TickRequest, RedeemRequest, UnlockRequest, EraseRequest;
    /// The same key and the same request: the same answer, after a lost one too.
    key(key: impl Into<String>), idempotency_key = Some(key.into()), of SendRequest, CheckRequest, RedeemRequest;

    /// From this caller, as far as the host knows.
    caller(caller: Caller), caller = caller, of SendRequest, CheckRequest;
    /// From this address.
    ip(ip: IpAddr), caller.ip = Some(ip), of SendRequest, CheckRequest;
    /// From this autonomous system.
    asn(asn: u32), caller.asn = Some(asn), of SendRequest, CheckRequest;
    /// From this device, by an id that the application chose.
    device(device: impl Into<String>), caller.device = Some(device.into()), of SendRequest, CheckRequest;
    /// With the device token of an earlier approval.
    device_token(token: impl Into<String>), caller.device_token = Some(token.into()), of SendRequest, CheckRequest;
    /// From this address.
    ip(ip: IpAddr), ip = Some(ip), of Caller;
    /// From this autonomous system.
    asn(asn: u32), asn = Some(asn), of Caller;
    /// From this device, by an id that the application chose.
    device(device: impl Into<String>), device = Some(device.into()), of Caller;
    /// With the device token of an earlier approval.
    device_token(token: impl Into<String>), device_token = Some(token.into()), of Caller;

    /// By this channel.
    by(channel: Channel), channel = Some(channel), of SendRequest;
    /// In this language, as the person has it.
    locale(locale: impl Into<String>), locale = Some(locale.into()), of SendRequest;
    /// Whether the person agreed that the next channel is used when a failure is reported.
    consent(consent: bool), consent = consent, of SendRequest;
    /// With the token of a human check.
    human_check(token: impl Into<String>), human_check = Some(token.into()), of SendRequest;
    /// With a proof of a stronger factor, which answers a step-up.
    proof(proof: impl Into<String>), proof = Some(proof.into()), of SendRequest;
    /// Whether the application knows no such recipient.
    decoy(decoy: bool), decoy = decoy, of SendRequest;

    /// At a number as it is written in this country.
    country(country: Country), country = Some(country), of Person, Known, UnlockRequest, EraseRequest;
    /// This user.
    subject(subject: impl Into<String>), subject = Some(subject.into()), of Person, Known, UnlockRequest;
    /// For this purpose.
    purpose(purpose: Purpose), purpose = purpose, of Person;
    /// At this number or mailbox.
    to(to: impl Into<String>), to = Some(to.into()), of Known;
    /// For this purpose.
    purpose(purpose: Purpose), purpose = Some(purpose), of Known;
    /// Whether the limits on this person's checks end too.
    check_limits(end: bool), check_limits = end, of UnlockRequest;
}

impl Person {
    /// Who pays this amount to this payee: a transaction.
    #[must_use]
    pub fn pays(mut self, amount: impl Into<String>, payee: impl Into<String>) -> Self {
        self.purpose = Purpose::Transaction;
        self.payment = Some(Payment {
            amount: amount.into(),
            payee: payee.into(),
        });
        self
    }
}

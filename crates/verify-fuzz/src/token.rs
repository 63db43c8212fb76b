//! Tokens that came from anywhere.

use std::time::Duration;

use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use verify_core::command::{
    CancelRequest, CheckRequest, Command, Expected, RedeemRequest, Report, ReportRequest, SendRequest,
    StatusRequest,
};
use verify_core::ids::Nonce;
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{RefusalCode, ReportAnswer};
use verify_core::policy::PolicySet;
use verify_core::seed::Seed;
use verify_core::time::Timestamp;
use verify_core::token::{
    DeliveryToken, DeviceToken, ProofToken, StepUpToken, Token, TokenError, TokenKind, VerificationToken,
};
use verify_core::vocabulary::{Purpose, ServiceId};
use verify_lab::explore::{Kinds, World};

use crate::input::{choice, text};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LIFE: Duration = Duration::from_secs(600);

/// Arbitrary texts (a first byte of 0, modulo 3) and real tokens that were changed (1) open nothing, as any kind, and
/// cost no trip to the store; genuine ones (2) open as what they are, there and then, and as nothing else, whatever
/// they hold.
pub fn token(data: &[u8]) {
    let (way, data) = choice(data);
    match way % 3 {
        0 => opens_nothing(&keys(), &text(data)),
        1 => changed(data),
        _ => genuine(data),
    }
}

fn keys() -> Keys {
    Keys::generate(&[3; 32])
}

/// Genuine contents with texts out of the bytes.
fn contents(data: &[u8]) -> VerificationToken {
    VerificationToken {
        nonce: Nonce::from_bytes([9; 16]),
        length: 6,
        to: "+12025550123".to_owned(),
        subject: Some(text(data).into_owned()),
        purpose: Purpose::SignIn,
        payment: None,
    }
}

fn opens_nothing(keys: &Keys, token: &str) {
    let service = ServiceId::default();
    assert_eq!(
        keys.open_token::<VerificationToken>(&service, NOW, token).err(),
        Some(TokenError::Malformed),
        "i55"
    );
    assert_eq!(
        keys.open_token::<ProofToken>(&service, NOW, token).err(),
        Some(TokenError::Malformed),
        "i55"
    );
    assert_eq!(
        keys.open_token::<StepUpToken>(&service, NOW, token).err(),
        Some(TokenError::Malformed),
        "i55"
    );
    assert_eq!(
        keys.open_token::<DeviceToken>(&service, NOW, token).err(),
        Some(TokenError::Malformed),
        "i55"
    );
    assert_eq!(
        keys.open_token::<DeliveryToken>(&service, NOW, token).err(),
        Some(TokenError::Malformed),
        "i55"
    );
    moves_nothing(token);
}

/// As every field that takes a token: refused or passed over, without a trip.
fn moves_nothing(token: &str) {
    let mut world = World::new(PolicySet::default(), Kinds::Own);
    let commands: [Command; 5] = [
        CheckRequest::of(token, "123456", Expected::Whoever).into(),
        SendRequest::again(token, Expected::Whoever).into(),
        StatusRequest::of(token).into(),
        CancelRequest::of(token).into(),
        RedeemRequest::of(token, "+12025550123").into(),
    ];
    for command in commands {
        let name = command.name();
        let (outcome, trips) = world.run(command);
        let refused = outcome.refusal().map(|refusal| refusal.code);
        assert_eq!((refused, trips), (Some(RefusalCode::NotFound), 0), "i55: {name}");
    }
    let (outcome, trips) = world.run(ReportRequest::of(token, Report::Delivered, "once"));
    let nothing = Ok(ReportAnswer { changed: false });
    assert_eq!((outcome.of::<ReportAnswer>().answer, trips), (nothing, 0), "i35");
}

/// The first four bytes say what is changed of a token, and to what; the rest is in it.
fn changed(data: &[u8]) {
    let (way, data) = choice(data);
    let (place, data) = choice(data);
    let (more, data) = choice(data);
    let (new, data) = choice(data);
    let keys = keys();
    let Ok(token) = keys.issue(
        &ServiceId::default(),
        NOW + LIFE,
        &Seed::from_bytes([5; 48]),
        &contents(data),
    ) else {
        return;
    };
    let at = (place << 8 | more) % token.len();
    let new = char::from_u32(u32::try_from(new).unwrap_or(0)).unwrap_or('A');
    let (before, after) = token.split_at(at);
    let forged = match way % 4 {
        0 => format!("{before}{new}{}", after.get(1..).unwrap_or_default()),
        1 => before.to_owned(),
        2 => format!("{before}{new}{after}"),
        _ => format!("{after}{before}"),
    };
    if forged != token {
        opens_nothing(&keys, &forged);
    }
}

fn genuine(data: &[u8]) {
    let (kind, data) = choice(data);
    let (service, seed) = (ServiceId::default(), Seed::from_bytes([5; 48]));
    let keys = keys();
    let print = Print::from_bytes([8; 16]);
    match kind % 3 {
        0 => stays_in_its_place(&keys, &contents(data)),
        1 => stays_in_its_place(
            &keys,
            &DeliveryToken {
                record: print,
                nonce: Nonce::from_bytes([1; 16]),
                delivery: data.first().copied().unwrap_or_default(),
            },
        ),
        // Sealed by us, with contents that we would not write: an older or a newer version, or a bug.
        _ => {
            if let Ok(token) = keys.issue(&service, NOW + LIFE, &seed, &Anything(data)) {
                let _ = keys.open_token::<VerificationToken>(&service, NOW, &token);
                let mut world = World::new(PolicySet::default(), Kinds::Own);
                world.use_keys(keys);
                world.run(CheckRequest::of(token.as_str(), "123456", Expected::Whoever));
                world.run(SendRequest::again(token, Expected::Whoever));
            }
        }
    }
}

/// It opens in its service until it expires, after a rotation too, and under nothing else.
fn stays_in_its_place<T: Token + PartialEq + std::fmt::Debug>(keys: &Keys, contents: &T) {
    let (service, seed) = (ServiceId::default(), Seed::from_bytes([5; 48]));
    let Ok(token) = keys.issue(&service, NOW + LIFE, &seed, contents) else {
        return;
    };
    assert!(token.len() <= verify_core::token::MAX_TOKEN);
    let last = NOW + (LIFE - Duration::from_millis(1));
    for keys in [keys, &keys.rotated(&[4; 32])] {
        assert_eq!(
            keys.open_token::<T>(&service, last, &token).as_ref(),
            Ok(contents),
            "i56"
        );
    }
    let malformed = Err(TokenError::Malformed);
    let other = ServiceId::new("other").expect("a service id");
    assert_eq!(
        keys.open_token::<T>(&service, NOW + LIFE, &token),
        Err(TokenError::Expired),
        "i55"
    );
    assert_eq!(
        keys.open_token::<T>(&other, NOW, &token),
        malformed,
        "i55: another service"
    );
    assert_eq!(
        Keys::generate(&[6; 32]).open_token::<T>(&service, NOW, &token),
        malformed,
        "i55: other keys"
    );
    assert_eq!(
        keys.open_token::<ProofToken>(&service, NOW, &token).err(),
        Some(TokenError::Malformed),
        "i55: another kind"
    );
}

/// Bytes as they are, in the place of a verification.
struct Anything<'a>(&'a [u8]);

impl Serialize for Anything<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A tuple has no length in front of it.
        let mut tuple = serializer.serialize_tuple(self.0.len())?;
        for byte in self.0 {
            tuple.serialize_element(byte)?;
        }
        tuple.end()
    }
}

impl<'de> Deserialize<'de> for Anything<'_> {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("only ever written"))
    }
}

impl Token for Anything<'_> {
    const KIND: TokenKind = TokenKind::Verification;
}

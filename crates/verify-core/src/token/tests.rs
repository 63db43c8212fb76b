use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const LATER: Timestamp = Timestamp::from_millis(1_800_000_600_000);
const KINDS: [TokenKind; 5] = [
    TokenKind::Verification,
    TokenKind::Proof,
    TokenKind::StepUp,
    TokenKind::Device,
    TokenKind::Delivery,
];

fn keys() -> Keys {
    Keys::generate(&[1; 32])
}

fn seed() -> Seed {
    Seed::from_bytes([2; 48])
}

fn service() -> ServiceId {
    ServiceId::default()
}

fn delivery() -> DeliveryToken {
    DeliveryToken {
        record: Print::from_bytes([3; 16]),
        nonce: Nonce::from_bytes([4; 16]),
        delivery: 255,
    }
}

fn verification(subject: &str) -> VerificationToken {
    VerificationToken {
        nonce: Nonce::from_bytes([4; 16]),
        length: 6,
        to: "+15005550006".into(),
        subject: Some(subject.into()),
        purpose: Purpose::Transaction,
        payment: Some(Payment {
            amount: "12.50 EUR".into(),
            payee: "Corner Shop".into(),
        }),
    }
}

fn proof() -> ProofToken {
    ProofToken {
        id: ApprovalId::from_bytes([5; 16]),
        destination: Print::from_bytes([6; 16]),
        subject: None,
        purpose: Purpose::SignIn,
        binding: Some(Print::from_bytes([7; 16])),
        channel: Channel::Sms,
        assurance: Assurance::PhoneRestricted,
        approved_at: NOW,
        expires: LATER,
    }
}

fn open<T: Token>(keys: &Keys, token: &str) -> Result<T, TokenError> {
    keys.open_token(&service(), NOW, token)
}

/// Issues, opens and compares.
fn round_trip<T: Token + PartialEq + fmt::Debug>(contents: &T) {
    let token = keys().issue(&service(), LATER, &seed(), contents).unwrap();
    assert_eq!(&open::<T>(&keys(), &token).unwrap(), contents);
    assert!(
        token
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    );
}

#[test]
fn every_kind_reads_back() {
    let print = Print::from_bytes([6; 16]);
    round_trip(&verification("user-1"));
    round_trip(&proof());
    round_trip(&StepUpToken {
        id: [1; 16],
        destination: print,
        subject: Some(print),
        purpose: Purpose::Recovery,
    });
    round_trip(&DeviceToken {
        destination: print,
        subject: None,
        issued: NOW,
    });
    round_trip(&delivery());
}

#[test]
fn i55_every_single_changed_character_opens_nothing() {
    let keys = keys();
    let token = keys.issue(&service(), LATER, &seed(), &delivery()).unwrap();
    let alphabet: Vec<u8> = (0x20..0x7f).collect();
    for at in 0..token.len() {
        for other in alphabet.iter().filter(|other| **other != token.as_bytes()[at]) {
            let mut changed = token.clone().into_bytes();
            changed[at] = *other;
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(
                open::<DeliveryToken>(&keys, &changed),
                Err(TokenError::Malformed),
                "{at}"
            );
        }
    }
}

#[test]
fn i55_cut_extended_and_respelled_tokens_open_nothing() {
    let keys = keys();
    let token = keys.issue(&service(), LATER, &seed(), &delivery()).unwrap();
    let refused = |text: &str| {
        assert_eq!(
            open::<DeliveryToken>(&keys, text),
            Err(TokenError::Malformed),
            "{text}"
        )
    };
    (0..token.len()).for_each(|len| refused(&token[..len]));
    (1..token.len()).for_each(|from| refused(&token[from..]));
    for tail in ["=", "==", "A", "AA", "AAA", "AAAA", " ", "\n", "\0", "é", &token] {
        refused(&format!("{token}{tail}"));
        refused(&format!("{tail}{token}"));
    }
    refused(&"A".repeat(MAX_TOKEN + 1));
    refused(&"A".repeat(1 << 20));
}

proptest! {
    #[test]
    fn i55_a_token_opens_for_its_kind_service_ring_and_time_only(
        body in any::<(u64, [u8; 16])>(), kinds in (0usize..5, 0usize..5), same_service in any::<bool>(),
        same_ring in any::<bool>(), expires in 0u64..1000, now in 0u64..1000,
        flip in proptest::option::of((any::<prop::sample::Index>(), 1u8..=255)),
    ) {
        let issuing = ServiceId::new("shop").unwrap();
        let packed = postcard::to_allocvec(&body).unwrap();
        let token = keys()
            .issue_as(KINDS[kinds.0], &issuing, Timestamp::from_millis(expires), &seed(), &packed).unwrap();
        let mut bytes = URL_SAFE_NO_PAD.decode(&token).unwrap();
        if let Some((at, bits)) = flip {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        let opening = if same_service { issuing } else { ServiceId::new("shop2").unwrap() };
        let ring = if same_ring { keys() } else { Keys::generate(&[9; 32]) };
        let opened: Result<(u64, [u8; 16]), _> =
            ring.open_as(KINDS[kinds.1], &opening, Timestamp::from_millis(now), &URL_SAFE_NO_PAD.encode(bytes));
        let genuine = kinds.0 == kinds.1 && same_service && same_ring && flip.is_none();
        let expected = match (genuine, now < expires) {
            (true, true) => Ok(body),
            (true, false) => Err(TokenError::Expired),
            (false, _) => Err(TokenError::Malformed),
        };
        prop_assert_eq!(opened, expected);
    }

    #[test]
    fn i55_noise_opens_nothing(text in "[A-Za-z0-9_-]{0,300}|\\PC{0,300}") {
        prop_assert_eq!(open::<ProofToken>(&keys(), &text), Err(TokenError::Malformed));
    }
}

#[test]
fn i55_sealed_records_and_contents_with_a_tail_are_no_tokens() {
    let keys = keys();
    let mut plain = LATER.as_millis().to_be_bytes().to_vec();
    plain.extend(postcard::to_allocvec(&delivery()).unwrap());
    let record = keys
        .seal(&seed(), &context(TokenKind::Delivery, &service()), &plain)
        .unwrap();
    assert_eq!(
        open::<DeliveryToken>(&keys, &URL_SAFE_NO_PAD.encode(record)),
        Err(TokenError::Malformed)
    );
    let mut body = postcard::to_allocvec(&delivery()).unwrap();
    body.push(0);
    let token = keys
        .issue_as(TokenKind::Delivery, &service(), LATER, &seed(), &body)
        .unwrap();
    assert_eq!(open::<DeliveryToken>(&keys, &token), Err(TokenError::Malformed));
}

#[test]
fn i55_a_token_expires_at_the_stated_instant() {
    let keys = keys();
    let token = keys.issue(&service(), LATER, &seed(), &delivery()).unwrap();
    let at = |now| keys.open_token::<DeliveryToken>(&service(), now, &token);
    assert!(at(Timestamp::from_millis(LATER.as_millis() - 1)).is_ok());
    assert_eq!(at(LATER), Err(TokenError::Expired));
    assert_eq!(at(Timestamp::MAX), Err(TokenError::Expired));
}

#[test]
fn a_delivery_token_fits_a_tag_of_128_characters() {
    let token = keys().issue(&service(), LATER, &seed(), &delivery()).unwrap();
    assert!(token.len() <= 120, "{}", token.len());
    let full = keys()
        .issue_as(TokenKind::Delivery, &service(), LATER, &seed(), &[0; 40])
        .unwrap();
    assert!(full.len() <= 120, "{}", full.len());
}

#[test]
fn a_token_that_could_not_be_opened_is_not_issued() {
    let issue = |len: usize| keys().issue(&service(), LATER, &seed(), &verification(&"s".repeat(len)));
    assert_eq!(issue(3000), Err(IssueError::TooLong));
    let mut longest = (0..3000).rev().find_map(|len| issue(len).ok()).unwrap();
    assert!(open::<VerificationToken>(&keys(), &longest).is_ok());
    assert!(longest.len() > MAX_TOKEN - 4);
    longest.push('A');
    assert!(open::<VerificationToken>(&keys(), &longest).is_err());
}

#[test]
fn i56_a_rotated_ring_opens_old_tokens_until_the_key_is_cut_off() {
    let old = keys();
    let token = old.issue(&service(), LATER, &seed(), &proof()).unwrap();
    let new = old.rotated(&[8; 32]);
    assert_eq!(open::<ProofToken>(&new, &token), Ok(proof()));
    let fresh = new.issue(&service(), LATER, &seed(), &proof()).unwrap();
    assert_eq!(open::<ProofToken>(&old, &fresh), Err(TokenError::Malformed));
    let (text, secret) = (new.to_text(), old.to_text());
    let retired = format!(",1:{}", secret.expose().rsplit(':').next().unwrap());
    let cut = Keys::parse(&text.expose().replace(&retired, "")).unwrap();
    assert_eq!(cut.seal.ids().count(), 1);
    assert_eq!(open::<ProofToken>(&cut, &token), Err(TokenError::Malformed));
    assert_eq!(open::<ProofToken>(&cut, &fresh), Ok(proof()));
}

#[test]
fn i20_a_verification_shows_neither_to_whom_nor_what() {
    let shown = format!("{:?}", verification("user-1"));
    assert_eq!(shown, "VerificationToken { purpose: Transaction, .. }");
    let token = keys()
        .issue(&service(), LATER, &seed(), &verification("user-1"))
        .unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(token).unwrap();
    assert!(
        !bytes
            .windows(6)
            .any(|window| window == b"user-1" || window == b"500555")
    );
}

#[test]
fn an_assurance_has_one_word() {
    let words = [
        Assurance::Test,
        Assurance::MailboxOnly,
        Assurance::PhoneRestricted,
    ];
    for assurance in words {
        assert_eq!(
            serde_json::to_string(&assurance).unwrap(),
            format!("\"{assurance}\"")
        );
    }
    assert_eq!(
        Channel::ALL.iter().map(|c| Assurance::of(*c)).max(),
        Some(Assurance::PhoneRestricted)
    );
    assert_eq!(Assurance::of(Channel::Email), Assurance::MailboxOnly);
    assert!(Assurance::Test.is_test() && Assurance::Test < Assurance::MailboxOnly);
}

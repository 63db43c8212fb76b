//! What must not change unnoticed: transition tables, the record's format, names that others rely on.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Write as _;
use std::time::Duration;

use verify_core::event::{Event, EventKind};
use verify_core::ids::{AnnouncerId, ApprovalId, DeliveryId, EventId, Nonce};
use verify_core::keys::{KeyId, Keys, Print};
use verify_core::limit::{Backoff, Counter, Window};
use verify_core::outcome::RefusalCode;
use verify_core::port::RejectionKind;
use verify_core::record::{
    ApprovalMark, Cap, CodeOf, Concluding, Delivery, DeliveryStatus, Identity, Note, Notes, Record, Status,
    Verification,
};
use verify_core::seed::Seed;
use verify_core::store::{Claim, ClaimKey, ClaimKind, Lifetime, RecordKind, Row, kept};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose, ServiceId, Standing};

#[test]
fn transition_tables() {
    let mut table = String::new();
    for from in Status::ALL {
        let row: Vec<&str> = Status::ALL
            .iter()
            .map(|to| {
                if Status::TRANSITIONS.contains(&(*from, *to)) {
                    to.as_str()
                } else {
                    "-"
                }
            })
            .collect();
        writeln!(table, "{}: {}", from.as_str(), row.join(" ")).unwrap();
    }
    for from in DeliveryStatus::ALL {
        let row: Vec<&str> = DeliveryStatus::ALL
            .iter()
            .map(|to| {
                if DeliveryStatus::TRANSITIONS.contains(&(*from, *to)) {
                    to.as_str()
                } else {
                    "-"
                }
            })
            .collect();
        writeln!(table, "{}: {}", from.as_str(), row.join(" ")).unwrap();
    }
    insta::assert_snapshot!(table);
}

#[test]
fn every_write_of_a_status_goes_through_its_table() {
    for from in DeliveryStatus::ALL {
        for to in DeliveryStatus::ALL {
            let Some(mut delivery) = delivery_at(*from) else {
                continue;
            };
            let allowed = DeliveryStatus::TRANSITIONS.contains(&(*from, *to));
            assert_eq!(delivery.advance(*to), allowed);
            assert_eq!(delivery.status(), if allowed { *to } else { *from });
        }
    }
}

/// A delivery that went to a status by the table.
fn delivery_at(status: DeliveryStatus) -> Option<Delivery> {
    let fresh = || {
        Delivery::dispatching(
            DeliveryId::from_bytes([1; 16]),
            Channel::Sms,
            "own".into(),
            Timestamp::ZERO,
            Timestamp::MAX,
        )
    };
    let path: &[DeliveryStatus] = match status {
        DeliveryStatus::Dispatching => &[],
        DeliveryStatus::Accepted | DeliveryStatus::Rejected | DeliveryStatus::Unknown => &[status],
        DeliveryStatus::Delivered | DeliveryStatus::Undelivered => &[DeliveryStatus::Accepted, status],
    };
    let mut delivery = fresh();
    path.iter()
        .all(|step| delivery.advance(*step))
        .then_some(delivery)
}

fn key() -> KeyId {
    Keys::generate(&[1; 32]).fingerprint.newest()
}

fn sample() -> Record {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let identity = Identity {
        purpose: Purpose::Transaction,
        subject: Some(Print::from_bytes([2; 16])),
        standing: Standing::Known,
        binding: Some(Print::from_bytes([3; 16])),
        mailbox: Some(Print::from_bytes([11; 16])),
    };
    let own = CodeOf::Own {
        key: Keys::generate(&[1; 32]).code.newest(),
        generation: 1,
    };
    let managed = CodeOf::Managed {
        provider: "twilio".into(),
        scope: "VA0".into(),
    };
    let mut first = Verification::pending(
        Nonce::from_bytes([4; 16]),
        identity.clone(),
        own,
        6,
        at,
        at + Duration::from_secs(600),
        vec![9, 9],
    );
    let mut delivery = Delivery::dispatching(
        DeliveryId::from_bytes([5; 16]),
        Channel::Sms,
        "own".into(),
        at,
        at + Duration::from_secs(20),
    );
    delivery.advance(DeliveryStatus::Accepted);
    delivery.upstream = Some("SM1".into());
    first.add_delivery(delivery);
    first.approval = Some(ApprovalMark {
        id: ApprovalId::from_bytes([6; 16]),
        by_key: Some(Print::from_bytes([7; 16])),
        at,
    });
    first.advance(Status::Approved);
    let second = Verification::pending(
        Nonce::from_bytes([8; 16]),
        identity,
        managed,
        8,
        at,
        at + Duration::from_secs(600),
        Vec::new(),
    );
    let concluding = Concluding {
        provider: "twilio".into(),
        scope: "VA0".into(),
        mailbox: Some(Print::from_bytes([11; 16])),
        by: AnnouncerId::from_bytes([10; 16]),
        until: at + Duration::from_secs(6),
    };
    Record {
        verifications: vec![first, second],
        concluding: Some(concluding),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn record_format() {
    let row = sample().encode(key()).unwrap();
    assert_eq!(Record::decode(&row).unwrap(), sample());
    let notes = Notes {
        notes: vec![
            Note {
                channel: Channel::Sms,
                kind: RejectionKind::OptedOut,
                until: None,
            },
            Note {
                channel: Channel::Call,
                kind: RejectionKind::PrefixBlocked,
                until: Some(Timestamp::from_millis(1)),
            },
        ],
        caps: vec![Cap {
            provider: "twilio".into(),
            scope: "VA1".into(),
            until: Timestamp::from_millis(2),
        }],
        whose: Some(vec![3, 1, 4]),
    };
    let noted = notes.encode(key()).unwrap();
    assert_eq!(Notes::decode(&noted).unwrap(), notes);
    let header = |row: &Row| {
        format!(
            "{:?} {:?} {:?} {:?}",
            row.lifetime, row.live_until, row.due, row.under
        )
    };
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n{}",
        header(&row),
        hex(&row.bytes),
        header(&noted),
        hex(&noted.bytes)
    ));
}

#[test]
fn kept_form() {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let window = (1..=3u64).fold(Window::default(), |window, n| {
        window.counted(16, Duration::from_secs(600), n, at + Duration::from_secs(n))
    });
    let ended = window.reset(at);
    let run = Backoff {
        count: 5,
        last: at,
        run: 2,
    };
    let ends = at + Duration::from_secs(601);
    let mut page = String::new();
    for (name, state) in [
        ("window", Counter::Window(window)),
        ("window that was ended before", Counter::Window(ended)),
        ("run", Counter::Backoff(run)),
    ] {
        let bytes = kept::counter(&state, ends);
        assert_eq!(kept::read_counter(&bytes), Ok((state, ends)));
        writeln!(page, "{name}: {}", hex(&bytes)).unwrap();
    }
    let row = Row {
        version: 7,
        bytes: vec![1, 2, 3],
        ..sample().encode(key()).unwrap()
    };
    let durable = Row {
        lifetime: Lifetime::Durable,
        live_until: None,
        due: None,
        ..row.clone()
    };
    for (name, row) in [("row", row), ("durable", durable)] {
        let bytes = kept::row(&row);
        assert_eq!(kept::read_row(&bytes), Ok(row));
        writeln!(page, "{name}: {}", hex(&bytes)).unwrap();
    }
    let claim = Claim {
        key: ClaimKey {
            kind: ClaimKind::Proof,
            print: Print::from_bytes([5; 16]),
        },
        value: vec![9],
        expires_at: ends,
    };
    let bytes = kept::claim(&claim);
    assert_eq!(kept::read_claim(claim.key, &bytes), Ok(claim.clone()));
    writeln!(page, "claim {}: {}", hex(&claim.key.to_bytes()), hex(&bytes)).unwrap();
    let seed = Seed::from_bytes([8; 48]);
    let mut event = Event::new(&seed, 1, at, ServiceId::default(), EventKind::DeliveryFailed);
    event.destination = Some(Print::from_bytes([6; 16]));
    event.subject = Some(Print::from_bytes([7; 16]));
    event.purpose = Some(Purpose::SignIn);
    event.standing = Some(Standing::Known);
    event.rules = vec!["resend_gap".into()];
    event.code = Some(30_003);
    let bytes = kept::event(&event);
    assert_eq!(kept::read_event(&bytes), Ok(event.clone()));
    assert_ne!(event.id, EventId::default());
    writeln!(page, "event: {}", hex(&bytes)).unwrap();
    insta::assert_snapshot!(page);
}

#[test]
fn what_is_kept_in_another_form_is_corrupt_and_not_guessed_at() {
    let state = Counter::Backoff(Backoff::default());
    let good = kept::counter(&state, Timestamp::MAX);
    for length in 0..good.len() {
        assert!(kept::read_counter(&good[..length]).is_err(), "{length}");
    }
    for (at, byte) in [(0, 2), (1, 9), (9, 0xff)] {
        let mut bad = good.clone();
        bad[at] = byte;
        assert!(kept::read_counter(&bad).is_err(), "{at}");
    }
    let mut row = kept::row(&sample().encode(key()).unwrap());
    row[1] |= 1 << 4;
    assert!(kept::read_row(&row).is_err(), "a flag that nobody knows");
    let kind = EventKind::SendIntended;
    let event = Event::new(
        &Seed::from_bytes([8; 48]),
        1,
        Timestamp::ZERO,
        ServiceId::default(),
        kind,
    );
    let more = [kept::event(&event), vec![0]].concat();
    assert!(kept::read_event(&more).is_err(), "something behind it");
    for bytes in [&[][..], &[2], &[1], &[1, 0, 0]] {
        assert!(kept::read_row(bytes).is_err());
        assert!(kept::read_event(bytes).is_err());
    }
}

#[test]
fn tags_that_keys_hold() {
    let records = RecordKind::ALL
        .iter()
        .map(|kind| (kind.tag(), format!("{kind:?}")));
    let claims = ClaimKind::ALL
        .iter()
        .map(|kind| (kind.tag(), format!("{kind:?}")));
    let events = EventKind::ALL
        .iter()
        .map(|kind| (kind.tag(), kind.as_str().to_owned()));
    let page = |tags: Vec<(u8, String)>| {
        let tags = tags.into_iter().map(|(tag, name)| format!("{tag} {name}"));
        tags.collect::<Vec<_>>().join(", ")
    };
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}",
        page(records.collect()),
        page(claims.collect()),
        page(events.collect())
    ));
}

#[test]
fn an_announced_conclusion_keeps_its_record_even_without_a_verification() {
    let record = Record {
        verifications: Vec::new(),
        ..sample()
    };
    let until = record.concluding.as_ref().unwrap().until;
    let row = record.encode(key()).unwrap();
    assert!(!row.is_outlived(until), "{:?}", row.lifetime);
}

#[test]
fn a_record_of_another_format_is_refused_and_not_guessed_at() {
    let mut row = sample().encode(key()).unwrap();
    if let Some(version) = row.bytes.first_mut() {
        *version += 1;
    }
    assert!(Record::decode(&row).is_err());
    row.bytes.clear();
    assert!(Record::decode(&row).is_err());
}

#[test]
fn names_that_others_rely_on() {
    let mut names = String::new();
    let words = |words: Vec<&str>| words.join(" ");
    writeln!(
        names,
        "events: {}",
        words(EventKind::ALL.iter().map(|kind| kind.as_str()).collect())
    )
    .unwrap();
    writeln!(
        names,
        "refusals: {}",
        words(RefusalCode::ALL.iter().map(|code| code.as_str()).collect())
    )
    .unwrap();
    writeln!(
        names,
        "rejections: {}",
        words(RejectionKind::ALL.iter().map(|kind| kind.as_str()).collect())
    )
    .unwrap();
    writeln!(
        names,
        "channels: {}",
        words(Channel::ALL.iter().map(|channel| channel.as_str()).collect())
    )
    .unwrap();
    writeln!(
        names,
        "purposes: {}",
        words(Purpose::ALL.iter().map(|purpose| purpose.as_str()).collect())
    )
    .unwrap();
    insta::assert_snapshot!(names);
}

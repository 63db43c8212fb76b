//! What must not change unnoticed: transition tables, the record's format, names that others rely on.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::fmt::Write as _;
use std::time::Duration;

use verify_core::event::EventKind;
use verify_core::keys::{Keys, Print};
use verify_core::outcome::RefusalCode;
use verify_core::port::{Conclusion, RejectionKind};
use verify_core::record::{
    ApprovalMark, CodeOf, Concluding, Delivery, DeliveryStatus, Entry, Identity, Note, Notes, Record, Status,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose, Standing};

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
            [1; 16],
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

fn sample() -> Record {
    let at = Timestamp::from_millis(1_700_000_000_000);
    let identity = Identity {
        purpose: Purpose::Transaction,
        subject: Some(Print::from_bytes([2; 16])),
        standing: Standing::Known,
        binding: Some(Print::from_bytes([3; 16])),
    };
    let own = CodeOf::Own {
        key: Keys::generate(&[1; 32]).code.newest(),
        generation: 1,
        length: 6,
    };
    let managed = CodeOf::Managed {
        provider: "twilio".into(),
        scope: "VA0".into(),
    };
    let mut first = Entry::pending(
        [4; 16],
        identity.clone(),
        own,
        at,
        at + Duration::from_secs(600),
        vec![9, 9],
    );
    let mut delivery = Delivery::dispatching(
        [5; 16],
        Channel::Sms,
        "own".into(),
        at,
        at + Duration::from_secs(20),
    );
    delivery.advance(DeliveryStatus::Accepted);
    delivery.upstream = Some("SM1".into());
    first.add_delivery(delivery);
    first.approval = Some(ApprovalMark {
        id: [6; 16],
        by_key: Some(Print::from_bytes([7; 16])),
        at,
    });
    first.advance(Status::Approved);
    let second = Entry::pending(
        [8; 16],
        identity,
        managed,
        at,
        at + Duration::from_secs(600),
        Vec::new(),
    );
    let concluding = Concluding {
        provider: "twilio".into(),
        scope: "VA0".into(),
        conclusion: Conclusion::Canceled,
        by: [10; 16],
        until: at + Duration::from_secs(6),
    };
    Record {
        entries: vec![first, second],
        concluding: Some(concluding),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn record_format() {
    let row = sample().encode().unwrap();
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
    };
    let noted = notes.encode().unwrap();
    assert_eq!(Notes::decode(&noted).unwrap(), notes);
    let header =
        |row: &verify_core::store::Row| format!("{:?} {:?} {:?}", row.lifetime, row.live_until, row.due);
    insta::assert_snapshot!(format!(
        "{}\n{}\n{}\n{}",
        header(&row),
        hex(&row.bytes),
        header(&noted),
        hex(&noted.bytes)
    ));
}

#[test]
fn an_announced_conclusion_keeps_its_record_even_without_a_verification() {
    let record = Record {
        entries: Vec::new(),
        ..sample()
    };
    let until = record.concluding.as_ref().unwrap().until;
    let row = record.encode().unwrap();
    assert!(!row.is_outlived(until), "{:?}", row.lifetime);
}

#[test]
fn a_record_of_another_format_is_refused_and_not_guessed_at() {
    let mut row = sample().encode().unwrap();
    if let Some(version) = row.bytes.first_mut() {
        *version = 2;
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

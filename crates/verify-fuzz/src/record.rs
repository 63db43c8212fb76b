//! What a store gives back.

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, Report, ReportRequest, SendRequest, TickRequest};
use verify_core::flow::Step;
use verify_core::policy::PolicySet;
use verify_core::record::{DeliveryStatus, MOST_DELIVERIES, MOST_VERIFICATIONS, Notes, Record, Status};
use verify_core::store::{
    Changeset, Expect, Lifetime, RecordChange, RecordKey, RecordKind, Room, Row, StoreAnswer, Write,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{ServiceId, Standing};
use verify_lab::explore::{Kinds, World};

use crate::input::choice;

const TO: &str = "+12025550123";

/// Any bytes in the place of a destination's record, or of its notes where the first byte is odd. What cannot be read
/// is a fault; what can be read is written and read as the same; statuses move by the tables alone; and no command
/// that meets it in the store brings a flow down, or keeps it from ending.
pub fn record(data: &[u8]) {
    let (way, data) = choice(data);
    let row = Row {
        version: 0,
        lifetime: Lifetime::Durable,
        live_until: None,
        due: None,
        bytes: data.to_vec(),
    };
    let kind = if way % 2 == 0 {
        RecordKind::Verifications
    } else {
        RecordKind::Notes
    };
    match kind {
        RecordKind::Verifications => {
            if let Ok(record) = Record::decode(&row) {
                reads_as_written(&record);
                moves_by_the_tables(record);
            }
        }
        RecordKind::Notes => {
            if let Ok(notes) = Notes::decode(&row) {
                let again = notes.encode().and_then(|row| Notes::decode(&row));
                assert_eq!(again, Ok(notes));
            }
        }
    }
    let kinds = [Kinds::Own, Kinds::Managed, Kinds::TwoOwn];
    met_in_the_store(kinds[way / 2 % kinds.len()], kind, data);
}

fn reads_as_written(record: &Record) {
    let row = record.encode().expect("what was read can be written");
    assert_eq!(Record::decode(&row).as_ref(), Ok(record));
    for entry in &record.entries {
        let outlives = matches!(row.lifetime, Lifetime::Until(end) if end >= entry.expires);
        assert!(outlives, "i11: it ends before a code in it");
        if entry.status() == Status::Pending {
            assert!(
                row.live_until >= Some(entry.expires),
                "a pending verification does not count as live"
            );
            assert!(
                row.due.is_some(),
                "i28: nobody would look at a pending verification again"
            );
        }
        let unsettled = |status| matches!(status, DeliveryStatus::Dispatching | DeliveryStatus::Unknown);
        let asked = entry
            .deliveries
            .iter()
            .any(|it| unsettled(it.status()) && it.due().is_some());
        assert!(!asked || row.due.is_some(), "i28: nobody would settle a delivery");
    }
}

fn moves_by_the_tables(mut record: Record) {
    for entry in &mut record.entries {
        for to in Status::ALL {
            let mut moved = entry.clone();
            let (was, went) = (moved.status(), moved.advance(*to));
            assert_eq!(
                went,
                Status::TRANSITIONS.contains(&(was, *to)),
                "i24: {was:?} to {to:?}"
            );
            assert_eq!(moved.status(), if went { *to } else { was }, "i24");
        }
        for delivery in &mut entry.deliveries {
            for to in DeliveryStatus::ALL {
                let mut moved = delivery.clone();
                let (was, went) = (moved.status(), moved.advance(*to));
                assert_eq!(
                    went,
                    DeliveryStatus::TRANSITIONS.contains(&(was, *to)),
                    "i35: {was:?} to {to:?}"
                );
                assert_eq!(moved.status(), if went { *to } else { was }, "i35");
            }
        }
        if let Some(delivery) = entry.deliveries.last().cloned() {
            let before = entry.deliveries.len();
            entry.add_delivery(delivery);
            assert!(
                entry.deliveries.len() <= MOST_DELIVERIES.max(before),
                "a delivery made no room"
            );
        }
    }
    for standing in Standing::ALL {
        let mut record = record.clone();
        let made = record.make_room(*standing, Timestamp::from_millis(1));
        assert!(
            !made || record.entries.len() < MOST_VERIFICATIONS,
            "room that is none"
        );
    }
}

/// A verification is sent, its record (or the notes beside it) becomes these bytes, and everybody comes by.
fn met_in_the_store(kinds: Kinds, kind: RecordKind, bytes: &[u8]) {
    let mut world = World::new(PolicySet::default(), kinds);
    let (first, _) = world.run(Command::Send(SendRequest::to(TO)));
    let verification_id = match first.answer {
        verify_core::outcome::Answer::Sent(verification) => verification.id,
        other => panic!("nothing was sent into an empty world: {other:?}"),
    };
    let sent = world.sent.last().cloned().expect("it was sent");
    let Some((key, version)) = only_record(&world) else {
        panic!("a send left no record");
    };
    let key = RecordKey { kind, ..key };
    becomes(&mut world, key, version, bytes);
    world.advance(Duration::from_secs(31));
    let named = verify_core::command::VerificationRequest {
        service: ServiceId::default(),
        verification_id: verification_id.clone(),
    };
    for command in [
        Command::Status(named.clone()),
        Command::Check(CheckRequest::of(verification_id, sent.code)),
        Command::Report(ReportRequest {
            service: ServiceId::default(),
            reference: sent.reference,
            report: Report::Delivered,
            dedupe: "once".to_owned(),
        }),
        Command::Tick(TickRequest {
            service: ServiceId::default(),
            record: RecordKey {
                kind: RecordKind::Verifications,
                ..key
            },
        }),
        Command::Send(SendRequest::to(TO)),
        Command::Cancel(named),
    ] {
        let mut world = world.clone();
        let mut step = world.start(command);
        let mut steps = 0;
        while !matches!(step, Step::Done(_)) {
            step = world.perform(step);
            steps += 1;
            assert!(
                steps <= verify_core::flow::MOST_STEPS,
                "i47: a flow goes on and on"
            );
        }
    }
}

/// Puts these bytes under a key.
fn becomes(world: &mut World, key: RecordKey, version: u64, bytes: &[u8]) {
    let expect = if key.kind == RecordKind::Verifications {
        Expect::At(version)
    } else {
        Expect::Absent
    };
    let row = Row {
        version: 0,
        lifetime: Lifetime::Until(world.now + Duration::from_secs(3_600)),
        live_until: Some(world.now + Duration::from_secs(600)),
        due: Some(world.now),
        bytes: bytes.to_vec(),
    };
    let mut changeset = Changeset::new(ServiceId::default(), world.now, Room::Known);
    changeset.records = vec![RecordChange {
        key,
        expect,
        write: Write::Put(row),
    }];
    assert!(matches!(
        world.store.apply_now(&changeset),
        StoreAnswer::Applied(_)
    ));
}

fn only_record(world: &World) -> Option<(RecordKey, u64)> {
    let mut records = world.store.records().iter();
    records
        .find(|((_, key), _)| key.kind == RecordKind::Verifications)
        .map(|((_, key), row)| (*key, row.version))
}

//! What a store gives back.

use std::time::Duration;

use verify_core::command::{
    CancelRequest, CheckRequest, Command, Expected, Report, ReportRequest, SendRequest, StatusRequest,
    TickRequest,
};
use verify_core::keys::KeyId;
use verify_core::outcome::{Fault, SendAnswer};
use verify_core::policy::PolicySet;
use verify_core::record::{DeliveryStatus, MOST_DELIVERIES, MOST_VERIFICATIONS, Notes, Record, Status};
use verify_core::store::{
    Changeset, Expect, Lifetime, RecordChange, RecordKey, RecordKind, Room, Row, StoreAnswer, Write,
    WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{ServiceId, Standing};
use verify_lab::explore::{Kinds, World};

use crate::input::choice;

const TO: &str = "+12025550123";
/// The key of the ring that the records here are kept under.
const FINGERPRINT: KeyId = KeyId::new(1);
const UNDER: WrittenUnder = WrittenUnder {
    fingerprint: FINGERPRINT,
    seal: None,
};

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
        under: UNDER,
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
                let again = notes.encode(FINGERPRINT).map(|row| Notes::decode(&row));
                assert_eq!(again, Ok(Ok(notes)));
            }
        }
    }
    let kinds = [Kinds::Own, Kinds::Managed, Kinds::TwoOwn];
    met_in_the_store(kinds[way / 2 % kinds.len()], kind, data);
}

fn reads_as_written(record: &Record) {
    let row = record.encode(FINGERPRINT).expect("what was read can be written");
    assert_eq!(Record::decode(&row).as_ref(), Ok(record));
    for it in &record.verifications {
        let outlives = matches!(row.lifetime, Lifetime::Until(end) if end >= it.expires);
        assert!(outlives, "i11: it ends before a code in it");
        if it.status() == Status::Pending {
            assert!(
                row.live_until >= Some(it.expires),
                "a pending verification does not count as live"
            );
            assert!(
                row.due.is_some(),
                "i28: nobody would look at a pending verification again"
            );
        }
        let unsettled = |status| matches!(status, DeliveryStatus::Dispatching | DeliveryStatus::Unknown);
        let asked = it
            .deliveries
            .iter()
            .any(|delivery| unsettled(delivery.status()) && delivery.due().is_some());
        assert!(!asked || row.due.is_some(), "i28: nobody would settle a delivery");
    }
}

fn moves_by_the_tables(mut record: Record) {
    for it in &mut record.verifications {
        for to in Status::ALL {
            let mut moved = it.clone();
            let (was, went) = (moved.status(), moved.advance(*to));
            assert_eq!(
                went,
                Status::TRANSITIONS.contains(&(was, *to)),
                "i24: {was:?} to {to:?}"
            );
            assert_eq!(moved.status(), if went { *to } else { was }, "i24");
        }
        for delivery in &mut it.deliveries {
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
        if let Some(delivery) = it.deliveries.last().cloned() {
            let before = it.deliveries.len();
            it.add_delivery(delivery);
            assert!(
                it.deliveries.len() <= MOST_DELIVERIES.max(before),
                "a delivery made no room"
            );
        }
    }
    for standing in Standing::ALL {
        let mut record = record.clone();
        let made = record.make_room(*standing, Timestamp::from_millis(1));
        assert!(
            !made || record.verifications.len() < MOST_VERIFICATIONS,
            "room that is none"
        );
    }
}

/// A verification is sent, its record (or the notes beside it) becomes these bytes, and everybody comes by.
fn met_in_the_store(kinds: Kinds, kind: RecordKind, bytes: &[u8]) {
    let mut world = World::new(PolicySet::default(), kinds);
    let first = world.run(SendRequest::to(TO)).0.of::<SendAnswer>();
    let verification_id = match first.answer {
        Ok(SendAnswer::Sent(verification)) => verification.id,
        other => panic!("nothing was sent into an empty world: {other:?}"),
    };
    let sent = world.sent.last().cloned().expect("it was sent");
    let Some((key, version)) = only_record(&world) else {
        panic!("a send left no record");
    };
    let key = RecordKey { kind, ..key };
    becomes(&mut world, key, version, bytes);
    world.advance(Duration::from_secs(31));
    let commands: [Command; 6] = [
        StatusRequest::of(&verification_id).into(),
        CheckRequest::of(&verification_id, sent.code, Expected::Whoever).into(),
        ReportRequest::of(sent.reference, Report::Delivered, "once").into(),
        TickRequest::of(RecordKey {
            kind: RecordKind::Verifications,
            ..key
        })
        .into(),
        SendRequest::to(TO).into(),
        CancelRequest::of(verification_id).into(),
    ];
    for command in commands {
        let (outcome, _) = world.clone().run(command);
        // One that goes on and on is a defect too.
        assert_ne!(outcome.answer, Err(Fault::Defect), "i47");
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
        under: UNDER,
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

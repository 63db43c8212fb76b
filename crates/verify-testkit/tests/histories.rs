//! Which histories some order explains, and which none does.

#![allow(
    clippy::indexing_slicing,
    reason = "helpers of tests are outside of test functions"
)]

use std::time::Duration;

use verify_core::event::{Event, EventKind};
use verify_core::keys::{KeyId, Print};
use verify_core::limit::Rule;
use verify_core::port::Detail;
use verify_core::seed::Seed;
use verify_core::store::{
    Changeset, Charge, CounterKey, Expect, Lifetime, Mode, RecordChange, RecordKey, RecordKind, Room, Row,
    StoreAnswer, StoreFault, Write, WrittenUnder,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::{History, ModelState, Operation};

const AT: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const PRINT: Print = Print::from_bytes([7; 16]);
const RECORD: RecordKey = RecordKey {
    kind: RecordKind::Verifications,
    print: PRINT,
};

fn nothing() -> Changeset {
    Changeset::new(ServiceId::default(), AT, Room::Stranger)
}

/// One use of a limit of two, told of by an event with this code.
fn charging(code: u32) -> Changeset {
    let mut changeset = nothing();
    changeset.charges.push(Charge {
        key: CounterKey {
            scope: 1,
            print: PRINT,
        },
        rule: Rule::Window {
            max: 2,
            per: Duration::from_secs(60),
        },
        cost: 1,
        mode: Mode::Charge,
        when_live: Vec::new(),
    });
    let seed = Seed::from_bytes([1; Seed::BYTES]);
    let mut event = Event::new(&seed, 0, AT, ServiceId::default(), EventKind::SendIntended);
    event.code = Some(code);
    changeset.events.push(event);
    changeset
}

fn swapping(expect: Expect, bytes: &[u8]) -> Changeset {
    let row = Row {
        version: 0,
        lifetime: Lifetime::Durable,
        live_until: None,
        due: None,
        under: WrittenUnder {
            fingerprint: KeyId::new(1),
            seal: None,
        },
        bytes: bytes.to_vec(),
    };
    let mut changeset = nothing();
    changeset.records.push(RecordChange {
        key: RECORD,
        expect,
        write: Write::Put(row),
    });
    changeset
}

fn reading() -> Changeset {
    let mut changeset = nothing();
    changeset.reads.push(RECORD);
    changeset
}

/// What a sound store answers to these in their order, each over before the next begins, and its outbox.
fn one_after_the_other(changesets: impl IntoIterator<Item = Changeset>) -> History {
    let mut state = ModelState::default();
    let answered = changesets
        .into_iter()
        .zip(0..)
        .map(|(changeset, place)| Operation {
            began: 2 * place,
            ended: Some(2 * place + 1),
            answer: state.apply_now(&changeset),
            changeset,
        });
    let operations = answered.collect();
    History {
        operations,
        events: state.events().values().cloned().collect(),
    }
}

fn is_explained(history: &History) -> bool {
    history.explain().is_ok()
}

fn in_doubt() -> StoreAnswer {
    StoreAnswer::Unknown(Detail::new(None, "lost"))
}

fn not_applied() -> StoreAnswer {
    StoreAnswer::NotApplied(StoreFault::unavailable("down"))
}

/// With this one asked from the beginning to the end.
fn beside(mut history: History, place: usize) -> History {
    let operation = &mut history.operations[place];
    (operation.began, operation.ended) = (0, Some(1_000));
    history
}

#[test]
fn what_came_one_after_the_other_is_explained() {
    let history = one_after_the_other([
        charging(1),
        charging(2),
        charging(3),
        swapping(Expect::Absent, b"a"),
    ]);
    assert!(matches!(history.operations[2].answer, StoreAnswer::Refused(_)));
    assert!(is_explained(&history));
}

#[test]
fn an_order_may_not_go_against_time() {
    let mut history = one_after_the_other([reading(), swapping(Expect::Absent, b"a")]);
    history.operations.swap(0, 1);
    let [written, read] = &mut history.operations[..] else {
        panic!("two")
    };
    (written.began, written.ended, read.began, read.ended) = (0, Some(1), 2, Some(3));
    assert!(
        !is_explained(&history),
        "the read came after the write and saw nothing"
    );
    assert!(
        is_explained(&beside(history, 1)),
        "at once, it may have come before"
    );
}

#[test]
fn no_limit_is_exceeded() {
    let mut history = one_after_the_other([charging(1), charging(2), charging(3)]);
    history.operations[2].answer = history.operations[1].answer.clone();
    history
        .events
        .push(history.operations[2].changeset.events[0].clone());
    let why = history.explain().unwrap_err().to_string();
    assert!(why.contains("as far as one goes: [0, 1]"), "{why}");
}

#[test]
fn a_denial_needs_what_may_have_been_charged() {
    let mut history = one_after_the_other([charging(1), charging(2), charging(3)]);
    history.operations[1].answer = not_applied();
    history.events.remove(1);
    assert!(
        !is_explained(&history),
        "one charge of two, and a third is denied"
    );
    history.operations[1].answer = in_doubt();
    assert!(is_explained(&history), "to charge and do nothing else is allowed");
    let event = history.operations[1].changeset.events[0].clone();
    history.events.push(event);
    assert!(is_explained(&history), "and so is to do all of it");
}

#[test]
fn what_was_not_applied_did_not_happen() {
    let mut history = one_after_the_other([swapping(Expect::Absent, b"a"), reading()]);
    history.operations[0].answer = not_applied();
    assert!(!is_explained(&history));
    history.operations[0].answer = in_doubt();
    assert!(is_explained(&history));
}

#[test]
fn what_is_in_doubt_may_happen_at_any_time_since_and_at_most_once() {
    let seen = one_after_the_other([reading(), swapping(Expect::Absent, b"a"), reading()]);
    let [before, mut written, after] = <[Operation; 3]>::try_from(seen.operations).unwrap();
    written.answer = in_doubt();
    let in_order = |answered: [&Operation; 4]| History {
        operations: answered
            .into_iter()
            .zip(0..)
            .map(|(operation, place)| Operation {
                began: 2 * place,
                ended: Some(2 * place + 1),
                ..operation.clone()
            })
            .collect(),
        events: Vec::new(),
    };
    assert!(is_explained(&in_order([&written, &before, &before, &after])));
    assert!(is_explained(&in_order([&written, &before, &before, &before])));
    assert!(
        !is_explained(&in_order([&written, &before, &after, &before])),
        "it was there, and is not any more"
    );
    assert!(
        !is_explained(&in_order([&before, &after, &written, &after])),
        "it was there before it was asked"
    );
}

#[test]
fn versions_are_told_apart_and_their_numbers_are_no_matter() {
    let written = |version| swapping(Expect::At(version), b"b");
    let mut history = one_after_the_other([swapping(Expect::Absent, b"a"), written(1), reading()]);
    let with_versions = |history: &mut History, versions: [u64; 3]| {
        for (operation, version) in history.operations.iter_mut().zip(versions) {
            let StoreAnswer::Applied(seen) = &mut operation.answer else {
                panic!("applied")
            };
            for row in seen.records.iter_mut().filter_map(|(_, row)| row.as_mut()) {
                row.version = version;
            }
        }
        history.operations[1].changeset.records[0].expect = Expect::At(versions[0]);
    };
    for (versions, explained) in [
        ([70, 31, 31], true),
        ([70, 70, 70], false),
        ([70, 31, 32], false),
        ([70, 31, 70], false),
    ] {
        with_versions(&mut history, versions);
        assert_eq!(is_explained(&history), explained, "{versions:?}");
    }
}

#[test]
fn the_outbox_has_each_event_once_and_in_order() {
    let history = one_after_the_other([charging(1), charging(2)]);
    let with = |places: &[usize]| History {
        events: places
            .iter()
            .map(|place| history.events[*place].clone())
            .collect(),
        ..history.clone()
    };
    assert!(is_explained(&with(&[0, 1])));
    for places in [&[1, 0][..], &[0], &[0, 1, 1], &[]] {
        assert!(!is_explained(&with(places)), "{places:?}");
    }
}

//! Every kind of fault, from the situation that it is there for. Nothing is sent because of one.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;

use verify_core::command::{EraseRequest, SendRequest, StatusRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, EraseAnswer, Fault, StatusAnswer};
use verify_core::port::{DispatchRequest, Dispatched, RejectionKind};
use verify_core::store::{
    Changeset, Expect, RecordChange, RecordKey, RecordKind, Room, Row, StoreAnswer, Write,
};
use verify_core::vocabulary::{Channel, ServiceId};
use verify_engine::{Deliverer, Engine, EngineBuilder};
use verify_lab::explore::{Kinds, World};
use verify_memstore::{Capacity, MemStore};
use verify_testkit::{ManualClock, ScriptedProvider};
use verify_tests::{Asks, BOTH, TO, check, code, record, send, sent, world};

#[test]
fn a_store_that_is_down_or_does_not_answer_is_unavailable() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let id = sent(world.ask(send())).id;
        let before = world.store.clone();
        world.set_store_down(true);
        let down = Err(Fault::StoreUnavailable);
        assert_eq!(world.run(send()).0.answer, down);
        assert_eq!(world.run(check(&code(&world))).0.answer, down);
        let outcome = world.run(StatusRequest::of(id)).0;
        assert_eq!(outcome.answer, down);
        assert!(outcome.explanation.store.is_some(), "the store's own words");
        assert_eq!((&world.store, world.dispatches), (&before, 1));
    }
}

fn engine(network: EngineBuilder) -> Engine {
    let keyed = network.keys(Keys::generate(&[3; 32]));
    keyed.without_client_ip().build().unwrap()
}

fn network(answers: impl Fn() -> Dispatched + Send + Sync + 'static) -> EngineBuilder {
    Engine::builder().provider(Deliverer::new(
        "own",
        [Channel::Sms],
        move |_: DispatchRequest| {
            let answer = answers();
            async move { answer }
        },
    ))
}

#[tokio::test]
async fn a_store_without_room_is_full_and_what_is_there_still_counts() {
    let small = MemStore::with_capacity(Capacity {
        records: 1,
        reserved_for_known_percent: 0,
        ..Capacity::default()
    });
    let accepts = || Dispatched::Accepted { upstream: None };
    let engine = engine(network(accepts).store(small));
    let first = engine.send(send()).await.answer.unwrap();
    let mut full = 0;
    for number in 0..200 {
        let to = format!("+1202555{number:04}");
        if let Err(fault) = engine.send(SendRequest::to(to)).await.answer {
            assert_eq!(fault, Fault::StoreFull);
            full += 1;
        }
    }
    assert!(full > 0);
    let seen = engine.status(StatusRequest::of(sent(first).id)).await;
    assert!(
        matches!(seen.answer, Ok(StatusAnswer::Found(_))),
        "{:?}",
        seen.answer
    );
}

/// A record that another version has written, as far as this one can tell.
fn unreadable(kinds: Kinds) -> (World, String) {
    let mut world = world(kinds);
    let id = sent(world.ask(send())).id;
    let (key, _) = record(&world).unwrap();
    spoil(&mut world, key);
    (world, id)
}

fn spoil(world: &mut World, key: RecordKey) {
    let row = world
        .store
        .records()
        .get(&ServiceId::default(), &key)
        .unwrap()
        .clone();
    let mut changeset = Changeset::new(ServiceId::default(), world.now, Room::Known);
    changeset.records.push(RecordChange {
        key,
        expect: Expect::At(row.version),
        write: Write::Put(Row {
            bytes: vec![0xff; 40],
            ..row
        }),
    });
    assert!(matches!(world.apply(&changeset), StoreAnswer::Applied(_)));
}

#[test]
fn notes_that_cannot_be_read_are_not_said_to_be_erased() {
    let mut world = world(Kinds::Own);
    world.rejecting.insert("own".into(), RejectionKind::OptedOut);
    world.run(send());
    let mut keys = world.store.records().keys().map(|(_, key)| *key);
    let notes = keys.find(|key| key.kind == RecordKind::Notes).unwrap();
    drop(keys);
    spoil(&mut world, notes);
    let before = world.store.clone();
    assert_eq!(world.run(EraseRequest::at(TO)).0.answer, Err(Fault::StoreCorrupt));
    assert_eq!(world.store, before);
}

/// The code was made by a provider that is not there after a change of the configuration: nobody else can compare it.
#[tokio::test]
async fn a_code_whose_maker_is_not_registered_is_misconfigured_and_nobody_guessed() {
    let (store, clock) = (Arc::new(MemStore::new()), Arc::new(ManualClock::default()));
    let on = |provider: ScriptedProvider| {
        let builder = Engine::builder().store(Arc::clone(&store)).provider(provider);
        engine(builder.clock(Arc::clone(&clock)))
    };
    let before = on(ScriptedProvider::managed("old", "all", clock.clone()));
    sent(before.send(send()).await.answer.unwrap());
    let after = on(ScriptedProvider::own("new", clock.clone()));
    // The limit on checks counts these; the failures do not, or the wait after one would stand against the next.
    for _ in 0..3 {
        let outcome = after.check(check("000000")).await;
        assert_eq!(outcome.answer, Err(Fault::Misconfigured));
    }
    let wrong = before.check(check("000000")).await.answer.unwrap();
    assert!(matches!(wrong, CheckAnswer::WrongCode(_)), "{wrong:?}");
}

#[test]
fn what_cannot_be_read_is_corrupt_and_goes_when_it_is_erased() {
    for kinds in BOTH {
        let (mut world, id) = unreadable(kinds);
        let corrupt = Err(Fault::StoreCorrupt);
        assert_eq!(world.run(send()).0.answer, corrupt);
        assert_eq!(world.run(check(&code(&world))).0.answer, corrupt);
        assert_eq!(world.run(StatusRequest::of(id)).0.answer, corrupt);
        assert_eq!(world.dispatches, 1);
        assert!(matches!(
            world.ask(EraseRequest::at(TO)),
            EraseAnswer::Erased { .. }
        ));
        assert!(record(&world).is_none());
    }
}

#[tokio::test]
async fn a_port_that_panics_is_a_defect() {
    let engine = engine(network(|| panic!("a defect of this provider")).store(MemStore::new()));
    assert_eq!(engine.send(send()).await.answer, Err(Fault::Defect));
}

#[test]
fn the_answer_of_another_command_is_a_defect() {
    let mut world = world(Kinds::Own);
    let outcome = world.run(send()).0.of::<StatusAnswer>();
    assert_eq!(outcome.answer, Err(Fault::Defect));
}

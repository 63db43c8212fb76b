//! A batch answers as its members would one after the other, with a fault at each step.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use verify_batch::{Lanes, Limits, Turns};
use verify_core::event::Event;
use verify_core::limit::Counter;
use verify_core::store::{
    Changeset, Claim, ClaimKey, ClaimKind, CounterKey, Expect, Mode, Origin, RecordKey, Room, Row,
    StoreAnswer, Write, kept,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;
use verify_testkit::ModelState;

use crate::changesets::*;
use crate::memory::{Asking, How, Memory, Step};

/// So few keys that everything meets everything.
const KEYS: u8 = 3;

#[derive(Debug, Clone)]
struct Round {
    changesets: Vec<Changeset>,
    fault: Option<(Step, How)>,
    asking: Asking,
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => any::<u8>().prop_map(|byte| Write::Put(row(byte))),
        1 => Just(Write::Delete),
        1 => Just(Write::Keep),
    ]
}

prop_compose! {
    fn changeset(services: u8)(
        service in 0..services,
        charges in prop::collection::vec(
            (0..KEYS, 1..=MOST + 1, select(vec![Mode::Charge, Mode::Charge, Mode::Force, Mode::Probe])), 0..3,
        ),
        record in prop::option::of((0..KEYS, prop_oneof![Just(Expect::Absent), (1u64..9).prop_map(Expect::At)], write())),
        claims in prop::collection::vec(0..KEYS, 0..2),
        unclaim in prop::option::of(0..KEYS),
        read in prop::option::of(0..KEYS),
        events in 0u8..3,
        alert in prop::option::of(0..KEYS),
    ) -> Changeset {
        let mut changeset = change(if service == 0 { one() } else { two() });
        changeset.charges = charges.into_iter().map(|(key, cost, mode)| charge(key, cost, mode)).collect();
        changeset.records.extend(record.map(|(key, expect, write)| putting(key, expect, write)));
        changeset.claims = claims.into_iter().map(|key| marker(ClaimKind::Send, key)).collect();
        changeset.unclaim.extend(unclaim.map(|key| claim(ClaimKind::Send, key)));
        changeset.reads.extend(read.map(crate::changesets::record));
        let changeset = (0..events).fold(changeset, telling);
        alert.into_iter().fold(changeset, alerting)
    }
}

fn how() -> impl Strategy<Value = How> {
    select(vec![How::Fails, How::Panics, How::Hangs])
}

prop_compose! {
    /// All of one room: known callers have a transaction to themselves.
    fn round(services: u8)(
        mut changesets in prop::collection::vec(changeset(services), 1..8),
        room in select(vec![Room::Stranger, Room::Known]),
        fault in prop::option::weighted(0.7, (select(Step::ALL.to_vec()), how())),
        asking in select(vec![Asking::IsAnswered, Asking::IsAnswered, Asking::Fails, Asking::Hangs]),
    ) -> Round {
        for changeset in &mut changesets {
            changeset.room = room;
        }
        Round { changesets, fault, asking }
    }
}

/// What is there, read from its kept form or out of the model.
#[derive(Debug, Default, PartialEq)]
struct Content {
    counters: BTreeMap<CounterKey, (Counter, Timestamp)>,
    records: BTreeMap<RecordKey, Row>,
    claims: BTreeMap<ClaimKey, Claim>,
    events: Vec<Event>,
}

impl Content {
    fn of_model(model: &ModelState) -> Self {
        let counters = model.counters().iter();
        Self {
            counters: counters
                .map(|((_, key), it)| (*key, (it.state.clone(), it.expires_at)))
                .collect(),
            records: model
                .records()
                .iter()
                .map(|((_, key), row)| (*key, row.clone()))
                .collect(),
            claims: model
                .claims()
                .iter()
                .map(|((_, key), it)| (*key, it.clone()))
                .collect(),
            events: model.events().values().cloned().collect(),
        }
    }

    /// Of a service; its events have each place from the first to the one that stands in the lane.
    fn of_memory(memory: &Memory, service: &ServiceId) -> Self {
        let all = memory.kept();
        let mut content = Self::default();
        for ((_, key), (bytes, ends)) in all.counters.iter().filter(|((of, _), _)| of == service) {
            let read = kept::read_counter(bytes).unwrap();
            assert_eq!(read.1, *ends);
            content.counters.insert(*key, read);
        }
        for ((_, key), bytes) in all.records.iter().filter(|((of, _), _)| of == service) {
            content.records.insert(*key, kept::read_row(bytes).unwrap());
        }
        for ((_, key), (bytes, _)) in all.claims.iter().filter(|((of, _), _)| of == service) {
            content
                .claims
                .insert(*key, kept::read_claim(*key, bytes).unwrap());
        }
        let (mut places, mut bytes_of_all) = (Vec::new(), 0);
        for ((_, place), bytes) in all.events.iter().filter(|((of, _), _)| of == service) {
            places.push(*place);
            bytes_of_all += bytes.len() as u64;
            content.events.push(kept::read_event(bytes).unwrap());
        }
        let lane = all.lanes.get(service).copied().unwrap_or_default();
        assert!(places.iter().copied().eq(1..=lane.seq), "{places:?}, {lane:?}");
        assert_eq!((lane.events, lane.bytes), (lane.seq, bytes_of_all));
        content
    }
}

/// The order in which a transaction decides those of a service: as they came.
fn in_order(changesets: &[Changeset], service: &ServiceId) -> Vec<usize> {
    let each = changesets.iter().enumerate();
    each.filter(|(_, it)| it.service == *service)
        .map(|(nth, _)| nth)
        .collect()
}

/// What becomes of a transaction, and what those who wait can know of it.
#[derive(Debug, PartialEq)]
enum End {
    Applied,
    NotApplied,
    InDoubt { applied: bool },
}

impl Round {
    /// `writes`: whether anything is to be written.
    fn end(&self, writes: bool) -> End {
        let Some((step, how)) = self.fault else {
            return End::Applied;
        };
        // What has nothing to write is over with its decision.
        if !writes && step > Step::Decided {
            return End::Applied;
        }
        let applied = step == Step::Committed;
        let is_decided = step >= Step::Decided && writes;
        let is_lost = is_decided && (how != How::Fails || step >= Step::Commit);
        match (is_lost, self.asking, applied) {
            (true, Asking::Fails | Asking::Hangs | Asking::Panics, _) => End::InDoubt { applied },
            (_, _, true) => End::Applied,
            (_, _, false) => End::NotApplied,
        }
    }
}

fn without_origin(mut answer: StoreAnswer) -> StoreAnswer {
    if let StoreAnswer::Applied(seen) | StoreAnswer::Refused(seen) = &mut answer {
        seen.origin = Origin::default();
    }
    answer
}

/// Compares the answers to the changesets of some services, which were one transaction, with the model's.
fn compare(
    round: &Round,
    answers: &[StoreAnswer],
    models: &mut BTreeMap<ServiceId, ModelState>,
    services: &[ServiceId],
) {
    let mut after = models.clone();
    let mut expected = BTreeMap::new();
    for service in services {
        let model = after.entry(service.clone()).or_default();
        for nth in in_order(&round.changesets, service) {
            let before = model.clone();
            let answer = without_origin(model.apply_now(&round.changesets[nth]));
            expected.insert(nth, (answer, before != *model));
        }
    }
    // To remove what is not there is written too, and changes nothing.
    let removes = |it: &Changeset| {
        !it.unclaim.is_empty() || it.records.iter().any(|change| change.write == Write::Delete)
    };
    let writes = |nth: &usize| is_applied(&expected[nth].0) && removes(&round.changesets[*nth]);
    let any_writes = expected.iter().any(|(nth, (_, changes))| *changes || writes(nth));
    let end = round.end(any_writes);
    for (nth, (answer, changes)) in &expected {
        let got = without_origin(answers[*nth].clone());
        match end {
            End::Applied => assert_eq!(got, *answer, "{end:?}"),
            End::NotApplied => assert!(is_unavailable(&got), "{end:?}: {got:?}"),
            End::InDoubt { .. } if *changes => assert!(is_unknown(&got), "{end:?}: {got:?}"),
            End::InDoubt { .. } if writes(nth) => {}
            End::InDoubt { .. } => assert!(is_unavailable(&got), "{end:?}: {got:?}"),
        }
    }
    if matches!(end, End::Applied | End::InDoubt { applied: true }) {
        *models = after;
    }
}

async fn run(rounds: Vec<Round>, turns: Turns) {
    let memory = Memory::default();
    let lanes = Lanes::new(memory.clone(), Limits::of(turns));
    let mut models = BTreeMap::new();
    for round in rounds {
        let mut services: Vec<ServiceId> = round.changesets.iter().map(|it| it.service.clone()).collect();
        services.sort();
        services.dedup();
        let apart = match turns {
            Turns::Together => 1,
            Turns::Apart { .. } => services.len(),
        };
        // As many go before, to be waited for.
        memory.script(vec![None; apart]);
        memory.script(vec![round.fault; apart]);
        memory.answers(vec![round.asking; apart]);
        let answers = decided_together(&lanes, &round.changesets).await;
        match turns {
            Turns::Together => compare(&round, &answers, &mut models, &services),
            Turns::Apart { .. } => {
                for service in &services {
                    compare(&round, &answers, &mut models, std::slice::from_ref(service));
                }
            }
        }
        memory.forget_script();
        for service in &services {
            let model = models.entry(service.clone()).or_default();
            assert_eq!(Content::of_memory(&memory, service), Content::of_model(model));
        }
    }
}

fn check(services: u8, turns: Turns) {
    let mut runner = TestRunner::new(ProptestConfig::with_cases(300));
    let rounds = prop::collection::vec(round(services), 1..6);
    let outcome = runner.run(&rounds, |rounds| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(rounds, turns));
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
}

#[test]
fn i146_a_batch_answers_as_its_members_would_one_after_the_other_whatever_fails() {
    check(1, Turns::Together);
}

#[test]
fn i146_so_does_a_batch_of_two_services() {
    check(2, Turns::Together);
}

#[test]
fn i146_so_do_two_batches_at_a_time() {
    check(2, Turns::Apart { at_once: 2 });
}

//! How much waits, for how long, and whose turn it is.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use verify_batch::{Lanes, Limits, Turns};
use verify_core::store::{Changeset, StoreAnswer, Write};
use verify_core::vocabulary::ServiceId;

use crate::changesets::*;
use crate::memory::{Memory, Step};

fn service(number: usize) -> ServiceId {
    ServiceId::new(&format!("s{number}")).unwrap()
}

/// How many of these wait; the others were turned away at once.
async fn waiting(asked: &[JoinHandle<StoreAnswer>]) -> usize {
    settle().await;
    asked.iter().filter(|it| !it.is_finished()).count()
}

fn asks_each<'a>(
    lanes: &Lanes<Memory>,
    changesets: impl IntoIterator<Item = &'a Changeset>,
) -> Vec<JoinHandle<StoreAnswer>> {
    changesets.into_iter().map(|it| asks(lanes, it)).collect()
}

#[tokio::test(start_paused = true)]
async fn i146_a_lone_command_begins_at_once() {
    let memory = Memory::default();
    let began = Instant::now();
    let answer = lanes(&memory).apply(&charging(one(), 1), Duration::ZERO).await;
    assert!(is_applied(&answer), "{answer:?}");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn i146_a_tenth_of_the_queue_is_for_known_callers_and_a_quarter_for_one_service_s_strangers() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    limits.waiting = 40;
    let lanes = Lanes::new(memory.clone(), limits);
    let held = memory.hold(Step::Begin).await;
    let mut asked = asks_each(&lanes, [&change(service(0))]);
    assert_eq!(waiting(&asked).await, 1);
    // That one is under way. Of a service ten strangers wait, of all together thirty-six.
    let of_one = asks_each(&lanes, &vec![charging(service(1), 1); 12]);
    assert_eq!(waiting(&of_one).await, 10);
    let of_others: Vec<_> = (0..60).map(|nth| charging(service(2 + nth % 6), 1)).collect();
    let of_others = asks_each(&lanes, &of_others);
    assert_eq!(waiting(&of_others).await, 26);
    let of_known = asks_each(&lanes, &vec![known(charging(service(1), 2)); 6]);
    assert_eq!(waiting(&of_known).await, 4);
    drop(held);
    asked.extend(of_one.into_iter().chain(of_others).chain(of_known));
    let answers = all(asked).await;
    let (not_begun, decided): (Vec<_>, Vec<_>) = answers.iter().partition(|it| is_unavailable(it));
    assert_eq!((not_begun.len(), decided.len()), (2 + 34 + 2, 1 + 40));
    let answer = lanes.apply(&charging(service(8), 1), WITHIN).await;
    assert!(is_applied(&answer), "the queue is empty again: {answer:?}");
}

#[tokio::test(start_paused = true)]
async fn i146_one_service_s_known_callers_fill_half_of_the_queue_at_most() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    limits.waiting = 40;
    let lanes = Lanes::new(memory.clone(), limits);
    let _held = memory.hold(Step::Begin).await;
    let under_way = asks_each(&lanes, [&change(one())]);
    assert_eq!(waiting(&under_way).await, 1);
    let of_one = asks_each(&lanes, &vec![known(charging(one(), 1)); 30]);
    assert_eq!(waiting(&of_one).await, 20);
    let of_two = asks_each(&lanes, [&charging(two(), 1), &known(charging(two(), 1))]);
    assert_eq!(waiting(&of_two).await, 2);
}

#[tokio::test(start_paused = true)]
async fn i146_the_queue_is_bounded_in_bytes() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    limits.waiting_bytes = 100_000;
    let lanes = Lanes::new(memory.clone(), limits);
    let _held = memory.hold(Step::Begin).await;
    let under_way = asks_each(&lanes, [&change(one())]);
    assert_eq!(waiting(&under_way).await, 1);
    let large = |service| {
        let mut changeset = creating(service, 1);
        if let Write::Put(row) = &mut changeset.records[0].write {
            row.bytes = vec![0; 10_000];
        }
        changeset
    };
    // A little more than ten thousand bytes each: two in a quarter, eight in nine tenths, nine in all.
    let of_one = asks_each(&lanes, &vec![large(one()); 4]);
    assert_eq!(waiting(&of_one).await, 2);
    let of_others: Vec<_> = (0..10).map(|nth| large(service(nth))).collect();
    let of_others = asks_each(&lanes, &of_others);
    assert_eq!(waiting(&of_others).await, 6);
    let of_known = asks_each(&lanes, &vec![known(large(one())); 2]);
    assert_eq!(waiting(&of_known).await, 1);
    let small = asks_each(&lanes, [&known(change(one()))]);
    assert_eq!(waiting(&small).await, 1);
}

#[tokio::test(start_paused = true)]
async fn i146_what_is_not_begun_in_its_time_is_answered_then_and_does_not_happen() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    (limits.waiting, limits.waiting_bytes) = (8, 4_000);
    limits.transaction = Duration::from_secs(60);
    let lanes = Lanes::new(memory.clone(), limits);
    let held = memory.hold(Step::Begin).await;
    let under_way = asks(&lanes, &change(one()));
    settle().await;
    let began = Instant::now();
    let late = asks_within(&lanes, &charging(one(), 1), Duration::from_secs(1));
    settle().await;
    let full = lanes.apply(&charging(one(), 1), WITHIN).await;
    assert!(
        is_unavailable(&full) && began.elapsed() == Duration::ZERO,
        "{full:?}"
    );
    assert!(is_unavailable(&late.await.unwrap()));
    assert_eq!(began.elapsed().as_secs(), 1, "while another one is under way");
    // As often as would fill the queue, if their room were not free again.
    for _ in 0..10 {
        let late = lanes.apply(&charging(one(), 1), Duration::from_secs(1)).await;
        assert!(is_unavailable(&late), "{late:?}");
    }
    assert_eq!(began.elapsed().as_secs(), 11);
    let in_its_place = asks(&lanes, &charging(one(), 2));
    settle().await;
    drop(held);
    assert!(is_applied(&under_way.await.unwrap()));
    assert!(is_applied(&in_its_place.await.unwrap()), "its room is free");
    let charged = [1, 2].map(|key| charged(&memory, &one(), key));
    assert_eq!(charged, [0, 1]);
    assert_eq!(memory.seen().transactions.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn i146_known_callers_go_first() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    limits.together = 2;
    let lanes = Lanes::new(memory.clone(), limits);
    let tells = |nth| telling(change(one()), nth);
    let asked = [tells(1), tells(2), known(tells(3)), tells(4), known(tells(5))];
    assert!(decided_together(&lanes, &asked).await.iter().all(is_applied));
    assert_eq!(told(&memory, &one()), [3, 5, 1, 2, 4]);
    assert_eq!(memory.seen().transactions.len(), 1 + 3);
}

/// How many transactions six strangers and so many known callers of a service take, with so many in each.
async fn transactions_of(together: usize, of_known: usize) -> usize {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Apart { at_once: 1 });
    limits.together = together;
    let lanes = Lanes::new(memory.clone(), limits);
    let mut asked = vec![change(one()); 6];
    asked.extend(vec![known(change(one())); of_known]);
    assert!(decided_together(&lanes, &asked).await.iter().all(is_applied));
    memory.seen().transactions.len() - 1
}

#[tokio::test(start_paused = true)]
async fn i146_known_callers_wait_for_no_strangers_in_their_own_transaction() {
    assert_eq!(transactions_of(8, 2).await, 2);
    // Who fill one by themselves wait for each other anyway: 4, 4, the last one alone, 4 strangers, 2.
    assert_eq!(transactions_of(4, 9).await, 5);
}

/// Which transactions there were while one service is flooded and another asks once.
async fn beside_a_flood(turns: Turns) -> Vec<Vec<ServiceId>> {
    let memory = Memory::default();
    let mut limits = Limits::of(turns);
    limits.together = 4;
    let lanes = Lanes::new(memory.clone(), limits);
    let held = memory.hold(Step::Begin).await;
    let under_way = asks(&lanes, &change(one()));
    settle().await;
    let mut asked = asks_each(&lanes, &vec![known(charging(one(), 1)); 50]);
    asked.extend(asks_each(&lanes, &vec![charging(one(), 2); 50]));
    settle().await;
    asked.extend(asks_each(&lanes, [&charging(two(), 1)]));
    settle().await;
    drop(held);
    under_way.await.unwrap();
    all(asked).await;
    memory.seen().transactions
}

#[tokio::test(start_paused = true)]
async fn i146_a_flood_of_one_service_keeps_no_other_from_the_next_transaction() {
    let transactions = beside_a_flood(Turns::Together).await;
    assert_eq!(transactions[..3], [vec![one()], vec![one(), two()], vec![one()]]);
    let transactions = beside_a_flood(Turns::Apart { at_once: 1 }).await;
    assert_eq!(transactions[..3], [vec![one()], vec![two()], vec![one()]]);
}

#[tokio::test(start_paused = true)]
async fn i146_more_services_than_a_transaction_takes_have_their_turns() {
    let memory = Memory::default();
    let mut limits = Limits::of(Turns::Together);
    limits.together = 2;
    let lanes = Lanes::new(memory.clone(), limits);
    let asked: Vec<_> = (0..3)
        .flat_map(|_| (0..4).map(|nth| charging(service(nth), 1)))
        .collect();
    assert!(decided_together(&lanes, &asked).await.iter().all(is_applied));
    let pair = |a, b| vec![service(a), service(b)];
    // The one that goes before them is of the first service, so its turn comes last.
    let (some, others) = (pair(1, 2), pair(0, 3));
    let expected = [&some, &others, &some, &others, &some, &others];
    assert!(memory.seen().transactions[1..].iter().eq(expected));
}

#[tokio::test(start_paused = true)]
async fn i146_services_apart_are_decided_at_once_on_as_many_connections_as_there_are() {
    let memory = Memory::default();
    let lanes = Lanes::new(memory.clone(), Limits::of(Turns::Apart { at_once: 2 }));
    let held = memory.hold(Step::Begin).await;
    let asked: Vec<_> = (0..3).map(|nth| charging(service(nth), 1)).collect();
    let asked = asks_each(&lanes, &asked);
    settle().await;
    assert_eq!(memory.seen().transactions, [vec![service(0)], vec![service(1)]]);
    drop(held);
    assert!(all(asked).await.iter().all(is_applied));
    assert_eq!(memory.seen().transactions.len(), 3);
}

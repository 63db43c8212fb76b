//! A store that came up without what it held: what security and money rest on waits, what ends or repairs goes on, and what
//! was issued before is worth nothing any more.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{
    CancelRequest, Command, EraseRequest, RedeemRequest, StatusRequest, TickRequest, UnlockRequest,
};
use verify_core::event::EventKind;
use verify_core::flow::drive;
use verify_core::outcome::{
    CancelAnswer, EraseAnswer, Fault, Outcome, RedeemAnswer, RefusalCode, StatusAnswer, TickAnswer,
    UnlockAnswer,
};
use verify_core::policy::PolicySet;
use verify_core::store::Origin;
use verify_core::time::SKEW;
use verify_lab::explore::{Kinds, World};
use verify_testkit::ModelState;
use verify_tests::{
    Asks, BOTH, TO, approved, check, code, events, policy, record, refused, send, sent, world,
};

const HOUR: Duration = Duration::from_secs(3_600);
const SECOND: Duration = Duration::from_secs(1);

/// A new epoch, made now.
fn renewed(world: &mut World, accepted: bool) {
    let made = world.now;
    world.store.set_origin(Origin {
        made,
        accepted,
        ..Origin::default()
    });
}

/// The store comes up empty, and nobody expected that.
fn lose(world: &mut World) {
    world.store = ModelState::default();
    renewed(world, false);
}

fn redeem(proof: &str) -> RedeemRequest {
    RedeemRequest::of(proof, TO)
}

/// One look at the store, nothing written, and the wait.
#[track_caller]
fn cools(world: &mut World, request: impl Into<Command>, wait: Duration) {
    let before = world.store.clone();
    let (outcome, trips) = world.run(request);
    assert_eq!(outcome.answer, Err(Fault::StoreCools { wait }));
    let words = outcome.explanation.store.expect("for operators");
    assert!(words.message().contains("not accepted"), "{}", words.message());
    assert_eq!(trips, 1);
    assert_eq!(world.store, before, "nothing is charged, used up or told");
}

/// A proof, and another verification that is pending.
fn proven(kinds: Kinds) -> (World, String) {
    let mut world = world(kinds);
    sent(world.ask(send()));
    let right = check(&code(&world));
    let proof = approved(world.ask(right)).proof;
    world.advance(Duration::from_secs(60));
    (world, proof)
}

#[test]
fn i62_sends_checks_and_redeems_wait_and_nothing_is_charged() {
    for kinds in BOTH {
        let (mut world, proof) = proven(kinds);
        lose(&mut world);
        let wait = HOUR + SKEW;
        cools(&mut world, send(), wait);
        cools(&mut world, check("123456"), wait);
        cools(&mut world, redeem(&proof), wait);
        world.advance(wait - SECOND);
        cools(&mut world, send(), SECOND);
        world.now = world.now - HOUR;
        cools(&mut world, send(), HOUR + SECOND);
        world.advance(HOUR + SECOND);
        sent(world.ask(send()));
        let right = check(&code(&world));
        let proof = approved(world.ask(right)).proof;
        let redeemed = world.ask(redeem(&proof));
        assert!(matches!(redeemed, RedeemAnswer::Redeemed(_)), "{redeemed:?}");
    }
}

/// A copy from before, under an epoch that nobody accepted: everything is there, and may be older than what was.
#[test]
fn i62_what_ends_or_repairs_goes_on_meanwhile() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let id = sent(world.ask(send())).id;
        renewed(&mut world, false);
        let right = check(&code(&world));
        cools(&mut world, right, HOUR + SKEW);
        let seen = world.ask(StatusRequest::of(&*id));
        assert!(matches!(seen, StatusAnswer::Found(_)), "{seen:?}");
        let unlocked = world.ask(UnlockRequest::at(TO));
        assert!(matches!(unlocked, UnlockAnswer::Unlocked { .. }), "{unlocked:?}");
        let canceled = world.ask(CancelRequest::of(&*id));
        assert!(matches!(canceled, CancelAnswer::Canceled(_)), "{canceled:?}");
        let (key, _) = record(&world).unwrap();
        assert_eq!(world.ask(TickRequest::of(key)), TickAnswer { changed: false });
        let erased = world.ask(EraseRequest::at(TO));
        assert!(
            matches!(erased, EraseAnswer::Erased { verifications: 1 }),
            "{erased:?}"
        );
    }
}

#[test]
fn i62_an_operator_s_word_ends_the_wait_at_once() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        renewed(&mut world, false);
        let right = check(&code(&world));
        cools(&mut world, right.clone(), HOUR + SKEW);
        renewed(&mut world, true);
        approved(world.ask(right));
    }
}

#[test]
fn i62_proofs_from_before_are_refused_for_good_at_one_trip() {
    for kinds in BOTH {
        for accepted in [true, false] {
            let (mut world, proof) = proven(kinds);
            world.use_policies(looks_back_for_days());
            lose(&mut world);
            renewed(&mut world, accepted);
            let before = world.store.clone();
            let (answer, trips) = world.ask_counted(redeem(&proof));
            assert_eq!((refused(answer).code, trips), (RefusalCode::NotFound, 1));
            assert_eq!(world.store, before, "no event says that it was redeemed");
        }
    }
}

#[test]
fn i62_an_approval_is_not_written_when_the_epoch_changes_under_a_check() {
    let mut world = world(Kinds::Own);
    sent(world.ask(send()));
    let right = check(&code(&world));
    let counted = world.begin(right, "store");
    let approving = world.perform(counted);
    assert_eq!(approving.kind(), "store");
    renewed(&mut world, false);
    let outcome = drive(approving, &mut world);
    let wait = HOUR + SKEW;
    assert_eq!(outcome.answer, Err(Fault::StoreCools { wait }));
    assert_eq!(events(&world, EventKind::Approved), 0);
}

/// Rules that look back for longer than anybody is made to wait.
fn looks_back_for_days() -> PolicySet {
    let mut set = policy("version = 1\n[lockout]\nwaits = { 5 = \"24h\" }\n");
    let rules = Arc::make_mut(&mut set.default);
    rules.limits.retain(|limit| limit.per > HOUR);
    set
}

#[test]
fn i62_what_is_looked_back_on_for_longer_than_an_hour_is_forgotten() {
    let mut world = World::new(looks_back_for_days(), Kinds::Own);
    lose(&mut world);
    sent(world.ask(send()));
}

/// Asks as a command does whose answers of the store are lost from its `nth` on; how often the store was asked after that.
fn lost_from(world: &mut World, request: impl Into<Command>, nth: usize) -> (Outcome, usize) {
    let (mut step, mut asked) = (world.start(request), 0);
    loop {
        step = match step.over() {
            Ok(outcome) => return (*outcome, asked - nth),
            Err(step) if step.kind() == "store" => {
                asked += 1;
                match asked > nth {
                    true => step.lost(world.now),
                    false => world.perform(step),
                }
            }
            Err(step) => world.perform(step),
        };
    }
}

#[test]
fn an_answer_that_is_lost_is_asked_about_once_more() {
    let down = Err(Fault::StoreUnavailable);
    let (world, proof) = proven(Kinds::Own);
    let lost = |outcome: (Outcome, usize)| (outcome.0.answer, outcome.1);
    assert_eq!(lost(lost_from(&mut world.clone(), send(), 0)), (down.clone(), 2));
    assert_eq!(
        lost(lost_from(&mut world.clone(), redeem(&proof), 0)),
        (down.clone(), 2)
    );
    // Where a record is there, a send is recorded at its second trip.
    let (settled, asked) = lost_from(&mut world.clone(), send(), 2);
    assert_eq!((settled.as_str(), asked), ("sent", 2), "a repair writes it down");
    let mut pending = world.clone();
    let id = sent(pending.ask(send())).id;
    let cancel = || CancelRequest::of(&*id);
    // The look is not asked for again, and the end once.
    assert_eq!(
        lost(lost_from(&mut pending.clone(), cancel(), 0)),
        (down.clone(), 1)
    );
    assert_eq!(
        lost(lost_from(&mut pending.clone(), cancel(), 1)),
        (down.clone(), 2)
    );
    let right = || check(&code(&pending));
    assert_eq!(
        lost(lost_from(&mut pending.clone(), right(), 0)),
        (down.clone(), 1),
        "counted, perhaps"
    );
    assert_eq!(lost(lost_from(&mut pending.clone(), right(), 1)), (down, 2));
}

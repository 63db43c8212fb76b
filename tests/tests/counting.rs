//! Promises about counting (I-03 to I-14), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use verify_core::command::{CancelRequest, CheckRequest, Command, Expected, Person, SendRequest};
use verify_core::flow::{NotBegun, Step, drive};
use verify_core::outcome::{Answer, CheckAnswer, Fault, RefusalCode, SendAnswer};
use verify_core::port::{Compared, Detail, End};
use verify_core::store::{Lifetime, RecordKind, StoreAnswer, StoreFault};
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    Asks, BOTH, NO_FIRST_WAIT, TO, approved, check, code, failures, judged, policy, refused, send, sent,
    world, wrong,
};

#[test]
fn i01_exactly_five_guesses_without_the_first_wait() {
    for kinds in BOTH {
        let mut world = World::new(policy(NO_FIRST_WAIT), kinds);
        sent(world.ask(send()));
        let bad = wrong(&code(&world));
        let answers: Vec<CheckAnswer> = (0..20).map(|_| world.ask(check(&bad))).collect();
        let compared = answers
            .iter()
            .filter(|answer| matches!(answer, CheckAnswer::WrongCode(_)))
            .count();
        assert_eq!(compared, 5);
        assert_eq!(failures(&world), 5);
        assert!(matches!(&answers[4], CheckAnswer::WrongCode(last) if last.checks_left == Some(0)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn i03_nothing_but_a_success_lowers_the_failures(acts in prop::collection::vec(0u8..7, 1..50)) {
        for kinds in BOTH {
            let mut world = world(kinds);
            let mut id = String::new();
            let mut counted = 0;
            for act in &acts {
                let command: Command = match act {
                    0 => send().into(),
                    1 => send().by(Channel::Call).into(),
                    2 => check("000000").into(),
                    3 if !id.is_empty() => CancelRequest::of(&id).into(),
                    4 => SendRequest::to(Person::at(TO).purpose(Purpose::Recovery)).into(),
                    _ => { world.advance(Duration::from_secs(31)); continue }
                };
                let answer = world.run(command).0.answer.unwrap();
                if let Answer::Send(SendAnswer::Sent(sent)) = &answer { id.clone_from(&sent.id); }
                prop_assert!(answer.as_str() != "approved");
                prop_assert!(failures(&world) >= counted, "i03: {act} lowered the failures");
                // I-10: only a check raises them.
                prop_assert!(failures(&world) == counted || *act == 2, "i10: {act} wrote a failure");
                counted = failures(&world);
            }
        }
    }
}

#[test]
fn i04_a_new_session_purpose_or_challenge_is_no_new_budget() {
    let mut world = World::new(policy(NO_FIRST_WAIT), Kinds::Own);
    let mut compared = 0;
    for round in 0..12 {
        let purpose = Purpose::ALL[round % 3];
        let request = SendRequest::to(Person::at(TO).purpose(purpose).subject("ann"));
        if let SendAnswer::Sent(sent) = world.ask(request) {
            for _ in 0..3 {
                let answer = world.ask(CheckRequest::of(&sent.id, "000000", Expected::Whoever));
                compared += u32::from(matches!(answer, CheckAnswer::WrongCode(_)));
            }
        }
        world.advance(Duration::from_secs(31));
    }
    assert_eq!(compared, 5, "one run for all of them within the lockout");
}

#[test]
fn i06_the_count_is_durable_before_the_comparison() {
    let mut world = world(Kinds::Managed);
    sent(world.ask(send()));
    let count = world.start(check("000000"));
    assert_eq!(count.kind(), "store", "a check counts first");
    let counted = world.perform(count);
    assert_eq!(counted.kind(), "compare");
    assert_eq!((failures(&world), world.compared), (1, 0));
    drop(counted);
    assert_eq!(
        failures(&world),
        1,
        "a crash before the comparison leaves it counted"
    );
}

#[test]
fn i07_every_verdict_of_a_provider_leaves_the_failure_but_those_that_compared_nothing() {
    for (verdict, left) in [
        (Compared::NoMatch, 1),
        (Compared::Gone, 1),
        (Compared::Unknown(Detail::default()), 1),
        (Compared::NotAsked(Detail::default()), 0),
        (
            Compared::Ended {
                upstream: format!("VE{:032x}", 1),
                end: End::Expired,
            },
            0,
        ),
        (Compared::Match, 0),
    ] {
        let mut world = world(Kinds::Managed);
        sent(world.ask(send()));
        judged(&mut world, verdict.clone());
        assert_eq!(failures(&world), left, "{verdict:?}");
    }
}

#[test]
fn i67_a_check_that_no_provider_was_asked_about_leaves_no_wait() {
    let mut world = world(Kinds::Managed);
    sent(world.ask(send()));
    let right = code(&world);
    let asked = world.begin(check("000000"), "compare");
    let given_back = asked.not_begun(world.now, NotBegun::BreakerOpen(Duration::ZERO));
    assert_eq!(given_back.kind(), "store");
    let Ok(outcome) = world.perform(given_back).over() else {
        panic!("two trips, and it is over")
    };
    assert_eq!(
        refused(outcome.answer.unwrap()).code,
        RefusalCode::ProviderUnavailable
    );
    approved(world.ask(check(&right)));
}

#[test]
fn i09_one_budget_spans_all_channels_of_a_subject() {
    let mut world = World::new(policy(NO_FIRST_WAIT), Kinds::Own);
    for to in [TO, "ann@example.com"] {
        sent(world.ask(SendRequest::to(Person::at(to).subject("ann"))));
    }
    let mut compared = 0;
    for round in 0..10 {
        let to = [TO, "ann@example.com"][round % 2];
        let request = CheckRequest::to(Person::at(to).subject("ann"), "000000");
        compared += u32::from(matches!(world.ask(request), CheckAnswer::WrongCode(_)));
    }
    assert_eq!(compared, 5);
}

#[test]
fn i11_everything_transient_expires_and_nothing_before_its_effect() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        world.run(check("000000"));
        let keyed = SendRequest::to("+12025550124").key("k");
        sent(world.ask(keyed));
        let longest = world.now + Duration::from_secs(31 * 86_400);
        for kept in world.store.counters().values() {
            assert!(
                kept.expires_at > world.now && kept.expires_at < longest,
                "{kept:?}"
            );
        }
        for ((_, key), row) in world.store.records().iter() {
            let Lifetime::Until(until) = row.lifetime else {
                panic!("{key:?} is durable")
            };
            assert!(
                key.kind == RecordKind::Verifications && until >= row.live_until.unwrap() && until < longest
            );
        }
        assert_eq!(world.store.claims().len(), 1);
        assert!(
            world
                .store
                .claims()
                .values()
                .all(|claim| claim.expires_at > world.now && claim.expires_at < longest)
        );
    }
}

#[test]
fn i13_a_store_fault_refuses() {
    for command in [Command::from(send()), check("123456").into()] {
        for (answer, fault) in [
            (StoreFault::unavailable("away"), Fault::StoreUnavailable),
            (StoreFault::full("no room"), Fault::StoreFull),
            (StoreFault::corrupt("what is this"), Fault::StoreCorrupt),
        ] {
            let mut world = world(Kinds::Own);
            let Step::Store(step) = world.start(command.clone()) else {
                panic!("a store step")
            };
            let Ok(outcome) = step.resume(world.now, StoreAnswer::NotApplied(answer)).over() else {
                panic!("over")
            };
            assert_eq!((outcome.answer, world.dispatches), (Err(fault), 0));
        }
        let mut world = world(Kinds::Own);
        let mut step = world.start(command);
        let outcome = loop {
            step = match step.over() {
                Ok(outcome) => break outcome,
                Err(step) => step.lost(world.now),
            };
        };
        let unknown = Err(Fault::StoreUnavailable);
        assert_eq!((outcome.answer, world.dispatches), (unknown, 0));
    }
}

#[test]
fn i14_malformed_guesses_cost_nothing_and_reveal_nothing() {
    let mut world = world(Kinds::Own);
    let verification = sent(world.ask(send()));
    let before = world.store.clone();
    for guess in [
        "",
        "12345",
        "1234567",
        "12345a",
        "123 45",
        "1234 567",
        "123\t456",
        "１２３４５６",
        "١٢٣٤٥٦",
        "1234\n56",
        "-12345",
    ] {
        for request in [
            check(guess),
            CheckRequest::of(&verification.id, guess, Expected::Whoever),
        ] {
            let (answer, trips) = world.ask_counted(request);
            assert_eq!(
                (refused(answer).code, trips),
                (RefusalCode::InvalidCode, 0),
                "{guess:?}"
            );
        }
    }
    assert_eq!(world.store, before);
}

#[test]
fn i14_a_check_where_nothing_is_pending_is_a_check_and_no_failure() {
    for kinds in BOTH {
        let mut world = world(kinds);
        for _ in 0..5 {
            let (outcome, trips) = world.ask_counted(check("123456"));
            assert_eq!((refused(outcome).code, trips), (RefusalCode::NotFound, 1));
        }
        assert_eq!(failures(&world), 0);
        assert_eq!(refused(world.ask(check("123456"))).code, RefusalCode::RateLimited);
    }
}

#[test]
fn i15_exactly_the_digits_of_a_code_or_nothing() {
    let mut world = World::new(policy("version = 1\n[code]\nlength = 8\n"), Kinds::Own);
    sent(world.ask(send()));
    let right = code(&world);
    assert_eq!(right.len(), 8);
    assert_eq!(refused(world.ask(check("123456"))).code, RefusalCode::InvalidCode);
    approved(world.ask(check(&right)));
}

#[test]
fn i06_a_clock_that_is_set_back_meanwhile_brings_no_guess_that_is_not_counted() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let pending = sent(world.ask(send()));
        let code = code(&world);
        for guess in [code.as_str(), &wrong(&code)] {
            let mut world = world.clone();
            world.now = pending.expires_at;
            let Step::Store(counting) = world.start(check(guess)) else {
                panic!("a check begins with a count")
            };
            let answer = world.store.apply_now(counting.changeset());
            world.now = pending.expires_at - Duration::from_secs(1);
            let outcome = drive(counting.resume(world.now, answer), &mut world);
            let refusal = refused(outcome.answer.unwrap());
            assert_eq!(refusal.code, RefusalCode::NotFound, "{kinds:?}");
            assert_eq!((failures(&world), world.compared), (0, 0), "{kinds:?}");
        }
    }
}

#[test]
fn i06_what_a_stranger_guesses_while_a_known_callers_code_is_pending_stays_counted() {
    let mut world = World::new(
        policy("version = 1\n[lockout]\nwaits = { 1 = \"5m\" }\n"),
        Kinds::Own,
    );
    sent(world.ask(send()));
    let device = approved(world.ask(check(&code(&world)))).device_token;
    world.advance(Duration::from_secs(601));
    sent(world.ask(send()));
    let bad = wrong(&code(&world));
    let known = send().device_token(device);
    sent(world.ask(known));
    world.run(check(&bad));
    world.advance(Duration::from_secs(300));
    let before = failures(&world);
    world.run(check(&bad));
    assert_eq!((before, failures(&world)), (1, 2));
}

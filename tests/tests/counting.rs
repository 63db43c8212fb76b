//! Promises about counting (I-03 to I-14), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use verify_core::command::{Caller, CheckRequest, Command, SendRequest};
use verify_core::flow::Step;
use verify_core::outcome::{Answer, Fault, RefusalCode};
use verify_core::port::{Compared, Detail};
use verify_core::store::{Lifetime, RecordKind, StoreAnswer, StoreFault};
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::{Kinds, World};
use verify_tests::{
    BOTH, NO_FIRST_WAIT, TO, approved, cancel, check, code, failures, policy, refused, send, sent, world,
    wrong,
};

#[test]
fn i01_exactly_five_guesses_without_the_first_wait() {
    for kinds in BOTH {
        let mut world = World::new(policy(NO_FIRST_WAIT), kinds);
        sent(world.run(send()).0.answer);
        let bad = wrong(&code(&world));
        let answers: Vec<Answer> = (0..20).map(|_| world.run(check(&bad)).0.answer).collect();
        let compared = answers
            .iter()
            .filter(|answer| matches!(answer, Answer::WrongCode(_)))
            .count();
        assert_eq!(compared, 5);
        assert_eq!(failures(&world), 5);
        assert!(matches!(&answers[4], Answer::WrongCode(last) if last.checks_left == 0));
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
                let answer = match act {
                    0 => world.run(send()).0.answer,
                    1 => world.run(Command::Send(SendRequest::to(TO).by(Channel::Call))).0.answer,
                    2 => world.run(check("000000")).0.answer,
                    3 if !id.is_empty() => world.run(cancel(&id)).0.answer,
                    4 => world.run(Command::Send(SendRequest::to(TO).purpose(Purpose::Recovery))).0.answer,
                    _ => { world.advance(Duration::from_secs(31)); continue }
                };
                if let Answer::Sent(sent) = &answer { id.clone_from(&sent.id); }
                prop_assert!(!matches!(answer, Answer::Approved(_)));
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
        let request = SendRequest::to(TO).purpose(purpose).subject("ann");
        if let Answer::Sent(sent) = world.run(Command::Send(request)).0.answer {
            for _ in 0..3 {
                let answer = world
                    .run(Command::Check(CheckRequest::of(&sent.id, "000000")))
                    .0
                    .answer;
                compared += u32::from(matches!(answer, Answer::WrongCode(_)));
            }
        }
        world.advance(Duration::from_secs(31));
    }
    assert_eq!(compared, 5, "one run for all of them within the lockout");
}

#[test]
fn i06_the_count_is_durable_before_the_comparison() {
    let mut world = world(Kinds::Managed);
    sent(world.run(send()).0.answer);
    let Step::Store(count) = world.start(check("000000")) else {
        panic!("a check counts first")
    };
    let counted = world.perform(Step::Store(count));
    assert!(matches!(counted, Step::Compare(_)), "{counted:?}");
    assert_eq!((failures(&world), world.compared), (1, 0));
    drop(counted);
    assert_eq!(
        failures(&world),
        1,
        "a crash before the comparison leaves it counted"
    );
}

#[test]
fn i07_every_verdict_of_a_provider_leaves_the_failure_but_not_asked() {
    for (verdict, left) in [
        (Compared::NoMatch, 1),
        (Compared::Gone, 1),
        (Compared::Unknown(Detail::default()), 1),
        (Compared::NotAsked(Detail::default()), 0),
        (Compared::Match, 0),
    ] {
        let mut world = world(Kinds::Managed);
        sent(world.run(send()).0.answer);
        let step = world.start(check("000000"));
        let Step::Compare(asked) = world.perform(step) else {
            panic!("asked")
        };
        let mut step = asked.resume(world.now, verdict.clone());
        while !matches!(step, Step::Done(_)) {
            step = world.perform(step);
        }
        assert_eq!(failures(&world), left, "{verdict:?}");
    }
}

#[test]
fn i67_a_check_that_no_provider_was_asked_about_leaves_no_wait() {
    let mut world = world(Kinds::Managed);
    sent(world.run(send()).0.answer);
    let right = code(&world);
    let step = world.start(check("000000"));
    let Step::Compare(asked) = world.perform(step) else {
        panic!("asked")
    };
    let mut step = asked.resume(world.now, Compared::NotAsked(Detail::default()));
    let mut trips = 1;
    while !matches!(step, Step::Done(_)) {
        trips += 1;
        step = world.perform(step);
    }
    let Step::Done(outcome) = step else { panic!("done") };
    assert_eq!(
        (refused(outcome.answer).code, trips),
        (RefusalCode::ProviderUnavailable, 2)
    );
    approved(world.run(check(&right)).0.answer);
}

#[test]
fn i09_one_budget_spans_all_channels_of_a_subject() {
    let mut world = World::new(policy(NO_FIRST_WAIT), Kinds::Own);
    for to in [TO, "ann@example.com"] {
        sent(
            world
                .run(Command::Send(SendRequest::to(to).subject("ann")))
                .0
                .answer,
        );
    }
    let mut compared = 0;
    for round in 0..10 {
        let to = [TO, "ann@example.com"][round % 2];
        let request = CheckRequest {
            subject: Some("ann".into()),
            ..CheckRequest::to(to, "000000")
        };
        compared += u32::from(matches!(
            world.run(Command::Check(request)).0.answer,
            Answer::WrongCode(_)
        ));
    }
    assert_eq!(compared, 5);
}

#[test]
fn i11_everything_transient_expires_and_nothing_before_its_effect() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.run(send()).0.answer);
        world.run(check("000000"));
        let keyed = SendRequest {
            idempotency_key: Some("k".into()),
            ..SendRequest::to("+12025550124")
        };
        sent(world.run(Command::Send(keyed)).0.answer);
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
    for command in [send(), check("123456")] {
        for answer in [
            StoreAnswer::NotApplied(StoreFault::Unavailable),
            StoreAnswer::NotApplied(StoreFault::Full),
        ] {
            let mut world = world(Kinds::Own);
            let Step::Store(step) = world.start(command.clone()) else {
                panic!("a store step")
            };
            let Step::Done(outcome) = step.resume(world.now, answer.clone()) else {
                panic!("over")
            };
            assert_eq!(outcome.answer, Answer::Fault(Fault::StoreUnavailable));
            assert_eq!(world.dispatches, 0);
        }
        let mut world = world(Kinds::Own);
        let mut step = world.start(command.clone());
        while let Step::Store(store) = step {
            step = store.resume(world.now, StoreAnswer::Unknown);
        }
        let Step::Done(outcome) = step else { panic!("over") };
        assert_eq!(outcome.answer, Answer::Fault(Fault::StoreUnavailable));
        assert_eq!(world.dispatches, 0);
    }
}

#[test]
fn i14_malformed_guesses_cost_nothing_and_reveal_nothing() {
    let mut world = world(Kinds::Own);
    let verification = sent(world.run(send()).0.answer);
    let before = world.store.clone();
    for guess in [
        "",
        "12345",
        "1234567",
        "12345a",
        " 123456",
        "123 456",
        "１２３４５６",
        "١٢٣٤٥٦",
        "123456\n",
        "-12345",
    ] {
        for command in [
            check(guess),
            Command::Check(CheckRequest::of(&verification.id, guess)),
        ] {
            let (outcome, trips) = world.run(command);
            assert_eq!(
                (refused(outcome.answer).code, trips),
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
            let (outcome, trips) = world.run(check("123456"));
            assert_eq!((refused(outcome.answer).code, trips), (RefusalCode::NotFound, 1));
        }
        assert_eq!(failures(&world), 0);
        assert_eq!(
            refused(world.run(check("123456")).0.answer).code,
            RefusalCode::RateLimited
        );
    }
}

#[test]
fn i15_exactly_the_digits_of_a_code_or_nothing() {
    let mut world = World::new(policy("version = 1\n[code]\nlength = 8\n"), Kinds::Own);
    sent(world.run(send()).0.answer);
    let right = code(&world);
    assert_eq!(right.len(), 8);
    assert_eq!(
        refused(world.run(check("123456")).0.answer).code,
        RefusalCode::InvalidCode
    );
    approved(world.run(check(&right)).0.answer);
}

#[test]
fn i06_a_clock_that_is_set_back_meanwhile_brings_no_guess_that_is_not_counted() {
    for kinds in BOTH {
        let mut world = world(kinds);
        let pending = sent(world.run(send()).0.answer);
        let code = code(&world);
        for guess in [code.as_str(), &wrong(&code)] {
            let mut world = world.clone();
            world.now = pending.expires_at;
            let Step::Store(counting) = world.start(check(guess)) else {
                panic!("a check begins with a count")
            };
            let answer = world.store.apply_now(counting.changeset());
            world.now = pending.expires_at - Duration::from_secs(1);
            let mut step = counting.resume(world.now, answer);
            let outcome = loop {
                step = match step {
                    Step::Done(outcome) => break outcome,
                    step => world.perform(step),
                };
            };
            assert_eq!(refused(outcome.answer).code, RefusalCode::NotFound, "{kinds:?}");
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
    sent(world.run(send()).0.answer);
    let device = approved(world.run(check(&code(&world))).0.answer).device_token;
    world.advance(Duration::from_secs(601));
    sent(world.run(send()).0.answer);
    let bad = wrong(&code(&world));
    let known = SendRequest {
        caller: Caller {
            device_token: Some(device),
            ..Caller::default()
        },
        ..SendRequest::to(TO)
    };
    sent(world.run(Command::Send(known)).0.answer);
    world.run(check(&bad));
    world.advance(Duration::from_secs(300));
    let before = failures(&world);
    world.run(check(&bad));
    assert_eq!((before, failures(&world)), (1, 2));
}

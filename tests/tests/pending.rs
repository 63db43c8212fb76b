//! What leaves a pending verification alone, and what ends it (I-37), on the pure machine.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, Command, Expected, Person, SendRequest};
use verify_core::event::EventKind;
use verify_core::flow::{Step, drive};
use verify_core::outcome::{Answer, CheckAnswer, Outcome, RefusalCode};
use verify_core::port::{Compared, End};
use verify_core::record::Status;
use verify_lab::explore::{Kinds, World};
use verify_testkit::ManagedCodes;
use verify_tests::{
    Asks, BOTH, NO_FIRST_WAIT, TO, approved, check, code, events, failures, judged, policy, refused, seen,
    send, sent, wrong,
};

fn of(subject: &str) -> SendRequest {
    SendRequest::to(Person::at(TO).subject(subject))
}

#[test]
fn i37_a_human_check_after_a_look_keeps_what_is_pending() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_prefix\"\nmax = 1\nthen = \"human_check\"\n";
    for kinds in BOTH {
        let mut world = World::new(policy(text), kinds);
        let id = sent(world.ask(of("ann"))).id;
        world.advance(Duration::from_secs(31));
        let another = of("bob").human_check("human");
        sent(world.ask(another));
        assert_eq!(seen(&mut world, &id).status, Status::Pending);
    }
}

/// Wrong guesses at a managed code of which the provider says that it is over, and what became of who shares it.
fn over(file: &str, end: End, upstream: &str) -> (World, [String; 3], Outcome<CheckAnswer>) {
    let mut world = World::new(policy(file), Kinds::Managed);
    let first = sent(world.ask(send())).id;
    let elsewhere = sent(world.ask(SendRequest::to("+12025550177"))).id;
    world.advance(Duration::from_secs(31));
    let sibling = sent(world.ask(of("ann"))).id;
    let said = Compared::Ended {
        upstream: upstream.to_owned(),
        end,
    };
    let outcome = judged(&mut world, said);
    (world, [first, sibling, elsewhere], outcome)
}

/// The provider's id of the first code that a world sends.
const FIRST: &str = "VE00000000000000000000000000000001";

#[test]
fn i133_what_is_over_at_the_provider_is_over_here_and_the_next_send_is_a_new_one() {
    for (end, status, kind) in [
        (End::UsedUp, Status::Exhausted, EventKind::Exhausted),
        (End::Expired, Status::Expired, EventKind::Expired),
        (End::Canceled, Status::Canceled, EventKind::Canceled),
    ] {
        let (mut world, [first, sibling, elsewhere], outcome) = over(NO_FIRST_WAIT, end, FIRST);
        assert_eq!(refused(outcome.answer.unwrap()).code, RefusalCode::NotFound);
        assert_eq!(failures(&world), 0, "{end:?}: nothing was compared");
        assert_eq!(seen(&mut world, &first).status, status);
        assert_eq!(seen(&mut world, &sibling).status, status, "it has the same code");
        assert_eq!(seen(&mut world, &elsewhere).status, Status::Pending);
        assert_eq!(events(&world, kind), 2);
        let compared = world.compared;
        let again = world.ask(check("000000"));
        assert_eq!(refused(again).code, RefusalCode::NotFound);
        assert_eq!(world.compared, compared, "nobody is asked about what is over");
        world.managed = ManagedCodes::default();
        world.advance(Duration::from_secs(31));
        let next = sent(world.ask(send()));
        assert_ne!(next.id, first);
        assert!(
            next.expires_at > world.now + Duration::from_secs(599),
            "a life of its own"
        );
        let right = code(&world);
        approved(world.ask(check(&right)));
    }
}

/// The end of another verification than the one that was asked about, and any end where nobody may tell a decoy from the
/// real thing, which is a wrong guess like any other: nothing ends, and the failure stays.
#[test]
fn i133_i40_an_end_that_names_another_or_that_nobody_may_notice_ends_nothing() {
    let private = format!("{NO_FIRST_WAIT}[privacy]\ndisclosure = \"private\"\n");
    for (file, upstream, word) in [
        (NO_FIRST_WAIT, "VE2", "refused"),
        (private.as_str(), FIRST, "wrong_code"),
    ] {
        let (mut world, ids, outcome) = over(file, End::UsedUp, upstream);
        assert_eq!(Answer::from(outcome.answer.unwrap()).as_str(), word);
        assert!(failures(&world) > 0, "{upstream}");
        for id in ids {
            assert_eq!(seen(&mut world, &id).status, Status::Pending, "{upstream}");
        }
    }
}

/// A resend whose answer was lost may have begun a new code: that is not what the provider spoke of.
#[test]
fn i133_a_message_that_may_have_come_later_keeps_it_pending() {
    let mut world = World::new(policy(NO_FIRST_WAIT), Kinds::Managed);
    let id = sent(world.ask(send())).id;
    world.advance(Duration::from_secs(31));
    let lost = world.begin(send(), "dispatch").lost(world.now);
    drop(drive(lost, &mut world));
    let said = Compared::Ended {
        upstream: FIRST.to_owned(),
        end: End::UsedUp,
    };
    let outcome = judged(&mut world, said);
    assert_eq!(refused(outcome.answer.unwrap()).code, RefusalCode::NotFound);
    assert_eq!(failures(&world), 0);
    assert_eq!(seen(&mut world, &id).status, Status::Pending);
}

/// A message to anybody who has the same code, since the question: the provider spoke of what was before it. Its id tells
/// nothing, because a provider may go on under the same one.
#[test]
fn i133_a_message_since_the_question_keeps_all_that_share_the_code_pending() {
    for renews in [false, true] {
        let mut world = World::new(policy(NO_FIRST_WAIT), Kinds::Managed);
        if renews {
            world.managed = world.managed.clone().renewing();
        }
        let first = sent(world.ask(send())).id;
        world.advance(Duration::from_secs(31));
        let sibling = sent(world.ask(of("ann"))).id;
        for _ in 0..5 {
            world.managed.compare(&"scope".into(), TO, "none", world.now);
        }
        world.advance(Duration::from_secs(31));
        let Step::Compare(asked) = world.begin(check("000000"), "compare") else {
            panic!("it begins with a comparison")
        };
        sent(world.ask(of("ann")));
        let said = Compared::Ended {
            upstream: FIRST.to_owned(),
            end: End::UsedUp,
        };
        drop(drive(asked.resume(world.now, said), &mut world));
        assert_eq!(failures(&world), 0, "nothing was compared");
        for id in [&first, &sibling] {
            assert_eq!(seen(&mut world, id).status, Status::Pending, "{renews}");
        }
    }
}

/// Four failures of one subject elsewhere, and one wait short of the lockout.
fn four_failures_elsewhere(world: &mut World) {
    let elsewhere = "+12025550177";
    let id = sent(world.ask(SendRequest::to(Person::at(elsewhere).subject("mallory")))).id;
    let bad = wrong(world.code_for(elsewhere).unwrap().expose());
    for _ in 0..4 {
        let answer = world.ask(CheckRequest::of(&id, &bad, Expected::Whoever));
        assert!(matches!(answer, CheckAnswer::WrongCode(_)), "{answer:?}");
        world.advance(Duration::from_secs(60));
    }
}

#[test]
fn i37_a_lockout_of_one_subject_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    sent(world.ask(of("mallory")));
    world.advance(Duration::from_secs(31));
    let id = sent(world.ask(of("ann"))).id;
    let right = code(&world);
    let guess = CheckRequest::to(Person::at(TO).subject("mallory"), wrong(&right));
    let answer = world.ask(guess);
    assert!(
        matches!(&answer, CheckAnswer::WrongCode(wrong) if wrong.status == Status::Exhausted),
        "{answer:?}"
    );
    world.advance(Duration::from_secs(60));
    approved(world.ask(CheckRequest::of(&id, &right, Expected::Whoever)));
}

#[test]
fn i37_a_send_after_a_lockout_closes_nothing_of_another() {
    let mut world = World::new(policy("version = 1\n[code]\nttl = \"10m\"\n"), Kinds::Own);
    four_failures_elsewhere(&mut world);
    let elsewhere = CheckRequest::to(Person::at("+12025550177").subject("mallory"), "000000");
    world.run(elsewhere);
    world.advance(Duration::from_secs(14 * 60));
    let id = sent(world.ask(of("ann"))).id;
    let right = code(&world);
    world.advance(Duration::from_secs(61));
    sent(world.ask(of("mallory")));
    approved(world.ask(CheckRequest::of(&id, &right, Expected::Whoever)));
}

#[test]
fn a_cancel_whose_answer_was_lost_is_told_and_the_provider_with_it() {
    let mut world = World::new(policy("version = 1"), Kinds::Managed);
    let id = sent(world.ask(send())).id;
    let look = world.start(CancelRequest::of(&id));
    let write = world.perform(look);
    drop(world.perform(write.clone()));
    let mut step = write.lost(world.now);
    let mut told = 0;
    let outcome = loop {
        step = match step.over() {
            Ok(outcome) => break outcome,
            Err(step) => {
                told += u32::from(step.kind() == "conclude");
                world.perform(step)
            }
        };
    };
    assert_eq!((outcome.as_str(), told), ("canceled", 1));
}

/// The provider hears of an end also where a decoy in the same scope, of which it never heard, ends with it or after it.
#[test]
fn i40_a_decoy_that_ends_too_keeps_no_end_from_its_provider() {
    let text = "version = 1\n[privacy]\ndisclosure = \"private\"\n";
    let ann = || of("ann");
    for sends in [
        vec![ann()],
        vec![ann(), of("nobody").decoy(true)],
        vec![of("nobody").decoy(true), ann()],
    ] {
        let mut world = World::new(policy(text), Kinds::Managed);
        let mut ids = Vec::new();
        for send in sends {
            ids.push(sent(world.ask(send)).id);
            world.advance(Duration::from_secs(31));
        }
        let upstream = world.managed.upstream(&"scope".into(), TO).map(str::to_owned);
        let mut canceled = world.clone();
        let mut told = Vec::new();
        for id in &ids {
            told.extend(told_by(&mut canceled, CancelRequest::of(id)));
        }
        assert_eq!(told, std::slice::from_ref(&upstream), "{} canceled", ids.len());
        told.clear();
        for _ in 0..5 {
            let guess = CheckRequest::to(Person::at(TO).subject("ann"), "000000");
            told.extend(told_by(&mut world, guess));
            world.advance(Duration::from_secs(60));
        }
        assert_eq!(told, [upstream], "{} exhausted", ids.len());
    }
}

/// Of what its provider is told the end.
fn told_by(world: &mut World, request: impl Into<Command>) -> Vec<Option<String>> {
    let mut told = Vec::new();
    let mut step = world.start(request);
    while !matches!(step, Step::Done(_)) {
        if let Step::Conclude(asked) = &step {
            told.push(asked.request().upstream.clone());
        }
        step = world.perform(step);
    }
    told
}

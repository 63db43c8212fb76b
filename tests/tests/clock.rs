//! A clock that jumps back, between commands and while a flow is under way.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use verify_core::command::{CancelRequest, CheckRequest, Expected, Person, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CancelAnswer, CheckAnswer, RefusalCode, SendAnswer};
use verify_core::port::{Detail, DispatchRequest, Dispatched, Rejection, RejectionKind};
use verify_core::record::Status;
use verify_core::time::Until;
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_lab::explore::{Kinds, World};
use verify_memstore::MemStore;
use verify_testkit::ManualClock;
use verify_tests::{
    Asks, BOTH, TO, approved, check, code, refused, seen, send, sent, verifications, world, wrong,
};

const ANOTHER: &str = "+12025550145";

/// After this person's waits were over somebody else came from the same address; then the clock went back into them.
fn back_into_a_wait_that_was_over(kinds: Kinds) -> (World, std::net::IpAddr) {
    let (mut world, ip) = (world(kinds), "203.0.113.7".parse().unwrap());
    sent(world.ask(send().ip(ip)));
    let guess = wrong(&code(&world));
    let answer = world.ask(CheckRequest::to(TO, guess).ip(ip));
    assert!(matches!(answer, CheckAnswer::WrongCode(_)), "{answer:?}");
    world.advance(Duration::from_secs(100));
    sent(world.ask(SendRequest::to(ANOTHER).ip(ip)));
    world.run(CheckRequest::to(ANOTHER, "000000").ip(ip));
    world.now = world.now - Duration::from_secs(90);
    (world, ip)
}

#[test]
fn i44_a_wait_that_was_over_before_a_jump_back_is_over_for_a_check() {
    for kinds in BOTH {
        let (mut world, ip) = back_into_a_wait_that_was_over(kinds);
        let right = world.code_for(TO).unwrap().expose().to_owned();
        let answer = world.ask(CheckRequest::to(TO, right).ip(ip));
        assert!(matches!(answer, CheckAnswer::Approved(_)), "{answer:?}");
    }
}

#[test]
fn i44_a_wait_that_was_over_before_a_jump_back_is_over_for_a_send() {
    for kinds in BOTH {
        let (mut world, ip) = back_into_a_wait_that_was_over(kinds);
        let call = send().by(Channel::Call).ip(ip);
        sent(world.ask(call));
    }
}

/// What status, cancel and check make of one instant, after a guess was counted then and the clock went back: the guess is
/// the newest stamp, and only a counter has it. By the instant of the guess the code may be over, and by the clock not.
#[test]
fn i44_status_and_cancel_go_by_the_same_time_as_a_check() {
    for kinds in BOTH {
        for (guessed, back) in [
            (10, 5),
            (300, 299),
            (300, 3_600),
            (599, 90),
            (600, 1),
            (700, 690),
            (700, 3_600),
        ] {
            let mut world = world(kinds);
            let id = sent(world.ask(send())).id;
            let right = code(&world);
            world.advance(Duration::from_secs(guessed));
            world.run(check(&wrong(&right)));
            assert_eq!(
                verifications(&world)[0].status(),
                Status::Pending,
                "nobody wrote an end"
            );
            world.now = world.now - Duration::from_secs(back);

            let seen = seen(&mut world, &id);
            let refusal = refused(world.clone().ask(check(&right)));
            let canceled = world.clone().ask(CancelRequest::of(&id));
            let context = format!("{kinds:?}, guessed at {guessed} s, back by {back} s");
            if guessed < 600 {
                assert_eq!(seen.status, Status::Pending, "{context}");
                let told = (Until::At(world.now + Duration::from_secs(back + 60)), Some(4));
                assert_eq!((seen.resend_at, seen.checks_left), told, "{context}");
                assert_eq!(
                    (refusal.retry_at, refusal.checks_left),
                    (Some(told.0), told.1),
                    "{context}"
                );
                assert!(
                    matches!(canceled, CancelAnswer::Canceled(_)),
                    "{context}: {canceled:?}"
                );
            } else {
                assert_eq!(seen.status, Status::Expired, "{context}");
                assert_eq!(refusal.code, RefusalCode::NotFound, "{context}");
                assert_eq!(refused(canceled).code, RefusalCode::NotFound, "{context}");
            }
        }
    }
}

/// A later stamp that only some of them see (of others at the address, in the service, of the person elsewhere) must not
/// make one find over what another finds pending.
#[test]
fn i44_stamps_that_only_some_commands_see_end_nothing_for_any() {
    let ip = "203.0.113.7".parse().unwrap();
    let mine = || SendRequest::to(Person::at(TO).subject("ada")).ip(ip);
    let other = || Person::at(ANOTHER).subject("ada");
    for kinds in BOTH {
        for elsewhere in ["checks", "sends"] {
            let mut world = world(kinds);
            let id = sent(world.ask(mine())).id;
            let right = code(&world);
            world.advance(Duration::from_secs(605));
            match elsewhere {
                "checks" => drop(world.run(CheckRequest::to(ANOTHER, "000000").ip(ip))),
                _ => drop(world.run(SendRequest::to(other()).ip(ip))),
            }
            world.now = world.now - Duration::from_secs(500);
            let context = format!("{kinds:?}, {elsewhere}");
            assert_eq!(seen(&mut world, &id).status, Status::Pending, "{context}");
            let canceled = world.clone().ask(CancelRequest::of(&id));
            assert!(
                matches!(canceled, CancelAnswer::Canceled(_)),
                "{context}: {canceled:?}"
            );
            approved(world.ask(CheckRequest::of(&id, right, Expected::Whoever).ip(ip)));
        }
    }
}

/// The code's own stamp is later than the wait of a guess that came after the clock went back: it must not end that wait.
#[test]
fn i44_a_wait_that_begins_after_a_jump_back_is_waited_out() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        let right = code(&world);
        world.now = world.now - Duration::from_secs(60);
        world.run(check(&wrong(&right)));
        let early = refused(world.ask(check(&right)));
        assert_eq!(early.code, RefusalCode::Cooldown, "{kinds:?}");
        world.advance(Duration::from_secs(60));
        approved(world.ask(check(&right)));
    }
}

#[tokio::test(start_paused = true)]
async fn i44_a_jump_back_inside_a_flow_does_not_extend_its_deadline() {
    let clock = ManualClock::at(verify_core::time::Timestamp::from_millis(1_700_000_000_000));
    let asked = Arc::new(AtomicUsize::new(0));
    let mut builder = Engine::builder()
        .keys(Keys::generate(&[3; 32]))
        .store(MemStore::new())
        .clock(clock.clone())
        .without_client_ip();
    for name in ["first", "second", "third", "fourth"] {
        let (clock, asked) = (clock.clone(), Arc::clone(&asked));
        builder = builder.provider(Deliverer::new(name, [Channel::Sms], move |_: DispatchRequest| {
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                clock.jump_back(Duration::from_secs(60));
            }
            async {
                // The runtime's time is paused: it passes at once.
                tokio::time::sleep(Duration::from_secs(9)).await;
                let (kind, detail) = (RejectionKind::Down, Detail::default());
                Dispatched::Rejected(Rejection {
                    kind,
                    retry_after: None,
                    detail,
                })
            }
        }));
    }
    let engine = builder.build().unwrap();
    let outcome = engine.send(SendRequest::to(TO)).await.answer.unwrap();
    assert!(matches!(outcome, SendAnswer::Refused(_)), "{outcome:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "after twenty seconds nobody is asked any more"
    );
}

//! A clock that jumps back, between commands and while a flow is under way.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::Answer;
use verify_core::port::{Detail, DispatchRequest, Dispatched, Rejection, RejectionKind};
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine, SendOutcome};
use verify_lab::explore::{Kinds, World};
use verify_memstore::MemStore;
use verify_testkit::ManualClock;
use verify_tests::{TO, code, sent, world, wrong};

const ANOTHER: &str = "+12025550145";

/// After this person's waits were over somebody else came from the same address; then the clock went back into them.
fn back_into_a_wait_that_was_over(kinds: Kinds) -> (World, std::net::IpAddr) {
    let (mut world, ip) = (world(kinds), "203.0.113.7".parse().unwrap());
    sent(world.run(Command::Send(SendRequest::to(TO).ip(ip))).0.answer);
    let guess = wrong(&code(&world));
    let answer = world
        .run(Command::Check(CheckRequest::to(TO, guess).ip(ip)))
        .0
        .answer;
    assert!(matches!(answer, Answer::WrongCode(_)), "{answer:?}");
    world.advance(Duration::from_secs(100));
    sent(world.run(Command::Send(SendRequest::to(ANOTHER).ip(ip))).0.answer);
    world.run(Command::Check(CheckRequest::to(ANOTHER, "000000").ip(ip)));
    world.now = world.now - Duration::from_secs(90);
    (world, ip)
}

#[test]
fn i44_a_wait_that_was_over_before_a_jump_back_is_over_for_a_check() {
    for kinds in verify_tests::BOTH {
        let (mut world, ip) = back_into_a_wait_that_was_over(kinds);
        let right = world.code_for(TO).unwrap().expose().to_owned();
        let answer = world
            .run(Command::Check(CheckRequest::to(TO, right).ip(ip)))
            .0
            .answer;
        assert!(matches!(answer, Answer::Approved(_)), "{answer:?}");
    }
}

#[test]
fn i44_a_wait_that_was_over_before_a_jump_back_is_over_for_a_send() {
    for kinds in verify_tests::BOTH {
        let (mut world, ip) = back_into_a_wait_that_was_over(kinds);
        let call = SendRequest::to(TO).by(Channel::Call).ip(ip);
        sent(world.run(Command::Send(call)).0.answer);
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
    let outcome = engine.send(SendRequest::to(TO)).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Refused(_)), "{outcome:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "after twenty seconds nobody is asked any more"
    );
}

//! What a send asks of the store (I-10): it decides by the lockouts, and writes nothing of them.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{Person, SendRequest};
use verify_core::limit::Counter;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::World;
use verify_tests::{Asks, BOTH, TO, check, code, send, sent, world, wrong};

/// Every run of failures that the store holds.
fn runs(world: &World) -> Vec<Counter> {
    let states = world.store.counters().values().map(|kept| kept.state.clone());
    states
        .filter(|state| matches!(state, Counter::Backoff(_)))
        .collect()
}

#[test]
fn i10_no_kind_of_send_writes_a_run_of_failures() {
    for kinds in BOTH {
        let mut world = world(kinds);
        sent(world.ask(send()));
        let bad = wrong(&code(&world));
        assert!(matches!(world.ask(check(&bad)), CheckAnswer::WrongCode(_)));
        let before = runs(&world);
        assert!(!before.is_empty(), "a wrong guess is counted");

        let other_channel = send().by(Channel::Call);
        let other_purpose = SendRequest::to(Person::at(TO).purpose(Purpose::Recovery));
        let mut sends = 0;
        for command in [send(), other_channel, other_purpose, send()] {
            // Past the gap and the first wait, so that a send goes through and is not merely refused.
            world.advance(Duration::from_secs(61));
            sends += usize::from(matches!(world.ask(command), SendAnswer::Sent(_)));
            assert_eq!(runs(&world), before);
        }
        assert!(sends >= 2, "sends went through");
    }
}

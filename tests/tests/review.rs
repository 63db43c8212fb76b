//! Ways to break the pure machine that once worked.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest, TickRequest};
use verify_core::flow::Step;
use verify_core::outcome::{Answer, RefusalCode};
use verify_core::port::{Inquired, RejectionKind, RiskLevel};
use verify_core::vocabulary::{Channel, ServiceId};
use verify_testkit::explore::{Kinds, World};
use verify_tests::{BOTH, TO, approved, check, code, policy, record, refused, send, sent, status, wrong};

const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

fn of(subject: &str) -> SendRequest {
    SendRequest::to(TO).subject(subject)
}

#[test]
fn i37_a_human_check_after_a_look_keeps_what_is_pending() {
    let text = "version = 1\n[[limit]]\nname = \"sends_per_prefix\"\nmax = 1\nthen = \"human_check\"\n";
    for kinds in BOTH {
        let mut world = World::new(policy(text), kinds);
        let id = sent(world.run(Command::Send(of("ann"))).0.answer).id;
        world.advance(Duration::from_secs(31));
        let another = SendRequest {
            human_check: Some("human".into()),
            ..of("bob")
        };
        sent(world.run(Command::Send(another)).0.answer);
        let Answer::Status(seen) = world.run(status(&id)).0.answer else {
            panic!("the pending verification of another identity is gone")
        };
        assert_eq!(seen.status.as_str(), "pending");
    }
}

//! Three flows at once.

use std::time::Duration;

use verify_core::command::{CancelRequest, Command, Person, SendRequest};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Budget, Kinds, World};

use super::ends::one_end;
use super::{ONE_OF_EACH, Scenario, sent_once};
use crate::{NO_FIRST_WAIT, TO, check, policy, send, wrong};

fn sent_before(kinds: Kinds) -> (World, String, String) {
    let (mut world, id, code) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    (world, id, code)
}

fn call() -> Command {
    send().by(Channel::Call).into()
}

const A_FAULT: Budget = Budget {
    crashes: 0,
    faults: 1,
    time_jumps: 0,
};

fn of_three(world: World, flows: [Command; 3]) -> Scenario {
    Scenario {
        tests: A_FAULT,
        large: ONE_OF_EACH,
        ..Scenario::new(world, flows)
    }
}

pub(super) fn check_check_send(kinds: Kinds) -> Scenario {
    let (mut world, _, code) = sent_before(kinds);
    world.use_policies(policy(NO_FIRST_WAIT));
    let guess = check(&wrong(&code));
    Scenario {
        tests: ONE_OF_EACH,
        large: Budget {
            crashes: 2,
            ..ONE_OF_EACH
        },
        ..of_three(world, [check(&code).into(), guess.into(), call()])
    }
    .jumps(&[31, 700])
}

pub(super) fn check_cancel_send(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_before(kinds);
    let flows = [check(&code).into(), CancelRequest::of(id).into(), call()];
    of_three(world, flows).holds(|world, _| one_end(world))
}

pub(super) fn two_identities(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_before(kinds);
    let stranger = SendRequest::to(Person::at(TO).subject("another"));
    let flows = [check(&code).into(), stranger.into(), CancelRequest::of(id).into()];
    of_three(world, flows).holds(|world, _| one_end(world))
}

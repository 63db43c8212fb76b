//! Three flows at once.

use std::time::Duration;

use verify_core::command::{Command, SendRequest};
use verify_core::vocabulary::Channel;
use verify_lab::explore::{Budget, Kinds, World};

use super::ends::one_end;
use super::{ONE_OF_EACH, Scenario, sent_once};
use crate::{NO_FIRST_WAIT, TO, cancel, check, policy, wrong};

fn sent_before(kinds: Kinds) -> (World, String, String) {
    let (mut world, id, code) = sent_once(kinds);
    world.advance(Duration::from_secs(31));
    (world, id, code)
}

fn call() -> Command {
    Command::Send(SendRequest::to(TO).by(Channel::Call))
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
        ..of_three(world, [check(&code), guess, call()])
    }
    .jumps(&[31, 700])
}

pub(super) fn check_cancel_send(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_before(kinds);
    of_three(world, [check(&code), cancel(&id), call()]).holds(|world, _| one_end(world))
}

pub(super) fn two_identities(kinds: Kinds) -> Scenario {
    let (world, id, code) = sent_before(kinds);
    let stranger = Command::Send(SendRequest::to(TO).subject("another"));
    of_three(world, [check(&code), stranger, cancel(&id)]).holds(|world, _| one_end(world))
}

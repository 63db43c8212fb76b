//! Checks of promises as functions of a world. On a sound machine and a sound store each finds nothing; the tests of the
//! tests break one or the other, and demand that it finds the promise of its name.

use std::time::Duration;

use verify_core::command::Command;
use verify_core::limit::Counter;
use verify_core::outcome::{Fault, Outcome};
use verify_lab::explore::{Budget, Search, World};

use crate::explored::{Finding, all_ends, finding};
use crate::{Asks, NO_FIRST_WAIT, always, check, code, failures, policy, send, sent, wrong};

/// All interleavings of these commands, with one fault and one jump of time.
pub fn explore(
    world: World,
    jump: u64,
    commands: impl IntoIterator<Item = Command>,
    invariant: impl Fn(&World, &[Option<Outcome>]) -> Finding,
) -> Finding {
    let search = Search {
        jumps: vec![Duration::from_secs(jump)],
        budget: Budget {
            crashes: 0,
            faults: 1,
            time_jumps: 1,
        },
        invariant: &invariant,
        at_end: &|_, _| Ok(()),
    };
    search.run(world, commands).map(drop).map_err(|found| found.what)
}

/// Two guesses at once: the wait after the first keeps the second from being compared.
pub fn i01_two_wrong_checks_one_comparison(mut world: World) -> Finding {
    sent(world.ask(send()));
    let guesses = [check("000000"), check("000001")];
    let one_is_compared = |world: &World| finding(world.compared <= 1, "i01: two guesses inside the wait");
    // In turns first: a search ends at the first thing that does not hold, and that may be another promise.
    let mut turns = world.clone();
    let mut flows = guesses.clone().map(|guess| turns.start(guess));
    while flows.iter().any(|step| step.kind() != "done") {
        flows = flows.map(|step| turns.perform(step));
    }
    one_is_compared(&turns)?;
    explore(world, 15, guesses.map(Into::into), |world, _| {
        one_is_compared(world)
    })
}

/// Two right guesses at once: one approval.
pub fn i02_two_right_checks_one_approval(mut world: World) -> Finding {
    world.use_policies(policy(NO_FIRST_WAIT));
    sent(world.ask(send()));
    let right = check(&code(&world));
    explore(world, 61, [right.clone().into(), right.into()], always)
}

/// A wrong guess, and after its wait a send that goes out.
pub fn sent_again_after_a_failure(world: &mut World) {
    world.run(check(&wrong(&code(world))));
    world.advance(Duration::from_secs(61));
    sent(world.ask(send()));
}

/// A send after a failure leaves it counted.
pub fn i03_a_send_does_not_lower_failures(mut world: World) -> Finding {
    sent(world.ask(send()));
    sent_again_after_a_failure(&mut world);
    finding(failures(&world) == 1, "i03: a send lowered the failures")
}

/// When a provider is asked to compare, the failure is in the store.
pub fn i06_counted_before_compared(mut world: World) -> Finding {
    sent(world.ask(send()));
    drop(world.begin(check("000000"), "compare"));
    finding(failures(&world) == 1, "i06: compared before it was counted")
}

/// A send leaves runs of failures exactly as they were.
pub fn i10_a_send_writes_no_run(mut world: World) -> Finding {
    let runs = |world: &World| -> Vec<Counter> {
        let states = world.store.counters().values().map(|kept| kept.state.clone());
        states
            .filter(|state| matches!(state, Counter::Backoff(_)))
            .collect()
    };
    sent(world.ask(send()));
    world.run(check(&wrong(&code(&world))));
    let before = runs(&world);
    world.advance(Duration::from_secs(61));
    sent(world.ask(send()));
    finding(runs(&world) == before, "i10: a send wrote a run of failures")
}

/// Long after, nothing transient is left.
pub fn i11_all_that_is_transient_ends(mut world: World) -> Finding {
    sent(world.ask(send()));
    world.run(check(&wrong(&code(&world))));
    all_ends(world)
}

/// While the store is down nothing is sent.
pub fn i13_a_store_that_is_down_refuses(mut world: World) -> Finding {
    world.set_store_down(true);
    let refused = world.run(send()).0.answer == Err(Fault::StoreUnavailable);
    finding(
        refused && world.sent.is_empty(),
        "i13: sent while the store is down",
    )
}

/// The message leaves, and the flow and the store die.
pub fn i28_a_crash_sends_nothing_twice(mut world: World) -> Finding {
    let step = world.begin(send(), "dispatch");
    drop(world.perform(step));
    world.restart_store();
    world.run(send());
    finding(
        world.sent.len() == 1,
        "i28: sent again inside the gap after a crash",
    )
}

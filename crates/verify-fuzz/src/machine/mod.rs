//! The machine itself: commands and faults out of bytes.

mod plan;
mod run;

use verify_lab::Holds;
use verify_lab::explore::World;

use plan::Plan;
use run::Run;

/// A world under one of a few policies, and what the bytes say happens in it: commands, flows that go on, stop dead or
/// lose an answer in any order, a clock that jumps both ways, reports, ticks, rotated keys, changed policies. After
/// every step all is counted again.
pub fn machine(data: &[u8]) {
    if let Err(what) = machine_in(data, |world| world) {
        panic!("{what}");
    }
}

/// The same in a world that was changed beforehand: for tests that see whether anything would be noticed.
///
/// # Errors
/// What does not hold; the text begins with the promise.
pub fn machine_in(data: &[u8], change: impl Fn(World) -> World) -> Holds {
    match Plan::of(data) {
        Ok(plan) => Run::new(&plan, change).follow(plan.moves),
        Err(_) => Ok(()),
    }
}

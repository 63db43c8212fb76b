//! Clients that go on asking while something happens to those whom they ask.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// So many connections in a row that nobody takes are those of a test that went wrong.
const NOBODY: usize = 1_000_000;

/// How often something is killed; `VERIFY_KILLS` says otherwise.
pub fn kills() -> usize {
    std::env::var("VERIFY_KILLS").map_or(5, |kills| kills.parse().unwrap())
}

/// What clients are at.
#[derive(Default)]
pub struct Load {
    answered: AtomicUsize,
    over: AtomicBool,
}

impl Load {
    /// Waits until so many requests were answered, or a client found something wrong.
    pub fn reaches(&self, many: usize) {
        while self.answered.load(Ordering::SeqCst) < many && !self.over.load(Ordering::SeqCst) {
            thread::yield_now();
        }
    }

    fn client(&self, numbers: impl Iterator<Item = usize>, ask: &impl Fn(usize) -> bool) {
        let mut unanswered = 0;
        for number in numbers.take_while(|_| !self.over.load(Ordering::SeqCst)) {
            match ask(number) {
                true => {
                    self.answered.fetch_add(1, Ordering::SeqCst);
                    unanswered = 0;
                }
                false => unanswered += 1,
            }
            assert!(unanswered < NOBODY, "nobody answers any more");
        }
    }
}

/// Ends the load, also where somebody panics: whoever waits for answers would wait for ever.
struct Ends<'a>(&'a Load);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::SeqCst);
    }
}

/// So many clients ask, each with a number that no other request has, until the act is over; how many requests were answered, by what
/// `ask` says.
pub fn under_load(clients: usize, ask: impl Fn(usize) -> bool + Sync, act: impl FnOnce(&Load)) -> usize {
    let load = Load::default();
    thread::scope(|scope| {
        for client in 0..clients {
            let (load, ask) = (&load, &ask);
            scope.spawn(move || {
                let _ends = Ends(load);
                load.client((client..).step_by(clients), ask);
            });
        }
        let _ends = Ends(&load);
        act(&load);
    });
    load.answered.into_inner()
}

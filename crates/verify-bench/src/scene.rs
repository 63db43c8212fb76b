//! The scene of the rows: people with numbers and addresses, a machine that is driven without a runtime, and a phone
//! network that accepts everything.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use verify_core::code::Code;
use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::flow::{AssessAnswer, Machine, Routes, Start, Step};
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, Outcome};
use verify_core::policy::{Max, PolicySet};
use verify_core::port::{
    Assessment, Capabilities, Compared, Concluded, Dispatched, Inquired, Maker, ProviderName, Scopes,
};
use verify_core::seed::Seed;
use verify_core::store::{Changeset, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Dimension};

use crate::measure::{BenchError, Measured};

/// The one provider.
pub const PROVIDER: &str = "sms";
/// When every scene begins.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The number of person `n`, below four million: spread over 400 prefixes.
pub fn number(n: u64) -> String {
    format!("+1202{}{:04}", 300 + n % 400, n / 400)
}

/// The address of person `n`.
pub fn address(n: u64) -> IpAddr {
    let [_, _, _, _, _, b, c, d] = n.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(11, b, c, d))
}

/// A fingerprint that stands for the number `n`.
pub fn print(n: u64) -> Print {
    let mixed = |salt: u64| (n ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let wide = (u128::from(mixed(1)) << 64) | u128::from(mixed(2).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    Print::from_bytes(wide.to_be_bytes())
}

/// The default policy with room for a crowd: caps that many people share are counted and never reached.
pub fn policy() -> PolicySet {
    let mut policies = PolicySet::default();
    let policy = Arc::make_mut(&mut policies.default);
    for limit in &mut policy.limits {
        let shared = limit
            .by
            .iter()
            .any(|by| matches!(by, Dimension::Service | Dimension::Prefix));
        if shared {
            limit.max = Max::Units(1_000_000_000);
        }
    }
    policies
}

fn routes() -> Routes {
    let name: ProviderName = PROVIDER.into();
    let mut routes = Routes::default();
    for channel in Channel::ALL {
        routes.order.insert((*channel, None), vec![Arc::clone(&name)]);
    }
    let capabilities = Capabilities {
        name: Arc::clone(&name),
        channels: Channel::ALL.to_vec(),
        maker: Maker::Own,
        scopes: Scopes::default(),
        can_inquire: false,
        can_conclude: false,
        reports: false,
    };
    routes.providers.insert(name, capabilities);
    routes
}

/// A machine, its clock and the code that was sent last.
pub struct Scene {
    machine: Machine,
    keys: Arc<Keys>,
    /// What flows are told the time is.
    pub now: Timestamp,
    /// The code of the last message.
    pub last_code: String,
    seeds: u64,
}

impl Scene {
    /// A machine under [`policy`].
    pub fn new() -> Self {
        Self {
            machine: Machine::new(Arc::new(policy()), Arc::new(routes())),
            keys: Arc::new(Keys::generate(&[7; 32])),
            now: BEGIN,
            last_code: String::new(),
            seeds: 0,
        }
    }

    /// The clock goes on.
    pub fn advance(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Runs a command to its end on a store.
    pub fn run(&mut self, command: Command, mut store: impl FnMut(&Changeset) -> StoreAnswer) -> Outcome {
        let now = self.now;
        let start = self.start();
        let mut step = self.machine.start(command, start);
        loop {
            step = match step {
                Step::Store(step) => {
                    let answer = store(step.changeset());
                    step.resume(now, answer)
                }
                Step::Assess(step) => step.resume(now, AssessAnswer::Assessed(Assessment::default())),
                Step::Dispatch(step) => {
                    let code = step.request().code.as_ref().map(Code::expose);
                    self.last_code.clear();
                    self.last_code.push_str(code.unwrap_or_default());
                    step.resume(now, Dispatched::Accepted { upstream: None })
                }
                Step::Compare(step) => step.resume(now, Compared::Gone),
                Step::Inquire(step) => step.resume(now, Inquired::Unknown),
                Step::Conclude(step) => step.resume(now, Concluded::Gone),
                Step::Done(outcome) => return *outcome,
            };
        }
    }

    fn start(&mut self) -> Start {
        self.seeds += 1;
        let mut seed = [0; 32];
        for (byte, from) in seed.iter_mut().zip(self.seeds.to_be_bytes()) {
            *byte = from;
        }
        Start {
            now: self.now,
            seed: Seed::from_bytes(seed),
            keys: Arc::clone(&self.keys),
            open_breakers: BTreeSet::new(),
            human_check: false,
        }
    }

    /// Sends to person `n` from their own address; it has to be accepted.
    ///
    /// # Errors
    /// [`BenchError::OtherOutcome`] when it was not.
    pub fn send_to(&mut self, n: u64, store: impl FnMut(&Changeset) -> StoreAnswer) -> Measured<()> {
        let outcome = self.run(send(n, address(n)), store);
        match matches!(outcome.answer, Answer::Sent(_)) {
            true => Ok(()),
            false => Err(BenchError::OtherOutcome("send")),
        }
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A send to person `n`.
pub fn send(n: u64, from: IpAddr) -> Command {
    Command::Send(SendRequest::to(number(n)).ip(from))
}

/// A check of person `n`.
pub fn check(n: u64, code: &str) -> Command {
    Command::Check(CheckRequest::to(number(n), code).ip(address(n)))
}

#[cfg(test)]
mod tests {
    use verify_memstore::MemStore;

    use super::*;

    #[test]
    fn everybody_has_a_number_of_their_own_and_is_sent_to() {
        let (mut scene, store) = (Scene::new(), MemStore::new().without_outbox());
        for n in 0..2_000 {
            scene.send_to(n, |changeset| store.apply_now(changeset)).unwrap();
        }
        assert_eq!(store.usage().records, 2_000);
    }

    #[test]
    fn prints_do_not_repeat() {
        let prints: BTreeSet<_> = (0..10_000).map(print).collect();
        assert_eq!(prints.len(), 10_000);
    }
}

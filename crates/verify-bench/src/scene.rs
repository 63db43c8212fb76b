//! The scene of the rows: people with numbers and addresses, a machine that is driven without a runtime, and a phone
//! network that accepts everything.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use verify_core::code::Code;
use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::flow::{AssessAnswer, Machine, Outside, Question, Resting, Routes, Start, drive};
use verify_core::keys::{Keys, Print};
use verify_core::outcome::{Answer, Outcome, SendAnswer};
use verify_core::policy::{Max, PolicySet};
use verify_core::port::{
    Assessment, Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest,
    Dispatched, InquireRequest, Inquired, Maker, Scopes,
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
            .any(|by| matches!(by, Dimension::Service | Dimension::Prefix | Dimension::Network));
        if shared {
            limit.max = Max::Units(1_000_000_000);
        }
    }
    policies
}

fn provider() -> Capabilities {
    Capabilities {
        name: PROVIDER.into(),
        channels: Channel::ALL.to_vec(),
        maker: Maker::Own,
        scopes: Scopes::default(),
        can_inquire: false,
        can_conclude: false,
        reports: false,
        most_checks: None,
    }
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
            machine: Machine::new(Arc::new(policy()), Arc::new(Routes::in_order([provider()]))),
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
    pub fn run(&mut self, command: Command, store: impl FnMut(&Changeset) -> StoreAnswer) -> Outcome {
        let start = self.start();
        let step = self.machine.start(command, start);
        let mut phones = Phones {
            now: self.now,
            last_code: &mut self.last_code,
            store,
        };
        drive(step, &mut phones)
    }

    fn start(&mut self) -> Start {
        self.seeds += 1;
        let mut seed = [0; Seed::BYTES];
        for (byte, from) in seed.iter_mut().zip(self.seeds.to_be_bytes()) {
            *byte = from;
        }
        Start {
            now: self.now,
            seed: Seed::from_bytes(seed),
            keys: Arc::clone(&self.keys),
            resting: Resting::default(),
            human_check: false,
        }
    }

    /// Sends to person `n` from their own address; it has to be accepted.
    ///
    /// # Errors
    /// [`BenchError::OtherOutcome`] when it was not.
    pub fn send_to(&mut self, n: u64, store: impl FnMut(&Changeset) -> StoreAnswer) -> Measured<()> {
        let outcome = self.run(send(n, address(n)), store);
        match matches!(outcome.answer, Ok(Answer::Send(SendAnswer::Sent(_)))) {
            true => Ok(()),
            false => Err(BenchError::OtherOutcome("send")),
        }
    }
}

/// A store, and phones that take everything.
struct Phones<'a, S> {
    now: Timestamp,
    last_code: &'a mut String,
    store: S,
}

impl<S: FnMut(&Changeset) -> StoreAnswer> Outside for Phones<'_, S> {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        (self.store)(changeset)
    }

    fn assess(&mut self, _: &Question) -> AssessAnswer {
        AssessAnswer::Said(vec![Ok(Assessment::default())])
    }

    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
        let code = request.code.as_ref().map(Code::expose);
        self.last_code.clear();
        self.last_code.push_str(code.unwrap_or_default());
        Dispatched::Accepted { upstream: None }
    }

    fn compare(&mut self, _: &CompareRequest) -> Compared {
        Compared::Gone
    }

    fn inquire(&mut self, _: &InquireRequest) -> Inquired {
        Inquired::Unknown
    }

    fn conclude(&mut self, _: &ConcludeRequest) -> Concluded {
        Concluded::Gone
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

/// A send to person `n`.
pub fn send(n: u64, from: IpAddr) -> Command {
    SendRequest::to(number(n)).ip(from).into()
}

/// A check of person `n`.
pub fn check(n: u64, code: &str) -> Command {
    CheckRequest::to(number(n), code).ip(address(n)).into()
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
        let prints: std::collections::BTreeSet<_> = (0..10_000).map(print).collect();
        assert_eq!(prints.len(), 10_000);
    }
}

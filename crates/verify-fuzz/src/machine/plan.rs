//! What can happen, as data.

use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use verify_core::policy::{Max, PolicySet};

/// More moves than this are not looked at: a fuzzer would only grow its texts.
const MOST_MOVES: usize = 96;

/// A run.
#[derive(Debug)]
pub(super) struct Plan {
    /// Who makes codes.
    pub(super) kinds: u8,
    /// Which of [`POLICIES`] holds at first.
    pub(super) policy: u8,
    pub(super) moves: Vec<Move>,
}

impl Plan {
    /// All that the bytes say. A list of the derived kind asks for a yes before each of its entries; here a move follows
    /// as long as there are bytes.
    pub(super) fn of(data: &[u8]) -> arbitrary::Result<Self> {
        let mut bytes = Unstructured::new(data);
        let mut plan = Self {
            kinds: bytes.arbitrary()?,
            policy: bytes.arbitrary()?,
            moves: Vec::new(),
        };
        while !bytes.is_empty() && plan.moves.len() < MOST_MOVES {
            plan.moves.push(bytes.arbitrary()?);
        }
        Ok(plan)
    }
}

/// One thing that happens.
#[derive(Debug, Arbitrary)]
pub(super) enum Move {
    /// A command comes in.
    Open(Order),
    /// The next step of a flow.
    Step { flow: u8, way: Way },
    /// A command comes in and nothing happens besides.
    Do(Order),
    /// All that is open goes to its end.
    Settle,
    /// Time passes.
    Forth(u8),
    /// The clock is set back.
    Back(u8),
    /// Whatever is due is ticked.
    Sweep,
    /// A provider reports a message that it carried.
    Report { message: u8, what: u8, again: u8 },
    /// A provider refuses from now on, or no longer.
    Refuse { second: bool, kind: Option<u8> },
    /// What the scorer says from now on.
    Risk(u8),
    /// Keys are rotated.
    Rotate,
    /// Another policy holds.
    Policy(u8),
}

/// What happens to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arbitrary)]
pub(super) enum Way {
    Go,
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen, and nobody knows.
    LoseCall,
    /// It surely does not happen.
    Fail,
    /// The flow stops dead.
    Crash,
}

/// A command. Numbers choose among what there is.
#[derive(Debug, Arbitrary)]
pub(super) enum Order {
    Send {
        who: Who,
        channel: Option<u8>,
        key: Option<u8>,
        human: bool,
        decoy: bool,
    },
    Again {
        verification: u8,
        who: Who,
        channel: Option<u8>,
        key: Option<u8>,
    },
    Check {
        who: Who,
        guess: Guess,
        key: Option<u8>,
    },
    CheckId {
        verification: u8,
        who: Who,
        guess: Guess,
        key: Option<u8>,
    },
    Cancel(u8),
    Status(u8),
    Redeem {
        proof: u8,
        who: Who,
        key: Option<u8>,
    },
    Unlock(Who),
    Erase(Who),
}

/// Who asks.
#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) struct Who {
    pub(super) person: u8,
    pub(super) ip: u8,
    pub(super) device: Option<u8>,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
pub(super) enum Guess {
    /// A code that was sent.
    Sent(u8),
    Wrong,
    Malformed,
}

/// Jumps of the clock.
const SPANS: [u64; 12] = [
    1,
    999,
    10_000,
    29_999,
    30_000,
    61_000,
    120_000,
    301_000,
    901_000,
    3_601_000,
    86_400_000,
    2_592_000_000,
];

/// Which jump is meant.
pub(super) fn span(choice: u8) -> Duration {
    Duration::from_millis(SPANS[usize::from(choice) % SPANS.len()])
}

/// Rules of every sort, small enough to be met.
pub(super) static POLICIES: LazyLock<Vec<PolicySet>> = LazyLock::new(|| {
    [
        "",
        // Guesses follow one another.
        "[lockout]\nwaits = { 5 = \"15m\", 10 = \"1h\", 100 = \"never\" }\n",
        // Every send has a code of its own, and runs are short.
        "[code]\nresend = \"new\"\nttl = \"2m\"\n[lockout]\nwaits = { 1 = \"10s\", 3 = \"5m\" }\nforget_after = \"1h\"\n",
        // Nothing is told, and some are blocked.
        "[privacy]\ndisclosure = \"private\"\n[countries]\nblock = [\"GB\"]\n[risk]\nmedium = \"human_check\"\n",
        // Money, humans and alarms.
        "[prices]\ndefault = \"0.10 USD\"\n\
         [[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"country\"]\nmax = \"1 USD\"\nper = \"1h\"\n\
         [[limit]]\nname = \"sends_per_prefix\"\nmax = 10\nthen = \"human_check\"\n\
         [[limit]]\nname = \"sends_per_service\"\nmax = 20\nthen = \"alert\"\n\
         [[limit]]\nname = \"failures_per_service\"\nmax = 3\nthen = \"alert\"\n",
        // Nearly nothing is capped, and failures go on by themselves.
        "[channels]\nautomatic = \"always\"\n[lockout]\nwaits = { 1 = \"0s\", 50 = \"never\" }\n\
         [[limit]]\nname = \"checks_per_identity\"\nmax = 30\n\
         [[limit]]\nname = \"sends_per_destination\"\nmax = 25\n\
         [[limit]]\nname = \"sends_per_destination_day\"\nmax = \"unlimited\"\n\
         [[limit]]\nname = \"resend_gap\"\nmax = 3\nper = \"30s\"\n",
        // A destination for tests, short codes, and a purpose of its own.
        "[code]\nlength = 4\nallow_short = true\n[channels]\nat_end = \"step_up\"\n\
         [purposes.recovery.code]\nresend = \"new\"\nttl = \"1m\"\n[device]\nttl = \"1h\"\n[proof]\nttl = \"1m\"\n\
         [[tests.destination]]\nto = \"+12025550190\"\ncode = \"4242\"\nuntil = 2099-12-31\n",
    ]
    .into_iter()
    .map(|text| match PolicySet::from_toml(text) {
        Ok(loaded) => loaded.policies,
        Err(errors) => panic!("{errors}\n{text}"),
    })
    .collect()
});

/// The longest effect of any of them: after it everything that is counted is forgotten.
pub(super) fn longest() -> Duration {
    let policies = POLICIES.iter().map(|set| &set.default);
    let effects = policies.flat_map(|policy| {
        let limits = policy.limits.iter().filter(|limit| limit.max != Max::Unlimited);
        // A stamp may be rounded up by a sixteenth.
        limits
            .map(|limit| limit.per + limit.per / 16)
            .chain([policy.lockout.forget_after])
    });
    effects.max().unwrap_or_default()
}

//! What can happen, as data.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;
use std::time::Duration;

use arbitrary::{Arbitrary, Result, Unstructured};
use verify_core::policy::PolicySet;
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::explore::Way;
use verify_lab::reference::{Ask, CheckAsk, From, Guess, Of, Person, SendAsk};

/// More moves than this are not looked at: a fuzzer would only grow its texts.
const MOST_MOVES: usize = 96;

const NUMBER: &str = "+12025550123";
/// Of the same prefix.
const NEIGHBOUR: &str = "+12025550124";
/// Of a country that a policy blocks.
const ABROAD: &str = "+442079460018";
/// A policy says that it is for tests: approved without having been sent anything.
pub(super) const FOR_TESTS: &str = "+12025550190";
const MAILBOX: &str = "ann@example.com";
/// One with it to limits, and another one to a verification.
const TAGGED: &str = "Ann+shop@example.com";

/// Who may ask: most of them meet at one number.
const PEOPLE: [(&str, Option<&str>, Purpose); 12] = [
    (NUMBER, None, Purpose::SignIn),
    (NUMBER, Some("ann"), Purpose::SignIn),
    (NUMBER, Some("bob"), Purpose::SignIn),
    (NUMBER, Some("ann"), Purpose::Recovery),
    (NUMBER, None, Purpose::Transaction),
    (NEIGHBOUR, None, Purpose::SignIn),
    (NEIGHBOUR, Some("ann"), Purpose::SignIn),
    (ABROAD, None, Purpose::SignIn),
    (FOR_TESTS, None, Purpose::SignIn),
    (MAILBOX, Some("ann"), Purpose::SignIn),
    (TAGGED, Some("ann"), Purpose::SignIn),
    ("ANN@example.com", Some("ann"), Purpose::SignIn),
];

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
    pub(super) fn of(data: &[u8]) -> Result<Self> {
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
    Open(Asked),
    /// The next step of a flow.
    Step { flow: u8, goes: Goes },
    /// A command comes in and nothing happens besides.
    Do(Asked),
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

/// What happens to a step; `None` when the flow stops dead.
#[derive(Debug)]
pub(super) struct Goes(pub(super) Option<Way>);

impl<'a> Arbitrary<'a> for Goes {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match one_of::<5>(bytes)? {
            0 => Some(Way::Go),
            1 => Some(Way::LoseAnswer),
            2 => Some(Way::LoseCall),
            3 => Some(Way::Fail),
            _ => None,
        }))
    }
}

/// A command. Numbers choose among what there is.
#[derive(Debug)]
pub(super) struct Asked(pub(super) Ask);

impl<'a> Arbitrary<'a> for Asked {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        Ok(Self(match one_of::<9>(bytes)? {
            0 => {
                let (person, from) = who(bytes)?;
                let send = send(Of::Person(person), from, bytes)?;
                let (human, decoy) = bytes.arbitrary()?;
                Ask::Send(SendAsk { human, decoy, ..send })
            }
            1 => {
                let of = Of::Verification(number(bytes)?);
                Ask::Send(send(of, who(bytes)?.1, bytes)?)
            }
            2 => {
                let (person, from) = who(bytes)?;
                Ask::Check(check(Of::Person(person), from, bytes)?)
            }
            3 => {
                let of = Of::Verification(number(bytes)?);
                Ask::Check(check(of, who(bytes)?.1, bytes)?)
            }
            4 => Ask::Cancel(number(bytes)?),
            5 => Ask::Status(number(bytes)?),
            6 => Ask::Redeem(number(bytes)?, who(bytes)?.0, key(bytes)?),
            7 => {
                let (person, from) = who(bytes)?;
                Ask::Unlock(person, from.token.is_some_and(|number| number % 2 == 1))
            }
            _ => Ask::Erase(who(bytes)?.0),
        }))
    }
}

/// One of so many, as a derived kind chooses.
fn one_of<const N: u64>(bytes: &mut Unstructured<'_>) -> Result<u64> {
    Ok((u64::from(bytes.arbitrary::<u32>()?) * N) >> 32)
}

fn number(bytes: &mut Unstructured<'_>) -> Result<usize> {
    Ok(usize::from(bytes.arbitrary::<u8>()?))
}

/// Somebody, and from where.
fn who(bytes: &mut Unstructured<'_>) -> Result<(Person, From)> {
    let (person, host, device): (u8, u8, Option<u8>) = bytes.arbitrary()?;
    let (to, subject, purpose) = PEOPLE[usize::from(person) % PEOPLE.len()];
    let pays = |what: &str| (purpose == Purpose::Transaction).then(|| what.to_owned());
    let person = Person {
        subject: subject.map(str::to_owned),
        purpose,
        amount: pays("12.50 EUR"),
        payee: pays("Corner Shop"),
        ..Person::at(to)
    };
    let host = Some(host % 4).filter(|host| *host > 0);
    let from = From {
        ip: host.map(|host| IpAddr::from(Ipv4Addr::new(192, 0, 2, host))),
        token: device.map(usize::from),
        ..From::default()
    };
    Ok((person, from))
}

fn send(of: Of, from: From, bytes: &mut Unstructured<'_>) -> Result<SendAsk> {
    let channel: Option<u8> = bytes.arbitrary()?;
    Ok(SendAsk {
        by: channel.map(|choice| Channel::ALL[usize::from(choice) % Channel::ALL.len()]),
        from,
        key: key(bytes)?,
        consent: true,
        ..SendAsk::to(of)
    })
}

fn check(of: Of, from: From, bytes: &mut Unstructured<'_>) -> Result<CheckAsk> {
    let guess = match one_of::<3>(bytes)? {
        0 => Guess::Message(number(bytes)?),
        1 => Guess::Wrong,
        _ => Guess::Text("12a456".to_owned()),
    };
    let key = key(bytes)?;
    Ok(CheckAsk { of, guess, from, key })
}

fn key(bytes: &mut Unstructured<'_>) -> Result<Option<String>> {
    let key: Option<u8> = bytes.arbitrary()?;
    Ok(key.map(|key| format!("key {}", key % 4)))
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
         [[limit]]\nname = \"recoveries\"\ncounts = \"sends\"\nby = [\"subject\"]\nmax = 2\nper = \"1h\"\npurposes = [\"recovery\"]\n\
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

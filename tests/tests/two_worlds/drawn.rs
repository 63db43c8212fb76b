//! What is drawn: people, policies, what somebody does, and what is another one in each world.

use proptest::prelude::*;
use verify_core::command::{Person, UnlockRequest};
use verify_core::port::RiskLevel;
use verify_core::vocabulary::Channel;

pub const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

/// Two numbers, two mailboxes that are one to limits, and a test destination.
pub const PEOPLE: [&str; 5] = [
    "+12025550123",
    "+12025550124",
    "ann@example.com",
    "ann+shop@example.com",
    "+12025550190",
];

/// Who somebody says to be.
#[derive(Debug, Clone, Copy)]
pub struct As {
    pub to: usize,
    pub subject: bool,
    /// With the device token of an approval before all this.
    pub known: bool,
    pub pays: bool,
}

impl As {
    pub fn subject(self) -> Option<String> {
        self.subject.then(|| "ann".to_owned())
    }

    pub fn person(self) -> Person {
        let mut person = Person::at(PEOPLE[self.to]);
        if self.pays {
            person = person.pays("25.00 USD", "Corner Shop");
        }
        person.subject = self.subject();
        person
    }

    pub fn unlock(self) -> UnlockRequest {
        let mut unlock = UnlockRequest::at(PEOPLE[self.to]).check_limits(self.pays);
        unlock.subject = self.subject();
        unlock
    }
}

/// What somebody does, the same in both worlds.
#[derive(Debug, Clone)]
pub enum Act {
    Send {
        who: As,
        by: Option<Channel>,
        key: Option<u8>,
        human: bool,
        ip: u8,
    },
    /// Again, by the id of a verification.
    Again(usize, Channel),
    /// A wrong guess, by destination, perhaps with an idempotency key.
    Guess(As, Option<u8>),
    /// A wrong guess, by id.
    GuessAt(usize),
    Status(usize),
    Cancel(usize),
    Wait(u64),
    Risk(RiskLevel),
    /// Whether the providers' breakers are open, to sends and to comparisons, of the first and of the others.
    Rest([bool; 4]),
    Tick,
    /// The other policy is in force.
    Reload,
    /// The keys are rotated.
    Rotate(u8),
    /// What operators do, to everybody alike.
    Unlock(As),
    Erase(usize),
}

/// What is another one in each world: who exists, without a subject and as one, and everything that providers say and report, in
/// order.
#[derive(Debug, Clone)]
pub struct Secret {
    pub exists: [[bool; 2]; 5],
    pub says: Vec<u8>,
    /// What is left of a flow after its answer takes its next step after so many acts: a provider takes its time.
    pub pauses: Vec<usize>,
    /// After this act, of this message.
    pub reports: Vec<(usize, usize, bool)>,
}

pub fn act() -> impl Strategy<Value = Act> {
    let by = || prop_oneof![Just(Channel::Sms), Just(Channel::Call), Just(Channel::Whatsapp)];
    let who = || {
        let known = prop::bool::weighted(0.2);
        let pays = prop::bool::weighted(0.2);
        let who = (0usize..5, any::<bool>(), known, pays);
        who.prop_map(|(to, subject, known, pays)| As {
            to,
            subject,
            known,
            pays,
        })
    };
    let send = (
        who(),
        prop::option::of(by()),
        prop::option::weighted(0.3, 0u8..3),
        prop::bool::weighted(0.2),
        1u8..3,
    );
    let level =
        prop_oneof![4 => Just(RiskLevel::Low), 1 => Just(RiskLevel::Medium), 1 => Just(RiskLevel::High)];
    let wait = prop_oneof![
        prop::sample::select(vec![
            1_000u64, 6_000, 19_999, 20_000, 30_000, 60_000, 300_000, 600_000
        ]),
        0u64..90_000,
    ];
    prop_oneof![
        8 => send.prop_map(|(who, by, key, human, ip)| Act::Send { who, by, key, human, ip }),
        3 => (0usize..6, by()).prop_map(|(number, by)| Act::Again(number, by)),
        4 => (who(), prop::option::weighted(0.2, 0u8..3)).prop_map(|(who, key)| Act::Guess(who, key)),
        4 => (0usize..6).prop_map(Act::GuessAt),
        4 => (0usize..6).prop_map(Act::Status),
        2 => (0usize..6).prop_map(Act::Cancel),
        8 => wait.prop_map(Act::Wait),
        1 => level.prop_map(Act::Risk),
        1 => any::<[bool; 4]>().prop_map(Act::Rest),
        1 => Just(Act::Tick),
        1 => Just(Act::Reload),
        1 => any::<u8>().prop_map(Act::Rotate),
        1 => who().prop_map(Act::Unlock),
        1 => (0usize..5).prop_map(Act::Erase),
    ]
}

pub fn secret() -> impl Strategy<Value = Secret> {
    (
        any::<[[bool; 2]; 5]>(),
        prop::collection::vec(0u8..36, 60),
        prop::collection::vec(prop_oneof![3 => Just(0), 1 => 1usize..6], 120),
        prop::collection::vec((0usize..60, 0usize..12, any::<bool>()), 0..12),
    )
        .prop_map(|(exists, says, pauses, reports)| Secret {
            exists,
            says,
            pauses,
            reports,
        })
}

/// Policies in which what providers say would matter: short waits, codes that a resend replaces, fallback that goes on by itself.
pub fn rules() -> impl Strategy<Value = String> {
    let waits = prop_oneof![
        Just(""),
        Just("[lockout]\nwaits = { 1 = \"1s\", 4 = \"10s\" }\n"),
        Just(
            "[lockout]\nwaits = \"unlimited\"\n[[limit]]\nname = \"checks_per_identity\"\nmax = \"unlimited\"\n"
        ),
    ];
    let resend = prop_oneof![Just("same"), Just("new")];
    let automatic = prop_oneof![Just("never"), Just("always")];
    let limit = prop_oneof![
        Just(""),
        Just("[[limit]]\nname = \"sends_per_destination\"\nmax = 2\nper = \"1m\"\n"),
        Just("[[limit]]\nname = \"resend_gap\"\nper = \"5s\"\n"),
        Just(
            "[prices]\ndefault = \"1 EUR\"\n[[limit]]\nname = \"money\"\ncounts = \"spend\"\nby = [\"destination\"]\nmax = \"3 EUR\"\nper = \"1h\"\n"
        ),
    ];
    let blocked = prop_oneof![3 => Just(""), 1 => Just("[countries]\ndefault = \"human_check\"\n")];
    let length = prop::sample::select(vec![6_usize, 7, 8]);
    let parts = (waits, resend, automatic, limit, blocked, length);
    parts.prop_map(|(waits, resend, automatic, limit, blocked, length)| {
        let channels = format!(
            "[channels]\nenabled = [\"sms\", \"call\", \"whatsapp\", \"email\"]\nfallback = [\"sms\", \"call\", \"whatsapp\", \"email\"]\nautomatic = \"{automatic}\"\n"
        );
        let code = format!("[code]\nttl = \"10m\"\nlength = {length}\nresend = \"{resend}\"\n");
        let right = &"42424242"[..length];
        let test = format!("[[tests.destination]]\nto = \"+12025550190\"\ncode = \"{right}\"\nuntil = \"2099-01-01\"\n");
        format!("{PRIVATE}{channels}{code}{blocked}{waits}{limit}{test}")
    })
}

//! Under private disclosure two worlds that differ only in who exists, and in all that providers answer and report, give the same
//! answers, counts, instants and round trips to every sequence without the right code (I-40), on the pure machine.
//!
//! Narrower for a managed code, and so left out here: a comparison that fails is a 503 that a decoy has not.
#![allow(missing_docs, reason = "tests")]

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use verify_core::command::{
    CancelRequest, CheckRequest, Command, EraseRequest, Expected, Person, Report, ReportRequest, SendRequest,
    StatusRequest, TickRequest, UnlockRequest,
};
use verify_core::flow::{AssessAnswer, MOST_STEPS, Outside, Question, Step};
use verify_core::keys::PrintKind;
use verify_core::outcome::{Answer, CancelAnswer, CheckAnswer, Outcome, SendAnswer, StatusAnswer};
use verify_core::policy::{Disclosure, PolicySet};
use verify_core::port::{
    CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched, End,
    InquireRequest, Inquired, Rejection, RejectionKind, RiskLevel,
};
use verify_core::seed::Seed;
use verify_core::store::{Changeset, RecordKind, StoreAnswer};
use verify_core::time::Timestamp;
use verify_core::token::{DeviceToken, VerificationToken};
use verify_core::vocabulary::{Channel, ServiceId};
use verify_lab::explore::{Kinds, World};
use verify_tests::policy;

/// What a guess comes to that is right by chance: from there on the worlds may differ.
const APPROVED: &str = "approved";

const PRIVATE: &str = "version = 1\n[privacy]\ndisclosure = \"private\"\n";

/// Two numbers, two mailboxes that are one to limits, and a test destination.
const PEOPLE: [&str; 5] = [
    "+12025550123",
    "+12025550124",
    "ann@example.com",
    "ann+shop@example.com",
    "+12025550190",
];

/// Who somebody says to be.
#[derive(Debug, Clone, Copy)]
struct As {
    to: usize,
    subject: bool,
    /// With the device token of an approval before all this.
    known: bool,
    pays: bool,
}

impl As {
    fn subject(self) -> Option<String> {
        self.subject.then(|| "ann".to_owned())
    }

    fn person(self) -> Person {
        let mut person = Person::at(PEOPLE[self.to]);
        if self.pays {
            person = person.pays("25.00 USD", "Corner Shop");
        }
        person.subject = self.subject();
        person
    }

    fn unlock(self) -> UnlockRequest {
        let mut unlock = UnlockRequest::at(PEOPLE[self.to]).check_limits(self.pays);
        unlock.subject = self.subject();
        unlock
    }
}

/// What somebody does, the same in both worlds.
#[derive(Debug, Clone)]
enum Act {
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

/// What is another one in each world: who exists, and everything that providers say and report, in order.
#[derive(Debug, Clone)]
struct Secret {
    exists: [bool; 5],
    says: Vec<u8>,
    /// After this act, of this message.
    reports: Vec<(usize, usize, bool)>,
}

struct Side<'a> {
    world: World,
    /// The one in force first.
    policies: Vec<PolicySet>,
    secret: &'a Secret,
    said: usize,
    references: Vec<String>,
    trips: u32,
    told: Option<(Outcome, u32)>,
    /// The flow dies where it stands: nobody hears of it any more.
    dies: bool,
    ids: Vec<String>,
}

impl<'a> Side<'a> {
    fn new(policies: Vec<PolicySet>, kinds: Kinds, secret: &'a Secret) -> Self {
        Self {
            world: World::new(policies[0].clone(), kinds),
            policies,
            secret,
            said: 0,
            references: Vec::new(),
            trips: 0,
            told: None,
            dies: false,
            ids: Vec::new(),
        }
    }

    fn is_private(&self) -> bool {
        self.world.policies().default.privacy.disclosure == Disclosure::Private
    }

    /// What the next provider that is asked says.
    fn says(&mut self) -> u8 {
        let said = self.secret.says.get(self.said).copied().unwrap_or(0);
        self.said += 1;
        said
    }

    /// The answer, and the trips that it took.
    fn run(&mut self, command: impl Into<Command>) -> (Outcome, u32) {
        (self.trips, self.told, self.dies) = (0, None, false);
        let mut step = self.world.start(command);
        for _ in 0..MOST_STEPS {
            step = match step {
                Step::Done(outcome) => return self.told.take().unwrap_or((*outcome, self.trips)),
                step => step.perform(self),
            };
            if let Some(told) = self.told.take_if(|_| self.dies) {
                return told;
            }
        }
        panic!("a flow does not end")
    }

    /// What anybody can see of it.
    fn seen(&mut self, (outcome, trips): (Outcome, u32)) -> String {
        let answer = match outcome.answer {
            Ok(
                Answer::Send(SendAnswer::Sent(view) | SendAnswer::Repeated(view))
                | Answer::Status(StatusAnswer::Found(view))
                | Answer::Cancel(CancelAnswer::Canceled(view)),
            ) => {
                let mut view = *view;
                let id = std::mem::take(&mut view.id);
                let length = id.len();
                let number = self.ids.iter().position(|known| *known == id);
                let number = number.unwrap_or_else(|| {
                    self.ids.push(id);
                    self.ids.len() - 1
                });
                format!("{number} {length} {view:?}")
            }
            // A sealed reference differs from any other.
            Ok(Answer::Check(CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_))) => APPROVED.to_owned(),
            Ok(Answer::Send(SendAnswer::Refused(mut refusal))) => {
                refusal.step_up = refusal.step_up.map(|token| token.len().to_string());
                format!("{refusal:?}")
            }
            other => format!("{other:?}"),
        };
        match answer == APPROVED {
            true => answer,
            false => format!("{answer} in {trips}"),
        }
    }

    fn id(&self, number: usize) -> String {
        let count = self.ids.len().max(1);
        self.ids.get(number % count).cloned().unwrap_or_default()
    }

    fn act(&mut self, act: &Act) -> Option<String> {
        let whoever = Expected::Whoever;
        let ran = match act {
            Act::Send {
                who,
                by,
                key,
                human,
                ip,
            } => {
                let mut send = SendRequest::to(who.person())
                    .decoy(!self.secret.exists[who.to])
                    .ip(std::net::Ipv4Addr::new(192, 0, 2, *ip).into());
                send.channel = by.filter(|_| !PEOPLE[who.to].contains('@'));
                send.idempotency_key = key.map(|key| format!("k{key}"));
                send.human_check = human.then(|| "human".into());
                send.caller.device_token = self.device_token(*who);
                self.run(send)
            }
            Act::Again(number, by) => {
                let id = self.id(*number);
                // The application knows whether it knows them: it is asked for the destination of the id.
                let decoy = !self.exists_at(&id);
                self.run(SendRequest::again(id, whoever).by(*by).decoy(decoy))
            }
            Act::Guess(who, key) => {
                let mut check = CheckRequest::to(who.person(), guess(usize::from(key.unwrap_or(0))));
                check.idempotency_key = key.map(|key| format!("c{key}"));
                check.caller.device_token = self.device_token(*who);
                self.run(check)
            }
            Act::GuessAt(number) => self.run(CheckRequest::of(self.id(*number), guess(*number), whoever)),
            Act::Status(number) => self.run(StatusRequest::of(self.id(*number))),
            Act::Cancel(number) => self.run(CancelRequest::of(self.id(*number))),
            Act::Wait(ms) => {
                self.world.advance(Duration::from_millis(*ms));
                return None;
            }
            Act::Risk(level) => {
                self.world.risk = *level;
                return None;
            }
            Act::Rest(breakers) => {
                self.rest(*breakers);
                return None;
            }
            Act::Reload => {
                self.policies.rotate_left(1);
                self.world.use_policies(self.policies[0].clone());
                return None;
            }
            Act::Rotate(by) => {
                self.world.use_keys(self.world.keys().rotated(&[*by; 32]));
                return None;
            }
            Act::Unlock(who) => {
                self.run(who.unlock());
                return None;
            }
            Act::Erase(to) => {
                self.run(EraseRequest::at(PEOPLE[*to]));
                return None;
            }
            Act::Tick => {
                self.tick();
                return None;
            }
        };
        Some(self.seen(ran))
    }

    fn rest(&mut self, [first, others, first_compares, others_compare]: [bool; 4]) {
        let until = self.world.now + Duration::from_secs(30);
        let names = [("own", true), ("managed", false), ("second", false)];
        let rests = |first: bool, others: bool| {
            let open = names.iter().filter(|name| if name.1 { first } else { others });
            open.map(|(name, _)| ((*name).into(), until)).collect()
        };
        self.world.resting.sends = rests(first, others);
        self.world.resting.compares = rests(first_compares, others_compare);
    }

    fn device_token(&self, who: As) -> Option<String> {
        let (keys, service, now) = (self.world.keys(), ServiceId::default(), self.world.now);
        let print = |kind, text: &str| keys.prints(kind, &service, text.as_bytes()).newest();
        let token = DeviceToken {
            destination: print(PrintKind::Destination, PEOPLE[who.to]),
            subject: who.subject.then(|| print(PrintKind::Subject, "ann")),
            issued: now,
        };
        let seed = Seed::from_bytes([7; Seed::BYTES]);
        let issued = keys.issue(&service, now + Duration::from_secs(60), &seed, &token);
        who.known.then(|| issued.unwrap())
    }

    fn exists_at(&self, id: &str) -> bool {
        let (keys, service, now) = (self.world.keys(), ServiceId::default(), self.world.now);
        let token = keys.open_token::<VerificationToken>(&service, now, id);
        let to = token.map(|token| token.to).unwrap_or_default();
        let known = PEOPLE.iter().position(|person| *person == to);
        known.is_none_or(|known| self.secret.exists[known])
    }

    fn tick(&mut self) {
        let records = self.world.store.records().keys();
        let records = records.filter(|(_, key)| key.kind == RecordKind::Verifications);
        let records: Vec<_> = records.map(|(service, key)| (service.clone(), *key)).collect();
        for (service, record) in records {
            self.run(TickRequest::of(record).service(service));
        }
    }

    /// What is reported after so many acts.
    fn reported(&mut self, after: usize) {
        let secret = self.secret;
        for (nth, (at, message, arrived)) in secret.reports.iter().enumerate() {
            let count = self.references.len();
            if *at != after || count == 0 {
                continue;
            }
            let report = match arrived {
                true => Report::Delivered,
                false => Report::Undelivered(Detail::default()),
            };
            let reference = self.references[message % count].clone();
            let (outcome, _) = self.run(ReportRequest::of(reference, report, nth.to_string()));
            outcome.follow_up.map(|next| self.run(*next));
        }
    }
}

/// A wrong one, of each length in turn.
fn guess(nth: usize) -> &'static str {
    &"00000000"[..6 + nth % 3]
}

impl Outside for Side<'_> {
    fn now(&self) -> Timestamp {
        self.world.now
    }

    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        self.trips += 1;
        self.world.apply(changeset)
    }

    fn assess(&mut self, question: &Question) -> AssessAnswer {
        self.world.assess(question)
    }

    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
        assert!(
            self.told.is_some() || !self.is_private(),
            "nobody is asked before the answer"
        );
        let said = self.says();
        // Often enough that what is begun again under its key, and what a repair finds, is met.
        self.dies = said % 6 == 1;
        if said % 3 != 2 {
            self.references.push(request.reference.clone());
        }
        match said {
            2 | 5 | 8 | 11 | 14 | 17 | 20 | 23 | 26 | 29 | 32 => {
                let kinds = RejectionKind::ALL;
                Dispatched::Rejected(Rejection {
                    kind: kinds[usize::from(said / 3) % kinds.len()],
                    retry_after: said.is_multiple_of(2).then(|| Duration::from_secs(40)),
                    detail: Detail::default(),
                })
            }
            3 => Dispatched::Unknown(Detail::default()),
            _ => Dispatched::Accepted {
                upstream: (said != 4).then(|| format!("VE{}", self.said)),
            },
        }
    }

    fn compare(&mut self, request: &CompareRequest) -> Compared {
        match self.says() % 4 {
            0 | 1 => Compared::NoMatch,
            2 => Compared::Gone,
            _ => Compared::Ended {
                upstream: request.upstream.clone().unwrap_or_default(),
                end: End::UsedUp,
            },
        }
    }

    fn inquire(&mut self, _: &InquireRequest) -> Inquired {
        match self.says() % 4 {
            0 => Inquired::Sent { upstream: None },
            1 => Inquired::Converted { upstream: None },
            2 => Inquired::NotSent,
            _ => Inquired::Unknown,
        }
    }

    fn conclude(&mut self, _: &ConcludeRequest) -> Concluded {
        assert!(
            self.told.is_some() || !self.is_private(),
            "nobody is told before the answer"
        );
        match self.says() % 3 {
            0 => Concluded::Done,
            1 => Concluded::Gone,
            _ => Concluded::Unknown(Detail::default()),
        }
    }

    fn told(&mut self, outcome: &Outcome) {
        self.told = Some((outcome.clone(), self.trips));
    }
}

/// What differs between the two worlds, if anything.
fn differs(texts: &[String], kinds: Kinds, acts: &[Act], secrets: [&Secret; 2]) -> Result<(), String> {
    let policies: Vec<PolicySet> = texts.iter().map(|text| policy(text)).collect();
    let [mut one, mut other] = secrets.map(|secret| Side::new(policies.clone(), kinds, secret));
    let mut log = Vec::new();
    for (number, act) in acts.iter().enumerate() {
        let (seen, there) = (one.act(act), other.act(act));
        if [&seen, &there].contains(&&Some(APPROVED.to_owned())) {
            return Ok(());
        }
        log.push(format!("{act:?}\n    {seen:?}"));
        if seen != there {
            return Err(format!("{}\n    {there:?}\n{}", log.join("\n"), texts.join("\n")));
        }
        // Reports and ticks are nobody's acts, and each has a seed of its own.
        one.reported(number);
        other.reported(number);
    }
    Ok(())
}

fn act() -> impl Strategy<Value = Act> {
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

fn secret() -> impl Strategy<Value = Secret> {
    (
        any::<[bool; 5]>(),
        prop::collection::vec(0u8..36, 60),
        prop::collection::vec((0usize..60, 0usize..12, any::<bool>()), 0..12),
    )
        .prop_map(|(exists, says, reports)| Secret {
            exists,
            says,
            reports,
        })
}

/// Policies in which what providers say would matter: short waits, codes that a resend replaces, fallback that goes on by itself.
fn rules() -> impl Strategy<Value = String> {
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

/// The same in every run. `PROPTEST_CASES` runs more, `PROPTEST_RNG_SEED` others.
fn config() -> ProptestConfig {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: number("PROPTEST_CASES").map_or(400, |more: u64| u32::try_from(more).unwrap_or(u32::MAX)),
        rng_seed: RngSeed::Fixed(number("PROPTEST_RNG_SEED").unwrap_or(9)),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn i40_two_worlds_look_alike_with_own_codes(
        rules in prop::collection::vec(rules(), 2), acts in prop::collection::vec(act(), 1..60),
        one in secret(), other in secret(), second in any::<bool>()
    ) {
        let kinds = if second { Kinds::TwoOwn } else { Kinds::Own };
        differs(&rules, kinds, &acts, [&one, &other]).map_err(TestCaseError::fail)?;
    }

    #[test]
    fn i40_two_worlds_look_alike_with_managed_codes(
        rules in prop::collection::vec(rules(), 2), acts in prop::collection::vec(act(), 1..60),
        one in secret(), other in secret(), second in any::<bool>()
    ) {
        let kinds = if second { Kinds::OwnThenManaged } else { Kinds::Managed };
        differs(&rules, kinds, &acts, [&one, &other]).map_err(TestCaseError::fail)?;
    }
}

/// The property can fail: where refusals are told, a provider's word tells the same two worlds apart.
#[test]
fn i40_under_open_disclosure_a_rejection_tells_two_worlds_apart() {
    let [says, rejects] = [0, 2].map(|said| Secret {
        exists: [true; 5],
        says: vec![said; 60],
        reports: Vec::new(),
    });
    let send = Act::Send {
        who: As {
            to: 0,
            subject: false,
            known: false,
            pays: false,
        },
        by: None,
        key: None,
        human: false,
        ip: 1,
    };
    for (text, same) in [("version = 1\n", false), (PRIVATE, true)] {
        let found = differs(
            &[text.to_owned()],
            Kinds::Own,
            std::slice::from_ref(&send),
            [&says, &rejects],
        );
        assert_eq!(found.is_ok(), same, "{found:?}");
    }
}

//! Orders as commands, in a world where this much is known.

use std::net::{IpAddr, Ipv4Addr};

use verify_core::command::{
    Caller, CheckRequest, Command, PersonRequest, RedeemRequest, SendRequest, Target, VerificationRequest,
};
use verify_core::policy::{Counts, Disclosure, Max, Policy};
use verify_core::vocabulary::{Channel, Dimension, Purpose, ServiceId};
use verify_lab::explore::World;

use super::plan::{Guess, Order, Who};

const NUMBER: &str = "+12025550123";
/// Of the same prefix.
const NEIGHBOUR: &str = "+12025550124";
/// Of a country that a policy blocks.
const ABROAD: &str = "+442079460018";
/// A policy says that it is for tests: approved without having been sent anything.
pub(super) const FOR_TESTS: &str = "+12025550190";
const MAILBOX: &str = "ann@example.com";

/// Who may ask: most of them meet at one number.
const PEOPLE: [(&str, Option<&str>, Purpose); 10] = [
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
];

/// A verification that somebody was told of.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) to: String,
    pub(super) subject: bool,
}

/// What the callers know by now.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) verifications: Vec<Told>,
    pub(super) proofs: Vec<String>,
    pub(super) device_tokens: Vec<String>,
}

/// What is known of a command besides itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    /// Where it is about.
    pub(super) to: String,
    pub(super) subject: bool,
    /// How many limits a send is charged on at the least.
    pub(super) least: usize,
    pub(super) guess: Option<String>,
    pub(super) malformed: bool,
    pub(super) decoy: bool,
    /// The policy says that it is never sent to.
    pub(super) test: bool,
    /// The proof and the idempotency key of a redemption.
    pub(super) redeems: Option<(String, Option<String>)>,
}

impl Who {
    fn to(self) -> &'static str {
        chosen(&PEOPLE, self.person).0
    }

    fn subject(self) -> Option<String> {
        chosen(&PEOPLE, self.person).1.map(str::to_owned)
    }

    fn purpose(self) -> Purpose {
        chosen(&PEOPLE, self.person).2
    }

    fn caller(self, known: &Known) -> Caller {
        let host = Some(self.ip % 4).filter(|host| *host > 0);
        let token = self.device.filter(|_| !known.device_tokens.is_empty());
        Caller {
            ip: host.map(|host| IpAddr::from(Ipv4Addr::new(192, 0, 2, host))),
            device_token: token.map(|choice| chosen(&known.device_tokens, choice).clone()),
            ..Caller::default()
        }
    }

    fn payment(self) -> Option<(String, String)> {
        (self.purpose() == Purpose::Transaction).then(|| ("12.50 EUR".to_owned(), "Corner Shop".to_owned()))
    }
}

impl Known {
    /// The command, unless it is about something that is not there.
    pub(super) fn command(&self, order: Order, world: &World, policy: &Policy) -> Option<(Command, Facts)> {
        match order {
            Order::Send {
                who,
                channel,
                key,
                human,
                decoy,
            } => {
                let mut request = SendRequest::to(who.to());
                self.fill(&mut request, who, channel, key);
                request.subject = who.subject();
                request.purpose = who.purpose();
                (request.amount, request.payee) = who.payment().unzip();
                request.human_check = human.then(|| "human".to_owned());
                request.decoy = decoy;
                Some(of_send(request, who.to(), policy))
            }
            Order::Again {
                verification,
                who,
                channel,
                key,
            } => {
                let told = self.told(verification)?;
                let mut request = SendRequest::again(&told.id);
                self.fill(&mut request, who, channel, key);
                let mut sent = of_send(request, &told.to, policy);
                sent.1.subject = told.subject;
                Some(sent)
            }
            Order::Check { who, guess, key } => {
                let mut request = CheckRequest::to(who.to(), guess.text(world));
                request.subject = who.subject();
                request.purpose = who.purpose();
                (request.amount, request.payee) = who.payment().unzip();
                request.caller = who.caller(self);
                request.idempotency_key = key.map(named);
                Some(of_check(request, who.to(), guess))
            }
            Order::CheckId {
                verification,
                who,
                guess,
                key,
            } => {
                let told = self.told(verification)?;
                let mut request = CheckRequest::of(&told.id, guess.text(world));
                request.caller = who.caller(self);
                request.idempotency_key = key.map(named);
                Some(of_check(request, &told.to, guess))
            }
            Order::Cancel(choice) => Some((Command::Cancel(self.naming(choice)?), Facts::default())),
            Order::Status(choice) => Some((Command::Status(self.naming(choice)?), Facts::default())),
            Order::Redeem { proof, who, key } => self.redeem(proof, who, key),
            Order::Unlock(who) => Some((Command::Unlock(person(who)), Facts::default())),
            Order::Erase(who) => Some((Command::Erase(person(who)), Facts::default())),
        }
    }

    fn fill(&self, request: &mut SendRequest, who: Who, channel: Option<u8>, key: Option<u8>) {
        request.channel = channel.map(|choice| *chosen(Channel::ALL, choice));
        request.caller = who.caller(self);
        request.consent = true;
        request.idempotency_key = key.map(named);
    }

    fn told(&self, choice: u8) -> Option<&Told> {
        (!self.verifications.is_empty()).then(|| chosen(&self.verifications, choice))
    }

    fn naming(&self, choice: u8) -> Option<VerificationRequest> {
        self.told(choice).map(|told| VerificationRequest {
            service: ServiceId::default(),
            verification_id: told.id.clone(),
        })
    }

    fn redeem(&self, choice: u8, who: Who, key: Option<u8>) -> Option<(Command, Facts)> {
        if self.proofs.is_empty() {
            return None;
        }
        let proof = chosen(&self.proofs, choice).clone();
        let (amount, payee) = who.payment().unzip();
        let key = key.map(named);
        let request = RedeemRequest {
            service: ServiceId::default(),
            proof: proof.clone(),
            purpose: who.purpose(),
            to: who.to().to_owned(),
            country: None,
            subject: who.subject(),
            amount,
            payee,
            idempotency_key: key.clone(),
        };
        let facts = Facts {
            redeems: Some((proof, key)),
            ..Facts::default()
        };
        Some((Command::Redeem(request), facts))
    }
}

impl Guess {
    fn text(self, world: &World) -> String {
        match self {
            Self::Sent(choice) if !world.sent.is_empty() => chosen(&world.sent, choice).code.clone(),
            Self::Sent(_) | Self::Wrong => "314159".to_owned(),
            Self::Malformed => "12a456".to_owned(),
        }
    }
}

fn chosen<T>(among: &[T], choice: u8) -> &T {
    &among[usize::from(choice) % among.len()]
}

fn named(key: u8) -> String {
    format!("key {}", key % 4)
}

fn person(who: Who) -> PersonRequest {
    PersonRequest {
        service: ServiceId::default(),
        to: who.to().to_owned(),
        country: None,
        subject: who.subject(),
    }
}

fn of_send(request: SendRequest, to: &str, policy: &Policy) -> (Command, Facts) {
    let facts = Facts {
        to: to.to_owned(),
        subject: request.subject.is_some(),
        least: least_charges(&request, to, policy),
        test: policy.tests.iter().any(|test| test.to == to),
        // Where refusals are told there is nobody to hide.
        decoy: request.decoy && policy.privacy.disclosure == Disclosure::Private,
        ..Facts::default()
    };
    (Command::Send(request), facts)
}

fn of_check(request: CheckRequest, to: &str, guess: Guess) -> (Command, Facts) {
    let facts = Facts {
        to: to.to_owned(),
        subject: request.subject.is_some(),
        guess: Some(request.code.clone()),
        malformed: matches!(guess, Guess::Malformed),
        ..Facts::default()
    };
    (Command::Check(request), facts)
}

/// The limits on sends and money whose every dimension this request surely has.
fn least_charges(request: &SendRequest, to: &str, policy: &Policy) -> usize {
    let has = |dimension: &Dimension| match dimension {
        Dimension::Destination | Dimension::Service => true,
        Dimension::Ip => request.caller.ip.is_some(),
        Dimension::Subject => request.subject.is_some() && matches!(request.target, Target::To { .. }),
        Dimension::Country | Dimension::Prefix => to.starts_with('+'),
        Dimension::Device => request.caller.device.is_some(),
        Dimension::Asn => request.caller.asn.is_some(),
    };
    let limits = policy.limits.iter();
    limits
        .filter(|limit| matches!(limit.counts, Counts::Sends | Counts::Spend))
        .filter(|limit| limit.max != Max::Unlimited && limit.by.iter().all(has))
        .count()
}

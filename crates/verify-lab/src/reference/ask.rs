//! Commands and answers in words that do not depend on who answers: a verification, a message, an approval is named by
//! its number in the order in which the run brought it forth, the first is 0.

use std::net::IpAddr;

use verify_core::command;
use verify_core::outcome::RefusalCode;
use verify_core::port::{RejectionKind, RiskLevel};
use verify_core::record::{DeliveryStatus, Status};
use verify_core::time::{Timestamp, Until};
use verify_core::vocabulary::{Channel, Payment, Purpose};

/// Whom a command is about: a destination as somebody typed it, and the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Number or mailbox.
    pub to: String,
    /// The application's user id.
    pub subject: Option<String>,
    /// Why.
    pub purpose: Purpose,
    /// What is paid.
    pub amount: Option<String>,
    /// To whom.
    pub payee: Option<String>,
}

impl Person {
    /// Somebody who signs in, without a user id.
    pub fn at(to: impl Into<String>) -> Self {
        Self {
            to: to.into(),
            subject: None,
            purpose: Purpose::SignIn,
            amount: None,
            payee: None,
        }
    }

    /// The same for a command. An amount goes with a payee, or not at all.
    pub(super) fn meant(&self) -> command::Person {
        let payment = self.amount.clone().zip(self.payee.clone());
        let mut person = command::Person::at(&self.to).purpose(self.purpose);
        person.subject.clone_from(&self.subject);
        person.payment = payment.map(|(amount, payee)| Payment { amount, payee });
        person
    }
}

/// Whom a send or a check names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Somebody, spelled out.
    Person(Person),
    /// The destination and identity of a verification, whoever's it is.
    Verification(usize),
    /// The same, when it is of this person.
    VerificationOf(usize, Person),
}

/// From where a command comes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct From {
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// A device id that the application chose.
    pub device: Option<String>,
    /// The device token of an approval.
    pub token: Option<usize>,
    /// It is the proof of that approval that is shown in the token's place.
    pub proof: bool,
}

/// A send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendAsk {
    /// To whom.
    pub of: Of,
    /// How.
    pub by: Option<Channel>,
    /// From where.
    pub from: From,
    /// The idempotency key.
    pub key: Option<String>,
    /// A human check was passed.
    pub human: bool,
    /// The person agreed to automatic fallback.
    pub consent: bool,
    /// The application knows no such recipient.
    pub decoy: bool,
}

impl SendAsk {
    /// A plain send.
    pub fn to(of: Of) -> Self {
        Self {
            of,
            by: None,
            from: From::default(),
            key: None,
            human: false,
            consent: false,
            decoy: false,
        }
    }
}

/// What is guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guess {
    /// The code that a message carried.
    Message(usize),
    /// A code that no message carried.
    Wrong,
    /// These characters.
    Text(String),
}

/// A check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckAsk {
    /// Of whom or what.
    pub of: Of,
    /// The guess.
    pub guess: Guess,
    /// From where.
    pub from: From,
    /// The idempotency key.
    pub key: Option<String>,
}

/// What a provider reports of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is on its way.
    Underway,
    /// It arrived.
    Delivered,
    /// It did not.
    Undelivered,
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Send.
    Send(SendAsk),
    /// Check.
    Check(CheckAsk),
    /// Cancel a verification.
    Cancel(usize),
    /// Read a verification.
    Status(usize),
    /// What became of a message.
    Report(usize, Fate),
    /// Spend the proof of an approval: which one, who says so, with which idempotency key.
    Redeem(usize, Person, Option<String>),
    /// An operator ends a lockout, and the check limits with it or not.
    Unlock(Person, bool),
    /// An operator erases a person's records.
    Erase(Person),
    /// Whatever is due is looked at.
    Tick,
}

impl Ask {
    /// The same about what there is: so many verifications, approvals and messages. Numbers begin again behind the last one.
    pub fn among(mut self, verifications: usize, approvals: usize, messages: usize) -> Self {
        let within = |number: &mut usize, all: usize| *number %= all.max(1);
        let of = |of: &mut Of| match of {
            Of::Verification(number) | Of::VerificationOf(number, _) => within(number, verifications),
            Of::Person(_) => {}
        };
        let from = |from: &mut From| from.token.iter_mut().for_each(|token| within(token, approvals));
        match &mut self {
            Self::Send(send) => {
                of(&mut send.of);
                from(&mut send.from);
            }
            Self::Check(check) => {
                of(&mut check.of);
                from(&mut check.from);
                match &mut check.guess {
                    Guess::Message(number) => within(number, messages),
                    Guess::Wrong | Guess::Text(_) => {}
                }
            }
            Self::Cancel(number) | Self::Status(number) => within(number, verifications),
            Self::Report(number, _) => within(number, messages),
            Self::Redeem(number, _, _) => within(number, approvals),
            Self::Unlock(..) | Self::Erase(_) | Self::Tick => {}
        }
        self
    }
}

/// What happens outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// The clock shows this from now on.
    Now(Timestamp),
    /// What the provider answers to sends from now on instead of sending.
    Rejects(Option<RejectionKind>),
    /// What the risk scorer says from now on.
    Risk(RiskLevel),
    /// What happens to the next send or check.
    Mishap(Mishap),
}

/// What can happen to a send or a check on its way. It is over with that command, whether or not it got that far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It stops dead once it was charged.
    StopsWhenCharged,
    /// It stops dead once the provider was asked, before anything of the answer is written.
    StopsWhenAsked,
    /// The provider does what it is asked, and its answer is lost.
    AnswerLost,
    /// The provider is not reached: nobody knows for a send, and a guess was surely not asked about.
    CallLost,
}

/// A verification as its caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Which one.
    pub verification: usize,
    /// Where it stands.
    pub status: Status,
    /// How it was sent last.
    pub channel: Channel,
    /// When its code dies.
    pub expires_at: Timestamp,
    /// When the same caller may send again.
    pub resend_at: Until,
    /// Sends left.
    pub sends_left: Option<u32>,
    /// Checks left.
    pub checks_left: Option<u32>,
    /// Its deliveries.
    pub deliveries: Vec<(Channel, DeliveryStatus)>,
    /// Channels that are offered.
    pub fallback: Vec<Channel>,
}

/// What a command was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// A challenge is on its way.
    Sent(Seen),
    /// The same send again.
    Repeated(Seen),
    /// The code was right.
    Approved {
        /// Which approval: the same one when it is told again.
        approval: usize,
        /// By which channel.
        channel: Channel,
    },
    /// The code was wrong.
    Wrong {
        /// Whether that closed it.
        status: Status,
        /// Checks left.
        checks_left: Option<u32>,
        /// When the next check is admitted.
        wait: Until,
    },
    /// As it is.
    Status(Seen),
    /// It is canceled now.
    Canceled(Seen),
    /// The report was taken, and told something new or not.
    Reported(bool),
    /// What was due was looked at.
    Ticked,
    /// The proof is spent.
    Redeemed {
        /// When the code was right.
        approved_at: Timestamp,
    },
    /// The lockout is over. What stands: a rule's name, whether of known callers, whether of somebody named, until when.
    Unlocked(Vec<(String, bool, bool, Until)>),
    /// So many verifications are gone.
    Erased(usize),
    /// No.
    Refused(Refused),
    /// The command stopped dead.
    Nothing,
    /// The system could not do it.
    Fault,
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its code.
    pub code: RefusalCode,
    /// When the same request would be admitted.
    pub wait: Option<Until>,
    /// Checks left.
    pub checks_left: Option<u32>,
    /// What else may be tried.
    pub fallback: Vec<Channel>,
    /// Every rule that stood against it, in the order of judgement; the code itself where no rule did.
    pub rules: Vec<String>,
}

impl Refused {
    /// By one rule.
    pub fn by(rule: &str, code: RefusalCode) -> Self {
        Self {
            code,
            wait: None,
            checks_left: None,
            fallback: Vec::new(),
            rules: vec![rule.to_owned()],
        }
    }

    /// With a code alone.
    pub fn because(code: RefusalCode) -> Self {
        Self::by(code.as_str(), code)
    }
}

/// Somebody who answers commands: the reference, the core, the engine.
pub trait Answers {
    /// How it is called in reports.
    fn name(&self) -> &'static str;
    /// Runs a command to its end.
    fn answer(&mut self, ask: &Ask) -> Told;
    /// Something happens outside.
    fn outside(&mut self, change: Outside);
    /// How many messages have truly gone out.
    fn messages(&self) -> usize;
    /// How many alerts were raised; `None` from somebody who does not say.
    fn alerts(&self) -> Option<usize> {
        None
    }
}

//! One flow, as whoever watches it sees it.

use std::rc::Rc;

use verify_core::command::{Command, SendRequest, Target};
use verify_core::destination::Destination;
use verify_core::flow::{MOST_STEPS, Step};
use verify_core::policy::{Counts, Disclosure, Max};
use verify_core::store::CounterKey;
use verify_core::token::VerificationToken;
use verify_core::vocabulary::Dimension;

use super::{Holds, holds};
use crate::explore::World;

/// One flow.
#[derive(Debug, Clone, Default)]
pub struct Course {
    pub(super) facts: Rc<Facts>,
    steps: usize,
    /// Limits that it charged and did not take back.
    pub(super) charged: Vec<CounterKey>,
    pub(super) counted_a_failure: bool,
    /// A provider may have compared its guess.
    pub(super) compared: bool,
}

/// What its command and the policy that it began under say of it.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) command: &'static str,
    /// So many limits a send is charged on at the least.
    pub(super) least: usize,
    /// What does not hold when something is sent.
    pub(super) silent: Option<&'static str>,
    malformed: bool,
    /// The proof and the idempotency key of a redemption.
    pub(super) redeems: Option<(String, Option<String>)>,
}

impl Course {
    /// A flow that begins in this world.
    pub fn of(command: &Command, world: &World) -> Self {
        let facts = match command {
            Command::Send(request) => Facts::of_send(request, world),
            Command::Check(request) => Facts {
                malformed: !request.code.bytes().all(|byte| byte.is_ascii_digit()),
                ..Facts::default()
            },
            Command::Redeem(request) => Facts {
                redeems: Some((request.proof.clone(), request.idempotency_key.clone())),
                ..Facts::default()
            },
            Command::Cancel(_)
            | Command::Status(_)
            | Command::Report(_)
            | Command::Tick(_)
            | Command::Unlock(_)
            | Command::Erase(_) => Facts::default(),
        };
        let command = command.name();
        Self {
            facts: Rc::new(Facts { command, ..facts }),
            ..Self::default()
        }
    }

    /// With its first step.
    pub(crate) fn begins(&self, step: &Step) -> Holds {
        holds(!self.facts.malformed || step.not_after().is_none(), || {
            "i14: a malformed code makes a trip".into()
        })
    }

    /// Before each step.
    pub(crate) fn step(&mut self) -> Holds {
        self.steps += 1;
        holds(self.steps <= MOST_STEPS, || {
            format!("i47: {} takes more than {MOST_STEPS} steps", self.facts.command)
        })
    }

    /// Before a managed provider compares a guess.
    pub(crate) fn compares(&mut self) -> Holds {
        self.compared = true;
        self.counted()
    }

    /// A managed provider says that it compared nothing, because all is over there.
    pub(crate) fn hears_of_the_end(&mut self) {
        self.compared = false;
    }

    /// When a guess was found wrong.
    pub(super) fn counted(&self) -> Holds {
        holds(self.counted_a_failure, || {
            "i06: compared before it was counted".into()
        })
    }
}

impl Facts {
    fn of_send(request: &SendRequest, world: &World) -> Self {
        let policy = world.policies().of(&request.service);
        let (to, country, subject, purpose) = match &request.target {
            Target::To(person) => {
                let subject = person.subject.is_some();
                (person.to.clone(), person.country, subject, person.purpose)
            }
            Target::Verification { id, .. } => {
                let token: Result<VerificationToken, _> =
                    world.keys().open_token(&request.service, world.now, id);
                let Ok(token) = token else {
                    return Self::default();
                };
                (token.to, None, token.subject.is_some(), token.purpose)
            }
        };
        let country = country.or(policy.channels.default_country);
        let Ok(to) = Destination::parse(&to, country, &policy.email) else {
            return Self::default();
        };
        let has = |dimension: &Dimension| match dimension {
            Dimension::Destination | Dimension::Service => true,
            Dimension::Ip | Dimension::Network => request.caller.ip.is_some(),
            Dimension::Subject => subject,
            Dimension::Country => to.country().is_some(),
            Dimension::Prefix => to.prefix().is_some(),
            Dimension::Device => request.caller.device.is_some(),
            Dimension::Asn => request.caller.asn.is_some(),
        };
        // A network may lift a limit.
        let lifted = |name| {
            policy
                .networks
                .iter()
                .any(|network| network.limits.contains_key(name))
        };
        let limits = policy.limits.iter();
        let least = limits
            .filter(|limit| matches!(limit.counts, Counts::Sends | Counts::Spend))
            .filter(|limit| limit.purposes.contains(&purpose))
            .filter(|limit| limit.max != Max::Unlimited && limit.by.iter().all(has))
            .filter(|limit| !lifted(&limit.name));
        let test = policy.tests.iter().any(|test| test.to == to.as_delivered());
        // Where refusals are told there is nobody to hide.
        let decoy = request.decoy && policy.privacy.disclosure == Disclosure::Private;
        Self {
            least: least.count(),
            silent: match (decoy, test) {
                (true, _) => Some("i40: a decoy is sent"),
                (false, true) => Some("i64: a test destination is sent to"),
                (false, false) => None,
            },
            ..Self::default()
        }
    }
}

//! What an actor is and what it can do.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, SendRequest};
use verify_core::outcome::{Answer, Refusal, RefusalCode, Verification};
use verify_core::time::Timestamp;

use crate::Chance;
use crate::ledger::Ledger;
use crate::world::{HUMAN, World};

/// Whose side an actor is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// It wants to sign in.
    Honest,
    /// It wants money, accounts or harm.
    Attacker,
}

/// Somebody who does something now and then.
pub trait Actor {
    /// Under which name the ledger keeps it. Actors with one name share an account.
    fn name(&self) -> &'static str;

    /// Which naive defence does not stop it; empty for honest people.
    fn defeats(&self) -> &'static str;

    /// Whose side it is on.
    fn side(&self) -> Side {
        Side::Attacker
    }

    /// Does the next thing, and says when it wants to be woken again; `None` ends it. An instant that is not in the
    /// future is taken as a millisecond from now.
    fn wake(&mut self, desk: &mut Desk<'_>) -> Option<Timestamp>;
}

/// An answer as its caller sees it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer.
    pub answer: Answer,
    /// How many trips to the store it took: what its latency tells.
    pub trips: u32,
    /// What refused. Callers do not see it; the ledger does.
    pub(crate) rule: Option<Arc<str>>,
}

impl Reply {
    /// The verification, where something is on its way or was already.
    pub fn sent(&self) -> Option<&Verification> {
        match &self.answer {
            Answer::Sent(verification) | Answer::Repeated(verification) => Some(verification),
            Answer::Approved(_)
            | Answer::WrongCode(_)
            | Answer::Status(_)
            | Answer::Canceled(_)
            | Answer::Reported { .. }
            | Answer::Ticked { .. }
            | Answer::Redeemed(_)
            | Answer::Unlocked
            | Answer::Erased { .. }
            | Answer::Refused(_)
            | Answer::Fault(_) => None,
        }
    }

    /// The refusal, where it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        if let Answer::Refused(refusal) = &self.answer {
            Some(refusal)
        } else {
            None
        }
    }

    /// True when a human check would do.
    pub fn asks_for_human(&self) -> bool {
        self.refusal()
            .is_some_and(|refusal| refusal.code == RefusalCode::HumanCheckRequired)
    }
}

/// How an honest person's visit ended.
#[derive(Debug, Clone)]
pub enum Leaving {
    /// Verified, after waits that refusals caused and that were not due to the person's own errors.
    Verified {
        /// The sum of those waits.
        waited: Duration,
    },
    /// No message came, and the person had enough.
    NoMessage,
    /// Refused for longer than a person waits.
    TurnedAway(Reply),
}

/// An actor's place in the world while it is awake.
pub struct Desk<'a> {
    pub(crate) now: Timestamp,
    pub(crate) actor: u64,
    pub(crate) account: usize,
    pub(crate) chance: &'a mut Chance,
    pub(crate) world: &'a mut World,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) newborn: &'a mut Vec<(Timestamp, Box<dyn Actor>)>,
}

impl Desk<'_> {
    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The actor's own chance.
    pub fn chance(&mut self) -> &mut Chance {
        self.chance
    }

    /// Sends.
    pub fn send(&mut self, request: SendRequest) -> Reply {
        self.run(Command::Send(request))
    }

    /// Checks.
    pub fn check(&mut self, request: CheckRequest) -> Reply {
        self.run(Command::Check(request))
    }

    /// The code of the latest message to a destination that the actor holds, in canonical form. An actor asks for its
    /// own destinations only: an approval with a code that its actor did not read here is kept as an account taken.
    pub fn received(&mut self, to: &str) -> Option<String> {
        let actor = self.actor;
        let letter = self.world.letter(to)?;
        letter.read_by = Some(actor);
        Some(letter.code.clone())
    }

    /// A token that shows a person, as people and services that sell solved checks have them.
    pub fn human_token(&self) -> String {
        HUMAN.to_owned()
    }

    /// An address somewhere: of a person at home, or of a residential proxy.
    pub fn any_address(&mut self) -> IpAddr {
        // 20.0.0.0 to 83.255.255.255: clear of private ranges, of which a policy may say something special.
        let low = self.chance.below(1 << 30) as u32;
        IpAddr::V4(Ipv4Addr::from(0x1400_0000 + low))
    }

    /// Brings another actor into the world, at an instant.
    pub fn spawn(&mut self, at: Timestamp, actor: impl Actor + 'static) {
        self.newborn.push((at, Box::new(actor)));
    }

    /// A person comes.
    pub fn arrives(&mut self) {
        self.ledger.arrives(self.account);
    }

    /// The person's visit is over.
    pub fn leaves(&mut self, how: &Leaving) {
        self.ledger.leaves(self.account, how);
    }

    fn run(&mut self, command: Command) -> Reply {
        let is_send = matches!(command, Command::Send(_));
        let ran = self.world.run(command, self.now);
        let read = ran.destination().and_then(|print| self.world.reader(&print)) == Some(self.actor);
        self.ledger.ran(self.account, self.now, is_send, read, &ran);
        Reply {
            rule: ran.refused_by(),
            trips: ran.trips,
            answer: ran.outcome.answer,
        }
    }
}

//! What an actor is and what it can do.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{CheckRequest, Command, Report, ReportRequest, SendRequest, StatusRequest};
use verify_core::outcome::{Answer, Fault, Refusal, RefusalCode, SendAnswer, VerificationView};
use verify_core::time::{Timestamp, Until};

use crate::ledger::{Asked, Ledger};
use crate::world::{HUMAN, Wanted, World};
use crate::{Chance, Weather};

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
    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp>;
}

/// An answer as its caller sees it.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The answer; `None` when the node died before it gave one.
    pub answer: Option<Result<Answer, Fault>>,
    /// How many trips to the store it took: what its latency tells.
    pub trips: u32,
    /// How long it took: nothing, but for a provider that does not answer.
    pub took: Duration,
    /// The time by the clock of the node that answered, which the instants of the answer are told by.
    pub clock: Timestamp,
    /// What refused. Callers do not see it; the ledger does.
    pub(crate) rule: Option<Arc<str>>,
}

impl Reply {
    /// The verification, where something is on its way or was already.
    pub fn sent(&self) -> Option<&VerificationView> {
        if let Answer::Send(SendAnswer::Sent(it) | SendAnswer::Repeated(it)) = self.answer()? {
            Some(it)
        } else {
            None
        }
    }

    /// The refusal, where it is one.
    pub fn refusal(&self) -> Option<&Refusal> {
        self.answer()?.refusal()
    }

    /// The answer, where there is one and it is no fault.
    pub fn answer(&self) -> Option<&Answer> {
        self.answer.as_ref()?.as_ref().ok()
    }

    /// How long after the answer an instant of it is; `None` for never.
    pub fn wait(&self, until: Until) -> Option<Duration> {
        until.wait_from(self.clock)
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

/// An actor's place in the world while it is awake: it calls from here, reads here what came for it, and is nowhere else.
pub struct Booth<'a> {
    pub(crate) now: Timestamp,
    pub(crate) actor: u64,
    pub(crate) account: usize,
    pub(crate) chance: &'a mut Chance,
    pub(crate) world: &'a mut World,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) newborn: &'a mut Vec<(Timestamp, Box<dyn Actor>)>,
    pub(crate) wanted: Wanted,
}

impl Booth<'_> {
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
        self.run(Asked::Send, request)
    }

    /// Checks.
    pub fn check(&mut self, request: CheckRequest) -> Reply {
        self.run(Asked::Check, request)
    }

    /// Reads how a verification stands.
    pub fn status(&mut self, verification_id: impl Into<String>) -> Reply {
        self.run(Asked::Read, StatusRequest::of(verification_id))
    }

    /// Reports a delivery, as a provider's callback does once its signature was found good. `dedupe` is the
    /// provider's name for the report.
    pub fn report(
        &mut self,
        reference: impl Into<String>,
        report: Report,
        dedupe: impl Into<String>,
    ) -> Reply {
        self.run(Asked::Report, ReportRequest::of(reference, report, dedupe))
    }

    /// The code of the latest message to a destination that the actor holds, in canonical form. An actor asks for its
    /// own destinations only: an approval with a code that its actor did not read here is kept as an account taken.
    pub fn received(&mut self, to: &str) -> Option<String> {
        self.messages(to, Timestamp::ZERO).into_iter().next()
    }

    /// The same of all that lie on the screen, newest first, but for those that left before that instant.
    pub fn messages(&mut self, to: &str, least: Timestamp) -> Vec<String> {
        let actor = self.actor;
        let Some(letter) = self.world.letter(to).filter(|letter| letter.at >= least) else {
            return Vec::new();
        };
        letter.read_by = Some(actor);
        let earlier = letter.earlier.iter().filter(|(at, _)| *at >= least);
        let earlier = earlier.map(|(_, code)| code.clone());
        std::iter::once(letter.code.clone()).chain(earlier).collect()
    }

    /// What the delivery reports of the latest message to a destination refer to it by: its carrier knows it, and
    /// whoever saw a callback go by.
    pub fn reference(&mut self, to: &str) -> Option<String> {
        self.world.letter(to).map(|letter| letter.reference.clone())
    }

    /// The links in the latest mails of all mailboxes, of those that left in this interval, its beginning left out:
    /// the verification's id and its code.
    pub fn links(&self, after: Timestamp, until: Timestamp) -> Vec<(String, String)> {
        let mails = self.world.letters().filter(|(to, letter)| {
            to.contains('@') && letter.at > after && letter.at <= until && !letter.link.is_empty()
        });
        mails
            .map(|(_, letter)| (letter.link.clone(), letter.code.clone()))
            .collect()
    }

    /// Changes the weather, for everybody.
    pub fn weather(&mut self, weather: Weather) {
        self.world.weather = weather;
    }

    /// The node of the actor's next command dies after so many steps of it.
    pub fn dies_after(&mut self, steps: usize) {
        self.wanted.dies_after = Some(steps);
    }

    /// The actor's next command runs on this node, of those that the weather has.
    pub fn on_node(&mut self, node: usize) {
        self.wanted.node = Some(node);
    }

    /// Keeps what the actor could tell of somebody who has an account, or has none: [`Ledger::looks`].
    pub fn saw(&mut self, look: String, has_account: bool) {
        self.ledger.saw(look, has_account);
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

    fn run(&mut self, asked: Asked, request: impl Into<Command>) -> Reply {
        let ran = self
            .world
            .run(request, self.now, std::mem::take(&mut self.wanted));
        let read = ran.destination().and_then(|print| self.world.reader(&print)) == Some(self.actor);
        self.ledger.ran(self.account, self.now, asked, read, &ran);
        Reply {
            rule: ran.refused_by(),
            trips: ran.trips,
            took: ran.took,
            clock: ran.clock,
            answer: ran.outcome.map(|outcome| outcome.answer),
        }
    }
}

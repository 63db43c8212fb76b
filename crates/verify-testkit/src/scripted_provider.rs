//! A provider that does as it is told, and remembers what it was asked and what it truly sent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use verify_core::ids::DeliveryId;
use verify_core::port::{
    Capabilities, Clock, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest,
    Dispatched, InquireRequest, Inquired, Maker, Provider, Rejection, RejectionKind, Scopes,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::Channel;

use crate::managed_codes::{ManagedCodes, SendsUsedUp};

/// The calls of a provider that can be scripted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// To send.
    Dispatch,
    /// To compare a guess.
    Compare,
    /// To say what became of a delivery.
    Inquire,
    /// To hear the end of a verification.
    Conclude,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Turn {
    /// What the provider would do of itself.
    Normally,
    /// It is refused and nothing happens: a dispatch is rejected with this kind, a compare was not asked, an inquiry
    /// and a conclusion remain unknown.
    Reject(RejectionKind),
    /// Nothing happens, and nobody can tell.
    Unknown,
    /// It happens, and the answer is lost.
    Lost,
    /// It waits for [`ScriptedProvider::release`], perhaps for ever, then happens normally. The engine drops a call after its
    /// timeout, by tokio's clock: without a release a test needs paused time for that (`start_paused`).
    Slow,
}

/// A call, as it came.
#[derive(Debug, Clone)]
pub enum Asked {
    /// To send.
    Dispatch(DispatchRequest),
    /// To compare a guess.
    Compare(CompareRequest),
    /// To say what became of a delivery.
    Inquire(InquireRequest),
    /// To hear the end of a verification.
    Conclude(ConcludeRequest),
}

/// A message that truly went out, whatever the engine was told.
#[derive(Clone, PartialEq, Eq)]
pub struct Sent {
    /// Where to.
    pub to: String,
    /// How.
    pub channel: Channel,
    /// The code that it carried.
    pub code: String,
    /// The provider's id.
    pub upstream: String,
    /// Which delivery.
    pub dispatch_id: DeliveryId,
    /// The reference that reports carry back.
    pub reference: String,
    /// When.
    pub at: Timestamp,
}

impl fmt::Debug for Sent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sent")
            .field("channel", &self.channel)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// A provider for tests. Without a script it sends, compares and answers as it should.
///
/// A managed one makes codes as Twilio Verify does: one for each scope and destination, the same on a resend for
/// ten minutes, five sends, five checks, gone after a match.
pub struct ScriptedProvider {
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    releases: Semaphore,
}

#[derive(Default)]
struct State {
    script: BTreeMap<Verb, VecDeque<Turn>>,
    asked: Vec<Asked>,
    sent: Vec<Sent>,
    codes: ManagedCodes,
    /// The ids of codes that matched.
    converted: BTreeSet<String>,
    unhealthy: Option<RejectionKind>,
}

impl ScriptedProvider {
    /// A provider that carries codes of the engine, on every channel, and can be asked what became of a delivery.
    pub fn own(name: &str, clock: Arc<dyn Clock>) -> Self {
        Self::new(name, Maker::Own, Scopes::default(), clock)
    }

    /// A provider that makes codes itself, on every channel, all in one scope.
    pub fn managed(name: &str, scope: &str, clock: Arc<dyn Clock>) -> Self {
        Self::new(
            name,
            Maker::Managed,
            Scopes {
                default: scope.into(),
                ..Scopes::default()
            },
            clock,
        )
    }

    fn new(name: &str, maker: Maker, scopes: Scopes, clock: Arc<dyn Clock>) -> Self {
        let capabilities = Capabilities {
            name: name.into(),
            channels: Channel::ALL.to_vec(),
            maker,
            scopes,
            can_inquire: true,
            can_conclude: maker == Maker::Managed,
            reports: true,
            most_checks: (maker == Maker::Managed).then_some(ManagedCodes::MOST_CHECKS),
        };
        Self {
            capabilities,
            clock,
            state: Mutex::default(),
            releases: Semaphore::new(0),
        }
    }

    /// With other capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// What happens to the next calls of a verb, after those already scripted.
    pub fn script(&self, verb: Verb, turns: impl IntoIterator<Item = Turn>) {
        self.state.lock().script.entry(verb).or_default().extend(turns);
    }

    /// Lets one slow call go on: one that waits, or the next that would.
    pub fn release(&self) {
        self.releases.add_permits(1);
    }

    /// What [`Provider::health`] says from now on; `None` is well.
    pub fn set_health(&self, trouble: Option<RejectionKind>) {
        self.state.lock().unhealthy = trouble;
    }

    /// Every call, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.state.lock().asked.clone()
    }

    /// How many calls of a verb there were.
    pub fn count(&self, verb: Verb) -> usize {
        self.state
            .lock()
            .asked
            .iter()
            .filter(|asked| asked.verb() == verb)
            .count()
    }

    /// Every message that truly went out, oldest first.
    pub fn sent(&self) -> Vec<Sent> {
        self.state.lock().sent.clone()
    }

    /// The newest message that truly went to a destination.
    pub fn last_sent_to(&self, to: &str) -> Option<Sent> {
        self.state
            .lock()
            .sent
            .iter()
            .rev()
            .find(|sent| sent.to == to)
            .cloned()
    }

    /// Writes the call down and takes its turn; a slow one waits here.
    async fn turn(&self, asked: Asked) -> Turn {
        let turn = {
            let mut state = self.state.lock();
            let turn = state.script.get_mut(&asked.verb()).and_then(VecDeque::pop_front);
            state.asked.push(asked);
            turn.unwrap_or(Turn::Normally)
        };
        if turn == Turn::Slow {
            if let Ok(release) = self.releases.acquire().await {
                release.forget();
            }
            return Turn::Normally;
        }
        turn
    }

    fn send(&self, request: &DispatchRequest) -> Dispatched {
        let now = self.clock.now();
        if now > request.not_after {
            return Dispatched::Rejected(rejection(RejectionKind::Down, "the deadline has passed"));
        }
        let mut state = self.state.lock();
        let (upstream, code) = match (self.capabilities.maker, &request.code) {
            (Maker::Own, Some(code)) => (format!("SM{:032x}", state.sent.len()), code.expose().to_owned()),
            (Maker::Own, None) => {
                return Dispatched::Rejected(rejection(
                    RejectionKind::BadRequest,
                    "there is no code to carry",
                ));
            }
            (Maker::Managed, _) => match state.codes.send(&request.scope, &request.to, now) {
                Ok(sent) => (sent.upstream, sent.code),
                Err(SendsUsedUp) => {
                    return Dispatched::Rejected(rejection(RejectionKind::DestinationQuota, "sends used up"));
                }
            },
        };
        state.sent.push(Sent {
            to: request.to.clone(),
            channel: request.channel,
            code,
            upstream: upstream.clone(),
            dispatch_id: request.dispatch_id,
            reference: request.reference.clone(),
            at: now,
        });
        Dispatched::Accepted {
            upstream: Some(upstream),
        }
    }

    fn compare_now(&self, request: &CompareRequest) -> Compared {
        let (scope, to, now) = (&request.scope, &request.to, self.clock.now());
        let mut state = self.state.lock();
        let upstream = state.codes.upstream(scope, to).map(str::to_owned);
        let compared = state.codes.compare(scope, to, request.code.expose(), now);
        if compared == Compared::Match {
            state.converted.extend(upstream);
        }
        compared
    }

    fn look_up(&self, request: &InquireRequest) -> Inquired {
        let state = self.state.lock();
        match state
            .sent
            .iter()
            .find(|sent| sent.dispatch_id == request.dispatch_id)
        {
            Some(sent) if state.converted.contains(&sent.upstream) => Inquired::Converted {
                upstream: Some(sent.upstream.clone()),
            },
            Some(sent) => Inquired::Sent {
                upstream: Some(sent.upstream.clone()),
            },
            None => Inquired::NotSent,
        }
    }
}

#[async_trait]
impl Provider for ScriptedProvider {
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        match self.turn(Asked::Dispatch(request.clone())).await {
            Turn::Normally | Turn::Slow => self.send(request),
            Turn::Reject(kind) => Dispatched::Rejected(rejection(kind, "scripted")),
            Turn::Unknown => Dispatched::Unknown(detail("scripted: nothing happened")),
            Turn::Lost => {
                self.send(request);
                Dispatched::Unknown(detail("scripted: the answer was lost"))
            }
        }
    }

    async fn compare(&self, request: &CompareRequest) -> Compared {
        let turn = self.turn(Asked::Compare(request.clone())).await;
        if self.capabilities.maker == Maker::Own {
            return Compared::NotAsked(detail("codes of the engine are not compared here"));
        }
        match turn {
            Turn::Normally | Turn::Slow => self.compare_now(request),
            Turn::Reject(_) => Compared::NotAsked(detail("scripted")),
            Turn::Unknown => Compared::Unknown(detail("scripted: nothing happened")),
            Turn::Lost => {
                self.compare_now(request);
                Compared::Unknown(detail("scripted: the answer was lost"))
            }
        }
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        match self.turn(Asked::Inquire(request.clone())).await {
            Turn::Normally | Turn::Slow => self.look_up(request),
            Turn::Reject(_) | Turn::Unknown | Turn::Lost => Inquired::Unknown,
        }
    }

    async fn conclude(&self, request: &ConcludeRequest) -> Concluded {
        let turn = self.turn(Asked::Conclude(request.clone())).await;
        let end = || {
            self.state
                .lock()
                .codes
                .end(&request.scope, &request.to, self.clock.now())
        };
        match turn {
            Turn::Normally | Turn::Slow => {
                if end() {
                    Concluded::Done
                } else {
                    Concluded::Gone
                }
            }
            Turn::Reject(_) | Turn::Unknown => Concluded::Unknown(detail("scripted: nothing happened")),
            Turn::Lost => {
                end();
                Concluded::Unknown(detail("scripted: the answer was lost"))
            }
        }
    }

    async fn health(&self) -> Result<(), Rejection> {
        self.state
            .lock()
            .unhealthy
            .map_or(Ok(()), |kind| Err(rejection(kind, "scripted")))
    }
}

impl fmt::Debug for ScriptedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedProvider")
            .field("name", &self.capabilities.name)
            .finish_non_exhaustive()
    }
}

impl Asked {
    /// Which verb it was.
    pub fn verb(&self) -> Verb {
        match self {
            Self::Dispatch(_) => Verb::Dispatch,
            Self::Compare(_) => Verb::Compare,
            Self::Inquire(_) => Verb::Inquire,
            Self::Conclude(_) => Verb::Conclude,
        }
    }
}

fn rejection(kind: RejectionKind, message: &str) -> Rejection {
    Rejection {
        kind,
        retry_after: None,
        detail: detail(message),
    }
}

fn detail(message: &str) -> Detail {
    Detail::new(None, message)
}

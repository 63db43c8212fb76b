//! A phone network without phones: what is sent lands in an inbox, and reports come as they would.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use verify_core::command::{Report, ReportRequest};
use verify_core::ids::DeliveryId;
use verify_core::port::{
    Clock, Detail, DispatchRequest, Dispatched, Inquired, Rejection, RejectionKind, RiskLevel,
};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Payment};

/// How long a message travels.
const TRAVEL: Duration = Duration::from_secs(1);
/// The most messages that all inboxes keep together; the oldest makes room.
const MOST_MESSAGES: usize = 1_000;
/// The most deliveries that it can be asked about, and the most reports that wait to be taken.
const MOST_DELIVERIES: usize = 10_000;

/// A message in an inbox. Its `Debug` shows neither where it went nor what it says.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The destination, as it was dispatched.
    pub to: String,
    /// How it came.
    pub channel: Channel,
    /// The code that it carries.
    pub code: String,
    /// What a person reads, or hears.
    pub body: String,
    /// When it arrived.
    pub at: Timestamp,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("channel", &self.channel)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after a second and is reported delivered.
    Arrives,
    /// It arrives after a second, and nobody reports it.
    ArrivesUnreported,
    /// It is accepted, does not arrive, and is reported undelivered.
    Undelivered {
        /// The network's code.
        code: u32,
        /// When that is reported.
        after: Duration,
    },
    /// The provider refuses it: surely not sent.
    Refused {
        /// Why.
        kind: RejectionKind,
        /// The provider's code.
        code: Option<u32>,
    },
    /// It arrives and is reported, but the provider's answer to the dispatch is lost.
    AnswerLost,
}

/// What becomes of the messages to a destination, by channel, and how risky it looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    usually: Fate,
    by_channel: BTreeMap<Channel, Fate>,
    risk: RiskLevel,
}

impl Behaviour {
    /// Everything arrives.
    pub fn arrives() -> Self {
        Self::always(Fate::Arrives)
    }

    /// The same on every channel.
    pub fn always(fate: Fate) -> Self {
        Self {
            usually: fate,
            by_channel: BTreeMap::new(),
            risk: RiskLevel::Low,
        }
    }

    /// Something else on this channel.
    #[must_use]
    pub fn on(mut self, channel: Channel, fate: Fate) -> Self {
        self.by_channel.insert(channel, fate);
        self
    }

    /// It looks that risky to a [`SimulatedRiskScorer`](crate::SimulatedRiskScorer).
    #[must_use]
    pub fn with_risk(mut self, level: RiskLevel) -> Self {
        self.risk = level;
        self
    }

    fn fate(&self, channel: Channel) -> Fate {
        self.by_channel.get(&channel).copied().unwrap_or(self.usually)
    }
}

/// The network. Time is that of its clock; nothing happens by itself.
///
/// A [`SimulatedProvider`](crate::SimulatedProvider) sends through it. Whoever runs it calls
/// [`PhoneNetwork::advance`] now and then, and hands the reports to the engine. It is bounded: of many messages the
/// oldest are forgotten, and of many deliveries it cannot tell any more.
pub struct PhoneNetwork {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    behaviours: BTreeMap<String, Behaviour>,
    messages: VecDeque<Message>,
    /// Deliveries that were sent, oldest first.
    carried: VecDeque<Carried>,
    /// True once a delivery had to make room: one that is not found may have been sent then.
    has_forgotten: bool,
    /// By when they are due, then by their number.
    reports: BTreeMap<(Timestamp, u64), ReportRequest>,
    count: u64,
}

struct Carried {
    dispatch_id: DeliveryId,
    upstream: String,
}

impl PhoneNetwork {
    /// A network on which everything arrives.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// A network with the demo mode's destinations: numbers that are landlines, opted out, down, and so on.
    pub fn with_demo_destinations(clock: Arc<dyn Clock>) -> Self {
        let network = Self::new(clock);
        for (to, behaviour) in crate::destinations::all() {
            network.set_behaviour(to, behaviour);
        }
        network
    }

    /// What becomes of messages to a destination from now on.
    pub fn set_behaviour(&self, to: &str, behaviour: Behaviour) {
        self.state.lock().behaviours.insert(to.to_owned(), behaviour);
    }

    /// What has arrived at a destination, in whatever case it is written, newest first.
    pub fn inbox(&self, to: &str) -> Vec<Message> {
        let now = self.clock.now();
        let state = self.state.lock();
        let arrived = state
            .messages
            .iter()
            .rev()
            .filter(|message| message.to.eq_ignore_ascii_case(to) && message.at <= now);
        let mut arrived: Vec<Message> = arrived.cloned().collect();
        // Stable: of two that came at once the one sent last stays first.
        arrived.sort_by_key(|message| std::cmp::Reverse(message.at));
        arrived
    }

    /// The delivery reports that are due by `now`, in the order of their time, each once.
    pub fn advance(&self, now: Timestamp) -> Vec<ReportRequest> {
        let mut state = self.state.lock();
        let mut due = Vec::new();
        while let Some(first) = state.reports.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        due
    }

    /// When the next report is due.
    pub fn next_report(&self) -> Option<Timestamp> {
        self.state.lock().reports.keys().next().map(|(due, _)| *due)
    }

    /// Carries a message, or refuses it.
    pub(crate) fn carry(&self, request: &DispatchRequest) -> Dispatched {
        let now = self.clock.now();
        if now > request.not_after {
            return rejected(RejectionKind::Down, None, "the deadline has passed");
        }
        let Some(code) = &request.code else {
            return rejected(RejectionKind::BadRequest, None, "there is no code to carry");
        };
        let mut state = self.state.lock();
        let fate = state
            .behaviours
            .get(&request.to)
            .map_or(Fate::Arrives, |behaviour| behaviour.fate(request.channel));
        if let Fate::Refused { kind, code } = fate {
            return rejected(kind, code, "this destination refuses by agreement");
        }
        let upstream = state.sent(request.dispatch_id);
        match fate {
            Fate::Arrives | Fate::AnswerLost => {
                state.deliver(request, code.expose(), now + TRAVEL);
                state.report(request, &upstream, now + TRAVEL, Report::Delivered);
            }
            Fate::ArrivesUnreported => state.deliver(request, code.expose(), now + TRAVEL),
            Fate::Undelivered { code, after } => {
                let detail = Detail::new(Some(code), "the handset cannot be reached");
                state.report(request, &upstream, now + after, Report::Undelivered(detail));
            }
            Fate::Refused { .. } => {}
        }
        if fate == Fate::AnswerLost {
            return Dispatched::Unknown(Detail::new(None, "the answer was lost"));
        }
        Dispatched::Accepted {
            upstream: Some(upstream),
        }
    }

    /// Whether a delivery was sent.
    pub(crate) fn look_up(&self, dispatch_id: DeliveryId) -> Inquired {
        let state = self.state.lock();
        match state
            .carried
            .iter()
            .find(|carried| carried.dispatch_id == dispatch_id)
        {
            Some(carried) => Inquired::Sent {
                upstream: Some(carried.upstream.clone()),
            },
            None if state.has_forgotten => Inquired::Unknown,
            None => Inquired::NotSent,
        }
    }

    /// How risky a destination looks.
    pub(crate) fn risk(&self, to: &str) -> RiskLevel {
        self.state
            .lock()
            .behaviours
            .get(to)
            .map_or(RiskLevel::Low, |behaviour| behaviour.risk)
    }
}

impl fmt::Debug for PhoneNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhoneNetwork")
            .field("messages", &self.state.lock().messages.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn sent(&mut self, dispatch_id: DeliveryId) -> String {
        self.count += 1;
        let upstream = format!("sim-{}", self.count);
        if self.carried.len() >= MOST_DELIVERIES {
            self.carried.pop_front();
            self.has_forgotten = true;
        }
        self.carried.push_back(Carried {
            dispatch_id,
            upstream: upstream.clone(),
        });
        upstream
    }

    fn deliver(&mut self, request: &DispatchRequest, code: &str, at: Timestamp) {
        if self.messages.len() >= MOST_MESSAGES {
            self.messages.pop_front();
        }
        self.messages.push_back(Message {
            to: request.to.clone(),
            channel: request.channel,
            code: code.to_owned(),
            body: body(request, code),
            at,
        });
    }

    fn report(&mut self, request: &DispatchRequest, upstream: &str, due: Timestamp, report: Report) {
        if self.reports.len() >= MOST_DELIVERIES {
            self.reports.pop_first();
        }
        let report = ReportRequest::of(&request.reference, report, upstream);
        let report = report.service(request.service.clone());
        self.reports.insert((due, self.count), report);
    }
}

/// What a person reads or hears. Who pays has to see what for.
fn body(request: &DispatchRequest, code: &str) -> String {
    let what = match &request.payment {
        Some(Payment { amount, payee }) => format!("Your code to pay {amount} to {payee}"),
        None => "Your verification code".to_owned(),
    };
    let minutes = request.code_ttl.as_secs().div_ceil(60);
    let code = match request.channel {
        Channel::Call => code.chars().map(String::from).collect::<Vec<_>>().join(" "),
        Channel::Sms | Channel::Whatsapp | Channel::Email => code.to_owned(),
    };
    format!("{what} is {code}. It works for {minutes} min. Do not tell it to anybody.")
}

fn rejected(kind: RejectionKind, code: Option<u32>, message: &str) -> Dispatched {
    Dispatched::Rejected(Rejection {
        kind,
        retry_after: None,
        detail: Detail::new(code, message),
    })
}

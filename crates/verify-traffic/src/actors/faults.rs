//! Faults as an opportunity: providers that fail, nodes that die, clocks that disagree, and who makes use of it.

use std::collections::VecDeque;
use std::time::Duration;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::time::Timestamp;

use crate::{Actor, Booth, Weather};

/// Weather that comes and goes.
#[derive(Debug, Clone)]
pub struct Forecast {
    name: &'static str,
    defeats: &'static str,
    /// What it will be like, and for how long each; fair after that.
    pub stages: VecDeque<(Duration, Weather)>,
}

impl Forecast {
    /// A provider whose answers are slow, failed or refused, and whose reports come three times.
    pub fn brownout(span: Duration) -> Self {
        let weather = Weather {
            slow: 0.2,
            server_error: 0.1,
            quota: 0.1,
            reports: 3,
            ..Weather::default()
        };
        Self::new("provider_brownout", "retry after a timeout", [(span, weather)])
    }

    /// Nodes that die in the middle of a command.
    pub fn dying_nodes(dies: f64, span: Duration) -> Self {
        let weather = Weather {
            dies,
            ..Weather::default()
        };
        Self::new("dying_nodes", "charge after the send", [(span, weather)])
    }

    /// Three nodes whose clocks are wrong by up to `by`; half-way, the right one jumps back by as much.
    pub fn skewed_clocks(by: Duration, span: Duration) -> Self {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let clocks = |middle| Weather {
            clocks: vec![-by, middle, by],
            ..Weather::default()
        };
        let stages = [(span / 2, clocks(0)), (span / 2, clocks(-by))];
        Self::new("skewed_clocks", "expiry by one clock", stages)
    }

    fn new<const N: usize>(
        name: &'static str,
        defeats: &'static str,
        stages: [(Duration, Weather); N],
    ) -> Self {
        Self {
            name,
            defeats,
            stages: stages.into(),
        }
    }
}

impl Actor for Forecast {
    fn name(&self) -> &'static str {
        self.name
    }

    fn defeats(&self) -> &'static str {
        self.defeats
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let Some((span, weather)) = self.stages.pop_front() else {
            booth.weather(Weather::default());
            return None;
        };
        booth.weather(weather);
        Some(booth.now() + span)
    }
}

/// What is asked of a node that is about to die.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dying {
    /// A message.
    Send,
    /// A guess, at a code that was asked for at a node that lives.
    Guess,
}

/// Messages or guesses whose nodes die, at each boundary in turn: what was not written down by then would be free.
#[derive(Debug, Clone)]
pub struct NodeCrash {
    /// Whose number.
    pub victim: String,
    /// Which of the two.
    pub asks: Dying,
    /// How long until the next try.
    pub every: Duration,
    round: usize,
}

impl NodeCrash {
    /// Tries that often.
    pub fn new(victim: String, asks: Dying, every: Duration) -> Self {
        Self {
            victim,
            asks,
            every,
            round: 0,
        }
    }
}

/// Boundaries of a command at which a node can die: a send again has five steps, and none of them may have happened.
const BOUNDARIES: usize = 6;

impl Actor for NodeCrash {
    fn name(&self) -> &'static str {
        "node_crash"
    }

    fn defeats(&self) -> &'static str {
        "counter written after the comparison"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let boundary = self.round % BOUNDARIES;
        self.round += 1;
        let mut send = SendRequest::to(self.victim.clone()).ip(booth.any_address());
        send.human_check = Some(booth.human_token());
        if self.asks == Dying::Send {
            booth.dies_after(boundary);
        }
        booth.send(send);
        if self.asks == Dying::Guess {
            let code = format!("{:06}", booth.chance().below(1_000_000));
            let check = CheckRequest::to(self.victim.clone(), code).ip(booth.any_address());
            booth.dies_after(boundary);
            booth.check(check);
        }
        Some(booth.now() + self.every)
    }
}

/// Messages and guesses at every node in turn: what one clock refuses another might admit.
#[derive(Debug, Clone)]
pub struct ClockSkew {
    /// Whose number.
    pub victim: String,
    /// How many nodes there are.
    pub nodes: usize,
    /// How long until the next round.
    pub every: Duration,
}

impl Actor for ClockSkew {
    fn name(&self) -> &'static str {
        "clock_skew"
    }

    fn defeats(&self) -> &'static str {
        "window by the wall clock"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        for node in 0..self.nodes {
            let mut send = SendRequest::to(self.victim.clone()).ip(booth.any_address());
            send.human_check = Some(booth.human_token());
            booth.on_node(node);
            booth.send(send);
            let code = format!("{:06}", booth.chance().below(1_000_000));
            let check = CheckRequest::to(self.victim.clone(), code).ip(booth.any_address());
            booth.on_node(node);
            booth.check(check);
        }
        Some(booth.now() + self.every)
    }
}

//! The loop: does what a step says, hands the answer back, until the flow is over.

use tokio::time::Instant;
use tracing::Instrument;
use verify_core::command::Command;
use verify_core::flow::{MOST_STEPS, Start, Step};
use verify_core::outcome::{Explanation, Fault, Outcome};
use verify_core::seed::Seed;
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::engine::Inner;
use crate::outside::Outside;
use crate::telemetry;

/// A flow that has begun: its first step is known, and nothing was asked outside.
pub(crate) struct Flow {
    step: Step,
    about: About,
    span: tracing::Span,
    began: Instant,
}

/// What a flow is about, for those who report on it.
#[derive(Debug, Clone)]
pub(crate) struct About {
    command: &'static str,
    service: ServiceId,
    at: Timestamp,
}

impl About {
    pub(crate) fn of(command: &Command, at: Timestamp) -> Self {
        Self {
            command: command.name(),
            service: command.service().clone(),
            at,
        }
    }

    /// The outcome of a flow whose end nobody knows: something is broken here. The record is the truth; a tick repairs it.
    pub(crate) fn lost(&self) -> Outcome {
        self.outcome(Err(Fault::Defect))
    }

    /// An outcome that no flow came to.
    pub(crate) fn outcome<A>(&self, answer: Result<A, Fault>) -> Outcome<A> {
        let explanation = Explanation {
            service: Some(self.service.clone()),
            command: self.command,
            at: self.at,
            ..Explanation::default()
        };
        Outcome {
            answer,
            explanation,
            follow_up: None,
        }
    }
}

impl Flow {
    pub(crate) fn begin(inner: &Inner, command: Command) -> Self {
        let at = inner.outside.now();
        let about = About::of(&command, at);
        let span = telemetry::command_span(about.command, about.service.as_str());
        let began = Instant::now();
        let start = Start {
            now: at,
            seed: Seed::from_bytes(inner.entropy.seed()),
            keys: inner.keys.keys(),
            resting: inner.outside.resting(),
            human_check: inner.outside.human_check.is_configured(),
        };
        let step = span.in_scope(|| inner.machine.read().start(command, start));
        Self {
            step,
            about,
            span,
            began,
        }
    }

    pub(crate) fn about(&self) -> &About {
        &self.about
    }

    /// True when it is over already: nothing outside has to be asked.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.step, Step::Done(_))
    }

    /// Takes it to its end, and tells whoever is to be told.
    pub(crate) async fn finish(self, inner: &Inner) -> Outcome {
        let Self {
            step,
            about,
            span,
            began,
        } = self;
        async {
            let (outcome, steps) = drive(&inner.outside, step).await.unwrap_or_else(|Endless| {
                tracing::error!(target: telemetry::TARGET_COMMAND, "a flow took more steps than there are");
                (about.lost(), MOST_STEPS)
            });
            inner.outside.introduce_metrics();
            let meters = &inner.outside.meters;
            telemetry::command_ended(meters, about.command, &outcome, steps, began.elapsed());
            if let Some(refusal) = outcome.refusal() {
                inner.refusal_sink.refused(refusal.code, &outcome.explanation);
            }
            outcome
        }
        .instrument(span)
        .await
    }
}

/// A flow that would not end: a defect of the machine.
#[derive(Debug)]
struct Endless;

async fn drive(outside: &Outside, mut step: Step) -> Result<(Outcome, usize), Endless> {
    let mut clock = FlowClock::start(outside);
    for taken in 0..=MOST_STEPS {
        if let Step::Done(outcome) = step {
            return Ok((*outcome, taken));
        }
        step = outside.take(step, &mut clock).await;
    }
    Err(Endless)
}

/// The time as a flow sees it. It does not run back while the flow is under way: a clock that jumps back would give it a
/// longer life than its deadline, and a repair that began meanwhile could meet a message that leaves late.
pub(crate) struct FlowClock<'a> {
    outside: &'a Outside,
    newest: Timestamp,
    since: Instant,
}

impl<'a> FlowClock<'a> {
    fn start(outside: &'a Outside) -> Self {
        Self {
            newest: outside.now(),
            outside,
            since: Instant::now(),
        }
    }

    pub(crate) fn now(&mut self) -> Timestamp {
        let read = self.outside.now();
        if read < self.newest {
            return self.newest + self.since.elapsed();
        }
        self.newest = read;
        self.since = Instant::now();
        read
    }
}

//! The loop: does what a step says, hands the answer back, until the flow is over.

use std::sync::Arc;

use tokio::time::Instant;
use tracing::Instrument;
use verify_core::command::Command;
use verify_core::flow::{MOST_STEPS, Machine, Start, Step};
use verify_core::outcome::{Answer, Explanation, Fault, Outcome};
use verify_core::seed::Seed;
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::engine::Inner;
use crate::outside::Outside;
use crate::telemetry;

/// A flow that has begun: its first step is known, and nothing was asked outside.
pub(crate) struct Flow {
    machine: Machine,
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
    /// The outcome of a flow whose end nobody knows. The record is the truth; a tick repairs it.
    pub(crate) fn lost(&self) -> Outcome {
        let explanation = Explanation {
            service: Some(self.service.clone()),
            command: self.command,
            at: self.at,
            ..Explanation::default()
        };
        Outcome {
            answer: Answer::Fault(Fault::StoreUnavailable),
            explanation,
            follow_up: None,
        }
    }
}

impl Flow {
    pub(crate) fn begin(inner: &Inner, command: Command) -> Self {
        let at = inner.outside.now();
        let about = About {
            command: command.name(),
            service: command.service().clone(),
            at,
        };
        let span = telemetry::command_span(about.command, about.service.as_str());
        let began = Instant::now();
        let machine = inner.machine.read().clone();
        let start = Start {
            now: at,
            seed: Seed::from_bytes(inner.entropy.seed()),
            keys: inner.keys.keys(),
            open_breakers: inner.outside.open_breakers(),
            human_check: inner.outside.human_check.is_configured(),
        };
        let step = span.in_scope(|| machine.start(command, start));
        Self {
            machine,
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
            machine,
            step,
            about,
            span,
            began,
        } = self;
        async {
            let (outcome, steps) = drive(&inner.outside, &machine, step).await.unwrap_or_else(|Endless| {
                tracing::error!(target: telemetry::TARGET_COMMAND, "a flow took more steps than there are");
                (about.lost(), MOST_STEPS)
            });
            let meters = &inner.outside.meters;
            telemetry::command_ended(meters, about.command, &outcome, steps, began.elapsed());
            if matches!(outcome.answer, Answer::Refused(_)) {
                inner.refusal_sink.refused(&outcome.explanation);
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

async fn drive(outside: &Outside, machine: &Machine, mut step: Step) -> Result<(Outcome, usize), Endless> {
    let policies = Arc::clone(machine.policies());
    let mut clock = FlowClock::start(outside);
    for taken in 0..=MOST_STEPS {
        step = match step {
            Step::Store(it) => {
                let answer = outside.apply(it.changeset(), it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Assess(it) => {
                let answer = outside.assess(it.question(), &policies, it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Dispatch(it) => {
                let answer = outside.dispatch(it.request(), it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Compare(it) => {
                let answer = outside.compare(it.request(), it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Inquire(it) => {
                let answer = outside.inquire(it.request(), it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Conclude(it) => {
                let answer = outside.conclude(it.request(), it.not_after()).await;
                it.resume(clock.now(), answer)
            }
            Step::Done(outcome) => return Ok((*outcome, taken)),
        };
    }
    Err(Endless)
}

/// The time as a flow sees it. It does not run back while the flow is under way: a clock that jumps back would give it a
/// longer life than its deadline, and a repair that began meanwhile could meet a message that leaves late.
struct FlowClock<'a> {
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

    fn now(&mut self) -> Timestamp {
        let read = self.outside.now();
        if read < self.newest {
            return self.newest + self.since.elapsed();
        }
        self.newest = read;
        self.since = Instant::now();
        read
    }
}

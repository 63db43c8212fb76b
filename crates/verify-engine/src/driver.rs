//! The loop: does what a step says, hands the answer back, until the flow is over.

use tokio::time::Instant;
use tracing::Instrument;
use verify_core::command::Command;
use verify_core::flow::{MOST_STEPS, Start, Step};
use verify_core::outcome::{Explanation, Fault, Outcome};
use verify_core::policy::Disclosure;
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

/// What is left of a flow that has answered.
pub(crate) struct Rest {
    step: Step,
    span: tracing::Span,
    /// The latest time that the flow was given.
    newest: Timestamp,
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
        let mut explanation = Explanation::default();
        explanation.service = Some(self.service.clone());
        explanation.command = self.command;
        explanation.at = self.at;
        Outcome::new(answer, explanation)
    }
}

impl Flow {
    pub(crate) fn begin(inner: &Inner, command: Command) -> Self {
        let at = inner.outside.now();
        let about = About::of(&command, at);
        let span = telemetry::command_span(about.command, about.service.as_str());
        let began = Instant::now();
        let (seed, keys) = (inner.entropy.seed(), inner.keys.keys());
        let human_check = inner.outside.human_check.is_configured();
        let step = span.in_scope(|| {
            let machine = inner.machine.read();
            let privacy = &machine.policies().of(command.service()).privacy;
            let is_private_send =
                matches!(command, Command::Send(_)) && privacy.disclosure == Disclosure::Private;
            let start = Start {
                now: at,
                seed: Seed::from_bytes(seed),
                keys,
                resting: inner.outside.resting(!is_private_send),
                human_check,
            };
            machine.start(command, start)
        });
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

    /// Takes it to its answer, and tells whoever is to be told. What is left of it after that, nobody waits for.
    pub(crate) async fn answer(self, inner: &Inner) -> (Outcome, Option<Rest>) {
        let Self {
            step,
            about,
            span,
            began,
        } = self;
        let of_rest = span.clone();
        async {
            let mut clock = FlowClock::after(&inner.outside, about.at);
            let is_answered = |step: &Step| matches!(step, Step::Answer(_));
            let (step, steps) = drive(&inner.outside, step, &mut clock, is_answered).await;
            let (outcome, rest) = match step.over() {
                Ok(outcome) => (*outcome, None),
                Err(step) => match &step {
                    Step::Answer(answer) => (Outcome::clone(answer.outcome()), Some(step)),
                    Step::Store(_)
                    | Step::Assess(_)
                    | Step::Dispatch(_)
                    | Step::Compare(_)
                    | Step::Inquire(_)
                    | Step::Conclude(_)
                    | Step::Done(_) => (about.lost(), None),
                },
            };
            inner.outside.introduce_metrics();
            let meters = &inner.outside.meters;
            telemetry::command_ended(meters, about.command, &outcome, steps, began.elapsed());
            if let Some(refusal) = outcome.refusal() {
                inner.refusal_sink.refused(refusal.code, &outcome.explanation);
            }
            let rest = rest.map(|step| Rest {
                step,
                span: of_rest,
                newest: clock.now(),
            });
            (outcome, rest)
        }
        .instrument(span)
        .await
    }
}

impl Rest {
    /// Takes it to its end. What it comes to was answered before: it is for operators.
    pub(crate) async fn finish(self, inner: &Inner) {
        let Self { step, span, newest } = self;
        let outside = &inner.outside;
        async {
            let mut clock = FlowClock::after(outside, newest);
            // Past the answer.
            let step = outside.take(step, &mut clock).await;
            let (step, _) = drive(outside, step, &mut clock, |_| false).await;
            if let Ok(outcome) = step.over() {
                telemetry::rest_ended(&outcome);
            }
        }
        .instrument(span)
        .await;
    }
}

/// Takes steps until one is there that is looked for, or it is over; and how many it took. One that would not end is a defect of
/// the machine.
async fn drive(
    outside: &Outside,
    mut step: Step,
    clock: &mut FlowClock<'_>,
    is_wanted: fn(&Step) -> bool,
) -> (Step, usize) {
    for taken in 0..=MOST_STEPS {
        if matches!(step, Step::Done(_)) || is_wanted(&step) {
            return (step, taken);
        }
        step = outside.take(step, clock).await;
    }
    tracing::error!(target: telemetry::TARGET_COMMAND, "a flow took more steps than there are");
    (step, MOST_STEPS)
}

/// The time as a flow sees it. It does not run back while the flow is under way: a clock that jumps back would give it a
/// longer life than its deadline, and a repair that began meanwhile could meet a message that leaves late.
pub(crate) struct FlowClock<'a> {
    outside: &'a Outside,
    newest: Timestamp,
    since: Instant,
}

impl<'a> FlowClock<'a> {
    fn after(outside: &'a Outside, newest: Timestamp) -> Self {
        Self {
            newest,
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

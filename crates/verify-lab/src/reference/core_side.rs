//! The core over the model store, as somebody who answers.

use verify_core::command::{Command, TickRequest};
use verify_core::event::EventKind;
use verify_core::flow::{MOST_STEPS, NotBegun, Step};
use verify_core::outcome::Outcome;
use verify_core::store::{Mode, RecordKind, StoreAnswer};

use super::tokens::{Sent, Tokens};
use super::{Answers, Ask, Mishap, Outside, Told};
use crate::explore::World;

/// The core in its world.
#[derive(Clone)]
pub struct CoreSide {
    world: World,
    tokens: Tokens,
    mishap: Option<Mishap>,
}

impl CoreSide {
    /// The core in this world, whose providers have not been asked yet.
    pub fn new(world: World) -> Self {
        Self {
            world,
            tokens: Tokens::default(),
            mishap: None,
        }
    }

    /// Its world.
    pub fn world(&self) -> &World {
        &self.world
    }

    fn tick(&mut self) -> Told {
        let records = self.world.store.records().keys();
        let records = records
            .filter(|(_, key)| key.kind == RecordKind::Verifications)
            .map(|(service, key)| (service.clone(), *key));
        for (service, record) in records.collect::<Vec<_>>() {
            self.world.run(TickRequest::of(record).service(service));
        }
        Told::Ticked
    }

    /// The outcome of a command to which this happens; `None` when it stops dead.
    fn run(&mut self, command: Command) -> Option<Outcome> {
        let mut step = self.world.start(command);
        let mut told = None;
        for _ in 0..MOST_STEPS {
            let now = self.world.now;
            step = match (step, self.mishap) {
                (Step::Done(outcome), _) => return Some(told.unwrap_or(*outcome)),
                (Step::Answer(step), _) => {
                    told = Some(Outcome::clone(step.outcome()));
                    step.resume(now, ())
                }
                (Step::Store(step), Some(Mishap::StopsWhenCharged)) => {
                    let mut charges = step.changeset().charges.iter();
                    let charges = charges.any(|charge| charge.mode != Mode::Probe);
                    let answer = self.world.apply(step.changeset());
                    if charges && matches!(answer, StoreAnswer::Applied(_)) {
                        return None;
                    }
                    step.resume(now, answer)
                }
                (step @ (Step::Dispatch(_) | Step::Compare(_)), Some(Mishap::StopsWhenAsked)) => {
                    self.world.perform(step);
                    return told;
                }
                (step @ (Step::Dispatch(_) | Step::Compare(_)), Some(Mishap::AnswerLost)) => {
                    self.world.perform(step.clone());
                    step.lost(now)
                }
                (Step::Dispatch(step), Some(Mishap::CallLost)) => step.lost(now),
                (Step::Compare(step), Some(Mishap::CallLost)) => step.not_begun(now, NotBegun::TooLate),
                (step, _) => self.world.perform(step),
            };
        }
        None
    }
}

impl Answers for CoreSide {
    fn name(&self) -> &'static str {
        "core"
    }

    fn answer(&mut self, ask: &Ask) -> Told {
        let sent: Vec<Sent> = self.world.sent.iter().map(Sent::from).collect();
        let Some(command) = self.tokens.command(ask, &sent) else {
            self.mishap = None;
            return self.tick();
        };
        let outcome = self.run(command);
        self.mishap = None;
        let Some(mut outcome) = outcome else {
            return Told::Nothing;
        };
        let told = self.tokens.told(&outcome);
        // What follows is run by whoever drives the machine, after it has answered.
        while let Some(next) = outcome.follow_up.take() {
            (outcome, _) = self.world.run(*next);
        }
        told
    }

    fn outside(&mut self, change: Outside) {
        match change {
            Outside::Now(now) => self.world.now = now,
            Outside::Rejects(kind) => {
                let providers = ["own", "managed"].map(str::to_owned);
                self.world.rejecting = kind.map_or_else(Default::default, |kind| {
                    providers.into_iter().map(|provider| (provider, kind)).collect()
                });
            }
            Outside::Risk(level) => self.world.risk = level,
            Outside::Mishap(mishap) => self.mishap = Some(mishap),
        }
    }

    fn messages(&self) -> usize {
        self.world.sent.len()
    }

    fn alerts(&self) -> Option<usize> {
        let events = self.world.store.events().values();
        Some(events.filter(|event| event.kind == EventKind::LimitAlert).count())
    }
}

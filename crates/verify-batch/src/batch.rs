//! Changesets that share a transaction.

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use verify_core::port::Detail;
use verify_core::store::{Changeset, Names, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::away::Away;
use crate::found::{Found, Verdict};
use crate::limits::Limits;
use crate::telemetry;
use crate::written::Decided;

/// Changesets that share a transaction, by service.
pub struct Batch {
    number: u64,
    lanes: Vec<Lane>,
    limits: Limits,
    begun: Instant,
    state: Mutex<State>,
}

/// What a batch has to do with one service.
#[derive(Debug)]
pub struct Lane {
    /// Whose.
    pub service: ServiceId,
    /// All that its changesets name.
    pub names: Names,
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    changeset: Changeset,
    names: Names,
    asked: Instant,
    not_after: Instant,
}

/// Which batch, for whoever asks what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its number among those of this process.
    pub number: u64,
    /// The services of which it had something to write, in the order of their locks.
    pub services: Vec<ServiceId>,
}

/// A changeset that waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) changeset: Changeset,
    pub(crate) answer: oneshot::Sender<StoreAnswer>,
    pub(crate) asked: Instant,
    pub(crate) not_after: Instant,
}

#[derive(Default)]
struct State {
    given_up: bool,
    decision: Option<Decision>,
}

/// What came of a batch, if it is committed.
struct Decision {
    /// By lane and changeset.
    verdicts: Vec<Vec<Verdict>>,
    ticket: Ticket,
}

/// Where the answers of a batch go.
#[derive(Debug)]
pub(crate) struct Askers(Vec<Vec<oneshot::Sender<StoreAnswer>>>);

impl Batch {
    /// Of these, by service in the order in which they are to be decided.
    pub(crate) fn of(
        number: u64,
        mut waiting: Vec<(ServiceId, Vec<Waiting>)>,
        limits: &Limits,
    ) -> (Self, Askers) {
        // The order of locks is the same for everybody.
        waiting.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (mut lanes, mut askers) = (Vec::new(), Vec::new());
        for (service, those) in waiting {
            let (asked, answers): (Vec<_>, Vec<_>) = those.into_iter().map(Asked::of).unzip();
            lanes.push(Lane::of(service, asked));
            askers.push(answers);
        }
        let batch = Self {
            number,
            lanes,
            limits: limits.clone(),
            begun: Instant::now(),
            state: Mutex::default(),
        };
        (batch, Askers(askers))
    }

    /// Its number among those of this process, rising.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The lanes to lock, in this order, and what to load of each.
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The earliest time of any of its changesets: what is outlived then, none of them sees.
    pub fn at(&self) -> Timestamp {
        let asked = self.lanes.iter().flat_map(|lane| &lane.asked);
        asked.map(|asked| asked.changeset.at).min().unwrap_or_default()
    }

    /// Decides all of them on what was found, one of these for each lane and in their order; what is to be written. Nothing
    /// where there is nothing to write. `None`: it was given up meanwhile, or something is missing, and nothing may be
    /// written.
    pub fn decide(&self, found: Vec<Found>) -> Option<Vec<Decided>> {
        let mut state = self.state.lock();
        if state.given_up || found.len() != self.lanes.len() {
            return None;
        }
        match &state.decision {
            None => telemetry::lanes_were_held(self.begun.elapsed()),
            Some(_) => telemetry::retried(),
        }
        let (mut verdicts, mut written) = (Vec::new(), Vec::new());
        for (lane, mut found) in self.lanes.iter().zip(found) {
            let decide = |asked: &Asked| found.decide(&asked.changeset, &asked.names, &self.limits);
            verdicts.push(lane.asked.iter().map(decide).collect());
            written.extend(found.written(&lane.service));
        }
        let ticket = Ticket {
            number: self.number,
            services: written.iter().map(|part| part.service.clone()).collect(),
        };
        state.decision = Some(Decision { verdicts, ticket });
        Some(written)
    }

    /// From now on nothing is decided. What there is to ask about; `None`: surely nothing of it is written.
    pub(crate) fn give_up(&self) -> Option<Ticket> {
        let mut state = self.state.lock();
        state.given_up = true;
        let ticket = state.decision.as_ref().map(|decision| decision.ticket.clone());
        ticket.filter(|ticket| !ticket.services.is_empty())
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.asked.len()).sum()
    }

    /// Each as it waited before.
    pub(crate) fn apart(&self, askers: Askers) -> Vec<(ServiceId, Waiting)> {
        let mut apart = Vec::new();
        for (lane, answers) in self.lanes.iter().zip(askers.0) {
            let each = lane.asked.iter().zip(answers);
            apart.extend(each.map(|(asked, answer)| (lane.service.clone(), asked.waiting(answer))));
        }
        apart
    }
}

impl Lane {
    fn of(service: ServiceId, asked: Vec<Asked>) -> Self {
        Self {
            service,
            names: Names::joined(asked.iter().map(|asked| &asked.names)),
            asked,
        }
    }
}

impl Asked {
    fn of(waiting: Waiting) -> (Self, oneshot::Sender<StoreAnswer>) {
        let Waiting {
            changeset,
            answer,
            asked,
            not_after,
        } = waiting;
        let names = changeset.names();
        let asked = Self {
            changeset,
            names,
            asked,
            not_after,
        };
        (asked, answer)
    }

    fn waiting(&self, answer: oneshot::Sender<StoreAnswer>) -> Waiting {
        Waiting {
            changeset: self.changeset.clone(),
            answer,
            asked: self.asked,
            not_after: self.not_after,
        }
    }
}

impl Waiting {
    /// Itself while it may be begun. Later it is answered: nothing was begun.
    pub(crate) fn in_time(self, now: Instant) -> Option<Self> {
        if now <= self.not_after {
            return Some(self);
        }
        self.turn_away(Away::Late);
        None
    }

    /// Answers that it is not begun.
    pub(crate) fn turn_away(self, why: Away) {
        self.answer.send(why.answer()).ok();
    }
}

impl Askers {
    /// To each what was decided: the commit is certain.
    pub(crate) fn tell(self, batch: &Batch) {
        let undecided = StoreFault::defect("the transaction ended without a decision");
        self.tell_each(batch, |verdict| verdict.answer, &undecided);
    }

    /// Nobody knows what became of it: those that wrote may have been applied, the others surely were not.
    pub(crate) fn tell_doubt(self, batch: &Batch, words: &Detail) {
        let unavailable = StoreFault::Unavailable(words.clone());
        let doubted = |verdict: Verdict| match verdict.answer {
            StoreAnswer::NotApplied(fault) => StoreAnswer::NotApplied(fault),
            StoreAnswer::Applied(_) | StoreAnswer::Refused(_) | StoreAnswer::Unknown(_) => {
                match verdict.writes {
                    true => StoreAnswer::Unknown(words.clone()),
                    false => StoreAnswer::NotApplied(unavailable.clone()),
                }
            }
        };
        self.tell_each(batch, doubted, &unavailable);
    }

    /// To all that nothing of it is there.
    pub(crate) fn tell_all(self, fault: &StoreFault) {
        for asker in self.0.into_iter().flatten() {
            asker.send(StoreAnswer::NotApplied(fault.clone())).ok();
        }
    }

    fn tell_each(self, batch: &Batch, say: impl Fn(Verdict) -> StoreAnswer, undecided: &StoreFault) {
        let Some(decision) = batch.state.lock().decision.take() else {
            return self.tell_all(undecided);
        };
        let verdicts = decision.verdicts.into_iter().flatten();
        for (asker, verdict) in self.0.into_iter().flatten().zip(verdicts) {
            // Whoever went away is not told.
            asker.send(say(verdict)).ok();
        }
    }
}

//! Changesets that share a transaction.

use parking_lot::Mutex;
use tokio::sync::oneshot;
use verify_core::port::Detail;
use verify_core::store::{Changeset, Names, StoreAnswer, StoreFault};
use verify_core::time::Timestamp;
use verify_core::vocabulary::ServiceId;

use crate::found::Found;
use crate::limits::Limits;
use crate::written::Decided;

/// Changesets that share a transaction, by service.
pub struct Batch {
    number: u64,
    lanes: Vec<Lane>,
    limits: Limits,
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
}

/// Which batch, for whoever asks what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its number among those of this process.
    pub number: u64,
    /// Its services, in the order of their locks.
    pub services: Vec<ServiceId>,
}

/// A changeset that waits for its answer.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) changeset: Changeset,
    pub(crate) answer: oneshot::Sender<StoreAnswer>,
}

struct State {
    given_up: bool,
    /// By lane and changeset, once it was decided.
    answers: Option<Vec<Vec<StoreAnswer>>>,
}

/// Where the answers of a batch go.
#[derive(Debug)]
pub(crate) struct Askers(Vec<Vec<oneshot::Sender<StoreAnswer>>>);

impl Batch {
    /// Of these, by service in the order in which they are to be decided.
    pub(crate) fn of(
        number: u64,
        waiting: Vec<(ServiceId, Vec<Waiting>)>,
        limits: &Limits,
    ) -> (Self, Askers) {
        let mut waiting = waiting;
        // The order of locks is the same for everybody.
        waiting.sort_by(|(one, _), (other, _)| one.cmp(other));
        let (mut lanes, mut askers) = (Vec::new(), Vec::new());
        for (service, those) in waiting {
            let (asked, answers): (Vec<_>, Vec<_>) = those
                .into_iter()
                .map(|Waiting { changeset, answer }| {
                    let names = changeset.names();
                    (Asked { changeset, names }, answer)
                })
                .unzip();
            lanes.push(Lane::of(service, asked));
            askers.push(answers);
        }
        let batch = Self {
            number,
            lanes,
            limits: limits.clone(),
            state: Mutex::new(State {
                given_up: false,
                answers: None,
            }),
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

    /// What is asked for when nobody knows what became of it.
    pub fn ticket(&self) -> Ticket {
        Ticket {
            number: self.number,
            services: self.lanes.iter().map(|lane| lane.service.clone()).collect(),
        }
    }

    /// Decides all of them on what was found, one of these for each lane and in their order; what is to be written. Nothing
    /// where there is nothing to write. `None`: it was given up meanwhile, and nothing may be written.
    pub fn decide(&self, found: Vec<Found>) -> Option<Vec<Decided>> {
        let mut state = self.state.lock();
        if state.given_up {
            return None;
        }
        let (mut answers, mut written) = (Vec::new(), Vec::new());
        for (lane, mut found) in self.lanes.iter().zip(found) {
            let decide = |asked: &Asked| found.decide(&asked.changeset, &asked.names, &self.limits);
            answers.push(lane.asked.iter().map(decide).collect());
            written.extend(found.written(&lane.service));
        }
        state.answers = Some(answers);
        Some(written)
    }

    /// True when nothing was decided and nothing will be: surely nothing is written.
    pub(crate) fn give_up(&self) -> bool {
        let mut state = self.state.lock();
        state.given_up = true;
        state.answers.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.asked.len()).sum()
    }

    fn answers(&self) -> Option<Vec<Vec<StoreAnswer>>> {
        self.state.lock().answers.clone()
    }

    /// Each alone, in a batch of its own.
    pub(crate) fn apart(&self, askers: Askers) -> Vec<(ServiceId, Waiting)> {
        let lanes = self.lanes.iter().zip(askers.0);
        lanes
            .flat_map(|(lane, answers)| {
                lane.asked.iter().zip(answers).map(|(asked, answer)| {
                    let changeset = asked.changeset.clone();
                    (lane.service.clone(), Waiting { changeset, answer })
                })
            })
            .collect()
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

impl Askers {
    /// To each what was decided: the commit is certain.
    pub(crate) fn tell(self, batch: &Batch) {
        let Some(answers) = batch.answers() else {
            let words = "the transaction ended without a decision";
            return self.tell_all(&StoreAnswer::NotApplied(StoreFault::defect(words)));
        };
        let each = self.0.into_iter().flatten().zip(answers.into_iter().flatten());
        for (asker, answer) in each {
            // Whoever went away is not told.
            asker.send(answer).ok();
        }
    }

    /// To all the same.
    pub(crate) fn tell_all(self, answer: &StoreAnswer) {
        for asker in self.0.into_iter().flatten() {
            asker.send(answer.clone()).ok();
        }
    }

    /// Nobody knows what became of it: those that wrote may have been applied, the others surely were not.
    pub(crate) fn tell_doubt(self, batch: &Batch, words: &Detail) {
        let answers = batch.answers().into_iter().flatten().flatten();
        let mut doubted = answers.map(|answer| match answer {
            StoreAnswer::Applied(_) | StoreAnswer::Unknown(_) => StoreAnswer::Unknown(words.clone()),
            StoreAnswer::Refused(_) => StoreAnswer::NotApplied(StoreFault::Unavailable(words.clone())),
            StoreAnswer::NotApplied(fault) => StoreAnswer::NotApplied(fault),
        });
        for asker in self.0.into_iter().flatten() {
            let answer = doubted.next();
            asker
                .send(answer.unwrap_or_else(|| StoreAnswer::Unknown(words.clone())))
                .ok();
        }
    }
}

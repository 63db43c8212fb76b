//! The search: every order of the steps of several flows, with a crash, a lost answer or a jump of time anywhere.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use verify_core::command::Command;
use verify_core::flow::Step;
use verify_core::outcome::Outcome;
use verify_core::port::{Compared, Concluded, Detail, Dispatched, Inquired};
use verify_core::store::{StoreAnswer, StoreFault};

use super::World;

/// What may go wrong during one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Flows that stop dead, at any step.
    pub crashes: u8,
    /// Answers that are lost, with or without their effect, of the store or of a provider.
    pub faults: u8,
    /// Jumps of the clock, each by one of `jumps`.
    pub time_jumps: u8,
}

/// A state in which something does not hold.
#[derive(Debug, Clone)]
pub struct Found {
    /// What does not.
    pub what: String,
    /// The moves that lead there.
    pub trace: Vec<String>,
}

/// A search over the interleavings of some flows.
pub struct Search<'a> {
    /// Jumps forward that the clock may make.
    pub jumps: Vec<Duration>,
    /// What may go wrong.
    pub budget: Budget,
    /// Looked at in every state: the world, and the outcomes of the flows that are over. The text says what is wrong.
    pub invariant: &'a Invariant<'a>,
    /// Looked at when all flows are over.
    pub at_end: &'a Invariant<'a>,
}

/// What must hold.
pub type Invariant<'a> = dyn Fn(&World, &[Option<Outcome>]) -> Result<(), String> + 'a;

#[derive(Clone)]
struct Flow {
    step: Option<Step>,
    outcome: Option<Outcome>,
    history: u64,
}

#[derive(Clone)]
struct State {
    world: World,
    flows: Vec<Flow>,
    left: Budget,
}

/// What happens to a flow's next step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Move {
    Go,
    Crash,
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen, and nobody knows.
    LoseCall,
    /// It surely does not happen.
    Fail,
}

impl Search<'_> {
    /// Explores everything that the commands can do in this world. The number of distinct states, or the first one in
    /// which something does not hold.
    ///
    /// # Errors
    /// [`Found`] with the moves that lead there.
    pub fn run(&self, mut world: World, commands: Vec<Command>) -> Result<usize, Box<Found>> {
        let flows = commands
            .into_iter()
            .map(|command| Flow {
                step: Some(world.start(command)),
                outcome: None,
                history: 0,
            })
            .collect();
        let mut seen = HashSet::new();
        let mut trace = Vec::new();
        self.visit(
            State {
                world,
                flows,
                left: self.budget,
            },
            &mut seen,
            &mut trace,
        )?;
        Ok(seen.len())
    }

    fn visit(
        &self,
        state: State,
        seen: &mut HashSet<u64>,
        trace: &mut Vec<String>,
    ) -> Result<(), Box<Found>> {
        if !seen.insert(state.digest()) {
            return Ok(());
        }
        let outcomes: Vec<Option<Outcome>> = state.flows.iter().map(|flow| flow.outcome.clone()).collect();
        let over = state.flows.iter().all(|flow| flow.step.is_none());
        let held = (self.invariant)(&state.world, &outcomes).and_then(|()| {
            if over {
                (self.at_end)(&state.world, &outcomes)
            } else {
                Ok(())
            }
        });
        if let Err(what) = held {
            return Err(Box::new(Found {
                what,
                trace: trace.clone(),
            }));
        }
        for index in 0..state.flows.len() {
            for way in state.moves(index) {
                let (next, said) = state.clone().moved(index, way);
                trace.push(said);
                self.visit(next, seen, trace)?;
                trace.pop();
            }
        }
        if state.left.time_jumps > 0 && !over {
            for jump in &self.jumps {
                let mut next = state.clone();
                next.left.time_jumps -= 1;
                next.world.advance(*jump);
                trace.push(format!("time +{} s", jump.as_secs()));
                self.visit(next, seen, trace)?;
                trace.pop();
            }
        }
        Ok(())
    }
}

impl State {
    fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.world.digest().hash(&mut hasher);
        for flow in &self.flows {
            (flow.history, flow.step.is_some()).hash(&mut hasher);
        }
        (self.left.crashes, self.left.faults, self.left.time_jumps).hash(&mut hasher);
        hasher.finish()
    }

    fn moves(&self, index: usize) -> Vec<Move> {
        let Some(Flow { step: Some(step), .. }) = self.flows.get(index) else {
            return Vec::new();
        };
        let mut moves = vec![Move::Go];
        if self.left.crashes > 0 {
            moves.push(Move::Crash);
        }
        if self.left.faults > 0 {
            moves.extend([Move::LoseAnswer, Move::LoseCall]);
            if matches!(step, Step::Store(_)) {
                moves.push(Move::Fail);
            }
        }
        moves
    }

    fn moved(mut self, index: usize, way: Move) -> (Self, String) {
        let mut said = String::new();
        let now = self.world.now;
        if let Some(flow) = self.flows.get_mut(index)
            && let Some(step) = flow.step.take()
        {
            said = format!("flow {index}: {way:?} {}", kind(&step));
            match way {
                Move::LoseAnswer | Move::LoseCall | Move::Fail => self.left.faults -= 1,
                Move::Crash => self.left.crashes -= 1,
                Move::Go => {}
            }
            let mut hasher = DefaultHasher::new();
            (flow.history, way, now, self.world.digest()).hash(&mut hasher);
            flow.history = hasher.finish();
            let next = match way {
                Move::Crash => None,
                Move::Go => Some(self.world.perform(step)),
                Move::LoseAnswer => Some(lost(&mut self.world, step, true)),
                Move::LoseCall => Some(lost(&mut self.world, step, false)),
                Move::Fail => Some(failed(step, &self.world)),
            };
            match next {
                Some(Step::Done(outcome)) => flow.outcome = Some(*outcome),
                next => flow.step = next,
            }
        }
        (self, said)
    }
}

/// The step whose answer does not arrive, after its effect or without it.
fn lost(world: &mut World, step: Step, effect: bool) -> Step {
    let now = world.now;
    let detail = Detail::default;
    match step {
        Step::Store(step) => {
            if effect {
                let _ = world.store.apply_now(step.changeset());
            }
            step.resume(now, StoreAnswer::Unknown)
        }
        Step::Dispatch(step) => {
            if effect {
                let _ = world.dispatch(step.request());
            }
            step.resume(now, Dispatched::Unknown(detail()))
        }
        Step::Compare(step) => match effect {
            true => {
                let _ = world.compare(step.request());
                step.resume(now, Compared::Unknown(detail()))
            }
            false => step.resume(now, Compared::NotAsked(detail())),
        },
        Step::Conclude(step) => {
            if effect {
                let _ = world.conclude(step.request());
            }
            step.resume(now, Concluded::Unknown(detail()))
        }
        Step::Inquire(step) => step.resume(now, Inquired::Unknown),
        Step::Assess(step) => step.resume(now, verify_core::flow::AssessAnswer::Unavailable),
        Step::Done(outcome) => Step::Done(outcome),
    }
}

fn failed(step: Step, world: &World) -> Step {
    match step {
        Step::Store(step) => step.resume(world.now, StoreAnswer::NotApplied(StoreFault::Unavailable)),
        step @ (Step::Assess(_)
        | Step::Dispatch(_)
        | Step::Compare(_)
        | Step::Inquire(_)
        | Step::Conclude(_)
        | Step::Done(_)) => step,
    }
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Store(_) => "store",
        Step::Assess(_) => "assess",
        Step::Dispatch(_) => "dispatch",
        Step::Compare(_) => "compare",
        Step::Inquire(_) => "inquire",
        Step::Conclude(_) => "conclude",
        Step::Done(_) => "done",
    }
}

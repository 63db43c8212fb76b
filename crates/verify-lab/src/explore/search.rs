//! The search: every order of the steps of several flows, with a crash, a fault or a jump of time anywhere.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use verify_core::command::{Command, Report, ReportRequest};
use verify_core::flow::Step;
use verify_core::outcome::Outcome;

use super::{Transitions, Watched, Way, World};
use crate::digest::digest;
use crate::watch::{Course, Holds, Watch};

/// Of how many states the search for a shorter way stops looking.
const MOST_LOOKED_AT_AGAIN: usize = 200_000;

/// What may go wrong during one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Flows that stop dead, at any step.
    pub crashes: u8,
    /// Steps that go wrong. The store or a provider does it and the answer is lost, or does not and nobody knows, or
    /// does it when the flow has given it up, or surely does not, or does it twice.
    pub faults: u8,
    /// Jumps of the clock, each by one of `jumps`: between steps, or while a step is done.
    pub time_jumps: u8,
}

/// A flow of a search. It begins at any time, in any order with the others.
#[derive(Debug, Clone)]
pub enum Opening {
    /// This command.
    Command(Box<Command>),
    /// A report about the message that left as this one, counted from 0. It begins when the message has left.
    Report {
        /// Which message.
        message: usize,
        /// What became of it.
        report: Report,
        /// What tells this report from others.
        dedupe: String,
    },
}

impl From<Command> for Opening {
    fn from(command: Command) -> Self {
        Self::Command(Box::new(command))
    }
}

impl Opening {
    fn command(&self, world: &World) -> Option<Command> {
        match self {
            Self::Command(command) => Some((**command).clone()),
            Self::Report {
                message,
                report,
                dedupe,
            } => {
                let reference = world.sent.get(*message)?.reference.clone();
                Some(ReportRequest::of(reference, report.clone(), dedupe).into())
            }
        }
    }
}

/// A complete search that found nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Explored {
    /// Distinct states.
    pub states: usize,
    /// Of these, how many in which every flow is over.
    pub ends: usize,
    /// What stored records went through.
    pub transitions: Transitions,
    /// What flows were answered, each with the place of its flow.
    pub answers: BTreeSet<(usize, &'static str)>,
}

/// A state in which something does not hold.
#[derive(Debug, Clone)]
pub struct Found {
    /// What does not.
    pub what: String,
    /// The moves that lead there, few where a shorter way is quickly found.
    pub trace: Vec<String>,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.what, self.trace.join("\n"))
    }
}

/// A search over the interleavings of some flows. A [`Watch`] follows every path that it takes.
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
struct State {
    world: World,
    flows: Vec<Flow>,
    outcomes: Rc<Vec<Option<Outcome>>>,
    /// Calls on their way.
    delayed: Vec<Delayed>,
    left: Budget,
    /// Who watches the path that led here. What was seen on it makes no other state.
    watch: Rc<Watch>,
}

#[derive(Clone)]
struct Flow {
    stage: Rc<Stage>,
    course: Rc<Course>,
}

enum Stage {
    /// It has not begun; its seed.
    Waiting(Opening, u64),
    /// Its next step. A flow is a function of its beginning and of all that it heard, when, and what: the number stands
    /// for these.
    Running(Box<Step>, u128),
    /// It stopped, with an outcome or dead.
    Over,
}

/// A call that is on its way while its flow has given it up.
#[derive(Clone)]
struct Delayed {
    flow: usize,
    /// Stands for the flow, and for what that had heard when it made the call.
    of: u128,
    step: Rc<Step>,
}

/// One thing that happens.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Begins(usize),
    Crashes(usize),
    Steps(usize, &'static str, Way),
    Arrives(usize, &'static str),
    Passes(Duration),
}

impl fmt::Display for Happens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begins(flow) => write!(f, "flow {flow}: begins"),
            Self::Crashes(flow) => write!(f, "flow {flow}: crashes"),
            Self::Steps(flow, kind, way) => write!(f, "flow {flow}: {kind} {way:?}"),
            Self::Arrives(place, kind) => write!(f, "delayed {kind} arrives ({place})"),
            Self::Passes(span) => write!(f, "time +{} s", span.as_secs()),
        }
    }
}

/// The way to a state, last thing first.
struct Trail {
    last: Happens,
    before: Option<Rc<Self>>,
}

/// What is taken next of the states that were seen and not looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    /// The newest: few wait at a time.
    Deep,
    /// The oldest, up to so many moves from the start: the first that is found has the shortest trace.
    Wide(usize),
}

impl Search<'_> {
    /// Explores everything that the flows can do in this world: how much there is, or the first state that was found in
    /// which something does not hold.
    ///
    /// # Errors
    /// [`Found`] with the moves that lead there.
    pub fn run(
        &self,
        world: World,
        flows: impl IntoIterator<Item = impl Into<Opening>>,
    ) -> Result<Explored, Box<Found>> {
        let start = self.start(unasked(world), flows);
        self.walk(start.clone(), Order::Deep).map_err(|found| {
            let shorter = Order::Wide(found.trace.len().saturating_sub(1));
            self.walk(start, shorter).err().unwrap_or(found)
        })
    }

    /// Explores the same and looks at every state that was seen before once more: that it goes on exactly as the one that
    /// was taken for the same. Then nothing was missed by not visiting it again.
    ///
    /// # Errors
    /// [`Found`] when two states that were taken for one go on differently.
    pub fn merges_are_sound(
        &self,
        world: World,
        flows: impl IntoIterator<Item = impl Into<Opening>>,
    ) -> Result<usize, Box<Found>> {
        let mut open = vec![self.start(unasked(world), flows)];
        let mut futures: HashMap<u128, u128> = HashMap::new();
        while let Some(state) = open.pop() {
            let happens = state.all_that_may_happen(&self.jumps);
            let after = |happens: &Happens| state.after(*happens).map(|(next, _)| next);
            let next: Vec<Option<State>> = happens.iter().map(after).collect();
            let digests: Vec<_> = next.iter().map(|next| next.as_ref().map(State::digest)).collect();
            let future = digest(&digests);
            match futures.insert(state.digest(), future) {
                None => open.extend(next.into_iter().flatten()),
                Some(before) if before == future => {}
                Some(_) => return Err(found("two states were taken for one".to_owned(), &None)),
            }
        }
        Ok(futures.len())
    }

    /// Goes one way through the same, by this seed, for as long as anything may happen: the world at its end,
    /// with all that its store was asked.
    ///
    /// # Errors
    /// [`Found`] with the moves that lead there.
    pub fn wander(
        &self,
        world: World,
        flows: impl IntoIterator<Item = impl Into<Opening>>,
        seed: u64,
    ) -> Result<World, Box<Found>> {
        let mut state = self.start(world, flows);
        let mut trail = None;
        loop {
            let mut happens = state.all_that_may_happen(&self.jumps);
            let next = loop {
                if happens.is_empty() {
                    return Ok(state.world);
                }
                let chance = digest(&(seed, state.digest(), happens.len())) % happens.len() as u128;
                let happens = happens.swap_remove(usize::try_from(chance).unwrap_or(0));
                if let Some(after) = state.after(happens) {
                    break (happens, after);
                }
            };
            let (last, (after, watched)) = next;
            let before = trail.take();
            trail = Some(Rc::new(Trail { last, before }));
            let over = after.is_over();
            let holds = self.holds(&after, over).and(watched);
            holds.map_err(|what| found(what, &trail))?;
            state = after;
        }
    }

    fn start(&self, mut world: World, flows: impl IntoIterator<Item = impl Into<Opening>>) -> State {
        let openings: Vec<Opening> = flows.into_iter().map(Into::into).collect();
        let first = world.reserve_seeds(openings.len() as u64) + 1;
        State {
            watch: Rc::new(Watch::over(&world)),
            world,
            outcomes: Rc::new(vec![None; openings.len()]),
            flows: openings
                .into_iter()
                .zip(first..)
                .map(|(opening, seed)| Flow {
                    stage: Rc::new(Stage::Waiting(opening, seed)),
                    course: Rc::default(),
                })
                .collect(),
            delayed: Vec::new(),
            left: self.budget,
        }
    }

    fn walk(&self, start: State, order: Order) -> Result<Explored, Box<Found>> {
        let mut explored = Explored::default();
        let mut seen = HashSet::from([start.digest()]);
        let mut open = VecDeque::from([(start, None::<Rc<Trail>>, 0)]);
        loop {
            let next = match order {
                Order::Deep => open.pop_back(),
                Order::Wide(_) => open.pop_front().filter(|_| seen.len() < MOST_LOOKED_AT_AGAIN),
            };
            let Some((state, trail, depth)) = next else {
                explored.states = seen.len();
                return Ok(explored);
            };
            let over = state.is_over();
            explored.ends += usize::from(over);
            let answered =
                |(flow, outcome): (usize, &Option<Outcome>)| Some((flow, outcome.as_ref()?.as_str()));
            let answers = state.outcomes.iter().enumerate().filter_map(answered);
            explored.answers.extend(answers);
            self.holds(&state, over).map_err(|what| found(what, &trail))?;
            if matches!(order, Order::Wide(most) if depth >= most) {
                continue;
            }
            for happens in state.all_that_may_happen(&self.jumps) {
                let Some((next, watched)) = state.after(happens) else {
                    continue;
                };
                let trail = Rc::new(Trail {
                    last: happens,
                    before: trail.clone(),
                });
                explored.transitions.note(&state.world, &next.world);
                let trail = Some(trail);
                // What a search is about is said in its own words.
                watched
                    .or_else(|what| self.holds(&next, next.is_over()).and(Err(what)))
                    .map_err(|what| found(what, &trail))?;
                if seen.insert(next.digest()) {
                    open.push_back((next, trail, depth + 1));
                }
            }
        }
    }

    fn holds(&self, state: &State, over: bool) -> Result<(), String> {
        (self.invariant)(&state.world, &state.outcomes)?;
        if over {
            (self.at_end)(&state.world, &state.outcomes)?;
        }
        Ok(())
    }
}

/// Without what its store was asked: of all the ways to a state one is kept.
fn unasked(mut world: World) -> World {
    world.asked = None;
    world
}

fn found(what: String, trail: &Option<Rc<Trail>>) -> Box<Found> {
    let mut trace = Vec::new();
    let mut at = trail.as_ref();
    while let Some(trail) = at {
        trace.push(trail.last.to_string());
        at = trail.before.as_ref();
    }
    trace.reverse();
    Box::new(Found { what, trace })
}

impl State {
    /// Of everything that can make a difference later.
    fn digest(&self) -> u128 {
        let Self {
            world,
            flows,
            outcomes,
            delayed,
            left,
            watch: _,
        } = self;
        let flows: Vec<Option<u128>> = flows
            .iter()
            .map(|flow| match &*flow.stage {
                Stage::Waiting(..) => None,
                Stage::Running(_, heard) => Some(*heard),
                Stage::Over => Some(0),
            })
            .collect();
        let delayed: Vec<u128> = delayed.iter().map(|call| call.of).collect();
        digest(&(world.digest(), flows, outcomes, delayed, left))
    }

    /// True when no flow will do anything any more.
    fn is_over(&self) -> bool {
        self.flows.iter().all(|flow| match &*flow.stage {
            Stage::Waiting(opening, _) => opening.command(&self.world).is_none(),
            Stage::Running(..) => false,
            Stage::Over => true,
        })
    }

    fn all_that_may_happen(&self, jumps: &[Duration]) -> Vec<Happens> {
        let mut all = Vec::new();
        for (index, flow) in self.flows.iter().enumerate() {
            match &*flow.stage {
                Stage::Waiting(..) => all.push(Happens::Begins(index)),
                Stage::Running(step, _) => {
                    let ways = self.ways(step, jumps);
                    all.extend(ways.map(|way| Happens::Steps(index, step.kind(), way)));
                    if self.left.crashes > 0 {
                        all.push(Happens::Crashes(index));
                    }
                }
                Stage::Over => {}
            }
        }
        for (place, delayed) in self.delayed.iter().enumerate() {
            all.push(Happens::Arrives(place, delayed.step.kind()));
        }
        if self.left.time_jumps > 0 && !self.is_over() {
            all.extend(jumps.iter().map(|jump| Happens::Passes(*jump)));
        }
        all
    }

    /// How a step may go.
    fn ways<'a>(&self, step: &Step, jumps: &'a [Duration]) -> impl Iterator<Item = Way> + use<'a> {
        let late = step.not_after().is_some_and(|ends| self.world.now >= ends);
        let faults = match late || self.left.faults == 0 {
            true => &[],
            false => Way::faults(step),
        };
        let slow = match late || self.left.time_jumps == 0 {
            true => &[],
            false => jumps,
        };
        let usual = if late { Way::TooLate } else { Way::Go };
        [usual]
            .into_iter()
            .chain(faults.iter().copied())
            .chain(slow.iter().map(|span| Way::Slow(*span)))
    }

    /// The state after this happened, and whether all holds as far as the watch can tell; nothing when it cannot happen.
    fn after(&self, happens: Happens) -> Option<(Self, Holds)> {
        let mut next = self.clone();
        let mut holds = Ok(());
        match happens {
            Happens::Begins(index) => {
                let flow = next.flows.get_mut(index)?;
                let Stage::Waiting(opening, seed) = &*self.flows.get(index)?.stage else {
                    return None;
                };
                let command = opening.command(&self.world)?;
                let heard = digest(&(&command, self.world.now));
                let step = self.world.start_with(*seed, command.clone());
                holds = flow
                    .seen_in(&mut next.world, &mut next.watch)
                    .begins(&command, &step);
                next.goes_on(index, step, heard);
            }
            Happens::Crashes(index) => {
                next.left.crashes -= 1;
                next.flows.get_mut(index)?.stage = Rc::new(Stage::Over);
            }
            Happens::Steps(index, _, way) => {
                let flow = next.flows.get_mut(index)?;
                let Stage::Running(step, heard) = &*self.flows.get(index)?.stage else {
                    return None;
                };
                next.left.faults -= u8::from(way.is_fault());
                next.left.time_jumps -= u8::from(matches!(way, Way::Slow(_)));
                if way == Way::Delay {
                    next.delayed.push(Delayed {
                        flow: index,
                        of: digest(&(index, heard)),
                        step: Rc::new(Step::clone(step)),
                    });
                }
                let taken = flow
                    .seen_in(&mut next.world, &mut next.watch)
                    .take(Step::clone(step), way);
                holds = taken.holds;
                next.goes_on(index, taken.step, digest(&(heard, taken.heard)));
            }
            Happens::Arrives(place, _) => {
                let Delayed { flow, step, .. } = next.delayed.remove(place);
                let flow = next.flows.get_mut(flow)?;
                holds = flow.seen_in(&mut next.world, &mut next.watch).arrives(&step)?;
            }
            Happens::Passes(span) => {
                next.left.time_jumps -= 1;
                next.world.advance(span);
            }
        }
        Some((next, holds))
    }

    fn goes_on(&mut self, index: usize, step: Step, heard: u128) {
        let stage = match step.over() {
            Ok(outcome) => {
                if let Some(place) = Rc::make_mut(&mut self.outcomes).get_mut(index) {
                    *place = Some(*outcome);
                }
                Stage::Over
            }
            Err(step) => Stage::Running(Box::new(step), heard),
        };
        if let Some(flow) = self.flows.get_mut(index) {
            flow.stage = Rc::new(stage);
        }
    }
}

impl Flow {
    /// With the world in which its turn is, and its watch.
    fn seen_in<'a>(&'a mut self, world: &'a mut World, watch: &'a mut Rc<Watch>) -> Watched<'a> {
        let course = &mut self.course;
        Watched { world, watch, course }
    }
}

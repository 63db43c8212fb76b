//! A step of one flow in a world that is watched: what is done outside, what the flow hears of it, and whether all that is
//! promised still holds.

use std::hash::Hash;
use std::rc::Rc;

use verify_core::command::Command;
use verify_core::flow::{AssessAnswer, NotBegun, Outside, Question, Step};
use verify_core::port::{
    CompareRequest, Compared, ConcludeRequest, Concluded, DispatchRequest, Dispatched, InquireRequest,
    Inquired,
};
use verify_core::store::{Changeset, StoreAnswer};
use verify_core::time::Timestamp;

use super::{Way, World};
use crate::digest::digest;
use crate::watch::{Course, Holds, Watch};

/// A world, who watches it, and what was seen of the flow whose turn it is. Who watches and what was seen are shared with
/// other states until there is something new to them.
pub struct Watched<'a> {
    /// The world.
    pub world: &'a mut World,
    /// The watch over all that happens in it.
    pub watch: &'a mut Rc<Watch>,
    /// The flow.
    pub course: &'a mut Rc<Course>,
}

/// What came of a step.
pub struct Taken {
    /// The next one.
    pub step: Step,
    /// A digest of what the flow heard, and when.
    pub heard: u128,
    /// What does not hold any more.
    pub holds: Holds,
}

impl Watched<'_> {
    /// A flow begins with this step.
    ///
    /// # Errors
    /// What does not hold.
    pub fn begins(&mut self, command: &Command, step: &Step) -> Holds {
        Rc::make_mut(self.watch).is_now(self.world.now);
        *self.course = Rc::new(Course::of(command, self.world));
        self.course.begins(step)?;
        self.ended(step)
    }

    /// A step goes this way. One whose deadline has passed is not begun.
    pub fn take(&mut self, step: Step, way: Way) -> Taken {
        let ends = step.not_after().unwrap_or(Timestamp::MAX);
        let way = match self.world.now < ends {
            true => way,
            false => Way::TooLate,
        };
        let holds = Rc::make_mut(self.course).step();
        let mut asked = Asked {
            of: self,
            way,
            holds,
            said: None,
        };
        let step = match way {
            Way::Go | Way::Slow(_) | Way::RepeatFirst | Way::RepeatSecond => step.perform(&mut asked),
            Way::LoseAnswer => {
                drop(step.clone().perform(&mut asked));
                asked.lost(step)
            }
            Way::LoseCall | Way::Delay => {
                asked.asks(&step);
                asked.lost(step)
            }
            Way::Fail | Way::TooLate => step.not_begun(asked.now(), NotBegun::TooLate),
        };
        let Asked { holds, said, .. } = asked;
        // An answer that came after the deadline was dropped.
        let said = said.filter(|_| self.world.now < ends);
        let failed = matches!(way, Way::Fail | Way::TooLate);
        Taken {
            heard: digest(&(self.world.now, said, failed)),
            holds: holds.and_then(|()| self.ended(&step)),
            step,
        }
    }

    /// A call arrives that its flow has given up. `None` when it is too late for that: a store may find it whenever it likes,
    /// a provider is asked nothing after the deadline.
    pub fn arrives(&mut self, step: &Step) -> Option<Holds> {
        let in_time = step.not_after().is_some_and(|ends| self.world.now < ends);
        match step {
            Step::Store(step) => Some(self.apply(step.changeset()).1),
            Step::Dispatch(step) if in_time => {
                self.world.carry(step.request());
                Some(self.watch.sent(self.world))
            }
            Step::Conclude(step) if in_time => {
                self.world.conclude(step.request());
                Some(Ok(()))
            }
            Step::Dispatch(_) | Step::Conclude(_) => None,
            Step::Assess(_) | Step::Compare(_) | Step::Inquire(_) | Step::Answer(_) | Step::Done(_) => None,
        }
    }

    fn apply(&mut self, changeset: &Changeset) -> (StoreAnswer, Holds) {
        let course = Rc::make_mut(self.course);
        Rc::make_mut(self.watch).apply(course, self.world, changeset)
    }

    fn ended(&mut self, step: &Step) -> Holds {
        match step {
            Step::Done(outcome) => Rc::make_mut(self.watch).ended(self.course, self.world, outcome),
            Step::Answer(answer) => Rc::make_mut(self.watch).ended(self.course, self.world, answer.outcome()),
            Step::Store(_)
            | Step::Assess(_)
            | Step::Dispatch(_)
            | Step::Compare(_)
            | Step::Inquire(_)
            | Step::Conclude(_) => Ok(()),
        }
    }
}

/// The world as a step meets it that goes this way.
struct Asked<'a, 'b> {
    of: &'a mut Watched<'b>,
    way: Way,
    holds: Holds,
    /// A digest of the answer, where there was one.
    said: Option<u128>,
}

impl Asked<'_, '_> {
    /// What is done, once or twice, and the answer that is heard.
    fn goes<A: Hash>(&mut self, effect: impl Fn(&mut Self) -> A) -> A {
        let mut answer = effect(self);
        match self.way {
            Way::RepeatFirst => drop(effect(self)),
            Way::RepeatSecond => answer = effect(self),
            Way::Slow(span) => self.of.world.advance(span),
            Way::Go | Way::LoseAnswer | Way::LoseCall | Way::Delay | Way::Fail | Way::TooLate => {}
        }
        self.said = Some(digest(&answer));
        answer
    }

    fn finds(&mut self, holds: Holds) {
        if self.holds.is_ok() {
            self.holds = holds;
        }
    }

    /// A provider is asked, whatever becomes of it.
    fn asks(&mut self, step: &Step) {
        match step {
            Step::Dispatch(step) => self.asks_to_send(step.request()),
            Step::Compare(_) => self.asks_to_compare(),
            Step::Store(_) | Step::Assess(_) | Step::Inquire(_) => {}
            Step::Conclude(_) | Step::Answer(_) | Step::Done(_) => {}
        }
    }

    fn asks_to_send(&mut self, request: &DispatchRequest) {
        self.of.world.dispatches += 1;
        let holds = Rc::make_mut(self.of.watch).dispatches(self.of.course, request);
        self.finds(holds);
    }

    fn asks_to_compare(&mut self) {
        self.of.world.compared += 1;
        let holds = Rc::make_mut(self.of.course).compares();
        self.finds(holds);
    }

    fn lost(&mut self, step: Step) -> Step {
        self.said = None;
        step.lost(self.now())
    }
}

impl Outside for Asked<'_, '_> {
    fn now(&self) -> Timestamp {
        self.of.world.now
    }

    fn apply(&mut self, changeset: &Changeset) -> StoreAnswer {
        self.goes(|asked| {
            let (answer, holds) = asked.of.apply(changeset);
            asked.finds(holds);
            answer
        })
    }

    fn assess(&mut self, question: &Question) -> AssessAnswer {
        self.goes(|asked| asked.of.world.assess(question))
    }

    fn dispatch(&mut self, request: &DispatchRequest) -> Dispatched {
        self.asks_to_send(request);
        self.goes(|asked| {
            let answer = asked.of.world.carry(request);
            let holds = asked.of.watch.sent(asked.of.world);
            asked.finds(holds);
            answer
        })
    }

    fn compare(&mut self, request: &CompareRequest) -> Compared {
        self.asks_to_compare();
        let answer = self.goes(|asked| asked.of.world.judge(request));
        if matches!(answer, Compared::Ended { .. }) && self.way != Way::LoseAnswer {
            Rc::make_mut(self.of.course).hears_of_the_end();
        }
        answer
    }

    fn inquire(&mut self, request: &InquireRequest) -> Inquired {
        self.goes(|asked| asked.of.world.inquire(request))
    }

    fn conclude(&mut self, request: &ConcludeRequest) -> Concluded {
        self.goes(|asked| asked.of.world.conclude(request))
    }
}

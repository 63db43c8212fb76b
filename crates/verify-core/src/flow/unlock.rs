//! Unlock, for operators: it ends a person's lockout and forgets what providers said of the destination, and opens nothing
//! that the lockout had closed. Limits stay counted, but for the check limits where that is asked for. It answers what
//! keeps the person out all the same.
//!
//! ```text
//! parse ── look ──┬── reset, write down what the lockouts had closed ── done
//!            ▲    │ subjects that were not named have something here
//!            │    └── look at theirs too ── …
//!            └─────────────────────┘ conflict
//! ```

use std::collections::BTreeSet;

use crate::command::{Caller, Person, UnlockRequest};
use crate::event::{Event, EventKind};
use crate::outcome::{Fault, Stands, UnlockAnswer};
use crate::store::{CounterKey, StoreAnswer, StoreFault};
use crate::time::Timestamp;
use crate::vocabulary::Standing;

use super::board::{Board, Kind, Line};
use super::context::Context;
use super::found::{Found, Places};
use super::refusals::contention;
use super::sealed::Sealed;
use super::step::{Step, StoreStep, StoreThen};
use super::who::Who;

/// The look on its way to the store.
#[derive(Debug, Clone)]
pub(super) struct Look {
    ctx: Context,
    check_limits: bool,
    people: Vec<Seat>,
    places: Places,
    /// Subjects that have something here were looked for.
    looked_around: bool,
}

/// Somebody whom the lockout may be about: as each standing, as the subject that was named, and as nobody's.
#[derive(Debug, Clone)]
struct Seat {
    who: Who,
    board: Board,
    /// False for a subject that has something here and was not named: only told about.
    named: bool,
}

/// The resets on their way to the store.
#[derive(Debug, Clone)]
pub(super) struct Write {
    look: Look,
    stands: Vec<Stands>,
}

pub(super) fn start(mut ctx: Context, request: &UnlockRequest, now: Timestamp) -> Step {
    let person = Person {
        country: request.country,
        subject: request.subject.clone(),
        ..Person::at(&*request.to)
    };
    let who = match Who::person(&mut ctx, &person, &Caller::default(), now) {
        Ok(who) => who,
        Err(refusal) => return ctx.refuse::<UnlockAnswer>(refusal),
    };
    let places = Places::with_notes(&ctx.keys, &who.destination, [&who.destination]);
    let mut look = Look {
        ctx,
        check_limits: request.check_limits,
        people: Vec::new(),
        places,
        looked_around: false,
    };
    look.seat(&who, true);
    if who.subject.is_some() {
        let nobody = who.as_subject(&look.ctx, None);
        look.seat(&nobody, true);
    }
    look.step(now)
}

impl Look {
    /// Seats somebody as each standing, with the rules that nobody before them has.
    fn seat(&mut self, who: &Who, named: bool) {
        for standing in [Standing::Stranger, Standing::Known] {
            let who = Who {
                standing,
                ..who.clone()
            };
            let mut board = Board::for_person(&self.ctx, &who);
            let seated: BTreeSet<CounterKey> = self.lines().map(|(_, line)| line.charge.key).collect();
            board.lines.retain(|line| !seated.contains(&line.charge.key));
            self.people.push(Seat { who, board, named });
        }
    }

    fn lines(&self) -> impl Iterator<Item = (&Seat, &Line)> {
        self.people
            .iter()
            .flat_map(|seat| seat.board.lines.iter().map(move |line| (seat, line)))
    }

    /// What is ended: the lockouts of whoever was named, and their check limits where that is asked for.
    fn ends(&self, seat: &Seat, line: &Line) -> bool {
        seat.named
            && match line.kind {
                Kind::Lockout => true,
                Kind::Checks => self.check_limits,
                Kind::Gap | Kind::Sends | Kind::Spend | Kind::Failures => false,
            }
    }

    /// Probes everything. A probe that denies refuses the changeset and shows all the same.
    fn step(self, now: Timestamp) -> Step {
        let mut changeset = self.ctx.changeset(now, Standing::Known);
        changeset.charges = self.people.iter().flat_map(|seat| seat.board.charges()).collect();
        changeset.reads = self.places.keys();
        StoreStep::step(changeset, self.ctx.not_after, StoreThen::UnlockLook(self))
    }

    pub(super) fn resume(mut self, now: Timestamp, answer: StoreAnswer) -> Step {
        let mut seen = match answer.seen() {
            Ok(seen) => seen,
            Err(fault) => return self.ctx.failed(fault),
        };
        let mut counters = std::mem::take(&mut seen.counters).into_iter();
        for seat in &mut self.people {
            seat.board.take(counters.by_ref());
        }
        let boards: Vec<&Board> = self.people.iter().map(|seat| &seat.board).collect();
        let found = match Found::at(&mut self.places, &boards, &seen, now) {
            Ok(found) => found,
            Err(fault) => return self.ctx.failed(fault),
        };
        if !self.looked_around && self.look_around(&found) {
            return self.step(now);
        }
        self.write(found, now)
    }

    /// Seats the subjects that have something here and that nobody named. False when there is none.
    fn look_around(&mut self, found: &Found) -> bool {
        self.looked_around = true;
        let seats = self.people.len();
        for verification in &found.record.verifications {
            let seated = |seat: &Seat| seat.who.is_of_subject(verification);
            if verification.identity.subject.is_none() || self.people.iter().any(seated) {
                continue;
            }
            let sealed = Sealed::open(&self.ctx, &verification.sealed);
            if let (Some(sealed), Some(first)) = (sealed, self.people.first()) {
                let who = first.who.as_subject(&self.ctx, sealed.spelled.subject);
                self.seat(&who, false);
            }
        }
        self.people.len() > seats
    }

    /// The reset forgets what the lockouts had closed, so that is written down with it.
    fn write(mut self, mut found: Found, now: Timestamp) -> Step {
        let clock = found.clock;
        let stands = self.stands(clock);
        let Self {
            ctx, people, places, ..
        } = &self;
        let exhausted = found.write_down_ends(|verification| {
            let named = people.iter().filter(|seat| seat.named);
            let closed = |seat: &Seat| {
                let closed = seat.board.closed_before(clock);
                closed.of_standing(&seat.who, verification)
            };
            named.map(closed).max().unwrap_or(Timestamp::ZERO)
        });
        let mut changeset = ctx.changeset(now, Standing::Known);
        let ended = || self.lines().filter(|(seat, line)| self.ends(seat, line));
        changeset.resets = ended().map(|(_, line)| line.charge.key).collect();
        let notes = places.notes.iter().map(|notes| &notes.place);
        changeset.records = notes.clone().flat_map(|place| place.goes()).collect();
        if !exhausted.is_empty() {
            match places.record.becomes(&found.record) {
                Ok(change) => changeset.records.extend(change),
                Err(_) => return self.ctx.fault(Fault::Defect),
            }
        }
        let event = |kind, nth| Event {
            purpose: None,
            standing: None,
            ..match people.first() {
                Some(seat) => seat.who.event(ctx, kind, nth, now),
                None => ctx.event(kind, nth, now),
            }
        };
        let mut rules: Vec<_> = notes
            .filter(|place| !place.is_empty())
            .map(|_| "note".into())
            .collect();
        let limits = ended().filter(|(_, line)| line.kind == Kind::Checks && line.figure(clock) > 0);
        rules.extend(limits.map(|(_, line)| line.rule.clone()));
        changeset.events.push(Event {
            rules,
            ..event(EventKind::Unlocked, 0)
        });
        changeset
            .events
            .extend((0..).zip(&exhausted).map(|(nth, nonce)| Event {
                verification: Some(nonce.print()),
                ..event(EventKind::Exhausted, nth)
            }));
        let hits: Vec<_> = self
            .standing(clock)
            .map(|(_, line, until)| (line.rule.clone(), line.figure(clock), line.allowed(), until))
            .collect();
        self.ctx.explanation.rules.clear();
        for (rule, figure, allowed, until) in hits {
            self.ctx.hit(rule, figure, allowed, Some(until));
        }
        let not_after = self.ctx.not_after;
        StoreStep::step(
            changeset,
            not_after,
            StoreThen::UnlockWrite(Write { look: self, stands }),
        )
    }

    /// What refuses a send or a check of these people, and is not ended.
    fn standing(&self, clock: Timestamp) -> impl Iterator<Item = (&Seat, &Line, crate::time::Until)> {
        self.lines()
            .filter(|(seat, line)| !self.ends(seat, line))
            .filter_map(move |(seat, line)| Some((seat, line, seat.board.denied(line, clock)?)))
    }

    fn stands(&self, clock: Timestamp) -> Vec<Stands> {
        let one = |(seat, line, until): (&Seat, &Line, _)| Stands {
            rule: line.rule.clone(),
            standing: seat.who.standing,
            named: seat.named,
            until,
        };
        self.standing(clock).map(one).collect()
    }
}

impl Write {
    pub(super) fn resume(self, now: Timestamp, answer: StoreAnswer) -> Step {
        let Self { mut look, stands } = self;
        match answer {
            StoreAnswer::Applied(_) => look.ctx.done(UnlockAnswer::Unlocked { stands }),
            StoreAnswer::Refused(_) if look.ctx.try_again() => look.step(now),
            StoreAnswer::Refused(_) => look.ctx.refuse::<UnlockAnswer>(contention()),
            StoreAnswer::Unknown(words) => look.ctx.failed(StoreFault::Unavailable(words)),
            StoreAnswer::NotApplied(fault) => look.ctx.failed(fault),
        }
    }
}

//! What is kept for known callers, and how much of it one of them may use.
//!
//! A known caller is first charged like anybody: on what is there for all. The windows of their shares come along as
//! probes that admit everything, so that the store shows them. Only when what is there for all is used up, they draw on
//! what is kept: charged on the whole, and on their shares, which nobody else is charged on.

use std::sync::Arc;

use super::board::{Board, Fingerprints, Kept, Line};
use crate::limit::Rule;
use crate::policy::{Limit, Reserve};
use crate::store::{Charge, CounterKey, Mode};
use crate::time::{MOST, Timestamp, Until};
use crate::vocabulary::Dimension;

use super::scopes::Scope;

/// By what the shares are counted, each besides what the limit itself is counted by.
const ONE: [Dimension; 3] = [Dimension::Subject, Dimension::Destination, Dimension::Ip];

impl Board {
    /// The windows of what one known caller may use of what is kept.
    pub(super) fn shares(
        &mut self,
        prints: &mut Fingerprints<'_>,
        (limit, scope): (&Limit, Scope),
        (by, reserve): (&[Dimension], Reserve),
    ) {
        let who = prints.who;
        // The limit's own line, which was pushed just before.
        let Some(main) = self.lines.last().cloned() else {
            return;
        };
        for one in ONE.iter().filter(|one| who.has(**one) && !by.contains(one)) {
            let by: Vec<Dimension> = by.iter().copied().chain([*one]).collect();
            // What is kept for one message at least.
            let most = reserve.share.max(main.charge.cost);
            for print in prints.computed(&by).iter() {
                let mut charge = Charge {
                    key: CounterKey {
                        scope: scope.of_shares(),
                        print,
                    },
                    mode: Mode::Probe,
                    ..main.charge.clone()
                };
                set_max(&mut charge.rule, MOST);
                self.lines.push(Line {
                    rule: format!("{}/share", limit.name).into(),
                    kept: Kept::Share {
                        of: Arc::clone(&limit.name),
                        most,
                        drawn: main.charge.mode,
                    },
                    charge,
                    ..main.clone()
                });
            }
        }
    }

    /// Draws on what is kept where what is there for all is used up, and nowhere else.
    pub(super) fn draw(&mut self, now: Timestamp) {
        let scarce: Vec<bool> = self
            .lines
            .iter()
            .map(|line| self.scarce(line, now).is_some())
            .collect();
        for (line, scarce) in self.lines.iter_mut().zip(scarce) {
            let charge = &mut line.charge;
            match (&line.kept, scarce) {
                (Kept::Nothing, _) => {}
                (Kept::Common { whole: most, .. }, true) | (Kept::Common { common: most, .. }, false) => {
                    set_max(&mut charge.rule, *most);
                }
                (Kept::Share { most, drawn, .. }, true) => {
                    set_max(&mut charge.rule, *most);
                    charge.mode = *drawn;
                }
                (Kept::Share { .. }, false) => {
                    set_max(&mut charge.rule, MOST);
                    charge.mode = Mode::Probe;
                }
            }
        }
    }

    /// When a line admits one more: where there is something for all, nobody's share matters.
    pub(super) fn denied(&self, line: &Line, now: Timestamp) -> Option<Until> {
        match line.kept {
            Kept::Nothing => line.denied_by(None, now),
            Kept::Common { whole, .. } => line.denied_by(Some(whole), now),
            Kept::Share { most, .. } => {
                let share = line.denied_by(Some(most), now)?;
                self.scarce(line, now).map(|scarce| share.min(scarce))
            }
        }
    }

    /// Until when what is there for all is used up on the limit of this line. While keys are rotated it has a line for each.
    fn scarce(&self, line: &Line, now: Timestamp) -> Option<Until> {
        let name = match &line.kept {
            Kept::Nothing => return None,
            Kept::Common { .. } => &line.rule,
            Kept::Share { of, .. } => of,
        };
        let of_all = |line: &Line| match line.kept {
            Kept::Common { common, .. } if line.rule == *name => line.denied_by(Some(common), now),
            Kept::Common { .. } | Kept::Nothing | Kept::Share { .. } => None,
        };
        self.lines.iter().filter_map(of_all).max()
    }
}

impl Line {
    /// By this `max` in the place of the rule's.
    fn denied_by(&self, max: Option<u64>, now: Timestamp) -> Option<Until> {
        let mut rule = self.charge.rule.clone();
        if let Some(max) = max {
            set_max(&mut rule, max);
        }
        self.before.denied(&rule, self.charge.cost, now)
    }
}

fn set_max(rule: &mut Rule, most: u64) {
    match rule {
        Rule::Window { max, .. } => *max = most,
        Rule::Backoff { .. } => {}
    }
}

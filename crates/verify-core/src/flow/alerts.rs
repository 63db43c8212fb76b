//! Limits that refuse nothing and say when they were passed.

use std::sync::Arc;

use crate::event::{Event, EventKind};
use crate::limit::Rule;
use crate::policy::Then;
use crate::store::{Alert, Claim, ClaimKey, ClaimKind, Takeback};
use crate::time::Timestamp;

use super::board::{Board, Line, used};
use super::context::Context;
use super::who::Who;

impl Board {
    /// Limits that only alert and that this charge took over their `max`, each with its line.
    fn crossed(&self, now: Timestamp) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |line| {
            line.then == Then::Alert
                && line.allowed().is_some_and(|max| {
                    used(&line.before, &line.charge.rule, now) <= max
                        && used(&line.after, &line.charge.rule, now) > max
                })
        })
    }

    /// True when this charge took a limit that only alerts over its `max`.
    pub(super) fn is_alerting(&self, now: Timestamp) -> bool {
        self.crossed(now).next().is_some()
    }

    /// The alerts that this charge raises: each once within its limit's `per`. During a rotation of keys a limit has a line
    /// for each key; the one under the oldest marks for all of them.
    /// What is given back crosses nothing.
    pub(super) fn alerts(
        &self,
        ctx: &Context,
        who: &Who,
        given_back: &[Takeback],
        now: Timestamp,
    ) -> Vec<Alert> {
        let stays = |line: &&Line| given_back.iter().all(|back| back.key != line.charge.key);
        let mut rules: Vec<&Arc<str>> = self.crossed(now).filter(stays).map(|line| &line.rule).collect();
        rules.dedup();
        let last = |rule: &Arc<str>| self.lines.iter().rfind(|line| line.rule == *rule);
        let alert = |(nth, line): (u8, &Line)| {
            let Rule::Window { per, .. } = line.charge.rule else {
                return None;
            };
            Some(Alert {
                event: Event {
                    rules: vec![Arc::clone(&line.rule)],
                    ..who.event(ctx, EventKind::LimitAlert, nth, now)
                },
                once: Claim {
                    key: ClaimKey {
                        kind: ClaimKind::Alert,
                        print: line.charge.key.mixed(),
                    },
                    value: Vec::new(),
                    expires_at: now + per,
                },
            })
        };
        (0..)
            .zip(rules.into_iter().filter_map(last))
            .filter_map(alert)
            .collect()
    }
}

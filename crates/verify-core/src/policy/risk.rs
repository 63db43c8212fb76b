//! `[risk]`: what follows from the risk scorer's word.

use std::ops::RangeInclusive;

use super::channels::AtEnd;
use super::file::{Page, Report, Section, flag, integer, is_name, list, name, word, words};

const SCORE: RangeInclusive<u8> = 0..=100;

/// What follows from the risk scorer's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskRules {
    /// Off: the scorer is not asked.
    pub enabled: bool,
    /// Level high.
    pub high: RiskAction,
    /// Level medium.
    pub medium: RiskAction,
    /// Level low.
    pub low: RiskAction,
    /// The scorer could not be asked.
    pub unavailable: RiskAction,
    /// Factors that a step-up names.
    pub step_up: Vec<String>,
    /// Whether a step-up offers enrolment to a subject without a factor.
    pub unenrolled: Unenrolled,
    /// Score from which a level is medium, for scorers that give only a score (0 to 100).
    pub medium_from: u8,
    /// Score from which a level is high.
    pub high_from: u8,
}

/// What to do at a risk level. From the mildest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RiskAction {
    /// Go on.
    Proceed,
    /// What can be done: ask for a human where a human check is configured, else go on and report.
    Auto,
    /// Ask for a human.
    HumanCheck,
    /// Ask for a stronger factor.
    StepUp,
    /// Refuse.
    Refuse,
}

words! {
    RiskAction { Proceed = "proceed", Auto = "auto", HumanCheck = "human_check", StepUp = "step_up", Refuse = "refuse" }
}

/// What a step-up says to a subject without a factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unenrolled {
    /// Refuse.
    Refuse,
    /// Offer enrolment, which needs a proof of its own.
    Enroll,
}

words! { Unenrolled { Refuse = "refuse", Enroll = "enroll" } }

impl Default for RiskRules {
    fn default() -> Self {
        Self {
            enabled: true,
            high: RiskAction::Refuse,
            // A step-up that nothing can answer is a dead end, and no factor is there yet.
            medium: RiskAction::Auto,
            low: RiskAction::Proceed,
            unavailable: RiskAction::Proceed,
            step_up: vec!["totp".into()],
            unenrolled: Unenrolled::Refuse,
            medium_from: 50,
            high_from: 80,
        }
    }
}

impl RiskRules {
    pub(super) fn read(&mut self, section: &mut Section<'_, '_>) {
        #[rustfmt::skip]
        let Self {
            enabled, high, medium, low, unavailable, step_up, unenrolled, medium_from, high_from,
        } = self;
        section.set("enabled", enabled, flag);
        section.set("high", high, word);
        section.set("medium", medium, word);
        section.set("low", low, word);
        section.set("unavailable", unavailable, word);
        section.set("step_up", step_up, list(name));
        section.set("unenrolled", unenrolled, word);
        section.within("thresholds", |thresholds| {
            thresholds.set("medium", medium_from, integer(SCORE));
            thresholds.set("high", high_from, integer(SCORE));
        });
    }

    pub(super) fn print(&self, page: &mut Page) {
        #[rustfmt::skip]
        let Self {
            enabled, high, medium, low, unavailable, step_up, unenrolled, medium_from, high_from,
        } = self;
        page.header("risk");
        page.pair("enabled", enabled);
        page.word("high", *high);
        page.word("medium", *medium);
        page.word("low", *low);
        page.word("unavailable", *unavailable);
        page.texts("step_up", step_up);
        page.word("unenrolled", *unenrolled);
        let thresholds = format_args!("{{ medium = {medium_from}, high = {high_from} }}");
        page.pair("thresholds", thresholds);
    }

    /// `at_end`: what is said when no channel is left, which may name factors too.
    pub(super) fn check(&self, at_end: AtEnd, found: &mut Report) {
        self.check_effect(at_end, found);
        let (medium, high) = (self.medium_from, self.high_from);
        if !SCORE.contains(&high) || !SCORE.contains(&medium) {
            found.fault("risk.thresholds", "a score is a whole number from 0 to 100");
        } else if medium > high {
            let message = format!(
                "found medium = {medium} above high = {high}; medium at most as great as high would do"
            );
            found.fault("risk.thresholds", message);
        }
        let steps_up = [self.high, self.medium, self.low, self.unavailable].contains(&RiskAction::StepUp);
        if self.enabled && steps_up && self.step_up.is_empty() {
            found.fault(
                "risk.step_up",
                "found no factor, but a level asks for a step-up; name one, such as \"totp\"",
            );
        }
        if !self.step_up.iter().all(|factor| is_name(factor)) {
            found.fault(
                "risk.step_up",
                "a factor's name has 1 to 64 characters of a-z A-Z 0-9 . _ -",
            );
        }
    }

    /// Keys that decide nothing beside the others.
    fn check_effect(&self, at_end: AtEnd, found: &mut Report) {
        let usual = Self::default();
        let off = Self {
            enabled: false,
            ..usual.clone()
        };
        if !self.enabled && *self != off {
            found.warning(
                "risk.enabled",
                "false: no scorer is asked, and what else [risk] says changes nothing",
            );
        }
        let steps_up = [self.high, self.medium, self.low, self.unavailable].contains(&RiskAction::StepUp);
        let named = self.step_up != usual.step_up || self.unenrolled != usual.unenrolled;
        if self.enabled && named && !steps_up && at_end != AtEnd::StepUp {
            found.warning(
                "risk.step_up",
                "changes nothing: no level asks for a step-up, such as medium = \"step_up\"",
            );
        }
        if self.medium_from == self.high_from {
            found.warning(
                "risk.thresholds",
                "medium and high are the same: no score is medium",
            );
        }
    }
}

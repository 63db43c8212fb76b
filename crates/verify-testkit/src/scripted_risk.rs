//! A risk scorer and a human check that do as they are told.

use std::collections::{BTreeSet, VecDeque};

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::port::{
    AssessRequest, Assessment, HumanCheck, HumanRequest, RiskLevel, RiskScorer, Unavailable,
};

/// Gives scripted assessments one after the other, and low ones without a script.
#[derive(Debug, Default)]
pub struct ScriptedRiskScorer {
    script: Mutex<VecDeque<Result<Assessment, Unavailable>>>,
    asked: Mutex<Vec<AssessRequest>>,
}

impl ScriptedRiskScorer {
    /// One that finds everything low.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next answers, after those already scripted.
    pub fn script(&self, answers: impl IntoIterator<Item = Result<Assessment, Unavailable>>) {
        self.script.lock().extend(answers);
    }

    /// The next answer is this level.
    pub fn next_level(&self, level: RiskLevel) {
        self.script([Ok(Assessment::of_level(level))]);
    }

    /// What it was asked, oldest first.
    pub fn asked(&self) -> Vec<AssessRequest> {
        self.asked.lock().clone()
    }
}

#[async_trait]
impl RiskScorer for ScriptedRiskScorer {
    async fn assess(&self, request: &AssessRequest) -> Result<Assessment, Unavailable> {
        self.asked.lock().push(request.clone());
        let low = || Ok(Assessment::of_level(RiskLevel::Low));
        self.script.lock().pop_front().unwrap_or_else(low)
    }
}

/// A human check that knows its good tokens. Each is good once.
#[derive(Debug, Default)]
pub struct ScriptedHumanCheck {
    state: Mutex<HumanCheckState>,
}

#[derive(Default)]
struct HumanCheckState {
    good: BTreeSet<String>,
    unavailable: bool,
}

impl std::fmt::Debug for HumanCheckState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HumanCheckState")
            .field("good", &self.good.len())
            .field("unavailable", &self.unavailable)
            .finish()
    }
}

impl ScriptedHumanCheck {
    /// One that knows no token yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// This token shows a person, once.
    pub fn accept(&self, token: &str) {
        self.state.lock().good.insert(token.to_owned());
    }

    /// Whether it cannot be asked.
    pub fn set_unavailable(&self, unavailable: bool) {
        self.state.lock().unavailable = unavailable;
    }
}

#[async_trait]
impl HumanCheck for ScriptedHumanCheck {
    fn is_configured(&self) -> bool {
        true
    }

    async fn verify(&self, request: &HumanRequest) -> Result<bool, Unavailable> {
        let mut state = self.state.lock();
        if state.unavailable {
            Err(Unavailable)
        } else {
            Ok(state.good.remove(&request.token))
        }
    }
}

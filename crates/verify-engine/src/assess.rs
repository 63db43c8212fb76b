//! The questions about a send: all risk scorers at once, and the human check. What several scorers say is handed over as
//! it is; the flow weighs it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use verify_core::flow::{AssessAnswer, Heard, NotBegun, Question};
use verify_core::port::{AssessRequest, Assessment, RiskLevel, RiskScorer, Unavailable};
use verify_core::time::Timestamp;

use crate::caught::caught;
use crate::outside::Outside;
use crate::telemetry;

impl Outside {
    /// Answers a question about a send.
    pub(crate) async fn assess(&self, question: &Question, not_after: Timestamp) -> Heard<AssessAnswer> {
        let left = self.left_to_assess(not_after);
        if left.is_zero() {
            return Heard::NotBegun(NotBegun::TooLate);
        }
        match question {
            Question::Risk(request) => {
                let said = self.ask_scorers(request, left).await;
                for word in &said {
                    telemetry::assessed("risk", risk_word(word));
                }
                Heard::Answer(AssessAnswer::Said(said))
            }
            Question::Human(request) => {
                let person = timeout(left, self.human_check.verify(request)).await;
                let (heard, word) = match person {
                    Ok(Ok(true)) => (Heard::Answer(AssessAnswer::Human(true)), "person"),
                    Ok(Ok(false)) => (Heard::Answer(AssessAnswer::Human(false)), "no_person"),
                    Ok(Err(Unavailable)) => (Heard::Answer(AssessAnswer::Unavailable), "unavailable"),
                    Err(_elapsed) => (Heard::Lost, "unavailable"),
                };
                telemetry::assessed("human", word);
                heard
            }
        }
    }

    /// All scorers at once. One that is late, or panics, is unavailable.
    async fn ask_scorers(
        &self,
        request: &AssessRequest,
        left: Duration,
    ) -> Vec<Result<Assessment, Unavailable>> {
        if let [scorer] = self.scorers.as_slice() {
            return vec![asked(&**scorer, request, left).await];
        }
        let mut asking = JoinSet::new();
        for scorer in &self.scorers {
            let (scorer, request) = (Arc::clone(scorer), request.clone());
            asking.spawn(async move { asked(&*scorer, &request, left).await });
        }
        let mut said = Vec::with_capacity(self.scorers.len());
        while let Some(joined) = asking.join_next().await {
            said.push(joined.unwrap_or(Err(Unavailable)));
        }
        said
    }
}

async fn asked(
    scorer: &dyn RiskScorer,
    request: &AssessRequest,
    left: Duration,
) -> Result<Assessment, Unavailable> {
    let asking = caught(|| scorer.assess(request));
    timeout(left, asking)
        .await
        .ok()
        .flatten()
        .unwrap_or(Err(Unavailable))
}

/// What one scorer said, for metrics.
fn risk_word(said: &Result<Assessment, Unavailable>) -> &'static str {
    match said {
        Ok(Assessment { verdict: Some(_), .. }) => "verdict",
        Ok(assessment) => match (assessment.level, assessment.score) {
            (Some(RiskLevel::Low), _) => "low",
            (Some(RiskLevel::Medium), _) => "medium",
            (Some(RiskLevel::High), _) => "high",
            (None, Some(_)) => "score",
            (None, None) => "no_level",
        },
        Err(Unavailable) => "unavailable",
    }
}

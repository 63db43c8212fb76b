//! The questions about a send: several risk scorers, of which the worst answer wins, and the human check.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::timeout;
use verify_core::flow::{AssessAnswer, Question};
use verify_core::policy::{PolicySet, RiskAction, RiskRules};
use verify_core::port::{AssessRequest, Assessment, RiskLevel, Unavailable};
use verify_core::time::Timestamp;

use crate::outside::Outside;
use crate::telemetry;

impl Outside {
    /// Answers a question about a send.
    pub(crate) async fn assess(
        &self,
        question: &Question,
        policies: &PolicySet,
        not_after: Timestamp,
    ) -> AssessAnswer {
        match question {
            Question::Risk(request) => {
                let rules = policies.of(&request.service).risk_for(request.purpose);
                let said = self.ask_scorers(request, not_after).await;
                let answer = worst(&said, rules);
                telemetry::assessed("risk", word(&answer));
                answer
            }
            Question::Human { token, ip } => {
                let answer = self.ask_for_a_human(token, *ip, not_after).await;
                telemetry::assessed("human", word(&answer));
                answer
            }
        }
    }

    /// All scorers at once. One that is late, or panics, is unavailable.
    async fn ask_scorers(
        &self,
        request: &AssessRequest,
        not_after: Timestamp,
    ) -> Vec<Result<Assessment, Unavailable>> {
        let left = self.left_to_assess(not_after);
        if left.is_zero() {
            return vec![Err(Unavailable)];
        }
        if let [scorer] = self.scorers.as_slice() {
            return vec![
                timeout(left, scorer.assess(request))
                    .await
                    .unwrap_or(Err(Unavailable)),
            ];
        }
        let mut asked = JoinSet::new();
        for scorer in &self.scorers {
            let (scorer, request) = (Arc::clone(scorer), request.clone());
            asked.spawn(async move {
                timeout(left, scorer.assess(&request))
                    .await
                    .unwrap_or(Err(Unavailable))
            });
        }
        let mut said = Vec::with_capacity(self.scorers.len());
        while let Some(joined) = asked.join_next().await {
            said.push(joined.unwrap_or(Err(Unavailable)));
        }
        said
    }

    async fn ask_for_a_human(&self, token: &str, ip: Option<IpAddr>, not_after: Timestamp) -> AssessAnswer {
        let left = self.left_to_assess(not_after);
        if left.is_zero() {
            return AssessAnswer::Unavailable;
        }
        match timeout(left, self.human_check.verify(token, ip)).await {
            Ok(Ok(person)) => AssessAnswer::Human(person),
            Ok(Err(Unavailable)) | Err(_) => AssessAnswer::Unavailable,
        }
    }
}

/// The worst of several words, by what the policy makes of each. A scorer that could not be asked counts as what the
/// policy says about that.
fn worst(said: &[Result<Assessment, Unavailable>], rules: &RiskRules) -> AssessAnswer {
    let level = said
        .iter()
        .flatten()
        .filter_map(|word| level_of(word, rules))
        .max();
    let score = said.iter().flatten().filter_map(|word| word.score).max();
    let signals = said
        .iter()
        .flatten()
        .flat_map(|word| word.signals.iter().cloned())
        .collect();
    let follows = level.map_or(RiskAction::Proceed, |level| action(level, rules));
    let answered = said.iter().any(Result::is_ok);
    let missed = said.iter().any(Result::is_err);
    if !answered || (missed && rules.unavailable > follows) {
        return AssessAnswer::Unavailable;
    }
    AssessAnswer::Assessed(Assessment {
        level,
        score,
        signals,
    })
}

/// The level that a word stands for: its own, or by the policy's thresholds.
fn level_of(word: &Assessment, rules: &RiskRules) -> Option<RiskLevel> {
    word.level.or_else(|| {
        word.score.map(|score| match score {
            score if score >= rules.high_from => RiskLevel::High,
            score if score >= rules.medium_from => RiskLevel::Medium,
            _ => RiskLevel::Low,
        })
    })
}

fn action(level: RiskLevel, rules: &RiskRules) -> RiskAction {
    match level {
        RiskLevel::Low => rules.low,
        RiskLevel::Medium => rules.medium,
        RiskLevel::High => rules.high,
    }
}

fn word(answer: &AssessAnswer) -> &'static str {
    match answer {
        AssessAnswer::Assessed(assessment) => match assessment.level {
            Some(RiskLevel::Low) => "low",
            Some(RiskLevel::Medium) => "medium",
            Some(RiskLevel::High) => "high",
            None => "no_level",
        },
        AssessAnswer::Human(true) => "person",
        AssessAnswer::Human(false) => "no_person",
        AssessAnswer::Unavailable => "unavailable",
    }
}

#[cfg(test)]
mod tests {
    use verify_core::policy::Policy;

    use super::*;

    fn says(level: Option<RiskLevel>, score: Option<u8>) -> Result<Assessment, Unavailable> {
        Ok(Assessment {
            level,
            score,
            signals: Vec::new(),
        })
    }

    fn level(answer: AssessAnswer) -> Option<RiskLevel> {
        match answer {
            AssessAnswer::Assessed(assessment) => assessment.level,
            AssessAnswer::Human(_) | AssessAnswer::Unavailable => panic!("{answer:?}"),
        }
    }

    #[test]
    fn the_worst_answer_wins_whether_it_is_a_level_or_a_score() {
        let rules = Policy::default().risk;
        let (low, medium) = (
            says(Some(RiskLevel::Low), None),
            says(Some(RiskLevel::Medium), None),
        );
        let high_score = says(None, Some(rules.high_from));
        for (said, worst_of_them) in [
            (vec![low.clone(), medium.clone()], RiskLevel::Medium),
            (vec![medium.clone(), low.clone()], RiskLevel::Medium),
            (vec![low.clone(), high_score.clone()], RiskLevel::High),
            (vec![high_score, medium], RiskLevel::High),
            (vec![low, says(None, Some(rules.medium_from))], RiskLevel::Medium),
            (vec![says(None, Some(rules.medium_from - 1))], RiskLevel::Low),
        ] {
            assert_eq!(level(worst(&said, &rules)), Some(worst_of_them), "{said:?}");
        }
    }

    #[test]
    fn a_scorer_that_cannot_be_asked_counts_as_the_policy_says() {
        let low = says(Some(RiskLevel::Low), None);
        let high = says(Some(RiskLevel::High), None);
        let mut rules = Policy::default().risk;
        rules.unavailable = RiskAction::StepUp;
        assert_eq!(worst(&[Err(Unavailable)], &rules), AssessAnswer::Unavailable);
        assert_eq!(
            worst(&[low.clone(), Err(Unavailable)], &rules),
            AssessAnswer::Unavailable
        );
        assert_eq!(
            level(worst(&[high, Err(Unavailable)], &rules)),
            Some(RiskLevel::High)
        );
        rules.unavailable = RiskAction::Proceed;
        assert_eq!(
            level(worst(&[low, Err(Unavailable)], &rules)),
            Some(RiskLevel::Low)
        );
    }
}

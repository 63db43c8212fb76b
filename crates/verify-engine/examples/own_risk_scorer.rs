//! A risk scorer of your own: numbers of one range look like pumping, and a known device looks fine.
//!
//! `cargo run -p verify-engine --example own_risk_scorer`

use std::error::Error;

use async_trait::async_trait;
use verify_core::command::SendRequest;
use verify_core::keys::Keys;
use verify_core::outcome::SendAnswer;
use verify_core::port::{AssessRequest, Assessment, DispatchRequest, Dispatched, RiskScorer, Unavailable};
use verify_core::vocabulary::{Channel, Standing};
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;

/// Scores by range. The policy's thresholds make levels of scores, and its `[risk]` says what follows.
struct Ranges {
    suspicious: &'static str,
}

#[async_trait]
impl RiskScorer for Ranges {
    async fn assess(&self, request: &AssessRequest) -> Result<Assessment, Unavailable> {
        let (score, signal) = match request.standing {
            Standing::Known => (0, "known device"),
            Standing::Stranger if request.to.starts_with(self.suspicious) => (95, "suspicious range"),
            Standing::Stranger => (5, "nothing stands out"),
        };
        // Signals are for operators: words, never the number.
        Ok(Assessment {
            score: Some(score),
            signals: vec![signal.to_owned()],
            ..Assessment::default()
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    for (to, came) in run().await? {
        println!("{to}: {came}");
    }
    Ok(())
}

/// What came of a send to a fine number, and to a suspicious one.
pub(crate) async fn run() -> Result<Vec<(&'static str, &'static str)>, Box<dyn Error>> {
    let sms = Deliverer::new("sms", [Channel::Sms], |_message: DispatchRequest| async {
        Dispatched::Accepted { upstream: None }
    });
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(sms)
        .risk_scorer(Ranges {
            suspicious: "+1202555017",
        })
        .without_client_ip()
        .build()?;

    let mut came = Vec::new();
    for to in ["+12025550123", "+12025550177"] {
        let word = match engine.send(SendRequest::to(to)).await.answer? {
            SendAnswer::Sent(_) => "sent",
            SendAnswer::Repeated(_) => "repeated",
            SendAnswer::Refused(refusal) => refusal.code.as_str(),
        };
        came.push((to, word));
    }
    Ok(came)
}

//! A provider of your own, in full: a mail relay that can be asked later what became of a message.
//!
//! `cargo run -p verify-engine --example own_provider`

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::ids::DeliveryId;
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::policy::{Policy, PolicySet};
use verify_core::port::{
    Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched,
    InquireRequest, Inquired, Maker, Provider, Rejection, RejectionKind, Scopes,
};
use verify_core::vocabulary::Channel;
use verify_engine::Engine;
use verify_memstore::MemStore;

/// Stands for a relay across the network: what it accepted, by the id of the dispatch.
#[derive(Default)]
pub(crate) struct Relay {
    accepted: Mutex<BTreeMap<DeliveryId, String>>,
}

impl Relay {
    /// A parsed answer, or an error of which nobody knows whether the message went out.
    fn post(&self, id: DeliveryId, body: String) -> Result<u16, std::io::Error> {
        self.accepted.lock().insert(id, body);
        Ok(202)
    }
}

/// Carries codes by mail.
pub(crate) struct MailProvider {
    relay: Arc<Relay>,
}

#[async_trait]
impl Provider for MailProvider {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            // Records hold it: it never changes.
            name: "mail-relay".into(),
            channels: vec![Channel::Email],
            // The engine makes and compares the code; this only carries it.
            maker: Maker::Own,
            scopes: Scopes::default(),
            can_inquire: true,
            can_conclude: false,
            reports: false,
            most_checks: None,
        }
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        let Some(code) = &request.code else {
            // Nothing was sent, surely: that alone is what `Rejected` means.
            return rejected(RejectionKind::BadRequest, "there is no code to carry");
        };
        let body = format!("Your code is {}", code.expose());
        match self.relay.post(request.dispatch_id, body) {
            Ok(202) => Dispatched::Accepted { upstream: None },
            Ok(401) => rejected(RejectionKind::Credentials, "the relay refuses our credentials"),
            Ok(429) => rejected(RejectionKind::AccountQuota, "too many messages at once"),
            // Anything else may have been sent. Do not try again here: the engine knows when that is safe.
            Ok(status) => {
                Dispatched::Unknown(Detail::new(Some(status.into()), "an answer that nobody expected"))
            }
            Err(_) => Dispatched::Unknown(Detail::new(None, "the connection broke")),
        }
    }

    async fn compare(&self, _request: &CompareRequest) -> Compared {
        Compared::NotAsked(Detail::new(None, "the engine compares its own codes"))
    }

    async fn inquire(&self, request: &InquireRequest) -> Inquired {
        // Asked only after the deadline: what is not there now will not come.
        if self.relay.accepted.lock().contains_key(&request.dispatch_id) {
            Inquired::Sent { upstream: None }
        } else {
            Inquired::NotSent
        }
    }

    async fn conclude(&self, _request: &ConcludeRequest) -> Concluded {
        Concluded::Done
    }

    async fn health(&self) -> Result<(), Rejection> {
        Ok(())
    }
}

fn rejected(kind: RejectionKind, text: &'static str) -> Dispatched {
    Dispatched::Rejected(Rejection {
        kind,
        retry_after: None,
        detail: Detail::new(None, text),
    })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run().await?);
    Ok(())
}

/// Sends a code by mail and checks it; returns what came of it.
pub(crate) async fn run() -> Result<&'static str, Box<dyn Error>> {
    let mut policy = Policy::default();
    policy.channels.default = Channel::Email;
    let relay = Arc::new(Relay::default());
    let engine = Engine::builder()
        .policy(PolicySet {
            default: Arc::new(policy),
            ..PolicySet::default()
        })
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(MailProvider {
            relay: Arc::clone(&relay),
        })
        .pacing("mail-relay", 20)
        .without_client_ip()
        .build()?;

    let sent = engine.send(SendRequest::to("ann@example.com")).await.answer?;
    let SendAnswer::Sent(verification) = sent else {
        return Ok("not sent");
    };
    let mail = relay.accepted.lock().values().next().cloned().unwrap_or_default();
    let code = mail.rsplit(' ').next().unwrap_or_default();
    let checked = engine
        .check(CheckRequest::of(&verification.id, code, "ann@example.com"))
        .await;
    Ok(match checked.answer? {
        CheckAnswer::Approved(_) => "approved",
        // Only of a check that does not say whom it expects.
        CheckAnswer::Unclaimed(_) => "unclaimed",
        CheckAnswer::WrongCode(_) => "wrong code",
        CheckAnswer::Refused(refusal) => refusal.code.as_str(),
    })
}

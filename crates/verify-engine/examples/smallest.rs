//! The smallest whole program: send a code, check it.
//!
//! `cargo run -p verify-engine --example smallest`

use std::error::Error;

use tokio::sync::mpsc;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::port::{DispatchRequest, Dispatched};
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!("{}", run().await?);
    Ok(())
}

/// Sends a code to a number and checks it; returns what came of it.
pub(crate) async fn run() -> Result<&'static str, Box<dyn Error>> {
    // Whatever carries a message: here it comes out of a channel, as it would out of a phone.
    let (phone, mut inbox) = mpsc::unbounded_channel();
    let sms = Deliverer::new("phone", [Channel::Sms], move |message: DispatchRequest| {
        let code = message.code.as_ref().map(|code| code.expose().to_owned());
        let taken = phone.send(code).is_ok();
        async move {
            if taken {
                Dispatched::Accepted { upstream: None }
            } else {
                Dispatched::Unknown(Default::default())
            }
        }
    });

    let engine = Engine::builder()
        // Made once, and kept: `Keys::to_text` and `Keys::parse`.
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(sms)
        .without_client_ip()
        .build()?;

    let sent = engine.send(SendRequest::to("+1 202 555 0123")).await.answer?;
    let SendAnswer::Sent(verification) = sent else {
        return Ok("not sent");
    };
    // What the person types.
    let Some(Some(code)) = inbox.recv().await else {
        return Ok("nothing arrived");
    };
    match engine
        .check(CheckRequest::of(&verification.id, code, "+1 202 555 0123"))
        .await
        .answer?
    {
        CheckAnswer::Approved(_) => Ok("approved"),
        // Only of a check that does not say whom it expects.
        CheckAnswer::Unclaimed(_) => Ok("unclaimed"),
        CheckAnswer::WrongCode(_) => Ok("wrong code"),
        CheckAnswer::Refused(refusal) => Ok(refusal.code.as_str()),
    }
}

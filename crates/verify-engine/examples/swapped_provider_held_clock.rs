//! The same policy over other providers, and under a clock that a test holds: the first provider is down, the second
//! carries the code, and ten minutes pass without anybody waiting for them.
//!
//! `cargo run -p verify-engine --example swapped_provider_held_clock`

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::port::{Clock, Detail, DispatchRequest, Dispatched, Provider, Rejection, RejectionKind};
use verify_core::time::Timestamp;
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;

/// Stands until it is moved.
struct HeldClock(AtomicU64);

impl HeldClock {
    fn advance(&self, span: Duration) {
        self.0.fetch_add(span.as_secs() * 1_000, Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (in_time, too_late) = run().await?;
    println!("in time: {in_time}; after ten minutes: {too_late}");
    Ok(())
}

/// What came of a code that was typed at once, and of one that was typed when it had died.
pub(crate) async fn run() -> Result<(&'static str, &'static str), Box<dyn Error>> {
    let clock = Arc::new(HeldClock(AtomicU64::new(1_800_000_000_000)));
    let (phone, mut inbox) = mpsc::unbounded_channel();
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(down("first"))
        .provider(carries("second", phone))
        .clock(Arc::clone(&clock))
        .without_client_ip()
        .build()?;

    let in_time = typed(&engine, &mut inbox, "+12025550123", || {}).await?;
    let too_late = typed(&engine, &mut inbox, "+12025550199", || {
        clock.advance(Duration::from_secs(600))
    })
    .await?;
    Ok((in_time, too_late))
}

/// Sends a code, lets something happen, types it.
async fn typed(
    engine: &Engine,
    inbox: &mut mpsc::UnboundedReceiver<String>,
    to: &str,
    meanwhile: impl FnOnce(),
) -> Result<&'static str, Box<dyn Error>> {
    let SendAnswer::Sent(verification) = engine.send(SendRequest::to(to)).await.answer? else {
        return Ok("not sent");
    };
    let code = inbox.recv().await.unwrap_or_default();
    meanwhile();
    let checked = engine.check(CheckRequest::of(&verification.id, code, to)).await;
    Ok(match checked.answer? {
        CheckAnswer::Approved(_) => "approved",
        // Only of a check that does not say whom it expects.
        CheckAnswer::Unclaimed(_) => "unclaimed",
        CheckAnswer::WrongCode(_) => "wrong code",
        CheckAnswer::Refused(refusal) => refusal.code.as_str(),
    })
}

fn down(name: &str) -> impl Provider + use<> {
    Deliverer::new(name, [Channel::Sms], |_message: DispatchRequest| async {
        Dispatched::Rejected(Rejection {
            kind: RejectionKind::Down,
            retry_after: None,
            detail: Detail::default(),
        })
    })
}

fn carries(name: &str, phone: mpsc::UnboundedSender<String>) -> impl Provider + use<> {
    Deliverer::new(name, [Channel::Sms], move |message: DispatchRequest| {
        let code = message.code.as_ref().map(|code| code.expose().to_owned());
        let taken = phone.send(code.unwrap_or_default()).is_ok();
        async move {
            if taken {
                Dispatched::Accepted { upstream: None }
            } else {
                Dispatched::Unknown(Detail::default())
            }
        }
    })
}

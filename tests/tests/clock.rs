//! A clock that jumps back while a flow is under way.
#![allow(missing_docs, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use verify_core::command::SendRequest;
use verify_core::keys::Keys;
use verify_core::port::{Detail, DispatchRequest, Dispatched, Rejection, RejectionKind};
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine, SendOutcome};
use verify_memstore::MemStore;
use verify_testkit::ManualClock;
use verify_tests::TO;

#[tokio::test(start_paused = true)]
async fn i44_a_jump_back_inside_a_flow_does_not_extend_its_deadline() {
    let clock = ManualClock::at(verify_core::time::Timestamp::from_millis(1_700_000_000_000));
    let asked = Arc::new(AtomicUsize::new(0));
    let mut builder = Engine::builder()
        .keys(Keys::generate(&[3; 32]))
        .store(MemStore::new())
        .clock(clock.clone())
        .without_client_ip();
    for name in ["first", "second", "third", "fourth"] {
        let (clock, asked) = (clock.clone(), Arc::clone(&asked));
        builder = builder.provider(Deliverer::new(name, [Channel::Sms], move |_: DispatchRequest| {
            if asked.fetch_add(1, Ordering::SeqCst) == 0 {
                clock.jump_back(Duration::from_secs(60));
            }
            async {
                // The runtime's time is paused: it passes at once.
                tokio::time::sleep(Duration::from_secs(9)).await;
                let (kind, detail) = (RejectionKind::Down, Detail::default());
                Dispatched::Rejected(Rejection {
                    kind,
                    retry_after: None,
                    detail,
                })
            }
        }));
    }
    let engine = builder.build().unwrap();
    let outcome = engine.send(SendRequest::to(TO)).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Refused(_)), "{outcome:?}");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        3,
        "after twenty seconds nobody is asked any more"
    );
}

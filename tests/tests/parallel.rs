//! Real parallelism: engines on one store in memory or in a file, hundreds of requests at once.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use verify_core::command::{CheckRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::port::{DispatchRequest, Dispatched};
use verify_core::store::Store;
use verify_core::vocabulary::Channel;
use verify_engine::{Deliverer, Engine};
use verify_memstore::MemStore;
use verify_tests::{TO, policy, wrong};

/// What arrived, over all engines.
#[derive(Default)]
struct Inbox {
    messages: AtomicUsize,
    last: Mutex<String>,
}

/// What eight engines keep their state in.
#[derive(Debug, Clone, Copy)]
enum Kept {
    InMemory,
    /// Each has opened the file by itself.
    InAFile,
}

impl Kept {
    const BOTH: [Self; 2] = [Self::InMemory, Self::InAFile];

    fn stores(self) -> Vec<Arc<dyn Store>> {
        let in_memory = Arc::new(MemStore::new());
        let path = support::fresh();
        let store = |_| match self {
            Self::InMemory => Arc::clone(&in_memory) as Arc<dyn Store>,
            Self::InAFile => Arc::new(support::open(&path)),
        };
        (0..8).map(store).collect()
    }
}

/// Eight engines that share state and a phone network.
fn engines(kept: Kept, text: &str) -> (Vec<Engine>, Arc<Inbox>) {
    let inbox = Arc::new(Inbox::default());
    let engine = |store| {
        let inbox = Arc::clone(&inbox);
        let phone = Deliverer::new(
            "phone",
            [Channel::Sms, Channel::Call],
            move |message: DispatchRequest| {
                inbox.messages.fetch_add(1, Ordering::SeqCst);
                if let Some(code) = &message.code {
                    code.expose().clone_into(&mut inbox.last.lock());
                }
                async { Dispatched::Accepted { upstream: None } }
            },
        );
        Engine::builder()
            .policy(policy(text))
            .keys(Keys::generate(&[3; 32]))
            .store(store)
            .provider(phone)
            .without_client_ip()
            .build()
            .unwrap()
    };
    (kept.stores().into_iter().map(engine).collect(), inbox)
}

async fn guesses(engines: &[Engine], codes: Vec<String>) -> (usize, usize) {
    let mut tasks = Vec::new();
    for (index, code) in codes.into_iter().enumerate() {
        let engine = engines[index % engines.len()].clone();
        tasks.push(tokio::spawn(async move {
            engine.check(CheckRequest::to(TO, code)).await.answer.unwrap()
        }));
    }
    let (mut compared, mut approved) = (0, 0);
    for task in tasks {
        match task.await.unwrap() {
            CheckAnswer::WrongCode(_) => compared += 1,
            CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_) => approved += 1,
            CheckAnswer::Refused(_) => {}
        }
    }
    (compared, approved)
}

async fn sent_by(engine: &Engine) {
    assert!(matches!(
        engine.send(SendRequest::to(TO)).await.answer.unwrap(),
        SendAnswer::Sent(_)
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i05_eight_engines_on_one_store_enforce_the_total_of_one() {
    for kept in Kept::BOTH {
        for (text, expected) in [
            ("version = 1", 1),
            (
                "version = 1\n[lockout]\nwaits = { 5 = \"15m\", 10 = \"1h\", 100 = \"never\" }\n",
                5,
            ),
        ] {
            let (engines, inbox) = engines(kept, text);
            sent_by(&engines[0]).await;
            let bad = wrong(&inbox.last.lock().clone());
            let (compared, approved) = guesses(&engines, vec![bad; 200]).await;
            assert_eq!((compared, approved), (expected, 0), "{kept:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i02_two_hundred_right_checks_one_approval() {
    for kept in Kept::BOTH {
        let (engines, inbox) = engines(kept, "version = 1");
        sent_by(&engines[0]).await;
        let right = inbox.last.lock().clone();
        let (_, approved) = guesses(&engines, vec![right; 200]).await;
        assert_eq!(approved, 1, "{kept:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn i26_two_hundred_sends_one_message() {
    for kept in Kept::BOTH {
        let (engines, inbox) = engines(kept, "version = 1");
        let mut tasks = Vec::new();
        for index in 0..200 {
            let engine = engines[index % engines.len()].clone();
            tasks.push(tokio::spawn(async move {
                engine.send(SendRequest::to(TO)).await.answer.unwrap()
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(inbox.messages.load(Ordering::SeqCst), 1, "{kept:?}");
    }
}

//! What stands in a file after flows over it: nothing of anybody, in the clear, and nothing that should have an end without one.
#![allow(missing_docs, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use verify_core::command::{CheckRequest, EraseRequest, Person, RedeemRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, SendAnswer};
use verify_core::policy::PolicySet;
use verify_core::port::{Detail, DispatchRequest, Dispatched, Rejection, RejectionKind};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Purpose, ServiceId};
use verify_engine::{Deliverer, Engine};
use verify_lab::in_the_clear;
use verify_testkit::{ManualClock, ScriptedProvider, SeededEntropy};
use verify_tests::{approved, wrong};

const NUMBER: &str = "+12025550167";
const NOBODY: &str = "+12025550199";
/// In the clear, so that the search is seen to find what is there.
const SERVICE: &str = "canary-service";

/// What was given by whom and to whom.
const PLANTED: [&str; 16] = [
    "12025550167",
    "2025550167",
    "12025550199",
    "canary.bird",
    "Canary.Bird",
    "canary-user",
    "canary-device",
    "canary-key-send",
    "canary-key-check",
    "canary-key-redeem",
    "canary-payee",
    "4711.42",
    "471142",
    "4711420000",
    "198.51.100.23",
    "canary words",
];

fn service() -> ServiceId {
    ServiceId::new(SERVICE).unwrap()
}

fn person(to: &str) -> Person {
    Person::at(to)
        .subject("canary-user")
        .pays("4711.42", "canary-payee")
}

/// An engine over a file, and who carries its codes.
struct Running {
    engine: Engine,
    clock: ManualClock,
    provider: Arc<ScriptedProvider>,
    /// Codes, tokens and ids that were seen.
    seen: Vec<String>,
}

impl Running {
    fn over(path: &Path, managed: bool) -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
        let provider = Arc::new(match managed {
            true => ScriptedProvider::managed("managed", "scope", Arc::new(clock.clone())),
            false => ScriptedProvider::own("own", Arc::new(clock.clone())),
        });
        let engine = builder(path, &clock).provider(Arc::clone(&provider)).build();
        Self {
            engine: engine.unwrap(),
            clock,
            provider,
            seen: Vec::new(),
        }
    }

    /// Sent, guessed wrong, sent again, approved, redeemed.
    async fn goes_through(&mut self, spelled: &str) {
        let send = SendRequest::to(person(spelled)).service(service());
        let send = send.ip("198.51.100.23".parse().unwrap()).device("canary-device");
        let sent = self
            .engine
            .send(send.key(format!("canary-key-send {spelled}")))
            .await
            .answer
            .unwrap();
        let SendAnswer::Sent(view) = sent else {
            panic!("{sent:?}")
        };
        let code = self.provider.sent().pop().unwrap().code;
        let guess = CheckRequest::of(&view.id, wrong(&code), person(spelled)).service(service());
        let guessed = self.engine.check(guess).await.answer.unwrap();
        assert!(matches!(guessed, CheckAnswer::WrongCode(_)), "{guessed:?}");
        self.clock.advance(Duration::from_secs(61));
        let again = SendRequest::again(&view.id, person(spelled)).service(service());
        self.engine.send(again).await.answer.unwrap();
        let right = CheckRequest::of(&view.id, &code, person(spelled)).service(service());
        let approval = approved(
            self.engine
                .check(right.key(format!("canary-key-check {spelled}")))
                .await
                .answer
                .unwrap(),
        );
        let redeem = RedeemRequest::of(&approval.proof, person(spelled)).service(service());
        self.engine
            .redeem(redeem.key(format!("canary-key-redeem {spelled}")))
            .await
            .answer
            .unwrap();
        let tokens = [approval.proof.to_string(), approval.device_token.to_string()];
        self.seen.extend(
            tokens
                .into_iter()
                .chain([code.clone(), wrong(&code), view.id.to_string()]),
        );
        // A second one stays pending.
        self.clock.advance(Duration::from_secs(61));
        let pending = SendRequest::to(
            Person::at(spelled)
                .subject("canary-user")
                .purpose(Purpose::SignIn),
        );
        self.engine.send(pending.service(service())).await.answer.unwrap();
        self.seen.push(self.provider.sent().pop().unwrap().code);
        self.engine.sweep_once().await.unwrap();
    }
}

fn builder(path: &Path, clock: &ManualClock) -> verify_engine::EngineBuilder {
    Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .policy(PolicySet::default())
        .store(support::open(path))
        .clock(clock.clone())
        .entropy(SeededEntropy::new(7))
        .with_client_ip()
}

/// A provider that says why it does not send, and more than it should.
async fn is_turned_away(path: &Path) {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_100_000));
    let phone = Deliverer::new("phone", [Channel::Sms], |message: DispatchRequest| async move {
        let words = format!(
            "canary words about {} and {:?}",
            message.to,
            message.code.map(|it| it.expose().to_owned())
        );
        Dispatched::Rejected(Rejection {
            kind: RejectionKind::OptedOut,
            retry_after: None,
            detail: Detail::new(Some(21_610), &words),
        })
    });
    let engine = builder(path, &clock).provider(phone).build().unwrap();
    engine
        .send(SendRequest::to(person(NOBODY)).service(service()))
        .await
        .answer
        .unwrap();
    engine.drain().await;
}

/// The file, its log, and what a backup has.
fn bytes_of(path: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let copy = support::fresh();
    let file = rusqlite::Connection::open(path).unwrap();
    file.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
    // The log stays, and is in the file too.
    file.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(()))
        .unwrap();
    let log = PathBuf::from(format!("{}-wal", path.display()));
    let files = [path.to_owned(), log, copy].into_iter();
    files
        .map(|file| (file.clone(), fs::read(file).unwrap()))
        .collect()
}

#[tokio::test]
async fn i11_i20_a_file_has_nothing_of_anybody_in_the_clear_and_each_row_ends_or_is_durable() {
    for managed in [false, true] {
        let path = support::fresh();
        let mut running = Running::over(&path, managed);
        running.goes_through("+1 (202) 555-0167").await;
        running.goes_through("Canary.Bird@Example.com").await;
        is_turned_away(&path).await;
        let files = bytes_of(&path);
        let seen = running.seen.iter().map(String::as_str);
        // With the service, so that the search is seen to find what is there.
        let planted: Vec<_> = PLANTED.into_iter().chain(seen).chain([SERVICE]).collect();
        for (path, bytes) in files {
            assert_eq!(in_the_clear(&bytes, &planted), [SERVICE], "{}", path.display());
        }
        support::scan(&path);
        let erased = running
            .engine
            .erase(EraseRequest::at(NUMBER).service(service()))
            .await;
        erased.answer.unwrap();
        support::scan(&path);
    }
}

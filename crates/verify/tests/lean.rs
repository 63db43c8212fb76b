//! What is there in every build, and what a build without a feature says when it is asked for it. CI runs this with all features
//! and with none but a store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics has found something"
)]

use std::sync::Arc;

use verify::core::policy::Policy;
use verify::prelude::*;

fn engine(policies: PolicySet) -> (Engine, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (phone, arrived) = tokio::sync::mpsc::unbounded_channel();
    let carrier = Deliverer::new(
        "carrier",
        [Channel::Sms, Channel::Email],
        move |message: DispatchRequest| {
            phone.send(message.code.unwrap().expose().to_owned()).unwrap();
            async { Dispatched::Accepted { upstream: None } }
        },
    );
    let engine = Engine::builder()
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(carrier)
        .policy(policies)
        .without_client_ip()
        .build()
        .unwrap();
    (engine, arrived)
}

#[tokio::test]
async fn a_code_reaches_a_number_and_a_mailbox_and_is_good_once() {
    let policies = PolicySet::from_json(r#"{"code": {"length": 8}}"#)
        .unwrap()
        .policies;
    let (engine, mut arrived) = engine(policies);
    for to in ["+12025550123", "Ada+x@Example.com"] {
        let who = Person::at(to).subject("ada");
        let sent = engine.send(SendRequest::to(who.clone())).await.answer.unwrap();
        assert!(matches!(sent, SendAnswer::Sent(_)), "{sent:?}");
        let code = arrived.recv().await.unwrap();
        assert_eq!(code.len(), 8);
        let check = || engine.check(CheckRequest::to(who.clone(), code.clone()));
        assert!(matches!(check().await.answer.unwrap(), CheckAnswer::Approved(_)));
        assert!(matches!(check().await.answer.unwrap(), CheckAnswer::Refused(_)));
    }
}

#[tokio::test]
async fn a_domain_of_another_script_is_read_or_refused() {
    let (engine, _arrived) = engine(PolicySet::default());
    let read = engine
        .send(SendRequest::to("ada@bücher.example"))
        .await
        .answer
        .unwrap();
    assert_eq!(
        matches!(read, SendAnswer::Sent(_)),
        cfg!(feature = "idn"),
        "{read:?}"
    );
}

#[test]
fn a_policy_that_refuses_throw_away_mailboxes_needs_their_list() {
    let mut policy = Policy::default();
    policy.email.disposable_allowed = false;
    let policies = PolicySet {
        default: Arc::new(policy),
        ..PolicySet::default()
    };
    let checked = policies.check();
    assert_eq!(checked.is_ok(), cfg!(feature = "disposable"), "{checked:?}");
    let file = PolicySet::from_json(r#"{"email": {"disposable": "block"}}"#);
    assert_eq!(file.is_ok(), cfg!(feature = "disposable"), "{file:?}");
}

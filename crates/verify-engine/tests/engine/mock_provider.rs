//! With the feature `mock` every port has a `mockall` mock, for the tests of applications.

use crate::support::{Gate, Parts};
use verify_core::command::SendRequest;
use verify_core::outcome::SendAnswer;
use verify_core::port::{Capabilities, Dispatched, Maker, MockProvider, Scopes};
use verify_core::vocabulary::Channel;

#[tokio::test]
async fn a_mocked_provider_sees_the_dispatch_that_it_expects() {
    let mut provider = MockProvider::new();
    provider.expect_capabilities().return_const(Capabilities {
        name: "mock".into(),
        channels: vec![Channel::Sms],
        maker: Maker::Own,
        scopes: Scopes::default(),
        can_inquire: false,
        can_conclude: false,
        reports: false,
        most_checks: None,
    });
    provider
        .expect_dispatch()
        .withf(|request| request.to == "+12025550123" && request.code.is_some())
        .times(1)
        .return_once(|_| Dispatched::Accepted {
            upstream: Some("m1".into()),
        });

    let parts = Parts::new(Gate::open());
    let engine = parts
        .builder()
        .provider(provider)
        .route(Channel::Sms, None, ["mock"])
        .build()
        .unwrap();
    let answer = engine
        .send(SendRequest::to("+1 202 555 0123"))
        .await
        .answer
        .unwrap();
    assert!(matches!(answer, SendAnswer::Sent(_)), "{answer:?}");
    assert_eq!(parts.provider.sends(), 0);
}

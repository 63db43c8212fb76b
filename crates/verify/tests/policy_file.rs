//! What a policy file says of Twilio, in an application that embeds the engine.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "tests, not product code"
)]

use verify::core::policy::PolicyFile;
use verify::core::secret::SecretString;
use verify::engine::BuildError;
use verify::prelude::*;
use verify::twilio::double::{Answer, Double};
use verify::twilio::{Config, Credentials, TwilioSettings};

const FILE: &str = r#"
    [twilio]
    account_sid = "AC00000000000000000000000000000000"
    [verify]
    service_sid = "VA00000000000000000000000000000000"
    [services.acme]
    verify_service_sid = "VA00000000000000000000000000000002"
"#;

fn read() -> (TwilioSettings, PolicySet) {
    let mut file = PolicyFile::from_toml(FILE).unwrap();
    let twilio = TwilioSettings::read(&mut file);
    (twilio, file.policies().unwrap().policies)
}

fn engine(policies: PolicySet, provider: impl Provider + 'static) -> Result<Engine, BuildError> {
    Engine::builder()
        .policy(policies)
        .keys(Keys::generate(&[42; 32]))
        .store(MemStore::new())
        .provider(provider)
        .without_client_ip()
        .build()
}

#[tokio::test]
async fn i137_verify_services_that_nothing_was_built_from_are_an_error() {
    let (_twilio, policies) = read();
    let other = Deliverer::new("other", [Channel::Sms], |_| async {
        Dispatched::Accepted { upstream: None }
    });
    let said = engine(policies, other).unwrap_err().to_string();
    for named in [
        "services.acme.verify_service_sid",
        "verify.service_sid",
        "twilio.account_sid",
        "TwilioSettings::provider",
    ] {
        assert!(said.contains(named), "{said}");
    }
    // Where nobody read them at all, they are as unknown as a typing error.
    let said = PolicySet::from_toml(FILE).unwrap_err().to_string();
    assert!(
        said.contains("services.acme.verify_service_sid: unknown key"),
        "{said}"
    );
}

#[tokio::test]
async fn a_send_reaches_the_verify_service_of_its_service() {
    let double = Double::start().await.unwrap();
    let (twilio, mut policies) = read();
    let token = SecretString::new("token".to_owned());
    let account = Config {
        base_url: Some(double.base_url()),
        ..twilio.config(Credentials::AuthToken { token }).unwrap()
    };
    let provider = twilio.provider(&account, &mut policies, []).unwrap();
    let engine = engine(policies, provider).unwrap();
    for service in ["default", "acme"] {
        let pending = format!(
            "{{\"sid\":\"VE{:032}\",\"status\":\"pending\",\"valid\":false}}",
            1
        );
        double.then(Answer::json(201, pending));
        let send = SendRequest::to("+12025550142").service(ServiceId::new(service).unwrap());
        let sent = engine.send(send).await;
        assert!(matches!(sent.answer, Ok(SendAnswer::Sent(_))), "{sent:?}");
    }
    let recorded = double.recorded();
    for (call, last) in recorded.iter().zip(['0', '2']) {
        let path = format!("/v2/Services/VA{}{last}/Verifications", "0".repeat(31));
        assert_eq!(call.target, path);
    }
    assert_eq!(recorded.len(), 2);
}

//! What the tests over HTTP share.

use std::time::Duration;

use verify_core::secret::SecretString;
use verify_twilio::double::Double;
use verify_twilio::{Config, Credentials, TwilioClient};

pub(crate) const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const SERVICE: &str = "VAaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const SID: &str = "VEaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub(crate) const NUMBER: &str = "+14155552671";

/// A verification as Twilio answers it.
pub(crate) fn verification(status: &str) -> String {
    serde_json::json!({
        "sid": SID, "service_sid": SERVICE, "account_sid": ACCOUNT, "to": NUMBER, "channel": "sms",
        "status": status, "valid": status == "approved", "lookup": {}, "amount": null, "payee": null,
        "date_created": "2015-07-30T20:00:00Z", "date_updated": "2015-07-30T20:00:00Z", "sna": null,
        "send_code_attempts": [{
            "time": "2015-07-30T20:00:00Z", "channel": "SMS", "attempt_sid": "VLaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        }],
        "url": format!("https://verify.twilio.com/v2/Services/{SERVICE}/Verifications/{SID}"),
    })
    .to_string()
}

/// A page of attempts, each made at a second of 2015-07-30T20:00.
pub(crate) fn attempts(seconds: &[u8], next: Option<String>) -> String {
    let attempts: Vec<_> = seconds
        .iter()
        .map(|second| {
            serde_json::json!({
                "sid": "VLaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "service_sid": SERVICE, "verification_sid": SID,
                "date_created": format!("2015-07-30T20:00:{second:02}Z"), "conversion_status": "unconverted",
                "channel": "sms", "channel_data": { "to": NUMBER, "error_code": "30008" },
            })
        })
        .collect();
    let meta = serde_json::json!({ "key": "attempts", "page": 0, "page_size": 100, "next_page_url": next });
    serde_json::json!({ "attempts": attempts, "meta": meta }).to_string()
}

pub(crate) fn config(base_url: String) -> Config {
    let token = SecretString::new("authtoken".into());
    Config {
        base_url: Some(base_url),
        ..Config::new(ACCOUNT, Credentials::AuthToken { token })
    }
}

pub(crate) fn client(double: &Double) -> TwilioClient {
    TwilioClient::new(&config(double.base_url())).unwrap()
}

/// A client that does not wait long for answers that never come.
pub(crate) fn impatient(double: &Double) -> TwilioClient {
    let config = Config {
        request_timeout: Duration::from_millis(200),
        ..config(double.base_url())
    };
    TwilioClient::new(&config).unwrap()
}

/// A client of an address where nobody listens (any more).
pub(crate) async fn unreachable() -> TwilioClient {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    TwilioClient::new(&config(format!("http://{address}"))).unwrap()
}

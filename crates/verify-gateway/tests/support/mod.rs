//! A gateway in the test's own process: no socket, no process, no waiting.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, in a crate of each test file"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;
use verify_core::keys::Keys;
use verify_core::vocabulary::ServiceId;
use verify_gateway::app::App;
use verify_gateway::callers::{Role, entry};
use verify_gateway::cli::ServeArgs;
use verify_gateway::config::{Environment, Goal, resolve};
use verify_gateway::routes::router;
use verify_gateway::serve::assemble;
use verify_gateway::store::OpenStore;

/// A gateway.
pub struct Gateway {
    pub app: Arc<App>,
    router: Router,
    peer: SocketAddr,
}

/// What it answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// It is this refusal, in the form that all refusals have.
    #[track_caller]
    pub fn refuses(&self, status: u16, code: &str) -> Value {
        let body = self.json();
        assert_eq!(
            (self.status.as_u16(), body["code"].as_str()),
            (status, Some(code)),
            "{self:?}"
        );
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!((&body["ok"], &body["status"]), (&json!(false), &json!(status)));
        assert_eq!(body["type"], format!("urn:verify:problem:{code}"));
        let wait = body.get("retry_after").map(Value::to_string);
        assert_eq!(self.header("retry-after").map(str::to_owned), wait);
        body
    }

    #[track_caller]
    pub fn accepts(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        self.json()
    }
}

impl Gateway {
    pub fn demo() -> Self {
        Self::with(&[])
    }

    /// With these variables.
    pub fn with(vars: &[(&str, &str)]) -> Self {
        let vars: BTreeMap<&str, &str> = vars.iter().copied().collect();
        let lookup = |name: &str| vars.get(name).map(|value| (*value).to_owned());
        let settings = resolve(&ServeArgs::default(), &Environment::new(&lookup), Goal::Serve).unwrap();
        let store = OpenStore::in_memory(&settings.storage);
        Self::around(assemble(settings, store, None).unwrap().app)
    }

    /// Under this policy, a TOML text.
    pub fn ruled(policy: &str) -> Self {
        let args = ServeArgs {
            config: Some(written(policy)),
            ..ServeArgs::default()
        };
        let settings = resolve(&args, &Environment::new(&|_| None), Goal::Serve).unwrap();
        let store = OpenStore::in_memory(&settings.storage);
        Self::around(assemble(settings, store, None).unwrap().app)
    }

    /// Over these parts.
    pub fn over(app: App) -> Self {
        Self::around(Arc::new(app))
    }

    fn around(app: Arc<App>) -> Self {
        Self {
            router: router(Arc::clone(&app)),
            app,
            peer: "127.0.0.1:50000".parse().unwrap(),
        }
    }

    /// A real gateway that calls Twilio there, with callers `shop` (`shop-key`), `ops` (`ops-key`, an operator) and
    /// one of another service (`other-key`).
    pub fn live(twilio: &str, more: &[(&str, &str)]) -> Self {
        let service = ServiceId::default();
        let other = ServiceId::new("other").unwrap();
        let callers = [
            entry("shop", Role::App, "shop-key", &service),
            entry("ops", Role::Operator, "ops-key", &service),
            entry("else", Role::App, "other-key", &other),
        ];
        let keys = Keys::generate(&[7; 32]).to_text();
        let sid = |kind: &str| format!("{kind}{}", "0".repeat(32));
        let (account, key, verify, callers) = (sid("AC"), sid("SK"), sid("VA"), callers.join(","));
        // Twilio is a double here, and has one Verify Service.
        let file = written("[verify]\nshared = [\"default\", \"other\"]\n");
        let mut vars = vec![
            ("TWILIO_ACCOUNT_SID", account.as_str()),
            ("TWILIO_API_KEY_SID", &key),
            ("TWILIO_API_KEY_SECRET", "secret"),
            ("TWILIO_VERIFY_SERVICE_SID", &verify),
            ("TWILIO_BASE_URL", twilio),
            ("VERIFY_CONFIG", file.to_str().unwrap()),
            ("VERIFY_KEYS", keys.expose()),
            ("VERIFY_API_KEYS", &callers),
            ("VERIFY_STORE", "memory"),
        ];
        vars.extend_from_slice(more);
        Self::with(&vars)
    }

    /// Called from this address.
    pub fn from(mut self, peer: &str) -> Self {
        self.peer = SocketAddr::new(peer.parse().unwrap(), 50_000);
        self
    }

    pub async fn ask(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let answer = Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        };
        assert!(
            answer.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "{answer:?}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        answer
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_with(path, &[], body).await
    }

    pub async fn post_with(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let request = Request::post(path).header("content-type", "application/json");
        let request = headers
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        self.ask(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[]).await
    }

    pub async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let request = headers.iter().fold(Request::get(path), |request, (name, value)| {
            request.header(*name, *value)
        });
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// Moves the clock.
    pub async fn later(&self, seconds: u64) {
        self.post("/demo/clock", json!({ "advance_seconds": seconds }))
            .await
            .accepts(200);
    }

    /// What has arrived, newest first.
    pub async fn inbox(&self, to: &str) -> Vec<Value> {
        let answer = self
            .get(&format!("/demo/inbox?to={}", to.replace('+', "%2B")))
            .await
            .accepts(200);
        answer.as_array().unwrap().clone()
    }

    /// The newest code that arrived.
    pub async fn code(&self, to: &str) -> String {
        self.inbox(to).await[0]["code"].as_str().unwrap().to_owned()
    }

    /// Sends, and gives the verification's id.
    pub async fn sent(&self, to: &str) -> String {
        let sent = self.post("/verify/send", json!({ "to": to })).await.accepts(201);
        sent["verification_id"].as_str().unwrap().to_owned()
    }
}

/// A file with this text.
fn written(text: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "{}-{}.toml",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    );
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// A code that this one is not.
pub fn another(code: &str) -> String {
    let last = if code.ends_with('0') { '1' } else { '0' };
    format!("{}{last}", &code[..code.len() - 1])
}

//! What verify answers over HTTP, for any framework.
//!
//! - [`Problem`]: a refusal, a wrong code or a fault as an RFC 9457 problem document: [status](Problem::status),
//!   [headers](Problem::headers) and [body](Problem::to_json).
//! - [`OrProblem`]: an outcome as what went well, or a problem; [`views`]: what went well, as JSON.
//! - [`TrustedProxies`]: whose address counts, behind proxies.
//!
//! Nothing here knows a server. With axum use `verify-axum`, which is built on it; with actix, a plain tower service or
//! anything else these are three lines:
//!
//! ```
//! use verify_core::outcome::{Refusal, RefusalCode};
//! use verify_core::time::{Timestamp, Until};
//! use verify_http::Problem;
//!
//! let now = Timestamp::from_millis(10_000); // `engine.now()`
//! let refusal = Refusal::new(RefusalCode::Cooldown, "a code was sent just now")
//!     .until(Until::At(Timestamp::from_millis(40_000)));
//!
//! let problem = Problem::refused(refusal, now);
//! assert_eq!(problem.status(), 429);
//! assert_eq!(problem.headers()["retry-after"], "30");
//! assert_eq!(problem.headers()["content-type"], "application/problem+json");
//! let body: serde_json::Value = serde_json::from_slice(&problem.to_json())?;
//! assert_eq!(body["code"], "cooldown");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod answers;
pub mod client_ip;
pub mod problem;
pub mod views;

pub use answers::{OrProblem, Sent};
pub use client_ip::{ForwardingHeader, TrustedProxies, was_forwarded};
pub use problem::{PROBLEM_JSON, Problem, ProblemBody, ProblemCode};

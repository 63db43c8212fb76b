//! Twilio Verify for the policy engine: a client, a provider, and the checks of what Twilio calls back with.
//!
//! - [`TwilioClient`] makes the calls and says of each failure whether Twilio *surely did not*, or *may have*
//!   done it. Only what surely was not done is ever tried again.
//! - [`TwilioVerify`] is the [`Provider`](verify_core::port::Provider) on top of it: Twilio makes, sends and
//!   compares the codes, the policy engine decides whether it is asked at all.
//! - [`TwilioSettings`] is what a policy file says of Twilio; [`TwilioSettings::provider`] makes a provider of it.
//! - [`webhook`] reads what Twilio calls back with, once [`signature`] says that it came from there.
//! - [`error_table`] is the one place that knows Twilio's error codes.
//!
//! This crate makes no decisions of policy and keeps no state. It logs nothing: failures travel as values, with
//! numbers and mailboxes masked.
//!
//! ```no_run
//! use verify_core::port::Scopes;
//! use verify_core::secret::SecretString;
//! use verify_twilio::{Config, Credentials, TwilioClient, TwilioVerify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config::new(
//!     "AC00000000000000000000000000000000",
//!     Credentials::AuthToken { token: SecretString::new(std::env::var("TWILIO_AUTH_TOKEN")?) },
//! );
//! let client = TwilioClient::new(&config)?;
//! let scopes = Scopes { default: "VA00000000000000000000000000000000".into(), ..Scopes::default() };
//! let provider = TwilioVerify::new("twilio", client, scopes);
//! # let _ = provider;
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "double")]
pub mod answer;
pub mod client;
pub mod config;
#[cfg(feature = "double")]
pub mod double;
pub mod error_table;
pub mod events;
mod locale;
pub mod provider;
pub mod settings;
pub mod signature;
mod signed_url;
mod transport;
pub mod webhook;
pub mod wire;

pub use client::TwilioClient;
pub use config::{Config, ConfigError, Credentials, Warning};
pub use provider::TwilioVerify;
pub use settings::{AuthMode, TwilioSettings, VerifyServices};
pub use transport::{CallError, Refusal};

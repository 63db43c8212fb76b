#![doc = include_str!("../README.md")]
//!
//! # The program
//!
//! `accounts.rs`: what an application has anyway. Nothing of it concerns codes.
//!
//! ```text
#![doc = include_str!("../examples/service/accounts.rs")]
//! ```
//!
//! `app.rs`: whom a code is for, and what a right one opens.
//!
//! ```text
#![doc = include_str!("../examples/service/app.rs")]
//! ```
//!
//! `main.rs`: how it is put together and served.
//!
//! ```text
#![doc = include_str!("../examples/service/main.rs")]
//! ```
//!
//! `twilio.rs`: Twilio in place of the terminal, and the route of its webhooks.
//!
//! ```text
#![doc = include_str!("../examples/service/twilio.rs")]
//! ```
//!
//! # Its tests
//!
//! ```text
#![doc = include_str!("../tests/tutorial.rs")]
//! ```
//!
//! ```text
#![doc = include_str!("../tests/twilio.rs")]
//! ```

#[cfg(feature = "axum")]
pub use verify_axum as axum;
pub use verify_core as core;
pub use verify_engine as engine;
#[cfg(feature = "http")]
pub use verify_http as http;
#[cfg(feature = "memstore")]
pub use verify_memstore as memstore;
#[cfg(feature = "postgres")]
pub use verify_postgres as postgres;
#[cfg(feature = "redis")]
pub use verify_redis as redis;
#[cfg(feature = "sqlite")]
pub use verify_sqlite as sqlite;
#[cfg(feature = "twilio")]
pub use verify_twilio as twilio;

/// What most programs name.
pub mod prelude {
    #[cfg(feature = "axum")]
    pub use verify_axum::{ClientIp, DeviceCookie, IdempotencyKey, JsonBody};
    pub use verify_core::command::{
        Caller, CancelRequest, CheckRequest, EraseRequest, Expected, Known, Person, RedeemRequest,
        SendRequest, StatusRequest, Target, UnlockRequest,
    };
    pub use verify_core::keys::Keys;
    pub use verify_core::outcome::{
        Approval, CancelAnswer, CheckAnswer, EraseAnswer, Fault, Outcome, RedeemAnswer, Refusal, RefusalCode,
        SendAnswer, StatusAnswer, Unclaimed, UnlockAnswer, VerificationView, WrongCode,
    };
    pub use verify_core::policy::PolicySet;
    pub use verify_core::port::{DispatchRequest, Dispatched, Provider};
    pub use verify_core::vocabulary::{Channel, Country, Purpose, ServiceId};
    pub use verify_engine::{Deliverer, Engine};
    #[cfg(feature = "http")]
    pub use verify_http::{ForwardingHeader, OrProblem, Problem, ProblemCode, TrustedProxies, views};
    #[cfg(feature = "memstore")]
    pub use verify_memstore::MemStore;
    #[cfg(feature = "postgres")]
    pub use verify_postgres::{PostgresOptions, PostgresStore};
    #[cfg(feature = "redis")]
    pub use verify_redis::{RedisOptions, RedisStore};
    #[cfg(feature = "sqlite")]
    pub use verify_sqlite::{SqliteOptions, SqliteStore};
}

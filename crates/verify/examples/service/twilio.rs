//! Twilio in place of the terminal: what carries the messages, and the route on which it reports what became of them.

use axum::Router;
use verify::axum::{Called, webhook};
use verify::core::port::Scopes;
use verify::prelude::*;
use verify::twilio::webhook::{Kind, Webhooks};
use verify::twilio::{Config, ConfigError, TwilioClient, TwilioVerify};

/// What `Engine::builder().provider(…)` takes. Twilio makes, sends and compares the codes of this Verify Service.
pub fn provider(config: &Config, verify_service: &str) -> Result<TwilioVerify, ConfigError> {
    let client = TwilioClient::new(config)?;
    let scopes = Scopes {
        default: verify_service.into(),
        ..Scopes::default()
    };
    Ok(TwilioVerify::new("twilio", client, scopes))
}

/// `POST /webhooks/twilio`, to be merged with the other routes. Name it as the sink of Twilio's Event Streams.
pub fn router(engine: Engine, webhooks: Webhooks) -> Router {
    let reports = move |called: &Called| {
        let header = |name| called.header(name);
        let read = webhooks.read(Kind::VerifyEvents, called.path_and_query(), header, called.body());
        read.map_err(|refused| {
            eprintln!("a webhook was refused: {refused}");
            Problem::not_signed()
        })
    };
    Router::new().route("/webhooks/twilio", webhook(engine, reports))
}

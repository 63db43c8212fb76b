//! A whole application: `cargo run -p verify-2fa --features axum --example service`.
//!
//! ```sh
//! curl -i localhost:3000/code/send -H 'content-type: application/json' -d '{"to":"+12025550123","purpose":"sign_up"}'
//! ```

#![allow(missing_docs, unreachable_pub, reason = "an application, not a library")]

mod accounts;
mod app;

use std::error::Error;
use std::net::SocketAddr;

use verify::prelude::*;

/// An engine as this application wants it, over whatever carries the messages.
fn engine(provider: impl Provider + 'static, keys: Keys) -> Result<Engine, Box<dyn Error>> {
    let policy = PolicySet::from_toml(include_str!("verify.toml"))?;
    for note in &policy.warnings {
        eprintln!("verify.toml: {note}");
    }
    let engine = Engine::builder()
        .policy(policy.policies)
        .keys(keys)
        .store(MemStore::new())
        .provider(provider)
        .with_client_ip()
        .flood_shield(100)
        .build()?;
    Ok(engine)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // In production: Twilio (feature `twilio`), or the call of your own message provider.
    let terminal = Deliverer::new(
        "terminal",
        [Channel::Sms, Channel::Call],
        |message: DispatchRequest| {
            if let Some(code) = &message.code {
                println!("a phone hears: {}", code.expose());
            }
            async { Dispatched::Accepted { upstream: None } }
        },
    );
    // In production both come from a secret store: `verify-gateway keys new` prints a set of keys.
    let keys = match std::env::var("VERIFY_KEYS") {
        Ok(text) => Keys::parse(&text)?,
        Err(_) => Keys::generate(&rand::random()),
    };
    let operator = std::env::var("OPERATOR").unwrap_or_else(|_| format!("{:032x}", rand::random::<u128>()));

    let engine = engine(terminal, keys)?;
    let background = engine.spawn_background();
    let app = app::App {
        engine,
        accounts: accounts::Accounts::default(),
        operator,
    };
    // The load balancers before this server, and nobody else: whoever is trusted here chooses its own address.
    let proxies = TrustedProxies::new(vec![], ForwardingHeader::XForwardedFor);

    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    let service = app::router(app, proxies).into_make_service_with_connect_info::<SocketAddr>();
    let stop = async {
        tokio::signal::ctrl_c().await.ok();
    };
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await?;
    background.shutdown().await;
    Ok(())
}

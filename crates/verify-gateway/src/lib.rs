//! The reference host: the engine behind HTTP, for teams that do not write Rust, and an example for those that do.
//!
//! It adds nothing to the policy. Each route is a verb of the engine: [`routes`] turns bodies into requests, [`asked`]
//! asks, [`verify_http`] turns answers into JSON. What is the host's own is who may call ([`callers`]), whose
//! address counts ([`verify_http::client_ip`]), what is remembered for operators ([`explain`]), configuration ([`config`]), and
//! demo mode ([`demo`]).

pub mod app;
pub mod asked;
pub mod callers;
pub mod cli;
pub mod config;
pub mod demo;
mod environment;
pub mod event_log;
pub mod explain;
pub mod gate;
pub mod logs;
pub mod observe;
pub mod openapi;
mod page;
pub mod routes;
pub mod serve;
pub mod shield;
mod state_dir;
pub mod store;
pub mod tools;
pub mod webhook;

/// What the gateway's programs allocate with.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
pub use tikv_jemallocator::Jemalloc;

use std::io::{stderr, stdout};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, ServeArgs};
use config::{Environment, Goal};

/// The configuration cannot be used, or the command line was wrong.
const MISCONFIGURED: u8 = 2;

/// The program: reads the command line, and does as it says.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let lookup = |name: &str| std::env::var(name).ok();
    let environment = Environment::new(&lookup);
    match &cli.command {
        Some(tool) => {
            let said = tools::run(tool, &environment);
            logs::answer(stdout(), &said.out);
            logs::answer(stderr(), &said.err);
            ExitCode::from(said.code)
        }
        None if cli.serve.check_config => check_config(&cli.serve, &environment),
        None => serve_until_told(&cli.serve, &environment),
    }
}

fn serve_until_told(args: &ServeArgs, environment: &Environment<'_>) -> ExitCode {
    let settings = match config::resolve(args, environment, Goal::Serve) {
        Ok(settings) => settings,
        Err(errors) => {
            logs::say(&errors.to_string());
            return ExitCode::from(MISCONFIGURED);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            logs::say(&format!("the runtime cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(serve::serve(settings)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            logs::say(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn check_config(args: &ServeArgs, environment: &Environment<'_>) -> ExitCode {
    match config::resolve(args, environment, Goal::Check) {
        Ok(settings) => {
            for note in &settings.notes {
                logs::answer(stderr(), &format!("note: {note}"));
            }
            let store = settings.storage.summary();
            let said = if args.print {
                format!("# store: {store}\n\n{}", settings.policies.to_toml())
            } else {
                logs::answer(stderr(), &format!("note: store: {store}"));
                "the configuration can be used".to_owned()
            };
            logs::answer(stdout(), &said);
            ExitCode::SUCCESS
        }
        Err(errors) => {
            logs::answer(stderr(), &errors.to_string());
            ExitCode::from(MISCONFIGURED)
        }
    }
}

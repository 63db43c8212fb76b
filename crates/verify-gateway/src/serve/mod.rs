//! Serving: from settings to a listening process, until a signal says stop.

mod connection;
mod connections;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError as RecorderError, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{interval, sleep};
use verify_core::destination::Destination;
use verify_core::policy::EmailRules;
use verify_engine::{BuildError, Engine};

use crate::app::App;
use crate::config::backends::{Around, BackendError, Equipped};
use crate::config::{Settings, Storage};
use crate::event_log::EventLog;
use crate::explain::Explanations;
use crate::gate::Gate;
use crate::logs;
use crate::observe;
use crate::routes::router;
use crate::shield::Shield;
use crate::store::{self, OpenStore, StoreError, watch};

pub use connections::{ENDED, Limits, OPEN};
use reload::Reload;

/// How long connections may take to end once it stops: longer than any flow, and shorter than the thirty seconds after
/// which a supervisor commonly kills, so that events that are left can still be handed over.
const MOST_PARTING: Duration = Duration::from_secs(25);

/// Measurements of that long are kept one by one.
const BETWEEN_SUMS: Duration = Duration::from_secs(5);

/// Why it does not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Somebody else listens there, or the address is not this machine's.
    #[error("cannot listen on {address}: {why}; choose another address with --listen or VERIFY_LISTEN")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        why: std::io::Error,
    },
    /// The engine cannot be built from these settings.
    #[error(transparent)]
    Engine(#[from] BuildError),
    /// A provider cannot be reached as configured.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The store cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No metrics.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(#[from] RecorderError),
    /// No signals, or the server broke.
    #[error("the server broke: {0}")]
    Io(#[from] std::io::Error),
}

impl ServeError {
    /// 2 for what a change of the configuration mends, 1 for the rest.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Engine(_) | Self::Backend(_) | Self::Store(_) => 2,
            Self::Listen { .. } | Self::Metrics(_) | Self::Io(_) => 1,
        }
    }
}

/// What [`assemble`] makes of settings.
pub struct Assembled {
    /// What all requests share.
    pub app: Arc<App>,
    /// What is worth a line at start.
    pub notes: Vec<String>,
    /// The store that the engine has.
    pub store: OpenStore,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// [`ServeError`] when it cannot start.
pub async fn serve(settings: Settings) -> Result<(), ServeError> {
    // Before the first line: what is lost of the log is counted.
    let metrics = PrometheusBuilder::new().install_recorder()?;
    observe::describe();
    // A second subscriber in one process is a test's business; lines go to the first one then.
    let log = logs::start(settings.log_level, &settings.redact).ok();
    if log.is_some() {
        std::panic::set_hook(Box::new(log_panic));
    }
    read_ahead(settings.policies.default.email.clone());
    let listen = settings.listen;
    let listener =
        connections::listener(listen).map_err(|why| ServeError::Listen { address: listen, why })?;
    let reload = Reload {
        path: settings.config.clone(),
        env: settings.env,
        beside: settings.beside.clone(),
        takes_weaker: settings.reload_weaker,
    };
    let storage = settings.storage.clone();
    let store = OpenStore::open(&storage).await?;
    if !settings.forget_missing_keys {
        store.needs_no_other_keys(&settings.keys).await?;
    }
    let Assembled { app, notes, store } = assemble(settings, store, Some(metrics))?;
    // Before anybody is answered: from now on a store that lost its data is noticed.
    store.remember(&storage).await?;
    for note in notes.into_iter().chain(store::exposed(&storage)) {
        tracing::warn!(note, "start");
    }
    let address = listener.local_addr()?;
    // Before anybody is told that it listens: until a signal is taken, it ends the process on the spot.
    let reloading = reload.on_hangup(app.engine.clone())?;
    let stop = told_to_stop()?;
    announce(&app, address, &storage, log.as_ref());

    let background = app.engine.spawn_background();
    let keeping_up = app.metrics.clone().map(|metrics| tokio::spawn(keep_up(metrics)));
    let reloading = tokio::spawn(reloading);
    let watching = tokio::spawn(watch(store.clone(), app.engine.clone()));
    let pumping = app
        .demo
        .clone()
        .map(|demo| tokio::spawn(demo.run(app.engine.clone())));
    serve_until(listener, Arc::clone(&app), Limits::of_this_process(), stop).await;

    tracing::info!("stopping: what was begun is finished");
    for task in [reloading, watching].into_iter().chain(keeping_up).chain(pumping) {
        task.abort();
    }
    background.shutdown().await;
    store.close().await;
    Ok(())
}

/// Reads a number while the rest starts: the first one of a process makes the phone number library compile its patterns,
/// and nobody should wait for that.
fn read_ahead(rules: EmailRules) {
    std::thread::spawn(move || {
        // An example of the numbering plan; what it reads as is of no interest.
        Destination::parse("+12025550100", None, &rules).ok();
    });
}

/// Sums up what was measured, again and again. The recorder keeps every single measurement until it is asked to, and
/// nobody may ever ask for `/metrics`.
pub async fn keep_up(metrics: PrometheusHandle) {
    let mut clock = interval(BETWEEN_SUMS);
    loop {
        clock.tick().await;
        metrics.run_upkeep();
    }
}

/// Serves until `stop` is over: then nothing new is accepted, and requests that are under way are answered. A client
/// that does not take its answer, or does not end its request, is not waited for longer than 25 seconds.
pub async fn serve_until(
    listener: TcpListener,
    app: Arc<App>,
    limits: Limits,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let (tell, told) = oneshot::channel();
    let stopping = async move {
        stop.await;
        // Nobody listens any more when all has ended already, and that is fine.
        tell.send(()).ok();
    };
    let patience = async {
        told.await.ok();
        sleep(MOST_PARTING).await;
    };
    tokio::select! {
        () = connections::serve(listener, router(app), limits, stopping) => {}
        () = patience => tracing::warn!("stopping: some clients do not end what they began; they are left"),
    }
}

/// Builds what requests share; nothing listens yet.
///
/// # Errors
/// [`ServeError`] when engine or provider cannot be built.
pub fn assemble(
    settings: Settings,
    store: OpenStore,
    metrics: Option<PrometheusHandle>,
) -> Result<Assembled, ServeError> {
    let builder = Engine::builder()
        .event_sink(EventLog)
        .refusal_sink(EventLog)
        .calls_at_once(connections::calls_at_once())
        .with_client_ip();
    let builder = store.equip(builder);
    let around = Around {
        keys: &settings.keys,
        services: &settings.services,
        public_url: settings.public_url.as_deref(),
    };
    let mut equipped = Equipped {
        builder,
        policies: settings.policies,
        demo: None,
        webhooks: None,
        notes: settings.notes,
    };
    for provider in settings.providers {
        equipped = provider.equip(equipped, &around)?;
    }
    let Equipped {
        builder,
        policies,
        demo,
        webhooks,
        notes,
    } = equipped;
    let app = Arc::new(App {
        engine: builder.policy(policies).keys(settings.keys).build()?,
        shield: settings
            .flood_shield
            .map(|most| Shield::per_second(most, &settings.callers)),
        gate: Gate::new(settings.flood_shield.is_some()),
        callers: settings.callers,
        proxies: settings.proxies,
        explanations: Explanations::default(),
        webhooks,
        demo,
        metrics,
        store: Some(store.clone()),
    });
    Ok(Assembled { app, notes, store })
}

/// A panic's own words may hold anything, and the library's way to say them waits for standard error.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let location = panic.location().map(tracing::field::display);
    tracing::error!(location, "panicked");
}

fn announce(app: &App, address: SocketAddr, storage: &Storage, log: Option<&logs::Guard>) {
    let said = if app.demo.is_some() {
        format!(
            "verify-gateway: DEMO MODE. Nothing real is sent: a simulated phone network receives all codes.\n\
             Open http://{address}/ in a browser. Messages: GET /demo/inbox. API: http://{address}/docs"
        )
    } else {
        format!("verify-gateway: listening on http://{address}")
    };
    let store = storage.summary();
    if let Some(log) = log {
        log.say(&format!("{said}\nState: {store}"));
    }
    tracing::info!(%address, store, demo = app.demo.is_some(), version = env!("CARGO_PKG_VERSION"), "listening");
}

fn told_to_stop() -> Result<impl Future<Output = ()> + Send, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

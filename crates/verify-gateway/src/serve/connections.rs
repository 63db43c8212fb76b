//! All connections: how many there may be, how long each may take for what it owes, and which one goes first.
//!
//! A connection waits for its client, or its client waits for us. The first kind has a time for each thing that it waits
//! for; when there is no room for another connection, the one that has waited longest is ended. So whoever holds sockets
//! open and says nothing holds them at the others' expense only until the next one is needed.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::{HeaderValue, Response, header};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, interval, sleep, timeout};
use tower::ServiceExt as _;

use super::connection::{Arriving, Connection, Phase, Unread, Watched};

/// Connections that are open just now. Gauge.
pub const OPEN: &str = "verify_http_connections";
/// Connections that were ended because their client took too long, by `why`: `idle`, `head`, `body`, `parting`,
/// `room`. Counter.
pub const ENDED: &str = "verify_http_connections_ended_total";

/// However many descriptors there are: each connection costs some 20 KiB.
const MOST_CONNECTIONS: usize = 8_192;
/// The longest head of a request; of a body no more is read ahead. What a connection holds has an end with it.
const MOST_HEAD: usize = 32 * 1024;
/// Descriptors that are left for calls of providers, files and the listener, unless a quarter of all is more.
const KEPT_DESCRIPTORS: usize = 64;
/// Connections that wait to be accepted; a kernel that allows fewer takes as many as it does.
const QUEUED: u32 = 4_096;
/// When every connection is at work, this long until it is looked again which one could go.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// A listener that cannot accept is asked again after this long.
const NOT_ACCEPTED: Duration = Duration::from_millis(100);
/// A body that is left unread is read to its end when that is at most so long, and is here within this time. Else the
/// answer says that the connection ends with it.
const MOST_DRAINED: u64 = 64 * 1024;
const DRAINED_WITHIN: Duration = Duration::from_millis(500);

/// What clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// For a request's head, from its first byte on.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
    /// Between requests, and to take an answer.
    pub idle: Duration,
    /// To read the last answer of a connection that ends with it.
    pub parting: Duration,
}

impl Limits {
    /// What holds for this process: as many connections as its descriptors allow, at most 8 192; 10 s for a head, 15 s
    /// for a body, 60 s for nothing.
    pub fn of_this_process() -> Self {
        let descriptors = descriptors();
        Self {
            connections: descriptors
                .saturating_sub(kept(descriptors))
                .clamp(1, MOST_CONNECTIONS),
            head: Duration::from_secs(10),
            body: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            parting: Duration::from_secs(2),
        }
    }

    /// How long a connection may be at something, and what that is called.
    const fn of(&self, phase: Phase) -> Option<(Duration, &'static str)> {
        match phase {
            Phase::Idle => Some((self.idle, "idle")),
            Phase::Head => Some((self.head, "head")),
            Phase::Body => Some((self.body, "body")),
            Phase::Parting => Some((self.parting, "parting")),
            Phase::Work => None,
        }
    }

    /// Often enough that no time is missed by more than a quarter.
    fn between_looks(&self) -> Duration {
        let shortest = self.head.min(self.body).min(self.idle).min(self.parting);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }
}

/// As many sends at a time, and as many checks, as this process has descriptors for: a third of those that are kept for each. Ends
/// and inquiries take half as many more, and a sixth is left for the rest.
pub(super) fn calls_at_once() -> NonZeroU32 {
    let most = u32::try_from(kept(descriptors()) / 3).unwrap_or(u32::MAX);
    NonZeroU32::new(most).unwrap_or(NonZeroU32::MIN)
}

fn descriptors() -> usize {
    let most = getrlimit(Resource::Nofile).current;
    most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// Those that are for other things than clients' connections.
fn kept(descriptors: usize) -> usize {
    KEPT_DESCRIPTORS.max(descriptors / 4)
}

/// A listener with as long a queue as the kernel allows: whoever does not fit in it tries again after a second.
pub(super) fn listener(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A restart need not wait for what the connections of the process before leave behind.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(QUEUED)
}

/// Accepts connections and serves them until `stop` is over; then nothing new is accepted, and it resolves when the last
/// connection has ended.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: impl Future<Output = ()>,
) {
    let open = Arc::new(Open::new(limits));
    let (tell, told) = watch::channel(());
    let watching = tokio::spawn(Arc::clone(&open).end_what_takes_too_long());
    let mut stop = pin!(stop);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = &mut stop => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                open.recover(&error).await;
                continue;
            }
        };
        let room = tokio::select! {
            room = open.room() => room,
            () = &mut stop => break,
        };
        let (router, told) = (router.clone(), told.clone());
        let held = Held::new(&open, room);
        tokio::spawn(async move { hold(stream, peer, router, &held, told).await });
    }
    drop((listener, told));
    // Whether anybody listens is not known, and all is well when nobody does.
    tell.send(()).ok();
    tell.closed().await;
    watching.abort();
}

/// Serves one connection until it ends or is ended.
async fn hold(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    held: &Held,
    mut told: watch::Receiver<()>,
) {
    let connection = &held.connection;
    let io = TokioIo::new(Watched::new(stream, Arc::clone(connection)));
    let service = service_fn(|request| answer(request, peer, router.clone(), Arc::clone(connection)));
    // Times are kept here, for all that a client can take its time for.
    let mut serving = pin!(
        http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(MOST_HEAD)
            .serve_connection(io, service)
    );
    let stopping = async {
        told.changed().await.ok();
    };
    tokio::select! {
        _ = serving.as_mut() => return,
        () = connection.ended() => return,
        () = stopping => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = serving => {}
        () = connection.ended() => {}
    }
}

async fn answer(
    request: hyper::Request<Incoming>,
    peer: SocketAddr,
    router: Router,
    connection: Arc<Connection>,
) -> Result<Response<Body>, Infallible> {
    let waits_for_a_word = request.headers().contains_key(header::EXPECT);
    let unread = Unread::default();
    let mut request: Request =
        request.map(|body| Body::new(Arriving::new(body, Arc::clone(&connection), unread.clone())));
    request.extensions_mut().insert(ConnectInfo(peer));
    let mut response = router.oneshot(request).await?;
    if let Some(body) = unread.take()
        && (waits_for_a_word || !drained(body).await)
    {
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        connection.linger();
    }
    connection.enter(Phase::Idle);
    Ok(response)
}

/// Reads a short rest to its end, so that the connection can go on; false when it is long, or not here soon.
async fn drained(mut body: Incoming) -> bool {
    if body.size_hint().lower() > MOST_DRAINED {
        return false;
    }
    let read_to_its_end = async {
        let mut left = MOST_DRAINED;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let length = frame.ok()?.data_ref().map_or(0, |data| data.len() as u64);
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    matches!(timeout(DRAINED_WITHIN, read_to_its_end).await, Ok(Some(())))
}

/// The connections that are open.
struct Open {
    limits: Limits,
    room: Arc<Semaphore>,
    serial: AtomicU64,
    connections: Mutex<HashMap<u64, Arc<Connection>>>,
}

impl Open {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            room: Arc::new(Semaphore::new(limits.connections)),
            serial: AtomicU64::new(0),
            connections: Mutex::default(),
        }
    }

    /// Room for one more; where there is none, the connection that has waited longest for its client is ended.
    async fn room(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_owned() {
                return room;
            }
            self.end_the_oldest();
            if let Ok(Ok(room)) = timeout(LOOK_AGAIN, Arc::clone(&self.room).acquire_owned()).await {
                return room;
            }
        }
    }

    fn end_the_oldest(&self) {
        let mut connections = self.connections.lock();
        let waiting = connections.iter().filter_map(|(serial, connection)| {
            let (phase, since) = connection.state();
            self.limits.of(phase).map(|_| (since, *serial))
        });
        // Taken out, so that the next one that needs room ends another.
        let oldest = waiting.min().and_then(|(_, serial)| connections.remove(&serial));
        if let Some(oldest) = oldest {
            oldest.end();
            metrics::counter!(ENDED, "why" => "room").increment(1);
        }
    }

    async fn end_what_takes_too_long(self: Arc<Self>) {
        let mut clock = interval(self.limits.between_looks());
        loop {
            clock.tick().await;
            let now = Instant::now();
            for connection in self.connections.lock().values() {
                let (phase, since) = connection.state();
                if let Some((most, why)) = self.limits.of(phase)
                    && now.saturating_duration_since(since) > most
                {
                    connection.end();
                    metrics::counter!(ENDED, "why" => why).increment(1);
                }
            }
        }
    }

    /// What to do when nothing can be accepted: a client that is gone already is no matter, and where descriptors are
    /// short somebody else in this process has them, so that a connection goes.
    async fn recover(&self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(
            error.kind(),
            ConnectionAborted | ConnectionRefused | ConnectionReset
        ) {
            return;
        }
        tracing::error!(why = %error, "a connection cannot be accepted");
        self.end_the_oldest();
        sleep(NOT_ACCEPTED).await;
    }
}

/// A connection among the others, until it is dropped.
struct Held {
    connection: Arc<Connection>,
    serial: u64,
    open: Arc<Open>,
    _room: OwnedSemaphorePermit,
}

impl Held {
    fn new(open: &Arc<Open>, room: OwnedSemaphorePermit) -> Self {
        let connection = Arc::new(Connection::open());
        let serial = open.serial.fetch_add(1, Ordering::Relaxed);
        open.connections.lock().insert(serial, Arc::clone(&connection));
        metrics::gauge!(OPEN).increment(1);
        Self {
            connection,
            serial,
            open: Arc::clone(open),
            _room: room,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.open.connections.lock().remove(&self.serial);
        metrics::gauge!(OPEN).decrement(1);
    }
}

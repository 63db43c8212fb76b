//! One connection: what it is at, since when, and how it parts.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Of a body that nobody reads any more, so much is taken while the connection parts: a client that is still sending
/// would otherwise lose the answer.
const MOST_LINGERING: usize = 1024 * 1024;

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No request has begun, or the client takes its answer.
    Idle,
    /// A request's head has begun.
    Head,
    /// A request's body is on its way.
    Body,
    /// We are at work: the client has done what it had to.
    Work,
    /// It is over, and the client may have to read its last answer.
    Parting,
}

impl Phase {
    const ALL: [Self; 5] = [Self::Idle, Self::Head, Self::Body, Self::Work, Self::Parting];
}

/// What is known of a connection.
pub(super) struct Connection {
    opened: Instant,
    /// Milliseconds since it was opened when the phase began, and the phase in the lowest three bits.
    state: AtomicU64,
    lingers: AtomicBool,
    ended: Notify,
}

impl Connection {
    pub(super) fn open() -> Self {
        Self {
            opened: Instant::now(),
            state: AtomicU64::new(0),
            lingers: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// From now on it is at this.
    pub(super) fn enter(&self, phase: Phase) {
        let millis = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(0);
        self.state.store(millis << 3 | phase as u64, Ordering::Relaxed);
    }

    /// What it is at, and since when.
    pub(super) fn state(&self) -> (Phase, Instant) {
        let state = self.state.load(Ordering::Relaxed);
        let phase = Phase::ALL.into_iter().find(|phase| *phase as u64 == state & 7);
        let since = self.opened + Duration::from_millis(state >> 3);
        (phase.unwrap_or(Phase::Idle), since)
    }

    /// The client will be told that it is over while it may still be sending.
    pub(super) fn linger(&self) {
        self.lingers.store(true, Ordering::Relaxed);
    }

    /// Ends it, wherever it is.
    pub(super) fn end(&self) {
        self.ended.notify_one();
    }

    /// Resolves when somebody ended it.
    pub(super) async fn ended(&self) {
        self.ended.notified().await;
    }
}

/// A stream that notes when a request begins, and stays to take what is still sent when the last answer is out.
pub(super) struct Watched {
    stream: TcpStream,
    connection: Arc<Connection>,
    is_shut: bool,
    taken: usize,
}

impl Watched {
    pub(super) fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            is_shut: false,
            taken: 0,
        }
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if buffer.filled().len() > before && self.connection.state().0 == Phase::Idle {
            self.connection.enter(Phase::Head);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_shut {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.is_shut = true;
            self.connection.enter(Phase::Parting);
        }
        // To close a socket that holds unread bytes resets it, and takes from the client what it has not read yet.
        while self.connection.lingers.load(Ordering::Relaxed) && self.taken < MOST_LINGERING {
            let mut bytes = [0; 8 * 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.taken += buffer.filled().len();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// What a request's body leaves behind when whoever had it drops it unread.
#[derive(Clone, Default)]
pub(super) struct Unread(Arc<Mutex<Option<Incoming>>>);

impl Unread {
    pub(super) fn take(&self) -> Option<Incoming> {
        self.0.lock().take()
    }
}

/// A request's body; the connection is at work once all of it is here.
pub(super) struct Arriving {
    body: Option<Incoming>,
    connection: Arc<Connection>,
    unread: Unread,
}

impl Arriving {
    pub(super) fn new(body: Incoming, connection: Arc<Connection>, unread: Unread) -> Self {
        let phase = if body.is_end_stream() {
            Phase::Work
        } else {
            Phase::Body
        };
        connection.enter(phase);
        Self {
            body: Some(body),
            connection,
            unread,
        }
    }
}

impl Body for Arriving {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(&mut *body).poll_frame(context));
        if frame.is_none() || body.is_end_stream() {
            self.connection.enter(Phase::Work);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        *self.unread.0.lock() = self.body.take().filter(|body| !body.is_end_stream());
    }
}

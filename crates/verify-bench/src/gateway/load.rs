//! Connections that are kept alive, each with one request under way at a time.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::SEND;
use super::process::API_KEY;
use crate::measure::{BenchError, Measured};

/// A load that takes longer is not measured to its end.
const MOST_LASTING: Duration = Duration::from_secs(120);
/// Answers are shorter than that, head and all.
const MOST_ANSWERED: usize = 64 * 1024;

/// What a server answered.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// The bytes of its head.
    pub head: usize,
    /// The bytes of its body.
    pub body: usize,
}

/// Connections to one server.
#[derive(Debug)]
pub struct Load {
    connections: Vec<TcpStream>,
}

impl Load {
    /// Opens so many connections.
    ///
    /// # Errors
    /// When the server takes none.
    pub fn connect(runtime: &Runtime, address: SocketAddr, connections: usize) -> Measured<Self> {
        let connecting = async {
            let mut open = Vec::with_capacity(connections);
            for _ in 0..connections {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                open.push(stream);
            }
            Ok(open)
        };
        let opened: io::Result<Vec<TcpStream>> = runtime.block_on(connecting);
        opened
            .map(|connections| Self { connections })
            .map_err(|error| BenchError::setup(&error))
    }

    /// Sends these bodies, over all connections at once, and returns how many answers had this status.
    ///
    /// # Errors
    /// When a connection broke, or it takes too long.
    pub fn send(&mut self, runtime: &Runtime, bodies: Vec<String>, status: u16) -> Measured<usize> {
        let (bodies, next) = (Arc::new(bodies), Arc::new(AtomicUsize::new(0)));
        let open = std::mem::take(&mut self.connections);
        let lasting = async {
            let mut working = JoinSet::new();
            for stream in open {
                working.spawn(work(stream, Arc::clone(&bodies), Arc::clone(&next), status));
            }
            working
                .join_all()
                .await
                .into_iter()
                .collect::<io::Result<Vec<_>>>()
        };
        let done = runtime.block_on(async { timeout(MOST_LASTING, lasting).await });
        let done = done
            .map_err(|_| BenchError::Setup("the load did not end in time".to_owned()))?
            .map_err(|error| BenchError::setup(&error))?;
        let (streams, expected): (Vec<TcpStream>, Vec<usize>) = done.into_iter().unzip();
        self.connections = streams;
        Ok(expected.into_iter().sum())
    }

    /// Sends one body, and tells what came back.
    ///
    /// # Errors
    /// When the connection broke.
    pub fn ask(&mut self, runtime: &Runtime, body: &str) -> Measured<Reply> {
        let Some(stream) = self.connections.first_mut() else {
            return Err(BenchError::Setup("there is no connection".to_owned()));
        };
        let asked = runtime.block_on(async {
            timeout(
                MOST_LASTING,
                exchange(stream, request(body).as_bytes(), &mut Vec::new()),
            )
            .await
        });
        asked
            .map_err(|_| BenchError::Setup("no answer came".to_owned()))?
            .map_err(|error| BenchError::setup(&error))
    }
}

async fn work(
    mut stream: TcpStream,
    bodies: Arc<Vec<String>>,
    next: Arc<AtomicUsize>,
    status: u16,
) -> io::Result<(TcpStream, usize)> {
    let (mut buffer, mut expected) = (Vec::new(), 0);
    while let Some(body) = bodies.get(next.fetch_add(1, Ordering::Relaxed)) {
        let reply = exchange(&mut stream, request(body).as_bytes(), &mut buffer).await?;
        expected += usize::from(reply.status == status);
    }
    Ok((stream, expected))
}

fn request(body: &str) -> String {
    format!(
        "POST {SEND} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// One request and its whole answer. `buffer` is empty again afterwards.
async fn exchange(stream: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> io::Result<Reply> {
    stream.write_all(request).await?;
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 || buffer.len() > MOST_ANSWERED {
            return Err(io::Error::other("an answer was cut off, or is too long"));
        }
        if let Some(reply) = reply_in(buffer)? {
            return Ok(reply);
        }
    }
}

/// The answer in these bytes, once all of it is there.
fn reply_in(bytes: &[u8]) -> io::Result<Option<Reply>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = bytes.get(..end).map(String::from_utf8_lossy).unwrap_or_default();
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.parse().ok())?
    });
    let (Some(status), Some(body)) = (status, length) else {
        return Err(io::Error::other("an answer without a status or a length"));
    };
    let head = end + 4;
    Ok((bytes.len() >= head + body).then_some(Reply { status, head, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_over_when_all_of_its_body_is_there() {
        let whole = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        let reply = reply_in(whole).unwrap().unwrap();
        assert_eq!((reply.status, reply.head + reply.body), (429, whole.len()));
        for cut in 0..whole.len() {
            assert!(reply_in(&whole[..cut]).unwrap().is_none(), "{cut}");
        }
        assert!(reply_in(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }
}

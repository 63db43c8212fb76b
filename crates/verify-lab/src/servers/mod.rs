//! Servers that tests start for themselves, on ports of their own. They end with the test program, however that ends.

mod pgbouncer;
mod postgres;
mod redis;

pub use pgbouncer::PgBouncer;
pub use postgres::{PostgresServer, Syncs};
pub use redis::{RedisCluster, RedisKind, RedisServer};

use std::io;
use std::net::TcpListener;

/// A port that nobody listens on just now.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

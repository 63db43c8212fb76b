//! PgBouncer, pooling by transaction: two connections to the server for any number of clients.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::free_port;
use super::postgres::{PostgresServer, USER, is_root};

/// A pool in front of a server.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    watched: Option<Child>,
}

impl PgBouncer {
    /// Starts one with its files in this directory, which is made anew.
    ///
    /// # Errors
    /// It is not installed, or it does not begin.
    pub fn start(directory: &Path, server: &PostgresServer) -> io::Result<Self> {
        fs::remove_dir_all(directory).ok();
        fs::create_dir_all(directory)?;
        let (port, database) = (free_port()?, server.port());
        let users = directory.join("users");
        fs::write(&users, "\"postgres\" \"\"\n")?;
        let settings = format!(
            "[databases]\npostgres = host=127.0.0.1 port={database} dbname=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 200\n",
            users.display()
        );
        let file = directory.join("pgbouncer.ini");
        fs::write(&file, settings)?;
        let script = r#""$@" & pid=$!; read -r _ || kill -INT $pid; wait $pid"#;
        let mut watched = Command::new("sh");
        watched.args(["-c", script, "sh"]);
        if is_root() {
            watched.args(["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups"]);
        }
        watched.args(["pgbouncer", "-q"]).arg(&file).stdin(Stdio::piped());
        let log = fs::File::create(directory.join("log"))?;
        watched.stdout(log.try_clone()?).stderr(log);
        let pool = Self {
            port,
            watched: Some(watched.spawn()?),
        };
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(pool);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        Err(io::Error::other(format!(
            "PgBouncer does not begin (apt-get install pgbouncer): {log}"
        )))
    }

    /// A URL of the server's database `postgres`, through it.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        if let Some(mut watched) = self.watched.take() {
            drop(watched.stdin.take());
            watched.wait().ok();
        }
    }
}

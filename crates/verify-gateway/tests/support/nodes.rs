//! Processes of the program on one Postgres, with one set of keys, and one reader behind the logs of all.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests, in a crate of each test file"
)]

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};
use verify_lab::{PostgresServer, Syncs};

use crate::program::{self, Serving, ask, body, send, stop};

/// How many there are.
pub const NODES: usize = 8;

/// Where a test has its server. What another user has to reach must not lie below a home that it may not enter.
pub fn directory(name: &str) -> PathBuf {
    std::env::temp_dir()
        .join("verify-tests")
        .join(format!("many-{name}"))
}

/// Gateways on one database.
pub struct Nodes {
    pub server: PostgresServer,
    vars: Vec<(&'static str, String)>,
    log: PathBuf,
    pub nodes: Vec<Serving>,
}

impl Nodes {
    /// Eight, in demo mode.
    pub fn start(name: &str) -> Self {
        Self::start_with(name, &[])
    }

    /// Eight with these variables, which may be those of one that is no demo.
    pub fn start_with(name: &str, more: &[(&'static str, String)]) -> Self {
        let server = PostgresServer::start(&directory(name), Syncs::No, "").unwrap();
        let mut vars = vec![
            ("VERIFY_KEYS", program::keys()),
            ("VERIFY_STORE", server.url()),
            ("VERIFY_STORE_CONNECTIONS", "4".to_owned()),
            ("VERIFY_FLOOD_SHIELD", "off".to_owned()),
        ];
        vars.extend_from_slice(more);
        let log = directory(name).join("events");
        File::create(&log).unwrap();
        let mut nodes = Self {
            server,
            vars,
            log,
            nodes: Vec::new(),
        };
        nodes.begin();
        nodes
    }

    /// Starts all of them at once.
    pub fn begin(&mut self) {
        let started = thread::scope(|scope| {
            let nodes = &*self;
            let starting = (0..NODES).map(|number| scope.spawn(move || nodes.another(number)));
            let starting: Vec<_> = starting.collect();
            starting.into_iter().map(|node| node.join().unwrap()).collect()
        });
        self.nodes = started;
    }

    /// One more, in the place of this one. It writes its log behind that of all others.
    pub fn another(&self, number: usize) -> Serving {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = File::options().append(true).open(&self.log).unwrap();
        let state = self.log.with_extension(format!("state-{number}"));
        let mut command = program::program();
        command
            .args(["--listen", &port.to_string(), "--state-dir"])
            .arg(state)
            .envs(self.vars.iter().map(|(name, value)| (*name, value.as_str())))
            .stdout(Stdio::null())
            .stderr(log);
        Serving::at(command.spawn().unwrap(), port.to_string())
    }

    /// Stops all of them, one after the other; each hands over what it has.
    pub fn stop(&mut self) {
        self.nodes.drain(..).for_each(stop);
    }

    /// Everybody's clock is held, and goes on by as much.
    pub fn later(&self, seconds: u32) {
        for node in &self.nodes {
            ask(node, "/demo/clock", json!({ "advance_seconds": seconds }));
        }
    }

    /// The messages that arrived there, whoever sent them.
    pub fn arrived(&self, to: &str) -> Vec<Value> {
        let inbox = format!("/demo/inbox?to={}", to.replace('+', "%2B"));
        let messages = self.nodes.iter().map(|node| body(&node.get(&inbox)));
        messages
            .flat_map(|messages| messages.as_array().cloned().unwrap_or_default())
            .collect()
    }

    pub fn code(&self, to: &str) -> String {
        assert_eq!(send(&self.nodes[0], to).0, 201);
        self.later(1);
        self.arrived(to)[0]["code"].as_str().unwrap().to_owned()
    }

    /// The same of all nodes at once, each so often; the statuses.
    pub fn at_once(&self, each: usize, act: impl Fn(&Serving, usize) -> u16 + Sync) -> Vec<u16> {
        let number = AtomicUsize::new(0);
        thread::scope(|scope| {
            let asked: Vec<_> = (0..each * NODES)
                .map(|nth| {
                    let (act, number) = (&act, &number);
                    let node = &self.nodes[nth % NODES];
                    scope.spawn(move || act(node, number.fetch_add(1, Ordering::SeqCst)))
                })
                .collect();
            asked.into_iter().map(|asked| asked.join().unwrap()).collect()
        })
    }

    /// What the database says, as its owner asks it.
    pub fn sql(&self, statements: &str) -> String {
        self.server.ask(statements).unwrap()
    }

    /// The events that their one reader saw, in its order: service and id.
    pub fn events(&self) -> Vec<(String, String)> {
        let log = fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter_map(|line| {
            // A process that was killed may have left the beginning of a line, and the next one went on behind it.
            let last = line.rfind("{\"at\":")?;
            serde_json::from_str::<Value>(line.get(last..)?).ok()
        });
        let text = |line: &Value, field: &str| line[field].as_str().map(str::to_owned);
        lines
            .filter_map(|line| Some((text(&line, "service")?, text(&line, "event_id")?)))
            .collect()
    }
}

/// How many of them are this one.
pub fn count(statuses: &[u16], status: u16) -> usize {
    statuses.iter().filter(|told| **told == status).count()
}

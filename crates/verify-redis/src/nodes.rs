//! Which server has what, and lines to it.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use redis::{Cmd, RedisError, Value};
use tokio::sync::Mutex as Dialing;
use tokio::time::{Instant, sleep, timeout_at};
use verify_batch::{Away, PROBED_EVERY, Stalled};
use verify_core::port::Detail;
use verify_core::store::StoreFault;

use crate::connect::{Dialer, Line};
use crate::errors::{Failed, OpenError, Said, said, words};
use crate::options::{Address, RedisOptions, Servers};
use crate::script::By;

/// So often another server is asked, or the same once more, within the time that there is.
const TRIES: u32 = 16;
/// How long to wait until keys of a slot that moves have moved on.
const MOVES_ON: Duration = Duration::from_millis(5);
/// How long replicas have at most to take over what was written.
const WAITED_FOR: Duration = Duration::from_secs(1);

/// The servers.
pub(crate) struct Nodes {
    servers: Servers,
    dialer: Dialer,
    to_sentinels: Dialer,
    lines: Mutex<HashMap<Address, Arc<Node>>>,
    /// Who was found to be the master, where there is one.
    master: Mutex<Option<Address>>,
    /// Who has which slot of a Cluster.
    slots: Mutex<HashMap<u16, Address>>,
}

#[derive(Default)]
struct Node {
    line: Mutex<Option<Line>>,
    /// One dials, and the others wait for that.
    dialing: Dialing<()>,
    /// Lines that nobody uses just now, each for one at a time.
    apart: Mutex<Vec<Line>>,
    stalled: Stalled,
}

/// Until when something is to be sent, until when it is waited for, and how many replicas are to have it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) begin_by: Instant,
    pub(crate) end_by: Instant,
    pub(crate) wait: u32,
}

impl Times {
    /// For what waits for no replica.
    pub(crate) fn until(end_by: Instant) -> Self {
        Self {
            begin_by: end_by,
            end_by,
            wait: 0,
        }
    }

    /// Milliseconds that replicas have, of what is left: the answer that too few have it is to come in time too. Never 0, which would be
    /// for ever.
    fn waited_for(self) -> u64 {
        let left = self.end_by.saturating_duration_since(Instant::now());
        u64::try_from((left / 2).min(WAITED_FOR).as_millis())
            .unwrap_or(1)
            .max(1)
    }
}

/// An answer, and who gave it.
pub(crate) struct Answered {
    pub(crate) line: Line,
    pub(crate) value: Value,
    /// So many replicas have it as were to be waited for.
    pub(crate) is_replicated: bool,
}

/// What is sent on a line: it may depend on the server there.
pub(crate) type Asked<'a> = &'a (dyn Fn(&Line, By) -> Cmd + Sync);

impl Nodes {
    pub(crate) fn of(options: &RedisOptions) -> Result<Self, OpenError> {
        let dialer = Dialer::of(options)?;
        Ok(Self {
            servers: options.servers.clone(),
            to_sentinels: dialer.to_sentinels(),
            dialer,
            lines: Mutex::default(),
            master: Mutex::default(),
            slots: Mutex::default(),
        })
    }

    /// Asks the server that has a slot. What is asked is done at most once: it is sent again only where a server said that it did
    /// nothing.
    pub(crate) async fn ask(
        self: &Arc<Self>,
        slot: u16,
        asked: Asked<'_>,
        times: Times,
    ) -> Result<Answered, Failed> {
        let mut to = self.server_of(slot, times.begin_by).await?;
        let (mut by, mut is_asking) = (By::Name, false);
        for _ in 0..TRIES {
            let node = self.node(&to);
            let line = self.line_for(&node, &to, times).await?;
            let command = asked(&line, by);
            let answer = match timeout_at(times.end_by, send(&line, command, is_asking, times)).await {
                Ok(answer) => answer,
                Err(_elapsed) => {
                    line.give_up();
                    let failed = Failed::RanOut(Detail::new(None, "the server did not answer in time"));
                    self.heard(&node, &to, &failed);
                    return Err(failed);
                }
            };
            let error = match answer {
                Ok((value, is_replicated)) => {
                    node.stalled.answered();
                    if times.wait > 0 {
                        node.apart.lock().push(line.clone());
                    }
                    return Ok(Answered {
                        line,
                        value,
                        is_replicated,
                    });
                }
                Err(error) => error,
            };
            if error.is_io_error() {
                line.give_up();
                self.forget(&to);
                return Err(Failed::Unknown(Detail::new(None, &words(&error))));
            }
            is_asking = false;
            match said(&error) {
                Said::NoScript => by = By::Words,
                Said::Moved(now) => {
                    to = beside(&to, now);
                    self.slots.lock().insert(slot, to.clone());
                }
                Said::Ask(now) => (to, is_asking) = (beside(&to, now), true),
                Said::TryAgain => sleep(MOVES_ON).await,
                Said::NotTheMaster(fault) => {
                    line.give_up();
                    self.forget(&to);
                    return Err(Failed::NotApplied(fault));
                }
                Said::NotApplied(fault) => return Err(Failed::NotApplied(fault)),
                Said::Unknown(words) => return Err(Failed::Unknown(words)),
            }
        }
        Err(Failed::NotApplied(StoreFault::unavailable(
            "the slot moved on and on",
        )))
    }

    /// The shared line to a server, or one that is nobody else's: what waits for replicas holds up those behind it.
    async fn line_for(
        self: &Arc<Self>,
        node: &Arc<Node>,
        to: &Address,
        times: Times,
    ) -> Result<Line, Failed> {
        if times.wait == 0 {
            return self.line(to, times.begin_by).await;
        }
        let idle = || node.apart.lock().pop();
        while let Some(line) = idle() {
            if line.is_open() {
                return Ok(line);
            }
        }
        let dialed = async {
            timeout_at(times.begin_by, self.dialer.dial(to))
                .await
                .unwrap_or_else(|_| Err(hurried()))
        };
        self.reached(node, to, dialed).await
    }

    /// What comes of reaching a server, which is not tried while it is known to answer nobody.
    async fn reached(
        self: &Arc<Self>,
        node: &Arc<Node>,
        to: &Address,
        reaching: impl Future<Output = Result<Line, Failed>>,
    ) -> Result<Line, Failed> {
        if node.stalled.is() {
            return Err(Failed::NotApplied(Away::Stalled.fault()));
        }
        reaching.await.inspect_err(|failed| self.heard(node, to, failed))
    }

    /// The line to the server that has a slot.
    pub(crate) async fn line_of(self: &Arc<Self>, slot: u16, until: Instant) -> Result<Line, Failed> {
        let to = self.server_of(slot, until).await?;
        self.line(&to, until).await
    }

    /// Takes in that a server did not answer, or could not be reached; after some in a row it is asked each second whether it is back.
    fn heard(self: &Arc<Self>, node: &Arc<Node>, to: &Address, failed: &Failed) {
        match failed {
            Failed::NotApplied(_) | Failed::Unknown(_) => self.forget(to),
            Failed::Unreached(_) | Failed::RanOut(_) => {
                self.forget(to);
                if node.stalled.ran_out() {
                    tokio::spawn(probe(Arc::downgrade(self), Arc::clone(node), to.clone()));
                }
            }
        }
    }

    fn node(&self, address: &Address) -> Arc<Node> {
        Arc::clone(self.lines.lock().entry(address.clone()).or_default())
    }

    /// Servers that are known to be there, each asked for the same.
    pub(crate) async fn all(self: &Arc<Self>, until: Instant) -> Result<Vec<Line>, Failed> {
        let addresses = match &self.servers {
            Servers::Cluster(_) => {
                self.learn_slots(until).await?;
                let mut known: Vec<Address> = self.slots.lock().values().cloned().collect();
                known.sort();
                known.dedup();
                known
            }
            Servers::Endpoints(_) | Servers::Sentinels { .. } => vec![self.server_of(0, until).await?],
        };
        let mut lines = Vec::new();
        for address in addresses {
            lines.push(self.line(&address, until).await?);
        }
        Ok(lines)
    }

    /// The same for whoever only looks: where no server is the master, one that follows it.
    pub(crate) async fn to_look_at(self: &Arc<Self>, until: Instant) -> Result<Vec<Line>, Failed> {
        let failed = match self.all(until).await {
            Ok(lines) => return Ok(lines),
            Err(failed) => failed,
        };
        if let Servers::Endpoints(addresses) = &self.servers {
            for address in addresses {
                if let Ok(line) = self.line(address, until).await {
                    return Ok(vec![line]);
                }
            }
        }
        Err(failed)
    }

    /// Whoever was asked is not asked again before it is looked at who is to be asked.
    fn forget(&self, address: &Address) {
        let mut master = self.master.lock();
        if master.as_ref() == Some(address) {
            *master = None;
        }
        drop(master);
        self.slots.lock().retain(|_, has| has != address);
    }

    async fn server_of(self: &Arc<Self>, slot: u16, until: Instant) -> Result<Address, Failed> {
        match &self.servers {
            Servers::Cluster(_) => {
                if let Some(address) = self.slots.lock().get(&slot).cloned() {
                    return Ok(address);
                }
                self.learn_slots(until).await?;
                let known = self.slots.lock().get(&slot).cloned();
                known.ok_or_else(|| Failed::NotApplied(StoreFault::unavailable("no node has this slot")))
            }
            Servers::Endpoints(addresses) => self.master_of(addresses, until).await,
            Servers::Sentinels { sentinels, master } => {
                if let Some(known) = self.master.lock().clone() {
                    return Ok(known);
                }
                let named = self.named_by(sentinels, master, until).await?;
                self.master_of(&[named], until).await
            }
        }
    }

    /// The first that says that it is no replica.
    async fn master_of(self: &Arc<Self>, addresses: &[Address], until: Instant) -> Result<Address, Failed> {
        if let Some(known) = self.master.lock().clone() {
            return Ok(known);
        }
        let mut failed = None;
        for address in addresses {
            match self.line(address, until).await {
                Ok(line) if line.role.is_replica => {
                    // It may have become the master by the time of the next look.
                    line.give_up();
                    let replica = format!("{address} is a replica, and no master was found");
                    failed.get_or_insert(Failed::NotApplied(StoreFault::unavailable(&replica)));
                }
                Ok(_) => {
                    *self.master.lock() = Some(address.clone());
                    return Ok(address.clone());
                }
                Err(error) => drop(failed.replace(error)),
            }
        }
        Err(failed.unwrap_or_else(|| Failed::NotApplied(StoreFault::unavailable("no server is named"))))
    }

    /// Whom a sentinel says to be the master of this name.
    async fn named_by(&self, sentinels: &[Address], name: &str, until: Instant) -> Result<Address, Failed> {
        let mut failed = None;
        for sentinel in sentinels {
            let mut command = redis::cmd("SENTINEL");
            command.arg("get-master-addr-by-name").arg(name);
            let asked = async {
                let line = self.to_sentinels.dial(sentinel).await?;
                let answer = line.ask(&command).await;
                answer.map_err(|error| Failed::NotApplied(StoreFault::unavailable(&words(&error))))
            };
            let unreached = || StoreFault::unavailable("no sentinel answered in time");
            let answer = timeout_at(until, asked)
                .await
                .unwrap_or_else(|_| Err(Failed::Unreached(unreached())));
            match answer.map(redis::from_redis_value::<Option<(String, u16)>>) {
                Ok(Ok(Some((host, port)))) => return Ok(Address { host, port }),
                Ok(_) => {
                    let unknown = format!("the sentinels know no master called {name}");
                    failed = Some(Failed::NotApplied(StoreFault::unavailable(&unknown)));
                }
                Err(error) => failed = Some(error.of_a_sentinel()),
            }
        }
        Err(failed.unwrap_or_else(|| Failed::NotApplied(StoreFault::unavailable("no sentinel is named"))))
    }

    /// Asks a node of the Cluster, whichever answers, who has which slot.
    async fn learn_slots(self: &Arc<Self>, until: Instant) -> Result<(), Failed> {
        let mut ask: Vec<Address> = self.lines.lock().keys().cloned().collect();
        ask.extend_from_slice(self.servers.addresses());
        let mut failed = Failed::NotApplied(StoreFault::unavailable("no node of the Cluster is named"));
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        for address in ask {
            let answer = async {
                let line = self.line(&address, until).await?;
                let answer = line.ask(&command).await;
                answer.map_err(|error| Failed::NotApplied(StoreFault::unavailable(&words(&error))))
            };
            match timeout_at(until, answer).await {
                Ok(Ok(value)) => {
                    let slots = slots_of(value, &address);
                    if !slots.is_empty() {
                        *self.slots.lock() = slots;
                        return Ok(());
                    }
                }
                Ok(Err(error)) => failed = error,
                Err(_elapsed) => {
                    failed = Failed::Unreached(StoreFault::unavailable("no node answered in time"))
                }
            }
        }
        Err(failed)
    }

    /// The line to a server: the one that is there, or a new one.
    async fn line(self: &Arc<Self>, address: &Address, until: Instant) -> Result<Line, Failed> {
        let node = self.node(address);
        self.reached(&node, address, self.open_or_dial(&node, address, until))
            .await
    }

    async fn open_or_dial(&self, node: &Node, address: &Address, until: Instant) -> Result<Line, Failed> {
        let open = || node.line.lock().clone().filter(Line::is_open);
        if let Some(line) = open() {
            return Ok(line);
        }
        let dial = async {
            let _alone = node.dialing.lock().await;
            if let Some(line) = open() {
                return Ok(line);
            }
            let line = self.dialer.dial(address).await?;
            *node.line.lock() = Some(line.clone());
            Ok(line)
        };
        timeout_at(until, dial).await.unwrap_or_else(|_| Err(hurried()))
    }
}

/// Whoever asked had no more time: that says nothing of the server.
fn hurried() -> Failed {
    Failed::NotApplied(StoreFault::unavailable(
        "no connection in the time that was given",
    ))
}

/// The address that a node gave of another. One that does not know its own name gives none.
fn beside(asked: &Address, given: Address) -> Address {
    match given.host.is_empty() {
        true => Address {
            host: asked.host.clone(),
            port: given.port,
        },
        false => given,
    }
}

/// Sends a command, with what has to stand before and behind it; the answer to it, and whether enough replicas have it.
async fn send(line: &Line, command: Cmd, is_asking: bool, times: Times) -> Result<(Value, bool), RedisError> {
    let wait = times.wait;
    if !is_asking && wait == 0 {
        return Ok((line.ask(&command).await?, true));
    }
    let mut commands = Vec::new();
    if is_asking {
        commands.push(redis::cmd("ASKING"));
    }
    commands.push(command);
    if wait > 0 {
        let mut waiting = redis::cmd("WAIT");
        waiting.arg(wait).arg(times.waited_for());
        commands.push(waiting);
    }
    let mut answers = line
        .ask_in_a_row(&commands)
        .await?
        .into_iter()
        .skip(usize::from(is_asking));
    let answer = answers.next().unwrap_or_default().extract_error()?;
    let replicas: u32 = answers
        .next()
        .and_then(|have| redis::from_redis_value(have).ok())
        .unwrap_or(0);
    Ok((answer, replicas >= wait))
}

/// Asks each second whether a server is back, for as long as it is not.
async fn probe(nodes: Weak<Nodes>, node: Arc<Node>, address: Address) {
    loop {
        sleep(PROBED_EVERY).await;
        let Some(nodes) = nodes.upgrade() else { return };
        if !node.stalled.is() {
            return;
        }
        let until = Instant::now() + PROBED_EVERY;
        let pinged = async {
            nodes
                .open_or_dial(&node, &address, until)
                .await
                .ok()?
                .ask(&redis::cmd("PING"))
                .await
                .ok()
        };
        match timeout_at(until, pinged).await {
            Ok(Some(_)) => return node.stalled.answered(),
            Ok(None) => {}
            // A line that says nothing may be the only thing that is not back.
            Err(_elapsed) => drop(node.line.lock().take().inspect(Line::give_up)),
        }
        // Meanwhile others are asked who has its slots now: it is stalled for everybody, and nobody else learns that it lost them.
        nodes.forget(&address);
    }
}

/// From, to, and the master with its host and port, then its replicas.
fn slots_of(value: Value, asked: &Address) -> HashMap<u16, Address> {
    let mut slots = HashMap::new();
    let ranges: Vec<Vec<Value>> = redis::from_redis_value(value).unwrap_or_default();
    for range in ranges {
        let mut parts = range.into_iter();
        let (Some(from), Some(to), Some(Value::Array(master))) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let mut master = master.into_iter();
        let host: Option<String> = master.next().and_then(|host| redis::from_redis_value(host).ok());
        let port: Option<u16> = master.next().and_then(|port| redis::from_redis_value(port).ok());
        let (Ok(from), Ok(to), Some(port)) = (
            redis::from_redis_value::<u16>(from),
            redis::from_redis_value::<u16>(to),
            port,
        ) else {
            continue;
        };
        let address = beside(
            asked,
            Address {
                host: host.unwrap_or_default(),
                port,
            },
        );
        slots.extend((from..=to).map(|slot| (slot, address.clone())));
    }
    slots
}

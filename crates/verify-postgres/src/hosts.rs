//! Which of several hosts is connected to, and what a server says on a line without being asked.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_postgres::config::LoadBalanceHosts;
use tokio_postgres::error::{DbError, SqlState};
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket, config};

/// How often a server said that it committed without waiting for its copy any longer: somebody broke that off. The commit
/// succeeds all the same, and says no more than this on the same line before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct BrokenOff(Arc<AtomicU64>);

impl BrokenOff {
    pub(crate) fn so_far(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Its words are in the server's language; where in the server it comes from is not. Where that is not said any plain warning
    /// counts: whoever is wrongly in doubt asks once more.
    fn heard(&self, notice: &DbError) {
        let is_from_there = notice.routine().is_none_or(|from| from == "SyncRepWaitForLSN");
        if is_from_there && [SqlState::WARNING, SqlState::ADMIN_SHUTDOWN].contains(notice.code()) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Tries the hosts one after the other.
pub(crate) struct Hosts<T> {
    hosts: Vec<Host>,
    /// Where they share the load, the one to begin with.
    first: Option<AtomicUsize>,
    within: Duration,
    tls: T,
    broken_off: BrokenOff,
}

/// One of them, asked with what a server hears and a pool in front of it mostly does not take.
struct Host {
    config: Config,
    direct: Config,
    takes_it: AtomicBool,
}

impl Host {
    fn of(config: Config, heard: &str) -> Self {
        let mut direct = config.clone();
        let options = config.get_options().unwrap_or_default();
        direct.options(format!("{options} {heard}"));
        Self {
            config,
            direct,
            takes_it: AtomicBool::new(true),
        }
    }

    async fn connect<T>(&self, tls: T) -> Result<(Client, Connection<Socket, T::Stream>), Error>
    where
        T: MakeTlsConnect<Socket> + Clone,
    {
        if self.takes_it.load(Ordering::Relaxed) {
            match self.direct.connect(tls.clone()).await {
                Err(error) if may_be_about_words(&error) => {
                    let without = self.config.connect(tls).await?;
                    self.takes_it.store(false, Ordering::Relaxed);
                    return Ok(without);
                }
                other => return other,
            }
        }
        self.config.connect(tls).await
    }
}

/// Each pool refuses them in its own way. Not where nobody would have come in (28, 3D), or not just now (53, 57).
fn may_be_about_words(error: &Error) -> bool {
    let others = ["28", "3D", "53", "57"];
    let code = error.code();
    code.is_some_and(|code| !others.iter().any(|class| code.code().starts_with(class)))
}

impl<T> Hosts<T> {
    pub(crate) fn of(config: &Config, within: Duration, tls: T, direct: &str, broken_off: BrokenOff) -> Self {
        let share = config.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Self {
            hosts: each(config)
                .into_iter()
                .map(|host| Host::of(host, direct))
                .collect(),
            first: share.then(|| AtomicUsize::new(usize::try_from(std::process::id()).unwrap_or(0))),
            within,
            tls,
            broken_off,
        }
    }
}

impl<T> Connect for Hosts<T>
where
    T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
    T::Stream: Sync + Send,
    T::TlsConnect: Sync + Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    /// Each host has its share of the time that is left: one that takes no connection, or takes it and says nothing, leaves
    /// the others theirs.
    fn connect(
        &self,
        _: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        Box::pin(async move {
            let end = Instant::now() + self.within;
            let first = self
                .first
                .as_ref()
                .map_or(0, |first| first.fetch_add(1, Ordering::Relaxed));
            let (mut failed, mut is_silent) = (None, false);
            let many = self.hosts.len();
            let hosts = self.hosts.iter().cycle().skip(first % many.max(1)).take(many);
            for (host, left) in hosts.zip((1..=u32::try_from(many).unwrap_or(1)).rev()) {
                let share = end.saturating_duration_since(Instant::now()) / left;
                match timeout(share, host.connect(self.tls.clone())).await {
                    Ok(Ok((client, connection))) => {
                        let line = listened_to(connection, self.broken_off.clone());
                        return Ok((client, tokio::spawn(line)));
                    }
                    Ok(Err(error)) => failed = Some(error),
                    Err(_elapsed) => is_silent = true,
                }
            }
            match failed {
                Some(error) if !is_silent => Err(error),
                // The pool says that there was none in time.
                Some(_) | None => pending().await,
            }
        })
    }
}

/// What a line needs to go on, until it ends.
async fn listened_to<S, T>(mut line: Connection<S, T>, broken_off: BrokenOff)
where
    Connection<S, T>: Unpin,
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(said) = poll_fn(|context| line.poll_message(context)).await {
        match said {
            Ok(AsyncMessage::Notice(notice)) => broken_off.heard(&notice),
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(target: "verify::store", error = crate::errors::said(&error), "a connection ended");
                return;
            }
        }
    }
}

/// One for each host that is named. Where that does not add up, whoever connects is told.
fn each(whole: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (whole.get_hosts(), whole.get_hostaddrs(), whole.get_ports());
    let many = hosts.len().max(addresses.len());
    let fits = |length: usize| length == 0 || length == many;
    if many < 2 || !fits(hosts.len()) || !fits(addresses.len()) || !(fits(ports.len()) || ports.len() == 1) {
        return vec![whole.clone()];
    }
    let one = |nth: usize| {
        let mut one = without_hosts(whole);
        match hosts.get(nth) {
            Some(config::Host::Tcp(name)) => drop(one.host(name)),
            Some(config::Host::Unix(path)) => drop(one.host_path(path)),
            None => {}
        }
        if let Some(address) = addresses.get(nth) {
            one.hostaddr(*address);
        }
        if let Some(port) = ports.get(nth).or_else(|| ports.first()) {
            one.port(*port);
        }
        one
    };
    (0..many).map(one).collect()
}

fn without_hosts(config: &Config) -> Config {
    let mut other = Config::new();
    other
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .target_session_attrs(config.get_target_session_attrs())
        .channel_binding(config.get_channel_binding())
        .load_balance_hosts(config.get_load_balance_hosts());
    if let Some(user) = config.get_user() {
        other.user(user);
    }
    if let Some(database) = config.get_dbname() {
        other.dbname(database);
    }
    if let Some(options) = config.get_options() {
        other.options(options);
    }
    if let Some(name) = config.get_application_name() {
        other.application_name(name);
    }
    if let Some(password) = config.get_password() {
        other.password(password);
    }
    if let Some(within) = config.get_connect_timeout() {
        other.connect_timeout(*within);
    }
    if let Some(within) = config.get_tcp_user_timeout() {
        other.tcp_user_timeout(*within);
    }
    if let Some(every) = config.get_keepalives_interval() {
        other.keepalives_interval(every);
    }
    if let Some(times) = config.get_keepalives_retries() {
        other.keepalives_retries(times);
    }
    other
}

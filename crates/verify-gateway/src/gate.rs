//! Before a webhook is read: anybody can call it, and only its body tells whether it is signed.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use verify_core::address;

/// Unsigned webhooks of one client that are read within a second. Genuine ones are never counted.
const MOST_UNSIGNED: u32 = 10;
/// For how long a client that sends too many is shut out.
pub const SECOND: Duration = Duration::from_secs(1);
/// Bytes of bodies that are held at a time: of all clients, and of one.
const MOST_HELD: usize = 32 * 1024 * 1024;
const MOST_HELD_OF_ONE: usize = 4 * 1024 * 1024;
/// So many clients are remembered before those that are quiet are forgotten.
const MOST_REMEMBERED: usize = 16_384;
/// One warning about webhooks that were refused, in so long.
const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

/// Counts what clients send that is not signed, and what is held of what they send.
pub struct Gate {
    seen: Mutex<Seen>,
    /// False where the flood shield is off: then nobody is shut out. What is held is bounded all the same.
    shuts: bool,
}

#[derive(Default)]
struct Seen {
    clients: HashMap<IpAddr, Client>,
    held: usize,
    warned: Option<Instant>,
    not_warned: u64,
}

#[derive(Default)]
struct Client {
    /// When the second began in which so many were unsigned.
    since: Option<Instant>,
    unsigned: u32,
    held: usize,
}

impl Client {
    fn is_quiet(&self, now: Instant) -> bool {
        self.held == 0 && self.since.is_none_or(|since| now - since >= SECOND)
    }
}

impl Gate {
    /// One that shuts out who sends too much unsigned, or that does not.
    pub fn new(shuts: bool) -> Self {
        Self {
            seen: Mutex::default(),
            shuts,
        }
    }

    /// A way in for one webhook of this client; none when too much of what it sent in this second was not signed.
    pub fn pass(&self, client: IpAddr) -> Option<Pass<'_>> {
        let client = address::network(client);
        let now = Instant::now();
        let seen = self.seen.lock();
        let known = seen.clients.get(&client);
        let is_shut = |known: &Client| {
            known.unsigned >= MOST_UNSIGNED && known.since.is_some_and(|since| now - since < SECOND)
        };
        (!self.shuts || !known.is_some_and(is_shut)).then_some(Pass {
            gate: self,
            client,
            held: 0,
        })
    }

    /// Whether a refused webhook may be warned of just now, and of how many nobody was warned since the last time.
    pub fn warns(&self) -> Option<u64> {
        let now = Instant::now();
        let mut seen = self.seen.lock();
        if seen.warned.is_some_and(|warned| now - warned < BETWEEN_WARNINGS) {
            seen.not_warned += 1;
            return None;
        }
        seen.warned = Some(now);
        Some(std::mem::take(&mut seen.not_warned))
    }
}

/// One webhook that is being read. What it holds is given back when it is dropped.
pub struct Pass<'a> {
    gate: &'a Gate,
    client: IpAddr,
    held: usize,
}

impl Pass<'_> {
    /// Room for so many bytes more; false when there is none.
    pub fn hold(&mut self, bytes: usize) -> bool {
        let mut seen = self.gate.seen.lock();
        let of_client = seen.clients.get(&self.client).map_or(0, |client| client.held);
        if seen.held + bytes > MOST_HELD || of_client + bytes > MOST_HELD_OF_ONE {
            return false;
        }
        seen.held += bytes;
        seen.clients.entry(self.client).or_default().held += bytes;
        self.held += bytes;
        true
    }

    /// It was not signed.
    pub fn unsigned(&self) {
        let now = Instant::now();
        let mut seen = self.gate.seen.lock();
        if seen.clients.len() >= MOST_REMEMBERED {
            seen.clients.retain(|_, client| !client.is_quiet(now));
        }
        let client = seen.clients.entry(self.client).or_default();
        if client.since.is_none_or(|since| now - since >= SECOND) {
            client.since = Some(now);
            client.unsigned = 0;
        }
        client.unsigned += 1;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.held == 0 {
            return;
        }
        let mut seen = self.gate.seen.lock();
        seen.held -= self.held;
        if let Some(client) = seen.clients.get_mut(&self.client) {
            client.held -= self.held;
            // A client that is only ever genuine leaves nothing behind.
            if client.held == 0 && client.since.is_none() {
                seen.clients.remove(&self.client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    #[test]
    fn where_the_shield_is_off_nobody_is_shut_out_and_what_is_held_is_bounded() {
        let gate = Gate::new(false);
        for _ in 0..10 * MOST_UNSIGNED {
            gate.pass(ip(1)).unwrap().unsigned();
        }
        assert!(!gate.pass(ip(1)).unwrap().hold(MOST_HELD_OF_ONE + 1));
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_unsigned_ones_is_shut_out_for_a_second_and_nobody_else_is() {
        let gate = Gate::new(true);
        for _ in 0..MOST_UNSIGNED {
            gate.pass(ip(1)).unwrap().unsigned();
        }
        assert!(gate.pass(ip(1)).is_none());
        assert!(gate.pass("::ffff:192.0.2.1".parse().unwrap()).is_none());
        assert!(gate.pass(ip(2)).is_some());
        tokio::time::advance(SECOND).await;
        assert!(gate.pass(ip(1)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_has_an_end_for_one_and_for_all_and_is_given_back() {
        let gate = Gate::new(true);
        let mut full = gate.pass(ip(1)).unwrap();
        assert!(full.hold(MOST_HELD_OF_ONE));
        assert!(!gate.pass(ip(1)).unwrap().hold(1));
        let mut others: Vec<_> = (2..9).map(|last| gate.pass(ip(last)).unwrap()).collect();
        assert!(others.iter_mut().all(|other| other.hold(MOST_HELD_OF_ONE)));
        assert!(!gate.pass(ip(99)).unwrap().hold(1), "all is held");
        drop(full);
        assert!(gate.pass(ip(1)).unwrap().hold(MOST_HELD_OF_ONE));
        drop(others);
        let seen = gate.seen.lock();
        assert_eq!((seen.held, seen.clients.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_spray_of_clients_is_forgotten() {
        let gate = Gate::new(true);
        for client in 0..u32::try_from(MOST_REMEMBERED).unwrap() {
            let client = std::net::Ipv4Addr::from(client).into();
            gate.pass(client).unwrap().unsigned();
        }
        tokio::time::advance(SECOND).await;
        gate.pass(ip(1)).unwrap().unsigned();
        assert_eq!(gate.seen.lock().clients.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_comes_now_and_then_and_says_how_many_were_missed() {
        let gate = Gate::new(true);
        assert_eq!(gate.warns(), Some(0));
        for _ in 0..2_400 {
            assert_eq!(gate.warns(), None);
        }
        tokio::time::advance(BETWEEN_WARNINGS).await;
        assert_eq!(gate.warns(), Some(2_400));
    }
}

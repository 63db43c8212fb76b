//! The flood shield: how many requests are taken before the store is asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;

use verify_core::outcome::Refusal;
use verify_core::time::Timestamp;
use verify_engine::FloodShield;

use crate::callers::{Caller, Callers};

/// A caller makes the requests of many clients.
const OF_A_CALLER: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Turns floods away: of each client that requests name, and of each caller.
///
/// A request that names a client counts for that client alone. All others are the caller's own: it would be wrong to count
/// them for the one address from which a backend speaks for everybody.
pub struct Shield {
    clients: FloodShield,
    callers: BTreeMap<String, FloodShield>,
}

impl Shield {
    /// So many requests per second of one client, and ten times as many of a caller from one address.
    pub fn per_second(most: NonZeroU32, callers: &Callers) -> Self {
        let of_a_caller = most.saturating_mul(OF_A_CALLER);
        let demo = Caller::demo().name;
        let names = callers.names().map(str::to_owned).chain([demo]);
        Self {
            clients: FloodShield::per_second(most),
            callers: names
                .map(|name| (name, FloodShield::per_second(of_a_caller)))
                .collect(),
        }
    }

    /// Counts a request that names this client.
    pub fn of_client(&self, client: IpAddr, now: Timestamp) -> Option<Refusal> {
        self.clients.refusal(client, now)
    }

    /// Counts a request of this caller that names no client, and comes from this address.
    pub fn of_caller(&self, name: &str, from: IpAddr, now: Timestamp) -> Option<Refusal> {
        self.callers.get(name)?.refusal(from, now)
    }
}

//! What lives inside one process and is measured on its own monotonic clock: the flood shield before the store, and
//! the pacing of calls to a provider. Both are `governor`'s GCRA. Neither replaces a limit of the policy, which is
//! counted in the store and holds over all nodes.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::DashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::time::Instant;
use verify_core::address;
use verify_core::outcome::{Refusal, RefusalCode};
use verify_core::time::{Timestamp, Until};

use crate::telemetry;

/// Every so many questions the shield forgets addresses that have their whole burst back.
const TIDY_EVERY: u32 = 1 << 16;

/// Turns away floods of one client before anything is charged or read.
///
/// An IPv6 client is its /64, as everywhere else; an IPv4 address that IPv6 only carries is the IPv4 address
/// ([`address::network`]). Clients that
/// have been quiet for a second are forgotten, so a spray of addresses does not fill the memory.
pub struct FloodShield {
    limiter: RateLimiter<IpAddr, DashMapStateStore<IpAddr>, Monotonic, NoOpMiddleware<Nanos>>,
    clock: Monotonic,
    asked: AtomicU32,
}

impl FloodShield {
    /// Admits this many requests per second of one client, and as many at once.
    pub fn per_second(most: NonZeroU32) -> Self {
        let clock = Monotonic::start();
        let limiter = RateLimiter::dashmap_with_clock(Quota::per_second(most), clock.clone());
        Self {
            limiter,
            clock,
            asked: AtomicU32::new(0),
        }
    }

    /// Counts one request of this client: the refusal when it is to be turned away, the same wherever it is asked for. A
    /// host that asks it before it parses anything builds its engine without one.
    pub fn refusal(&self, ip: IpAddr, now: Timestamp) -> Option<Refusal> {
        let wait = self.wait_of(ip)?;
        telemetry::turned_away(telemetry::FLOOD_SHIELD_RULE);
        let refusal = Refusal::new(
            RefusalCode::Overloaded,
            "too many requests of one client at once; slow down",
        );
        // In whole seconds a shorter wait would be none, and whoever waits for none asks again at once.
        Some(refusal.until(Until::At(now + wait.max(Duration::from_secs(1)))))
    }

    /// Counts one request of this client; when it is to be turned away, says when the next one would be admitted.
    fn wait_of(&self, ip: IpAddr) -> Option<Duration> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let denied = self.limiter.check_key(&address::network(ip)).err()?;
        Some(denied.wait_time_from(self.clock.now()))
    }
}

impl std::fmt::Debug for FloodShield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FloodShield")
            .field("clients", &self.limiter.len())
            .finish_non_exhaustive()
    }
}

/// Spaces out the calls of one provider.
pub(crate) struct Pacer {
    limiter: RateLimiter<NotKeyed, InMemoryState, Monotonic, NoOpMiddleware<Nanos>>,
    clock: Monotonic,
}

impl Pacer {
    /// At most this many calls per second; the first ones may come together.
    pub(crate) fn per_second(most: NonZeroU32) -> Self {
        let clock = Monotonic::start();
        Self {
            limiter: RateLimiter::direct_with_clock(Quota::per_second(most), clock.clone()),
            clock,
        }
    }

    /// Waits for its turn. False, at once and without a turn taken, when that would take longer than `most`.
    pub(crate) async fn turn(&self, most: Duration) -> bool {
        let deadline = Instant::now() + most;
        while let Err(denied) = self.limiter.check() {
            let ready = Instant::now() + denied.wait_time_from(self.clock.now());
            if ready > deadline {
                return false;
            }
            tokio::time::sleep_until(ready).await;
        }
        true
    }
}

/// The runtime's monotonic clock, which a test can hold.
#[derive(Debug, Clone)]
struct Monotonic {
    start: Instant,
}

impl Monotonic {
    fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Clock for Monotonic {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.start.elapsed().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn shield(per_second: u32) -> FloodShield {
        FloodShield::per_second(NonZeroU32::new(per_second).unwrap())
    }

    fn admits(shield: &FloodShield, client: &str) -> bool {
        shield.refusal(ip(client), Timestamp::ZERO).is_none()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn it_turns_away_what_is_over_the_rate_and_tells_an_honest_wait() {
        let shield = shield(3);
        for _ in 0..3 {
            assert!(admits(&shield, "192.0.2.1"));
        }
        let wait = shield.wait_of(ip("192.0.2.1")).unwrap();
        assert!(
            admits(&shield, "192.0.2.2"),
            "another client has a rate of its own"
        );
        tokio::time::advance(wait - Duration::from_millis(2)).await;
        assert!(!admits(&shield, "192.0.2.1"));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(admits(&shield, "192.0.2.1"));
    }

    #[tokio::test(start_paused = true)]
    async fn i63_many_addresses_of_one_ipv6_network_are_one_client() {
        let shield = shield(2);
        assert!(admits(&shield, "2001:db8:1:2::1"));
        assert!(admits(&shield, "2001:db8:1:2:ffff::2"));
        assert!(!admits(&shield, "2001:db8:1:2:3:4:5:6"));
        assert!(
            admits(&shield, "2001:db8:1:3::1"),
            "the next network is another client"
        );
        assert!(admits(&shield, "::ffff:192.0.2.7"));
        assert!(admits(&shield, "192.0.2.7"));
        assert!(
            !admits(&shield, "::ffff:192.0.2.7"),
            "one address in two spellings is one client"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn i57_a_spray_of_addresses_does_not_stay_in_memory() {
        let shield = shield(1);
        for n in 0..TIDY_EVERY - 1 {
            shield.wait_of(IpAddr::V4(Ipv4Addr::from(n)));
        }
        assert_eq!(shield.limiter.len(), TIDY_EVERY as usize - 1);
        tokio::time::advance(Duration::from_secs(2)).await;
        admits(&shield, "192.0.2.1");
        assert!(shield.limiter.len() <= 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_but_not_beyond_its_deadline() {
        let pacer = Pacer::per_second(NonZeroU32::new(2).unwrap());
        let second = Duration::from_secs(1);
        let start = Instant::now();
        assert!(pacer.turn(second).await);
        assert!(pacer.turn(second).await);
        assert_eq!(start.elapsed(), Duration::ZERO);
        assert!(
            !pacer.turn(Duration::from_millis(100)).await,
            "no turn within the deadline"
        );
        assert_eq!(start.elapsed(), Duration::ZERO, "which is told at once");
        assert!(pacer.turn(second).await);
        assert!(start.elapsed() >= Duration::from_millis(499));
    }
}

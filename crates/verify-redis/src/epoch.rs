//! The store's epoch, and its list of services. Each service has the epoch that the store had when it was first heard of; one that had
//! something once and has no epoch now has lost it, and begins one that nobody accepted.

use rand::TryRng;
use rand::rngs::SysRng;
use redis::Value;
use verify_core::store::{Epoch, Origin, StoreFault};
use verify_core::time::Timestamp;

/// A random name for an epoch that may begin.
pub(crate) fn name() -> Result<[u8; 16], StoreFault> {
    let mut name = [0; 16];
    let drawn = SysRng.try_fill_bytes(&mut name);
    drawn.map_err(|error| StoreFault::unavailable(&format!("no randomness: {error}")))?;
    Ok(name)
}

/// What the store says of itself, and whether it knows the service that was named.
pub(crate) fn read(answer: Value) -> Result<(Origin, bool), StoreFault> {
    let broken = || StoreFault::corrupt("the store's epoch is not in its format");
    let said: (Vec<u8>, u64, u64, u64, u64, u64) = redis::from_redis_value(answer).map_err(|_| broken())?;
    let (epoch, made, accepted, moved, clock, has_lane) = said;
    let origin = Origin {
        epoch: Epoch(epoch.try_into().map_err(|_| broken())?),
        made: Timestamp::from_millis(made),
        accepted: accepted == 1,
        moved: Some(Timestamp::from_millis(moved)).filter(|moved| *moved > Timestamp::ZERO),
        clock: Timestamp::from_millis(clock),
    };
    Ok((origin, has_lane == 1))
}

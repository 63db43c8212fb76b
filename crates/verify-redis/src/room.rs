//! How full the servers are, and whether they keep what they hold.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redis::Value;
use verify_core::store::StoreFault;

use crate::connect::{Line, value};
use crate::errors::{OpenError, words};

/// From this part on what is left is for known callers.
const STRANGERS_PERCENT: u64 = 90;
/// And below this one it is for everybody again.
const AGAIN_PERCENT: u64 = 88;

/// What a server says of its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    /// 0: it has no bound.
    pub(crate) most: u64,
}

impl Memory {
    /// The part that is used, 0 to 1; 0 where nothing bounds it.
    pub(crate) fn part(self) -> f64 {
        match self.most {
            0 => 0.0,
            most => (self.used as f64 / most as f64).min(1.0),
        }
    }

    /// As the script is told: 0 is room for everybody, 1 for known callers. What is over the bound the server refuses itself. Where it
    /// was 1 it stays so until some room came back, and not with each command that ends.
    pub(crate) fn fill(self, before: u8) -> u8 {
        let percent = if before == 0 {
            STRANGERS_PERCENT
        } else {
            AGAIN_PERCENT
        };
        u8::from(self.most > 0 && self.used >= self.most / 100 * percent)
    }
}

/// What was seen last, by server.
#[derive(Debug, Default)]
pub(crate) struct Looks(Mutex<HashMap<String, (Instant, u8)>>);

impl Looks {
    /// What was seen of a server, and whether that is for too long.
    pub(crate) fn last(&self, server: &str, every: Duration) -> (u8, bool) {
        let seen = self.0.lock();
        match seen.get(server) {
            Some((when, fill)) => (*fill, when.elapsed() >= every),
            None => (0, true),
        }
    }

    /// What was seen just now, or before where somebody is about to look: nobody else does meanwhile.
    pub(crate) fn saw(&self, server: &str, fill: u8) {
        self.0.lock().insert(server.to_owned(), (Instant::now(), fill));
    }
}

pub(crate) async fn info(line: &Line, section: &str) -> Result<String, StoreFault> {
    let mut command = redis::cmd("INFO");
    let said = line.ask(command.arg(section)).await;
    let said = said.map_err(|error| StoreFault::unavailable(&words(&error)))?;
    Ok(redis::from_redis_value(said).unwrap_or_default())
}

/// What a server says of its memory.
pub(crate) async fn memory(line: &Line) -> Result<Memory, StoreFault> {
    let said = info(line, "memory").await?;
    let number = |name: &str| value(&said, name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Memory {
        used: number("used_memory"),
        most: number("maxmemory"),
    })
}

/// Refuses a server that is too old, or that forgets what is counted when its memory is full.
pub(crate) async fn check(line: &Line) -> Result<(), OpenError> {
    let unsaid = |fault: StoreFault| OpenError::Connect(fault.detail().message().to_owned());
    let server = info(line, "server").await.map_err(unsaid)?;
    let version = value(&server, "redis_version").unwrap_or("0");
    let mut numbers = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    if (numbers.next(), numbers.next()) < (Some(6), Some(2)) {
        return Err(OpenError::Version(version.to_owned()));
    }
    match policy(line).await? {
        Some(policy) if policy == "noeviction" => Ok(()),
        Some(policy) => Err(OpenError::Evicts(policy)),
        None => Err(OpenError::PolicyUntold),
    }
}

/// By `CONFIG`, and by `INFO` where that is forbidden.
async fn policy(line: &Line) -> Result<Option<String>, OpenError> {
    let mut command = redis::cmd("CONFIG");
    if let Ok(Value::Array(pair)) = line.ask(command.arg("GET").arg("maxmemory-policy")).await
        && let Some(policy) = pair.into_iter().nth(1)
    {
        return Ok(redis::from_redis_value(policy).ok());
    }
    let said = info(line, "memory").await.map_err(OpenError::from)?;
    Ok(value(&said, "maxmemory_policy").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i57_the_last_tenth_is_for_known_callers_until_some_room_came_back() {
        let used = |used| Memory { used, most: 1_000 };
        assert_eq!([used(899).fill(0), used(900).fill(0)], [0, 1]);
        assert_eq!([used(880).fill(1), used(879).fill(1)], [1, 0]);
        assert_eq!(Memory { used: 900, most: 0 }.fill(1), 0, "nothing bounds it");
        assert!((used(250).part() - 0.25).abs() < f64::EPSILON);
    }
}

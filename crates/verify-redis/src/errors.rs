//! What goes wrong, and what it means.

use std::io;
use std::path::PathBuf;

use redis::{ErrorKind, RedisError};
use verify_batch::tls::TlsError;
use verify_core::port::Detail;
use verify_core::store::StoreFault;

use crate::options::{Address, RedisOptions};
use crate::telemetry;

/// Why servers cannot be the store. Each says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Not a URL of Redis.
    #[error(
        "not a Redis URL (redis://USER@HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT, or rediss in the place of redis): {0}"
    )]
    Url(&'static str),
    /// A beginning of keys that would not be one.
    #[error("the prefix {0:?} is none: at most 64 letters, digits, `.`, `_`, `-` and `:`")]
    Prefix(String),
    /// A file with a secret or a certificate.
    #[error("{}: {error}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Certificates or keys are not what they should be.
    #[error("TLS: {0}")]
    Tls(String),
    /// The server asks for a password.
    #[error("the server asks for a password, and there is none; name a file with it, or put it into the URL")]
    NoPassword,
    /// It takes another one.
    #[error("the server does not take this name with this password: {0}")]
    WrongPassword(String),
    /// It cannot be reached, or something is not permitted.
    #[error("the store cannot be used: {0}")]
    Connect(String),
    /// It is not all there.
    #[error(
        "a copy into this store was broken off, or is under way: run `store copy` again, which begins anew"
    )]
    HalfCopied,
    /// It is to be read whole, and somebody works on it.
    #[error(
        "somebody serves from these keys, or was killed within the last minute: stop what serves from them, and begin again"
    )]
    InUse,
    /// It is older than 6.2.
    #[error("the server is Redis {0}; 6.2 or later, or Valkey, is needed")]
    Version(String),
    /// It forgets what is counted when its memory is full.
    #[error(
        "the server's maxmemory-policy is {0}; set it to noeviction, so that nothing that was counted is forgotten"
    )]
    Evicts(String),
    /// Nobody says what it does when its memory is full.
    #[error("the server does not say its maxmemory-policy; permit this user INFO")]
    PolicyUntold,
}

impl From<TlsError> for OpenError {
    fn from(error: TlsError) -> Self {
        Self::Tls(error.to_string())
    }
}

impl OpenError {
    /// What a fault is to whoever opens servers by these options.
    pub(crate) fn of(fault: StoreFault, options: &RedisOptions) -> Self {
        let words = fault.detail().message();
        let has_password = options.password.is_some() || options.password_file.is_some();
        if words.contains("HALFCOPIED") {
            Self::HalfCopied
        } else if words.contains("NOAUTH") || (words.contains(WRONG_PASSWORD) && !has_password) {
            Self::NoPassword
        } else if words.contains(WRONG_PASSWORD) {
            Self::WrongPassword(words.to_owned())
        } else {
            fault.into()
        }
    }
}

impl From<StoreFault> for OpenError {
    fn from(fault: StoreFault) -> Self {
        Self::Connect(fault.detail().message().to_owned())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Surely nothing was done.
    NotApplied(StoreFault),
    /// The same, because there was no connection in the time for one.
    Unreached(StoreFault),
    /// It may have been done.
    Unknown(Detail),
    /// The same, because no answer came in its time.
    RanOut(Detail),
}

impl Failed {
    pub(crate) fn unknown(words: &str) -> Self {
        Self::Unknown(Detail::new(None, words))
    }

    /// The same of a sentinel, which is told no password: those that there are belong to the servers.
    pub(crate) fn of_a_sentinel(self) -> Self {
        match self {
            Self::NotApplied(fault) if fault.detail().message().contains("NOAUTH") => {
                let words =
                    "a sentinel asks for a password, and is told none: have it answer this machine without";
                Self::NotApplied(StoreFault::unavailable(words))
            }
            other @ (Self::NotApplied(_) | Self::Unreached(_) | Self::Unknown(_) | Self::RanOut(_)) => other,
        }
    }

    /// The same of what comes before anything that would have to be undone.
    pub(crate) fn before_anything(self) -> Self {
        match self {
            Self::Unknown(words) => Self::NotApplied(StoreFault::Unavailable(words)),
            Self::RanOut(words) => Self::Unreached(StoreFault::Unavailable(words)),
            known @ (Self::NotApplied(_) | Self::Unreached(_)) => known,
        }
    }
}

impl From<Failed> for StoreFault {
    /// For what may be asked again whether it was done or not.
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::NotApplied(fault) | Failed::Unreached(fault) => fault,
            Failed::Unknown(words) | Failed::RanOut(words) => Self::Unavailable(words),
        }
    }
}

/// What a server's error is to whoever sent a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It does not know the script, and has to be sent its words.
    NoScript,
    /// Another node has the slot, from now on.
    Moved(Address),
    /// Another node has this key already, while the slot moves.
    Ask(Address),
    /// The slot moves, and some of the keys are here and some there.
    TryAgain,
    /// Nothing was done, and it is not the master: another one may be.
    NotTheMaster(StoreFault),
    /// Nothing was done.
    NotApplied(StoreFault),
    /// It may have been done, in part or whole.
    Unknown(Detail),
}

/// What a server says to a password that is not the user's.
const WRONG_PASSWORD: &str = "WRONGPASS";

/// What an error says; passwords are never in it.
pub(crate) fn words(error: &RedisError) -> String {
    // The client has its own words for it, whatever the server said.
    if error.kind() == ErrorKind::AuthenticationFailed {
        return format!("{WRONG_PASSWORD} {error}");
    }
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (None, Some(detail)) => detail.to_owned(),
        (Some(_), None) | (None, None) => error.to_string(),
    }
}

/// What the server said. Only what it says before anything was done is taken for that.
pub(crate) fn said(error: &RedisError) -> Said {
    let words = words(error);
    if let Some(elsewhere) = elsewhere(error) {
        return elsewhere;
    }
    if words.contains("VERIFYHALF") {
        tracing::error!(target: "verify::store", words, "a script failed after it had begun to write");
        telemetry::half_written();
        return Said::Unknown(Detail::new(None, &words));
    }
    // Inside a script the code stands somewhere in its words, and the script says itself that nothing was written.
    let inside = words.contains("VERIFYNONE");
    let is = |code: &str| match inside {
        true => words.contains(code),
        false => error.code() == Some(code),
    };
    let unavailable = || StoreFault::unavailable(&words);
    if is("NOSCRIPT") {
        Said::NoScript
    } else if is("TRYAGAIN") {
        Said::TryAgain
    } else if is("READONLY") || is("MASTERDOWN") {
        Said::NotTheMaster(unavailable())
    } else if is("OOM") {
        Said::NotApplied(StoreFault::full(&words))
    } else if is("CROSSSLOT") {
        Said::NotApplied(StoreFault::defect(&words))
    } else if is("WRONGTYPE") || is("CORRUPT") {
        Said::NotApplied(StoreFault::corrupt(&words))
    } else if REFUSED.iter().any(|code| is(code)) {
        Said::NotApplied(unavailable())
    } else if inside {
        Said::NotApplied(StoreFault::defect(&words))
    } else {
        Said::Unknown(Detail::new(None, &words))
    }
}

/// Where an error sends whoever asked.
fn elsewhere(error: &RedisError) -> Option<Said> {
    let (address, _slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let address = Address {
        host: host.trim_matches(['[', ']']).to_owned(),
        port: port.parse().ok()?,
    };
    match error.code() {
        Some("ASK") => Some(Said::Ask(address)),
        _ => Some(Said::Moved(address)),
    }
}

/// What a server says instead of doing something.
const REFUSED: [&str; 11] = [
    // Of a script of ours.
    "HALFCOPIED",
    "LOADING",
    "CLUSTERDOWN",
    "BUSY",
    "NOREPLICAS",
    "MISCONF",
    "NOPERM",
    "NOAUTH",
    "NOTBUSY",
    // Out of a script, by 6.2 and by later ones.
    "user executing the script can't",
    "ACL failure in script",
];

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    /// As it comes over a line.
    fn error(line: &str) -> RedisError {
        let value = parse_redis_value(format!("-{line}\r\n").as_bytes()).unwrap();
        value.extract_error().unwrap_err()
    }

    fn is_not_applied(line: &str) -> StoreFault {
        match said(&error(line)) {
            Said::NotApplied(fault) | Said::NotTheMaster(fault) => fault,
            other @ (Said::NoScript | Said::Moved(_) | Said::Ask(_) | Said::TryAgain | Said::Unknown(_)) => {
                panic!("{line}: {other:?}")
            }
        }
    }

    #[test]
    fn what_a_server_refuses_before_it_begins_is_not_applied() {
        for (line, word) in [
            ("LOADING Redis is loading the dataset in memory", "unavailable"),
            ("CLUSTERDOWN The cluster is down", "unavailable"),
            (
                "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
                "unavailable",
            ),
            ("NOREPLICAS Not enough good replicas to write.", "unavailable"),
            (
                "MISCONF Errors writing to the AOF file: No space left on device",
                "unavailable",
            ),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command",
                "unavailable",
            ),
            ("NOAUTH Authentication required.", "unavailable"),
            (
                "READONLY You can't write against a read only replica.",
                "unavailable",
            ),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                "unavailable",
            ),
            ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
            ("CROSSSLOT Keys in request don't hash to the same slot", "defect"),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                "corrupt",
            ),
        ] {
            assert_eq!(is_not_applied(line).as_str(), word, "{line}");
            // The same out of the script, as the versions put it.
            assert_eq!(
                is_not_applied(&format!("VERIFYNONE {line}")).as_str(),
                word,
                "{line}"
            );
            assert_eq!(
                is_not_applied(&format!("ERR VERIFYNONE @user_script: 9: -{line}")).as_str(),
                word,
                "{line}"
            );
        }
        assert_eq!(
            is_not_applied("VERIFYNONE CORRUPT a row is not in its format").as_str(),
            "corrupt"
        );
        assert_eq!(
            is_not_applied("VERIFYNONE user_script:3: attempt to index nil").as_str(),
            "defect"
        );
    }

    #[test]
    fn who_has_a_slot_is_told() {
        let address = Address {
            host: "10.0.0.7".to_owned(),
            port: 7_001,
        };
        assert_eq!(
            said(&error("MOVED 866 10.0.0.7:7001")),
            Said::Moved(address.clone())
        );
        assert_eq!(said(&error("ASK 866 10.0.0.7:7001")), Said::Ask(address));
        assert_eq!(
            said(&error("TRYAGAIN Multiple keys request during rehashing of slot")),
            Said::TryAgain
        );
        assert_eq!(said(&error("NOSCRIPT No matching script.")), Said::NoScript);
    }

    #[test]
    fn what_is_not_known_to_come_before_the_beginning_is_in_doubt() {
        for line in [
            "VERIFYHALF OOM command not allowed",
            "ERR VERIFYHALF READONLY You can't write",
            "ERR Error running script",
            "SOMETHING else",
        ] {
            assert!(matches!(said(&error(line)), Said::Unknown(_)), "{line}");
        }
        let broken = RedisError::from(io::Error::from(io::ErrorKind::ConnectionReset));
        assert!(matches!(said(&broken), Said::Unknown(_)));
    }
}

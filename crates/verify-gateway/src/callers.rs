//! Who may call: names, roles and services, by the hash of a key.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use verify_core::vocabulary::ServiceId;

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends, checks, redeems.
    App,
    /// That, and unlocks, erases, asks for explanations, reads metrics.
    Operator,
}

impl Role {
    /// The word in configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Operator => "operator",
        }
    }
}

/// Somebody who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// For logs.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one service that it belongs to.
    pub service: ServiceId,
}

impl Caller {
    /// The only caller of demo mode: it may do everything, in the default service.
    pub fn demo() -> Self {
        Self {
            name: "demo".to_owned(),
            role: Role::Operator,
            service: ServiceId::default(),
        }
    }
}

/// All callers.
#[derive(Clone, Default)]
pub struct Callers {
    known: Vec<(Caller, [u8; 32])>,
}

/// Why an entry of `VERIFY_API_KEYS` cannot be used. It repeats nothing of the entry but its place and name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallerError {
    /// It has other parts than three or four.
    #[error("entry {0}: expected name:role:sha256-of-key[:service]")]
    Shape(usize),
    /// Its name cannot be one.
    #[error("entry {0}: a name has 1 to 64 characters of a-z A-Z 0-9 . _ -")]
    Name(usize),
    /// Its role is not known.
    #[error("entry {0}: the role is app or operator")]
    Role(usize),
    /// Its hash is not one.
    #[error(
        "entry {0}: the third part is the SHA-256 of the key in 64 lower-case hexadecimal digits, not the key itself; \
         `verify-gateway keys caller NAME` makes both"
    )]
    Hash(usize),
    /// Its service cannot be one.
    #[error("entry {0}: a service has 1 to 64 characters of a-z A-Z 0-9 . _ -")]
    Service(usize),
    /// Two entries have the same key.
    #[error("entry {0}: another entry has the same key; give every caller its own")]
    SameKey(usize),
}

impl Callers {
    /// Callers from `name:role:sha256-of-key[:service]`, comma-separated. Two entries may have one name, so that a key
    /// can be replaced without a gap.
    ///
    /// # Errors
    /// Every entry that cannot be used.
    pub fn parse(text: &str) -> Result<Self, Vec<CallerError>> {
        let mut callers = Self::default();
        let mut errors = Vec::new();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            match parse_entry(entry, index + 1) {
                Ok((_, hash)) if callers.known.iter().any(|(_, other)| *other == hash) => {
                    errors.push(CallerError::SameKey(index + 1));
                }
                Ok(known) => callers.known.push(known),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(callers)
        } else {
            Err(errors)
        }
    }

    /// True when there is nobody who may call.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The services that they belong to.
    pub fn services(&self) -> impl Iterator<Item = ServiceId> {
        self.known.iter().map(|(caller, _)| caller.service.clone())
    }

    /// Their names; one may stand there more than once.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.iter().map(|(caller, _)| caller.name.as_str())
    }

    /// The caller with this key. Takes the same time whichever entry it is, and whether there is one.
    pub fn by_key(&self, key: &str) -> Option<&Caller> {
        let hash: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = u32::MAX;
        for (index, (_, known)) in (0_u32..).zip(&self.known) {
            found.conditional_assign(&index, known.ct_eq(&hash));
        }
        let place = usize::try_from(found).ok()?;
        self.known.get(place).map(|(caller, _)| caller)
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.known.iter().map(|(caller, _)| caller))
            .finish()
    }
}

/// The entry of a key.
pub fn entry(name: &str, role: Role, key: &str, service: &ServiceId) -> String {
    let hash = Sha256::digest(key.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if *service == ServiceId::default() {
        format!("{name}:{}:{hex}", role.as_str())
    } else {
        format!("{name}:{}:{hex}:{service}", role.as_str())
    }
}

fn parse_entry(entry: &str, place: usize) -> Result<(Caller, [u8; 32]), CallerError> {
    let parts: Vec<&str> = entry.split(':').collect();
    let (name, role, hash, service) = match parts.as_slice() {
        [name, role, hash] => (name, role, hash, None),
        [name, role, hash, service] => (name, role, hash, Some(service)),
        [..] => return Err(CallerError::Shape(place)),
    };
    let name = ServiceId::new(name).map_err(|_| CallerError::Name(place))?;
    let role = [Role::App, Role::Operator]
        .into_iter()
        .find(|known| known.as_str() == *role)
        .ok_or(CallerError::Role(place))?;
    let hash = parse_hash(hash).ok_or(CallerError::Hash(place))?;
    let service = match service {
        Some(service) => ServiceId::new(service).map_err(|_| CallerError::Service(place))?,
        None => ServiceId::default(),
    };
    Ok((
        Caller {
            name: name.as_str().to_owned(),
            role,
            service,
        },
        hash,
    ))
}

fn parse_hash(hex: &str) -> Option<[u8; 32]> {
    if hex.len() != 64
        || !hex
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    {
        return None;
    }
    let bytes: Option<Vec<u8>> = (0..32)
        .map(|index| {
            hex.get(index * 2..index * 2 + 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    bytes?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(id: &str) -> ServiceId {
        ServiceId::new(id).unwrap()
    }

    #[test]
    fn a_key_finds_its_caller_and_no_other() {
        let text = format!(
            "{}, {}",
            entry("shop", Role::App, "key-of-shop", &service("eu")),
            entry("ops", Role::Operator, "key-of-ops", &ServiceId::default()),
        );
        let callers = Callers::parse(&text).unwrap();
        let shop = callers.by_key("key-of-shop").unwrap();
        assert_eq!(
            (shop.name.as_str(), shop.role, &shop.service),
            ("shop", Role::App, &service("eu"))
        );
        assert_eq!(callers.by_key("key-of-ops").unwrap().role, Role::Operator);
        for wrong in ["", "key-of-sho", "key-of-shop ", "KEY-OF-SHOP"] {
            assert_eq!(callers.by_key(wrong), None);
        }
        assert_eq!(Callers::default().by_key(""), None);
    }

    #[test]
    fn every_bad_entry_is_named_and_nothing_of_it_is_repeated() {
        let good = entry("shop", Role::App, "k", &ServiceId::default());
        let hash = "a".repeat(64);
        let text = format!("{good},x,sh op:app:{hash},ops:root:{hash},b:app:plain-key,c:app:{hash}:§,{good}");
        assert_eq!(
            Callers::parse(&text).unwrap_err(),
            [
                CallerError::Shape(2),
                CallerError::Name(3),
                CallerError::Role(4),
                CallerError::Hash(5),
                CallerError::Service(6),
                CallerError::SameKey(7),
            ]
        );
        assert!(!CallerError::Hash(5).to_string().contains("plain-key"));
        assert!(Callers::parse(&format!("b:app:{}", "A".repeat(64))).is_err());
    }
}

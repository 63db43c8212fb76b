//! Names of things that a flow makes from its seed: sixteen bytes each, and no two kinds alike.

use std::fmt;

/// `FromStr` and serde of sixteen bytes: in hexadecimal digits where people read it, else the bytes.
macro_rules! written_in_hex {
    ($name:ident, $invalid:ident) => {
        impl std::str::FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                let digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                match text.len() == 32 && text.bytes().all(digit) {
                    true => u128::from_str_radix(text, 16)
                        .map(|number| Self(number.to_be_bytes()))
                        .map_err(|_| $invalid),
                    false => Err($invalid),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match serializer.is_human_readable() {
                    true => serializer.collect_str(self),
                    false => self.0.serialize(serializer),
                }
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match deserializer.is_human_readable() {
                    true => String::deserialize(deserializer)?
                        .parse()
                        .map_err(serde::de::Error::custom),
                    false => <[u8; 16]>::deserialize(deserializer).map(Self),
                }
            }
        }
    };
}

pub(crate) use written_in_hex;

/// A text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an id has 32 hexadecimal digits, lower case")]
pub struct InvalidId;

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From the bytes that [`as_bytes`](Self::as_bytes) gave.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            /// 32 hexadecimal digits.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", u128::from_be_bytes(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        written_in_hex!($name, InvalidId);
    )+};
}

ids! {
    /// What tells a verification from any other.
    Nonce;
    /// A delivery, made by the flow that recorded it: by it that flow finds its own delivery again, and a provider tells
    /// one dispatch from another.
    DeliveryId;
    /// An approval: the flow that wrote it, and the id of its proof.
    ApprovalId;
    /// Who announced that a provider will be told an end.
    AnnouncerId;
    /// Who was lent a service's work: an engine, as long as it runs.
    HolderId;
    /// An event: the same each time that it is handed over.
    EventId;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_in_hexadecimal_digits_where_people_read_it() {
        let id = EventId::from_bytes(*b"\x01sixteen bytes.\xff");
        let text = "017369787465656e2062797465732eff";
        assert_eq!((id.to_string().as_str(), text.parse()), (text, Ok(id)));
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<EventId>(&json).unwrap(), id);
        assert_eq!(postcard::to_allocvec(&id).unwrap(), id.as_bytes());
        assert_eq!(postcard::from_bytes::<EventId>(id.as_bytes()), Ok(id));
        for wrong in [
            "",
            "+17369787465656e2062797465732eff",
            "017369787465656E2062797465732EFF",
        ] {
            assert_eq!(wrong.parse::<EventId>(), Err(InvalidId), "{wrong}");
        }
    }
}

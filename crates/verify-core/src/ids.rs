//! Names of things that a flow makes from its seed: sixteen bytes each, and no two kinds alike.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$meta:meta])* $name:ident;)+) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
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

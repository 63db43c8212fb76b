//! Fingerprints: what stands for a number, a mailbox, an address or a subject wherever it is stored or logged.

use std::fmt;
use std::hash::{Hash, Hasher};

use super::Keys;
use crate::ids::{ApprovalId, Nonce, written_in_hex};
use crate::mac::{MacKey, first};
use crate::vocabulary::{Dimension, Payment, ServiceId};

/// A fingerprint: HMAC-SHA256 under a key of the fingerprint ring, cut to 16 bytes.
///
/// Without the key it tells nothing about the value, so it may be stored, logged and compared in the open.
/// Shown as 32 hexadecimal digits, which is also its form in readable formats such as JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Print([u8; 16]);

impl Hash for Print {
    /// As one number: every look-up hashes one.
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl Print {
    /// A fingerprint from the bytes that [`Print::as_bytes`] gave.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl Nonce {
    /// For correlation in events and explanations.
    pub const fn print(&self) -> Print {
        Print(*self.as_bytes())
    }
}

impl ApprovalId {
    /// What is claimed when its proof is spent.
    pub const fn print(&self) -> Print {
        Print(*self.as_bytes())
    }
}

/// A text that is not a fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a fingerprint has 32 hexadecimal digits, lower case")]
pub struct InvalidPrint;

/// What a fingerprint is of. The same text gives unrelated fingerprints for two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrintKind {
    /// A number or mailbox: canonical where it is a key or a limit's, as delivered in an identity and in tokens.
    Destination,
    /// The user whom the application names.
    Subject,
    /// A client's address; of an IPv6 address its /64.
    Ip,
    /// A device id that the application passes.
    Device,
    /// The country of a number.
    Country,
    /// A number without its last four digits.
    Prefix,
    /// A network (autonomous system).
    Asn,
    /// The service as a whole.
    Service,
    /// What one code may approve: purpose, subject, standing, amount and payee, and of a mailbox its spelling.
    Identity,
    /// An amount and a payee; see [`Keys::binding_prints`].
    Binding,
    /// A caller's idempotency key, together with who the caller is.
    IdempotencyKey,
    /// What a request with an idempotency key asked for, to tell a repeat from another request.
    Request,
    /// The network of a client's address.
    Network,
}

impl PrintKind {
    /// Part of the format: a changed number makes every stored fingerprint of the kind unfindable.
    const fn tag(self) -> u8 {
        match self {
            Self::Destination => 1,
            Self::Subject => 2,
            Self::Ip => 3,
            Self::Device => 4,
            Self::Country => 5,
            Self::Prefix => 6,
            Self::Asn => 7,
            Self::Service => 8,
            Self::Identity => 9,
            Self::Binding => 10,
            Self::IdempotencyKey => 11,
            Self::Request => 12,
            Self::Network => 14,
        }
    }
}

impl From<Dimension> for PrintKind {
    fn from(dimension: Dimension) -> Self {
        match dimension {
            Dimension::Ip => Self::Ip,
            Dimension::Network => Self::Network,
            Dimension::Destination => Self::Destination,
            Dimension::Subject => Self::Subject,
            Dimension::Device => Self::Device,
            Dimension::Country => Self::Country,
            Dimension::Prefix => Self::Prefix,
            Dimension::Asn => Self::Asn,
            Dimension::Service => Self::Service,
        }
    }
}

/// The fingerprints of one value, newest first, one for each key of the ring.
///
/// While an old key is in the ring, limits are charged and records looked up under all of them, so that a
/// rotation gives nobody a fresh budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prints {
    newest: Print,
    older: Vec<Print>,
}

impl Prints {
    /// The one that new writes use.
    pub const fn newest(&self) -> Print {
        self.newest
    }

    /// All of them, newest first.
    pub fn iter(&self) -> impl Iterator<Item = Print> {
        std::iter::once(self.newest).chain(self.older.iter().copied())
    }

    /// True when `print` is of this value, under any key of the ring.
    pub fn contains(&self, print: &Print) -> bool {
        self.iter().any(|own| own == *print)
    }
}

impl Keys {
    /// The fingerprints of `value`, which is already canonical. Services do not share them.
    pub fn prints(&self, kind: PrintKind, service: &ServiceId, value: &[u8]) -> Prints {
        let print = |mac: &MacKey| {
            Print(first(&mac.of(&[
                &[kind.tag()],
                service.as_str().as_bytes(),
                value,
            ])))
        };
        Prints {
            newest: print(self.fingerprint.newest_key().mac()),
            older: self
                .fingerprint
                .older_keys()
                .iter()
                .map(|key| print(key.mac()))
                .collect(),
        }
    }

    /// The fingerprints of an amount and a payee together: no other pair has them, wherever the boundary
    /// between the two texts is drawn.
    pub fn binding_prints(&self, service: &ServiceId, payment: &Payment) -> Prints {
        let Payment { amount, payee } = payment;
        let mut value = Vec::with_capacity(8 + amount.len() + payee.len());
        value.extend_from_slice(&(amount.len() as u64).to_be_bytes());
        value.extend_from_slice(amount.as_bytes());
        value.extend_from_slice(payee.as_bytes());
        self.prints(PrintKind::Binding, service, &value)
    }
}

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Print({self})")
    }
}

written_in_hex!(Print, InvalidPrint);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [PrintKind; 12] = [
        PrintKind::Destination,
        PrintKind::Subject,
        PrintKind::Ip,
        PrintKind::Device,
        PrintKind::Country,
        PrintKind::Prefix,
        PrintKind::Asn,
        PrintKind::Service,
        PrintKind::Identity,
        PrintKind::Binding,
        PrintKind::IdempotencyKey,
        PrintKind::Request,
    ];

    fn keys() -> Keys {
        Keys::generate(&[1; 32])
    }

    #[test]
    fn a_print_is_what_another_implementation_computes() {
        let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
        let keys = Keys::parse(&format!(
            "v1/fingerprint=1:{secret}/code=1:{secret}/seal=1:{secret}"
        ))
        .unwrap();
        let prints = keys.prints(PrintKind::Destination, &ServiceId::default(), b"+15005550006");
        assert_eq!(prints.newest().to_string(), "0742aee55150bd63455f117d38db6686");
    }

    proptest! {
        #[test]
        fn i23_no_two_inputs_share_a_print(
            text in "[a-z0-9]{2,30}", cuts in (1usize..30, 1usize..30), kinds in (0usize..12, 0usize..12),
        ) {
            let keys = keys();
            let of = |cut: usize, kind: usize| {
                let (service, value) = text.split_at(cut.min(text.len()));
                keys.prints(KINDS[kind], &ServiceId::new(service).unwrap(), value.as_bytes())
            };
            let (one, other) = (cuts.0.min(text.len()), cuts.1.min(text.len()));
            prop_assert_eq!(of(one, kinds.0) == of(other, kinds.1), one == other && kinds.0 == kinds.1);
        }

        #[test]
        fn i66_no_two_bindings_share_a_print(text in "\\PC{0,20}", cuts in any::<[prop::sample::Index; 2]>()) {
            let places: Vec<usize> = (0..=text.len()).filter(|at| text.is_char_boundary(*at)).collect();
            let [one, other] = cuts.map(|cut| *cut.get(&places));
            let of = |at: usize| {
                let (amount, payee) = text.split_at(at);
                let payment = Payment { amount: amount.into(), payee: payee.into() };
                keys().binding_prints(&ServiceId::default(), &payment)
            };
            prop_assert_eq!(of(one) == of(other), one == other);
        }

        #[test]
        fn a_print_reads_back_in_every_form(bytes in any::<[u8; 16]>()) {
            let print = Print::from_bytes(bytes);
            prop_assert_eq!(print.to_string().parse(), Ok(print));
            let json = serde_json::to_string(&print).unwrap();
            prop_assert_eq!(&json, &format!("\"{print}\""));
            prop_assert_eq!(serde_json::from_str::<Print>(&json).unwrap(), print);
            let packed = postcard::to_allocvec(&print).unwrap();
            prop_assert_eq!(&packed, &bytes);
            prop_assert_eq!(postcard::from_bytes::<Print>(&packed).unwrap(), print);
        }
    }

    #[test]
    fn other_spellings_of_a_print_are_refused() {
        let good = "0742aee55150bd63455f117d38db6686";
        for bad in [
            "",
            "+742aee55150bd63455f117d38db6686",
            &good.to_uppercase(),
            &good[1..],
            &format!("{good}0"),
        ] {
            assert_eq!(bad.parse::<Print>(), Err(InvalidPrint), "{bad}");
        }
    }

    #[test]
    fn i56_a_rotated_ring_gives_both_prints() {
        let (old, value) = (keys(), b"+15005550006");
        let new = old.rotated(&[2; 32]);
        let of = |keys: &Keys| keys.prints(PrintKind::Destination, &ServiceId::default(), value);
        let both: Vec<Print> = of(&new).iter().collect();
        assert_eq!(both.len(), 2);
        assert_eq!(both[0], of(&new).newest());
        assert_eq!(
            both[1],
            of(&old).newest(),
            "the old one is kept, after the new one"
        );
        assert!(of(&new).contains(&both[0]) && of(&new).contains(&both[1]) && !of(&old).contains(&both[0]));
    }

    #[test]
    fn every_dimension_has_a_kind_of_its_own() {
        let kinds: std::collections::BTreeSet<_> =
            Dimension::ALL.iter().copied().map(PrintKind::from).collect();
        assert_eq!(kinds.len(), Dimension::ALL.len());
        let tags: std::collections::BTreeSet<_> = KINDS.iter().map(|kind| kind.tag()).collect();
        assert_eq!(tags.len(), KINDS.len());
    }
}

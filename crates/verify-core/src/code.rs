//! Codes: reading a guess, deriving an own code, comparing the two.
//!
//! An own code is a function of a key and of what it approves, so that no store has to keep it. Making it
//! expire, counting guesses and ending it are not done here.

use std::fmt;

use zeroize::Zeroizing;

use crate::hidden::{between_digits, trimmed};
use crate::keys::{KeyId, Keys};
use crate::mac::{MacKey, first};
use crate::secret::Secret;
use crate::vocabulary::ServiceId;

/// How many digits a code has: 4 to 10. Whether fewer than six are wise is the policy's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CodeLength(u8);

impl CodeLength {
    const FEWEST: u8 = 4;
    const MOST: u8 = 10;

    /// A length, or `None` outside of 4 to 10.
    pub const fn new(digits: u8) -> Option<Self> {
        if digits >= Self::FEWEST && digits <= Self::MOST {
            Some(Self(digits))
        } else {
            None
        }
    }

    /// The number of digits.
    pub const fn digits(self) -> u8 {
        self.0
    }
}

/// A text that is not a code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a code has exactly {digits} digits 0 to 9; spaces and hyphens between them are left out")]
pub struct InvalidCode {
    /// How many digits it should have had.
    pub digits: u8,
}

/// A code, guessed or derived: exactly as many ASCII digits as its length says.
///
/// `Debug` prints `Code(**)`, the memory is overwritten on drop, and there is no `==`, only [`Code::matches`].
///
/// ```compile_fail,E0369
/// use verify_core::code::{Code, CodeLength};
/// let length = CodeLength::new(6).ok_or("length")?;
/// let _ = Code::parse("123456", length)? == Code::parse("123456", length)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Code(Secret<String>);

impl Code {
    /// Reads a guess of any length that a code may have, as it was typed or pasted: white space and marks that nobody sees are
    /// dropped at its ends, as around a destination, and spaces, hyphens and dashes of any width are left out; what remains is
    /// 4 to 10 ASCII digits. Nothing else is folded: a code has one form, and everything is counted and compared by that.
    pub fn read(text: &str) -> Option<Self> {
        let most = usize::from(CodeLength::MOST);
        // With room for all of them: a longer one would be left behind in memory.
        let mut digits = Zeroizing::new(String::with_capacity(most));
        for c in trimmed(text).chars().filter(|c| between_digits(*c).is_none()) {
            if !c.is_ascii_digit() || digits.len() == most {
                return None;
            }
            digits.push(c);
        }
        let code = Self(Secret::new(std::mem::take(&mut *digits)));
        CodeLength::new(code.digits()).map(|_| code)
    }

    /// Reads a guess of this length, otherwise as [`read`](Self::read).
    ///
    /// # Errors
    /// [`InvalidCode`] for anything but exactly `length` ASCII digits among spaces and hyphens.
    pub fn parse(text: &str, length: CodeLength) -> Result<Self, InvalidCode> {
        Self::read(text)
            .filter(|code| code.digits() == length.0)
            .ok_or(InvalidCode { digits: length.0 })
    }

    /// How many digits it has.
    pub fn digits(&self) -> u8 {
        u8::try_from(self.0.expose().len()).unwrap_or(u8::MAX)
    }

    /// True when both are the same digits; takes the same time wherever they first differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.matches(&other.0)
    }

    /// The digits, for whoever delivers them or asks a provider about them.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(**)")
    }
}

/// What an own code is made for. Change any of it and the code is another, as if chosen at random.
#[derive(Clone, Copy)]
pub struct CodeInput<'a> {
    /// The service.
    pub service: &'a ServiceId,
    /// The number or mailbox, in its canonical form.
    pub destination: &'a str,
    /// Purpose, subject, standing, amount and payee, encoded so that no two identities share their bytes.
    pub identity: &'a [u8],
    /// The verification's own random bytes.
    pub nonce: &'a [u8; 16],
    /// Counts up with every new code within one verification.
    pub generation: u8,
}

impl fmt::Debug for CodeInput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeInput")
            .field("service", self.service)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The code for `input` under one key of the code ring, uniform over all of `length` digits.
    ///
    /// `None` when the ring no longer has that key: no guess can be right then, and a new code has to be sent.
    pub fn derive_code(&self, key: KeyId, input: &CodeInput<'_>, length: CodeLength) -> Option<Code> {
        let key = self.code.get(key)?;
        Some(derive(key.mac(), input, length))
    }
}

fn derive(key: &MacKey, input: &CodeInput<'_>, length: CodeLength) -> Code {
    let mut counter = 0u32;
    let number = uniform_below(10u64.pow(u32::from(length.0)), || {
        let block = Zeroizing::new(key.of(&[
            input.service.as_str().as_bytes(),
            input.destination.as_bytes(),
            input.identity,
            input.nonce,
            &[input.generation],
            &[length.0],
            &counter.to_be_bytes(),
        ]));
        counter = counter.wrapping_add(1);
        u64::from_be_bytes(first(&block))
    });
    Code(Secret::new(format!(
        "{number:0width$}",
        width = usize::from(length.0)
    )))
}

/// A number below `bound` (which is not zero), uniform if the words are: words from the incomplete last run of
/// `bound` numbers are thrown away. For the longest code that is one word in about two thousand million.
fn uniform_below(bound: u64, mut next_word: impl FnMut() -> u64) -> u64 {
    let surplus = (u64::MAX % bound + 1) % bound;
    loop {
        let word = next_word();
        if word <= u64::MAX - surplus {
            return word % bound;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONCE: [u8; 16] = [7; 16];

    fn length(digits: u8) -> CodeLength {
        CodeLength::new(digits).unwrap()
    }

    fn key() -> MacKey {
        MacKey::new(&std::array::from_fn(|i| i as u8))
    }

    fn input<'a>(service: &'a ServiceId, nonce: &'a [u8; 16]) -> CodeInput<'a> {
        CodeInput {
            service,
            destination: "+15005550006",
            identity: b"identity",
            nonce,
            generation: 0,
        }
    }

    #[test]
    fn i15_only_exactly_n_ascii_digits_are_a_code() {
        assert_eq!(Code::parse("012345", length(6)).unwrap().expose(), "012345");
        let refused = [
            "",
            "12345",
            "1234567",
            "123\t456",
            "123\n456",
            "123\u{2028}456",
            "123~456",
            "12 456",
            "123 4567",
            "1-2-3-4-5",
            "+12345",
            "-12345",
            "--- ---",
            "12345a",
            "١٢٣٤٥٦",
            "１２３４５６",
            "١٢٣",
            "12345\u{200b}",
            "123\u{200b}456",
            "●●●●●●",
            "$123456",
            "0x1234",
            "1e2345",
            "123456\0",
            "12345\0",
        ];
        for text in refused {
            assert_eq!(
                Code::parse(text, length(6)).unwrap_err(),
                InvalidCode { digits: 6 },
                "{text:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn i15_what_is_read_is_what_was_written(text in "\\PC{0,12}|[0-9 -]{3,16}|[0-9]{3,11}", digits in 4u8..=10) {
            let left_out = |c: char| (c.is_whitespace() && !c.is_control() && c != '\u{2028}' && c != '\u{2029}') || "-‐‑‒–—―−".contains(c);
            let kept = trimmed(&text).replace(left_out, "");
            let expected = kept.chars().count() == usize::from(digits) && kept.chars().all(|c| "0123456789".contains(c));
            let read = Code::parse(&text, length(digits));
            prop_assert_eq!(read.is_ok(), expected);
            if let Ok(code) = read {
                prop_assert_eq!(code.expose(), kept);
            }
        }

        #[test]
        fn i15_what_came_along_around_a_pasted_code_is_dropped(
            code in "[0-9]{6}",
            around in "[ \t\r\n\u{a0}\u{ad}\u{2009}\u{200b}\u{200e}\u{202a}\u{202c}\u{2060}\u{feff}]{0,4}",
            after in "[ \t\r\n\u{a0}\u{200b}\u{202c}]{0,4}",
        ) {
            let read = Code::parse(&format!("{around}{code}{after}"), length(6)).unwrap();
            prop_assert_eq!(read.expose(), code);
        }

        #[test]
        fn i15_spaces_and_hyphens_of_a_pasted_code_are_left_out(code in "[0-9]{6}", gaps in prop::collection::vec("[ \u{a0}\u{2009}\u{202f}\u{3000}\\-‑–−]{0,2}", 7)) {
            let pasted: String = code.chars().map(String::from).chain([String::new()]).zip(gaps).map(|(c, gap)| gap + &c).collect();
            let read = Code::parse(&pasted, length(6)).unwrap();
            prop_assert_eq!(read.expose(), code);
        }
    }

    #[test]
    fn i18_a_code_has_4_to_10_digits() {
        let allowed: Vec<u8> = (0..=u8::MAX)
            .filter(|digits| CodeLength::new(*digits).is_some())
            .collect();
        assert_eq!(allowed, [4, 5, 6, 7, 8, 9, 10]);
        let service = ServiceId::default();
        for digits in allowed {
            let code = derive(&key(), &input(&service, &NONCE), length(digits));
            assert!(Code::parse(code.expose(), length(digits)).is_ok());
        }
    }

    /// Sum of (seen - expected)² / expected.
    fn chi_square(seen: &[u32], samples: u32) -> f64 {
        let expected = f64::from(samples) / seen.len() as f64;
        seen.iter()
            .map(|count| (f64::from(*count) - expected).powi(2) / expected)
            .sum()
    }

    #[test]
    fn i19_codes_are_uniform() {
        const SAMPLES: u32 = 100_000;
        let (service, key) = (ServiceId::default(), key());
        let mut codes = vec![0u32; 10_000];
        let mut digits = [[0u32; 10]; 4];
        for sample in 0..SAMPLES {
            let mut nonce = NONCE;
            nonce[..4].copy_from_slice(&sample.to_be_bytes());
            let code = derive(&key, &input(&service, &nonce), length(4));
            assert_eq!(code.expose().len(), 4, "leading zeros are kept");
            codes[code.expose().parse::<usize>().unwrap()] += 1;
            for (place, byte) in code.expose().bytes().enumerate() {
                digits[place][usize::from(byte - b'0')] += 1;
            }
        }
        // 9 degrees of freedom: 27.9 is exceeded once in a thousand. The inputs are fixed, so is the result.
        for place in &digits {
            assert!(chi_square(place, SAMPLES) < 27.9, "{place:?}");
        }
        // 9 999 degrees of freedom: mean 9 999, standard deviation 141; four of them either way.
        let whole = chi_square(&codes, SAMPLES);
        assert!((9_433.0..10_565.0).contains(&whole), "{whole}");
        assert!(codes[0] > 0 && codes[9_999] > 0, "both ends are reachable");
    }

    #[test]
    fn i19_words_of_the_incomplete_run_are_thrown_away() {
        let draw = |words: &[u64]| {
            let mut words = words.iter().copied();
            (uniform_below(1_000_000, || words.next().unwrap()), words.len())
        };
        // 2^64 mod 10^6 = 551 616: the last word that counts is 2^64 - 551 617.
        assert_eq!(draw(&[u64::MAX - 551_616, 5]), (999_999, 1));
        assert_eq!(draw(&[u64::MAX - 551_615, 5]), (5, 0));
        assert_eq!(draw(&[u64::MAX, 1_000_000]), (0, 0));
        assert_eq!(draw(&[0]), (0, 0));
        let mut word = u64::MAX;
        assert_eq!(
            uniform_below(1 << 32, || {
                word -= 1;
                word
            }),
            (1 << 32) - 2,
            "a divisor has no surplus"
        );
    }

    #[test]
    fn i21_codes_are_compared_whole() {
        let code = |text: &str| Code::parse(text, length(6)).unwrap();
        assert!(code("000000").matches(&code("000000")));
        for at in 0..6 {
            let mut other = *b"000000";
            other[at] = b'1';
            assert!(!code("000000").matches(&code(std::str::from_utf8(&other).unwrap())));
        }
        assert!(!code("000000").matches(&Code::parse("0000000", length(7)).unwrap()));
    }

    #[test]
    fn i23_a_code_depends_on_everything_it_approves() {
        let (service, other_service) = (ServiceId::default(), ServiceId::new("default2").unwrap());
        let base = input(&service, &NONCE);
        let other_nonce = [8; 16];
        let variants = [
            CodeInput {
                service: &other_service,
                ..base
            },
            CodeInput {
                destination: "+15005550007",
                ..base
            },
            CodeInput {
                identity: b"identitz",
                ..base
            },
            CodeInput {
                destination: "+15005550006i",
                identity: b"dentity",
                ..base
            },
            CodeInput {
                nonce: &other_nonce,
                ..base
            },
            CodeInput {
                generation: 1,
                ..base
            },
        ];
        let code = derive(&key(), &base, length(10));
        assert!(
            code.matches(&derive(&key(), &base, length(10))),
            "the same input, the same code"
        );
        for variant in &variants {
            assert!(!code.matches(&derive(&key(), variant, length(10))), "{variant:?}");
        }
        assert!(!code.matches(&derive(&MacKey::new(&[1; 32]), &base, length(10))));
        assert!(
            !code.expose().ends_with(derive(&key(), &base, length(6)).expose()),
            "nor is it a part of another"
        );
    }

    #[test]
    fn a_code_is_what_another_implementation_computes() {
        let service = ServiceId::default();
        assert_eq!(
            derive(&key(), &input(&service, &NONCE), length(6)).expose(),
            "116117"
        );
    }

    #[test]
    fn i20_debug_shows_nothing() {
        let (service, code) = (ServiceId::default(), Code::parse("482913", length(6)).unwrap());
        assert_eq!(format!("{code:?}"), "Code(**)");
        let shown = format!("{:?}", input(&service, &NONCE));
        assert!(
            !shown.contains("15005550006") && !shown.contains("identity"),
            "{shown}"
        );
    }

    #[test]
    fn a_key_that_left_the_ring_derives_nothing() {
        let keys = Keys::generate(&[1; 32]);
        let service = ServiceId::default();
        let input = input(&service, &NONCE);
        assert!(keys.derive_code(keys.code.newest(), &input, length(6)).is_some());
        assert!(keys.derive_code(KeyId::new(200), &input, length(6)).is_none());
    }
}

//! A phone number in E.164.
//!
//! The numbering plans are libphonenumber's. What goes in is narrowed first: the library also reads letters,
//! extensions and the digits of every script, each of them one more way to write the same number past a limit.

use std::fmt;

use rlibphonenumber::{
    NumberLengthType, PHONE_NUMBER_UTIL, ParseError, PhoneNumber, PhoneNumberFormat, PhoneNumberType, Region,
    ValidationError, get_national_significant_number_owned,
};
use zeroize::Zeroizing;

use super::plan::{self, Placed};
use super::{DestinationError, HIDDEN};
use crate::vocabulary::Country;

/// The longest number that is read, separators included.
const MAX_BYTES: usize = 64;
/// The longest E.164 number: `+` and 15 digits.
const MAX_E164: usize = 16;
/// How many digits at the end tell subscribers of one range apart.
const SUBSCRIBER_DIGITS: usize = 4;
/// How many digits at the end may be shown.
const SHOWN_AT_END: usize = 2;
/// How many digits after the country code may be shown.
const SHOWN_AFTER_COUNTRY: usize = 3;
/// How many digits stay hidden before any is shown after the country code.
const HIDDEN_AT_LEAST: usize = 5;

/// A valid phone number, as E.164.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone {
    e164: Zeroizing<String>,
    country: Option<Country>,
    country_code_digits: usize,
    premium: bool,
}

impl Phone {
    pub(super) fn parse(text: &str, country: Option<Country>) -> Result<Self, DestinationError> {
        if text.len() > MAX_BYTES {
            return Err(DestinationError::TooLong);
        }
        if text.len() <= MAX_E164
            && let Some(placed) = plan::of_e164(text)
        {
            return Ok(Self::of(Zeroizing::new(text.to_owned()), placed));
        }
        check_characters(text)?;
        let number = read(text, country)?;
        let national = Zeroizing::new(get_national_significant_number_owned(&number));
        let placed = plan::of_national(number.country_code, &national);
        check_plan(&number, placed.kind)?;
        let e164 = Zeroizing::new(
            PHONE_NUMBER_UTIL
                .format(&number, PhoneNumberFormat::E164)
                .into_owned(),
        );
        if e164.len() > MAX_E164 {
            return Err(DestinationError::TooLong);
        }
        check_stable(text, &e164)?;
        Ok(Self::of(e164, placed))
    }

    fn of(e164: Zeroizing<String>, placed: Placed) -> Self {
        let Placed {
            country_code,
            region,
            kind,
        } = placed;
        Self {
            e164,
            country: region.and_then(|region| Country::new(&region.as_region_str())),
            country_code_digits: country_code.checked_ilog10().map_or(1, |tens| 1 + tens as usize),
            premium: is_premium(kind, region),
        }
    }

    /// The number as E.164: `+`, country code, national number.
    pub fn e164(&self) -> &str {
        &self.e164
    }

    /// The country of the number; `None` for networks of no country.
    pub fn country(&self) -> Option<Country> {
        self.country
    }

    /// The number without its last four digits.
    pub fn prefix(&self) -> &str {
        self.split_before_last(SUBSCRIBER_DIGITS).0
    }

    /// See [`Destination::is_premium`](super::Destination::is_premium).
    pub fn is_premium(&self) -> bool {
        self.premium
    }

    /// Country code, up to three digits where at least five more stay hidden, and the last two digits.
    pub(super) fn masked(&self) -> String {
        let (rest, end) = self.split_before_last(SHOWN_AT_END);
        let country_code = "+".len() + self.country_code_digits;
        let hideable = rest.len().saturating_sub(country_code);
        let shown = hideable.saturating_sub(HIDDEN_AT_LEAST).min(SHOWN_AFTER_COUNTRY);
        let start = rest.get(..country_code + shown).unwrap_or_default();
        let hidden = HIDDEN.to_string().repeat(hideable - shown);
        format!("{start}{hidden}{end}")
    }

    pub(super) fn last_digits(&self, n: u8) -> Option<&str> {
        let shown = usize::from(n).min(SHOWN_AT_END);
        (shown > 0).then(|| self.split_before_last(shown).1)
    }

    /// Splits off the last `n` characters. E.164 is ASCII, so every index is a character's.
    fn split_before_last(&self, n: usize) -> (&str, &str) {
        let at = self.e164.len().saturating_sub(n);
        self.e164.split_at_checked(at).unwrap_or_default()
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(**)")
    }
}

/// Refuses everything but ASCII digits and separators, by the first character that does not belong.
fn check_characters(text: &str) -> Result<(), DestinationError> {
    let stranger = text
        .chars()
        .find(|c| !(c.is_ascii_digit() || " ()-./+".contains(*c)));
    match stranger {
        None => Ok(()),
        Some(c) if c.is_alphabetic() => Err(DestinationError::Letters),
        Some(c) if c.is_numeric() => Err(DestinationError::ForeignDigits),
        Some(_) => Err(DestinationError::NotDigits),
    }
}

/// Splits the text into country code and national number.
fn read(text: &str, country: Option<Country>) -> Result<PhoneNumber, DestinationError> {
    let region = if is_international(text) {
        None
    } else {
        Some(region_of(country)?)
    };
    PHONE_NUMBER_UTIL
        .parse(text, region)
        .map_err(|error| match error {
            ParseError::InvalidCountryCode => DestinationError::UnknownCountryCode,
            ParseError::TooShortAfterIdd | ParseError::TooShortNsn => DestinationError::TooShort,
            ParseError::TooLongNsn => DestinationError::TooLong,
            // With the characters checked, what is left is too few digits or a `+` in the middle.
            ParseError::NotANumber(_) if text.contains('+') != is_international(text) => {
                DestinationError::InvalidNumber
            }
            ParseError::NotANumber(_) => DestinationError::TooShort,
        })
}

fn is_international(text: &str) -> bool {
    text.chars().find(|c| c.is_ascii_digit() || *c == '+') == Some('+')
}

fn region_of(country: Option<Country>) -> Result<Region, DestinationError> {
    let country = country.ok_or(DestinationError::MissingCountry)?;
    Region::try_from(country.as_str())
        .ok()
        .filter(|region| PHONE_NUMBER_UTIL.get_country_code_for_region(*region).is_some())
        .ok_or(DestinationError::UnknownCountry)
}

/// Refuses numbers that the numbering plan does not have: to libphonenumber a number is valid when the plan of its
/// region has a type for it.
fn check_plan(number: &PhoneNumber, kind: PhoneNumberType) -> Result<(), DestinationError> {
    if kind != PhoneNumberType::Unknown {
        return Ok(());
    }
    Err(match PHONE_NUMBER_UTIL.is_possible_number_with_reason(number) {
        Err(ValidationError::TooShort) | Ok(NumberLengthType::IsPossibleLocalOnly) => {
            DestinationError::TooShort
        }
        Err(ValidationError::TooLong) => DestinationError::TooLongForCountry,
        Err(ValidationError::InvalidCountryCode) => DestinationError::UnknownCountryCode,
        Err(ValidationError::InvalidLength) | Ok(NumberLengthType::IsPossible) => {
            DestinationError::InvalidNumber
        }
    })
}

/// Refuses a text whose own E.164 reads as another number.
///
/// It happens where a trunk prefix written after the country code leaves a number that starts with one again
/// (`+375 0 810...` in Belarus): keyed by the first reading, looked up by the second, it would have two keys.
fn check_stable(text: &str, e164: &str) -> Result<(), DestinationError> {
    if text == e164 || plan::of_e164(e164).is_some() {
        return Ok(());
    }
    let again = read(e164, None)?;
    let same = PHONE_NUMBER_UTIL.format(&again, PhoneNumberFormat::E164) == e164;
    if same {
        Ok(())
    } else {
        Err(DestinationError::InvalidNumber)
    }
}

fn is_premium(kind: PhoneNumberType, region: Option<Region>) -> bool {
    match kind {
        // Personal numbers are forwarded at the price of a premium call; pagers and voicemail boxes are not people.
        PhoneNumberType::PremiumRate
        | PhoneNumberType::SharedCost
        | PhoneNumberType::PersonalNumber
        | PhoneNumberType::Pager
        | PhoneNumberType::VoiceMail => true,
        PhoneNumberType::TollFree => false,
        PhoneNumberType::FixedLine
        | PhoneNumberType::Mobile
        | PhoneNumberType::FixedLineOrMobile
        | PhoneNumberType::VoIP
        | PhoneNumberType::UAN
        | PhoneNumberType::Unknown => region == Some(Region::World),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn country(code: &str) -> Option<Country> {
        Some(Country::new(code).unwrap())
    }

    fn e164(text: &str, code: &str) -> String {
        Phone::parse(text, country(code))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
            .e164()
            .to_owned()
    }

    fn refusal(text: &str, country: Option<Country>) -> DestinationError {
        Phone::parse(text, country).expect_err(text)
    }

    #[test]
    fn i30_ten_thousand_spellings_share_one_number() {
        let starts = ["+1", "1", "", "011 1", "(+1) ", "+1.", "1-"];
        let separators = ["", " ", "-", ".", "/"];
        let mut spellings = BTreeSet::new();
        for start in starts {
            for mut choice in 0..5_usize.pow(5) {
                let mut spelling = String::from(start);
                for group in ["202", "5", "5", "50", "11", "0"] {
                    spelling.push_str(group);
                    spelling.push_str(separators[choice % 5]);
                    choice /= 5;
                }
                spellings.insert(spelling);
            }
        }
        assert!(spellings.len() > 10_000, "{}", spellings.len());
        for spelling in &spellings {
            assert_eq!(e164(spelling, "US"), "+12025550110", "{spelling}");
        }
    }

    #[test]
    fn i30_a_number_written_at_home_and_abroad_is_one_number() {
        for (number, code, spellings) in [
            (
                "+442079460018",
                "GB",
                [
                    "020 7946 0018",
                    "(020) 7946-0018",
                    "+44 (0)20 7946 0018",
                    "0044 20 79460018",
                ],
            ),
            (
                "+390612345678",
                "IT",
                [
                    "06 1234 5678",
                    "+39 06 12345678",
                    "0039 06.1234.5678",
                    "06-12345678",
                ],
            ),
            (
                "+5491123456789",
                "AR",
                [
                    "011 15-2345-6789",
                    "+54 9 11 2345 6789",
                    "9 11 2345 6789",
                    "+5491123456789",
                ],
            ),
            (
                "+4915123456789",
                "DE",
                [
                    "0151 23456789",
                    "0151/23456789",
                    "+49 (0) 151 23456789",
                    "00491512345 6789",
                ],
            ),
        ] {
            for spelling in spellings {
                assert_eq!(e164(spelling, code), number, "{spelling}");
            }
        }
    }

    #[test]
    fn i30_every_country_reads_its_own_way_of_writing() {
        let mut read = 0;
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            let Ok(number) = PHONE_NUMBER_UTIL.get_example_number(region) else {
                continue;
            };
            let written = |format| PHONE_NUMBER_UTIL.format(&number, format).into_owned();
            let expected = written(PhoneNumberFormat::E164);
            let code = region.as_region_str();
            for text in [
                written(PhoneNumberFormat::National),
                written(PhoneNumberFormat::International),
            ] {
                assert_eq!(e164(&text, &code), expected, "{text} in {code:?}");
            }
            // Islands share whole ranges, so the country may be a neighbour's; it never depends on who asks.
            assert_eq!(
                Phone::parse(&expected, None),
                Phone::parse(&expected, country(&code))
            );
            read += 1;
        }
        assert!(read > 200, "{read} countries");
    }

    #[test]
    fn a_number_needs_a_country_from_somewhere() {
        assert_eq!(refusal("202 555 0110", None), DestinationError::MissingCountry);
        assert_eq!(
            refusal("202 555 0110", country("XX")),
            DestinationError::UnknownCountry
        );
        assert_eq!(
            refusal("+999 123456789", country("US")),
            DestinationError::UnknownCountryCode
        );
        assert_eq!(e164("+44 20 7946 0018", "XX"), "+442079460018");
    }

    #[test]
    fn i30_only_ascii_digits_and_separators_are_read() {
        for (text, error) in [
            ("+1 800 FLOWERS", DestinationError::Letters),
            ("+12025550110 ext 5", DestinationError::Letters),
            ("+12025550110x5", DestinationError::Letters),
            ("tel:+12025550110", DestinationError::Letters),
            ("+1202555011O", DestinationError::Letters),
            ("+１２０２５５５０１１０", DestinationError::ForeignDigits),
            ("+1202555011٠", DestinationError::ForeignDigits),
            ("+1202555011⁰", DestinationError::ForeignDigits),
            ("＋12025550110", DestinationError::NotDigits),
            ("+12025550110☎", DestinationError::NotDigits),
            ("+1202555011\u{fe0f}\u{20e3}", DestinationError::NotDigits),
            ("+1\u{a0}2025550110", DestinationError::NotDigits),
            ("+12025550110\n", DestinationError::NotDigits),
            ("+12025550110\0", DestinationError::NotDigits),
            ("+12025550110,5", DestinationError::NotDigits),
            ("+12025550110#5", DestinationError::NotDigits),
            ("+12025550110;5", DestinationError::NotDigits),
        ] {
            assert_eq!(refusal(text, country("US")), error, "{text:?}");
        }
    }

    #[test]
    fn a_number_that_no_plan_has_is_refused() {
        for (text, error) in [
            ("+", DestinationError::TooShort),
            ("()", DestinationError::TooShort),
            ("+1", DestinationError::TooShort),
            ("911", DestinationError::TooShort),
            ("555-0110", DestinationError::TooShort),
            ("+1202555011", DestinationError::TooShort),
            ("+120255501100", DestinationError::TooLongForCountry),
            ("+1 555 867 5309", DestinationError::InvalidNumber),
            ("202+5550110", DestinationError::InvalidNumber),
        ] {
            assert_eq!(refusal(text, country("US")), error, "{text:?}");
        }
        assert_eq!(
            refusal(&format!("+1{}2025550110", " ".repeat(60)), None),
            DestinationError::TooLong
        );
    }

    #[test]
    fn e164_ends_at_fifteen_digits() {
        // The German plan has room for longer numbers than E.164.
        assert_eq!(refusal("+4958345866405010", None), DestinationError::TooLong);
    }

    #[test]
    fn i30_a_number_whose_e164_reads_as_another_is_refused() {
        assert_eq!(
            refusal("+375 0 8103239270", None),
            DestinationError::InvalidNumber
        );
    }

    #[test]
    fn the_numbers_kept_for_examples_are_read() {
        for last in 0..100 {
            assert!(Phone::parse(&format!("+120255501{last:02}"), None).is_ok());
        }
        assert!(Phone::parse("+12025560118", None).is_ok());
        assert!(Phone::parse("+14155552671", None).is_ok());
    }

    #[test]
    fn expensive_numbers_are_known() {
        for (text, premium) in [
            ("+1 900 234 5678", true),
            ("+979 123 456 789", true),
            ("+44 70 1234 5678", true),
            ("+870 773 111 632", true),
            ("+881 6 1234 5678", true),
            ("+800 1234 5678", false),
            ("+1 800 234 5678", false),
            ("+1 202 555 0110", false),
            ("+44 20 7946 0018", false),
        ] {
            assert_eq!(Phone::parse(text, None).unwrap().is_premium(), premium, "{text}");
        }
        assert_eq!(Phone::parse("+870773111632", None).unwrap().country(), None);
    }

    #[test]
    fn parts_of_a_number() {
        let phone = Phone::parse("+1 202 555 0110", None).unwrap();
        assert_eq!(phone.country(), country("US"));
        assert_eq!(phone.prefix(), "+1202555");
        assert_eq!(
            Phone::parse("+1 416 555 0110", None).unwrap().country(),
            country("CA")
        );
        assert_eq!(phone.last_digits(0), None);
        assert_eq!(phone.last_digits(1), Some("0"));
        assert_eq!(phone.last_digits(2), Some("10"));
        assert_eq!(phone.last_digits(200), Some("10"));
    }

    #[test]
    fn i20_a_mask_hides_most_of_the_number() {
        for (text, masked) in [
            ("+12025550110", "+1202•••••10"),
            ("+442079460018", "+44207•••••18"),
            ("+4915123456789", "+49151••••••89"),
            ("+29022158", "+290•••58"),
        ] {
            assert_eq!(Phone::parse(text, None).unwrap().masked(), masked);
        }
    }

    proptest! {
        #[test]
        fn i30_the_canonical_form_reads_as_itself(pick in any::<prop::sample::Index>(), last in 0..10_000_u32) {
            let regions: Vec<Region> = PHONE_NUMBER_UTIL.get_supported_regions().collect();
            let example = PHONE_NUMBER_UTIL.get_example_number(*pick.get(&regions));
            prop_assume!(example.is_ok());
            let text = PHONE_NUMBER_UTIL.format(&example.unwrap(), PhoneNumberFormat::International).into_owned();
            let text = format!("{}{last:04}", &text[..text.len() - 4]);
            let number = Phone::parse(&text, None);
            prop_assume!(number.is_ok());
            let number = number.unwrap();
            prop_assert_eq!(Phone::parse(number.e164(), None), Ok(number.clone()));
            prop_assert_eq!(number.prefix().len() + 4, number.e164().len());
        }

        #[test]
        fn i30_whatever_is_read_reads_as_itself(text in "[+]?[0-9 ()./-]{4,16}", code in "(US|GB|DE|IT|AR|BY|RU|MX)") {
            if let Ok(number) = Phone::parse(&text, country(&code)) {
                prop_assert_eq!(Phone::parse(number.e164(), None), Ok(number.clone()));
            }
        }

        #[test]
        fn i20_no_text_makes_it_panic(text in "\\PC{0,80}") {
            let _ = Phone::parse(&text, country("US"));
        }
    }
}

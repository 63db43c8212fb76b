//! What the numbering plans say of a number.
//!
//! `parse` reads every way of writing a number, and the calls for its region and its type each search the plan from the
//! start. Most numbers come as they are kept, in E.164, and every command needs both answers; so the library's own
//! parts are put together here such that a number in E.164 is read without being rewritten, and a plan is searched
//! once. What is doubtful is left to the whole of the library, and a test compares both ways.

use std::borrow::Cow;

use rlibphonenumber::interfaces::AsOriginal;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberType, Region};

/// A country code has at most three digits, and a national number at least two.
const FEWEST_DIGITS: usize = 5;

/// A number in its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub(super) country_code: i32,
    /// `None` where no region of the country code has such a number.
    pub(super) region: Option<Region>,
    /// `Unknown` where the plan has no such number.
    pub(super) kind: PhoneNumberType,
}

/// Places a text that is `+`, country code and national number already, as the library would write them. `None` when
/// it is written otherwise, or the plan does not have it: then the whole of the library says how, or why.
pub(super) fn of_e164(text: &str) -> Option<Placed> {
    let digits = text.strip_prefix('+')?;
    if digits.len() < FEWEST_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let library = PHONE_NUMBER_UTIL.as_original();
    let (national, country_code) = library.extract_country_code(Cow::Borrowed(digits))?;
    let main = library.get_region_for_country_code(country_code)?;
    let plan = library.get_metadata_for_region_or_calling_code(country_code, main)?;
    let prefix = plan.national_prefix_for_parsing().anchor_start().ok()?;
    if prefix.is_some_and(|prefix| prefix.is_match(&national)) {
        let (rest, _) = library
            .maybe_strip_national_prefix_and_carrier_code(plan, &national)
            .ok()?;
        if rest != national {
            return None;
        }
    }
    Some(of_national(country_code, &national)).filter(|placed| placed.kind != PhoneNumberType::Unknown)
}

/// Places a national number: in the first region of its country code that has it or claims its first digits.
pub(super) fn of_national(country_code: i32, national: &str) -> Placed {
    let (region, kind) = searched(country_code, national).unwrap_or((None, PhoneNumberType::Unknown));
    Placed {
        country_code,
        region,
        kind,
    }
}

fn searched(country_code: i32, national: &str) -> Option<(Option<Region>, PhoneNumberType)> {
    let library = PHONE_NUMBER_UTIL.as_original();
    let regions = library.get_regions_for_country_calling_code(country_code)?;
    let is_shared = regions.len() > 1;
    for region in regions {
        let plan = library.get_metadata_for_region_or_calling_code(country_code, region)?;
        let kind = library.get_number_type_helper(national, plan).ok()?;
        let is_here = || {
            let claimed = plan.leading_digits().anchor_start().ok().flatten();
            !is_shared || claimed.is_some_and(|claimed| claimed.is_match(national))
        };
        if kind != PhoneNumberType::Unknown || is_here() {
            return Some((Some(region), kind));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rlibphonenumber::PhoneNumberFormat;

    use super::*;

    /// The same by the usual calls: how it is written, and where it is placed.
    fn by_the_library(text: &str) -> Option<(String, Placed)> {
        let number = PHONE_NUMBER_UTIL.parse(text, None).ok()?;
        let placed = Placed {
            country_code: number.country_code,
            region: PHONE_NUMBER_UTIL.get_region_for_number(&number),
            kind: PHONE_NUMBER_UTIL.get_number_type(&number),
        };
        let written = PHONE_NUMBER_UTIL.format(&number, PhoneNumberFormat::E164);
        Some((written.into_owned(), placed))
    }

    /// Compares both ways, and says whether the short one was taken.
    fn agrees(text: &str) -> bool {
        let whole = by_the_library(text);
        let short = of_e164(text);
        if let Some((_, placed)) = &whole {
            let number = PHONE_NUMBER_UTIL.parse(text, None).unwrap();
            let national = rlibphonenumber::get_national_significant_number_owned(&number);
            assert_eq!(of_national(placed.country_code, &national), *placed, "{text}");
        }
        match (&whole, short) {
            (Some((written, placed)), _) if written == text && placed.kind != PhoneNumberType::Unknown => {
                assert_eq!(short, Some(*placed), "{text}");
            }
            (_, short) => assert_eq!(short, None, "{text}: {whole:?}"),
        }
        short.is_some()
    }

    #[test]
    fn i30_the_short_way_reads_what_the_whole_library_reads() {
        let (mut read, mut compared) = (0_u32, 0_u32);
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for code in PHONE_NUMBER_UTIL.get_supported_calling_codes() {
            // Trunk prefixes and types are told by the first digits, so those are tried one after the other.
            for first in (0..2_000).map(|turn| turn % 1_000) {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let tail = state >> 24;
                let length = 1 + (state >> 16) as usize % 10;
                let tail = format!("{tail:010}");
                compared += 1;
                read += u32::from(agrees(&format!("+{code}{first:03}{}", &tail[..length])));
            }
        }
        assert!(
            compared > 400_000 && read > 15_000,
            "{read} of {compared} were read"
        );
    }

    #[test]
    fn i30_the_short_way_reads_every_example_and_its_neighbours() {
        let mut read = 0;
        for region in PHONE_NUMBER_UTIL.get_supported_regions() {
            for kind in PHONE_NUMBER_UTIL
                .get_supported_types_for_region(region)
                .into_iter()
                .flatten()
            {
                let Ok(number) = PHONE_NUMBER_UTIL.get_example_number_for_type_and_region(region, kind)
                else {
                    continue;
                };
                let example = PHONE_NUMBER_UTIL
                    .format(&number, PhoneNumberFormat::E164)
                    .into_owned();
                for at in 1..example.len() {
                    for digit in 0..10 {
                        let mut text = example.clone();
                        text.replace_range(at..=at, &digit.to_string());
                        read += u32::from(agrees(&text));
                    }
                }
                for cut in 1..example.len() {
                    agrees(&example[..cut]);
                }
                agrees(&format!("{example}0"));
            }
        }
        assert!(read > 64_000, "{read} were read");
    }
}

//! Amounts as a policy writes them, `"0.0079 USD"`: exact, in micros.

use super::values::MOST_UNITS;

/// Micros in one unit of a currency.
const MICROS: u64 = 1_000_000;

/// What an amount looks like, for messages.
pub(crate) const FORM: &str =
    r#"an amount with at most six decimals and the currency's three letters, such as "25 USD","#;

/// An amount and its currency; `None` when it has a sign, more than six decimals or no currency. What a `u64` cannot hold is
/// its greatest, which is more than any policy may say.
pub(crate) fn parse(text: &str) -> Option<(u64, &str)> {
    let (amount, currency) = text.split_once(' ')?;
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let (whole, fraction) = match amount.split_once('.') {
        Some((whole, fraction)) if (1..=6).contains(&fraction.len()) => (whole, fraction),
        Some(_) => return None,
        None => (amount, "0"),
    };
    let micros = digits(&format!("{fraction:0<6}"))?;
    let total = digits(whole)?.saturating_mul(MICROS).saturating_add(micros);
    Some((total, currency))
}

/// The text of an amount, without needless decimals.
pub(crate) fn print(micros: u64, currency: Option<&str>) -> String {
    // Without a currency the policy fails its check; no real one is put into its mouth.
    let currency = currency.unwrap_or("XXX");
    let (whole, rest) = (micros / MICROS, micros % MICROS);
    if rest == 0 {
        return format!("{whole} {currency}");
    }
    let fraction = format!("{rest:06}");
    let fraction = fraction.trim_end_matches('0');
    format!("{whole}.{fraction:0<2} {currency}")
}

/// What an amount may be, for messages.
pub(crate) fn at_most(currency: Option<&str>) -> String {
    format!("at most \"{}\"", print(MOST_UNITS, currency))
}

/// A whole number of ASCII digits alone: `u64::from_str` would take a plus sign.
fn digits(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_amounts_exactly() {
        assert_eq!(parse("25 USD"), Some((25_000_000, "USD")));
        assert_eq!(parse("0.0079 USD"), Some((7_900, "USD")));
        assert_eq!(parse("0.10 EUR"), Some((100_000, "EUR")));
        assert_eq!(parse("0.000001 USD"), Some((1, "USD")));
    }

    #[test]
    fn what_is_too_much_for_a_number_stays_too_much() {
        for text in [
            "18446744073710 USD",
            "99999999999999999999 USD",
            "18446744073709.551616 USD",
        ] {
            assert_eq!(parse(text), Some((u64::MAX, "USD")), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in [
            "25",
            "25USD",
            "25 usd",
            " USD",
            ".0 USD",
            "25 US",
            "-1 USD",
            "+1 USD",
            "1. USD",
            ".5 USD",
            "1.+5 USD",
            "0.0000001 USD",
            "1,000 USD",
            "25  USD",
            " 25 USD",
            "USD 25",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn prints_what_reads_back() {
        for (micros, text) in [
            (25_000_000, "25 USD"),
            (100_000, "0.10 USD"),
            (7_900, "0.0079 USD"),
            (1, "0.000001 USD"),
        ] {
            assert_eq!(print(micros, Some("USD")), text);
            assert_eq!(parse(text), Some((micros, "USD")));
        }
    }
}

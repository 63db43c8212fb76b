//! Amounts as a policy writes them, `"0.0079 USD"`: exact, in micros.

/// Micros in one unit of a currency.
const MICROS: u64 = 1_000_000;

/// What an amount looks like, for messages.
pub(crate) const FORM: &str =
    r#"an amount with at most six decimals and the currency's three letters, such as "25 USD","#;

/// An amount and its currency; `None` when it has a sign, more than six decimals, no currency, or overflows.
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
    let total = digits(whole)?.checked_mul(MICROS)?.checked_add(micros)?;
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

/// A whole number of ASCII digits alone: `u64::from_str` would take a plus sign.
fn digits(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
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
    fn refuses_what_is_no_amount() {
        for text in [
            "25",
            "25USD",
            "25 usd",
            "25 US",
            "-1 USD",
            "+1 USD",
            "1. USD",
            ".5 USD",
            "1.+5 USD",
            "0.0000001 USD",
            "1,000 USD",
            "25  USD",
            "18446744073710 USD",
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

//! Durations as a policy writes them: a whole number and a unit, `"30s"`.

use std::time::Duration;

/// Nothing in a policy lasts longer than ten years.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// Units, from the longest, in milliseconds.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// What a duration looks like, for messages.
pub(crate) const FORM: &str = r#"a whole number and a unit of ms s m h d, such as "10m", up to "3650d","#;

/// A duration from its text; `None` when it has no unit, a sign, a fraction, or lasts longer than ten years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let count: u64 = count.parse().ok()?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let span = Duration::from_millis(count.checked_mul(*millis)?);
    (span <= LONGEST).then_some(span)
}

/// The text of a duration, in the unit in which people say it: `60s` and `24h`, but `2m` and `2d`.
pub(crate) fn print(span: Duration) -> String {
    let total = crate::time::millis(span);
    let unit = UNITS.iter().find(|(name, millis)| {
        let least = if matches!(*name, "d" | "m") {
            2 * millis
        } else {
            *millis
        };
        total >= least && total.is_multiple_of(*millis)
    });
    match unit {
        Some((name, millis)) => format!("{}{name}", total / millis),
        None => "0s".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit() {
        for (text, millis) in [
            ("7ms", 7),
            ("30s", 30_000),
            ("10m", 600_000),
            ("24h", 86_400_000),
            ("30d", 2_592_000_000),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in [
            "",
            "10",
            "m",
            "-5s",
            "+5s",
            "1.5h",
            "10 m",
            "1h30m",
            "10M",
            "5w",
            "3651d",
            "99999999999999999999s",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("18446744073709551615d"), None, "it would overflow");
    }

    #[test]
    fn prints_what_reads_back() {
        for text in [
            "60s", "10m", "1h", "24h", "30d", "1500ms", "90s", "0s", "48h", "2m",
        ] {
            let span = parse(text).unwrap();
            assert_eq!(parse(&print(span)), Some(span), "{text}");
        }
        assert_eq!(print(Duration::from_secs(60)), "60s");
        assert_eq!(print(Duration::from_secs(86_400)), "24h");
        assert_eq!(print(Duration::from_secs(172_800)), "2d");
    }
}

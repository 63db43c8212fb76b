//! Countries as traffic sees them: numbers that can exist, what a message there costs, and what time it is.

/// Numbers of one country, all mobile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    /// Two letters (ISO 3166-1).
    pub country: &'static str,
    /// E.164 with `X` for any digit and `N` for 2 to 9.
    template: &'static str,
    /// What a text message costs, in micro-dollars: the operator's bill, whatever a policy believes.
    pub price: u32,
    /// Hours that its clocks are ahead of UTC.
    pub ahead: i8,
}

/// The countries of the simulator. Prices are a published list of one vendor; another vendor's may differ twentyfold.
pub const MARKETS: &[Market] = &[
    of("US", "+1917NXXXXXX", 7_000, -5),
    of("GB", "+44777XXXXXXX", 50_000, 0),
    of("DE", "+49151XXXXXXXX", 90_000, 1),
    of("FR", "+3361XXXXXXX", 70_000, 1),
    of("TR", "+9053XXXXXXXX", 8_000, 3),
    of("IN", "+9198XXXXXXXX", 3_000, 5),
    of("BR", "+55119NXXXXXXX", 30_000, -3),
    of("NG", "+234803XXXXXXX", 350_000, 1),
    of("PK", "+92300XXXXXXX", 390_000, 5),
    of("UZ", "+99890XXXXXXX", 330_000, 5),
    of("LK", "+9477XXXXXXX", 320_000, 5),
    of("ID", "+62812XXXXXXXX", 280_000, 7),
    of("BD", "+88017XXXXXXXX", 250_000, 6),
    of("KE", "+254712XXXXXX", 250_000, 3),
    of("EG", "+2010XXXXXXXX", 230_000, 2),
    of("DZ", "+21355XXXXXXX", 230_000, 1),
    of("AZ", "+99450NXXXXXX", 220_000, 4),
    of("MA", "+21261XXXXXXX", 200_000, 1),
];

const fn of(country: &'static str, template: &'static str, price: u32, ahead: i8) -> Market {
    Market {
        country,
        template,
        price,
        ahead,
    }
}

/// The market of a country.
///
/// # Panics
/// Where the simulator has no such country: a mistake in a scenario, not in its data.
#[allow(clippy::panic, reason = "names of countries stand in code")]
pub fn market(country: &str) -> &'static Market {
    match MARKETS.iter().find(|market| market.country == country) {
        Some(market) => market,
        None => panic!("the simulator has no numbers of {country}"),
    }
}

impl Market {
    /// The number at a place in the country's row of numbers, as E.164. Neighbours differ in their last digit; past
    /// the end the row begins anew.
    pub fn number(&self, place: u64) -> String {
        let mut rest = place;
        let mut digits: Vec<u8> = self
            .template
            .bytes()
            .rev()
            .map(|byte| next_digit(byte, &mut rest))
            .collect();
        digits.reverse();
        digits.into_iter().map(char::from).collect()
    }

    /// How many numbers it has.
    pub fn size(&self) -> u64 {
        let choices = self.template.bytes().map(|byte| match byte {
            b'X' => 10,
            b'N' => 8,
            _ => 1,
        });
        choices.product()
    }

    /// The market that a number belongs to.
    pub fn of_number(number: &str) -> Option<&'static Self> {
        MARKETS.iter().find(|market| {
            let head = market.template.trim_end_matches(['X', 'N']);
            number.starts_with(head) && number.len() == market.template.len()
        })
    }

    /// How busy honest people are at this instant, 0.32 to 1.6 around 1: most in the early afternoon, four times as
    /// many as at night, and a fifth fewer at weekends. Milliseconds since the epoch.
    pub fn busyness(&self, millis: u64) -> f64 {
        let local = millis.saturating_add_signed(i64::from(self.ahead) * 3_600_000);
        let hour = (local % 86_400_000) as f64 / 3_600_000.0;
        // The epoch was a Thursday.
        let weekend = matches!((local / 86_400_000 + 3) % 7, 5 | 6);
        let day = 1.0 + 0.6 * ((hour - 8.0) / 24.0 * std::f64::consts::TAU).sin();
        if weekend { day * 0.8 } else { day }
    }
}

fn next_digit(byte: u8, rest: &mut u64) -> u8 {
    let (choices, first) = match byte {
        b'X' => (10, b'0'),
        b'N' => (8, b'2'),
        fixed => return fixed,
    };
    let digit = (*rest % choices) as u8;
    *rest /= choices;
    first + digit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Chance;
    use verify_core::destination::Destination;
    use verify_core::policy::Policy;

    #[test]
    fn all_numbers_can_exist_in_their_country() {
        let rules = Policy::default().email;
        let mut chance = Chance::of(3);
        for market in MARKETS {
            for _ in 0..2_000 {
                let number = market.number(chance.below(market.size()));
                let parsed = Destination::parse(&number, None, &rules)
                    .unwrap_or_else(|error| panic!("{} {number}: {error}", market.country));
                assert_eq!(parsed.canonical(), number);
                assert_eq!(parsed.country().unwrap().as_str(), market.country, "{number}");
                assert!(!parsed.is_premium());
                assert_eq!(Market::of_number(&number), Some(market));
            }
        }
    }

    #[test]
    fn places_are_neighbours_and_end() {
        let nigeria = market("NG");
        assert_eq!(nigeria.number(0), "+2348030000000");
        assert_eq!(nigeria.number(1), "+2348030000001");
        assert_eq!(nigeria.number(nigeria.size()), nigeria.number(0));
        assert_eq!(market("US").number(0), "+19172000000");
    }

    #[test]
    fn afternoons_are_four_times_as_busy_as_nights() {
        let monday = 1_767_571_200_000; // 2026-01-05T00:00:00Z
        let hours = |day: u64| {
            (0..24).map(move |hour| market("GB").busyness(monday + day * 86_400_000 + hour * 3_600_000))
        };
        let most = hours(0).fold(0.0, f64::max);
        let least = hours(0).fold(9.0, f64::min);
        assert!((3.9..4.1).contains(&(most / least)));
        assert!((hours(5).sum::<f64>() / hours(0).sum::<f64>() - 0.8).abs() < 1e-9);
    }
}

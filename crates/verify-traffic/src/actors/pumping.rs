//! Money: messages to numbers whose operator shares the fee with the attacker.

use std::net::IpAddr;

use verify_core::command::{CheckRequest, SendRequest};
use verify_core::time::Timestamp;

use crate::{Actor, Booth, MARKETS, Market, market};

/// In which order numbers are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Numbers {
    /// One after the other from here.
    Sequential(u64),
    /// A rented block of this many from there, in no order.
    Block {
        /// Its first place.
        from: u64,
        /// Its size.
        size: u64,
    },
    /// So many rented blocks of ten thousand in each country, the first ones used most, countries and blocks in no
    /// order.
    Blocks(u64),
    /// Anywhere in the country.
    Random,
    /// Anywhere in all countries, so that no prefix sees more than a few.
    Everywhere,
}

/// An attacker who sends for money. Which one is a matter of its knobs.
#[derive(Debug, Clone)]
pub struct Pump {
    name: &'static str,
    defeats: &'static str,
    /// Messages asked for each second.
    pub per_second: f64,
    /// Addresses at hand.
    pub addresses: usize,
    /// Where the numbers are.
    pub countries: Vec<&'static Market>,
    /// In which order.
    pub numbers: Numbers,
    /// How likely a verification is completed, so that it looks like a customer's.
    pub completes: f64,
    /// How likely a human check is passed: solved checks are for sale.
    pub passes_human_check: f64,
    /// Refusals in a row after which it moves to the next country; `None` stays.
    pub hops_after: Option<u32>,
    /// Messages that it will still ask for.
    pub most: u64,
    pool: Vec<IpAddr>,
    done: u64,
    refused_in_a_row: u32,
    at: usize,
}

impl Pump {
    /// Many messages in one night, through residential proxies.
    pub fn burst(country: &str, per_second: f64, addresses: usize) -> Self {
        let numbers = Numbers::Block {
            from: 0,
            size: 1 << 20,
        };
        Self::new(
            "burst_residential",
            "limit by address",
            country,
            per_second,
            addresses,
            numbers,
        )
    }

    /// A little, for weeks.
    pub fn slow_drip(country: &str, per_second: f64) -> Self {
        Self::new(
            "slow_drip",
            "spike detector",
            country,
            per_second,
            200,
            Numbers::Random,
        )
    }

    /// Numbers in a row.
    pub fn sequential(country: &str, per_second: f64) -> Self {
        let numbers = Numbers::Sequential(194_000_001);
        Self::new(
            "sequential",
            "limit by address",
            country,
            per_second,
            300,
            numbers,
        )
    }

    /// A block in no order.
    pub fn shuffled(country: &str, per_second: f64) -> Self {
        let numbers = Numbers::Block {
            from: 500_000,
            size: 10_000,
        };
        Self::new(
            "shuffled_block",
            "rule for neighbours",
            country,
            per_second,
            300,
            numbers,
        )
    }

    /// Numbers without any order.
    pub fn random(country: &str, per_second: f64) -> Self {
        Self::new(
            "random_valid",
            "rule for neighbours",
            country,
            per_second,
            300,
            Numbers::Random,
        )
    }

    /// A few messages to each of very many networks.
    pub fn wide_probe(per_second: f64) -> Self {
        let mut probe = Self::new(
            "wide_probe",
            "cap by prefix",
            "NG",
            per_second,
            400,
            Numbers::Everywhere,
        );
        probe.countries = MARKETS.iter().collect();
        probe
    }

    /// The same, to rented blocks in every country, shuffled over blocks and countries.
    pub fn night(per_second: f64, addresses: usize) -> Self {
        Self {
            countries: MARKETS.iter().collect(),
            numbers: Numbers::Blocks(6),
            ..Self::burst("AZ", per_second, addresses)
        }
    }

    /// Every verification is completed, and every human check is passed.
    #[must_use]
    pub fn converting(self) -> Self {
        Self {
            name: "fake_conversion",
            defeats: "conversion rule",
            completes: 1.0,
            passes_human_check: 1.0,
            ..self
        }
    }

    /// Moves on when it is refused.
    pub fn country_hop(per_second: f64) -> Self {
        let mut hop = Self::new(
            "country_hop",
            "list of bad countries",
            "NG",
            per_second,
            300,
            Numbers::Random,
        );
        hop.countries = ["NG", "PK", "UZ", "LK", "ID", "BD", "KE", "EG"]
            .map(market)
            .to_vec();
        hop.hops_after = Some(20);
        hop
    }

    fn new(
        name: &'static str,
        defeats: &'static str,
        country: &str,
        per_second: f64,
        addresses: usize,
        numbers: Numbers,
    ) -> Self {
        Self {
            name,
            defeats,
            per_second,
            addresses,
            countries: vec![market(country)],
            numbers,
            completes: 0.0,
            passes_human_check: 0.5,
            hops_after: None,
            most: u64::MAX,
            pool: Vec::new(),
            done: 0,
            refused_in_a_row: 0,
            at: 0,
        }
    }

    fn number(&mut self, booth: &mut Booth<'_>) -> Option<String> {
        let place = self.done;
        self.done += 1;
        if matches!(self.numbers, Numbers::Blocks(_)) {
            let at = booth.chance().below(self.countries.len() as u64);
            self.at = usize::try_from(at).unwrap_or(0);
        }
        let country = self.countries.get(self.at % self.countries.len().max(1))?;
        Some(match self.numbers {
            Numbers::Sequential(from) => country.number(from + place),
            // An odd factor visits every place of a block of a power of two once, and most of any other.
            Numbers::Block { from, size } => country.number(from + place.wrapping_mul(7_919) % size.max(1)),
            Numbers::Blocks(blocks) => {
                let block = booth.chance().below(blocks).min(booth.chance().below(blocks));
                country.number(block * 10_000 + booth.chance().below(10_000))
            }
            Numbers::Random => country.number(booth.chance().below(country.size())),
            Numbers::Everywhere => {
                self.at += 1;
                country.number(booth.chance().below(country.size()))
            }
        })
    }

    fn address(&mut self, booth: &mut Booth<'_>) -> Option<IpAddr> {
        while self.pool.len() < self.addresses {
            self.pool.push(booth.any_address());
        }
        let at = booth.chance().below(self.pool.len() as u64);
        self.pool.get(usize::try_from(at).unwrap_or(0)).copied()
    }

    fn pump(&mut self, booth: &mut Booth<'_>) -> Option<()> {
        let to = self.number(booth)?;
        let mut request = SendRequest::to(to.clone());
        request.caller.ip = self.address(booth);
        let mut reply = booth.send(request.clone());
        if reply.asks_for_human() && booth.chance().happens(self.passes_human_check) {
            request.human_check = Some(booth.human_token());
            reply = booth.send(request.clone());
        }
        let Some(verification) = reply.sent() else {
            self.refused_in_a_row += 1;
            if self.hops_after.is_some_and(|most| self.refused_in_a_row >= most) {
                self.refused_in_a_row = 0;
                self.at += 1;
            }
            return Some(());
        };
        self.refused_in_a_row = 0;
        if booth.chance().happens(self.completes) {
            let code = booth.received(&to)?;
            let mut check = CheckRequest::of(verification.id.clone(), code, to.clone());
            check.caller = request.caller;
            booth.check(check);
        }
        Some(())
    }
}

impl Actor for Pump {
    fn name(&self) -> &'static str {
        self.name
    }

    fn defeats(&self) -> &'static str {
        self.defeats
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        self.most = self.most.checked_sub(1)?;
        self.pump(booth)?;
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + gap)
    }
}

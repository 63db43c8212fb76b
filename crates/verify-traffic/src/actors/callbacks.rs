//! Delivery reports that are forged, repeated or out of order, past a webhook whose signature was found good.

use verify_core::command::{Report, SendRequest};
use verify_core::port::Detail;
use verify_core::time::Timestamp;

use crate::{Actor, Booth, Market, market};

/// What the reports refer to their message by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// What the carrier knows: it leaked.
    Genuine,
    /// The same with one letter changed.
    Altered,
    /// Letters by chance.
    Invented,
}

/// Asks for messages to its own numbers, with consent to a call when one fails, and reports on them.
#[derive(Debug, Clone)]
pub struct Callbacks {
    name: &'static str,
    defeats: &'static str,
    /// Where its numbers are.
    pub market: &'static Market,
    /// Messages asked for each second.
    pub per_second: f64,
    /// By what it refers to them.
    pub reference: Reference,
    /// What it reports of each, in this order.
    pub told: Vec<Report>,
    /// How often it reports each of these, every time as a report of its own.
    pub copies: u32,
}

impl Callbacks {
    /// References that nobody gave out.
    pub fn forge(per_second: f64, reference: Reference) -> Self {
        Self {
            name: "webhook_forge",
            defeats: "trust in whoever calls the webhook",
            market: market("KE"),
            per_second,
            reference,
            told: vec![failed(), Report::Delivered],
            copies: 1,
        }
    }

    /// One failure, reported again and again: each would be worth a call.
    pub fn replay(per_second: f64, copies: u32) -> Self {
        Self {
            name: "webhook_replay",
            defeats: "acting on each report",
            reference: Reference::Genuine,
            told: vec![failed()],
            copies,
            ..Self::forge(per_second, Reference::Genuine)
        }
    }

    /// Reports that arrive in the wrong order: a failure after the success.
    pub fn reorder(per_second: f64) -> Self {
        Self {
            name: "webhook_reorder",
            defeats: "the last report wins",
            told: vec![Report::Delivered, Report::Underway, failed()],
            ..Self::replay(per_second, 1)
        }
    }

    fn refer(&self, to: &str, booth: &mut Booth<'_>) -> Option<String> {
        let genuine = booth.reference(to)?;
        Some(match self.reference {
            Reference::Genuine => genuine,
            Reference::Altered => {
                let place = usize::try_from(booth.chance().below(genuine.len() as u64)).unwrap_or(0);
                let swap = |(at, letter): (usize, char)| match (at == place, letter) {
                    (true, 'A') => 'B',
                    (true, _) => 'A',
                    (false, letter) => letter,
                };
                let altered: String = genuine.chars().enumerate().map(swap).collect();
                if altered == genuine {
                    format!("{genuine}A")
                } else {
                    altered
                }
            }
            Reference::Invented => {
                let letters = genuine.chars().map(|_| letter(booth));
                letters.collect()
            }
        })
    }
}

fn failed() -> Report {
    Report::Undelivered(Detail::default())
}

fn letter(booth: &mut Booth<'_>) -> char {
    char::from(b'a' + booth.chance().below(26) as u8)
}

impl Actor for Callbacks {
    fn name(&self) -> &'static str {
        self.name
    }

    fn defeats(&self) -> &'static str {
        self.defeats
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        // Spread over the country, so that limits by prefix stay out of the way.
        let to = self.market.number(booth.chance().below(self.market.size()));
        let mut request = SendRequest::to(to.clone()).ip(booth.any_address());
        request.human_check = Some(booth.human_token());
        request.consent = true;
        let sent = booth.send(request).sent().is_some();
        if let Some(reference) = self.refer(&to, booth).filter(|_| sent) {
            for (place, report) in self.told.iter().enumerate() {
                for copy in 0..self.copies {
                    booth.report(reference.clone(), report.clone(), format!("{place} {copy}"));
                }
            }
        }
        let gap = booth.chance().gap(self.per_second);
        Some(booth.now() + gap)
    }
}

//! Who is in each world, and for how long it runs. Each function fills a world at a scale and says its span.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::actors::{
    Addresses, AliasFlood, Callbacks, ClockSkew, Crowd, Dying, Enumerate, Forecast, Habits, Horizontal,
    LockoutDos, MailScanner, NodeCrash, ParallelGuess, Pump, Reference, ResendGuess, SessionFarm, SmsBomb,
    VictimOverwrite, Visitor,
};
use crate::{Simulation, market};

/// The address behind which an office or a mobile carrier is; `policies/crowds.toml` names its network.
pub const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// Messages of a night, in four hours.
pub(super) const NIGHT: u64 = 240_000;
const NIGHT_SPAN: Duration = Duration::from_secs(4 * 3_600);
const HOMES: usize = 300;
/// Accounts that one guess each is made at, and how many a second.
pub(super) const ACCOUNTS: u64 = 1_000_000;
const ACCOUNTS_PER_SECOND: f64 = 50.0;
/// Owners whose name strangers fail in, and how often each comes.
pub(super) const OWNERS: u64 = 1_000;
pub(super) const OWNERS_VISITS: u32 = 8;
/// Owners whose code is overwritten.
pub(super) const OVERWRITTEN: u64 = 200;
/// Spellings of a number, and of a mailbox.
pub(super) const SPELLINGS: u64 = 10_000;
/// People of a rush, and in an office.
pub(super) const RUSH: u64 = 600;
pub(super) const OFFICE_PEOPLE: u64 = 5_000;
/// By how much the clocks of nodes are wrong.
pub(super) const WRONG_BY: Duration = Duration::from_secs(300);
/// How often a failure is reported again.
pub(super) const COPIES: u32 = 50;
/// How often a scanner opens each link.
pub(super) const OPENED: u32 = 3;

const USUAL_PER_SECOND: f64 = 0.02;

pub(super) fn scaled(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale).round() as u64).max(1)
}

/// The usual customers: 50 000 messages a month, most of them from three countries.
fn customers(name: &'static str, per_second: f64) -> Crowd {
    let mix = [
        ("US", 40),
        ("GB", 25),
        ("DE", 20),
        ("FR", 8),
        ("BR", 5),
        ("NG", 2),
    ];
    Crowd {
        name,
        mix: mix.map(|(country, weight)| (market(country), weight)).to_vec(),
        per_second,
        daily_rhythm: true,
        addresses: Addresses::Own,
        habits: Habits::default(),
        by_mail: false,
        most: u64::MAX,
    }
}

/// People whose messages are never lost and never late: whatever keeps them out is the attack.
fn lucky() -> Habits {
    Habits {
        lost: 0.0,
        spread: 0.1,
        ..Habits::default()
    }
}

/// The number of somebody who is attacked.
fn victim(place: u64) -> String {
    market("GB").number(31_415_926 + place * 10_007)
}

/// An address of an owner's own.
fn home(place: u64) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + place as u32))
}

fn night(simulation: &mut Simulation, scale: f64, mut pump: Pump) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    pump.most = scaled(NIGHT, scale);
    simulation.add(MINUTE, pump);
    // Chance makes the last ones late.
    NIGHT_SPAN.mul_f64(scale) + 10 * MINUTE
}

fn night_rate() -> f64 {
    NIGHT as f64 / NIGHT_SPAN.as_secs_f64()
}

pub(super) fn night_burst(simulation: &mut Simulation, scale: f64) -> Duration {
    night(simulation, scale, Pump::night(night_rate(), HOMES))
}

pub(super) fn fake_conversion(simulation: &mut Simulation, scale: f64) -> Duration {
    night(simulation, scale, Pump::night(night_rate(), HOMES).converting())
}

pub(super) fn one_block(simulation: &mut Simulation, scale: f64) -> Duration {
    night(
        simulation,
        scale,
        Pump::burst("AZ", night_rate(), HOMES).converting(),
    )
}

pub(super) fn pumping_zoo(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    let pumps = [
        Pump::sequential("UZ", 1.0),
        Pump::shuffled("PK", 1.0),
        Pump::random("LK", 1.0),
        Pump::wide_probe(0.5),
        Pump::country_hop(1.0),
        Pump::slow_drip("KE", 0.01),
    ];
    for pump in pumps {
        simulation.add(MINUTE, pump);
    }
    (24 * HOUR).mul_f64(scale)
}

pub(super) fn authquake(simulation: &mut Simulation, scale: f64) -> Duration {
    // The published attack needed 70 minutes for even odds: 3 % of all codes in each three minutes.
    let farm = |sessions, rounds, every| SessionFarm {
        victim: victim(0),
        sessions,
        guesses: 10,
        every,
        rounds,
    };
    let (rush, second) = ((70 * MINUTE).mul_f64(scale), Duration::from_secs(1));
    simulation.add(Duration::ZERO, farm(17, rush.as_secs(), second));
    simulation.add(rush, farm(1, u64::MAX, 10 * second));
    (24 * HOUR).mul_f64(scale)
}

pub(super) fn resend_and_guess(simulation: &mut Simulation, scale: f64) -> Duration {
    let resend = ResendGuess {
        victim: victim(1),
        guesses: 5,
        every: Duration::from_secs(31),
    };
    let parallel = ParallelGuess {
        victim: victim(2),
        at_once: 500,
        every: Duration::from_secs(660),
    };
    simulation.add(Duration::ZERO, resend);
    simulation.add(Duration::ZERO, parallel);
    (24 * HOUR).mul_f64(scale)
}

pub(super) fn horizontal(simulation: &mut Simulation, scale: f64) -> Duration {
    let accounts = scaled(ACCOUNTS, scale);
    let guesses = Horizontal::new(market("US"), accounts, ACCOUNTS_PER_SECOND);
    simulation.add(Duration::ZERO, guesses);
    Duration::from_secs_f64(accounts as f64 / ACCOUNTS_PER_SECOND) + 10 * MINUTE
}

pub(super) fn alias_flood(simulation: &mut Simulation, scale: f64) -> Duration {
    let spellings = scaled(SPELLINGS, scale);
    simulation.add(Duration::ZERO, AliasFlood::new(victim(3), spellings, 5.0));
    let mailbox = AliasFlood::new("victim@example.com", spellings, 5.0);
    simulation.add(Duration::ZERO, mailbox);
    HOUR
}

pub(super) fn sms_bomb(simulation: &mut Simulation, scale: f64) -> Duration {
    let bomb = SmsBomb {
        victim: victim(4),
        per_second: 1.0,
    };
    simulation.add(Duration::ZERO, bomb);
    (24 * HOUR).mul_f64(scale)
}

/// Owners, every other one with a device token. Says when each comes first.
fn owners(simulation: &mut Simulation, count: u64) -> Vec<(u64, Duration)> {
    let mut firsts = Vec::new();
    for place in 0..count {
        let first = Duration::from_secs(place * 11 % 1_800);
        let person =
            |name| Visitor::once(name, lucky(), victim(place), home(place)).again(OWNERS_VISITS, HOUR);
        let owner = match place % 2 {
            0 => person("owners_with_device").on_one_device(),
            _ => person("owners_without_device"),
        };
        simulation.add(first, owner);
        firsts.push((place, first));
    }
    firsts
}

pub(super) fn lockout_dos(simulation: &mut Simulation, scale: f64) -> Duration {
    let count = scaled(OWNERS, scale);
    let first_visits = HOUR;
    let attack = OWNERS_VISITS * HOUR;
    let long_after = first_visits + attack + 25 * HOUR;
    for (place, first) in owners(simulation, count) {
        if place % 2 == 1 {
            let careful = Habits {
                typing_error: 0.0,
                ..lucky()
            };
            let again = Visitor::once("owners_a_day_later", careful, victim(place), home(place));
            simulation.add(long_after + first, again);
        }
    }
    let every = Duration::from_secs(121);
    let strangers = LockoutDos {
        victims: (0..count).map(victim).collect(),
        every,
        rounds: attack.as_secs() / every.as_secs(),
    };
    // Owners have been here before the attack begins.
    simulation.add(first_visits, strangers);
    long_after + first_visits
}

pub(super) fn victim_overwrite(simulation: &mut Simulation, scale: f64) -> Duration {
    for (place, first) in owners(simulation, scaled(OVERWRITTEN, scale)) {
        simulation.add(first, VictimOverwrite::new(victim(place), HOUR, OWNERS_VISITS));
    }
    (OWNERS_VISITS + 1) * HOUR
}

pub(super) fn webhooks(simulation: &mut Simulation, scale: f64) -> Duration {
    let rate = 0.02;
    simulation.add(Duration::ZERO, Callbacks::forge(rate, Reference::Invented));
    simulation.add(Duration::ZERO, Callbacks::forge(rate, Reference::Altered));
    simulation.add(Duration::ZERO, Callbacks::replay(rate, COPIES));
    simulation.add(Duration::ZERO, Callbacks::reorder(rate));
    (12 * HOUR).mul_f64(scale)
}

pub(super) fn provider_brownout(simulation: &mut Simulation, scale: f64) -> Duration {
    let span = (12 * HOUR).mul_f64(scale);
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND * 3.0));
    simulation.add(Duration::ZERO, Forecast::brownout(span));
    // Long enough for what is on its way.
    span + 30 * MINUTE
}

pub(super) fn node_crash(simulation: &mut Simulation, scale: f64) -> Duration {
    let span = (24 * HOUR).mul_f64(scale);
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    simulation.add(Duration::ZERO, Forecast::dying_nodes(0.1, span));
    for (place, asks) in [(5, Dying::Send), (6, Dying::Guess)] {
        simulation.add(
            MINUTE,
            NodeCrash::new(victim(place), asks, Duration::from_secs(4)),
        );
    }
    span
}

pub(super) fn clock_skew(simulation: &mut Simulation, scale: f64) -> Duration {
    let span = (24 * HOUR).mul_f64(scale);
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    simulation.add(Duration::ZERO, Forecast::skewed_clocks(WRONG_BY, span));
    let attack = ClockSkew {
        victim: victim(7),
        nodes: 3,
        every: Duration::from_secs(7),
    };
    simulation.add(Duration::from_secs(1), attack);
    span
}

/// People who read their mail minutes later.
pub fn readers() -> Crowd {
    Crowd {
        by_mail: true,
        habits: Habits {
            latency: Duration::from_secs(240),
            patience_for_message: Duration::from_secs(560),
            ..Habits::default()
        },
        ..customers("readers", USUAL_PER_SECOND * 2.0)
    }
}

pub(super) fn mail_scanner(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, readers());
    let scanner = MailScanner {
        after: Duration::from_secs(22),
        times: OPENED,
        get_approves: false,
    };
    simulation.add(MINUTE, scanner);
    (24 * HOUR).mul_f64(scale)
}

pub(super) fn enumeration(simulation: &mut Simulation, scale: f64) -> Duration {
    let observer = Enumerate::new(market("US"), market("US"), 1.0);
    simulation.add(Duration::ZERO, observer);
    (6 * HOUR).mul_f64(scale)
}

pub(super) fn flash_crowd(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    let rush = Crowd {
        daily_rhythm: false,
        most: scaled(RUSH, scale),
        ..customers("flash_crowd", USUAL_PER_SECOND * 50.0)
    };
    simulation.add(10 * MINUTE, rush);
    40 * MINUTE
}

pub(super) fn cgnat_office(simulation: &mut Simulation, scale: f64) -> Duration {
    let people = scaled(OFFICE_PEOPLE, scale);
    let office = Crowd {
        addresses: Addresses::One(OFFICE),
        daily_rhythm: false,
        most: people,
        ..customers("cgnat_office", OFFICE_PEOPLE as f64 / 3_600.0)
    };
    simulation.add(Duration::ZERO, office);
    (2 * HOUR).mul_f64(scale).max(10 * MINUTE)
}

pub(super) fn market_day(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND * 3.0));
    simulation.add(MINUTE, Pump::burst("AZ", 4.0, HOMES));
    simulation.add(MINUTE, Pump::wide_probe(0.5));
    simulation.add(MINUTE, Horizontal::new(market("US"), u64::MAX, 0.5));
    let bomb = SmsBomb {
        victim: victim(4),
        per_second: 0.2,
    };
    simulation.add(MINUTE, bomb);
    (24 * HOUR).mul_f64(scale)
}

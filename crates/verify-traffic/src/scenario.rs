//! Worlds with a name.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use verify_core::policy::PolicySet;

use crate::actors::{
    Addresses, AliasFlood, Crowd, Enumerate, Habits, Horizontal, LockoutDos, ParallelGuess, Person, Pump,
    ResendGuess, Seen, SessionFarm, SmsBomb,
};
use crate::{Simulation, market};

/// The address behind which an office or a mobile carrier is; `policies/crowds.toml` names its network.
pub const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// The defaults with prices and caps on money.
pub const GUARDED: &str = include_str!("../policies/guarded.toml");
/// The same caps for a service that sends to six countries only.
pub const AT_HOME: &str = include_str!("../policies/at_home.toml");
/// A policy that expects a crowd.
pub const CROWDS: &str = include_str!("../policies/crowds.toml");
/// A policy of private disclosure.
pub const PRIVATE: &str = include_str!("../policies/private.toml");

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A world with a name.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called by.
    pub name: &'static str,
    /// What happens in it.
    pub about: &'static str,
    /// The policy that it comes with, as TOML.
    pub policy: &'static str,
    fill: fn(&mut Simulation, f64) -> Duration,
}

/// Every scenario.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "night_burst",
        about: "16.7 messages a second for four hours from midnight, through 300 homes, to one block of numbers",
        policy: GUARDED,
        fill: night_burst,
    },
    Scenario {
        name: "fake_conversion",
        about: "the same, with every verification completed and every human check passed",
        policy: GUARDED,
        fill: fake_conversion,
    },
    Scenario {
        name: "pumping_zoo",
        about: "every way of choosing numbers at once: in a row, shuffled, at random, everywhere, hopping, dripping",
        policy: GUARDED,
        fill: pumping_zoo,
    },
    Scenario {
        name: "authquake",
        about: "unlimited sessions with ten guesses each against one account, for a day",
        policy: GUARDED,
        fill: authquake,
    },
    Scenario {
        name: "resend_and_guess",
        about: "five guesses, another code, five guesses, and a volley of five hundred at one instant, for a day",
        policy: GUARDED,
        fill: resend_and_guess,
    },
    Scenario {
        name: "horizontal",
        about: "one guess at each of a million accounts",
        policy: GUARDED,
        fill: horizontal,
    },
    Scenario {
        name: "alias_flood",
        about: "ten thousand spellings of one number and of one mailbox",
        policy: GUARDED,
        fill: alias_flood,
    },
    Scenario {
        name: "sms_bomb",
        about: "one victim, a message a second from ever new addresses, for a day",
        policy: GUARDED,
        fill: sms_bomb,
    },
    Scenario {
        name: "lockout_dos",
        about: "strangers fail in the name of 100 owners all day; half of the owners have a device token",
        policy: GUARDED,
        fill: lockout_dos,
    },
    Scenario {
        name: "enumeration",
        about: "who has an account? told apart by status, counts, waits and trips to the store, under private disclosure",
        policy: PRIVATE,
        fill: enumeration,
    },
    Scenario {
        name: "flash_crowd",
        about: "fifty times the usual crowd for ten minutes, with nobody malicious",
        policy: CROWDS,
        fill: flash_crowd,
    },
    Scenario {
        name: "cgnat_office",
        about: "5 000 people behind one address that the policy names, within an hour",
        policy: CROWDS,
        fill: cgnat_office,
    },
    Scenario {
        name: "market_day",
        about: "a day of honest people in six countries under a bit of everything",
        policy: GUARDED,
        fill: market_day,
    },
];

impl Scenario {
    /// The scenario of a name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// Runs it. `scale` 1 is the whole; less has fewer people or less time, with the same rates and knobs.
    pub fn run(&self, policies: PolicySet, seed: u64, scale: f64) -> (Simulation, Duration) {
        let mut simulation = Simulation::new(policies, seed);
        let span = (self.fill)(&mut simulation, scale);
        simulation.run(span);
        (simulation, span)
    }
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
        most: u64::MAX,
    }
}

const USUAL_PER_SECOND: f64 = 0.02;

fn scaled(count: u64, scale: f64) -> u64 {
    ((count as f64 * scale).round() as u64).max(1)
}

fn night_burst(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    simulation.add(MINUTE, Pump::burst("AZ", 16.7, 300));
    (4 * HOUR).mul_f64(scale)
}

fn fake_conversion(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    simulation.add(MINUTE, Pump::fake_conversion("AZ", 16.7, 300));
    (4 * HOUR).mul_f64(scale)
}

fn pumping_zoo(simulation: &mut Simulation, scale: f64) -> Duration {
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

/// The number of somebody who is attacked.
fn victim(place: u64) -> String {
    market("GB").number(31_415_926 + place * 10_007)
}

fn authquake(simulation: &mut Simulation, scale: f64) -> Duration {
    let farm = SessionFarm {
        victim: victim(0),
        sessions: 20,
        guesses: 10,
        every: Duration::from_secs(10),
    };
    simulation.add(Duration::ZERO, farm);
    (24 * HOUR).mul_f64(scale)
}

fn resend_and_guess(simulation: &mut Simulation, scale: f64) -> Duration {
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

fn horizontal(simulation: &mut Simulation, scale: f64) -> Duration {
    let accounts = scaled(1_000_000, scale);
    simulation.add(Duration::ZERO, Horizontal::new(market("US"), accounts, 50.0));
    Duration::from_secs_f64(accounts as f64 / 50.0 + 60.0)
}

fn alias_flood(simulation: &mut Simulation, _scale: f64) -> Duration {
    simulation.add(Duration::ZERO, AliasFlood::new(victim(3), 10_000, 5.0));
    simulation.add(Duration::ZERO, AliasFlood::new("victim@example.com", 10_000, 5.0));
    HOUR
}

fn sms_bomb(simulation: &mut Simulation, scale: f64) -> Duration {
    let bomb = SmsBomb {
        victim: victim(4),
        per_second: 1.0,
    };
    simulation.add(Duration::ZERO, bomb);
    (24 * HOUR).mul_f64(scale)
}

fn lockout_dos(simulation: &mut Simulation, scale: f64) -> Duration {
    let owners = scaled(100, scale);
    let visit = HOUR;
    for place in 0..owners {
        let address = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + place as u32));
        let first_visit = Duration::from_secs(place * 11 % 1_800);
        let device = place % 2 == 0;
        let name = if device {
            "owners_with_device"
        } else {
            "owners_without_device"
        };
        let owner = Person::once(name, Habits::default(), victim(place), address).again(8, visit);
        let owner = if device { owner.on_one_device() } else { owner };
        simulation.add(first_visit, owner);
    }
    let attack = LockoutDos {
        victims: (0..owners).map(victim).collect(),
        every: Duration::from_secs(61),
    };
    // Owners have been here before the attack begins.
    simulation.add(visit, attack);
    9 * visit
}

fn enumeration(simulation: &mut Simulation, scale: f64) -> Duration {
    let observer = Enumerate::new(market("US"), market("US"), 1.0, Seen::default());
    simulation.add(Duration::ZERO, observer);
    (6 * HOUR).mul_f64(scale)
}

fn flash_crowd(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND));
    let rush = Crowd {
        daily_rhythm: false,
        ..customers("flash_crowd", USUAL_PER_SECOND * 50.0)
    };
    simulation.add(
        10 * MINUTE,
        Crowd {
            most: scaled(600, scale),
            ..rush
        },
    );
    40 * MINUTE
}

fn cgnat_office(simulation: &mut Simulation, scale: f64) -> Duration {
    let people = scaled(5_000, scale);
    let office = Crowd {
        addresses: Addresses::One(OFFICE),
        daily_rhythm: false,
        most: people,
        ..customers("cgnat_office", 5_000.0 / 3_600.0)
    };
    simulation.add(Duration::ZERO, office);
    (2 * HOUR).mul_f64(scale).max(10 * MINUTE)
}

fn market_day(simulation: &mut Simulation, scale: f64) -> Duration {
    simulation.add(Duration::ZERO, customers("customers", USUAL_PER_SECOND * 3.0));
    simulation.add(MINUTE, Pump::burst("AZ", 4.0, 300));
    simulation.add(MINUTE, Pump::wide_probe(0.5));
    simulation.add(MINUTE, Horizontal::new(market("US"), u64::MAX, 0.5));
    let bomb = SmsBomb {
        victim: victim(4),
        per_second: 0.2,
    };
    simulation.add(MINUTE, bomb);
    (24 * HOUR).mul_f64(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_loads_without_a_warning() {
        for text in [GUARDED, AT_HOME, CROWDS, PRIVATE] {
            assert_eq!(PolicySet::from_toml(text).unwrap().warnings, Vec::<String>::new());
        }
    }

    #[test]
    fn names_are_unique() {
        for scenario in SCENARIOS {
            assert_eq!(
                SCENARIOS
                    .iter()
                    .filter(|other| other.name == scenario.name)
                    .count(),
                1
            );
        }
    }
}

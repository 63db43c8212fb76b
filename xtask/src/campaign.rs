//! `cargo xtask campaign`: every scenario from several seeds, each held to its bounds.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use verify_core::policy::PolicySet;
use verify_traffic::report::figure;
use verify_traffic::scenario::{Bound, SCENARIOS, Scenario};

use crate::simulate::pace;

const USAGE: &str = "usage: cargo xtask campaign [--scenario NAME] [--seeds N] [--scale 0..1] [--jobs N]";

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Wanted {
    scenarios: Vec<&'static str>,
    seeds: u64,
    scale: f64,
    jobs: usize,
}

/// What is kept of one run.
struct Ran {
    seed: u64,
    commands: u64,
    took: Duration,
    bounds: Vec<Bound>,
}

/// Runs what the arguments ask for, a line a scenario. Faults are bounds that do not hold, and wrong arguments.
///
/// # Errors
/// None; the signature is that of all commands.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let wanted = match Wanted::read(arguments) {
        Ok(wanted) => wanted,
        Err(fault) => return Ok(vec![fault, USAGE.to_owned()]),
    };
    let began = Instant::now();
    let (mut faults, mut all, mut cores) = (Vec::new(), 0, Duration::ZERO);
    println!(
        "{} seeds at scale {}, {} at a time",
        wanted.seeds, wanted.scale, wanted.jobs
    );
    for scenario in SCENARIOS {
        if !wanted.scenarios.contains(&scenario.name) {
            continue;
        }
        let loaded = match PolicySet::from_toml(scenario.policy) {
            Ok(loaded) => loaded.policies,
            Err(errors) => return Ok(vec![format!("{}: {errors}", scenario.name)]),
        };
        let runs = wanted.runs(scenario, &loaded);
        let commands: u64 = runs.iter().map(|ran| ran.commands).sum();
        let took: Duration = runs.iter().map(|ran| ran.took).sum();
        (all, cores) = (all + commands, cores + took);
        println!("{}", line(scenario.name, &runs, commands, took));
        faults.extend(runs.iter().flat_map(|ran| broken(scenario.name, ran)));
    }
    println!(
        "in all: {}; it took {} s",
        pace(all, cores),
        began.elapsed().as_secs()
    );
    Ok(faults)
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self {
            scenarios: SCENARIOS.iter().map(|scenario| scenario.name).collect(),
            seeds: 10,
            scale: 1.0,
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
        };
        while let Some(option) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            let no_number = || format!("{option}: {value} is no number that would do");
            match option.as_str() {
                "--scenario" => {
                    let named =
                        Scenario::named(&value).ok_or_else(|| format!("there is no scenario {value}"))?;
                    wanted.scenarios = vec![named.name];
                }
                "--seeds" => wanted.seeds = value.parse().ok().filter(|n| *n > 0).ok_or_else(no_number)?,
                "--jobs" => wanted.jobs = value.parse().ok().filter(|n| *n > 0).ok_or_else(no_number)?,
                "--scale" => {
                    let scale = value.parse().ok().filter(|scale| *scale > 0.0 && *scale <= 1.0);
                    wanted.scale = scale.ok_or_else(no_number)?;
                }
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(wanted)
    }

    /// One scenario from every seed, by seed.
    fn runs(&self, scenario: &Scenario, policies: &PolicySet) -> Vec<Ran> {
        let next = AtomicUsize::new(0);
        let runs = Mutex::new(Vec::new());
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed) as u64 + 1;
                if seed > self.seeds {
                    return;
                }
                let began = ThreadTime::now();
                let run = scenario.run(policies.clone(), seed, self.scale);
                let ran = Ran {
                    seed,
                    commands: run.simulation.commands(),
                    took: began.elapsed(),
                    bounds: run.bounds(),
                };
                if let Ok(mut runs) = runs.lock() {
                    runs.push(ran);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs {
                scope.spawn(work);
            }
        });
        let mut runs = runs.into_inner().unwrap_or_default();
        runs.sort_unstable_by_key(|ran: &Ran| ran.seed);
        runs
    }
}

/// `night_burst: 10 runs, … · closest: …`.
fn line(name: &str, runs: &[Ran], commands: u64, took: Duration) -> String {
    let bounds = runs.iter().flat_map(|ran| &ran.bounds);
    let closest = bounds.max_by(|one, other| one.strain().total_cmp(&other.strain()));
    let closest = closest.map_or_else(String::new, |bound| format!(" · closest: {}", told(bound)));
    format!("{name:<18}{} runs, {}{closest}", runs.len(), pace(commands, took))
}

fn broken(name: &str, ran: &Ran) -> Vec<String> {
    let broken = ran.bounds.iter().filter(|bound| !bound.holds());
    broken
        .map(|bound| format!("{name}, seed {}: {}", ran.seed, told(bound)))
        .collect()
}

fn told(bound: &Bound) -> String {
    format!("{}: {}", bound.what, figure(bound))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Wanted, String> {
        Wanted::read(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn arguments_are_read_and_faults_named() {
        let wanted = read(&[
            "--seeds",
            "3",
            "--scale",
            "0.1",
            "--scenario",
            "sms_bomb",
            "--jobs",
            "2",
        ])
        .unwrap();
        assert_eq!(wanted.scenarios, ["sms_bomb"]);
        assert_eq!((wanted.seeds, wanted.scale, wanted.jobs), (3, 0.1, 2));
        assert_eq!(read(&[]).unwrap().scenarios.len(), SCENARIOS.len());
        for faulty in [
            &["--seeds"][..],
            &["--seeds", "0"],
            &["--scale", "2"],
            &["--scale", "NaN"],
            &["--scenario", "none"],
            &["--jobs", "-1"],
            &["--seed", "1"],
        ] {
            assert!(read(faulty).is_err(), "{faulty:?}");
        }
    }

    #[test]
    fn a_bound_that_does_not_hold_is_a_fault() {
        let scenario = Scenario::named("flash_crowd").unwrap();
        let wanted = read(&["--seeds", "2"]).unwrap();
        let faults = |text: &str| {
            let policies = PolicySet::from_toml(text).unwrap().policies;
            let runs = wanted.runs(scenario, &policies);
            assert_eq!(runs.iter().map(|ran| ran.seed).collect::<Vec<_>>(), [1, 2]);
            runs.iter()
                .flat_map(|ran| broken(scenario.name, ran))
                .collect::<Vec<_>>()
        };
        assert_eq!(faults(scenario.policy), Vec::<String>::new());
        // A policy that does not expect the crowd.
        let found = faults(&scenario.policy.replace("20000", "100"));
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with("flash_crowd, seed 2: refusals")),
            "{found:?}"
        );
    }
}

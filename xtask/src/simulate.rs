//! `cargo xtask simulate`: attack traffic by seed under one policy, or under two for comparison.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cpu_time::ThreadTime;
use verify_core::policy::{Loaded, PolicyErrors, PolicyFile};
use verify_traffic::report::{Report, json, page, table};
use verify_traffic::scenario::{SCENARIOS, Scenario};

/// What a policy file may hold too: what the gateway reads, and Twilio.
const NO_POLICY: [&str; 4] = ["gateway", "logging", "security", "twilio"];

/// What was asked for.
#[derive(Debug, PartialEq)]
struct Wanted {
    scenario: String,
    seed: u64,
    scale: f64,
    policies: Vec<PathBuf>,
    json: Option<PathBuf>,
    html: Option<PathBuf>,
}

/// Runs what the arguments ask for: prints a table, writes the files. Faults are those of the arguments and policies.
///
/// # Errors
/// A file that cannot be read or written.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> io::Result<Vec<String>> {
    let wanted = match Wanted::read(arguments) {
        Ok(wanted) => wanted,
        Err(fault) => return Ok(vec![fault, usage()]),
    };
    let Some(scenario) = Scenario::named(&wanted.scenario) else {
        return Ok(vec![format!("there is no scenario {}", wanted.scenario), usage()]);
    };
    let mut reports = Vec::new();
    for (name, text) in wanted.texts(scenario)? {
        let loaded = match policies(&text) {
            Ok(loaded) => loaded,
            Err(errors) => return Ok(vec![format!("{name}: {errors}")]),
        };
        for warning in loaded.warnings {
            eprintln!("{name}: {warning}");
        }
        let began = ThreadTime::now();
        let run = scenario.run(loaded.policies, wanted.seed, wanted.scale);
        // Not part of the report, which is the same every time.
        eprintln!("{name}: {}", pace(run.simulation.commands(), began.elapsed()));
        reports.push(Report::of(&run, &name));
    }
    print!("{}", table(&reports));
    if let Some(path) = &wanted.json {
        fs::write(path, json(&reports)?)?;
    }
    if let Some(path) = &wanted.html {
        fs::write(path, page(&reports))?;
    }
    Ok(Vec::new())
}

/// The policies of a file that a gateway can be started with; what else stands in it is not looked at.
fn policies(text: &str) -> Result<Loaded, PolicyErrors> {
    let mut file = PolicyFile::from_toml(text)?;
    for section in NO_POLICY {
        file.section(section, |section| drop(section.rest()));
    }
    file.section("verify", |verify| {
        verify.value("service_sid");
    });
    file.services_and_purposes(|_, section| {
        section.value("verify_service_sid");
    });
    file.policies()
}

impl Wanted {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut wanted = Self {
            scenario: "market_day".to_owned(),
            seed: 7,
            scale: 1.0,
            policies: Vec::new(),
            json: None,
            html: None,
        };
        while let Some(option) = arguments.next() {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{option} needs a value"))?;
            let not_a_number = |_| format!("{option}: {value} is no number that would do");
            match option.as_str() {
                "--scenario" => wanted.scenario = value,
                "--seed" => wanted.seed = value.parse().map_err(not_a_number)?,
                "--scale" => {
                    let scale: f64 = value
                        .parse()
                        .map_err(|_| format!("{option}: {value} is no number"))?;
                    if !(scale > 0.0 && scale <= 1.0) {
                        return Err("--scale is above 0 and at most 1".to_owned());
                    }
                    wanted.scale = scale;
                }
                "--policy" if wanted.policies.len() < 2 => wanted.policies.push(value.into()),
                "--policy" => return Err("at most two policies are compared".to_owned()),
                "--json" => wanted.json = Some(value.into()),
                "--html" => wanted.html = Some(value.into()),
                _ => return Err(format!("there is no option {option}")),
            }
        }
        Ok(wanted)
    }

    /// The policies, each with a name: the files that were given, or the one of the scenario.
    fn texts(&self, scenario: &Scenario) -> io::Result<Vec<(String, String)>> {
        if self.policies.is_empty() {
            return Ok(vec![(
                scenario.policy_file.to_owned(),
                scenario.policy.to_owned(),
            )]);
        }
        let read = |path: &PathBuf| {
            let text = fs::read_to_string(path)
                .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
            Ok((name_of(path), text))
        };
        self.policies.iter().map(read).collect()
    }
}

/// How fast commands were decided, in time of a core.
pub(crate) fn pace(commands: u64, took: Duration) -> String {
    let a_minute = commands as f64 * 60.0 / took.as_secs_f64().max(1e-9);
    format!(
        "{commands} commands in {:.1} s of a core, {:.1} million a minute",
        took.as_secs_f64(),
        a_minute / 1e6
    )
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn usage() -> String {
    let mut text = "usage: cargo xtask simulate [--scenario NAME] [--seed N] [--scale 0..1] \
                    [--policy A.toml [--policy B.toml]] [--json FILE] [--html FILE]\n\nscenarios:"
        .to_owned();
    for scenario in SCENARIOS {
        text.push_str(&format!("\n  {:<18}{}", scenario.name, scenario.about));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Wanted, String> {
        Wanted::read(arguments.iter().map(|argument| (*argument).to_owned()))
    }

    #[test]
    fn a_file_that_a_gateway_is_started_with_can_be_simulated() {
        let text = "[gateway]\nlisten = \"127.0.0.1:3000\"\n[services.acme]\nverify_service_sid = \"VA0\"\n";
        let in_use = include_str!("../../crates/verify-core/tests/fixtures/twilio-verify.toml");
        for text in [text, in_use] {
            assert_eq!(policies(text).unwrap().warnings, Vec::<String>::new());
        }
        assert!(policies("[twilo]\nregion = \"us1\"").is_err());
    }

    #[test]
    fn arguments_are_read_and_faults_named() {
        let wanted = read(&[
            "--seed", "9", "--policy", "a.toml", "--policy", "b.toml", "--scale", "0.5",
        ])
        .unwrap();
        assert_eq!((wanted.seed, wanted.policies.len(), wanted.scale), (9, 2, 0.5));
        for faulty in [
            &["--seed"][..],
            &["--seed", "x"],
            &["--scale", "0"],
            &["--scale", "NaN"],
            &["--sed", "1"],
            &["--policy", "a", "--policy", "b", "--policy", "c"],
        ] {
            assert!(read(faulty).is_err(), "{faulty:?}");
        }
    }
}

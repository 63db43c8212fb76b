//! What people run: `cargo xtask <command>`.
//!
//! Each command is a file of its own: [`promises`], [`purity`] and [`sizes`] read the tree and say all that is wrong
//! with it at once; [`alone`] compiles each library by itself; [`attack`] attacks a gateway; [`mod@bench`] measures; [`simulate`] runs attack traffic; [`mod@explore`] visits every interleaving;
//! [`fuzz`] runs the targets of the fuzzer; [`packages`] packages the crates; [`mutants`] breaks the core on purpose; [`stores`] holds every store to its contract; [`ci`] runs the checks with
//! everything else that a change has to pass. Their tests run the same checks, so `cargo test --workspace` fails where
//! `cargo xtask` would.

mod alone;
mod attack;
mod bench;
mod campaign;
mod ci;
mod explore;
mod fuzz;
mod mutants;
mod packages;
mod promises;
mod purity;
mod simulate;
mod sizes;
mod stores;
mod tree;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask <command>

  alone     every library compiles by itself, with its default features and without
  attack    somebody against a gateway on this machine, and what honest clients meet; `--store memory|sqlite|postgres|redis`; see docs/benchmarks.md
  bench     what the hot paths cost, as ratios against floors measured in the same run
  campaign  every scenario of attack traffic from ten seeds, each held to its bounds; see docs/simulator.md
  ci        promises, purity, sizes, formatting, lints, docs and tests: scripts/test.sh without what must be installed
  explore   every interleaving of racing flows under large budgets; see docs/exploration.md
  mutants   whether the tests notice a broken core: machines, stores, and cargo-mutants with what follows `--`
  fuzz      the targets of the fuzzer, each for a while; see docs/fuzzing.md
  packages  every crate can be packaged, and asks for the Rust version of its dependencies; `--verify` builds them too
  promises  each promise of docs/promises.md has a test, and each test that is named there exists
  purity    verify-core depends on nothing that has a clock, randomness, a runtime or a network
  sizes     files of at most 600 lines, functions of at most 70
  stores    every store held to its contract: suites, kills, cuts of power, changesets beside the model; `--long` for the long rounds
  simulate  attack traffic by seed: what it costs and whom it hurts under a policy; see docs/simulator.md";

fn main() -> ExitCode {
    let command = std::env::args().nth(1).unwrap_or_default();
    let found = match command.as_str() {
        "alone" => alone::check(&tree::root()),
        "attack" => attack::run(std::env::args().skip(2)),
        "bench" => bench::run(std::env::args().skip(2)),
        "campaign" => campaign::run(std::env::args().skip(2)),
        "ci" => ci::run(),
        "explore" => explore::run(std::env::args().skip(2)),
        "mutants" => mutants::run(std::env::args().skip(2)),
        "fuzz" => fuzz::run(std::env::args().skip(2)),
        "packages" => packages::check(&tree::root(), std::env::args().skip(2)),
        "promises" => promises::check(&tree::root()),
        "purity" => purity::check(&tree::root()),
        "simulate" => simulate::run(std::env::args().skip(2)),
        "sizes" => sizes::check(&tree::root()),
        "stores" => stores::run(std::env::args().skip(2)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match found {
        // Its output is for other programs too: nothing is added.
        Ok(faults) if faults.is_empty() && command == "simulate" => ExitCode::SUCCESS,
        Ok(faults) if faults.is_empty() => {
            println!("{command}: fine");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            for fault in &faults {
                eprintln!("{command}: {fault}");
            }
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::FAILURE
        }
    }
}

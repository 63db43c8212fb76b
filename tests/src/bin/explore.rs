//! Explores everything at the large size, and prints how much there was. `cargo xtask explore` runs it optimised.

use std::process::ExitCode;
use std::time::Instant;

use verify_tests::BOTH;
use verify_tests::explored::{SCENARIOS, Size};

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let size = if wanted.iter().any(|word| word == "--tests") {
        Size::Tests
    } else {
        Size::Large
    };
    let names: Vec<&String> = wanted.iter().filter(|word| !word.starts_with("--")).collect();
    let mut failed = false;
    for (name, make) in SCENARIOS {
        if !names.is_empty() && !names.iter().any(|wanted| name == *wanted) {
            continue;
        }
        for kinds in BOTH {
            let began = Instant::now();
            match make(kinds).explore(size) {
                Ok(explored) => println!(
                    "| {name} | {} | {} | {} | {:.1} s |",
                    kinds.as_str(),
                    explored.states,
                    explored.ends,
                    began.elapsed().as_secs_f32()
                ),
                Err(found) => {
                    failed = true;
                    println!("{name} | {}: {found}", kinds.as_str());
                }
            }
        }
    }
    if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

//! Explores what the tests explore at the large size, or with `--tests` at theirs, and prints how much there was. Words
//! besides are names of scenarios. `cargo xtask explore` runs it optimised.

use std::process::ExitCode;
use std::time::Instant;

use verify_tests::explored::{SCENARIOS, Size};

fn main() -> ExitCode {
    let (options, names): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|word| word.starts_with("--"));
    let size = match options.as_slice() {
        [] => Size::Large,
        [option] if option == "--tests" => Size::Tests,
        _ => {
            eprintln!("usage: explore [--tests] [name]…");
            return ExitCode::from(2);
        }
    };
    if let Some(strange) = names
        .iter()
        .find(|name| SCENARIOS.iter().all(|named| named.name != *name))
    {
        eprintln!("there is no scenario {strange}");
        return ExitCode::from(2);
    }
    println!("| flows | codes | states | ends | seconds |\n|---|---|---|---|---|");
    let mut all_hold = true;
    for named in SCENARIOS {
        if !names.is_empty() && names.iter().all(|name| named.name != name) {
            continue;
        }
        for kinds in named.kinds {
            let (name, codes, began) = (named.name, kinds.as_str(), Instant::now());
            match (named.make)(*kinds).explore(size) {
                Ok(explored) => println!(
                    "| {name} | {codes} | {} | {} | {:.1} |",
                    explored.states,
                    explored.ends,
                    began.elapsed().as_secs_f32()
                ),
                Err(found) => {
                    all_hold = false;
                    eprintln!("{name}, {codes}: {found}");
                }
            }
        }
    }
    if all_hold {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

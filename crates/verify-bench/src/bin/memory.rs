//! `memory`: prints the rows about memory, counted by an allocator that counts.

use std::alloc::System;
use std::process::ExitCode;

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use verify_bench::rows::memory::memory;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Enough that what is kept once does not matter.
const PEOPLE: u64 = 100_000;

fn main() -> ExitCode {
    match memory(PEOPLE, kept) {
        Ok(rows) => {
            rows.iter().for_each(|row| println!("{row}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Bytes of the heap in use, as they were asked for: the allocator's own headers are left out.
fn kept() -> usize {
    let stats = COUNTING.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

//! The gateway's binary; all of it is in the library.

use std::process::ExitCode;

/// Requests are many small allocations on all threads; what that is worth is in docs/benchmarks.md.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    verify_gateway::main()
}

//! The gateway's binary; all of it is in the library.

use std::process::ExitCode;

/// Requests are many small allocations on all threads; what that is worth is in docs/benchmarks.md.
#[cfg(all(feature = "jemalloc", not(target_env = "msvc")))]
#[global_allocator]
static ALLOCATOR: verify_gateway::Jemalloc = verify_gateway::Jemalloc;

fn main() -> ExitCode {
    verify_gateway::main()
}

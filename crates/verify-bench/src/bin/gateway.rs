//! `gateway`: the program that `verify-gateway` is, built along with what measures it.

use std::process::ExitCode;

#[cfg(not(target_env = "msvc"))]
#[global_allocator]
static ALLOCATOR: verify_gateway::Jemalloc = verify_gateway::Jemalloc;

fn main() -> ExitCode {
    verify_gateway::main()
}

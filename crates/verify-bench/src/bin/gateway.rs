//! `gateway`: the program that `verify-gateway` is, built along with what measures it.

use std::process::ExitCode;

fn main() -> ExitCode {
    verify_gateway::main()
}

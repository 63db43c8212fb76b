//! The gateway's binary; all of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    verify_gateway::main()
}

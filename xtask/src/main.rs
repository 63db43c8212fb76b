//! What people run: `cargo xtask <command>`.
fn main() {}

//! The names of what is measured here. They go through the `metrics` facade.

use metrics::counter;

/// Changesets on which the server's script and the core's function were not of one mind, by `written`: `yes`, `no`. Counter.
/// Each is a fault of this program, or of whoever changed the script or the keys; it was answered as one.
pub const DIFFERENCES: &str = "verify_store_differences_total";
/// Scripts that failed after they had begun to write. Counter.
pub const HALF_WRITTEN: &str = "verify_store_half_written_total";

pub(crate) fn differed(written: bool) {
    counter!(DIFFERENCES, "written" => if written { "yes" } else { "no" }).increment(1);
}

pub(crate) fn half_written() {
    counter!(HALF_WRITTEN).increment(1);
}

//! Another server in the place of the one that was.

/// What happens when another server holds a store under the same epoch: a copy that took over, one that was restored, or one that began
/// again. It is told in either case (`store.failed_over`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailover {
    /// No more than that: right where a copy is never behind.
    #[default]
    Tell,
    /// An epoch begins that nobody accepted, as after a restore: limits may lack what the copy was behind by.
    Cool,
}

//! Decided together, answered apart: what the stores outside the process share.
//!
//! A transaction costs a trip and a sync, and changesets of one service have to be decided one after the other. So whoever
//! comes while a transaction is under way waits for the next one, which loads all that the waiting ones name, decides them in
//! their order ([`Loaded`](verify_core::store::Loaded)), writes once, commits once, and answers each on its own. A changeset
//! that comes alone does not wait for company.
//!
//! A store has a [`Backend`], which can run one transaction, and hands what it is asked to [`Lanes`]:
//!
//! - *Nothing is answered before the commit*, refusals too: one that was decided on a predecessor which never came to be would
//!   speak of what never was.
//! - *A batch is a task of its own.* Whoever asked may go away, give up or panic: it ends all the same, and its services have
//!   their next turn however it ends. Should the task itself die, all that it took are
//!   [`Unknown`](verify_core::store::StoreAnswer::Unknown).
//! - *Doubt is asked about once*: with each batch its number is written beside the lane, and read again under the lane's lock
//!   ([`Backend::was_committed`]). What stays in doubt is `Unknown` for those that wrote, and `NotApplied` for the others.
//! - *One harms no other*: a decision that panics, a row that nobody can read, and a row that the server refuses are faults of
//!   those that name them.
//! - *Bounded* in count, bytes and age ([`Limits`]). A tenth is for known callers, who also go first; services take turns, and
//!   each has a place in the next transaction that its turn comes to.
//! - *Who answers nobody is not asked by everybody*: after five transactions in a row that ran out of time all are answered at
//!   once, until a ping that goes out each second comes back.
//!
//! What it does is measured under the names in [`telemetry`].

mod away;
mod backend;
mod batch;
pub mod copy;
mod failover;
mod figures;
mod found;
mod lanes;
mod limits;
mod queue;
mod stalled;
pub mod telemetry;
#[cfg(feature = "tls")]
pub mod tls;
mod written;

pub use away::Away;
pub use backend::{Backend, Ended};
pub use batch::{Batch, Lane, Ticket};
pub use failover::OnFailover;
pub use figures::{Figures, OUTBOXES_NAMED, Outbox, of_minute};
pub use found::{Fill, Found};
pub use lanes::Lanes;
pub use limits::{Limits, Turns};
pub use stalled::{PROBED_EVERY, Stalled};
pub use written::{Decided, LaneRow, PutClaim, PutCounter, PutRow, gone, minute};

//! The first poll of a flow. As far as a flow goes without waiting it needs no task of its own: nobody can drop it before
//! that is over. A port that panics takes its flow with it, and not the caller.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use crate::caught::poll_caught;

/// What the first poll comes to.
pub(crate) enum FirstPoll<T> {
    /// It is over.
    Over(T),
    /// It waits for something, and goes on elsewhere.
    Waits(Pin<Box<dyn Future<Output = T> + Send>>),
    /// It panicked.
    Panicked,
}

pub(crate) async fn first_poll<T>(mut flow: Pin<Box<dyn Future<Output = T> + Send>>) -> FirstPoll<T> {
    match poll_fn(|context| Poll::Ready(poll_caught(flow.as_mut(), context))).await {
        Ok(Poll::Ready(over)) => FirstPoll::Over(over),
        Ok(Poll::Pending) => FirstPoll::Waits(flow),
        Err(_) => FirstPoll::Panicked,
    }
}

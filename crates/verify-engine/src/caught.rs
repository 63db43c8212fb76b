//! Ports are other people's code: one that panics must not take along what asked it.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::thread;

/// One poll; an error when it panics. It must not be polled again then.
pub(crate) fn poll_caught<F: Future + ?Sized>(
    call: Pin<&mut F>,
    context: &mut Context<'_>,
) -> thread::Result<Poll<F::Output>> {
    catch_unwind(AssertUnwindSafe(|| call.poll(context)))
}

/// What a call comes to, in this task; `None` when it panics, or what makes it does.
pub(crate) async fn caught<F: Future>(call: impl FnOnce() -> F) -> Option<F::Output> {
    let mut call = pin!(async { call().await });
    poll_fn(|context| {
        let polled = poll_caught(call.as_mut(), context);
        polled.map_or(Poll::Ready(None), |polled| polled.map(Some))
    })
    .await
}

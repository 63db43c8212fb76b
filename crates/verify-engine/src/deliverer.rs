//! A provider in a closure, for whoever only carries codes: a mail server, a webhook, a message queue.

use std::future::Future;

use async_trait::async_trait;
use verify_core::port::{
    Capabilities, CompareRequest, Compared, ConcludeRequest, Concluded, Detail, DispatchRequest, Dispatched,
    InquireRequest, Inquired, Maker, Provider, Rejection, Scopes,
};
use verify_core::vocabulary::Channel;

/// Carries codes that the engine makes, by calling a closure with each message.
///
/// The closure answers as [`Provider::dispatch`] does: `Rejected` only when the message was surely not sent,
/// `Unknown` whenever it may have been. It reports no deliveries and cannot be asked about them later; implement
/// [`Provider`] for more.
///
/// ```
/// use verify_core::port::{DispatchRequest, Dispatched};
/// use verify_core::vocabulary::Channel;
/// use verify_engine::Deliverer;
///
/// let mail = Deliverer::new("mail", [Channel::Email], |message: DispatchRequest| async move {
///     let _code = message.code.as_ref().map(|code| code.expose());
///     Dispatched::Accepted { upstream: None }
/// });
/// # let _ = mail;
/// ```
pub struct Deliverer<F> {
    capabilities: Capabilities,
    deliver: F,
}

impl<F, Delivering> Deliverer<F>
where
    F: Fn(DispatchRequest) -> Delivering + Send + Sync,
    Delivering: Future<Output = Dispatched> + Send,
{
    /// A provider of this name for these channels.
    pub fn new(name: &str, channels: impl IntoIterator<Item = Channel>, deliver: F) -> Self {
        let capabilities = Capabilities {
            name: name.into(),
            channels: channels.into_iter().collect(),
            maker: Maker::Own,
            scopes: Scopes::default(),
            can_inquire: false,
            can_conclude: false,
            reports: false,
            most_checks: None,
        };
        Self {
            capabilities,
            deliver,
        }
    }
}

#[async_trait]
impl<F, Delivering> Provider for Deliverer<F>
where
    F: Fn(DispatchRequest) -> Delivering + Send + Sync,
    Delivering: Future<Output = Dispatched> + Send,
{
    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn dispatch(&self, request: &DispatchRequest) -> Dispatched {
        (self.deliver)(request.clone()).await
    }

    async fn compare(&self, _request: &CompareRequest) -> Compared {
        Compared::NotAsked(Detail::new(None, "the engine compares its own codes"))
    }

    async fn inquire(&self, _request: &InquireRequest) -> Inquired {
        Inquired::Unknown
    }

    async fn conclude(&self, _request: &ConcludeRequest) -> Concluded {
        Concluded::Done
    }

    async fn health(&self) -> Result<(), Rejection> {
        Ok(())
    }
}

//! What an engine cannot be built from.

use verify_core::policy::PolicyErrors;
use verify_core::port::ProviderName;
use verify_core::vocabulary::{Channel, ServiceId};

/// What an engine cannot be built from, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// Nothing to seal, fingerprint and derive codes with.
    #[error("there are no keys: call `keys(..)`, with `Keys::parse` of a stored text, or `key_source(..)`")]
    MissingKeys,
    /// Nowhere to count.
    #[error("there is no store: call `store(..)`, in a single process with a `MemStore`")]
    MissingStore,
    /// Nobody to carry a code.
    #[error("there is no provider: call `provider(..)` at least once")]
    MissingProvider,
    /// Nobody said whether requests carry the client's address.
    #[error(
        "the limits {limits} count by the client's address: pass it with every send and check and call \
         `with_client_ip()`, or call `without_client_ip()` to go without these limits"
    )]
    ClientIpUnsaid {
        /// Their names.
        limits: String,
    },
    /// The policy itself is faulty.
    #[error("the policy cannot be used: {0}")]
    Policy(#[from] PolicyErrors),
    /// The file says something that nothing was built from: it would have no effect.
    #[error(
        "the policy file says {keys}, and nothing was built from it: call `{built_by}`, or take these keys out"
    )]
    NotTakenUp {
        /// The paths of the keys.
        keys: String,
        /// What builds the backend that they belong to.
        built_by: &'static str,
    },
    /// A backend is built once, and a reload builds none.
    #[error(
        "the policy file says other things than before of a backend that is built ({keys}): build another engine, or \
         leave them as they were"
    )]
    BackendChanged {
        /// The paths of the keys.
        keys: String,
    },
    /// A send without a channel could never be carried.
    #[error(
        "the default channel of {place} is {channel} and no provider carries it: register one, or change \
         `channels.default`"
    )]
    NoProviderForDefault {
        /// `the policy`, a service, a purpose.
        place: String,
        /// The channel.
        channel: Channel,
    },
    /// Codes of one service would be right at another.
    #[error(
        "the policy names the service {service}, which shares the default scope of {provider} unasked: name it in the \
         provider's `Scopes`, and build the engine anew"
    )]
    ServiceWithoutScope {
        /// The service.
        service: ServiceId,
        /// The provider.
        provider: ProviderName,
    },
    /// Names are in records; they must be short, plain and stable.
    #[error("a provider is named {name:?}: a name has 1 to 32 characters of a-z 0-9 _ -")]
    ProviderName {
        /// What it calls itself.
        name: String,
    },
    /// Deliveries that go to nobody are recorded under this name.
    #[error(
        "a provider is named {name}, which stands for deliveries that go to nobody: give it another name"
    )]
    ReservedName {
        /// What it calls itself.
        name: String,
    },
    /// Two providers cannot be told apart.
    #[error("two providers are named {name}: give each a name of its own")]
    DuplicateProvider {
        /// The name.
        name: String,
    },
    /// A typing error, most likely.
    #[error("`{called}` names the provider {name}, and there is none: registered are {registered}")]
    UnknownProvider {
        /// `route` or `pacing`.
        called: &'static str,
        /// What it named.
        name: String,
        /// What there is.
        registered: String,
    },
    /// The route leads to somebody who cannot do it.
    #[error("the route for {channel} names {name}, which does not carry {channel}: name another, or none")]
    RouteWithoutChannel {
        /// The channel.
        channel: Channel,
        /// The provider.
        name: String,
    },
    /// Nothing would ever be admitted.
    #[error("`{called}` must admit at least 1 per second: leave it out to admit all")]
    ZeroRate {
        /// `flood_shield`, `pacing`.
        called: &'static str,
    },
    /// Nothing would ever be decided.
    #[error("`store_timeout` must be longer than nothing")]
    ZeroStoreTimeout,
}

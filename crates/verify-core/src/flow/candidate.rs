//! Candidates: through whom a message may go, and which code it would carry.

use std::sync::Arc;

use crate::code::{Code, CodeInput, CodeLength};
use crate::port::{Maker, ProviderName};
use crate::record::{CodeOf, Verification};
use crate::time::Timestamp;
use crate::vocabulary::Channel;

use super::context::Context;
use super::who::Who;

/// The name that stands in deliveries to test destinations.
const TEST: &str = "test";

/// An identity's two words and three fingerprints take less than that many bytes.
const LARGEST_IDENTITY: usize = 64;

/// A provider that may carry a message, with what its code would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) provider: ProviderName,
    pub(super) code: Carried,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Carried {
    Own,
    Managed { scope: Arc<str> },
    Test,
}

impl Candidate {
    pub(super) fn test() -> Self {
        Self {
            provider: TEST.into(),
            code: Carried::Test,
        }
    }

    /// The scope of its codes; empty where they are not managed.
    pub(super) fn scope(&self) -> Arc<str> {
        match &self.code {
            Carried::Managed { scope } => Arc::clone(scope),
            Carried::Own | Carried::Test => Arc::default(),
        }
    }

    /// A fresh code of this candidate's kind.
    pub(super) fn fresh_code(&self, ctx: &Context) -> CodeOf {
        match &self.code {
            Carried::Own => CodeOf::Own {
                key: ctx.keys.code.newest(),
                generation: 0,
            },
            Carried::Managed { scope } => CodeOf::Managed {
                provider: Arc::clone(&self.provider),
                scope: Arc::clone(scope),
            },
            Carried::Test => CodeOf::Test,
        }
    }

    /// True when it can carry the code that the verification already has.
    pub(super) fn can_carry(&self, code: &CodeOf) -> bool {
        match (&self.code, code) {
            (Carried::Own, CodeOf::Own { .. }) | (Carried::Test, CodeOf::Test) => true,
            (
                Carried::Managed { scope },
                CodeOf::Managed {
                    provider,
                    scope: held,
                },
            ) => *provider == self.provider && held == scope,
            (Carried::Own | Carried::Managed { .. } | Carried::Test, _) => false,
        }
    }
}

/// Through whom a message may go, each list in the order of the route.
#[derive(Debug, Clone, Default)]
pub(super) struct Candidates {
    /// Those that can be asked.
    pub(super) awake: Vec<Candidate>,
    /// Those that rest, and until when.
    pub(super) resting: Vec<(Candidate, Timestamp)>,
}

/// Providers for a channel and this destination.
pub(super) fn candidates(ctx: &Context, who: &Who, channel: Channel) -> Candidates {
    let mut candidates = Candidates::default();
    for provider in ctx.routes.of(channel, who.to.country()) {
        let code = match provider.maker {
            Maker::Own => Carried::Own,
            Maker::Managed => Carried::Managed {
                scope: Arc::clone(provider.scopes.of(&ctx.service, who.purpose())),
            },
        };
        let candidate = Candidate {
            provider: Arc::clone(&provider.name),
            code,
        };
        match ctx.resting.sends.get(&provider.name) {
            Some(until) => candidates.resting.push((candidate, *until)),
            None => candidates.awake.push(candidate),
        }
    }
    candidates
}

/// The own code of a verification; `None` when it has none, or its key has left the ring.
pub(super) fn own_code(ctx: &Context, who: &Who, verification: &Verification) -> Option<Code> {
    match &verification.code {
        CodeOf::Own { key, generation } => {
            let mut room = [0; LARGEST_IDENTITY];
            let identity = postcard::to_slice(&verification.identity, &mut room).ok()?;
            let input = CodeInput {
                service: &ctx.service,
                destination: who.to.canonical(),
                identity,
                nonce: verification.nonce.as_bytes(),
                generation: *generation,
            };
            ctx.keys
                .derive_code(*key, &input, CodeLength::new(verification.length)?)
        }
        CodeOf::Test => Code::read(&who.test(ctx)?.code),
        CodeOf::Managed { .. } => None,
    }
}

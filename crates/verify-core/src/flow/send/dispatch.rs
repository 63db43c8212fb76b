//! The dispatch: a provider is asked to send, once, what an applied changeset recorded.

use crate::detail::Detail;
use crate::port::{DispatchRequest, Dispatched, Rejection, RejectionKind};
use crate::record::{CodeOf, RETENTION};
use crate::time::Timestamp;
use crate::token::DeliveryToken;

use super::settle::Came;
use super::{Attempt, Sending};
use crate::flow::candidate::{Candidate, own_code};
use crate::flow::sealed::spelling;
use crate::flow::step::{AnswerThen, DispatchStep, Step};

/// A provider is asked.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Dispatch {
    sending: Sending,
    attempt: Attempt,
}

/// Who asked is answered; the provider is still to be asked.
#[derive(Debug, Clone)]
pub(in crate::flow) struct Answered {
    sending: Sending,
    attempt: Attempt,
}

impl Answered {
    pub(in crate::flow) fn resume(self, now: Timestamp) -> Step {
        let Self { sending, attempt } = self;
        sending.ask_to_carry(attempt, now)
    }
}

impl Sending {
    /// The provider's turn; under private disclosure the answer first.
    pub(super) fn dispatch(self, attempt: Attempt, now: Timestamp) -> Step {
        match self.ctx.is_private() {
            true => {
                let (ctx, found) = (self.ctx.clone(), attempt.found.clone().later(now));
                let answer = self.answer(&attempt, &found);
                let then = Answered {
                    sending: self,
                    attempt,
                };
                ctx.answer_first(Ok(answer), ctx.not_after, AnswerThen::Send(then))
            }
            false => self.ask_to_carry(attempt, now),
        }
    }

    pub(super) fn ask_to_carry(self, attempt: Attempt, now: Timestamp) -> Step {
        if self.decoy || attempt.candidate == Candidate::test() {
            return self.settle(attempt, Came::Accepted { upstream: None }, now);
        }
        let Some((verification, delivery)) = attempt.receipt() else {
            return self.settle(attempt, Came::Unknown, now);
        };
        let ctx = &self.ctx;
        let reference = DeliveryToken {
            record: self.who.destination.newest(),
            nonce: attempt.nonce,
            delivery: delivery.number,
        };
        let lives_until = verification.expires + RETENTION;
        let reference = ctx.keys.issue(&ctx.service, lives_until, &ctx.seed, &reference);
        let code = own_code(ctx, &self.who, verification);
        let missing = matches!(verification.code, CodeOf::Own { .. }) && code.is_none();
        let (Ok(reference), false, false) = (reference, missing, ctx.is_late(now)) else {
            let late = Rejection {
                kind: RejectionKind::Down,
                retry_after: None,
                detail: Detail::new(None, "the deadline passed before the provider was asked"),
            };
            return self.settle(attempt, Came::Rejected(late), now);
        };
        let request = DispatchRequest {
            provider: attempt.candidate.provider.clone(),
            service: ctx.service.clone(),
            scope: verification
                .scope()
                .map(|(_, scope)| scope.clone())
                .unwrap_or_default(),
            to: spelling(ctx, &self.who, verification),
            channel: self.channel,
            purpose: self.who.purpose(),
            code,
            locale: self.locale_for(&verification.code),
            payment: self.who.spelled.payment.clone(),
            code_ttl: verification.expires.since(now),
            reference,
            dispatch_id: delivery.id,
            not_after: delivery.not_after,
        };
        let not_after = ctx.not_after;
        let then = Dispatch {
            sending: self,
            attempt,
        };
        DispatchStep::step(request, not_after, then)
    }

    /// Surely not sent, in the words of a provider or a scorer.
    pub(super) fn rejected(
        mut self,
        attempt: Attempt,
        by: &str,
        rejection: Rejection,
        now: Timestamp,
    ) -> Step {
        self.ctx
            .said(&by.into(), rejection.kind.as_str(), rejection.detail.clone());
        self.settle(attempt, Came::Rejected(rejection), now)
    }
}

impl Dispatch {
    pub(in crate::flow) fn resume(self, asked: DispatchRequest, now: Timestamp, answer: Dispatched) -> Step {
        let Self { mut sending, attempt } = self;
        match answer {
            Dispatched::Accepted { upstream } => sending.settle(attempt, Came::Accepted { upstream }, now),
            Dispatched::Rejected(rejection) => {
                if rejection.kind.is_of_the_provider() {
                    // It rests for this flow: no channel is offered that nobody else carries.
                    let until = now + rejection.retry_after.unwrap_or_default();
                    sending.ctx.resting.sends.insert(asked.provider.clone(), until);
                }
                sending.rejected(attempt, &asked.provider, rejection, now)
            }
            Dispatched::Unknown(words) => {
                sending.ctx.said(&asked.provider, "unknown", words);
                sending.settle(attempt, Came::Unknown, now)
            }
        }
    }
}

//! A verification: one challenge, from the send that issued its code to its end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Delivery, Status};
use crate::ids::{ApprovalId, DeliveryId, Nonce};
use crate::keys::{KeyId, Print};
use crate::port::ProviderName;
use crate::seal;
use crate::time::Timestamp;
use crate::vocabulary::{Purpose, Standing};

/// The most deliveries that a verification remembers; the oldest settled one makes room.
pub const MOST_DELIVERIES: usize = 12;

/// Whose verification it is: what a code is bound to besides service and canonical destination.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// Why.
    pub purpose: Purpose,
    /// The subject's fingerprint.
    pub subject: Option<Print>,
    /// Who asked for it.
    pub standing: Standing,
    /// The fingerprint of amount and payee.
    pub binding: Option<Print>,
    /// The fingerprint of the mailbox as delivered: those that share a record are not one. `None` for a number.
    pub mailbox: Option<Print>,
}

/// Who makes the code of a verification, and how it is found again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CodeOf {
    /// Derived by the engine.
    Own {
        /// With this key of the ring.
        key: KeyId,
        /// Counted up when a resend carries a new code.
        generation: u8,
    },
    /// Made by a managed provider.
    Managed {
        /// Which one.
        provider: ProviderName,
        /// Where its codes are valid.
        scope: Arc<str>,
    },
    /// Fixed by the policy, for a test destination.
    Test,
}

/// How an approval is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ApprovalMark {
    /// The flow that wrote it, and the id of its proof.
    pub id: ApprovalId,
    /// The idempotency key of the check.
    pub by_key: Option<Print>,
    /// When.
    pub at: Timestamp,
}

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Verification {
    /// What tells it from any other.
    pub nonce: Nonce,
    /// Whose it is.
    pub identity: Identity,
    /// Who makes its code.
    pub code: CodeOf,
    /// How many digits its code has, whichever it is at the time. Fixed when it began: its id says the same. A managed
    /// provider may make them longer or shorter.
    pub length: u8,
    /// When its code was issued.
    pub issued: Timestamp,
    /// When its code dies. Fixed when it was issued.
    pub expires: Timestamp,
    /// How its approval is recognised.
    pub approval: Option<ApprovalMark>,
    /// Oldest first.
    pub deliveries: Vec<Delivery>,
    /// The person agreed to automatic fallback.
    pub consent: bool,
    /// Wrong guesses at it, where its maker's own cap on them decides.
    pub guesses: u8,
    /// What a repair and a follow-up have to know: destination, subject, amount, payee, locale, and the address, network and
    /// device of the latest send; sealed.
    pub sealed: Vec<u8>,
    status: Status,
}

impl Verification {
    /// A pending verification without a delivery.
    pub fn pending(
        nonce: Nonce,
        identity: Identity,
        code: CodeOf,
        length: u8,
        issued: Timestamp,
        expires: Timestamp,
        sealed: Vec<u8>,
    ) -> Self {
        Self {
            nonce,
            identity,
            code,
            length,
            issued,
            expires,
            approval: None,
            deliveries: Vec::new(),
            consent: false,
            guesses: 0,
            sealed,
            status: Status::Pending,
        }
    }

    /// What is written, which may lag behind time.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Where it stands at an instant: a pending one whose code died is expired.
    pub fn status_at(&self, now: Timestamp) -> Status {
        if self.status == Status::Pending && now >= self.expires {
            Status::Expired
        } else {
            self.status
        }
    }

    /// True while its code may be given.
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.status_at(now) == Status::Pending
    }

    /// Moves along the table; false, and nothing changes, where the table has no such step.
    pub fn advance(&mut self, to: Status) -> bool {
        let allowed = Status::TRANSITIONS.contains(&(self.status, to));
        if allowed {
            self.status = to;
        }
        allowed
    }

    /// True when a person may have got this code.
    pub fn may_have_sent(&self) -> bool {
        self.deliveries
            .iter()
            .any(|delivery| delivery.status().may_have_sent())
    }

    /// True when nobody was asked to carry its code, so that nobody can have it: no guess is right.
    pub fn is_decoy(&self) -> bool {
        !self.deliveries.iter().any(Delivery::may_have_come)
    }

    /// Adds a delivery under the next number. The oldest settled one makes room; the newest of those that may have come stays,
    /// for it alone may show that somebody has the code.
    pub fn add_delivery(&mut self, mut delivery: Delivery) {
        delivery.number = self
            .deliveries
            .last()
            .map_or(0, |last| last.number.wrapping_add(1));
        if self.deliveries.len() >= MOST_DELIVERIES {
            let is_settled = |it: &Delivery| it.due().is_none();
            let has_come = |it: &Delivery| is_settled(it) && it.may_have_come();
            let stays = self.deliveries.iter().rposition(has_come);
            let settled = self.deliveries.iter().map(is_settled).enumerate();
            let others = settled.filter(|(place, _)| Some(*place) != stays);
            // The first that is settled, or else the first.
            let goes = others.min_by_key(|(_, is_settled)| !is_settled);
            self.deliveries.remove(goes.map_or(0, |(place, _)| place));
        }
        self.deliveries.push(delivery);
    }

    /// The delivery with this id.
    pub fn delivery(&self, id: &DeliveryId) -> Option<&Delivery> {
        self.deliveries.iter().find(|delivery| delivery.id == *id)
    }

    /// The delivery with this id, to settle it.
    pub fn delivery_mut(&mut self, id: &DeliveryId) -> Option<&mut Delivery> {
        self.deliveries.iter_mut().find(|delivery| delivery.id == *id)
    }

    /// The provider's newest id of it.
    pub fn upstream(&self) -> Option<&String> {
        self.deliveries
            .iter()
            .rev()
            .find_map(|delivery| delivery.upstream.as_ref())
    }

    /// The managed scope of its code.
    pub fn scope(&self) -> Option<(&ProviderName, &Arc<str>)> {
        match &self.code {
            CodeOf::Managed { provider, scope } => Some((provider, scope)),
            CodeOf::Own { .. } | CodeOf::Test => None,
        }
    }

    /// The key that its sealed part was sealed with.
    pub(super) fn sealed_under(&self) -> Option<KeyId> {
        seal::key_of(&self.sealed)
    }

    /// The newest stamp in it, which time does not run behind.
    pub(super) fn newest(&self) -> Timestamp {
        let approved = self.approval.as_ref().map_or(Timestamp::ZERO, |mark| mark.at);
        self.deliveries
            .iter()
            .map(|delivery| delivery.at)
            .fold(self.issued.max(approved), Timestamp::max)
    }
}

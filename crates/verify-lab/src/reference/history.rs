//! What the reference remembers: everything that happened, and the verifications that came of it.

use std::net::IpAddr;
use std::sync::Arc;

use verify_core::destination::Destination;
use verify_core::port::RejectionKind;
use verify_core::record::{DeliveryStatus, Status};
use verify_core::time::Timestamp;
use verify_core::vocabulary::{Channel, Dimension, Purpose, Standing};

/// Who a command is about, and from where it comes.
#[derive(Debug, Clone)]
pub(super) struct Who {
    pub(super) to: Destination,
    pub(super) subject: Option<String>,
    pub(super) purpose: Purpose,
    pub(super) payment: Option<(String, String)>,
    pub(super) standing: Standing,
    pub(super) ip: Option<IpAddr>,
    pub(super) device: Option<String>,
}

impl Who {
    pub(super) fn same_destination(&self, other: &Self) -> bool {
        self.to.canonical() == other.to.canonical()
    }

    pub(super) fn same_subject(&self, other: &Self) -> bool {
        self.subject.is_some() && self.subject == other.subject
    }

    /// Of the mailboxes that limits treat as one, the same: in any case, with the same tag and dots.
    pub(super) fn same_mailbox(&self, other: &Self) -> bool {
        self.to.as_delivered() == other.to.as_delivered()
    }

    /// Purpose, subject, amount and payee, and of course the destination.
    pub(super) fn same_identity(&self, other: &Self) -> bool {
        self.same_mailbox(other)
            && self.purpose == other.purpose
            && self.subject == other.subject
            && self.payment == other.payment
    }

    /// What a limit counts by, as text; `None` where the command does not have it.
    pub(super) fn value(&self, by: Dimension) -> Option<String> {
        match by {
            Dimension::Ip => self.ip.map(|ip| match verify_core::address::client(ip) {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("{:x?}", &v6.segments()[..4]),
            }),
            Dimension::Network => self.ip.map(|ip| match ip.to_canonical() {
                IpAddr::V4(v4) => format!("{:?}", &v4.octets()[..3]),
                IpAddr::V6(v6) => format!("{:x?}", &v6.segments()[..3]),
            }),
            Dimension::Destination => Some(self.to.canonical().to_owned()),
            Dimension::Subject => self.subject.clone(),
            Dimension::Device => self.device.clone(),
            Dimension::Country => self.to.country().map(|country| country.to_string()),
            Dimension::Prefix => self.to.prefix().map(str::to_owned),
            Dimension::Asn => None,
            Dimension::Service => Some(String::new()),
        }
    }
}

/// Something that happened, and when.
#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) at: Timestamp,
    pub(super) who: Who,
    pub(super) what: Happened,
    /// The limits on which it drew on what is kept for known callers.
    pub(super) drew: Vec<Arc<str>>,
}

#[derive(Debug, Clone)]
pub(super) enum Happened {
    /// A send was charged.
    Sent {
        verification: usize,
        price: u64,
        /// Surely nobody got it: the money counts no more.
        money_back: bool,
        /// Nothing was sent, now or earlier: the gap does not count, and the key is free.
        nothing_sent: bool,
        /// The idempotency key, and until when it stands for this send.
        key: Option<(String, Body, Timestamp)>,
    },
    /// A check was charged.
    Checked { key: Option<(String, Body)> },
    /// And counted as a failure.
    Failed { taken_back: bool },
    /// A code was right.
    Approved,
    /// An operator ended the lockout, and the check limits with it or not.
    Unlocked { check_limits: bool },
    /// A proof was spent.
    Redeemed { approval: usize, key: Option<String> },
}

/// What makes a request another one than the one before with the same idempotency key.
pub(super) type Body = Vec<Option<String>>;

/// A delivery of a code.
#[derive(Debug, Clone)]
pub(super) struct Delivery {
    pub(super) at: Timestamp,
    pub(super) channel: Channel,
    pub(super) status: DeliveryStatus,
    pub(super) message: Option<usize>,
    /// The provider's id of its code, where it was heard.
    pub(super) upstream: Option<String>,
    pub(super) inquiries: u8,
    /// Nobody carried it, and nobody may notice.
    pub(super) decoy: bool,
}

impl Delivery {
    pub(super) fn failed(&self) -> bool {
        matches!(
            self.status,
            DeliveryStatus::Rejected | DeliveryStatus::Undelivered
        )
    }
}

/// A challenge.
#[derive(Debug, Clone)]
pub(super) struct Verification {
    pub(super) who: Who,
    pub(super) issued: Timestamp,
    pub(super) expires: Timestamp,
    /// `None` when nothing can be right.
    pub(super) code: Option<String>,
    pub(super) managed: bool,
    /// The code that the last resend put a new one in the place of, and its life.
    pub(super) replaced: Option<(Option<String>, Timestamp, Timestamp)>,
    /// How it ended, other than by time.
    pub(super) ended: Option<Status>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) consent: bool,
    /// Wrong guesses that its provider counts, where nobody may notice that it does.
    pub(super) guesses: u32,
    /// It had to make room, was erased, or nothing of it was ever sent; or it is forgotten.
    pub(super) gone: bool,
    /// Since when it is forgotten.
    pub(super) forgotten: Option<Timestamp>,
}

impl Delivery {
    /// Somebody may have got it.
    pub(super) fn may_have_come(&self) -> bool {
        !self.decoy && self.status != DeliveryStatus::Rejected
    }
}

impl Verification {
    /// What has died stays dead, whatever the clock shows later.
    pub(super) fn expire(&mut self, at: Timestamp) {
        if self.ended.is_none() && at >= self.expires {
            self.ended = Some(Status::Expired);
        }
    }

    /// Nobody was asked to carry its code.
    pub(super) fn is_decoy(&self) -> bool {
        !self.deliveries.iter().any(Delivery::may_have_come)
    }

    /// Somebody may hold its code.
    pub(super) fn may_have_sent(&self) -> bool {
        self.deliveries
            .iter()
            .any(|delivery| delivery.status != DeliveryStatus::Rejected)
    }
}

/// A code that was right.
#[derive(Debug, Clone)]
pub(super) struct Approval {
    pub(super) verification: usize,
    pub(super) at: Timestamp,
    pub(super) channel: Channel,
    pub(super) key: Option<String>,
}

/// A message that went out.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) at: Timestamp,
    pub(super) to: String,
    pub(super) channel: Channel,
    pub(super) verification: usize,
    pub(super) code: String,
    /// The provider's id of a managed code.
    pub(super) upstream: Option<String>,
    /// Until when it can be reported on.
    pub(super) until: Timestamp,
}

/// What a provider said that holds for longer.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// The destination, or its prefix.
    pub(super) of: String,
    pub(super) channel: Channel,
    pub(super) kind: RejectionKind,
    pub(super) until: Option<Timestamp>,
}

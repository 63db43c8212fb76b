//! The two transition tables. Statuses are written through them and nowhere else.

use serde::{Deserialize, Serialize};

/// Where a verification stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Status {
    /// From the moment the intent to send is recorded.
    Pending,
    /// Its code was given.
    Approved,
    /// Its code died.
    Expired,
    /// Somebody ended it.
    Canceled,
    /// Failures closed it.
    Exhausted,
}

impl Status {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Pending,
        Self::Approved,
        Self::Expired,
        Self::Canceled,
        Self::Exhausted,
    ];

    /// The transition table: from pending to each end, and from no end anywhere.
    pub const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Approved),
        (Self::Pending, Self::Expired),
        (Self::Pending, Self::Canceled),
        (Self::Pending, Self::Exhausted),
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Expired => "expired",
            Self::Canceled => "canceled",
            Self::Exhausted => "exhausted",
        }
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeliveryStatus {
    /// Recorded, and perhaps handed to the provider.
    Dispatching,
    /// The provider took it.
    Accepted,
    /// Surely not sent.
    Rejected,
    /// Perhaps sent.
    Unknown,
    /// It arrived.
    Delivered,
    /// It did not, and will not.
    Undelivered,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: &'static [Self] = &[
        Self::Dispatching,
        Self::Accepted,
        Self::Rejected,
        Self::Unknown,
        Self::Delivered,
        Self::Undelivered,
    ];

    /// The transition table. It never goes back.
    pub const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Dispatching, Self::Accepted),
        (Self::Dispatching, Self::Rejected),
        (Self::Dispatching, Self::Unknown),
        (Self::Unknown, Self::Accepted),
        (Self::Unknown, Self::Rejected),
        (Self::Accepted, Self::Delivered),
        (Self::Accepted, Self::Undelivered),
        (Self::Unknown, Self::Delivered),
        (Self::Unknown, Self::Undelivered),
    ];

    /// The stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dispatching => "dispatching",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
        }
    }

    /// True when a person may have got something.
    pub const fn may_have_sent(self) -> bool {
        match self {
            Self::Dispatching | Self::Accepted | Self::Unknown | Self::Delivered | Self::Undelivered => true,
            Self::Rejected => false,
        }
    }

    /// True when it failed for good.
    pub const fn has_failed(self) -> bool {
        match self {
            Self::Rejected | Self::Undelivered => true,
            Self::Dispatching | Self::Accepted | Self::Unknown | Self::Delivered => false,
        }
    }
}

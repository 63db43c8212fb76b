//! The two transition tables. Statuses are written through them and nowhere else.

use crate::vocabulary::words;

words! {
    /// Where a verification stands.
    Status, "status" {
        /// From the moment the intent to send is recorded.
        Pending = "pending",
        /// Its code was given.
        Approved = "approved",
        /// Its code died.
        Expired = "expired",
        /// Somebody ended it.
        Canceled = "canceled",
        /// Failures closed it.
        Exhausted = "exhausted",
    }
}

impl Status {
    /// The transition table: from pending to each end, and from no end anywhere.
    pub const TRANSITIONS: &'static [(Self, Self)] = &[
        (Self::Pending, Self::Approved),
        (Self::Pending, Self::Expired),
        (Self::Pending, Self::Canceled),
        (Self::Pending, Self::Exhausted),
    ];
}

words! {
    /// What became of a delivery.
    DeliveryStatus, "status of a delivery" {
        /// Recorded, and perhaps handed to the provider.
        Dispatching = "dispatching",
        /// The provider took it.
        Accepted = "accepted",
        /// Surely not sent.
        Rejected = "rejected",
        /// Perhaps sent.
        Unknown = "unknown",
        /// It arrived.
        Delivered = "delivered",
        /// It did not, and will not.
        Undelivered = "undelivered",
    }
}

impl DeliveryStatus {
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

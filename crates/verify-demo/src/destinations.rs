//! The numbers of the demo mode, each with a fault of its own.

use std::time::Duration;

use verify_core::port::{RejectionKind, RiskLevel};
use verify_core::vocabulary::Channel;

use crate::phone_network::{Behaviour, Fate};

/// The demo destinations. Any other destination gets what is sent to it.
pub(crate) fn all() -> [(&'static str, Behaviour); 9] {
    let refused = |kind, code| Fate::Refused {
        kind,
        code: Some(code),
    };
    let undelivered = Fate::Undelivered {
        code: 30_003,
        after: Duration::from_secs(2),
    };
    let down = Fate::Refused {
        kind: RejectionKind::Down,
        code: None,
    };
    [
        ("+12025550110", Behaviour::arrives().on(Channel::Sms, undelivered)),
        (
            "+12025550111",
            Behaviour::arrives().on(Channel::Sms, refused(RejectionKind::ChannelUnreachable, 60_205)),
        ),
        (
            "+12025550112",
            Behaviour::arrives().on(Channel::Sms, Fate::ArrivesUnreported),
        ),
        ("+12025550113", Behaviour::always(Fate::AnswerLost)),
        ("+12025550114", Behaviour::always(down)),
        (
            "+12025550115",
            Behaviour::arrives().on(Channel::Sms, refused(RejectionKind::OptedOut, 21_610)),
        ),
        ("+12025550116", Behaviour::arrives().with_risk(RiskLevel::High)),
        ("+12025550117", Behaviour::arrives().with_risk(RiskLevel::Medium)),
        // Its prefix is not that of the others, which a remembered block must leave alone.
        (
            "+12025560118",
            Behaviour::arrives().on(Channel::Sms, refused(RejectionKind::PrefixBlocked, 60_410)),
        ),
    ]
}

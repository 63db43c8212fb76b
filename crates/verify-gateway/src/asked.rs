//! What this host asks of the engine: each request with its verb, and the verification ids by which operators find again
//! what decided it.

use verify_core::command::{
    CancelRequest, CheckRequest, EraseRequest, RedeemRequest, ReportRequest, SendRequest, StatusRequest,
    Target, UnlockRequest,
};
use verify_core::outcome::{CancelAnswer, Outcome, Request, SendAnswer, StatusAnswer};
use verify_engine::Engine;

/// A request that the engine has a verb for.
pub trait Asked: Request {
    /// The verification id that it names.
    fn named(&self) -> Option<&str> {
        None
    }

    /// The verification id that an answer to it shows.
    fn shown(_answer: &Self::Answer) -> Option<&str> {
        None
    }

    /// Asks the engine.
    fn ask(self, engine: &Engine) -> impl Future<Output = Outcome<Self::Answer>> + Send;
}

macro_rules! asked {
    ($($request:ty: $verb:ident { $($ids:item)* })+) => {$(
        impl Asked for $request {
            $($ids)*

            async fn ask(self, engine: &Engine) -> Outcome<Self::Answer> {
                engine.$verb(self).await
            }
        }
    )+};
}

asked! {
    SendRequest: send {
        fn named(&self) -> Option<&str> {
            of_target(&self.target)
        }

        fn shown(answer: &SendAnswer) -> Option<&str> {
            match answer {
                SendAnswer::Sent(it) | SendAnswer::Repeated(it) => Some(&it.id),
                SendAnswer::Refused(_) => None,
            }
        }
    }
    CheckRequest: check {
        fn named(&self) -> Option<&str> {
            of_target(&self.target)
        }
    }
    CancelRequest: cancel {
        fn named(&self) -> Option<&str> {
            Some(&self.verification_id)
        }

        fn shown(answer: &CancelAnswer) -> Option<&str> {
            match answer {
                CancelAnswer::Canceled(it) => Some(&it.id),
                CancelAnswer::Refused(_) => None,
            }
        }
    }
    StatusRequest: status {
        fn named(&self) -> Option<&str> {
            Some(&self.verification_id)
        }

        fn shown(answer: &StatusAnswer) -> Option<&str> {
            match answer {
                StatusAnswer::Found(it) => Some(&it.id),
                StatusAnswer::Refused(_) => None,
            }
        }
    }
    ReportRequest: report {}
    RedeemRequest: redeem {}
    UnlockRequest: unlock {}
    EraseRequest: erase {}
}

fn of_target(target: &Target) -> Option<&str> {
    match target {
        Target::Verification { id, .. } => Some(id),
        Target::To(_) => None,
    }
}

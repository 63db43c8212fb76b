//! Mail scanners: they open every link before its reader does.

use std::time::Duration;

use verify_core::command::{CheckRequest, Expected};
use verify_core::time::Timestamp;

use crate::{Actor, Booth};

/// Opens the link of every mail some time after it left. The link carries the verification's id and its code; opening
/// it reads how the verification stands.
#[derive(Debug, Clone)]
pub struct MailScanner {
    /// How long after a mail left.
    pub after: Duration,
    /// How often each link is opened.
    pub times: u32,
    /// Whether opening a link takes it for its reader's click, as in applications that let a GET approve.
    pub get_approves: bool,
}

/// How often it looks for new mails.
const ROUND: Duration = Duration::from_secs(2);

impl Actor for MailScanner {
    fn name(&self) -> &'static str {
        "mail_scanner"
    }

    fn defeats(&self) -> &'static str {
        "link that a GET uses up"
    }

    fn wake(&mut self, booth: &mut Booth<'_>) -> Option<Timestamp> {
        let until = booth.now() - self.after;
        for (id, code) in booth.links(until - ROUND, until) {
            for _ in 0..self.times {
                booth.status(id.clone());
                if self.get_approves {
                    booth.check(CheckRequest::of(id.clone(), code.clone(), Expected::Whoever));
                }
            }
        }
        Some(booth.now() + ROUND)
    }
}

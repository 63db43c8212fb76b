//! An approval that somebody has to claim.

use crate::command::Person;
use crate::destination::Destination;
use crate::policy::EmailRules;
use crate::vocabulary::Country;

use super::Approval;

/// The code was right, for whoever the verification's id seals; the request did not name them, or not wholly.
///
/// The proof and the device token are kept back until the host says for whom it is about to act, so that nobody's code
/// opens somebody else's account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Unclaimed {
    whose: Person,
    /// Where numbers without country code belong.
    country: Option<Country>,
    approval: Approval,
}

/// The code was right, and somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the code was right, but not this person's; do not act for them")]
pub struct NotTheirs;

impl Unclaimed {
    pub(crate) const fn new(whose: Person, country: Option<Country>, approval: Approval) -> Self {
        Self {
            whose,
            country,
            approval,
        }
    }

    /// Who was verified: the destination as the message went to it, the subject, the purpose and the payment. At sign-up
    /// this is what the application opens an account for.
    pub const fn whose(&self) -> &Person {
        &self.whose
    }

    /// The approval, when it is of this person in all of it: destination (in any spelling that reads as the same), subject
    /// or none, purpose and payment.
    ///
    /// # Errors
    /// [`NotTheirs`], and the approval is gone.
    pub fn of(self, person: &Person) -> Result<Approval, NotTheirs> {
        let country = person.country.or(self.country);
        // What is one mailbox to a verification is no policy's word.
        let rules = EmailRules::default();
        let is_at = |to: Destination| to.as_delivered() == self.whose.to.to_ascii_lowercase();
        let same = Destination::parse(&person.to, country, &rules).is_ok_and(is_at)
            && person.subject == self.whose.subject
            && person.purpose == self.whose.purpose
            && person.payment == self.whose.payment;
        match same {
            true => Ok(self.approval),
            false => Err(NotTheirs),
        }
    }
}

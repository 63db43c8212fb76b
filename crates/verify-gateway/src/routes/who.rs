//! Who a body means: read in one place, for every route.

use verify_core::command::{Expected, Known, Person, Target};
use verify_core::vocabulary::{Country, Payment, Purpose};

use verify_http::{Problem, ProblemCode};

/// What a body says of a person besides where they are reached. A verification seals all of it.
pub(super) struct Spelled {
    pub(super) country: Option<Country>,
    pub(super) user_id: Option<String>,
    pub(super) purpose: Option<Purpose>,
    pub(super) amount: Option<String>,
    pub(super) payee: Option<String>,
}

impl Spelled {
    /// Somebody at a destination, or the one of a verification, as far as the body knows them.
    ///
    /// # Errors
    /// `invalid_request`, which points at what is missing or too much.
    pub(super) fn checked(
        self,
        to: Option<String>,
        verification_id: Option<String>,
    ) -> Result<Target, Problem> {
        let Some(id) = verification_id else {
            return self.target(to, None);
        };
        let sealed = [
            ("amount", self.amount.is_some()),
            ("payee", self.payee.is_some()),
            ("country", self.country.is_some() && to.is_none()),
        ];
        none_of(&sealed)?;
        let mut known = Known::default();
        known.to = to;
        known.country = self.country;
        known.subject = self.user_id;
        known.purpose = self.purpose;
        let of = Expected::Known(known);
        Ok(Target::Verification { id, of })
    }

    /// Somebody at a destination, or the one of a verification; never both.
    ///
    /// # Errors
    /// `invalid_request`, which points at what is missing or too much.
    pub(super) fn target(
        self,
        to: Option<String>,
        verification_id: Option<String>,
    ) -> Result<Target, Problem> {
        match (to, verification_id) {
            (Some(to), None) => self.person(to).map(Target::To),
            (to, Some(id)) => {
                self.says_nothing()?;
                match to {
                    None => Ok(Target::Verification {
                        id,
                        of: Expected::Whoever,
                    }),
                    Some(_) => {
                        let detail = "name either to or a verification_id, not both";
                        Err(invalid(detail, "verification_id"))
                    }
                }
            }
            (None, None) => Err(invalid(
                "name a number or mailbox in to, or a verification_id",
                "to",
            )),
        }
    }

    /// Somebody at a destination; signing in, when nothing else is said.
    ///
    /// # Errors
    /// `invalid_request`, which points at what is missing.
    pub(super) fn person(self, to: String) -> Result<Person, Problem> {
        let mut person = Person::at(to).purpose(self.purpose.unwrap_or(Purpose::SignIn));
        person.country = self.country;
        person.subject = self.user_id;
        person.payment = payment(self.amount, self.payee)?;
        Ok(person)
    }

    /// A verification seals who it is for and why; a body that says it again could only contradict.
    fn says_nothing(&self) -> Result<(), Problem> {
        let sealed = [
            ("country", self.country.is_some()),
            ("user_id", self.user_id.is_some()),
            ("purpose", self.purpose.is_some()),
            ("amount", self.amount.is_some()),
            ("payee", self.payee.is_some()),
        ];
        none_of(&sealed)
    }
}

fn none_of(sealed: &[(&str, bool)]) -> Result<(), Problem> {
    match sealed.iter().find(|(_, there)| *there) {
        Some((field, _)) => Err(invalid(
            "a verification_id already says this; leave the field out",
            field,
        )),
        None => Ok(()),
    }
}

fn payment(amount: Option<String>, payee: Option<String>) -> Result<Option<Payment>, Problem> {
    let missing = match (amount, payee) {
        (Some(amount), Some(payee)) => return Ok(Some(Payment { amount, payee })),
        (None, None) => return Ok(None),
        (Some(_), None) => "payee",
        (None, Some(_)) => "amount",
    };
    Err(invalid(
        "amount and payee go together, and a transaction needs both",
        missing,
    ))
}

fn invalid(detail: &'static str, field: &str) -> Problem {
    Problem::new(ProblemCode::InvalidRequest, detail).at(field)
}

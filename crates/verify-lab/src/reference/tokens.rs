//! What stands for numbers where real tokens are needed: whoever runs the machine translates here, in both directions.

use verify_core::command::{
    Caller, CancelRequest, CheckRequest, Command, EraseRequest, Expected, RedeemRequest, Report,
    ReportRequest, SendRequest, StatusRequest, Target, UnlockRequest,
};
use verify_core::keys::Print;
use verify_core::outcome::{
    Answer, Approval, CancelAnswer, CheckAnswer, EraseAnswer, Explanation, NotTheirs, Outcome, RedeemAnswer,
    Refusal, ReportAnswer, RuleHit, SendAnswer, StatusAnswer, TickAnswer, UnlockAnswer, VerificationView,
};
use verify_core::port::Detail;
use verify_core::vocabulary::Standing;

use super::{Ask, CheckAsk, Fate, From, Guess, Of, Refused, Seen, SendAsk, Told};
use crate::explore::Delivered;

/// Notes of an explanation that refuse nothing.
const INFORMATION: [&str; 2] = ["country_monitor", "repeat"];

/// A message that went out, as far as commands need it.
#[derive(Debug, Clone)]
pub struct Sent {
    /// What it says.
    pub code: String,
    /// The reference for reports.
    pub reference: String,
}

impl std::convert::From<&Delivered> for Sent {
    fn from(message: &Delivered) -> Self {
        Self {
            code: message.code.clone(),
            reference: message.reference.clone(),
        }
    }
}

/// The tokens that a run brought forth, by the number of what they stand for.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    verifications: Vec<(Option<Print>, String)>,
    /// Proof and device token.
    approvals: Vec<(String, String)>,
}

impl Tokens {
    /// The command that asks this; `None` for a tick, which names a record.
    pub fn command(&self, ask: &Ask, sent: &[Sent]) -> Option<Command> {
        Some(match ask {
            Ask::Send(ask) => self.send(ask).into(),
            Ask::Check(ask) => self.check(ask, sent).into(),
            Ask::Cancel(number) => CancelRequest::of(self.id(*number)).into(),
            Ask::Status(number) => StatusRequest::of(self.id(*number)).into(),
            Ask::Report(message, fate) => {
                let sent = sent.get(*message);
                let reference = sent.map_or_else(unknown, |sent| sent.reference.clone());
                let report = match fate {
                    Fate::Underway => Report::Underway,
                    Fate::Delivered => Report::Delivered,
                    Fate::Undelivered => Report::Undelivered(Detail::default()),
                };
                ReportRequest::of(reference, report, format!("{fate:?}")).into()
            }
            Ask::Redeem(approval, person, key) => {
                let proof = self.approvals.get(*approval);
                let proof = proof.map_or_else(unknown, |(proof, _)| proof.clone());
                let mut redeem = RedeemRequest::of(proof, person.meant());
                redeem.idempotency_key.clone_from(key);
                redeem.into()
            }
            Ask::Unlock(person, check_limits) => {
                let mut unlock = UnlockRequest::at(&person.to).check_limits(*check_limits);
                unlock.subject.clone_from(&person.subject);
                unlock.into()
            }
            Ask::Erase(person) => EraseRequest::at(&person.to).into(),
            Ask::Tick => return None,
        })
    }

    /// The same ask about what there is by now.
    pub fn among(&self, ask: Ask, sent: &[Sent]) -> Ask {
        ask.among(self.verifications.len(), self.approvals.len(), sent.len())
    }

    fn id(&self, number: usize) -> String {
        self.verifications
            .get(number)
            .map_or_else(unknown, |(_, id)| id.clone())
    }

    fn caller(&self, from: &From) -> Caller {
        let token = |number: usize| {
            let shown =
                |(proof, token): &(String, String)| if from.proof { proof.clone() } else { token.clone() };
            self.approvals.get(number).map_or_else(unknown, shown)
        };
        let mut caller = Caller::default();
        caller.ip = from.ip;
        caller.device.clone_from(&from.device);
        caller.device_token = from.token.map(token);
        caller
    }

    fn target(&self, of: &Of) -> Target {
        match of {
            Of::Person(person) => Target::To(person.meant()),
            Of::Verification(number) => Target::Verification {
                id: self.id(*number),
                of: Expected::Whoever,
            },
            Of::VerificationOf(number, person) => Target::Verification {
                id: self.id(*number),
                of: person.meant().into(),
            },
        }
    }

    fn send(&self, ask: &SendAsk) -> SendRequest {
        let mut send = SendRequest::new(self.target(&ask.of))
            .caller(self.caller(&ask.from))
            .consent(ask.consent)
            .decoy(ask.decoy);
        send.channel = ask.by;
        send.human_check = ask.human.then(|| "human".to_owned());
        send.idempotency_key.clone_from(&ask.key);
        send
    }

    fn check(&self, ask: &CheckAsk, sent: &[Sent]) -> CheckRequest {
        let code = match &ask.guess {
            Guess::Message(number) => sent
                .get(*number)
                .map_or_else(|| wrong(sent), |sent| sent.code.clone()),
            Guess::Wrong => wrong(sent),
            Guess::Text(text) => text.clone(),
        };
        let mut check = CheckRequest::new(self.target(&ask.of), code).caller(self.caller(&ask.from));
        check.idempotency_key.clone_from(&ask.key);
        check
    }

    /// What an outcome says, in numbers.
    pub fn told(&mut self, outcome: &Outcome) -> Told {
        let said = &outcome.explanation;
        match &outcome.answer {
            Ok(Answer::Send(SendAnswer::Sent(seen))) => Told::Sent(self.seen(seen, said)),
            Ok(Answer::Send(SendAnswer::Repeated(seen))) => Told::Repeated(self.seen(seen, said)),
            Ok(Answer::Status(StatusAnswer::Found(seen))) => Told::Status(self.seen(seen, said)),
            Ok(Answer::Cancel(CancelAnswer::Canceled(seen))) => Told::Canceled(self.seen(seen, said)),
            Ok(Answer::Check(CheckAnswer::Approved(approval))) => self.approved(approval),
            Ok(Answer::Check(CheckAnswer::Unclaimed(unclaimed))) => {
                match unclaimed.clone().of(unclaimed.whose()) {
                    Ok(approval) => self.approved(&approval),
                    Err(NotTheirs) => Told::Fault,
                }
            }
            Ok(Answer::Check(CheckAnswer::WrongCode(wrong))) => Told::Wrong {
                status: wrong.status,
                checks_left: wrong.checks_left,
                wait: wrong.retry_at,
            },
            Ok(Answer::Report(ReportAnswer { changed })) => Told::Reported(*changed),
            Ok(Answer::Tick(TickAnswer { .. })) => Told::Ticked,
            Ok(Answer::Redeem(RedeemAnswer::Redeemed(redemption))) => Told::Redeemed {
                approved_at: redemption.approved_at,
            },
            Ok(Answer::Unlock(UnlockAnswer::Unlocked { stands })) => {
                let mut told: Vec<_> = stands
                    .iter()
                    .map(|it| {
                        (
                            it.rule.to_string(),
                            it.standing == Standing::Known,
                            it.named,
                            it.until,
                        )
                    })
                    .collect();
                told.sort();
                Told::Unlocked(told)
            }
            Ok(Answer::Erase(EraseAnswer::Erased { verifications })) => Told::Erased(*verifications),
            Ok(
                Answer::Send(SendAnswer::Refused(refusal))
                | Answer::Check(CheckAnswer::Refused(refusal))
                | Answer::Cancel(CancelAnswer::Refused(refusal))
                | Answer::Status(StatusAnswer::Refused(refusal))
                | Answer::Redeem(RedeemAnswer::Refused(refusal))
                | Answer::Unlock(UnlockAnswer::Refused(refusal))
                | Answer::Erase(EraseAnswer::Refused(refusal)),
            ) => Told::Refused(refused(refusal, said)),
            Err(_) => Told::Fault,
        }
    }

    fn approved(&mut self, approval: &Approval) -> Told {
        let tokens = (approval.proof.clone(), approval.device_token.clone());
        Told::Approved {
            approval: number_of(&mut self.approvals, tokens, |(a, _), (b, _)| a == b),
            channel: approval.channel,
        }
    }

    fn seen(&mut self, seen: &VerificationView, said: &Explanation) -> Seen {
        let same = |(a, _): &(Option<Print>, String), (b, _): &(Option<Print>, String)| a == b;
        let tokens = (said.verification, seen.id.clone());
        Seen {
            verification: number_of(&mut self.verifications, tokens, same),
            status: seen.status,
            channel: seen.channel,
            expires_at: seen.expires_at,
            resend_at: seen.resend_at,
            sends_left: seen.sends_left,
            checks_left: seen.checks_left,
            deliveries: seen.deliveries.clone(),
            fallback: seen.fallback.clone(),
        }
    }
}

/// The number of a thing that the run has seen before, or the next one; its newest form is kept.
fn number_of<T>(all: &mut Vec<T>, new: T, same: impl Fn(&T, &T) -> bool) -> usize {
    match all.iter().position(|each| same(each, &new)) {
        Some(number) => {
            all.splice(number..=number, [new]);
            number
        }
        None => {
            all.push(new);
            all.len() - 1
        }
    }
}

fn refused(refusal: &Refusal, said: &Explanation) -> Refused {
    // A risk that a human check lifted took part; what refuses stands behind it.
    let last = said.rules.last();
    let took_part = |hit: &&RuleHit| hit.rule.starts_with("risk_") && Some(*hit) != last;
    let rules = said.rules.iter().filter(|hit| !took_part(hit));
    let names = rules.map(|hit| hit.rule.to_string());
    Refused {
        code: refusal.code,
        wait: refusal.retry_at,
        checks_left: refusal.checks_left,
        fallback: refusal.fallback.clone(),
        rules: names
            .filter(|name| !INFORMATION.contains(&name.as_str()))
            .collect(),
    }
}

/// Six digits that no message carried.
fn wrong(sent: &[Sent]) -> String {
    let carried = |code: &String| sent.iter().any(|sent| sent.code == *code);
    let mut codes = (0u32..1_000_000).map(|code| format!("{code:06}"));
    codes.find(|code| !carried(code)).unwrap_or_default()
}

/// A token that opens nothing.
fn unknown() -> String {
    "unknown".to_owned()
}

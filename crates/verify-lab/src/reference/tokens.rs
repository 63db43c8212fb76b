//! What stands for numbers where real tokens are needed: whoever runs the machine translates here, in both directions.

use verify_core::command::{
    Caller, CheckRequest, Command, PersonRequest, RedeemRequest, Report, ReportRequest, SendRequest, Target,
    VerificationRequest,
};
use verify_core::keys::Print;
use verify_core::outcome::{Answer, Explanation, Outcome, Verification};
use verify_core::port::Detail;
use verify_core::vocabulary::ServiceId;

use super::{Ask, CheckAsk, Fate, From, Guess, Of, Person, Refused, Seen, SendAsk, Told};

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
        let named = |number: &usize| VerificationRequest {
            service: ServiceId::default(),
            verification_id: self.id(*number),
        };
        Some(match ask {
            Ask::Send(ask) => Command::Send(self.send(ask)),
            Ask::Check(ask) => Command::Check(self.check(ask, sent)),
            Ask::Cancel(number) => Command::Cancel(named(number)),
            Ask::Status(number) => Command::Status(named(number)),
            Ask::Report(message, fate) => Command::Report(ReportRequest {
                service: ServiceId::default(),
                reference: sent
                    .get(*message)
                    .map_or_else(unknown, |sent| sent.reference.clone()),
                report: match fate {
                    Fate::Underway => Report::Underway,
                    Fate::Delivered => Report::Delivered,
                    Fate::Undelivered => Report::Undelivered(Detail::default()),
                },
                dedupe: format!("{fate:?}"),
            }),
            Ask::Redeem(approval, person, key) => Command::Redeem(RedeemRequest {
                service: ServiceId::default(),
                proof: self
                    .approvals
                    .get(*approval)
                    .map_or_else(unknown, |(proof, _)| proof.clone()),
                purpose: person.purpose,
                to: person.to.clone(),
                country: None,
                subject: person.subject.clone(),
                amount: person.amount.clone(),
                payee: person.payee.clone(),
                idempotency_key: key.clone(),
            }),
            Ask::Unlock(person) => Command::Unlock(of_person(person)),
            Ask::Erase(person) => Command::Erase(of_person(person)),
            Ask::Tick => return None,
        })
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
        Caller {
            ip: from.ip,
            asn: None,
            device: from.device.clone(),
            device_token: from.token.map(token),
        }
    }

    fn send(&self, ask: &SendAsk) -> SendRequest {
        let request = match &ask.of {
            Of::Verification(number) => SendRequest::again(self.id(*number)),
            Of::Person(person) => SendRequest {
                subject: person.subject.clone(),
                purpose: person.purpose,
                amount: person.amount.clone(),
                payee: person.payee.clone(),
                ..SendRequest::to(&person.to)
            },
        };
        SendRequest {
            channel: ask.by,
            caller: self.caller(&ask.from),
            consent: ask.consent,
            human_check: ask.human.then(|| "human".to_owned()),
            decoy: ask.decoy,
            idempotency_key: ask.key.clone(),
            ..request
        }
    }

    fn check(&self, ask: &CheckAsk, sent: &[Sent]) -> CheckRequest {
        let code = match &ask.guess {
            Guess::Message(number) => sent
                .get(*number)
                .map_or_else(|| wrong(sent), |sent| sent.code.clone()),
            Guess::Wrong => wrong(sent),
            Guess::Text(text) => text.clone(),
        };
        let person = match &ask.of {
            Of::Person(person) => person.clone(),
            Of::Verification(_) => Person::at(""),
        };
        CheckRequest {
            service: ServiceId::default(),
            target: match &ask.of {
                Of::Person(_) => Target::To {
                    to: person.to,
                    country: None,
                },
                Of::Verification(number) => Target::Verification(self.id(*number)),
            },
            code,
            subject: person.subject,
            purpose: person.purpose,
            amount: person.amount,
            payee: person.payee,
            caller: self.caller(&ask.from),
            idempotency_key: ask.key.clone(),
        }
    }

    /// What an outcome says, in numbers.
    pub fn told(&mut self, outcome: &Outcome) -> Told {
        let said = &outcome.explanation;
        match &outcome.answer {
            Answer::Sent(seen) => Told::Sent(self.seen(seen, said)),
            Answer::Repeated(seen) => Told::Repeated(self.seen(seen, said)),
            Answer::Status(seen) => Told::Status(self.seen(seen, said)),
            Answer::Canceled(seen) => Told::Canceled(self.seen(seen, said)),
            Answer::Approved(approval) => {
                let tokens = (approval.proof.clone(), approval.device_token.clone());
                Told::Approved {
                    approval: number_of(&mut self.approvals, tokens, |(a, _), (b, _)| a == b),
                    channel: approval.channel,
                }
            }
            Answer::WrongCode(wrong) => Told::Wrong {
                status: wrong.status,
                checks_left: wrong.checks_left,
                wait: wrong.retry_at,
            },
            Answer::Reported { changed } => Told::Reported(*changed),
            Answer::Ticked { .. } => Told::Ticked,
            Answer::Redeemed(redemption) => Told::Redeemed {
                approved_at: redemption.approved_at,
            },
            Answer::Unlocked => Told::Unlocked,
            Answer::Erased { verifications } => Told::Erased(*verifications),
            Answer::Refused(refusal) => Told::Refused(Refused {
                code: refusal.code,
                wait: refusal.retry_at,
                checks_left: refusal.checks_left,
                fallback: refusal.fallback.clone(),
                rules: rules(said),
            }),
            Answer::Fault(_) => Told::Fault,
        }
    }

    fn seen(&mut self, seen: &Verification, said: &Explanation) -> Seen {
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

fn rules(said: &Explanation) -> Vec<String> {
    let names = said.rules.iter().map(|hit| hit.rule.to_string());
    names
        .filter(|name| !INFORMATION.contains(&name.as_str()))
        .collect()
}

fn of_person(person: &Person) -> PersonRequest {
    PersonRequest {
        service: ServiceId::default(),
        to: person.to.clone(),
        country: None,
        subject: person.subject.clone(),
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

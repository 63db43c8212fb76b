//! A scenario as a file says it: the policy, and steps with what is expected. An unknown key is an error that names it.

use std::time::Duration;

use serde::Deserialize;
use verify_core::vocabulary::{Channel, Purpose};
use verify_lab::reference::{Ask, CheckAsk, Fate, From, Guess, Mishap, Of, Outside, Person, SendAsk};

/// A scenario.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub about: String,
    /// `own`, `managed`; both when left out.
    #[serde(default = "both")]
    pub makers: Vec<Maker>,
    /// A policy file over the defaults.
    #[serde(default)]
    pub policy: String,
    /// What happens.
    pub step: Vec<Step>,
}

/// Who makes the codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    Own,
    Managed,
}

fn both() -> Vec<Maker> {
    vec![Maker::Own, Maker::Managed]
}

/// Time passes, something happens outside, and then a command is asked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub wait: Option<String>,
    pub back: Option<String>,
    pub provider: Option<String>,
    pub risk: Option<String>,
    pub mishap: Option<String>,
    pub send: Option<SendStep>,
    pub check: Option<CheckStep>,
    pub cancel: Option<usize>,
    pub status: Option<usize>,
    pub report: Option<ReportStep>,
    pub redeem: Option<RedeemStep>,
    pub unlock: Option<UnlockStep>,
    pub erase: Option<PersonStep>,
    #[serde(default)]
    pub tick: bool,
    pub expect: Option<Expect>,
}

macro_rules! with_person {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            pub to: Option<String>,
            pub subject: Option<String>,
            pub purpose: Option<Purpose>,
            pub amount: Option<String>,
            pub payee: Option<String>,
            $(pub $field: $type,)*
        }

        impl $name {
            /// Whom it names; the usual number where it names nobody.
            fn person(&self) -> Person {
                Person {
                    to: self.to.clone().unwrap_or_else(|| "+12025550123".to_owned()),
                    subject: self.subject.clone(),
                    purpose: self.purpose.unwrap_or(Purpose::SignIn),
                    amount: self.amount.clone(),
                    payee: self.payee.clone(),
                }
            }
        }
    };
}

with_person! {
    /// A send.
    SendStep {
        verification: Option<usize>, by: Option<Channel>, ip: Option<std::net::IpAddr>, device: Option<String>,
        device_token: Option<usize>, key: Option<String>, human: bool, consent: bool, decoy: bool,
    }
}
with_person! {
    /// A check; the code is `right` (that of the last message), `message N`, `wrong`, or characters.
    CheckStep {
        verification: Option<usize>, code: String, ip: Option<std::net::IpAddr>, device: Option<String>,
        device_token: Option<usize>, key: Option<String>,
    }
}
with_person! {
    /// A redemption.
    RedeemStep { approval: usize, key: Option<String> }
}
with_person! {
    /// Somebody whose lockout is ended, and the limits on checks with it or not.
    UnlockStep { check_limits: bool }
}
with_person! {
    /// Somebody, for operators.
    PersonStep {}
}

/// What became of a message.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportStep {
    pub message: usize,
    pub fate: Word,
}

/// What a provider reports.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    Underway,
    Delivered,
    Undelivered,
}

/// What is expected. What is not named is not looked at, but everybody must say the same of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    pub answer: String,
    pub code: Option<String>,
    /// From this step until the same request is admitted: a duration, `never`, or `none`.
    pub wait: Option<String>,
    pub rules: Option<Vec<String>>,
    pub verification: Option<usize>,
    pub approval: Option<usize>,
    pub status: Option<String>,
    pub channel: Option<Channel>,
    pub expires_in: Option<String>,
    pub resend_in: Option<String>,
    pub sends_left: Option<u32>,
    pub checks_left: Option<u32>,
    pub deliveries: Option<Vec<String>>,
    pub fallback: Option<Vec<Channel>>,
    pub changed: Option<bool>,
    /// Messages that have gone out in all.
    pub messages: Option<usize>,
}

impl Scenario {
    /// Reads a file, and refuses one that expects nothing or less than it must.
    pub fn read(text: &str) -> Result<Self, String> {
        let scenario: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut expects = false;
        for (number, step) in scenario.step.iter().enumerate() {
            let complete = step.complete().map_err(|what| format!("step {number}: {what}"))?;
            expects |= complete;
        }
        match expects {
            true => Ok(scenario),
            false => Err("it expects nothing, so nobody can disagree".to_owned()),
        }
    }
}

impl Step {
    /// True when it asks something; an error when it says too much or too little.
    fn complete(&self) -> Result<bool, String> {
        let asked = [
            self.send.is_some(),
            self.check.is_some(),
            self.cancel.is_some(),
            self.status.is_some(),
            self.report.is_some(),
            self.redeem.is_some(),
            self.unlock.is_some(),
            self.erase.is_some(),
            self.tick,
        ];
        match (asked.iter().filter(|asked| **asked).count(), &self.expect) {
            (0, None) => Ok(false),
            (0, Some(_)) => Err("`expect` without a command".to_owned()),
            (1, None) => Err("a command without `expect`".to_owned()),
            (1, Some(expect)) => expect.complete().map(|()| true),
            _ => Err("more than one command".to_owned()),
        }
    }

    /// What happens before the command, with the time as it is.
    pub fn outside(&self, now: verify_core::time::Timestamp) -> Result<Vec<Outside>, String> {
        let mut changes = Vec::new();
        let later = self
            .wait
            .as_deref()
            .map(duration)
            .transpose()?
            .unwrap_or_default();
        let earlier = self
            .back
            .as_deref()
            .map(duration)
            .transpose()?
            .unwrap_or_default();
        changes.push(Outside::Now(now + later - earlier));
        if let Some(word) = self.provider.as_deref() {
            changes.push(Outside::Rejects(rejection(word)?));
        }
        if let Some(word) = self.risk.as_deref() {
            changes.push(Outside::Risk(level(word)?));
        }
        match self.mishap.as_deref() {
            None => {}
            Some("answer_lost") => changes.push(Outside::Mishap(Mishap::AnswerLost)),
            Some("call_lost") => changes.push(Outside::Mishap(Mishap::CallLost)),
            Some(other) => return Err(format!("`mishap` is `answer_lost` or `call_lost`, not `{other}`")),
        }
        Ok(changes)
    }

    /// The command, when there is one; `sent` is how many messages have gone out.
    pub fn ask(&self, sent: usize) -> Result<Option<Ask>, String> {
        let of = |verification: Option<usize>, person| match verification {
            Some(number) => Of::Verification(number),
            None => Of::Person(person),
        };
        if let Some(it) = &self.send {
            let from = From {
                ip: it.ip,
                device: it.device.clone(),
                token: it.device_token,
                proof: false,
            };
            return Ok(Some(Ask::Send(SendAsk {
                of: of(it.verification, it.person()),
                by: it.by,
                from,
                key: it.key.clone(),
                human: it.human,
                consent: it.consent,
                decoy: it.decoy,
            })));
        }
        if let Some(it) = &self.check {
            let from = From {
                ip: it.ip,
                device: it.device.clone(),
                token: it.device_token,
                proof: false,
            };
            let (of, guess) = (of(it.verification, it.person()), guess(&it.code, sent)?);
            return Ok(Some(Ask::Check(CheckAsk {
                of,
                guess,
                from,
                key: it.key.clone(),
            })));
        }
        if let Some(it) = &self.report {
            let fate = match it.fate {
                Word::Underway => Fate::Underway,
                Word::Delivered => Fate::Delivered,
                Word::Undelivered => Fate::Undelivered,
            };
            return Ok(Some(Ask::Report(it.message, fate)));
        }
        let redeem = |it: &RedeemStep| Ask::Redeem(it.approval, it.person(), it.key.clone());
        let others = [
            self.cancel.map(Ask::Cancel),
            self.status.map(Ask::Status),
            self.redeem.as_ref().map(redeem),
            self.unlock
                .as_ref()
                .map(|it| Ask::Unlock(it.person(), it.check_limits)),
            self.erase.as_ref().map(|it| Ask::Erase(it.person())),
            self.tick.then_some(Ask::Tick),
        ];
        Ok(others.into_iter().flatten().next())
    }
}

impl Expect {
    /// A refusal says its code, its wait and its rules.
    fn complete(&self) -> Result<(), String> {
        let said = self.code.is_some() && self.wait.is_some() && self.rules.is_some();
        match self.answer == "refused" && !said {
            true => Err("a refusal needs `code`, `wait` (or \"none\") and `rules`".to_owned()),
            false => Ok(()),
        }
    }
}

fn guess(code: &str, sent: usize) -> Result<Guess, String> {
    match (code, code.strip_prefix("message ")) {
        ("right", _) => Ok(Guess::Message(sent.saturating_sub(1))),
        ("wrong", _) => Ok(Guess::Wrong),
        (_, Some(number)) => number
            .parse()
            .map(Guess::Message)
            .map_err(|_| format!("no message `{number}`")),
        ("", None) => Err("`code` is missing".to_owned()),
        (text, None) => Ok(Guess::Text(text.to_owned())),
    }
}

/// `250ms`, `30s`, `10m`, `24h`, `30d`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => {
            return Err(format!(
                "`{text}` is no duration: a whole number and ms, s, m, h or d"
            ));
        }
    };
    let number: u64 = digits.parse().map_err(|_| format!("`{text}` is no duration"))?;
    Ok(Duration::from_millis(number * unit))
}

fn rejection(word: &str) -> Result<Option<verify_core::port::RejectionKind>, String> {
    use verify_core::port::RejectionKind as Kind;
    let kinds = [
        Kind::InvalidDestination,
        Kind::ChannelUnreachable,
        Kind::OptedOut,
        Kind::PrefixBlocked,
        Kind::RegionBlocked,
        Kind::DestinationQuota,
        Kind::Down,
    ];
    match kinds.iter().find(|kind| kind.as_str() == word) {
        Some(kind) => Ok(Some(*kind)),
        None if word == "well" => Ok(None),
        None => Err(format!(
            "`provider` is `well` or a kind of rejection, not `{word}`"
        )),
    }
}

fn level(word: &str) -> Result<verify_core::port::RiskLevel, String> {
    use verify_core::port::RiskLevel as Level;
    match word {
        "low" => Ok(Level::Low),
        "medium" => Ok(Level::Medium),
        "high" => Ok(Level::High),
        other => Err(format!("`risk` is `low`, `medium` or `high`, not `{other}`")),
    }
}

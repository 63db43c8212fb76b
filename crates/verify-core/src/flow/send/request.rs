//! What a send's request alone decides: whether it can be one, its channel, who may carry it, and what the country says.
//! All of it is refused without a store call and without a charge.

use crate::command::SendRequest;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::CountryAction;
use crate::policy::file::Word;
use crate::record::Notes;
use crate::store::ClaimKind;
use crate::time::{Timestamp, Until};
use crate::token::ProofToken;
use crate::vocabulary::Channel;

use crate::flow::candidate::{Candidate, Candidates, candidates};
use crate::flow::context::Context;
use crate::flow::idempotency::{IdempotencyKey, check_key};
use crate::flow::offers::{fallback, with_fallback};
use crate::flow::refusals::blocked;
use crate::flow::who::Who;

/// What the request alone decides.
pub(super) struct Parts {
    pub(super) who: Who,
    pub(super) channel: Channel,
    pub(super) candidates: Vec<Candidate>,
    pub(super) decoy: bool,
    pub(super) idempotency: Option<IdempotencyKey>,
    pub(super) step_up_answered: bool,
    pub(super) human_wanted: bool,
}

impl Parts {
    /// All that can be refused from the request alone, without a store call and without a charge.
    pub(super) fn of(ctx: &mut Context, request: &SendRequest, now: Timestamp) -> Result<Self, Refusal> {
        check_request(ctx, request)?;
        let who = Who::of(ctx, &request.target, &request.caller, now)?;
        let channel = channel_of(ctx, request, &who)?;
        let screened = screen(ctx, &who, channel, now)?;
        // A decoy is refused where the real thing is: an outage must not tell who exists.
        let candidates = match screened.test {
            true => vec![Candidate::test()],
            false => routed(ctx, &who, channel)?,
        };
        let idempotency = request
            .idempotency_key
            .as_ref()
            .map(|key| idempotency(ctx, key, request, &who, channel));
        let step_up_answered = request
            .proof
            .as_ref()
            .is_some_and(|proof| answers_step_up(ctx, &who, proof, now));
        Ok(Self {
            who,
            channel,
            candidates,
            decoy: screened.decoy || request.decoy,
            idempotency,
            step_up_answered,
            human_wanted: screened.human,
        })
    }
}

fn check_request(ctx: &Context, request: &SendRequest) -> Result<(), Refusal> {
    let unfit = |field, text: &'static str| Err(Refusal::new(RefusalCode::InvalidRequest, text).field(field));
    check_key(request.idempotency_key.as_ref())?;
    match request {
        SendRequest {
            locale: Some(locale), ..
        } if !can_be_locale(locale) => unfit(
            "locale",
            "a language tag has 1 to 35 letters, digits, - and _, such as en or pt-BR",
        ),
        SendRequest {
            human_check: Some(token),
            ..
        } if token.len() > 4096 => unfit("human_check", "must have at most 4096 characters"),
        SendRequest { decoy: true, .. } if !ctx.is_private() => unfit(
            "decoy",
            "a decoy needs a policy with privacy.disclosure = \"private\"; nothing was sent",
        ),
        SendRequest { .. } => Ok(()),
    }
}

/// What no provider could know is no wish; any other is negotiated, and never keeps a message from being sent.
fn can_be_locale(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=35).contains(&text.len()) && text.bytes().all(fits)
}

fn channel_of(ctx: &mut Context, request: &SendRequest, who: &Who) -> Result<Channel, Refusal> {
    let policy = std::sync::Arc::clone(&ctx.policy);
    let rules = policy.channels_for(who.purpose());
    let channel = request.channel.unwrap_or(match who.to.fits(Channel::Email) {
        true => Channel::Email,
        false => rules.default,
    });
    if !who.to.fits(channel) {
        return Err(Refusal::new(
            RefusalCode::InvalidRequest,
            "this channel does not reach such a destination: sms, call and whatsapp need a number, email a mailbox",
        )
        .field("channel"));
    }
    if !rules.enabled.contains(&channel) {
        ctx.hit_by("channels_enabled", channel.as_str(), 0);
        // Nobody has to know which channel a mailbox means.
        let (text, field) = match request.channel {
            Some(_) => ("this channel is not in use here", "channel"),
            None => ("no mail is sent here; write a number", "to"),
        };
        let refusal = Refusal::new(RefusalCode::ChannelUnavailable, text).field(field);
        let channels = fallback(ctx, who, &Notes::default(), ctx.explanation.at, |tried| {
            tried == channel
        });
        return Err(with_fallback(ctx, who, refusal, channels));
    }
    Ok(channel)
}

/// What the country and the kind of destination say.
#[derive(Default)]
struct Screened {
    human: bool,
    decoy: bool,
    test: bool,
}

fn screen(ctx: &mut Context, who: &Who, channel: Channel, now: Timestamp) -> Result<Screened, Refusal> {
    let policy = std::sync::Arc::clone(&ctx.policy);
    if let Some(until) = who.test(ctx).map(|test| test.until) {
        // After its date it is neither sent to nor approved.
        if now >= until {
            ctx.hit_by("test_destination", "its date is over", 0);
            return Err(blocked());
        }
        ctx.note("test_destination", "live", 0);
        return Ok(Screened {
            test: true,
            ..Screened::default()
        });
    }
    let country = who.to.country();
    let action = policy.countries.action(&who.to);
    let place = country.as_ref().map_or("no country", |country| country.as_str());
    let judged = format!("{place} {}", action.word());
    let premium = who.to.is_premium() && !policy.numbers.premium_rate_allowed;
    let disposable = who.to.is_disposable() && !policy.email.disposable_allowed;
    let (rule, value) = if premium {
        ("premium_rate", "block")
    } else if disposable {
        ("disposable", "block")
    } else {
        ("country", judged.as_str())
    };
    let decoy = premium || disposable || action == CountryAction::Block;
    if decoy && !ctx.is_private() {
        ctx.hit_by(rule, value, 0);
        return Err(blocked());
    }
    if decoy {
        ctx.note(rule, value, 0);
    }
    let limited = country.and_then(|country| policy.countries.channels.get(&country));
    if limited.is_some_and(|channels| !channels.contains(&channel)) {
        ctx.hit_by("country_channels", format!("{place} {channel}"), 0);
        let refusal = Refusal::new(
            RefusalCode::ChannelUnavailable,
            "this channel does not reach this country",
        );
        let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
        return Err(with_fallback(ctx, who, refusal, channels));
    }
    match action {
        CountryAction::Monitor => ctx.note("country_monitor", judged, 0),
        CountryAction::HumanCheck => ctx.hit_by("country", judged, 0),
        CountryAction::Allow | CountryAction::Block => {}
    }
    Ok(Screened {
        human: action == CountryAction::HumanCheck,
        decoy,
        test: false,
    })
}

fn routed(ctx: &mut Context, who: &Who, channel: Channel) -> Result<Vec<Candidate>, Refusal> {
    let Candidates { awake, resting } = candidates(ctx, who, channel);
    if !awake.is_empty() {
        return Ok(awake);
    }
    let now = ctx.explanation.at;
    let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
    let refusal = match resting.iter().map(|(_, until)| Until::At(*until)).min() {
        Some(until) => {
            ctx.hit_until("breaker", channel.as_str(), Some(until));
            Refusal::new(
                RefusalCode::ProviderUnavailable,
                "nobody can carry this just now; try again in a while",
            )
            .until(until)
        }
        None => {
            ctx.hit_by("no_provider", channel.as_str(), 0);
            let text = "nobody carries this channel here";
            Refusal::new(RefusalCode::ChannelUnavailable, text).field("channel")
        }
    };
    Err(with_fallback(ctx, who, refusal, channels))
}

fn idempotency(
    ctx: &Context,
    key: &str,
    request: &SendRequest,
    who: &Who,
    channel: Channel,
) -> IdempotencyKey {
    let to = who.to.as_delivered();
    let fields = [
        Some(&*to),
        Some(channel.as_str()),
        Some(who.purpose().as_str()),
        who.spelled.subject.as_deref(),
        who.spelled.payment.as_ref().map(|payment| &*payment.amount),
        who.spelled.payment.as_ref().map(|payment| &*payment.payee),
        request.locale.as_deref(),
        Some(who.standing.as_str()),
    ];
    IdempotencyKey::new(ctx, ClaimKind::Send, key, &fields)
}

/// A proof answers a step-up when it is of this subject and was given by a factor stronger than what it steps up from.
/// No such factor exists yet, so today no proof does; the comparison is what a factor will have to pass. One that does is
/// named with what it uses up ([`Changeset::uses_up`](crate::store::Changeset::uses_up)).
fn answers_step_up(ctx: &Context, who: &Who, proof: &str, now: Timestamp) -> bool {
    use crate::token::Assurance;
    let proof: Option<ProofToken> = ctx.keys.open_token(&ctx.service, now, proof).ok();
    proof.is_some_and(|proof| {
        let same = match (&who.subject, &proof.subject) {
            (Some(prints), Some(print)) => prints.contains(print),
            (None, _) | (_, None) => false,
        };
        same && proof.assurance > Assurance::PhoneRestricted
    })
}

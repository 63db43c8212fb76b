//! What a send's request alone decides: whether it can be one, its channel, who may carry it, and what the country says.
//! All of it is refused without a store call and without a charge.

use crate::command::SendRequest;
use crate::outcome::{Refusal, RefusalCode};
use crate::policy::{CountryAction, Disclosure};
use crate::record::Notes;
use crate::store::ClaimKind;
use crate::time::Timestamp;
use crate::token::ProofToken;
use crate::vocabulary::Channel;

use crate::flow::candidate::{Candidate, candidates};
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
        let candidates = if screened.decoy {
            vec![Candidate::decoy()]
        } else if request.decoy {
            // An outage must not tell who exists.
            if !screened.test {
                routed(ctx, &who, channel)?;
            }
            vec![Candidate::decoy()]
        } else if screened.test {
            vec![Candidate::test()]
        } else {
            routed(ctx, &who, channel)?
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
        } if locale.is_empty() || locale.len() > 35 => unfit("locale", "must have 1 to 35 characters"),
        SendRequest {
            human_check: Some(token),
            ..
        } if token.len() > 4096 => unfit("human_check", "must have at most 4096 characters"),
        SendRequest { decoy: true, .. } if ctx.policy.privacy.disclosure == Disclosure::Open => unfit(
            "decoy",
            "a decoy needs a policy with privacy.disclosure = \"private\"; nothing was sent",
        ),
        SendRequest { .. } => Ok(()),
    }
}

fn channel_of(ctx: &Context, request: &SendRequest, who: &Who) -> Result<Channel, Refusal> {
    let rules = ctx.policy.channels_for(who.purpose());
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
        let refusal =
            Refusal::new(RefusalCode::ChannelUnavailable, "this channel is not in use here").field("channel");
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
        ctx.hit("test_destination", 0, None, None);
        // After its date it is neither sent to nor approved.
        let over = blocked();
        return if now < until {
            Ok(Screened {
                test: true,
                ..Screened::default()
            })
        } else {
            Err(over)
        };
    }
    let country = who.to.country();
    let action = country.map_or(CountryAction::Allow, |country| {
        policy
            .countries
            .listed
            .get(&country)
            .copied()
            .unwrap_or(policy.countries.default)
    });
    let premium = who.to.is_premium() && !policy.numbers.premium_rate_allowed;
    let disposable = who.to.is_disposable() && !policy.email.disposable_allowed;
    let rule = if premium {
        "premium_rate"
    } else if disposable {
        "disposable"
    } else {
        "country"
    };
    if premium || disposable || action == CountryAction::Block {
        ctx.hit(rule, 0, None, None);
        if policy.privacy.disclosure == Disclosure::Private {
            return Ok(Screened {
                decoy: true,
                ..Screened::default()
            });
        }
        return Err(blocked());
    }
    let limited = country.and_then(|country| policy.countries.channels.get(&country));
    if limited.is_some_and(|channels| !channels.contains(&channel)) {
        ctx.hit("country_channels", 0, None, None);
        let refusal = Refusal::new(
            RefusalCode::ChannelUnavailable,
            "this channel does not reach this country",
        );
        let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
        return Err(with_fallback(ctx, who, refusal, channels));
    }
    if action == CountryAction::Monitor {
        ctx.hit("country_monitor", 0, None, None);
    }
    Ok(Screened {
        human: action == CountryAction::HumanCheck,
        ..Screened::default()
    })
}

fn routed(ctx: &mut Context, who: &Who, channel: Channel) -> Result<Vec<Candidate>, Refusal> {
    let (found, configured) = candidates(ctx, who, channel);
    if !found.is_empty() {
        return Ok(found);
    }
    let now = ctx.explanation.at;
    let channels = fallback(ctx, who, &Notes::default(), now, |tried| tried == channel);
    let refusal = match configured {
        true => {
            ctx.hit("breaker", 0, None, None);
            Refusal::new(
                RefusalCode::ProviderUnavailable,
                "nobody can carry this just now; try again in a while",
            )
        }
        false => Refusal::new(
            RefusalCode::ChannelUnavailable,
            "nobody carries this channel here",
        )
        .field("channel"),
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
/// No such factor exists yet, so today no proof does; the comparison is what a factor will have to pass.
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

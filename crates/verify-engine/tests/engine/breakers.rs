//! What one verb of a provider is answered rests that verb alone, and what a request can choose turns no readiness.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use verify_core::command::{CancelRequest, CheckRequest, SendRequest};
use verify_core::keys::Keys;
use verify_core::outcome::{CheckAnswer, Explanation, Refusal, RefusalCode, SendAnswer};
use verify_core::port::{RefusalSink, Rejection, RejectionKind};
use verify_core::time::Until;
use verify_core::vocabulary::Channel;
use verify_engine::Engine;
use verify_testkit::{ModelStore, ScriptedProvider, Turn, Verb};

use crate::support::{Gate, HeldClock, Parts, number};

struct World {
    engine: Engine,
    provider: Arc<ScriptedProvider>,
    clock: Arc<HeldClock>,
}

/// One managed provider that carries everything.
fn world() -> World {
    let clock = HeldClock::new();
    let provider = Arc::new(ScriptedProvider::managed("managed", "scope", clock.clone()));
    let engine = Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .store(ModelStore::new())
        .provider(provider.clone())
        .clock(clock.clone())
        .without_client_ip()
        .build()
        .unwrap();
    World {
        engine,
        provider,
        clock,
    }
}

impl World {
    async fn send(&self, n: usize) -> SendAnswer {
        self.engine.send(SendRequest::to(number(n))).await.answer.unwrap()
    }

    async fn check(&self, n: usize) -> CheckAnswer {
        let check = CheckRequest::to(number(n), "000000");
        self.engine.check(check).await.answer.unwrap()
    }
}

fn unavailable(answer: Option<&Refusal>) -> &Refusal {
    let refusal = answer.unwrap();
    assert_eq!(refusal.code, RefusalCode::ProviderUnavailable);
    refusal
}

fn refusal_of(answer: &SendAnswer) -> Option<&Refusal> {
    match answer {
        SendAnswer::Refused(refusal) => Some(refusal),
        SendAnswer::Sent(_) | SendAnswer::Repeated(_) => None,
    }
}

fn check_refused(answer: &CheckAnswer) -> Option<&Refusal> {
    match answer {
        CheckAnswer::Refused(refusal) => Some(refusal),
        CheckAnswer::Approved(_) | CheckAnswer::Unclaimed(_) | CheckAnswer::WrongCode(_) => None,
    }
}

#[tokio::test]
async fn i141_conclusions_and_checks_that_fail_keep_no_send_from_going_out() {
    for verb in [Verb::Conclude, Verb::Compare] {
        for turn in [
            Turn::Unknown,
            Turn::Lost,
            Turn::Reject(RejectionKind::Credentials),
        ] {
            let world = world();
            world.provider.script(verb, vec![turn; 40]);
            for n in 0..40 {
                let SendAnswer::Sent(sent) = world.send(n).await else {
                    panic!("{verb:?} {turn:?}")
                };
                match verb {
                    Verb::Conclude => drop(world.engine.cancel(CancelRequest::of(&sent.id)).await),
                    Verb::Compare | Verb::Dispatch | Verb::Inquire => drop(world.check(n).await),
                }
            }
            let mut refused = 0;
            for n in 100..300 {
                refused += usize::from(!matches!(world.send(n).await, SendAnswer::Sent(_)));
            }
            assert_eq!(refused, 0, "{verb:?} {turn:?}: of 200 honest sends");
        }
    }
}

/// However many ends a provider did not take, it hears of the next: who never hears of one goes on with the old code, which
/// the next message would carry again.
#[tokio::test]
async fn i141_an_end_is_told_whatever_came_of_the_ones_before() {
    for turn in [Turn::Unknown, Turn::Lost] {
        let world = world();
        world.provider.script(Verb::Conclude, vec![turn; 40]);
        for n in 0..40 {
            let SendAnswer::Sent(sent) = world.send(n).await else {
                panic!("{turn:?}")
            };
            drop(world.engine.cancel(CancelRequest::of(&sent.id)).await);
        }
        assert_eq!(world.provider.count(Verb::Conclude), 40, "{turn:?}");
    }
}

#[tokio::test]
async fn i141_sends_that_fail_keep_no_check_from_being_compared() {
    let world = world();
    let SendAnswer::Sent(_) = world.send(50).await else {
        panic!()
    };
    world
        .provider
        .script(Verb::Dispatch, [Turn::Reject(RejectionKind::Down); 10]);
    for n in 0..10 {
        world.send(n).await;
    }
    let refused = world.send(11).await;
    let rests = unavailable(refusal_of(&refused)).retry_at;
    assert_eq!(
        rests,
        Some(Until::At(world.engine.now() + Duration::from_secs(30)))
    );
    let compared = world.check(50).await;
    assert!(matches!(compared, CheckAnswer::WrongCode(_)), "{compared:?}");
}

#[tokio::test]
async fn i67_a_check_that_nobody_compares_just_now_says_when_to_come_back() {
    let world = world();
    world.provider.script(Verb::Compare, [Turn::Unknown; 10]);
    for n in 0..11 {
        world.send(n).await;
    }
    for n in 0..10 {
        world.check(n).await;
    }
    let refused = world.check(10).await;
    let until = unavailable(check_refused(&refused)).retry_at;
    assert_eq!(
        until,
        Some(Until::At(world.engine.now() + Duration::from_secs(30)))
    );
    world.clock.advance(Duration::from_secs(30));
    let compared = world.check(10).await;
    assert!(matches!(compared, CheckAnswer::WrongCode(_)), "{compared:?}");
}

#[tokio::test]
async fn what_only_a_dead_provider_carries_is_not_offered_and_the_wait_is_told() {
    for kind in [
        RejectionKind::Down,
        RejectionKind::Credentials,
        RejectionKind::AccountQuota,
    ] {
        let world = world();
        world.provider.script(Verb::Dispatch, [Turn::Reject(kind)]);
        let refused = world.send(1).await;
        let refusal = unavailable(refusal_of(&refused));
        assert_eq!(refusal.fallback, [], "{kind:?}");
        assert_eq!(refusal.retry_at, None, "nobody knows");
    }
    let world = world();
    let other = SendRequest::to(number(1)).by(Channel::Sms);
    world
        .provider
        .script(Verb::Dispatch, [Turn::Reject(RejectionKind::Misconfigured)]);
    let refused = world.engine.send(other).await.answer.unwrap();
    let refusal = unavailable(refusal_of(&refused));
    assert!(refusal.fallback.contains(&Channel::Call), "{refusal:?}");
}

/// The rest is over, and many come at once: one of them is the probe, and all others are told a wait.
#[tokio::test]
async fn whoever_meets_a_probe_is_told_when_it_is_over() {
    let world = world();
    world
        .provider
        .script(Verb::Dispatch, [Turn::Reject(RejectionKind::Down); 10]);
    for n in 0..10 {
        world.send(n).await;
    }
    world.clock.advance(Duration::from_secs(30));
    world.provider.script(Verb::Dispatch, [Turn::Slow]);
    let engine = world.engine.clone();
    let probe = tokio::spawn(async move { engine.send(SendRequest::to(number(20))).await.answer });
    while world.provider.asked().len() < 11 {
        tokio::task::yield_now().await;
    }
    let refused = world.send(21).await;
    let until = unavailable(refusal_of(&refused)).retry_at;
    assert_eq!(
        until,
        Some(Until::At(world.engine.now() + Duration::from_secs(10)))
    );
    world.provider.release();
    assert!(matches!(probe.await.unwrap(), Ok(SendAnswer::Sent(_))));
    assert!(matches!(world.send(22).await, SendAnswer::Sent(_)));
}

#[tokio::test]
async fn i109_no_answer_to_a_request_turns_readiness_but_refused_credentials() {
    for kind in RejectionKind::ALL {
        let world = world();
        world.provider.script(Verb::Dispatch, [Turn::Reject(*kind)]);
        world.send(1).await;
        let ready = world.engine.readiness().await.is_ready();
        assert_eq!(ready, *kind != RejectionKind::Credentials, "{kind:?}");
    }
}

#[tokio::test]
async fn i109_a_health_check_turns_it_by_what_no_request_can_cause() {
    for kind in RejectionKind::ALL {
        let world = world();
        world.provider.set_health(Some(*kind));
        let readiness = world.engine.readiness().await;
        // A quota is what requests use up.
        let used_up = [RejectionKind::AccountQuota, RejectionKind::DestinationQuota].contains(kind);
        assert_eq!(readiness.is_ready(), used_up, "{kind:?}");
        let said: &Result<(), Rejection> = &readiness.providers["managed"].health;
        assert_eq!(said.as_ref().unwrap_err().kind, *kind);
    }
}

/// Somebody holds a code of the provider that rests: until when is told, and no channel is offered by which nobody could
/// carry that code. A mailbox would get a code of its own.
#[tokio::test]
async fn a_pending_code_that_nobody_can_carry_says_when_somebody_can() {
    let world = world();
    let second = Arc::new(ScriptedProvider::own("second", world.clock.clone()));
    let engine = Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .store(ModelStore::new())
        .provider(world.provider.clone())
        .provider(second)
        .clock(world.clock.clone())
        .without_client_ip()
        .build()
        .unwrap();
    let send = async |n| engine.send(SendRequest::to(number(n))).await.answer.unwrap();
    assert!(matches!(send(1).await, SendAnswer::Sent(_)));
    world.clock.advance(Duration::from_secs(20));
    world
        .provider
        .script(Verb::Dispatch, [Turn::Reject(RejectionKind::Down); 10]);
    for n in 10..20 {
        assert!(matches!(send(n).await, SendAnswer::Sent(_)), "by the second");
    }
    let until = engine.now() + Duration::from_secs(30);
    world.clock.advance(Duration::from_secs(11));
    let refused = send(1).await;
    let refusal = unavailable(refusal_of(&refused));
    assert_eq!(refusal.retry_at, Some(Until::At(until)));
    assert_eq!(refusal.fallback, [Channel::Email]);
}

/// Remembers what it is told.
#[derive(Default)]
struct Refused(Mutex<Vec<(RefusalCode, &'static str)>>);

impl RefusalSink for Refused {
    fn refused(&self, code: RefusalCode, explanation: &Explanation) {
        self.0.lock().push((code, explanation.command));
    }
}

#[tokio::test]
async fn a_refusal_sink_is_told_the_code_that_the_caller_got() {
    let parts = Parts::new(Gate::open());
    let sink = Arc::new(Refused::default());
    let engine = parts.builder().refusal_sink(sink.clone()).build().unwrap();
    parts.provider.rejects(RejectionKind::OptedOut, 1);
    let send = SendRequest::to(number(1));
    drop(engine.send(send.clone()).await);
    drop(engine.send(send).await);
    drop(engine.check(CheckRequest::to(number(1), "000000")).await);
    drop(engine.check(CheckRequest::to(number(1), "no code")).await);
    assert_eq!(
        *sink.0.lock(),
        [
            (RefusalCode::ChannelUnavailable, "send"),
            (RefusalCode::ChannelUnavailable, "send"),
            (RefusalCode::NotFound, "check"),
            (RefusalCode::InvalidCode, "check"),
        ]
    );
}

/// What this process has no room for is not held against the provider.
#[tokio::test(start_paused = true)]
async fn i141_more_calls_than_there_may_be_are_not_made_and_open_no_breaker() {
    let World { provider, clock, .. } = world();
    let engine = Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .store(ModelStore::new())
        .provider(provider.clone())
        .calls_at_once(NonZeroU32::new(2).unwrap())
        .clock(clock.clone())
        .without_client_ip()
        .build()
        .unwrap();
    let world = World {
        engine,
        provider,
        clock,
    };
    world.send(50).await;
    world.provider.script(Verb::Dispatch, [Turn::Slow; 2]);
    let slow = [0, 1].map(|n| {
        let engine = world.engine.clone();
        tokio::spawn(async move { engine.send(SendRequest::to(number(n))).await.answer.unwrap() })
    });
    tokio::task::yield_now().await;
    // As many as would open it, had they been made and failed.
    let refused = (2..22).map(|n| {
        let engine = world.engine.clone();
        tokio::spawn(async move { engine.send(SendRequest::to(number(n))).await.answer.unwrap() })
    });
    for refused in refused.collect::<Vec<_>>() {
        unavailable(refusal_of(&refused.await.unwrap()));
    }
    assert_eq!(world.provider.count(Verb::Dispatch), 3);
    let compared = world.check(50).await;
    assert!(matches!(compared, CheckAnswer::WrongCode(_)), "{compared:?}");
    world.provider.release();
    world.provider.release();
    for sent in slow {
        let sent = sent.await.unwrap();
        assert!(matches!(sent, SendAnswer::Sent(_)), "{sent:?}");
    }
    let sent = world.send(30).await;
    assert!(matches!(sent, SendAnswer::Sent(_)), "{sent:?}");
}

/// Ends that a provider takes its time over have room of their own.
#[tokio::test(start_paused = true)]
async fn i141_ends_that_are_told_slowly_take_no_room_from_sends() {
    let World { provider, clock, .. } = world();
    let builder = Engine::builder()
        .keys(Keys::generate(&[7; 32]))
        .store(ModelStore::new())
        .provider(provider.clone())
        .calls_at_once(NonZeroU32::new(2).unwrap())
        .clock(clock.clone());
    let engine = builder.without_client_ip().build().unwrap();
    let world = World {
        engine,
        provider,
        clock,
    };
    let mut ids = Vec::new();
    for n in 0..2 {
        let SendAnswer::Sent(sent) = world.send(n).await else {
            panic!("{n}")
        };
        ids.push(sent.id.clone());
    }
    world.provider.script(Verb::Conclude, [Turn::Slow; 2]);
    let canceling = ids.into_iter().map(|id| {
        let engine = world.engine.clone();
        tokio::spawn(async move { drop(engine.cancel(CancelRequest::of(&id)).await) })
    });
    let canceling: Vec<_> = canceling.collect();
    while world.provider.count(Verb::Conclude) == 0 {
        tokio::task::yield_now().await;
    }
    for n in 10..12 {
        let sent = world.send(n).await;
        assert!(matches!(sent, SendAnswer::Sent(_)), "{sent:?}");
    }
    world.provider.release();
    world.provider.release();
    for canceled in canceling {
        canceled.await.unwrap();
    }
}

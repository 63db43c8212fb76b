//! The simulated provider keeps the contract of every provider.

use std::sync::Arc;
use std::time::Duration;

use verify_core::port::Clock;
use verify_core::time::Timestamp;
use verify_demo::{PhoneNetwork, SimulatedProvider};
use verify_testkit::suite::provider::ProviderUnderTest;
use verify_testkit::{ManualClock, provider_suite};

provider_suite!(simulated, || async {
    let clock = ManualClock::at(Timestamp::from_millis(1_700_000_000_000));
    let network = Arc::new(PhoneNetwork::new(Arc::new(clock.clone())));
    let (now, provider) = (
        clock.now(),
        SimulatedProvider::new("simulated", Arc::clone(&network)),
    );
    ProviderUnderTest {
        provider: Arc::new(provider),
        now,
        phone: "+12025550199".to_owned(),
        mailbox: "ann@example.com".to_owned(),
        received: Box::new(move |to| {
            clock.advance(Duration::from_secs(2));
            let newest = network.inbox(to).into_iter().next().map(|message| message.code);
            clock.jump_back(Duration::from_secs(2));
            newest
        }),
    }
});

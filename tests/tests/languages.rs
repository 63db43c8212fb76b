//! Which language a provider is handed.
#![allow(missing_docs, reason = "tests")]

use verify_core::command::SendRequest;
use verify_core::flow::Step;
use verify_lab::explore::{Kinds, World};
use verify_tests::{policy, send};

/// The language of the first message of a send.
fn handed(text: &str, kinds: Kinds, request: SendRequest) -> String {
    let mut world = World::new(policy(&format!("version = 1\n{text}")), kinds);
    let mut step = world.start(request);
    while !matches!(step, Step::Dispatch(_) | Step::Done(_)) {
        step = world.perform(step);
    }
    let Step::Dispatch(asked) = step else {
        panic!("a provider is asked: {step:?}")
    };
    asked.request().locale.clone()
}

#[test]
fn i132_a_default_is_a_language_or_left_to_the_country() {
    let said = send().locale("pt_BR");
    let auto = "";
    let none = "[channels]\ndefault_locale = \"none\"";
    let english = "[channels]\ndefault_locale = \"en\"";
    for (text, request, own, managed) in [
        (auto, send(), "und-US", ""),
        (none, send(), "", ""),
        (english, send(), "en", "en"),
        (auto, said.clone(), "pt-BR", "pt-BR"),
        (none, said.clone(), "pt-BR", "pt-BR"),
        (english, said, "pt-BR", "pt-BR"),
    ] {
        assert_eq!(handed(text, Kinds::Own, request.clone()), own, "{text}");
        assert_eq!(handed(text, Kinds::Managed, request), managed, "{text}");
    }
}

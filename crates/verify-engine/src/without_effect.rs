//! What a policy says and this engine has nobody for: who scores, who tells people from programs, who reports, who makes
//! codes. The policy alone cannot know it.

use std::sync::Arc;

use verify_core::flow::Routes;
use verify_core::policy::{Automatic, CodeRules, CountryAction, Policy, PolicySet, RiskRules};
use verify_core::port::{HumanCheck, Maker, RiskScorer};

/// Who is there to be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    scorer: bool,
    human_check: bool,
}

impl Asked {
    pub(crate) fn of(scorers: &[Arc<dyn RiskScorer>], human_check: Option<&dyn HumanCheck>) -> Self {
        Self {
            scorer: !scorers.is_empty(),
            human_check: human_check.is_some_and(HumanCheck::is_configured),
        }
    }
}

/// A line for each key that changes nothing here, or something else than it says.
pub(crate) fn notes(policies: &PolicySet, routes: &Routes, asked: Asked) -> Vec<String> {
    let mut found = of_policy(&policies.default, routes, asked);
    for (service, policy) in &policies.services {
        let own = of_policy(policy, routes, asked).into_iter();
        // What a service inherits is named once, where it stands.
        let own: Vec<String> = own.filter(|line| !found.contains(line)).collect();
        found.extend(own.iter().map(|line| format!("services.{service}.{line}")));
    }
    found
}

fn of_policy(policy: &Policy, routes: &Routes, asked: Asked) -> Vec<String> {
    let purposes = policy.purposes.iter();
    let of_purposes = purposes.map(|(purpose, rules)| {
        (
            format!("purposes.{purpose}."),
            &rules.code,
            &rules.channels,
            &rules.risk,
        )
    });
    let of_all = (String::new(), &policy.code, &policy.channels, &policy.risk);
    let mut found = Vec::new();
    let mut note = |path: String, what: &str| found.push(format!("{path}: {what}"));
    let mut said = [false; 3];
    for (path, code, channels, risk) in std::iter::once(of_all).chain(of_purposes) {
        let says = [
            !asked.scorer && acts_on_scores(risk),
            channels.automatic == Automatic::Always && !routes.providers.values().any(|it| it.reports),
            code.resend != CodeRules::default().resend
                && routes.providers.values().all(|it| it.maker == Maker::Managed),
        ];
        let what = [
            ("risk", "changes nothing: there is no risk scorer"),
            (
                "channels.automatic",
                "changes nothing: no provider reports what became of a message",
            ),
            (
                "code.resend",
                "changes nothing: every provider makes its codes itself",
            ),
        ];
        for ((says, said), (key, what)) in says.into_iter().zip(&mut said).zip(what) {
            // What a purpose inherits is named once.
            if says && !*said {
                note(format!("{path}{key}"), what);
                *said = true;
            }
        }
    }
    let countries = &policy.countries;
    let mut actions = countries.listed.values().chain([&countries.default]);
    if !asked.human_check && actions.any(|action| *action == CountryAction::HumanCheck) {
        note(
            "countries.human_check".to_owned(),
            "refuses: there is nothing that tells people from programs",
        );
    }
    found
}

/// True where a score would change something. Without a scorer every risk is low.
fn acts_on_scores(rules: &RiskRules) -> bool {
    let usual = RiskRules::default();
    let scored = |it: &RiskRules| (it.high, it.medium, it.unavailable, it.medium_from, it.high_from);
    rules.enabled && scored(rules) != scored(&usual)
}

//! The code in the how-to pages, as doctests: what a page shows compiles and runs.

macro_rules! pages {
    ($($page:literal as $name:ident),+ $(,)?) => {$(
        #[doc = include_str!(concat!("../../docs/how-to/", $page))]
        struct $name;
    )+};
}

pages! {
    "add-a-provider.md" as AddAProvider,
    "add-a-risk-scorer.md" as AddARiskScorer,
    "add-a-store.md" as AddAStore,
    "embed-behind-axum.md" as EmbedBehindAxum,
    "rotate-keys.md" as RotateKeys,
    "test-your-app.md" as TestYourApp,
}

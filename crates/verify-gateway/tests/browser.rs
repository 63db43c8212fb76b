//! The demo page in a real browser, by keyboard: a code arrives, is mistyped, is called out, and is right.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[path = "support/program.rs"]
mod program;
#[path = "support/webdriver.rs"]
mod webdriver;

use std::io::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use program::Serving;
use webdriver::{Browser, ENTER, Installed, Screen, TAB};

#[tokio::test]
async fn the_journey_on_a_phone() {
    journey(Screen {
        width: 390,
        height: 844,
        phone: true,
    })
    .await;
}

#[tokio::test]
async fn the_journey_on_a_desk() {
    journey(Screen {
        width: 1280,
        height: 900,
        phone: false,
    })
    .await;
}

async fn journey(screen: Screen) {
    let Some(installed) = installed() else { return };
    let gateway = Serving::start(&[]);
    let browser = Browser::open(&installed, screen).await;
    browser.go(&format!("http://{}/", gateway.address)).await;
    let page = Page { browser, screen };

    let code = page.asks_for_a_code().await;
    page.mistypes(&code).await;
    page.moves_the_clock().await;
    page.asks_for_a_call().await;
    page.is_approved(&code).await;
    page.console_is_clean().await;
}

/// Without a browser nothing is tested, and nothing claims so; in CI that is a failure.
fn installed() -> Option<Installed> {
    match Installed::look() {
        Ok(installed) => Some(installed),
        Err(missing) => {
            let skipped = format!("skipped: the page in a browser ({missing} is not installed)");
            assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{skipped}");
            // Not `eprintln`, which the harness swallows when a test passes.
            std::io::stderr()
                .write_all(format!("\n{skipped}\n").as_bytes())
                .unwrap();
            None
        }
    }
}

/// The page as a person has it before them.
struct Page {
    browser: Browser,
    screen: Screen,
}

impl Page {
    /// The code as the simulated phone shows it.
    async fn asks_for_a_code(&self) -> String {
        self.tabs_through(&["API", "OpenAPI", "to"]).await;
        // A field reached by Tab is selected: typing replaces what it held.
        self.types("+1 202 555 0145").await;
        assert_eq!(
            self.browser.text("document.getElementById('to').value").await,
            "+1 202 555 0145"
        );
        self.looks_right("ask").await;
        self.tabs_through(&["send"]).await;
        self.browser.press([ENTER]).await;
        self.focus_is("code").await;
        self.browser
            .until("document.querySelectorAll('#messages li.sms').length === 1")
            .await;
        self.looks_right("sent").await;
        let message = self
            .browser
            .text("document.querySelector('#messages li.sms').innerText")
            .await;
        message
            .split(|character: char| !character.is_ascii_digit())
            .find(|digits| digits.len() == 6)
            .unwrap_or_else(|| panic!("no code in {message:?}"))
            .to_owned()
    }

    async fn mistypes(&self, code: &str) {
        assert_eq!(self.shown("tries").await, "5");
        let last = if code.ends_with('0') { '1' } else { '0' };
        self.types(&code[..5]).await;
        self.browser.press([last, ENTER]).await;
        self.notice_says("That’s not the code. 4 tries are left.").await;
        assert_eq!(self.shown("tries").await, "4");
        let invalid = "document.getElementById('code').getAttribute('aria-invalid') === 'true'";
        assert_eq!(self.browser.value(invalid).await, true);

        self.browser
            .until("document.getElementById('check').disabled")
            .await;
        let wait = self.shown("check").await;
        assert!(
            wait.starts_with("Try again in 0:") || wait == "Try again in 1:00",
            "{wait}"
        );
        // It counts down by itself.
        self.browser
            .until(&format!(
                "document.getElementById('check').innerText.startsWith('Try again in 0:') && \
                 document.getElementById('check').innerText !== '{wait}'"
            ))
            .await;
        self.looks_right("wrong").await;
    }

    async fn moves_the_clock(&self) {
        // Down the page: what cannot be pressed now is passed over, and the phone comes before the clock.
        self.tabs_through(&["call", "other", "Fill in the code", "+10 s", "+1 min"])
            .await;
        self.browser.press([ENTER]).await;
        self.notice_says("The clock went ahead by 60 seconds.").await;
        self.browser
            .until("!document.getElementById('check').disabled")
            .await;
        assert_eq!(self.shown("check").await, "Verify");
    }

    async fn asks_for_a_call(&self) {
        for stop in ["+10 s", "Fill in the code", "other", "call"] {
            self.browser.press_shifted(TAB).await;
            self.focus_is(stop).await;
        }
        self.browser.press([ENTER]).await;
        self.browser
            .until("[...document.querySelectorAll('#messages li')].map((li) => li.className).join() === 'call,sms'")
            .await;
        self.focus_is("code").await;
        self.looks_right("called").await;
    }

    async fn is_approved(&self, code: &str) {
        self.types(code).await;
        self.browser.press([ENTER]).await;
        self.focus_is("done-title").await;
        assert_eq!(self.shown("done-title").await, "You’re verified");
        assert!(self.shown("proof").await.len() > 20);
        self.looks_right("approved").await;
        self.tabs_through(&["redeem"]).await;
        self.browser.press([ENTER]).await;
        self.notice_says("Spent: sign in, confirmed by").await;
        self.looks_right("spent").await;
    }

    /// The refused code is a failed request to the browser; nothing else may be amiss.
    async fn console_is_clean(&self) {
        let said = self.browser.console().await;
        let (refused, amiss): (Vec<_>, Vec<_>) = said.iter().partition(|line| {
            let message = line["message"].as_str().unwrap();
            line["source"] == "network" && message.contains("/verify/check") && message.contains("401")
        });
        assert_eq!(refused.len(), 1, "{said:?}");
        assert!(amiss.is_empty(), "{amiss:?}");
    }

    async fn types(&self, text: &str) {
        self.browser.press(text.chars()).await;
    }

    async fn tabs_through(&self, stops: &[&str]) {
        for stop in stops {
            self.browser.press([TAB]).await;
            self.focus_is(stop).await;
        }
    }

    /// By its id, or by its text where it has none; and a person can see it.
    async fn focus_is(&self, stop: &str) {
        let named = "(document.activeElement.id || document.activeElement.innerText)";
        self.browser
            .until(&format!(
                "{named} === '{stop}' && document.activeElement.checkVisibility()"
            ))
            .await;
    }

    async fn shown(&self, id: &str) -> String {
        self.browser
            .text(&format!("document.getElementById('{id}').innerText"))
            .await
    }

    /// In words that a screen reader is told, too.
    async fn notice_says(&self, words: &str) {
        self.browser
            .until(&format!(
                "[...document.querySelectorAll('[role=status]')].some((notice) => notice.checkVisibility() && \
                 notice.innerText.includes('{words}'))"
            ))
            .await;
    }

    /// Nothing sticks out at the side. Keeps a picture where somebody wants to look at it.
    async fn looks_right(&self, step: &str) {
        let width = self.screen.width;
        let widths =
            "[innerWidth, Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)]";
        let widths = self.browser.value(widths).await;
        assert_eq!(widths[0], width, "{step}");
        assert!(
            widths[1].as_u64().unwrap() <= u64::from(width),
            "{step}: {widths}"
        );
        if let Some(folder) = std::env::var_os("VERIFY_SCREENSHOTS") {
            let picture = BASE64_STANDARD.decode(self.browser.picture().await).unwrap();
            let file = std::path::Path::new(&folder).join(format!("{width}-{step}.png"));
            std::fs::write(file, picture).unwrap();
        }
    }
}

//! A real browser, driven over WebDriver: few requests are needed, and no library for them that brings less than it
//! costs.
#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::Client;
use serde_json::{Value, json};

/// How long a condition of the page may take to come true; far more than it ever needs.
const DEADLINE_MILLIS: u32 = 60_000;

pub const TAB: char = '\u{e004}';
pub const ENTER: char = '\u{e007}';
const SHIFT: char = '\u{e008}';

/// Where browser and driver are on this machine.
pub struct Installed {
    browser: PathBuf,
    driver: PathBuf,
}

impl Installed {
    /// What the `PATH` has, or the name of what it lacks.
    pub fn look() -> Result<Self, &'static str> {
        Ok(Self {
            browser: on_path("chromium").ok_or("chromium")?,
            driver: on_path("chromedriver").ok_or("chromedriver")?,
        })
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A screen to show the page on, in CSS pixels.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    pub width: u32,
    pub height: u32,
    pub phone: bool,
}

/// One window of a browser with a profile of its own.
pub struct Browser {
    http: Client,
    session: String,
    // Fields are dropped in this order: the profile goes when nobody writes to it any more.
    _driver: Driver,
    _profile: Profile,
}

impl Browser {
    pub async fn open(installed: &Installed, screen: Screen) -> Self {
        let profile = Profile::new(screen.width);
        let driver = Driver::start(&installed.driver, &profile.0);
        let http = Client::builder().no_proxy().build().unwrap();
        let base = format!("http://127.0.0.1:{}", driver.port);
        let wanted = capabilities(&installed.browser, &profile.0, screen);
        let answer = request(&http, &format!("{base}/session"), wanted).await;
        let id = answer["sessionId"].as_str().unwrap();
        Self {
            session: format!("{base}/session/{id}"),
            http,
            _driver: driver,
            _profile: profile,
        }
    }

    pub async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    /// The value of an expression in the page.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    pub async fn text(&self, expression: &str) -> String {
        let value = self.value(expression).await;
        value
            .as_str()
            .unwrap_or_else(|| panic!("{expression} is no text: {value}"))
            .to_owned()
    }

    /// Waits until the expression is true in the page, which looks again with each frame that it draws.
    pub async fn until(&self, expression: &str) {
        let script = format!(
            "return new Promise((resolve) => {{ const look = () => ({expression}) ? resolve(true) : \
             requestAnimationFrame(look); look(); }});"
        );
        let body = json!({ "script": script, "args": [] });
        let url = format!("{}/execute/sync", self.session);
        if let Err(why) = answer(&self.http, &url, body).await {
            let shown = self.value("document.body.innerText").await;
            panic!("never true: {expression}: {why}\nThe page shows: {shown}");
        }
    }

    /// Presses keys one after the other, wherever the focus is.
    pub async fn press(&self, keys: impl IntoIterator<Item = char>) {
        let strokes = keys.into_iter().flat_map(|key| [down(key), up(key)]).collect();
        self.keys(strokes).await;
    }

    pub async fn press_shifted(&self, key: char) {
        self.keys(vec![down(SHIFT), down(key), up(key), up(SHIFT)]).await;
    }

    /// What the console has said since the last call.
    pub async fn console(&self) -> Vec<Value> {
        let log = self.post("se/log", json!({ "type": "browser" })).await;
        log.as_array().unwrap().clone()
    }

    /// A picture of the whole page as PNG, in base64.
    pub async fn picture(&self) -> String {
        let wanted = json!({ "cmd": "Page.captureScreenshot", "params": { "captureBeyondViewport": true } });
        let answer = self.post("goog/cdp/execute", wanted).await;
        answer["data"].as_str().unwrap().to_owned()
    }

    async fn keys(&self, strokes: Vec<Value>) {
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": strokes });
        self.post("actions", json!({ "actions": [keyboard] })).await;
    }

    async fn post(&self, command: &str, body: Value) -> Value {
        let url = format!("{}/{command}", self.session);
        request(&self.http, &url, body).await
    }
}

fn down(key: char) -> Value {
    json!({ "type": "keyDown", "value": key })
}

fn up(key: char) -> Value {
    json!({ "type": "keyUp", "value": key })
}

fn capabilities(browser: &Path, profile: &Path, screen: Screen) -> Value {
    let profile = format!("--user-data-dir={}", profile.display());
    let window = format!("--window-size={},{}", screen.width, screen.height);
    let args = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        &profile,
        &window,
    ];
    let metrics = json!({
        "width": screen.width,
        "height": screen.height,
        "pixelRatio": 1,
        "mobile": screen.phone,
        "touch": screen.phone,
    });
    json!({ "capabilities": { "alwaysMatch": {
        "browserName": "chrome",
        "timeouts": { "script": DEADLINE_MILLIS, "pageLoad": DEADLINE_MILLIS },
        "goog:loggingPrefs": { "browser": "ALL" },
        "goog:chromeOptions": {
            "binary": browser,
            "args": args,
            "mobileEmulation": { "deviceMetrics": metrics },
        },
    } } })
}

async fn request(http: &Client, url: &str, body: Value) -> Value {
    answer(http, url, body)
        .await
        .unwrap_or_else(|why| panic!("{url}: {why}"))
}

async fn answer(http: &Client, url: &str, body: Value) -> Result<Value, String> {
    let response = http.post(url).json(&body).send().await.unwrap();
    let good = response.status().is_success();
    let answer: Value = response.json().await.unwrap();
    if good {
        Ok(answer["value"].clone())
    } else {
        Err(answer["value"]["message"].to_string())
    }
}

/// The driver's process. It ends its browsers when it is told to end.
struct Driver {
    child: Child,
    // Open for as long as the driver may write.
    _lines: BufReader<ChildStdout>,
    port: u16,
}

impl Driver {
    fn start(program: &Path, home: &Path) -> Self {
        let mut child = Command::new(program)
            .arg("--port=0")
            .env("HOME", home)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert_ne!(
                lines.read_line(&mut line).unwrap(),
                0,
                "chromedriver ended without a port"
            );
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        Self {
            child,
            _lines: lines,
            port,
        }
    }

    /// Asks it to close its browsers and to end.
    fn end(&self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        // The answer is the end of the line, whatever it says.
        stream.read_to_end(&mut Vec::new()).map(drop)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.end().is_err() {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// A folder for the browser alone.
struct Profile(PathBuf);

impl Profile {
    fn new(width: u32) -> Self {
        let name = format!("verify-browser-{}-{width}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A leftover in the folder for temporary files is no reason to fail.
        std::fs::remove_dir_all(&self.0).ok();
    }
}

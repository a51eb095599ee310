//! One person's browser: a session with a virtual authenticator, and what a person does and sees.

use crate::driver::Driver;
use crate::passkey::{Authenticator, Passkey};
use crate::waiting::{until, until_within};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::{WebDriverCompatibleCommand, WindowHandle};
use fantoccini::{Client, Locator};
use http::Method;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// An open browser; closing it is left to its drop.
pub(crate) struct Browser {
    client: Client,
    session: String,
    port: u16,
    _profile: TempDir,
}

/// A command below `/session/{id}/` that the client has no name for.
#[derive(Debug)]
struct Extension {
    method: Method,
    path: String,
    body: Option<Value>,
}

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!(
            "session/{}/{}",
            session.unwrap_or_default(),
            self.path
        ))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (
            self.method.clone(),
            self.body.as_ref().map(Value::to_string),
        )
    }
}

impl Browser {
    /// A browser that has no authenticator.
    pub(crate) async fn open(driver: &Driver) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let client = driver.connect(profile.path()).await;
        let session = client.session_id().await.unwrap().unwrap();
        Self {
            client,
            session,
            port: driver.port(),
            _profile: profile,
        }
    }

    /// A browser on a device that makes and uses passkeys, its user verified each time.
    pub(crate) async fn with_authenticator(driver: &Driver) -> (Self, Authenticator) {
        let browser = Self::open(driver).await;
        let options = json!({
            "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
            "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
        });
        let added = browser
            .extension(Method::POST, "webauthn/authenticator", Some(options))
            .await;
        (
            browser,
            Authenticator::new(added.as_str().unwrap().to_owned()),
        )
    }

    /// The passkeys that an authenticator holds now.
    pub(crate) async fn passkeys(&self, authenticator: &Authenticator) -> Vec<Passkey> {
        let path = authenticator.path("credentials");
        let held = self.extension(Method::GET, &path, None).await;
        let held = held.as_array().unwrap();
        held.iter().map(Passkey::read).collect()
    }

    /// Whether the authenticator recognises its user from now on.
    pub(crate) async fn recognise(&self, authenticator: &Authenticator, verified: bool) {
        let path = authenticator.path("uv");
        let body = json!({"isUserVerified": verified});
        self.extension(Method::POST, &path, Some(body)).await;
    }

    /// Sets the counts of the authenticator's passkeys back, as those of an older copy are.
    pub(crate) async fn count_back(&self, authenticator: &Authenticator) {
        let all = authenticator.path("credentials");
        let mut held = self.extension(Method::GET, &all, None).await;
        for passkey in held.as_array_mut().unwrap() {
            passkey["signCount"] = json!(0);
            let one = format!("{all}/{}", passkey["credentialId"].as_str().unwrap());
            self.extension(Method::DELETE, &one, None).await;
            let add = authenticator.path("credential");
            self.extension(Method::POST, &add, Some(passkey.clone()))
                .await;
        }
    }

    async fn extension(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let command = Extension {
            method,
            path: path.to_owned(),
            body,
        };
        self.client.issue_cmd(command).await.unwrap()
    }

    /// A command of the Chrome DevTools Protocol.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({"cmd": command, "params": parameters});
        self.extension(Method::POST, "goog/cdp/execute", Some(body))
            .await
    }

    /// Goes to a new tab of the same window; the others are in the background from then on.
    pub(crate) async fn new_tab(&self) {
        let tab = self.client.new_window(true).await.unwrap();
        self.client.switch_to_window(tab.handle).await.unwrap();
    }

    /// A window of its own, which stays visible, in which everything happens from now on.
    pub(crate) async fn new_window(&self) -> WindowHandle {
        let window = self.client.new_window(false).await.unwrap().handle;
        self.switch_to(&window).await;
        window
    }

    /// Goes on in another window.
    pub(crate) async fn switch_to(&self, window: &WindowHandle) {
        self.client.switch_to_window(window.clone()).await.unwrap();
    }

    /// Closes the window, after which [`Self::switch_to`] is needed.
    pub(crate) async fn close_window(&self) {
        self.client.close_window().await.unwrap();
    }

    /// Opens an address and waits until it has loaded.
    pub(crate) async fn goto(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// What a script returns; it waits for promises.
    pub(crate) async fn script(&self, body: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(body, arguments).await.unwrap()
    }

    /// Clicks as a mouse does: scrolled into view, and refused when something else lies above.
    pub(crate) async fn click(&self, selector: &str) {
        self.on(selector, async |element| element.click().await)
            .await;
    }

    /// Types into a field.
    pub(crate) async fn write(&self, selector: &str, text: &str) {
        self.on(selector, async |element| element.send_keys(text).await)
            .await;
    }

    /// Presses and releases one key.
    pub(crate) async fn press(&self, key: Key) {
        self.type_keys(&[char::from(key)]).await;
    }

    /// Types wherever the focus is.
    pub(crate) async fn type_text(&self, text: &str) {
        self.type_keys(&text.chars().collect::<Vec<_>>()).await;
    }

    async fn type_keys(&self, keys: &[char]) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys.iter().copied() {
            actions = actions
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// Presses Tab until the element has the focus; gives the ids and tags on the way.
    pub(crate) async fn tab_to(&self, id: &str) -> Vec<String> {
        let mut way = Vec::new();
        for _ in 0..60 {
            self.press(Key::Tab).await;
            let focused = self.focused().await;
            way.push(focused.clone());
            if focused == id {
                return way;
            }
        }
        panic!("Tab never came to #{id}: {way:?}");
    }

    /// The id of what has the focus, or its tag.
    pub(crate) async fn focused(&self) -> String {
        let focused = "const at = document.activeElement; return at.id || at.tagName";
        let focused = self.script(focused, Vec::new()).await;
        focused.as_str().unwrap().to_owned()
    }

    /// Does something with an element; with the one that is there then, where the page has replaced it since
    /// it was found, as lists do that are brought up to date.
    async fn on<T>(
        &self,
        selector: &str,
        action: impl AsyncFn(Element) -> Result<T, CmdError>,
    ) -> T {
        loop {
            let done = match self.client.find(Locator::Css(selector)).await {
                Ok(element) => action(element).await,
                Err(why) => Err(why),
            };
            match done {
                Ok(done) => return done,
                Err(why) if why.is_stale_element_reference() => {}
                Err(why) => {
                    let body = "return document.body.innerText";
                    let body = self.script(body, Vec::new()).await;
                    panic!("{selector}: {why}\n{}", body.as_str().unwrap_or_default());
                }
            }
        }
    }

    /// An element's text as it is shown.
    pub(crate) async fn text(&self, selector: &str) -> String {
        self.on(selector, async |element| element.text().await)
            .await
    }

    /// Whether an element can be used.
    pub(crate) async fn is_enabled(&self, selector: &str) -> bool {
        self.on(selector, async |element| element.is_enabled().await)
            .await
    }

    /// The page's heading.
    pub(crate) async fn heading(&self) -> String {
        self.text("h1").await
    }

    /// What the page's message line or verdict says once it says `part` and the ceremony is over.
    pub(crate) async fn told(&self, part: &str) -> String {
        let what = format!("a message with {part:?}");
        until(&what, async || self.message(part).await).await
    }

    /// As [`Self::told`], with a patience of its own.
    pub(crate) async fn told_within(&self, patience: Duration, part: &str) -> String {
        let what = format!("a message with {part:?}");
        until_within(patience, &what, async || self.message(part).await).await
    }

    async fn message(&self, part: &str) -> Option<String> {
        let shown = "const line = document.querySelector('#message, .verdict'); \
                     return line && !line.hidden && !document.querySelector('[aria-busy]') \
                       ? line.innerText : null";
        let shown = self.script(shown, Vec::new()).await;
        shown
            .as_str()
            .filter(|text| text.contains(part))
            .map(str::to_owned)
    }

    /// How the page is looked at from now on; the width is in CSS pixels.
    pub(crate) async fn look_with(&self, width: u32, height: u32, scheme: &str) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics)
            .await;
        let media = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Leaves a picture of what the window shows in `target/screenshots`, and says where.
    pub(crate) async fn screenshot(&self, name: &str) -> PathBuf {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
        std::fs::create_dir_all(&folder).unwrap();
        let taken = self
            .devtools("Page.captureScreenshot", json!({"format": "png"}))
            .await;
        let png = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, png).unwrap();
        file
    }

    /// Everything that the browser's console got since the last time it was asked.
    pub(crate) async fn console(&self) -> Vec<String> {
        let body = json!({"type": "browser"});
        let entries = self.extension(Method::POST, "se/log", Some(body)).await;
        let entries = entries.as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["message"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Fails when the console has anything but what belongs to an answer with this status: no
    /// violated policy, no exception, no missing file.
    pub(crate) async fn expect_console_with_only(&self, status: &str) {
        let answer = format!("the server responded with a status of {status}");
        for message in self.console().await {
            assert!(message.contains(&answer), "on the console: {message}");
        }
    }

    /// Fails when the console has anything.
    pub(crate) async fn expect_silent_console(&self) {
        let console = self.console().await;
        assert!(console.is_empty(), "on the console: {console:?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        Driver::close(self.port, &self.session);
    }
}

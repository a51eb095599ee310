//! A device that is told of questions: its page, and its service worker. No push service is reached from here, so the
//! browser's subscription is put in its place; what a push does is real.

use crate::account::{PASSWORD, logged_in, shown};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::prefixed::behind_a_proxy;
use crate::service::Service;
use crate::waiting::until;
use fixtures::receiver::PushReceiver;
use serde_json::{Value, json};

/// Puts a subscription in the place of what a push service would give; where a second one is named, that is held from
/// the start, under a key that is not the service's.
const SUBSCRIBED: &str = "const [json, earlier] = arguments; \
    const bytes = (text) => Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0)); \
    const make = (json, key) => ({ endpoint: json.endpoint, toJSON: () => json, options: { applicationServerKey: key.buffer }, \
      unsubscribe: async () => { held = null; return true; } }); \
    let held = earlier ? make(earlier, new Uint8Array(65)) : null; \
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => { \
      if (!userVisibleOnly) throw new Error('silent'); \
      window.keyOfServer = applicationServerKey; held = make(json, bytes(applicationServerKey)); return held; }; \
    PushManager.prototype.getSubscription = async () => held; \
    Notification.requestPermission = async () => window.answer ?? 'granted';";

const NOTIFICATIONS: &str = "return navigator.serviceWorker.getRegistrations() \
    .then(([registration]) => registration?.getNotifications() ?? []) \
    .then((all) => all.map(({ title, body, data, tag }) => ({ title, body, data, tag })));";

async fn device_rows(browser: &Browser) -> u64 {
    let rows = "return document.querySelectorAll('#device-rows li').length";
    browser.script(rows, Vec::new()).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_has_this_device_told_and_removes_it() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    logged_in(&browser, &service, "anna").await;
    shown(&browser, "#devices").await;
    let made = subscription("of-a-test");
    browser.script(SUBSCRIBED, vec![made]).await;

    browser.script("window.answer = 'denied'", Vec::new()).await;
    browser.click("#add-device").await;
    browser.told("This browser blocks notifications").await;
    assert_eq!(device_rows(&browser).await, 0);
    browser
        .script("window.answer = 'granted'", Vec::new())
        .await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    assert_eq!(device_rows(&browser).await, 1);
    let row = browser.text("#device-rows").await;
    assert!(
        row.contains("fcm.googleapis.com") && row.contains("this one"),
        "{row}"
    );
    assert_eq!(browser.text("#add-device").await, "", "it is told already");
    let key = browser
        .script("return window.keyOfServer", Vec::new())
        .await;
    assert_eq!(key.as_str().unwrap().len(), 87);
    look_closely(&browser, "devices").await;

    browser.click("#device-rows button").await;
    browser.click("#device-rows button").await;
    browser.told("The device is removed").await;
    assert_eq!(device_rows(&browser).await, 0);
    assert_eq!(service.payloads("user.device_removed").len(), 1);
}

fn subscription(of: &str) -> Value {
    let endpoint = format!("https://fcm.googleapis.com/fcm/send/{of}");
    PushReceiver::subscribe(&endpoint, "", 3).subscription()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_was_registered_under_an_earlier_key_is_offered_to_register_again() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    logged_in(&browser, &service, "anna").await;
    shown(&browser, "#devices").await;
    let (first, second) = (subscription("first"), subscription("second"));
    browser.script(SUBSCRIBED, vec![first.clone()]).await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    assert_eq!(browser.text("#earlier-key").await, "");

    let from_start = format!("(function () {{ {SUBSCRIBED} }})({second}, {first})");
    let source = json!({"source": from_start});
    let install = "Page.addScriptToEvaluateOnNewDocument";
    browser.devtools(install, source).await;
    browser.goto(&format!("{}/", service.origin)).await;
    shown(&browser, "#earlier-key").await;
    assert_eq!(
        browser.text("#add-device").await,
        "Register this device again"
    );
    look_closely(&browser, "devices-earlier-key").await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    assert_eq!(device_rows(&browser).await, 1, "the earlier one is gone");
    assert_eq!(browser.text("#earlier-key").await, "");
    assert!(browser.text("#device-rows").await.contains("this one"));
    assert_eq!(service.payloads("user.device_removed").len(), 1);
    assert_eq!(service.payloads("user.device_added").len(), 2);
}

/// The notification of that title once the worker was given the message, as the first registration of a profile. What
/// DevTools let in is lost while the browser looks for a worker, so it is given until it is shown; one tag is shown
/// once.
async fn pushed(browser: &Browser, origin: &str, data: &str, title: &str) -> Value {
    let message = json!({"origin": origin, "registrationId": "0", "data": data});
    until(title, async || {
        let deliver = "ServiceWorker.deliverPushMessage";
        browser.devtools(deliver, message.clone()).await;
        let all = browser.script(NOTIFICATIONS, Vec::new()).await;
        let all = all.as_array()?.clone();
        all.into_iter().find(|one| one["title"] == title)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_shown_with_its_words_and_leads_to_this_service_alone() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    logged_in(&browser, &service, "anna").await;
    let origin = &service.origin;
    let allow = json!({"origin": origin, "permissions": ["notifications"]});
    browser.devtools("Browser.grantPermissions", allow).await;
    let made = subscription("of-a-test");
    browser.script(SUBSCRIBED, vec![made]).await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    let scope = "return navigator.serviceWorker.getRegistrations().then(([one]) => one.scope)";
    let scope = browser.script(scope, Vec::new()).await;
    assert_eq!(scope, format!("{origin}/assets/push/"));

    browser.devtools("ServiceWorker.enable", json!({})).await;
    let url = format!("{origin}/a/AAAAAAAAAAAAAAAAAAAAAA");
    let told = json!({"title": "A decision is wanted (risk: safe)", "body": "ci asks", "url": url});
    let shown = pushed(
        &browser,
        origin,
        &told.to_string(),
        "A decision is wanted (risk: safe)",
    )
    .await;
    assert_eq!(
        (&shown["body"], &shown["data"], &shown["tag"]),
        (&json!("ci asks"), &json!(url), &json!(url))
    );
    // An address elsewhere, and words that are none, lead to the inbox.
    let elsewhere = json!({"title": "Elsewhere", "url": "https://other.example/"});
    let shown = pushed(&browser, origin, &elsewhere.to_string(), "Elsewhere").await;
    assert_eq!(shown["data"], format!("{origin}/inbox"));
    let shown = pushed(&browser, origin, "no json", "A decision is wanted").await;
    assert_eq!(shown["data"], format!("{origin}/inbox"));
}

/// Presses the notification with that title: what the worker opens then. Only a person's hand opens a window, so that
/// is put in its place.
async fn pressed(browser: &Browser, title: &str) -> Value {
    let targets = browser.devtools("Target.getTargets", json!({})).await;
    let all = targets["targetInfos"].as_array().unwrap().iter();
    let mut workers = all.filter(|target| target["type"] == "service_worker");
    let target = json!({"targetId": workers.next().unwrap()["targetId"], "flatten": false});
    let session = browser.devtools("Target.attachToTarget", target).await;
    let press = format!(
        "self.clients.openWindow = async (address) => \
           (await caches.open('pressed')).put('/pressed', new Response(address)); \
         self.registration.getNotifications().then((all) => self.dispatchEvent(new NotificationEvent( \
           'notificationclick', {{ notification: all.find((one) => one.title === {title:?}) }})))"
    );
    let evaluate = json!({"id": 1, "method": "Runtime.evaluate", "params": {"expression": press}});
    let message = json!({"sessionId": session["sessionId"], "message": evaluate.to_string()});
    let send = "Target.sendMessageToTarget";
    browser.devtools(send, message).await;
    let opened = "return caches.open('pressed').then((kept) => kept.match('/pressed')) \
        .then((answer) => answer?.text() ?? null)";
    until("what is opened", async || {
        let opened = browser.script(opened, Vec::new()).await;
        opened.is_string().then_some(opened)
    })
    .await
}

/// What the manifest that the page names leads to, as the browser reads it.
async fn manifest(browser: &Browser) -> Value {
    let read = "const link = document.querySelector('link[rel=manifest]'); \
        return fetch(link.href).then(async (answer) => { \
          const { start_url, scope, display, name, icons } = await answer.json(); \
          const at = (to) => new URL(to, link.href).href; \
          const found = await Promise.all(icons.map(({ src }) => fetch(at(src)))); \
          return { start: at(start_url), scope: at(scope), display, name, type: answer.headers.get('content-type'), \
            icons: found.every((icon) => icon.ok && icon.headers.get('content-type') === 'image/png') }; })";
    browser.script(read, Vec::new()).await
}

/// What Chromium finds wrong with the manifest.
async fn manifest_errors(browser: &Browser) -> Value {
    let found = browser.devtools("Page.getAppManifest", json!({})).await;
    assert_ne!(found["url"], "", "{found}");
    found["errors"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_a_push_is_shown_and_its_link_opens_the_question() {
    let (service, _, base_url) = behind_a_proxy().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let account = format!("{base_url}/");
    browser.goto(&account).await;
    shown(&browser, "#stranger").await;
    for (field, text) in [("#username", "anna"), ("#password", PASSWORD)] {
        browser.write(field, text).await;
    }
    browser.click("#with-password").await;
    let inbox = format!("{base_url}/inbox");
    until("the inbox", async || {
        let at = browser.script("return location.href", Vec::new()).await;
        (at == inbox.as_str()).then_some(())
    })
    .await;
    let expected = json!({"start": inbox, "scope": account, "display": "standalone",
        "name": "Permission Proxy", "type": "application/manifest+json", "icons": true});
    for page in [&inbox, &account] {
        browser.goto(page).await;
        assert_eq!(manifest(&browser).await, expected, "{page}");
        assert_eq!(manifest_errors(&browser).await, json!([]), "{page}");
    }
    shown(&browser, "#devices").await;
    let (origin, _) = base_url.rsplit_once('/').unwrap();
    let allow = json!({"origin": origin, "permissions": ["notifications"]});
    browser.devtools("Browser.grantPermissions", allow).await;
    let made = subscription("of-a-test");
    browser.script(SUBSCRIBED, vec![made]).await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    let scope = "return navigator.serviceWorker.getRegistrations().then(([one]) => one.scope)";
    let scope = browser.script(scope, Vec::new()).await;
    assert_eq!(scope, format!("{base_url}/assets/push/"));

    let asked = service.ask_for_purge().await;
    browser.devtools("ServiceWorker.enable", json!({})).await;
    let told =
        json!({"title": "A decision is wanted (risk: safe)", "body": "ci asks", "url": asked.url});
    let title = "A decision is wanted (risk: safe)";
    let shown = pushed(&browser, origin, &told.to_string(), title).await;
    assert_eq!(shown["data"], asked.url.as_str());
    // Another service may stand on the same host.
    let beside = format!("{origin}/other/a/AAAAAAAAAAAAAAAAAAAAAA");
    let beside = json!({"title": "Beside", "url": beside}).to_string();
    let elsewhere = pushed(&browser, origin, &beside, "Beside").await;
    assert_eq!(elsewhere["data"], inbox.as_str());
    let link = pressed(&browser, title).await;
    assert_eq!(link, asked.url.as_str());
    browser.goto(link.as_str().unwrap()).await;
    assert!(browser.heading().await.contains("app.css"));
}

//! A device that is told of questions: its page, and its service worker. No push service is reached from here, so the
//! browser's subscription is put in its place; what a push does is real.

use crate::account::{PASSWORD, logged_in, shown};
use crate::browser::Browser;
use crate::driver::Driver;
use crate::layout::look;
use crate::prefixed::behind_a_proxy;
use crate::service::Service;
use crate::waiting::until;
use fixtures::receiver::PushReceiver;
use serde_json::{Value, json};

/// Puts a subscription in the place of what a push service would give.
const SUBSCRIBED: &str = "const [json] = arguments; \
    let held = null; \
    const made = { endpoint: json.endpoint, toJSON: () => json, unsubscribe: async () => { held = null; return true; } }; \
    PushManager.prototype.subscribe = async ({ userVisibleOnly, applicationServerKey }) => { \
      if (!userVisibleOnly) throw new Error('silent'); \
      window.keyOfServer = applicationServerKey; held = made; return made; }; \
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
    let endpoint = "https://fcm.googleapis.com/fcm/send/of-a-test";
    let subscription = PushReceiver::subscribe(endpoint, "", 3).subscription();
    browser.script(SUBSCRIBED, vec![subscription]).await;

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
    look(&browser, "devices").await;

    browser.click("#device-rows button").await;
    browser.click("#device-rows button").await;
    browser.told("The device is removed").await;
    assert_eq!(device_rows(&browser).await, 0);
    assert_eq!(service.payloads("user.device_removed").len(), 1);
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
    let endpoint = "https://fcm.googleapis.com/fcm/send/of-a-test";
    let subscription = PushReceiver::subscribe(endpoint, "", 3).subscription();
    browser.script(SUBSCRIBED, vec![subscription]).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_the_worker_is_that_of_the_path() {
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
    browser.goto(&account).await;
    shown(&browser, "#devices").await;
    let endpoint = "https://fcm.googleapis.com/fcm/send/of-a-test";
    let subscription = PushReceiver::subscribe(endpoint, "", 3).subscription();
    browser.script(SUBSCRIBED, vec![subscription]).await;
    browser.click("#add-device").await;
    browser.told("This device is told of new questions").await;
    let scope = "return navigator.serviceWorker.getRegistrations().then(([one]) => one.scope)";
    let scope = browser.script(scope, Vec::new()).await;
    assert_eq!(scope, format!("{base_url}/assets/push/"));
}

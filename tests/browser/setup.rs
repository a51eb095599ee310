//! The first admin, by the link of a start.

use crate::account::{arrived, shown};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::service::Service;
use serde_json::Value;

const TOKEN: &str = "the-service-token-of-the-browser-tests";

/// Types a name in place of what stands there; whether the browser takes it.
async fn fits(browser: &Browser, name: &str) -> Value {
    let clear = "document.querySelector('#username').value = ''";
    browser.script(clear, Vec::new()).await;
    browser.write("#username", name).await;
    let look = "return document.querySelector('#username').checkValidity()";
    browser.script(look, Vec::new()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_admin_is_made_behind_the_link_of_a_start_and_logs_in() {
    let service = Service::start_with(&[("SERVICE_TOKEN", TOKEN)]).await;
    let bob = format!("user create bob --role viewer --json --token {TOKEN}");
    service.command(&bob, "");
    let link = service.setup_link().await;
    let driver = Driver::start();
    let (browser, authenticator) = Browser::with_authenticator(&driver).await;
    let (late, _) = Browser::with_authenticator(&driver).await;
    for browser in [&browser, &late] {
        browser.goto(&link).await;
        assert_eq!(browser.heading().await, "Make the first admin");
    }
    look_closely(&browser, "setup").await;
    for (name, expected) in [("Bob", false), ("bob-1.x_@y", true), ("bob", true)] {
        assert_eq!(fits(&browser, name).await, expected, "{name}");
    }
    browser.expect_silent_console().await;
    browser.click("#register").await;
    browser.told("That name is taken").await;
    assert_eq!(fits(&browser, "anna").await, true);
    browser.click("#register").await;
    browser.told("Your passkey is registered").await;
    look_closely(&browser, "setup-done").await;
    assert_eq!(browser.passkeys(&authenticator).await.len(), 1);
    browser.click("#go-on a").await;
    shown(&browser, "#stranger").await;
    browser.click("#with-passkey").await;
    arrived(&browser, "inbox").await;
    browser.goto(&format!("{}/", service.origin)).await;
    shown(&browser, "#me").await;
    assert_eq!(browser.text("#name").await, "anna");
    assert!(browser.text("#role").await.starts_with("Admin"));

    late.write("#username", "mallory").await;
    late.click("#register").await;
    late.told("There is an admin already").await;
    assert!(!late.is_enabled("#register").await);
    late.goto(&link).await;
    assert_eq!(late.heading().await, "There is an admin already");
    for browser in [&browser, &late] {
        browser.expect_console_with_only("40").await;
    }
}

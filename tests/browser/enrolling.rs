//! Making a passkey with an invitation.

use crate::browser::Browser;
use crate::driver::Driver;
use crate::passkey::{Authenticator, Passkey};
use crate::service::Service;

/// A person who may decide: a browser, its authenticator and the passkey that was registered.
pub(crate) struct Person {
    pub(crate) browser: Browser,
    pub(crate) authenticator: Authenticator,
    pub(crate) passkey: Passkey,
}

/// Opens a browser and registers a passkey for the principal in it.
pub(crate) async fn enrol(service: &Service, driver: &Driver, principal: &str) -> Person {
    let (browser, authenticator) = Browser::with_authenticator(driver).await;
    browser.goto(&service.invite(principal).await).await;
    browser.click("#register").await;
    browser.told("Your passkey is registered").await;
    browser.expect_silent_console().await;
    let mut held = browser.passkeys(&authenticator).await;
    assert_eq!(held.len(), 1);
    Person {
        browser,
        authenticator,
        passkey: held.remove(0),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_makes_one_passkey_and_is_used_up() {
    let service = Service::start().await;
    let driver = Driver::start();
    let link = service.invite("default").await;
    let (late, _) = Browser::with_authenticator(&driver).await;
    late.goto(&link).await;
    assert_eq!(late.heading().await, "Register a passkey");

    let (browser, authenticator) = Browser::with_authenticator(&driver).await;
    browser.goto(&link).await;
    assert!(browser.text("main").await.contains("as default,"));
    browser.click("#register").await;
    browser.told("Your passkey is registered").await;
    browser.expect_silent_console().await;
    let passkey = browser.passkeys(&authenticator).await.remove(0);
    let put = service.payloads("approver.credential_put");
    assert_eq!(put.len(), 1);
    assert_eq!(put[0]["credential_id"], passkey.id());

    browser.goto(&link).await;
    assert_eq!(browser.heading().await, "This link has been used");
    browser.expect_console_with_only("410").await;

    late.click("#register").await;
    late.told("This link is used up").await;
    assert!(!late.is_enabled("#register").await);
    late.expect_console_with_only("410").await;
    assert_eq!(service.payloads("approver.credential_put").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_registered_once_and_only_with_its_user_verified() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    browser.goto(&service.invite("default").await).await;
    assert!(browser.text("main").await.contains("one passkey already"));
    browser.click("#register").await;
    browser.told("Already registered").await;

    let (stranger, authenticator) = Browser::with_authenticator(&driver).await;
    stranger.recognise(&authenticator, false).await;
    stranger.goto(&service.invite("default").await).await;
    stranger.click("#register").await;
    stranger.told("No passkey was used").await;
    stranger.recognise(&authenticator, true).await;
    stranger.click("#register").await;
    stranger.told("Your passkey is registered").await;
    stranger.expect_silent_console().await;
    assert_eq!(service.payloads("approver.credential_put").len(), 2);
}

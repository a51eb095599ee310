//! The page at `/`: logging in, one's own sessions and passkeys, and the ways out. Refusals stand on the
//! console: 401 for strangers, 403 where a passkey is asked for.

use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::service::Service;
use crate::waiting::until;
use serde_json::Value;

pub(crate) const PASSWORD: &str = "a password of the tests";

/// Types name and password at the page's first form, and sends it.
async fn log_in(browser: &Browser, service: &Service, name: &str, password: &str) {
    browser.goto(&format!("{}/", service.origin)).await;
    shown(browser, "#stranger").await;
    for (field, text) in [("#username", name), ("#password", password)] {
        browser.write(field, text).await;
    }
    browser.click("#with-password").await;
}

/// Logs in, comes to the inbox, and from there to the account.
pub(crate) async fn logged_in(browser: &Browser, service: &Service, name: &str) {
    log_in(browser, service, name, PASSWORD).await;
    arrived(browser, "inbox").await;
    browser.goto(&format!("{}/", service.origin)).await;
    shown(browser, "#me").await;
}

/// Waits for a page of this path.
pub(crate) async fn arrived(browser: &Browser, path: &str) {
    until(path, async || {
        let at = browser.script("return location.pathname", Vec::new()).await;
        (at == format!("/{path}")).then_some(())
    })
    .await;
}

pub(crate) async fn shown(browser: &Browser, selector: &str) {
    let look = "return document.querySelector(arguments[0])?.hidden === false";
    until(selector, async || {
        let shown = browser.script(look, vec![selector.into()]).await;
        (shown == Value::Bool(true)).then_some(())
    })
    .await;
}

async fn rows(browser: &Browser) -> u64 {
    let rows = "return document.querySelectorAll('#session-rows li').length";
    browser.script(rows, Vec::new()).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_their_sessions_and_ends_the_others() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let (here, there) = (Browser::open(&driver).await, Browser::open(&driver).await);

    log_in(&here, &service, "anna", "another password").await;
    here.told("That was not right").await;
    look_closely(&here, "log-in").await;
    logged_in(&here, &service, "anna").await;
    assert_eq!(here.text("#name").await, "anna");
    assert!(here.text("#role").await.starts_with("Admin"));
    assert_eq!(rows(&here).await, 1);
    assert_eq!(here.text("#others").await, "", "there is no other to end");
    let address = here.script("return location.href", Vec::new()).await;
    assert_eq!(
        address,
        format!("{}/", service.origin),
        "nothing typed is in it"
    );

    logged_in(&there, &service, "anna").await;
    here.goto(&format!("{}/", service.origin)).await;
    shown(&here, "#me").await;
    assert_eq!(rows(&here).await, 2);
    look_closely(&here, "account").await;
    here.click("#log-out-everywhere").await;
    here.told("You are logged out everywhere else").await;
    assert_eq!(rows(&here).await, 1);
    there.click("#log-out-everywhere").await;
    there.told("Your session has ended").await;
    shown(&there, "#stranger").await;

    here.click("#log-out").await;
    here.told("You are logged out").await;
    here.goto(&format!("{}/", service.origin)).await;
    shown(&here, "#stranger").await;
    for browser in [&here, &there] {
        browser.expect_console_with_only("401").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_is_ended_at_the_second_press() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let (here, there) = (Browser::open(&driver).await, Browser::open(&driver).await);
    logged_in(&there, &service, "anna").await;
    logged_in(&here, &service, "anna").await;
    here.click("#session-rows button").await;
    assert_eq!(here.text("#session-rows button").await, "End it now");
    assert_eq!(service.payloads("session.ended").len(), 0);
    here.click("#session-rows button").await;
    here.told("The session has ended").await;
    assert_eq!(rows(&here).await, 1);
    there.click("#log-out").await;
    there.told("Your session has ended").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_somebody_else_has_set_is_changed_before_anything_else() {
    let token = "the-service-token-of-the-browser-tests";
    let service = Service::start_with(&[("SERVICE_TOKEN", token)]).await;
    let create = format!("user create bob --role viewer --json --token {token}");
    let made: Value = serde_json::from_str(&service.command(&create, "")).unwrap();
    let id = made["id"].as_str().unwrap();
    let set = format!("user password {id} --password-stdin --token {token}");
    service.command(&set, "given by an admin\n");
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    log_in(&browser, &service, "bob", "given by an admin").await;
    shown(&browser, "#change").await;
    until("the focus on the name", async || {
        (browser.focused().await == "name").then_some(())
    })
    .await;
    look_closely(&browser, "must-change").await;
    for section in ["#sessions", "#passkeys"] {
        assert_eq!(browser.text(section).await, "", "{section}");
    }
    browser.write("#current", "given by an admin").await;
    browser.write("#new", PASSWORD).await;
    browser.click("#set-password").await;
    browser.told("Your password is changed").await;
    shown(&browser, "#sessions").await;
    assert_eq!(rows(&browser).await, 1);
}

/// What an admin changes only with a passkey of the last five minutes: the answer's status.
async fn makes_a_group(browser: &Browser, name: &str) -> u64 {
    let ask = "const [name] = arguments; \
               return fetch('v1/groups', { \
                 method: 'POST', headers: { 'content-type': 'application/json' }, \
                 body: JSON.stringify({ name }), \
               }).then((answer) => answer.status)";
    let status = browser.script(ask, vec![name.into()]).await;
    status.as_u64().unwrap()
}

async fn passkey_rows(browser: &Browser) -> u64 {
    let rows = "return document.querySelectorAll('#passkey-rows li').length";
    browser.script(rows, Vec::new()).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_adds_a_passkey_logs_in_by_it_confirms_by_it_and_removes_it() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let (browser, authenticator) = Browser::with_authenticator(&driver).await;
    logged_in(&browser, &service, "anna").await;
    shown(&browser, "#passkeys").await;
    assert_eq!(passkey_rows(&browser).await, 0);
    assert_eq!(makes_a_group(&browser, "before").await, 403);

    // The first needs nothing but the session.
    browser.click("#add-passkey").await;
    shown(&browser, "#register").await;
    assert!(browser.text("main").await.contains("log in as anna"));
    look_closely(&browser, "enrol-user").await;
    browser.click("#register").await;
    browser.told("From now on you log in with it").await;
    look_closely(&browser, "enrolled-user").await;
    assert_eq!(browser.passkeys(&authenticator).await.len(), 1);
    browser.click("#go-on a").await;
    shown(&browser, "#passkeys").await;
    assert_eq!(passkey_rows(&browser).await, 1);

    // No name is typed, and it counts as confirmed.
    browser.click("#log-out").await;
    browser.told("You are logged out").await;
    look_closely(&browser, "log-in-by-passkey").await;
    browser.click("#with-passkey").await;
    arrived(&browser, "inbox").await;
    browser.goto(&format!("{}/", service.origin)).await;
    shown(&browser, "#me").await;
    assert_eq!(browser.text("#name").await, "anna");
    assert_ne!(browser.text("#confirmed").await, "");
    assert_eq!(makes_a_group(&browser, "confirmed").await, 201);
    look_closely(&browser, "account-with-passkey").await;

    // A password alone changes nothing; what asks for a passkey has it shown.
    browser.click("#log-out").await;
    logged_in(&browser, &service, "anna").await;
    assert_eq!(browser.text("#confirmed-row").await, "");
    assert_eq!(makes_a_group(&browser, "by-password").await, 403);
    browser.recognise(&authenticator, false).await;
    browser.click("#add-passkey").await;
    let told = browser.told("No passkey was used").await;
    assert!(told.contains("Nothing was changed"), "{told}");
    assert!(!told.contains("Give your name"), "{told}");
    assert_eq!(browser.focused().await, "message");
    browser.recognise(&authenticator, true).await;
    browser.click("#passkey-rows button").await;
    assert_eq!(browser.text("#passkey-rows button").await, "Remove it now");
    browser.click("#passkey-rows button").await;
    browser.told("The passkey is removed").await;
    until("the focus on what is told", async || {
        (browser.focused().await == "message").then_some(())
    })
    .await;
    assert_eq!(passkey_rows(&browser).await, 0);
    assert_eq!(makes_a_group(&browser, "stepped-up").await, 201);

    browser.click("#log-out").await;
    browser.told("You are logged out").await;
    browser.click("#with-passkey").await;
    browser.told("That was not right").await;
    browser.expect_console_with_only("40").await;
}

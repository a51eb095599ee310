//! The page of a person's own key, and the keys of agents on their pages.

use crate::account::{PASSWORD, arrived, logged_in, shown};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::inbox::at_the_inbox;
use crate::service::Service;
use crate::views::live;
use crate::waiting::until;
use serde_json::{Value, json};

const KEY: &str = "sk-ant-api03-of-a-browser-test-0123456789";

/// What stands in a field.
async fn field(browser: &Browser, selector: &str) -> String {
    let value = "return document.querySelector(arguments[0]).value";
    let value = browser.script(value, vec![selector.into()]).await;
    value.as_str().unwrap().to_owned()
}

async fn status(browser: &Browser, part: &str) {
    until(part, async || {
        let status = browser.text("#status").await;
        status.contains(part).then_some(())
    })
    .await;
}

/// The page as the service makes it.
async fn source(browser: &Browser) -> String {
    let fetched = "return fetch(location.href).then((answer) => answer.text())";
    let text = browser.script(fetched, Vec::new()).await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_stores_their_key_replaces_it_and_removes_it_and_it_is_never_shown() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    browser.type_text("gx").await;
    arrived(&browser, "me/proxy").await;
    live(&browser).await;
    status(&browser, "not stored").await;
    let settings = browser.text("#settings").await;
    let address = format!(
        "export ANTHROPIC_BASE_URL={}/proxy/anthropic",
        service.origin
    );
    assert!(settings.starts_with(&address), "{settings}");
    look_closely(&browser, "proxy-empty").await;

    browser.click("#save-key").await;
    browser.told("A key is needed").await;
    browser.write("#api-key", KEY).await;
    browser.click("#save-key").await;
    browser.told("The key is stored").await;
    status(&browser, "stored").await;
    assert_eq!(field(&browser, "#api-key").await, "");
    assert!(!source(&browser).await.contains("of-a-browser-test"));
    look_closely(&browser, "proxy-stored").await;

    browser.write("#api-key", &format!("{KEY}-2")).await;
    browser.click("#save-key").await;
    browser.told("The key is stored").await;
    assert_eq!(service.payloads("upstream_key.stored").len(), 2);
    assert_eq!(service.payloads("upstream_key.removed").len(), 1);

    browser.click("#remove summary").await;
    look_closely(&browser, "proxy-removing").await;
    browser.click("#remove-key").await;
    browser.told("The key is removed").await;
    status(&browser, "not stored").await;
    browser.expect_silent_console().await;

    // What is refused is told, without the key.
    browser
        .write("#api-key", "sk-ant-admin01-of-a-browser-test")
        .await;
    browser.click("#save-key").await;
    browser.told("Admin API").await;
    let message = browser.text("#message").await;
    assert!(!message.contains("of-a-browser-test"), "{message}");
    look_closely(&browser, "proxy-refused").await;
    browser.expect_console_with_only("400").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_ones_own_key_reads_without_scripts() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let off = json!({"value": true});
    browser
        .devtools("Emulation.setScriptExecutionDisabled", off)
        .await;
    browser.goto(&format!("{}/me/proxy", service.origin)).await;
    assert!(browser.heading().await.contains("Anthropic"));
    assert!(browser.text("#status").await.contains("not stored"));
    let settings = browser.text("#settings").await;
    assert!(settings.contains("/proxy/anthropic"), "{settings}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_with_a_passkey_stores_and_removes_a_key_of_an_agent_on_its_page() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let agent = json!({"agent": "deployer"});
    service.operate("/v1/agents", agent, 201).await;
    let driver = Driver::start();
    let (browser, _authenticator) = Browser::with_authenticator(&driver).await;
    logged_in(&browser, &service, "anna").await;
    browser.click("#add-passkey").await;
    shown(&browser, "#register").await;
    browser.click("#register").await;
    browser.told("From now on you log in with it").await;
    browser
        .goto(&format!("{}/agents/deployer", service.origin))
        .await;
    live(&browser).await;
    let listed = async || {
        let text = browser.text("#lists").await;
        text.contains("Cloudflare API token: stored")
    };
    assert!(!listed().await);
    browser
        .script(
            "document.querySelectorAll('details').forEach((part) => { part.open = true; })",
            Vec::new(),
        )
        .await;
    browser
        .write("#api-key-cloudflare", "cloudflare-token-of-a-browser-test")
        .await;
    browser.click("#save-key-cloudflare").await;
    browser.told("The key is stored").await;
    until("the key", async || listed().await.then_some(())).await;
    assert_eq!(field(&browser, "#api-key-cloudflare").await, "");
    look_closely(&browser, "agent-stored-key").await;
    browser.click("#remove-cloudflare summary").await;
    browser.click("#remove-key-cloudflare").await;
    browser.told("The key is removed").await;
    until("its end", async || (!listed().await).then_some(())).await;
    assert_eq!(service.payloads("upstream_key.removed").len(), 1);
    let erased: Vec<Value> = service.payloads("ledger.erased");
    assert_eq!(erased.len(), 1);
}

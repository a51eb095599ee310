//! The inbox in a browser: live, by keyboard, and without scripts.

use crate::account::{PASSWORD, arrived, logged_in};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::service::{Asked, Service, purge};
use crate::waiting::until;
use fantoccini::key::Key;
use serde_json::{Value, json};

/// A service with an administrator, and their browser at the inbox.
pub(crate) async fn at_the_inbox(driver: &Driver) -> (Service, Browser) {
    at_the_inbox_of(driver, Service::start().await).await
}

async fn at_the_inbox_of(driver: &Driver, service: Service) -> (Service, Browser) {
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let browser = Browser::open(driver).await;
    logged_in(&browser, &service, "anna").await;
    // A stranger was asked who they are before the login.
    drop(browser.console().await);
    browser.goto(&format!("{}/inbox", service.origin)).await;
    until("the stream", async || {
        (browser.text("#live").await == "Live").then_some(())
    })
    .await;
    (service, browser)
}

/// The ids of the rows, in their order.
async fn rows(browser: &Browser) -> Vec<String> {
    let rows = "return [...document.querySelectorAll('#lists li')].map((row) => row.dataset.id)";
    let rows = browser.script(rows, Vec::new()).await;
    let rows = rows.as_array().unwrap().iter();
    rows.map(|id| id.as_str().unwrap().to_owned()).collect()
}

async fn has_rows(browser: &Browser, expected: &[&Asked]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|asked| asked.approval_id.clone())
        .collect();
    until("the rows", async || {
        (rows(browser).await == expected).then_some(())
    })
    .await;
}

async fn ask_to_switch_tls_off(service: &Service) -> Asked {
    let operations = json!([{
        "operation_id": "ssl.mode.write", "scope_type": "zone",
        "scope_id": "023e105f4ecef8ad9ca31a8372d0c353", "params": {"value": "off"},
    }]);
    service.ask(&operations).await
}

async fn path(browser: &Browser) -> String {
    let path = browser.script("return location.pathname", Vec::new()).await;
    path.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_marked_question_stays_the_marked_one_when_the_list_moves() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let purge = service.ask_for_purge().await;
    has_rows(&browser, &[&purge]).await;
    browser.type_text("j").await;
    let marked = format!("open-{}", purge.approval_id);
    assert_eq!(browser.focused().await, marked);
    // A more dangerous one comes above it.
    let off = ask_to_switch_tls_off(&service).await;
    has_rows(&browser, &[&off, &purge]).await;
    assert_eq!(browser.focused().await, marked);
    browser.press(Key::Enter).await;
    until("the marked question", async || {
        let heading = browser.text("body").await;
        (path(&browser).await.starts_with("/a/") && heading.contains("app.css")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_nothing_once_the_marked_question_is_gone() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let (first, second) = (service.ask_for_purge().await, service.ask_for_purge().await);
    has_rows(&browser, &[&first, &second]).await;
    browser.type_text("j").await;
    service.close(&first).await;
    has_rows(&browser, &[&second]).await;
    browser.told("What was marked is not here any more").await;
    browser.press(Key::Enter).await;
    assert_eq!(path(&browser).await, "/inbox");
    browser.type_text("j").await;
    assert_eq!(
        browser.focused().await,
        format!("open-{}", second.approval_id)
    );
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_just_after_the_list_moved_opens_nothing() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let purge = service.ask_for_purge().await;
    has_rows(&browser, &[&purge]).await;
    // The row moves away under the pointer, which comes down as soon as it has.
    let click = "new MutationObserver((_, seen) => { \
           const rows = document.querySelectorAll('#lists a.open'); \
           if (rows.length < 2) return; \
           seen.disconnect(); \
           setTimeout(() => rows[0].dispatchEvent( \
             new MouseEvent('click', { bubbles: true, cancelable: true, detail: 1 })), 50); \
         }).observe(document.getElementById('content'), { childList: true })";
    browser.script(click, Vec::new()).await;
    let off = ask_to_switch_tls_off(&service).await;
    has_rows(&browser, &[&off, &purge]).await;
    browser.told("The list has just moved").await;
    assert_eq!(path(&browser).await, "/inbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_from_row_to_row_and_to_other_views() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    look_closely(&browser, "inbox-empty").await;
    let (purge, off) = (
        service.ask_for_purge().await,
        ask_to_switch_tls_off(&service).await,
    );
    has_rows(&browser, &[&off, &purge]).await;
    for (key, marked) in [
        ("j", &off),
        ("j", &purge),
        ("j", &purge),
        ("k", &off),
        ("k", &off),
    ] {
        browser.type_text(key).await;
        assert_eq!(
            browser.focused().await,
            format!("open-{}", marked.approval_id)
        );
    }
    look_closely(&browser, "inbox").await;
    browser
        .goto(&format!("{}/inbox?section=none", service.origin))
        .await;
    look_closely(&browser, "view-not-understood").await;
    drop(browser.console().await);
    browser
        .goto(&format!("{}/inbox?section=decided", service.origin))
        .await;
    look_closely(&browser, "inbox-section").await;
    browser.script("window.here = true", Vec::new()).await;
    browser.type_text("gi").await;
    until("the view anew", async || {
        let here = browser
            .script("return window.here === true", Vec::new())
            .await;
        (here == Value::Bool(false)).then_some(())
    })
    .await;
    arrived(&browser, "inbox").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_to_the_buttons_of_the_marked_question_and_decide_nothing() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    service.invite("default").await;
    let (purge, off) = (
        service.ask_for_purge().await,
        ask_to_switch_tls_off(&service).await,
    );
    for (way, key, heading) in [("j", "a", "TLS"), ("jj", "d", "app.css")] {
        browser.goto(&format!("{}/inbox", service.origin)).await;
        has_rows(&browser, &[&off, &purge]).await;
        // With nothing marked there is nothing to open.
        browser.type_text(key).await;
        assert_eq!(path(&browser).await, "/inbox");
        browser.type_text(way).await;
        browser.type_text(key).await;
        until("the question", async || {
            let is_there = path(&browser).await.contains("/a/");
            (is_there && browser.heading().await.contains(heading)).then_some(())
        })
        .await;
        let button = if key == "a" { "#approve" } else { "#deny" };
        let hash = browser.script("return location.hash", Vec::new()).await;
        assert_eq!(hash, button);
    }
    let decided = ["approval.approved", "approval.denied"];
    assert!(
        decided
            .iter()
            .all(|event| service.payloads(event).is_empty())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn moments_are_told_by_the_clock_of_the_device() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let zone = json!({"timezoneId": "Asia/Tokyo"});
    browser
        .devtools("Emulation.setTimezoneOverride", zone)
        .await;
    let asked = service.ask_for_purge().await;
    browser.goto(&format!("{}/inbox", service.origin)).await;
    let title = "return document.querySelector('#lists time').title";
    let title = browser.script(title, Vec::new()).await;
    let title = title.as_str().unwrap();
    assert!(title.contains("GMT+9") && title.contains("UTC)"), "{title}");
    browser.goto(&asked.url).await;
    let until =
        "const time = document.querySelector('.facts time'); return [time.textContent, time.title]";
    let until = browser.script(until, Vec::new()).await;
    assert!(until[0].as_str().unwrap().contains("GMT+9"), "{until}");
    assert!(until[1].as_str().unwrap().ends_with("UTC"), "{until}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_questions_can_be_used_by_everybody() {
    let driver = Driver::start();
    // An agent may ask as much as one task may.
    let service = Service::start_with(&[("TASK_MAX_OPEN_APPROVALS", "1000")]).await;
    let (service, browser) = at_the_inbox_of(&driver, service).await;
    for n in 0..1000 {
        service.ask(&purge(&format!("{n}.css"))).await;
    }
    browser.goto(&format!("{}/inbox", service.origin)).await;
    until("all of them", async || {
        let number = browser.text("#others .number").await;
        (number == "1000").then_some(())
    })
    .await;
    look_closely(&browser, "inbox-thousand").await;
    browser.click("#others .more a").await;
    until("the section", async || {
        let rows = rows(&browser).await.len();
        (rows == 50).then_some(())
    })
    .await;
    look_closely(&browser, "inbox-thousand-section").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_ends_leaves_the_inbox() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let elsewhere = Browser::open(&driver).await;
    logged_in(&elsewhere, &service, "anna").await;
    elsewhere.click("#log-out-everywhere").await;
    elsewhere.told("You are logged out everywhere else").await;
    until("the login", async || {
        let at = browser
            .script("return location.pathname + location.hash", Vec::new())
            .await;
        (at == "/#inbox").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inbox_reads_without_scripts() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let off = ask_to_switch_tls_off(&service).await;
    let none = json!({"value": true});
    browser
        .devtools("Emulation.setScriptExecutionDisabled", none)
        .await;
    browser.goto(&format!("{}/inbox", service.origin)).await;
    let text = browser.text("#others").await;
    for part in ["TLS", "sensitive", "Harden the shop", "left", "default"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    browser.click("#lists a.open").await;
    until("the question", async || {
        browser.heading().await.contains("TLS").then_some(())
    })
    .await;
    drop(off);
}

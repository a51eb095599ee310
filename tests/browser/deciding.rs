//! Approving and denying.

use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::layout::approve_all;
use crate::proof::Proof;
use crate::reading::operations;
use crate::service::Service;
use crate::waiting::until;
use fantoccini::key::Key;
use ledger::{AssertionError, Decision};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_proven_by_its_event_and_the_public_key() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    assert_eq!(
        browser.heading().await,
        "Purge by file https://shop.example.com/app.css from the cache"
    );
    browser.click("#approve").await;
    let told = browser.told("Approved").await;
    assert!(told.contains("exactly what was approved, once"), "{told}");
    browser.expect_console_with_only("410").await;
    let status = service.approval_status(&asked).await;
    assert_eq!(status["state"], "approved");

    let proof = Proof::read(&service.payloads("approval.approved")[0]);
    assert_eq!((proof.principal(), proof.reason()), ("default", None));
    let statement = proof.statement(&asked, Decision::Approve, None);
    let verified = proof.verify(&person.passkey, &service.origin, &statement);
    assert!(verified.unwrap().user_verified);
    let other = proof.statement(&asked, Decision::Deny, None);
    assert_eq!(
        proof.verify(&person.passkey, &service.origin, &other),
        Err(AssertionError::OtherStatement)
    );

    assert_eq!(browser.heading().await, "Approved, not carried out yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_carries_its_reason() {
    const REASON: &str = "Not today – <b>really</b>";
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.click("#deny").await;
    browser.told("Why not?").await;
    assert!(service.payloads("approval.denied").is_empty());
    browser.write("#reason", REASON).await;
    browser.click("#deny").await;
    browser.told("Denied").await;
    browser.expect_console_with_only("410").await;
    let status = service.approval_status(&asked).await;
    assert_eq!(
        (&status["state"], &status["denied_reason"]),
        (&"denied".into(), &REASON.into())
    );

    let proof = Proof::read(&service.payloads("approval.denied")[0]);
    assert_eq!(proof.reason(), Some(REASON));
    let statement = proof.statement(&asked, Decision::Deny, Some(REASON));
    assert!(
        proof
            .verify(&person.passkey, &service.origin, &statement)
            .is_ok()
    );
    let other = proof.statement(&asked, Decision::Deny, Some("Not today"));
    assert_eq!(
        proof.verify(&person.passkey, &service.origin, &other),
        Err(AssertionError::OtherStatement)
    );

    browser.goto(&asked.url).await;
    assert_eq!(browser.heading().await, "Denied");
    assert!(browser.text("main").await.contains(REASON));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;

    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    let way = browser.tab_to("approve").await;
    let deny = way.iter().position(|id| id == "deny");
    assert!(deny.is_some(), "Deny is reached before Approve: {way:?}");
    browser.press(Key::Enter).await;
    browser.told("Approved").await;
    assert_eq!(
        browser.focused().await,
        "H1",
        "the focus goes to what is told"
    );

    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.tab_to("deny").await;
    browser.press(Key::Enter).await;
    browser.told("Why not?").await;
    assert_eq!(browser.focused().await, "reason");
    browser.type_text("too early").await;
    browser.tab_to("deny").await;
    browser.press(Key::Enter).await;
    browser.told("Denied").await;
    let denied = service.payloads("approval.denied");
    assert_eq!(denied[0]["reason"], "too early");
    browser.expect_console_with_only("410").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_registered_by_keyboard_too() {
    let service = Service::start().await;
    let driver = Driver::start();
    let (browser, _) = crate::browser::Browser::with_authenticator(&driver).await;
    browser.goto(&service.invite("default").await).await;
    browser.tab_to("register").await;
    browser.press(Key::Enter).await;
    browser.told("Your passkey is registered").await;
    browser.expect_silent_console().await;
}

/// On paper everything is unfolded; the page is as before then, so that nothing counts as unfolded by its reader.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_printed_is_folded_as_before() {
    let service = Service::start().await;
    let driver = Driver::start();
    let (browser, _) = Browser::with_authenticator(&driver).await;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    let count = "const all = [...document.querySelectorAll('details')]; \
        window.onbeforeprint = () => { window.onPaper = all.filter((part) => part.open).length; }; \
        return [all.length, all.filter((part) => part.open).length]";
    let before = browser.script(count, Vec::new()).await;
    assert!(before[0].as_u64() > before[1].as_u64(), "{before}");
    browser.devtools("Page.printToPDF", json!({})).await;
    let on_paper = browser.script("return window.onPaper", Vec::new()).await;
    assert_eq!(on_paper, before[0], "everything is on paper");
    until("the fold", async || {
        let after = browser.script(count, Vec::new()).await;
        (after == before).then_some(())
    })
    .await;
}

/// Paper is light, whatever the screen is, and has what names the question.
#[tokio::test(flavor = "multi_thread")]
async fn on_paper_it_is_light_and_has_its_address_its_ids_and_all_of_its_fingerprint() {
    let service = Service::start().await;
    let driver = Driver::start();
    let (browser, _) = Browser::with_authenticator(&driver).await;
    let asked = service.ask_for_purge().await;
    browser.look_with(1280, 900, "dark").await;
    browser.goto(&asked.url).await;
    let paper = json!({
        "media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}],
    });
    browser.devtools("Emulation.setEmulatedMedia", paper).await;
    let told = "window.dispatchEvent(new Event('beforeprint')); \
        const shown = (selector) => { \
          const part = document.querySelector(selector); \
          return part.getClientRects().length ? part.innerText : null; }; \
        return { \
          ground: getComputedStyle(document.body).backgroundColor, address: shown('#address'), \
          fingerprint: shown('.hash .digest'), ids: shown('.ids'), buttons: shown('#actions') }";
    let told = browser.script(told, Vec::new()).await;
    assert_eq!(told["ground"], "rgb(255, 255, 255)");
    assert_eq!(told["address"], asked.url);
    let fingerprint = told["fingerprint"].as_str().unwrap().replace(' ', "");
    assert_eq!(fingerprint.len(), 64);
    let ids = told["ids"].as_str().unwrap();
    for id in [&asked.approval_id, &asked.task_id] {
        assert!(ids.contains(id.as_str()), "{id}: {ids}");
    }
    assert_eq!(told["buttons"], Value::Null);
    browser.screenshot("on-paper").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_on_the_screen_is_recorded_as_the_browser_says_it() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask(&operations()).await;
    browser.look_with(360, 740, "light").await;
    browser.goto(&asked.url).await;
    approve_all(browser).await;
    let approved = &service.payloads("approval.approved")[0];
    let said = &approved["on_screen"];
    let numbers = |list: &str| -> Vec<u64> {
        let list = said[list].as_array().unwrap().iter();
        list.map(|number| number.as_u64().unwrap()).collect()
    };
    let (seen, whole) = (numbers("operations"), numbers("to_the_end"));
    let all = operations().as_array().unwrap().len();
    assert!(!seen.is_empty() && seen.len() <= all, "{said}");
    assert!(whole.iter().all(|number| seen.contains(number)), "{said}");
    let receipt = browser.text("main").await;
    assert!(
        receipt.contains("On the screen, as the browser says"),
        "{receipt}"
    );
    assert!(
        receipt.contains(&format!("of {all} operations")),
        "{receipt}"
    );
    look_closely(browser, "receipt-on-screen").await;
}

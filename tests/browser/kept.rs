//! Keeping a decision: the page's choices, the sentence that is signed, the receipt, and the list of what is kept.

use crate::account::{PASSWORD, logged_in};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::service::{Service, purge};
use crate::views::{listed, live};
use crate::waiting::until;
use fantoccini::key::Key;
use serde_json::json;

/// Opens the choices and takes one, as a person without a mouse does.
async fn choose(browser: &Browser, downs: usize, any_values: bool) {
    let focus = "document.querySelector('#keep summary').focus()";
    browser.script(focus, Vec::new()).await;
    browser.press(Key::Enter).await;
    browser.tab_to("keep-for").await;
    for _ in 0..downs {
        browser.press(Key::Down).await;
    }
    browser.press(Key::Tab).await;
    if any_values {
        browser.press(Key::Down).await;
    }
}

async fn chosen(browser: &Browser) -> (String, String) {
    let chosen = "return [document.getElementById('keep-for').value, \
        document.querySelector('input[name=breadth]:checked').value]";
    let chosen = browser.script(chosen, Vec::new()).await;
    let text = |at: usize| chosen[at].as_str().unwrap().to_owned();
    (text(0), text(1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_kept_once_its_maker_has_read_what_it_means_and_is_ended_from_the_list() {
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.look_with(1280, 900, "light").await;
    choose(browser, 1, true).await;
    assert_eq!(
        chosen(browser).await,
        ("3600".to_owned(), "scope".to_owned())
    );
    look_closely(browser, "keep").await;

    browser.click("#approve").await;
    let told = browser.told("This is what you sign").await;
    for part in [
        "Agent deployer may use cache.purge.execute",
        "with any params",
        "for 1 hour, in this task",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    look_closely(browser, "keep-means").await;
    browser.look_with(1280, 900, "light").await;
    // Another choice means something else, which is read before it is signed.
    browser.click("input[value=exact]").await;
    browser.click("#approve").await;
    let told = browser.told("do exactly this").await;
    assert!(told.contains("for 1 hour, in this task"), "{told}");
    assert!(
        service.payloads("approval.approved").is_empty(),
        "nothing is signed yet"
    );
    browser.click("input[value=scope]").await;
    browser.click("#approve").await;
    browser.told("with any params").await;
    browser.click("#approve").await;
    browser.told("Approved").await;
    let receipt = browser.text("main").await;
    for part in ["for 1 hour, in this task", "it answers later requests"] {
        assert!(receipt.contains(part), "{part}: {receipt}");
    }
    look_closely(browser, "keep-receipt").await;
    let made = service.payloads("clearance.made");
    assert_eq!((made.len(), &made[0]["breadth"]), (1, &json!("scope")));

    let other = purge("other.css");
    let again = service.ask_again(&asked, "again", &other, 200).await;
    assert_eq!(again["status"], "completed", "nobody is asked: {again}");

    let denied = service.ask_for_purge().await;
    browser.goto(&denied.url).await;
    browser.look_with(1280, 900, "light").await;
    choose(browser, 3, false).await;
    browser.click("#note summary").await;
    browser.write("#reason", "not this week").await;
    browser.click("#deny").await;
    let told = browser.told("This is what you sign").await;
    for part in [
        "Agent deployer may not do exactly this",
        "for 7 days, in any task of the agent",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    browser.click("#deny").await;
    browser.told("Denied").await;
    look_closely(browser, "keep-denied").await;

    logged_in(browser, &service, "anna").await;
    browser
        .goto(&format!("{}/clearances", service.origin))
        .await;
    live(browser).await;
    let list = listed(browser).await;
    for part in [
        "Denied for deployer",
        "Approved for deployer",
        "The same operations with any params, in its task",
        "answered 1 request",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    look_closely(browser, "clearances-kept").await;
    browser.type_text("j").await;
    assert_eq!(
        browser.focused().await,
        format!("open-{}", denied.approval_id)
    );
    let end = format!("#end-{}", asked.approval_id);
    browser.click(&end).await;
    browser.told("It answers nothing any more").await;
    until("the end", async || {
        listed(browser)
            .await
            .contains("Ended by a person")
            .then_some(())
    })
    .await;
    service
        .ask_again(&asked, "third", &purge("third.css"), 202)
        .await;

    browser.goto(&format!("{}/history", service.origin)).await;
    live(browser).await;
    let list = listed(browser).await;
    for part in [
        "kept: Exactly these operations, in any task of the agent",
        "Ended by a person",
        "not this week",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    look_closely(browser, "history-kept").await;
}

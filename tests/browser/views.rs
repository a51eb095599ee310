//! The views around the inbox in a browser: how they look, and the keys that lead to them.

use crate::account::arrived;
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::inbox::at_the_inbox;
use crate::waiting::until;

const VIEWS: [&str; 4] = ["tasks", "agents", "ledger", "system"];

async fn live(browser: &Browser) {
    until("the stream", async || {
        (browser.text("#live").await == "Live").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_reached_by_its_key_and_can_be_used_by_everybody() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    for view in VIEWS {
        browser.goto(&format!("{}/{view}", service.origin)).await;
        look_closely(&browser, &format!("{view}-empty")).await;
    }
    let asked = service.ask_for_purge().await;
    for view in VIEWS {
        let key = view.get(..1).unwrap();
        browser.type_text(&format!("g{key}")).await;
        arrived(&browser, view).await;
        live(&browser).await;
        look_closely(&browser, view).await;
    }
    for (name, path) in [
        ("task", format!("tasks/{}", asked.task_id)),
        ("agent", "agents/deployer".to_owned()),
    ] {
        browser.goto(&format!("{}/{path}", service.origin)).await;
        live(&browser).await;
        look_closely(&browser, name).await;
    }
    browser.expect_silent_console().await;
    browser
        .goto(&format!("{}/agents/nobody", service.origin))
        .await;
    look_closely(&browser, "agent-unknown").await;
}

/// What the list says, which may be replaced at any moment.
async fn listed(browser: &Browser) -> String {
    let text = "return document.getElementById('lists').innerText";
    let text = browser.script(text, Vec::new()).await;
    text.as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_followed_as_it_goes_on() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let asked = service.ask_for_purge().await;
    let path = format!("{}/tasks/{}", service.origin, asked.task_id);
    browser.goto(&path).await;
    live(&browser).await;
    assert!(listed(&browser).await.contains("requires approval"));
    service.close(&asked).await;
    until("the end", async || {
        listed(&browser).await.contains("closed").then_some(())
    })
    .await;
    browser.expect_silent_console().await;
}

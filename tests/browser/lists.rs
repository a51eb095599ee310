//! Long lists: clients that are blocked, answers, rules of a policy.

use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::inbox::at_the_inbox;
use crate::service::purge;
use crate::views::{listed, live};
use crate::waiting::until;
use fantoccini::key::Key;
use serde_json::json;
use std::fmt::Write as _;

/// Rows that a list has in these tests, and how many a page of it shows.
const ROWS: usize = 1000;
const PAGE: u64 = 50;

async fn cards(browser: &Browser) -> u64 {
    let cards = "return document.querySelectorAll('#lists li.card').length";
    browser.script(cards, Vec::new()).await.as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_blocks_are_read_page_by_page_and_lifted_one_by_one() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    for n in 0..ROWS {
        let value = format!("198.18.{}.{}", n / 256, n % 256);
        let block = json!({"kind": "address", "value": value, "duration": "1d",
            "reason": "asks for everything"});
        service.operate("/v1/blocks", block, 201).await;
    }
    let newest = "198.18.99.1";
    service.command(&format!("block {newest} 1h --reason leaked"), "");
    browser.goto(&format!("{}/blocks", service.origin)).await;
    live(&browser).await;
    assert_eq!(cards(&browser).await, PAGE);
    assert!(listed(&browser).await.contains("“leaked”"));
    look_closely(&browser, "blocks-thousand").await;
    // A row that opens nothing is gone to by its button.
    browser.type_text("j").await;
    assert!(browser.focused().await.starts_with("lift-"));
    browser.press(Key::Enter).await;
    browser.told("The block is lifted").await;
    until("the end", async || {
        listed(&browser).await.contains("lifted").then_some(())
    })
    .await;
    assert_eq!(service.payloads("block.lifted").len(), 1);
    browser.click(".more a").await;
    until("the older ones", async || {
        let address = browser.script("return location.search", Vec::new()).await;
        address.as_str().unwrap().contains("after=").then_some(())
    })
    .await;
    assert_eq!(cards(&browser).await, PAGE);
    look_closely(&browser, "blocks-older").await;

    browser.goto(&format!("{}/allows", service.origin)).await;
    live(&browser).await;
    look_closely(&browser, "allows-empty").await;
    let allow = json!({"kind": "subject", "value": "CN=deployer"});
    service.operate("/v1/allows", allow, 201).await;
    until("the allow", async || {
        listed(&browser).await.contains("CN=deployer").then_some(())
    })
    .await;
    look_closely(&browser, "allows").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_answers_are_read_page_by_page() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    // A task may have a hundred open questions.
    for task in 0..ROWS / 100 {
        let asked = service.ask_for_purge().await;
        for n in 1..100 {
            let operations = purge(&format!("{task}-{n}.css"));
            let key = format!("key-{n}");
            service.ask_again(&asked, &key, &operations, 202).await;
        }
        service.close(&asked).await;
    }
    browser.goto(&format!("{}/history", service.origin)).await;
    live(&browser).await;
    assert_eq!(cards(&browser).await, PAGE);
    look_closely(&browser, "history-thousand").await;
    browser.type_text("jj").await;
    assert!(browser.focused().await.starts_with("open-"));
    browser
        .goto(&format!(
            "{}/history?limit=200&action=CANCELLED",
            service.origin
        ))
        .await;
    assert_eq!(cards(&browser).await, 200);
    look_closely(&browser, "history-two-hundred").await;
    browser
        .goto(&format!("{}/history?action=DENIED", service.origin))
        .await;
    look_closely(&browser, "history-none").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_of_many_rules_is_read_with_its_document_and_versions() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let mut document = "engine = \"lpp-cel/1\"\n".to_owned();
    for n in 0..300 {
        write!(
            document,
            "\n[[rule]]\nid = \"no-tls-off-{n}\"\npriority = {n}\naction = \"deny\"\n\
             operations = [\"ssl.mode.write\"]\nwhen = 'params.value == \"off\"'\nreason = \"Visitor {n}\"\n"
        )
        .unwrap();
    }
    let file = service.file("policy.toml", &document);
    service.command(&format!("policy apply {file}"), "");
    browser.goto(&format!("{}/policy", service.origin)).await;
    live(&browser).await;
    let list = listed(&browser).await;
    for part in [
        "Version 1 is in force",
        "no-tls-off-299",
        "more of the lowest priority",
        "where its condition holds",
        "lpp-cel/1",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    look_closely(&browser, "policy-rules").await;
    // What scrolls in a frame of its own is reached without a mouse.
    let reached = "return [...document.querySelectorAll('#lists .wide, #lists .scroll')] \
        .every((part) => part.tabIndex === 0)";
    assert_eq!(browser.script(reached, Vec::new()).await, true);
    browser
        .script(
            "document.getElementById('versions-title').scrollIntoView()",
            Vec::new(),
        )
        .await;
    look_closely(&browser, "policy-versions").await;
    browser.expect_silent_console().await;
}

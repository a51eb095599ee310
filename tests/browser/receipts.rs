//! What the link shows once the agent has gone on.

use crate::axe::look_closely;
use crate::driver::Driver;
use crate::enrolling::{Person, enrol};
use crate::layout::approve_all;
use crate::service::{Asked, Service};
use crate::waiting::until;
use fixtures::upstream::{FakeUpstream, Fault};
use serde_json::{Value, json};

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

async fn approved(service: &Service, person: &Person, operations: &Value) -> Asked {
    const READ: &str = "approval.pre_state_recorded";
    let before = service.payloads(READ).len();
    let asked = service.ask(operations).await;
    until("what stands upstream was read", async || {
        (service.payloads(READ).len() > before).then_some(())
    })
    .await;
    person.browser.goto(&asked.url).await;
    approve_all(&person.browser).await;
    asked
}

fn record(action: &Value) -> Value {
    json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE,
        "params": action,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_shows_what_really_came_of_it() {
    let upstream = FakeUpstream::start().await.unwrap();
    let base = upstream.base_url();
    let service = Service::start_with(&[
        ("CLOUDFLARE_API_BASE", base.as_str()),
        ("CLOUDFLARE_API_TOKEN", upstream.token()),
    ])
    .await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let old = json!({"type": "A", "name": "old.example.com", "content": "192.0.2.9"});
    let id = upstream.put_record(ZONE, &old);
    let new = json!({"type": "A", "name": "new.example.com", "content": "192.0.2.7"});
    let delete = json!({"action": "delete", "record_id": id});

    let asked = approved(&service, &person, &json!([record(&new)])).await;
    let waits = browser.text("main").await;
    assert!(waits.contains("The agent can go on until"), "{waits}");
    service.go_on(&asked, 200).await;
    // Nobody loads the page again.
    let told = browser.told("Approved and carried out").await;
    let ended = &service.payloads("apply.operation_ended")[0];
    let request = ended["outcome"]["succeeded"]["request_id"]
        .as_str()
        .unwrap();
    assert!(told.contains(request), "{told}");
    look_closely(browser, "receipt-done").await;

    let asked = approved(&service, &person, &json!([record(&delete), record(&new)])).await;
    upstream.on_next_of(
        "POST",
        "dns_records",
        Fault::Refuse {
            status: 400,
            code: 81_053,
            message: "An A record with that host exists.".to_owned(),
        },
    );
    service.go_on(&asked, 409).await;
    browser.told("Approved, but carried out only in part").await;
    let shown = browser.text("main").await;
    assert!(
        shown.contains("Delete old.example.com A → 192.0.2.9"),
        "{shown}"
    );
    look_closely(browser, "receipt-in-part").await;
}

/// A page that asks on while it is loaded again would begin that anew, and never end it on a slow connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_becomes_its_receipt_asks_nothing_more() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    let watch = "\
        const fetched = window.fetch; \
        window.fetch = (...request) => { \
          sessionStorage.asked = Number(sessionStorage.asked ?? 0) + 1; \
          return fetched(...request); \
        }; \
        new MutationObserver(() => { \
          sessionStorage.asked = 0; \
          document.dispatchEvent(new Event('visibilitychange')); \
          sessionStorage.left = 'yes'; \
        }).observe(document.getElementById('approve'), { attributeFilter: ['disabled'] })";
    browser.script(watch, Vec::new()).await;
    service.close(&asked).await;
    browser.told("This request was cancelled").await;
    let seen = "return [sessionStorage.left, sessionStorage.asked]";
    let seen = browser.script(seen, Vec::new()).await;
    assert_eq!(seen, json!(["yes", "0"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulation_does_not_look_like_something_that_was_done() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let asked = service.ask_for_purge().await;
    person.browser.goto(&asked.url).await;
    person.browser.click("#approve").await;
    person.browser.told("Approved").await;
    service.go_on(&asked, 200).await;
    person.browser.told("Approved and simulated").await;
    look_closely(&person.browser, "receipt-simulated").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_says_that_it_is_carried_out_at_once_and_the_receipt_that_it_was() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let purge = json!([{
        "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": ZONE,
        "params": {"files": ["https://shop.example.com/app.css"]},
    }]);
    let opened = json!({
        "approval_ttl_seconds": 604_800,
        "reason": "The old shop goes on Friday", "link": "https://tickets.example/OPS-42",
    });
    let asked = json!({"on_approval": "execute", "reason": "Its style sheet is stale"});
    let asked = service.ask_with(&purge, &opened, &asked).await;
    browser.goto(&asked.url).await;
    let shown = browser.text("main").await;
    for words in [
        "Carried out at once after your approval",
        "The task’s opener",
        "The old shop goes on Friday",
        "tickets.example",
        "Its style sheet is stale",
    ] {
        assert!(shown.contains(words), "{words} is not in {shown}");
    }
    let left = browser.text("#clock").await;
    let whole = ["7 days 0 h left", "6 days 23 h left"];
    assert!(whole.contains(&left.as_str()), "{left}");
    look_closely(browser, "question-at-once").await;
    browser.click("#approve").await;
    browser.told("Approved and simulated").await;
    let shown = browser.text("main").await;
    assert!(
        shown.contains("It went on at once after the approval"),
        "{shown}"
    );
    look_closely(browser, "receipt-at-once").await;
}

//! What the link shows once the agent has gone on.

use crate::driver::Driver;
use crate::enrolling::{Person, enrol};
use crate::layout::look;
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
    person.browser.click("#approve").await;
    person.browser.told("Approved").await;
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
    service.go_on(&asked, 200).await;
    browser.goto(&asked.url).await;
    assert_eq!(browser.heading().await, "Approved and carried out");
    look(browser, "receipt-done").await;

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
    browser.goto(&asked.url).await;
    assert_eq!(
        browser.heading().await,
        "Approved, but carried out only in part"
    );
    let shown = browser.text("main").await;
    assert!(shown.contains("A old.example.com 192.0.2.9"), "{shown}");
    look(browser, "receipt-in-part").await;
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
    person.browser.goto(&asked.url).await;
    assert_eq!(person.browser.heading().await, "Approved and simulated");
    look(&person.browser, "receipt-simulated").await;
}

//! A question that is bound to the state upstream: the page says so, and the one that is asked anew shows both states.

use crate::axe::look_closely;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::layout::approve_all;
use crate::service::Service;
use crate::waiting::until;
use fixtures::upstream::FakeUpstream;
use serde_json::json;

const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const POLICY: &str = "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"careful\"\npriority = 1\n\
                      action = \"ask\"\npre_state = \"bind\"\n";

async fn was_read(service: &Service, times: usize) {
    until("what stands upstream was read", async || {
        let read = service.payloads("approval.pre_state_recorded");
        (read.len() >= times).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_since_its_approval_is_asked_anew_with_both_states() {
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
    let file = service.file("policy.toml", POLICY);
    service.command(&format!("policy apply {file}"), "");
    let strict = json!([{
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {"value": "strict"},
    }]);
    let asked = service.ask(&strict).await;
    was_read(&service, 1).await;
    browser.goto(&asked.url).await;
    let page = browser.text("main").await;
    assert!(
        page.contains("Good only for the state that is shown here"),
        "{page}"
    );
    look_closely(browser, "bound").await;
    approve_all(browser).await;

    upstream.set_ssl_mode(ZONE, "off");
    let waits = service.go_on(&asked, 202).await;
    assert_eq!(waits["replaces"], asked.approval_id);
    was_read(&service, 2).await;
    let mut anew = asked;
    anew.url = waits["approval_url"].as_str().unwrap().to_owned();
    browser.goto(&anew.url).await;
    let page = browser.text("main").await;
    for part in ["Upstream when it was approved before", "full", "off"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    look_closely(browser, "bound-anew").await;
    approve_all(browser).await;
    service.go_on(&anew, 200).await;
    assert_eq!(upstream.ssl_mode(ZONE), "strict");
}

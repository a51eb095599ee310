//! A question that several people answer, or one alone in an emergency: what each of them sees, and that the pages call
//! them by their names.

use crate::account::{PASSWORD, arrived, logged_in};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::service::Service;
use crate::views::{listed, live};
use serde_json::{Value, json};

const POLICY: &str = r#"engine = "lpp-cel/1"
self_approval = false

[[rule]]
id = "two-people"
priority = 1
action = "ask"
pre_state = "shown"
reason = "Two people look at what visitors of the shop see"
needs = [{ group = "ops", n = 2 }]
"#;

/// A user with a passkey in a browser of their own.
async fn member(service: &Service, driver: &Driver, name: &str) -> (Browser, Value) {
    let made = json!({"name": name, "role": "viewer"});
    let id = service.operate("/v1/users", made, 201).await["id"].take();
    let path = format!("/v1/users/{}/enrolment", id.as_str().unwrap());
    let opened = service.operate(&path, json!({}), 201).await;
    let (browser, _) = Browser::with_authenticator(driver).await;
    browser
        .goto(opened["enrolment_url"].as_str().unwrap())
        .await;
    browser.click("#register").await;
    browser.told("Your passkey is registered").await;
    (browser, id)
}

async fn says(browser: &Browser, parts: &[&str]) {
    let shown = browser.text("main").await;
    for part in parts {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(
        !shown.contains("user:"),
        "an id in place of a name: {shown}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sees_how_far_it_is_and_the_receipt_names_all_who_approved() {
    let driver = Driver::start();
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let mut members = Vec::new();
    let (bo, id) = member(&service, &driver, "bo").await;
    members.push(id);
    let (cy, id) = member(&service, &driver, "cy").await;
    members.push(id);
    let (dee, id) = member(&service, &driver, "dee").await;
    members.push(id);
    let group = json!({"name": "ops", "members": members});
    service.operate("/v1/groups", group, 201).await;
    let file = service.file("policy.toml", POLICY);
    service.command(&format!("policy apply {file}"), "");

    let asked = service.ask_for_purge().await;
    for browser in [&bo, &cy] {
        browser.goto(&asked.url).await;
        let needed = "0 of 2 so far; waits for 2 of ops";
        says(browser, &["Who has to approve", needed, "two-people"]).await;
    }
    look_closely(&bo, "votes-none").await;
    bo.look_with(1280, 900, "light").await;
    bo.click("#approve").await;
    let told = bo.told("You have approved this").await;
    assert!(told.contains("1 of 2 so far; waits for 1 of ops"), "{told}");
    look_closely(&bo, "votes-mine").await;
    assert!(!bo.is_enabled("#approve").await);
    assert!(service.payloads("approval.approved").is_empty());

    // A page that was open before says that there is more to see.
    let told = cy.told("Somebody else has answered").await;
    assert!(told.contains("Reload"), "{told}");
    assert!(cy.is_enabled("#approve").await);
    cy.goto(&asked.url).await;
    says(
        &cy,
        &["1 of 2 so far; waits for 1 of ops", "Approved by bo"],
    )
    .await;
    look_closely(&cy, "votes-one").await;

    // A person counts once, and is told so.
    bo.goto(&asked.url).await;
    bo.click("#approve").await;
    let told = bo.told("You have answered this already").await;
    assert!(told.contains("Each person counts once"), "{told}");
    drop(bo.console().await);

    // A vote can be taken back while the question waits for others.
    bo.goto(&format!("{}/", service.origin)).await;
    bo.click("#with-passkey").await;
    arrived(&bo, "inbox").await;
    live(&bo).await;
    let list = listed(&bo).await;
    assert!(list.contains("you approved Take it back"), "{list}");
    look_closely(&bo, "inbox-my-vote").await;
    bo.click("#lists button.act").await;
    bo.told("Your vote does not count any more").await;
    let list = listed(&bo).await;
    assert!(list.contains("0 of 2 so far"), "{list}");
    assert!(!list.contains("you approved"), "{list}");
    bo.goto(&asked.url).await;
    bo.click("#approve").await;
    bo.told("You have approved this").await;

    let anna = Browser::open(&driver).await;
    logged_in(&anna, &service, "anna").await;
    anna.goto(&format!("{}/inbox", service.origin)).await;
    live(&anna).await;
    let list = listed(&anna).await;
    assert!(list.contains("1 of 2 so far; waits for 1 of ops"), "{list}");
    look_closely(&anna, "inbox-votes").await;

    cy.look_with(1280, 900, "light").await;
    cy.click("#approve").await;
    cy.told("Approved, not carried out yet").await;
    says(&cy, &["Approved by", "bo, ", "cy, "]).await;
    look_closely(&cy, "votes-receipt").await;
    bo.told("Approved, not carried out yet").await;
    anna.goto(&format!("{}/inbox", service.origin)).await;
    live(&anna).await;
    let list = listed(&anna).await;
    assert!(list.contains("decided by bo and cy"), "{list}");

    // What one approved and another denied is denied by that one.
    let asked = service.ask_for_purge().await;
    dee.goto(&asked.url).await;
    dee.click("#approve").await;
    dee.told("You have approved this").await;
    cy.goto(&asked.url).await;
    cy.click("#note summary").await;
    cy.write("#reason", "not today").await;
    cy.click("#deny").await;
    cy.told("Denied").await;
    says(
        &cy,
        &["Denied by", "cy", "Approved before that by", "dee, "],
    )
    .await;
    look_closely(&cy, "votes-denied").await;
    anna.goto(&format!("{}/history", service.origin)).await;
    live(&anna).await;
    let list = listed(&anna).await;
    assert!(list.contains("by cy") && !list.contains("user:"), "{list}");
    anna.goto(&format!("{}/policy", service.origin)).await;
    live(&anna).await;
    let list = listed(&anna).await;
    assert!(list.contains("ask 2 of ops"), "{list}");
    look_closely(&anna, "policy-needs").await;
}

const GLASS: &str = r#"engine = "lpp-cel/1"
self_approval = false
break_glass = { group = "oncall", review = [{ group = "security" }] }

[[rule]]
id = "two-of-security"
priority = 1
action = "ask"
pre_state = "shown"
needs = [{ group = "security", n = 2 }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_on_call_approves_alone_in_an_emergency_and_another_reviews_it() {
    let driver = Driver::start();
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let (ann, id) = member(&service, &driver, "ann").await;
    let oncall = json!({"name": "oncall", "members": [id]});
    service.operate("/v1/groups", oncall, 201).await;
    let (bo, id) = member(&service, &driver, "bo").await;
    let (_, other) = member(&service, &driver, "cy").await;
    let security = json!({"name": "security", "members": [id, other]});
    service.operate("/v1/groups", security, 201).await;
    let file = service.file("policy.toml", GLASS);
    service.command(&format!("policy apply {file}"), "");

    let asked = service.ask_for_purge().await;
    ann.goto(&asked.url).await;
    ann.look_with(1280, 900, "light").await;
    ann.click("#emergency summary").await;
    ann.click("#break-glass").await;
    look_closely(&ann, "emergency").await;
    ann.look_with(1280, 900, "light").await;
    ann.click("#approve").await;
    let told = ann.told("reason").await;
    assert!(told.contains("20"), "{told}");
    drop(ann.console().await);
    ann.click("#note summary").await;
    ann.write("#reason", "the shop is down and nobody else answers")
        .await;
    ann.click("#approve").await;
    let told = ann.told("This is what you sign").await;
    assert!(told.contains("In an emergency, alone"), "{told}");
    look_closely(&ann, "emergency-means").await;
    ann.look_with(1280, 900, "light").await;
    ann.click("#approve").await;
    ann.told("Approved, not carried out yet").await;
    says(&ann, &["In an emergency", "by one person alone"]).await;
    look_closely(&ann, "emergency-receipt").await;

    bo.goto(&format!("{}/", service.origin)).await;
    bo.click("#with-passkey").await;
    arrived(&bo, "inbox").await;
    live(&bo).await;
    let list = listed(&bo).await;
    assert!(list.contains("Review an approval"), "{list}");
    assert!(!list.contains("carried out at once"), "{list}");
    look_closely(&bo, "inbox-review").await;
    bo.look_with(1280, 900, "light").await;
    bo.click("#lists a.open").await;
    says(
        &bo,
        &["Review an approval", "the shop is down", "ann approved it"],
    )
    .await;
    look_closely(&bo, "review").await;
    bo.look_with(1280, 900, "light").await;
    bo.click("#approve").await;
    bo.told("Reviewed, and agreed with").await;
    look_closely(&bo, "review-receipt").await;
}

//! A change of the policy that people decide about: from the command line to the page, and into force with a passkey.

use crate::axe::look_closely;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::service::Service;

const WANTING: &str =
    "engine = \"lpp-cel/1\"\npolicy_change = { needs = [{ group = \"default\" }] }\n";
const DENYING: &str = "# nothing runs\nengine = \"lpp-cel/1\"\ndefault = \"deny\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_policy_is_read_in_full_and_put_in_force_with_a_passkey() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let first = service.file("wanting.toml", WANTING);
    let told = service.command(&format!("policy apply {first}"), "");
    assert!(told.contains("version 1 is in force"), "{told}");
    let second = service.file("denying.toml", DENYING);
    let told = service.command(&format!("policy apply {second}"), "");
    assert!(told.contains("not in force yet"), "{told}");
    let url = told.lines().find(|line| line.contains("/a/")).unwrap();

    browser.goto(url).await;
    let seen = browser.text("#content").await;
    for part in [
        "Change the policy to version 2",
        "default: \"catalog\" -> \"deny\"",
        "- policy_change: {\"needs\"",
        "# nothing runs",
        "holder of the service token",
    ] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    look_closely(browser, "policy-change").await;
    browser.click("#approve").await;
    browser.told("Approved, and in effect").await;
    browser.expect_console_with_only("410").await;
    look_closely(browser, "policy-change-approved").await;

    let shown = service.command("policy show", "");
    assert!(shown.contains("# nothing runs"), "{shown}");
    let approved = service.payloads("approval.approved");
    let statement = approved[0]["statement"].as_str().unwrap();
    assert!(
        statement.contains("\"kind\":\"policy_change\""),
        "{statement}"
    );
    assert_eq!(service.payloads("policy.changed").len(), 2);
}

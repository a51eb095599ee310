//! Who and what decides nothing.

use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::{Person, enrol};
use crate::service::{LEAST_TTL, Service};
use crate::waiting::PATIENCE;
use serde_json::{Value, json};

/// The ceremony in two halves, as a page's script does it; `arguments` are the decision and the ids
/// of the credentials to ask the device for, or none to take those from the options.
const SIGN: &str = r#"
const [decision, ids] = arguments;
const bytes = (text) => Uint8Array.from(
  atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer)))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
return (async () => {
  const answer = await fetch(`${location.pathname}/options?decision=${decision}`);
  const options = await answer.json();
  const allowed = ids ?? options.allow_credentials.map(({ id }) => id);
  const credential = await navigator.credentials.get({ publicKey: {
    challenge: bytes(options.challenge), rpId: options.rp_id, userVerification: "required",
    allowCredentials: allowed.map((id) => ({ type: "public-key", id: bytes(id) })),
  } });
  const { clientDataJSON, authenticatorData, signature } = credential.response;
  return {
    decision, credential_id: text(credential.rawId), client_data_json: text(clientDataJSON),
    authenticator_data: text(authenticatorData), signature: text(signature),
  };
})();
"#;

const VERIFY: &str = r#"
const [body] = arguments;
return fetch(`${location.pathname}/verify`, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body),
}).then(async (answer) => [answer.status, await answer.json()]);
"#;

async fn sign(person: &Person, decision: &str, ids: Value) -> Value {
    person
        .browser
        .script(SIGN, vec![json!(decision), ids])
        .await
}

/// Status and code.
async fn verify(person: &Person, signed: Value) -> (u64, String) {
    let answer = person.browser.script(VERIFY, vec![signed]).await;
    let code = answer[1]["code"].as_str().unwrap_or_default().to_owned();
    (answer[0].as_u64().unwrap(), code)
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_passkey_decides_nothing() {
    let service = Service::start().await;
    let driver = Driver::start();
    let _approver = enrol(&service, &driver, "default").await;
    let mallory = enrol(&service, &driver, "mallory").await;
    let asked = service.ask_for_purge().await;
    mallory.browser.goto(&asked.url).await;
    mallory.browser.click("#approve").await;
    mallory.browser.told("No passkey was used").await;
    mallory.browser.expect_silent_console().await;

    let signed = sign(&mallory, "approve", json!([mallory.passkey.id()])).await;
    let refused = verify(&mallory, signed).await;
    assert_eq!(refused, (403, "credential_not_eligible".to_owned()));
    assert_eq!(service.approval_status(&asked).await["state"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_does_not_recognise_its_user_decides_nothing() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.recognise(&person.authenticator, false).await;
    browser.click("#approve").await;
    browser.told("No passkey was used").await;
    assert_eq!(service.approval_status(&asked).await["state"], "pending");
    browser.recognise(&person.authenticator, true).await;
    browser.click("#approve").await;
    browser.told("Approved").await;
    browser.expect_console_with_only("410").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_persons_tab_keeps_its_challenge_and_comes_too_late() {
    let service = Service::start_with(&[("APPROVAL_APPROVERS", "default,security")]).await;
    let driver = Driver::start();
    let first = enrol(&service, &driver, "default").await;
    let second = enrol(&service, &driver, "security").await;
    let asked = service.ask_for_purge().await;
    first.browser.goto(&asked.url).await;
    second.browser.goto(&asked.url).await;
    let firsts = sign(&first, "approve", Value::Null).await;
    let seconds = sign(&second, "deny", Value::Null).await;
    let again = sign(&second, "approve", Value::Null).await;

    let decided = verify(&first, firsts).await;
    assert_eq!(decided.0, 200, "{decided:?}");
    for late in [seconds, again] {
        let late = verify(&second, late).await;
        assert_eq!(late, (410, "approval_decided".to_owned()));
    }
    assert_eq!(service.payloads("approval.approved").len(), 1);
    assert!(service.payloads("approval.denied").is_empty());

    let told = second.browser.told("Approved, not carried out yet").await;
    assert!(told.contains("default"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_request_can_no_longer_be_decided() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let asked = service.ask_for_purge().await;
    person.browser.goto(&asked.url).await;
    let signed = sign(&person, "approve", Value::Null).await;
    service.close(&asked).await;
    let late = verify(&person, signed).await;
    assert_eq!(late, (410, "approval_cancelled".to_owned()));
    person.browser.told("This request was cancelled").await;
    assert_eq!(person.browser.heading().await, "This request was cancelled");
    person.browser.expect_console_with_only("410").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_says_when_the_time_is_over() {
    let ttl = LEAST_TTL.as_secs().to_string();
    let service = Service::start_with(&[("APPROVAL_TTL_SECONDS", &ttl)]).await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let asked = service.ask_for_purge().await;
    person.browser.goto(&asked.url).await;
    assert!(person.browser.text("#clock").await.ends_with(" left"));
    let told = person
        .browser
        .told_within(LEAST_TTL + PATIENCE, "This request has expired")
        .await;
    assert!(told.contains("Nothing was sent"), "{told}");
    let receipt = "return document.querySelector('h1').textContent";
    crate::waiting::until("the page is the receipt", async || {
        let heading = person.browser.script(receipt, Vec::new()).await;
        (heading == "This request has expired").then_some(())
    })
    .await;
    person.browser.expect_console_with_only("410").await;
    assert_eq!(service.approval_status(&asked).await["state"], "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_was_never_handed_out_opens_nothing() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    for kind in ["approve", "enrol"] {
        let forged = format!("{}/v1/{kind}/eyJhbGciOiJIUzI1NiJ9.e30.AAAA", service.origin);
        browser.goto(&forged).await;
        assert_eq!(browser.heading().await, "This link is not valid");
        browser.expect_console_with_only("401").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_passkeys_may_read_and_is_told_why_it_cannot_decide() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let asked = service.ask_for_purge().await;
    let without = json!({"source": "delete window.PublicKeyCredential"});
    browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", without)
        .await;
    browser.goto(&asked.url).await;
    browser.told("No passkeys in this browser").await;
    for button in ["#approve", "#deny"] {
        assert!(!browser.is_enabled(button).await);
    }
    assert!(browser.text("main").await.contains("app.css"));

    let link = service.invite("default").await;
    browser.goto(&link).await;
    browser.told("No passkeys in this browser").await;
    assert!(!browser.is_enabled("#register").await);
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_scripts_everything_can_be_read() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let asked = service.ask_for_purge().await;
    browser
        .devtools(
            "Emulation.setScriptExecutionDisabled",
            json!({"value": true}),
        )
        .await;
    browser.goto(&asked.url).await;
    let shown = browser.text("main").await;
    assert!(shown.contains("app.css"), "{shown}");
    assert!(shown.contains("scripts are off in this browser"), "{shown}");
    assert!(!browser.is_enabled("#approve").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_can_decide_before_a_passkey_is_registered() {
    let service = Service::start_with(&[("APPROVAL_APPROVERS", "default,security")]).await;
    let driver = Driver::start();
    let (browser, _) = Browser::with_authenticator(&driver).await;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    let shown = browser.text("main").await;
    assert!(shown.contains("Nobody can decide this yet"), "{shown}");
    assert!(shown.contains("security no passkey yet"), "{shown}");
    crate::axe::look_closely(&browser, "undecidable").await;
    for button in ["#approve", "#deny"] {
        assert!(!browser.is_enabled(button).await);
    }
    browser.expect_silent_console().await;

    // Nobody is told in vain to press once one of them can.
    let person = enrol(&service, &driver, "default").await;
    person.browser.goto(&asked.url).await;
    let shown = person.browser.text("main").await;
    assert!(shown.contains("default one passkey"), "{shown}");
    assert!(!shown.contains("Nobody can decide"), "{shown}");
    assert!(person.browser.is_enabled("#approve").await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_whose_count_went_back_is_a_full_stop() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.click("#approve").await;
    browser.told("Approved").await;
    browser.count_back(&person.authenticator).await;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.click("#approve").await;
    let told = browser
        .told("Stop: this passkey may have been copied")
        .await;
    for part in ["Do not try again", "Tell an operator", "revoke"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    for button in ["#approve", "#deny"] {
        assert!(!browser.is_enabled(button).await);
    }
    crate::axe::look_closely(browser, "count-went-back").await;
    assert_eq!(service.approval_status(&asked).await["state"], "pending");
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelled_timed_out_and_the_wrong_device_are_told_apart() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let asked = service.ask_for_purge().await;
    person.browser.goto(&asked.url).await;
    let told = "const { unsigned } = await import(\
                  document.querySelector('script[type=module]').src.replace('approve.js', 'ceremony.js')); \
                return [[90000, 90000], [3000, 90000], [40, 90000]].map(([took, most]) => \
                  unsigned(took, most).title)";
    let told = format!("return (async () => {{ {told} }})()");
    let told = person.browser.script(&told, Vec::new()).await;
    assert_eq!(
        told,
        json!(["Time ran out", "Cancelled", "No passkey was used"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sensitive_operation_is_seen_before_all_are_approved() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    browser.look_with(360, 640, "light").await;
    let asked = service.ask(&crate::reading::operations()).await;
    browser.goto(&asked.url).await;
    browser.click("#approve").await;
    browser.told("You have not seen this operation yet").await;
    assert!(service.payloads("approval.approved").is_empty());
    crate::layout::approve_all(browser).await;
    assert_eq!(service.payloads("approval.approved").len(), 1);
}

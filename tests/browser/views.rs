//! The views around the inbox in a browser: how they look, and the keys that lead to them.

use crate::account::{PASSWORD, arrived, logged_in, shown};
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::inbox::at_the_inbox;
use crate::service::Service;
use crate::waiting::until;
use fixtures::receiver::Answer;
use fixtures::service::CALLBACK_SECRET;
use serde_json::{Value, json};

/// Each with the key that leads to it.
const VIEWS: [(&str, &str); 12] = [
    ("history", "h"),
    ("tasks", "t"),
    ("agents", "a"),
    ("approvers", "p"),
    ("clearances", "k"),
    ("blocks", "b"),
    ("schedules", "e"),
    ("policy", "o"),
    ("callbacks", "c"),
    ("ledger", "l"),
    ("users", "u"),
    ("system", "s"),
];

pub(crate) async fn live(browser: &Browser) {
    until("the stream", async || {
        (browser.text("#live").await == "Live").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_reached_by_its_key_and_can_be_used_by_everybody() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    for (view, _) in VIEWS {
        browser.goto(&format!("{}/{view}", service.origin)).await;
        look_closely(&browser, &format!("{view}-empty")).await;
    }
    let asked = service.ask_for_purge().await;
    service.invite("default").await;
    for (view, key) in VIEWS {
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

#[tokio::test(flavor = "multi_thread")]
async fn every_view_reads_without_scripts() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let asked = service.ask_for_purge().await;
    let off = json!({"value": true});
    browser
        .devtools("Emulation.setScriptExecutionDisabled", off)
        .await;
    let task = format!("tasks/{}", asked.task_id);
    let mut paths: Vec<&str> = VIEWS.iter().map(|(view, _)| *view).collect();
    paths.extend([task.as_str(), "agents/deployer", "allows"]);
    for path in paths {
        browser.goto(&format!("{}/{path}", service.origin)).await;
        let (heading, list) = (browser.heading().await, browser.text("#lists").await);
        assert!(!heading.is_empty() && !list.is_empty(), "{path}: {list}");
        // What a button does, a script does; a link leads on.
        let body = browser.text("body").await;
        for button in ["Invite", "Make them anew", "Lock"] {
            let stands = body.lines().any(|line| line.trim() == button);
            assert!(!stands, "{path} offers {button}");
        }
        assert!(browser.text("nav.views").await.contains("Inbox"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_that_were_given_up_are_read_and_sent_again() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    // An endpoint that is gone for good is asked once.
    service.receiver().answer_afterwards(Answer::status(410));
    let callback = json!({"callback": {
        "url": service.receiver().url("/hooks"), "secret": CALLBACK_SECRET,
    }});
    let operations = crate::service::purge("app.css");
    service.ask_with(&operations, &callback, &json!({})).await;
    browser.goto(&format!("{}/callbacks", service.origin)).await;
    until("it is given up", async || {
        listed(&browser).await.contains("1 given up").then_some(())
    })
    .await;
    live(&browser).await;
    let list = listed(&browser).await;
    for part in ["approval.pending", "given up", "410"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    look_closely(&browser, "callbacks-given-up").await;
    service.receiver().answer_afterwards(Answer::status(200));
    browser.click("#lists button.act").await;
    browser.told("It is tried again").await;
    until("it is delivered", async || {
        listed(&browser).await.contains("0 given up").then_some(())
    })
    .await;
    browser.expect_silent_console().await;
}

/// What the list says, which may be replaced at any moment.
pub(crate) async fn listed(browser: &Browser) -> String {
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

/// A browser opens six connections to a host, and every stream keeps one.
#[tokio::test(flavor = "multi_thread")]
async fn eight_windows_of_a_browser_are_kept_up_to_date_by_one_stream() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let asked = service.ask_for_purge().await;
    let task = format!("{}/tasks/{}", service.origin, asked.task_id);
    let mut windows = Vec::new();
    for _ in 0..8 {
        windows.push(browser.new_window().await);
        browser.goto(&task).await;
        live(&browser).await;
    }
    browser.switch_to(&windows[0]).await;
    let hidden = browser.script("return document.hidden", Vec::new()).await;
    assert_eq!(hidden, false, "the first window is still looked at");
    // The one that has the stream leaves, and another one takes it.
    browser.close_window().await;
    let windows = &windows[1..];
    browser.switch_to(&windows[0]).await;
    live(&browser).await;
    service.close(&asked).await;
    for window in windows {
        browser.switch_to(window).await;
        until("the end", async || {
            listed(&browser).await.contains("closed").then_some(())
        })
        .await;
    }
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_is_made_from_a_row_once_a_passkey_was_shown() {
    let driver = Driver::start();
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let (browser, authenticator) = Browser::with_authenticator(&driver).await;
    logged_in(&browser, &service, "anna").await;
    browser.click("#add-passkey").await;
    shown(&browser, "#register").await;
    browser.click("#register").await;
    browser.told("From now on you log in with it").await;
    service.invite("default").await;
    browser.goto(&format!("{}/approvers", service.origin)).await;
    live(&browser).await;
    let invited = || service.payloads("approver.enrolment_opened").len();
    let before = invited();
    let invite = "button[data-path='approvers/default/enrolment']";
    browser.recognise(&authenticator, false).await;
    browser.click(invite).await;
    let told = browser.told("No passkey was used").await;
    assert!(told.contains("Nothing was changed"), "{told}");
    assert_eq!(invited(), before);
    browser.recognise(&authenticator, true).await;
    browser.click(invite).await;
    let told = browser.told("Give this link to the person").await;
    assert!(told.contains("/v1/enrol/"), "{told}");
    assert_eq!(invited(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_suggested_is_granted_with_a_passkey_and_taken_away_without() {
    let driver = Driver::start();
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    for number in 0..5 {
        let operations = json!([{"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"type": "A", "name": format!("n{number}.example.com"),
            "content": "192.0.2.1"}}]);
        let asked = service.ask(&operations).await;
        browser.goto(&asked.url).await;
        if number == 0 {
            look_closely(browser, "question-of-one").await;
        }
        browser.click("#approve").await;
        browser.told("Approved").await;
    }
    logged_in(browser, &service, "anna").await;
    browser.click("#add-passkey").await;
    shown(browser, "#register").await;
    browser.click("#register").await;
    browser.told("From now on you log in with it").await;
    browser
        .goto(&format!("{}/agents/deployer", service.origin))
        .await;
    live(browser).await;
    let given = || service.payloads("agent.permissions_replaced");
    let before = given().len();
    browser.click("#suggestions summary").await;
    look_closely(browser, "agent-suggestion").await;
    assert!(listed(browser).await.contains("without asking anybody"));
    browser.click("#suggestions button").await;
    browser.told("It is granted").await;
    let now = given();
    assert_eq!(now.len(), before + 1);
    let grant = &now[before]["grants"][0];
    assert_eq!(
        (&grant["operation"], &grant["scope_id"]),
        (&json!("dns.record.write"), &json!("z1"))
    );
    until("the grant", async || {
        listed(browser)
            .await
            .contains("Take all of it away")
            .then_some(())
    })
    .await;
    browser.click("#take summary").await;
    look_closely(browser, "agent-pause").await;
    browser.click("#take button").await;
    browser.told("waits for a person now").await;
    assert_eq!(given()[before + 1]["grants"], json!([]));
    browser.goto(&format!("{}/system", service.origin)).await;
    live(browser).await;
    browser
        .click("button[data-path='projections/rebuild']")
        .await;
    browser.told("being made anew").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_is_locked_from_its_view_and_the_inbox_says_so_until_it_is_lifted() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    service.ask_for_purge().await;
    let agent = format!("{}/agents/deployer", service.origin);
    browser.goto(&agent).await;
    live(&browser).await;
    browser.click("details.offer:has(#lock) summary").await;
    look_closely(&browser, "agent-lock").await;
    browser.click("#lock").await;
    browser.told("A reason is needed").await;
    assert_eq!(service.payloads("lock.set").len(), 0);
    browser.write("#lock-reason", "its key leaked").await;
    browser.click("#lock").await;
    browser.told("It is locked").await;
    let set = service.payloads("lock.set");
    assert_eq!(set[0]["reason"], "its key leaked");
    until("the lock", async || {
        listed(&browser)
            .await
            .contains("A lock on the agent stands since")
            .then_some(())
    })
    .await;
    look_closely(&browser, "agent-locked").await;
    browser.goto(&format!("{}/inbox", service.origin)).await;
    live(&browser).await;
    assert!(listed(&browser).await.contains("its key leaked"));
    look_closely(&browser, "inbox-locked").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_is_copied_and_where_the_browser_refuses_it_is_marked() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let deploy = json!([{"operation_id": "workers.deploy.write", "scope_type": "account",
        "scope_id": "a1", "params": {"script_name": "site", "script": "export default {}"}}]);
    let asked = service.ask(&deploy).await;
    browser.goto(&asked.url).await;
    let digest = browser.text(".files code.digest").await;
    assert_eq!(digest.len(), 64);
    let refuse = "navigator.clipboard.writeText = () => Promise.reject(new DOMException('no', 'NotAllowedError'))";
    browser.script(refuse, Vec::new()).await;
    // Away from under the decision, which stays at the foot of the window.
    let to_middle = "document.querySelector('.files .copy').scrollIntoView({block: 'center'})";
    browser.script(to_middle, Vec::new()).await;
    browser.click(".files .copy").await;
    until("the mark", async || {
        let told = browser.text(".files .copy").await;
        told.contains("Marked: copy it").then_some(())
    })
    .await;
    let marked = browser.script("return String(getSelection())", Vec::new());
    assert_eq!(marked.await, digest.as_str());
    let allow = "navigator.clipboard.writeText = (text) => { window.copied = text; return Promise.resolve(); }";
    browser.script(allow, Vec::new()).await;
    browser.click(".files .copy").await;
    until("the copy", async || {
        (browser.text(".files .copy").await.contains("Copied")).then_some(())
    })
    .await;
    let copied = browser.script("return window.copied", Vec::new()).await;
    assert_eq!(copied, digest.as_str());
    look_closely(&browser, "question-with-digests").await;
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approver_is_made_ones_own_by_its_passkey() {
    let driver = Driver::start();
    let service = Service::start().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    logged_in(browser, &service, "anna").await;
    let asked = service.ask_for_purge().await;
    browser.goto(&format!("{}/approvers", service.origin)).await;
    live(browser).await;
    look_closely(browser, "approvers-to-link").await;
    browser.click("button[data-links='default']").await;
    browser.told("From now on this approver is you").await;
    until("the name", async || {
        listed(browser).await.contains("of user anna").then_some(())
    })
    .await;
    assert!(!listed(browser).await.contains("This is me"));
    browser.goto(&format!("{}/inbox", service.origin)).await;
    let needs = "return document.querySelector('#needs li').dataset.id";
    assert_eq!(browser.script(needs, Vec::new()).await, asked.approval_id);
}

/// What the ledger's view says of what this browser checked.
async fn checked(browser: &Browser, part: &str) -> String {
    let text = "return document.getElementById('checked')?.innerText ?? ''";
    until(part, async || {
        let told = browser.script(text, Vec::new()).await;
        let told = told.as_str().unwrap_or_default().to_owned();
        told.contains(part).then_some(told)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn this_browser_checks_the_ledger_and_says_where_trust_ends() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    service.ask_for_purge().await;
    let url = format!("{}/ledger", service.origin);
    until("a checkpoint", async || {
        browser.goto(&url).await;
        let marks = "return document.querySelectorAll('#checked').length";
        (browser.script(marks, Vec::new()).await == 1).then_some(())
    })
    .await;
    checked(&browser, "signed by the key that this browser keeps").await;
    checked(&browser, "Single events are checked for who may audit").await;
    browser.expect_silent_console().await;
    let created = service.payloads("user.created");
    let anna = created[0]["user_id"].as_str().unwrap();
    let audits = format!("user set {anna} --can-audit true --local --reason audits");
    service.command(&audits, "");
    browser.goto(&url).await;
    let count = "return document.querySelectorAll('.mark.checked').length";
    until("the marks", async || {
        (browser.script(count, Vec::new()).await.as_u64() > Some(3)).then_some(())
    })
    .await;
    // A list that is brought up to date at that moment may come folded.
    let header = until("the bytes of a header", async || {
        let header = browser.text(".proof code").await;
        if header.is_empty() {
            browser.click(".proof summary").await;
        }
        (!header.is_empty()).then_some(header)
    })
    .await;
    assert!(header.starts_with("4c50504c01"), "{header}");
    look_closely(&browser, "ledger-checked").await;
    browser.expect_silent_console().await;
    // What comes later continues what was checked.
    service.ask_for_purge().await;
    until("more of it", async || {
        let newest = "const row = document.querySelector('.events > li'); \
                      return row.querySelector('.mark.checked') ? Number(row.dataset.position) : 0";
        (browser.script(newest, Vec::new()).await.as_u64() > Some(5)).then_some(())
    })
    .await;
    // A log that this browser has seen otherwise.
    let change = "const name = Object.keys(localStorage).find((key) => key.startsWith('ledger ')); \
                  const kept = JSON.parse(localStorage[name]); \
                  kept[arguments[0]] = arguments[1] ?? kept[arguments[0]].replace(/^./, (c) => c === '0' ? '1' : '0'); \
                  localStorage[name] = JSON.stringify(kept)";
    for (field, value, told) in [
        (
            "root",
            Value::Null,
            "does not continue what this browser has seen",
        ),
        (
            "size",
            1_000_000.into(),
            "shorter than this browser has seen it",
        ),
        (
            "key",
            "other+00000000+AA".into(),
            "another key than the one that this browser keeps",
        ),
    ] {
        // Of another page, for this one keeps what it checks meanwhile.
        browser.goto(&format!("{}/tasks", service.origin)).await;
        browser.script(change, vec![field.into(), value]).await;
        browser.goto(&url).await;
        let text = checked(&browser, told).await;
        assert!(text.contains("Trust ends at event"), "{text}");
        assert_eq!(browser.script(count, Vec::new()).await, 0);
        if field == "root" {
            look_closely(&browser, "ledger-broken").await;
        }
    }
}

/// Changes each answer to a path that has this part, before the page sees it.
async fn forge(browser: &Browser, part: &str, change: &str) -> Value {
    let source = format!(
        "const real = window.fetch; \
         window.fetch = async (url, ...rest) => {{ \
           const answer = await real(url, ...rest); \
           if (!String(url).includes({part:?})) return answer; \
           const bytes = new Uint8Array(await answer.arrayBuffer()); \
           ({change})(bytes); \
           return new Response(bytes, {{ status: answer.status }}); \
         }}"
    );
    let forged = json!({ "source": source });
    browser
        .devtools("Page.addScriptToEvaluateOnNewDocument", forged)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_service_forges_is_not_marked_as_checked() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    let created = service.payloads("user.created");
    let anna = created[0]["user_id"].as_str().unwrap();
    let audits = format!("user set {anna} --can-audit true --local --reason audits");
    service.command(&audits, "");
    let url = format!("{}/ledger", service.origin);
    let count = "return document.querySelectorAll('.mark.checked').length";
    until("the marks", async || {
        browser.goto(&url).await;
        (browser.script(count, Vec::new()).await.as_u64() > Some(3)).then_some(())
    })
    .await;
    let flip = |at: &str| format!("(bytes) => {{ bytes[{at}] ^= 1; }}");
    for (part, change, told) in [
        // A digit of the size, and a letter of the signature.
        (
            "/checkpoint",
            flip("bytes.indexOf(10) + 1"),
            "not signed by the log's key",
        ),
        (
            "/checkpoint",
            "(bytes) => { bytes[bytes.length - 20] = bytes[bytes.length - 20] === 65 ? 66 : 65; }"
                .to_owned(),
            "not signed by the log's key",
        ),
        ("/tile/0/", flip("5"), "do not lead to its signed root"),
        (
            "/tile/entries/",
            flip("130"),
            "is not the one in the signed tree",
        ),
    ] {
        let forged = forge(&browser, part, &change).await;
        browser.goto(&url).await;
        let text = checked(&browser, told).await;
        assert!(text.contains("Trust ends at event"), "{part}: {text}");
        let id = json!({ "identifier": forged["identifier"] });
        browser
            .devtools("Page.removeScriptToEvaluateOnNewDocument", id)
            .await;
    }
    browser.goto(&url).await;
    checked(&browser, "signed by the key that this browser keeps").await;
}

/// The address that a machine shows leads a stranger through the login to the answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_is_given_a_key_where_its_address_leads() {
    let driver = Driver::start();
    let (service, browser) = at_the_inbox(&driver).await;
    for (press, told, over) in [
        (
            "POST",
            "The machine fetches its key now",
            "It was given a key",
        ),
        ("DELETE", "The machine gets no key", "No machine waits"),
    ] {
        let url = service.pair("new-bot").await;
        browser.goto(&url).await;
        live(&browser).await;
        assert!(listed(&browser).await.contains("says that it is the agent"));
        look_closely(&browser, &format!("pairing-{press}")).await;
        browser
            .click(&format!("button[data-method='{press}']"))
            .await;
        browser.told(told).await;
        until("the end", async || {
            listed(&browser).await.contains(over).then_some(())
        })
        .await;
    }
    assert_eq!(service.payloads("key.created").len(), 1);
    browser.expect_silent_console().await;
}

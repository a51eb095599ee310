//! What a person reads before deciding: everything, as it will be sent, and nothing that acts.

use crate::browser::Browser;
use crate::driver::Driver;
use crate::service::Service;
use fixtures::upstream::{FakeUpstream, Fault};
use serde_json::{Value, json};

pub(crate) const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";

/// Operations of each kind that changes something, with texts that try to hide, to reorder and to
/// act.
pub(crate) fn operations() -> Value {
    let zone = |operation: &str, params: Value| {
        json!({
            "operation_id": operation, "scope_type": "zone", "scope_id": ZONE, "params": params,
        })
    };
    json!([
        zone("ssl.mode.write", json!({"value": "flexible"})),
        zone("dns.record.write", json!({
            "action": "create", "type": "A", "name": "shop.example.com",
            "content": "198.51.100.7", "ttl": 300, "proxied": false,
            "comment": "moved by fdp.\u{202e}tnega\u{202c} <img src=x onerror=alert(1)> \u{2039}U+0041\u{203a}",
        })),
        zone("cache.purge.execute", json!({"purge_everything": true})),
        zone("waf.rules.write", json!({
            "action": "add_rule", "ruleset_id": "2c0fc9fa937b11eaa1b71c4d701ab86e",
            "rule": {
                "action": "skip", "expression": "ip.src eq 192.0.2.1",
                "action_parameters": {"ruleset": "current"},
            },
        })),
        {
            "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ZONE,
            "params": {"script_name": "geo-router", "script": SCRIPT},
        },
    ])
}

const SCRIPT: &str = "export default {\n\tasync fetch(request) {\n\t\t\
    const country = request.cf.country; // \u{202e}desrever\n\t\t\
    return new Response(\"hello \" + country + \" with a line that is longer than any telephone is wide\");\
    \n\t},\n};\n";

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_will_be_sent_is_on_the_page() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let asked = service.ask(&operations()).await;
    browser.goto(&asked.url).await;
    // What is folded is there to be opened.
    let unfold = "for (const part of document.querySelectorAll('details.rest')) part.open = true";
    browser.script(unfold, Vec::new()).await;
    let shown = browser.text("main").await;
    let accepted = &service.payloads("apply.accepted")[0];
    let submission = accepted["submission"].as_str().unwrap();
    let submission: Value = serde_json::from_str(submission).unwrap();
    let mut params = 0;
    for operation in submission["operations"].as_array().unwrap() {
        for text in leaves(&operation["params"]) {
            params += 1;
            for line in spelled_out(&text).lines() {
                let line = line.trim();
                assert!(shown.contains(line), "{line:?} is not in:\n{shown}");
            }
        }
    }
    assert!(params > 15, "{params} params");

    for word in [
        "deployer",
        "Harden the shop",
        "sensitive",
        "default",
        ZONE,
        "Simulation",
    ] {
        assert!(shown.contains(word), "{word:?} is not in:\n{shown}");
    }
    let warnings = "return [...document.querySelectorAll('.operation')]\
                    .map((card) => card.querySelectorAll('.warnings li').length)";
    let warnings = browser.script(warnings, Vec::new()).await;
    let warned = warnings.as_array().unwrap();
    let calm = warned.iter().filter(|count| **count == 0).count();
    assert_eq!((warned.len(), calm), (5, 1), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_on_the_page_hides_reorders_or_acts() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let asked = service.ask(&operations()).await;
    browser.goto(&asked.url).await;
    let chips = "return [...document.querySelectorAll('.chip')].map((chip) => chip.textContent)";
    let chips = browser.script(chips, Vec::new()).await;
    let chips: Vec<_> = chips.as_array().unwrap().iter().collect();
    for chip in [
        "\u{2039}U+202E\u{203a}",
        "\u{2039}U+202C\u{203a}",
        "\u{2039}U+2039\u{203a}",
    ] {
        assert!(chips.contains(&&json!(chip)), "{chip} is not in {chips:?}");
    }
    let shown = browser.text("main").await;
    let hidden = shown
        .chars()
        .find(|c| ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(hidden, None);
    let foreign = "return document.querySelectorAll('main img, main script, main iframe').length";
    assert_eq!(browser.script(foreign, Vec::new()).await, 0);
    let loaded = "return performance.getEntriesByType('resource')\
                  .filter(({ name }) => !name.startsWith(location.origin + '/')).length";
    assert_eq!(browser.script(loaded, Vec::new()).await, 0);
    browser.expect_silent_console().await;

    // The policy holds: what got into the page all the same would not run, load or frame us.
    let inline = "document.body.insertAdjacentText('beforeend', 'x'); \
                  const script = document.createElement('script'); \
                  try { script.textContent = 'window.acted = true'; document.body.append(script); } \
                  catch { return 'refused'; } return window.acted ?? 'refused'";
    assert_eq!(browser.script(inline, Vec::new()).await, "refused");
    let sent = "return fetch('https://example.invalid/').then(() => 'sent', () => 'refused')";
    assert_eq!(browser.script(sent, Vec::new()).await, "refused");
    let console = browser.console().await;
    assert!(!console.is_empty(), "the violations are reported");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_upstream_stands_beside_what_will_be_sent() {
    let upstream = FakeUpstream::start().await.unwrap();
    let record = json!({
        "type": "A", "name": "shop.example.com", "content": "198.51.100.4", "ttl": 300,
    });
    let record_id = upstream.put_record(ZONE, &record);
    upstream.on_next(Fault::Hold);
    let base = upstream.base_url();
    let service = Service::start_with(&[
        ("CLOUDFLARE_API_TOKEN", upstream.token()),
        ("CLOUDFLARE_API_BASE", &base),
    ])
    .await;
    let driver = Driver::start();
    let person = crate::enrolling::enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let change = json!([{
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {
            "action": "edit", "record_id": record_id, "type": "A", "content": "198.51.100.7",
            "ttl": 300,
        },
    }]);
    let asked = service.ask(&change).await;
    browser.goto(&asked.url).await;
    let shown = browser.text("main").await;
    assert!(shown.contains("Not read yet"), "{shown}");
    assert!(!shown.contains("Simulation"), "{shown}");

    upstream.release();
    browser.told("There is more to see").await;
    assert!(browser.is_enabled("#approve").await);
    let heading = browser.heading().await;
    assert!(heading.contains(&record_id), "{heading}");
    browser.click("#message a").await;
    assert_eq!(
        browser.heading().await,
        "shop.example.com A: 198.51.100.4 → 198.51.100.7"
    );
    let shown = browser.text(".changes").await;
    for part in ["content", "198.51.100.7", "now", "198.51.100.4"] {
        assert!(shown.contains(part), "{shown}");
    }
    let shown = browser.text(".operation").await;
    assert!(shown.contains("unchanged"), "{shown}");
    assert!(shown.contains("shop.example.com"), "{shown}");
    browser.expect_silent_console().await;
    for (width, height) in [(360, 740), (1280, 900)] {
        browser.look_with(width, height, "light").await;
        browser.screenshot(&format!("upstream-{width}-light")).await;
    }
}

/// Every value that is not an object or a list, as text.
fn leaves(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::String(text) => vec![text.clone()],
        other => vec![other.to_string()],
    }
}

/// As a page shows what would hide or reorder.
fn spelled_out(text: &str) -> String {
    let mut shown = String::new();
    for c in text.chars() {
        if ('\u{202a}'..='\u{202e}').contains(&c) || c == '\u{2039}' {
            shown.push_str(&format!("\u{2039}U+{:04X}\u{203a}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

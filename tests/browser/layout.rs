//! Every page on a telephone and on a desk, in light and in dark.

use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::reading::{ZONE, operations};
use crate::service::Service;
use serde_json::json;

const WINDOWS: [(u32, u32); 2] = [(360, 740), (1280, 900)];
const SCHEMES: [&str; 2] = ["light", "dark"];

/// What sticks out to the side: everything must fit the window but what scrolls in a frame of its own. The window's
/// inner width is that of the page on a phone, which zooms out until all of it fits.
const TOO_WIDE: &str =
    "const page = document.documentElement; return page.scrollWidth - page.clientWidth";

/// Fields in which a phone zooms in, and stays so, because their text is smaller than 16 px.
const SMALL_FIELDS: &str = "const fields = document.querySelectorAll('textarea, select, input:not([type=radio], [type=checkbox])'); \
    const small = (field) => parseFloat(getComputedStyle(field).fontSize) < 16; \
    return Array.from(fields).filter(small).map((field) => field.id || field.name)";

/// Looks at the page that is open in every window and scheme, and does something with each, whose name it is told.
pub(crate) async fn look_at_each(browser: &Browser, name: &str, each: impl AsyncFn(&str)) {
    for (width, height) in WINDOWS {
        for scheme in SCHEMES {
            browser.look_with(width, height, scheme).await;
            let too_wide = browser.script(TOO_WIDE, Vec::new()).await;
            assert!(
                too_wide.as_i64() <= Some(0),
                "{name} scrolls sideways by {too_wide} px at {width} px"
            );
            let place = format!("{name}-{width}-{scheme}");
            let small = browser.script(SMALL_FIELDS, Vec::new()).await;
            assert_eq!(
                small,
                serde_json::json!([]),
                "{name}: a phone zooms in on fields"
            );
            browser.screenshot(&place).await;
            each(&place).await;
        }
    }
    let ground = |scheme| async move {
        browser.look_with(360, 740, scheme).await;
        let ground = "return getComputedStyle(document.body).backgroundColor";
        browser.script(ground, Vec::new()).await
    };
    assert_ne!(ground("light").await, ground("dark").await, "{name}");
}

/// Approves several operations; the page leads to each sensitive one that was never on the screen.
pub(crate) async fn approve_all(browser: &Browser) {
    loop {
        browser.click("#approve").await;
        let told = browser.told("").await;
        if !told.contains("You have not seen this operation yet") {
            assert!(told.contains("Approved"), "{told}");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_fit_the_window_in_light_and_dark() {
    let service = Service::start().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    look_closely(browser, "enrolled").await;
    let unused = service.invite("default").await;
    browser.goto(&unused).await;
    look_closely(browser, "enrol").await;

    let asked = service.ask(&operations()).await;
    browser.goto(&asked.url).await;
    look_closely(browser, "approval").await;
    let bottom = "window.scrollTo(0, document.body.scrollHeight)";
    browser.script(bottom, Vec::new()).await;
    look_closely(browser, "approval-end").await;
    browser.click("#deny").await;
    browser.told("Why not?").await;
    look_closely(browser, "approval-reason").await;
    approve_all(browser).await;
    look_closely(browser, "decided").await;

    // A text that is cut, with what stands behind it, makes no page wider and covers no button.
    let long = "\t\treturn fetch(\"https://origin.shop.example/a/long/path/\", request);\n";
    let script = format!("export default {{\n{}}};\n", long.repeat(30_000));
    let cut = service
        .ask(&json!([{
            "operation_id": "workers.deploy.write", "scope_type": "account",
            "scope_id": ZONE,
            "params": {"script_name": "shop", "main_module": "worker.js", "script": script},
        }]))
        .await;
    browser.goto(&cut.url).await;
    let told = browser.text(".cut").await;
    assert!(told.contains("Download all of it"), "{told}");
    look_closely(browser, "cut").await;
    let below =
        "return document.getElementById('actions').getBoundingClientRect().bottom - innerHeight";
    let below = browser.script(below, Vec::new()).await;
    assert!(
        below.as_f64() <= Some(0.5),
        "the buttons end {below} px below the window"
    );

    let closed = service.ask_for_purge().await;
    browser.goto(&closed.url).await;
    look_closely(browser, "short-approval").await;
    service.close(&closed).await;
    browser.goto(&closed.url).await;
    look_closely(browser, "cancelled").await;
    browser
        .goto(&format!("{}/v1/approve/none", service.origin))
        .await;
    look_closely(browser, "no-link").await;
}

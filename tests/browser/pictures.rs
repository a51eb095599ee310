//! The pictures of README.md, made from the real binary.

use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::inbox::at_the_inbox;
use crate::service::Service;
use crate::waiting::until;
use serde_json::json;
use std::path::{Path, PathBuf};

/// The most bytes of a picture.
const MOST: u64 = 150 * 1024;
/// What a picture shows, in CSS pixels.
const WINDOW: (u32, u32) = (1000, 720);

const SCRIPT: &str = "export default {\n  async fetch(request) {\n    return fetch(\"https://shop.pages.dev\");\n  },\n};\n";

fn picture_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures")
}

fn kept(name: &str) -> PathBuf {
    picture_folder().join(name).with_extension("png")
}

#[expect(
    clippy::disallowed_methods,
    reason = "no setting of the service: whether this run makes the documentation's pictures"
)]
fn is_wanted() -> bool {
    std::env::var_os("PICTURES").is_some()
}

/// Leaves a picture, small enough, and takes it into the documentation where `PICTURES` asks for that.
async fn take(browser: &Browser, name: &str) {
    let picture = browser.screenshot(name).await;
    assert!(
        picture.metadata().unwrap().len() <= MOST,
        "{name} is too large"
    );
    if is_wanted() {
        std::fs::create_dir_all(picture_folder()).unwrap();
        std::fs::copy(picture, kept(name)).unwrap();
    }
}

async fn ask_for_all(service: &Service) -> String {
    let zone = "023e105f4ecef8ad9ca31a8372d0c353";
    let purge = json!([{"operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": zone,
                        "params": {"purge_everything": true}}]);
    let record = json!([{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": zone,
                         "params": {"type": "A", "name": "www.shop.example", "content": "192.0.2.17", "ttl": 300}}]);
    let deploy = json!([{"operation_id": "workers.deploy.write", "scope_type": "account",
                         "scope_id": "01a7362d577a6c3019a474fd6f485823",
                         "params": {"script_name": "shop-front", "script": SCRIPT}}]);
    let tls = json!([{"operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": zone,
                      "params": {"value": "off"}}]);
    for operations in [purge, record, deploy] {
        service.ask(&operations).await;
    }
    service.ask(&tls).await.url
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pictures_of_the_documentation_are_made_from_the_pages() {
    let driver = Driver::start();
    let (service, inbox) = at_the_inbox(&driver).await;
    let person = enrol(&service, &driver, "default").await;
    let url = ask_for_all(&service).await;
    inbox.look_with(WINDOW.0, WINDOW.1, "light").await;
    inbox.goto(&format!("{}/inbox", service.origin)).await;
    until("the questions", async || {
        let rows = inbox.script(
            "return document.querySelectorAll('#lists li').length",
            Vec::new(),
        );
        (rows.await == 4).then_some(())
    })
    .await;
    take(&inbox, "inbox").await;
    person.browser.look_with(WINDOW.0, WINDOW.1, "light").await;
    person.browser.goto(&url).await;
    take(&person.browser, "approval").await;
    for name in ["inbox", "approval"] {
        let kept = kept(name).metadata();
        assert!(
            kept.is_ok_and(|kept| kept.len() <= MOST),
            "docs/pictures has no {name}"
        );
    }
}

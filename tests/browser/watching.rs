//! The page at `/watch`: somebody without an account sees one task as it goes on.

use crate::account::shown;
use crate::axe::look_closely;
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::service::Service;
use crate::waiting::until;

async fn shows(browser: &Browser, selector: &str, part: &str) {
    let what = format!("{selector} with {part:?}");
    until(&what, async || {
        let text = browser.text(selector).await;
        text.contains(part).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_watched_as_it_goes_on_and_until_it_is_closed() {
    let token = "the-service-token-of-the-browser-tests";
    let service = Service::start_with(&[("SERVICE_TOKEN", token)]).await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let asked = service.ask_for_purge().await;
    let watcher = Browser::open(&driver).await;
    watcher.goto(&service.watch_url(&asked, token).await).await;
    shown(&watcher, "#task").await;
    shows(&watcher, "#live", "Live").await;
    assert_eq!(watcher.text("#name").await, "Harden the shop");
    assert_eq!(watcher.text("#approval").await, "pending");
    let address = watcher.script("return location.href", Vec::new()).await;
    let bare = format!("{}/watch", service.origin);
    assert_eq!(address, bare, "the token is not in the address bar");
    shows(&watcher, "#apply-rows", "Purge by file").await;
    let told = watcher.text("#timeline-rows").await;
    let raw = |word: &str| word.len() > 20 && word.ends_with('Z') && word.contains('T');
    assert!(!told.split_whitespace().any(raw), "{told}");
    look_closely(&watcher, "watch").await;

    person.browser.goto(&asked.url).await;
    person.browser.click("#approve").await;
    person.browser.told("Approved").await;
    shows(&watcher, "#approval", "approved").await;
    service.go_on(&asked, 200).await;
    shows(&watcher, "#apply-rows", "completed").await;

    // A reload finds the token again.
    watcher.script("location.reload()", Vec::new()).await;
    shows(&watcher, "#live", "Live").await;
    shows(&watcher, "#approval", "consumed").await;
    service.close(&asked).await;
    let told = watcher.told("nothing new any more").await;
    assert!(told.contains("The task was closed"), "{told}");
    watcher.goto(&service.origin).await;
    watcher.goto(&bare).await;
    watcher.told("This link is not complete").await;
}

/// A browser opens six connections to a host: streams of tabs that nobody looks at would use them up.
#[tokio::test(flavor = "multi_thread")]
async fn with_thirty_tabs_of_a_task_open_other_pages_still_load() {
    let token = "the-service-token-of-the-browser-tests";
    let service = Service::start_with(&[("SERVICE_TOKEN", token)]).await;
    let driver = Driver::start();
    let asked = service.ask_for_purge().await;
    let watcher = Browser::open(&driver).await;
    let link = service.watch_url(&asked, token).await;
    for _ in 0..30 {
        watcher.goto(&link).await;
        shows(&watcher, "#live", "Live").await;
        watcher.new_tab().await;
    }
    watcher.goto(&asked.url).await;
    shown(&watcher, "#question").await;
}

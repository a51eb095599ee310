//! Behind a proxy that serves the service below a path of its own, and takes that path off.

use crate::account::{PASSWORD, shown};
use crate::browser::Browser;
use crate::driver::Driver;
use crate::enrolling::enrol;
use crate::service::Service;
use crate::waiting::until;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

const PREFIX: &str = "/gate";

/// The proxy; it passes on to the service once that is known.
#[derive(Default)]
pub(crate) struct Proxy {
    service: OnceLock<String>,
    /// Answers scripts with 404.
    loses_scripts: AtomicBool,
    /// Asks as nginx does where nothing is set: by HTTP/1.0, under the name of the service's own address.
    is_plain: AtomicBool,
}

async fn pass_on(
    State(proxy): State<Arc<Proxy>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    let asked = uri.path_and_query().unwrap().as_str();
    let lost = proxy.loses_scripts.load(Ordering::Relaxed) && uri.path().ends_with(".js");
    let (Some(path), false) = (asked.strip_prefix(PREFIX), lost) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let url = format!("{}{path}", proxy.service.get().unwrap());
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let mut asked = client.request(method, url).body(body);
    if proxy.is_plain.load(Ordering::Relaxed) {
        headers.remove(http::header::HOST);
        headers.remove(http::header::CONNECTION);
        asked = asked.version(http::Version::HTTP_10);
    }
    let asked = asked.headers(headers);
    let answer = asked.send().await.unwrap();
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    *response.headers_mut() = answer.headers().clone();
    // It speaks another version to the browser.
    response.headers_mut().remove(http::header::CONNECTION);
    *response.body_mut() = Body::from(answer.bytes().await.unwrap());
    response
}

/// The service behind a proxy, and the address of the proxy.
pub(crate) async fn behind_a_proxy() -> (Service, Arc<Proxy>, String) {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let origin = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let base_url = format!("{origin}{PREFIX}");
    let service = Service::start_with(&[
        ("BASE_URL", base_url.as_str()),
        ("WEBAUTHN_ORIGIN", origin.as_str()),
    ])
    .await;
    let proxy = Arc::new(Proxy::default());
    let address = service.origin.replace("localhost", "127.0.0.1");
    proxy.service.set(address).unwrap();
    let router = Router::new()
        .fallback(pass_on)
        .with_state(Arc::clone(&proxy));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (service, proxy, base_url)
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_everything_is_found_and_decided() {
    let (service, _, base_url) = behind_a_proxy().await;
    let driver = Driver::start();
    let person = enrol(&service, &driver, "default").await;
    let browser = &person.browser;
    let asked = service.ask_for_purge().await;
    assert!(asked.url.starts_with(&base_url), "{}", asked.url);
    browser.goto(&asked.url).await;
    browser.click("#approve").await;
    browser.told("Approved").await;
    browser.expect_console_with_only("410").await;

    browser.goto(&format!("{base_url}/docs")).await;
    let title = "return document.querySelector('.info .title')?.innerText ?? null";
    let shown = until("the description", async || {
        let shown = browser.script(title, Vec::new()).await;
        shown.as_str().map(str::to_owned)
    })
    .await;
    assert!(shown.contains("llm-permission-proxy"), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_as_it_is_installed_a_question_is_read_decided_and_becomes_its_receipt() {
    let (service, proxy, base_url) = behind_a_proxy().await;
    proxy.is_plain.store(true, Ordering::Relaxed);
    let driver = Driver::start();
    let (browser, _) = Browser::with_authenticator(&driver).await;
    let invitation = service.invite("default").await;
    assert!(invitation.starts_with(&base_url), "{invitation}");
    browser.goto(&invitation).await;
    browser.click("#register").await;
    browser.told("Your passkey is registered").await;
    browser.expect_silent_console().await;
    let asked = service.ask_for_purge().await;
    browser.goto(&asked.url).await;
    browser.click("#approve").await;
    browser.told("Approved, not carried out yet").await;
    service.go_on(&asked, 200).await;
    browser.told("Approved and simulated").await;
    browser.expect_console_with_only("410").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn below_a_path_a_view_leads_to_the_login_and_the_login_back() {
    let (service, _, base_url) = behind_a_proxy().await;
    service.command("user create-admin anna --password-stdin", PASSWORD);
    let asked = service.ask_for_purge().await;
    let driver = Driver::start();
    let browser = Browser::open(&driver).await;
    let task = format!("{base_url}/tasks/{}", asked.task_id);
    browser.goto(&task).await;
    shown(&browser, "#stranger").await;
    for (field, text) in [("#username", "anna"), ("#password", PASSWORD)] {
        browser.write(field, text).await;
    }
    browser.click("#with-password").await;
    let place = "return location.href";
    until("the task", async || {
        (browser.script(place, Vec::new()).await == task.as_str()).then_some(())
    })
    .await;
    // This proxy holds the stream back for ever; the page does without it.
    browser.expect_console_with_only("401").await;
    browser.type_text("gi").await;
    let inbox = format!("{base_url}/inbox");
    until("the inbox", async || {
        (browser.script(place, Vec::new()).await == inbox.as_str()).then_some(())
    })
    .await;
    browser.click("#lists a.open").await;
    assert!(browser.heading().await.contains("app.css"));
    browser.expect_silent_console().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_script_did_not_load_says_so() {
    let (service, proxy, _) = behind_a_proxy().await;
    let driver = Driver::start();
    let (browser, _) = Browser::with_authenticator(&driver).await;
    let asked = service.ask_for_purge().await;
    let shown = "const line = document.getElementById('unready'); \
                 return line ? getComputedStyle(line).visibility : 'gone'";
    browser.goto(&asked.url).await;
    until("the line is taken away", async || {
        (browser.script(shown, Vec::new()).await == "gone").then_some(())
    })
    .await;
    proxy.loses_scripts.store(true, Ordering::Relaxed);
    for url in [asked.url, service.invite("default").await] {
        let (browser, _) = Browser::with_authenticator(&driver).await;
        browser.goto(&url).await;
        until("the page says so", async || {
            (browser.script(shown, Vec::new()).await == "visible").then_some(())
        })
        .await;
        assert!(browser.text("main").await.contains("script has not loaded"));
        browser
            .screenshot(&format!("no-script-{}", url.contains("enrol")))
            .await;
    }
}

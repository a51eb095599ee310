//! What a newcomer sees first.

use fixtures::process::{Process, bare, said};
use fixtures::sandbox::{PATIENCE, until};
use std::time::Instant;

#[test]
fn the_demo_goes_as_it_tells_and_leaves_nothing_behind() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let output = bare("demo").env("TMPDIR", folder.path()).output().unwrap();
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{told}\n{complained}");
    assert!(told.contains("All of it went as told"), "{told}");
    assert!(
        told.contains("each follows from the one before it"),
        "{told}"
    );
    assert!(complained.is_empty(), "{complained}");
    assert!(!told.contains('\x1b'), "colour without a terminal");
    let wide = told.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_demo_that_is_kept_ends_at_an_installation_of_ones_own_and_at_the_inbox_by_a_link_that_works_once()
 {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = bare("demo --keep");
    command.env("TMPDIR", folder.path());
    let mut demo = Process::spawn(&mut command, &log);
    let told = until("the link", async || {
        assert!(demo.has_ended().is_none(), "{}", demo.log());
        let told = demo.log();
        told.contains("here is the inbox").then_some(told)
    })
    .await;
    for words in [
        " init",
        " serve --config llm-permission-proxy.toml",
        "approver invite default",
    ] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!told.contains("password"), "{told}");
    let link = until("the whole link", async || {
        let told = demo.log();
        let whole = told.ends_with('\n').then(|| told.lines().last())??;
        whole
            .trim()
            .starts_with("http://localhost:")
            .then(|| whole.trim().to_owned())
    })
    .await;
    drop(rustls::crypto::ring::default_provider().install_default());
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let (place, secret) = link.rsplit_once('/').unwrap();
    assert_eq!(secret.len(), 32);
    let guessed = browser.get(format!("{place}/{}", "0".repeat(32)));
    assert_eq!(guessed.send().await.unwrap().status(), 404);
    let (one, other) = tokio::join!(browser.get(&link).send(), browser.get(&link).send());
    let (one, other) = (one.unwrap(), other.unwrap());
    let (opened, refused) = match one.status().as_u16() {
        303 => (one, other),
        _ => (other, one),
    };
    assert_eq!(
        (opened.status().as_u16(), refused.status().as_u16()),
        (303, 410)
    );
    assert!(!refused.headers().contains_key("set-cookie"));
    let header = |name: &str| opened.headers()[name].to_str().unwrap();
    let (cookie, attributes) = header("set-cookie").split_once(';').unwrap();
    assert!(attributes.contains("HttpOnly"), "{attributes}");
    let inbox = browser.get(header("location")).header("cookie", cookie);
    let inbox = inbox.header("accept", "text/html").send().await.unwrap();
    assert_eq!(inbox.status(), 200);
    let inbox = inbox.text().await.unwrap();
    let (own, others) = inbox.split_once("id=\"others\"").unwrap();
    assert!(own.contains("yours to decide"), "{inbox}");
    assert!(!others.contains("yours to decide"), "{inbox}");
    demo.signal("TERM");
    assert!(demo.end(PATIENCE).await.is_some());
}

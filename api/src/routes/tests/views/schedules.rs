//! The view of schedules.

use super::Scene;
use crate::routes::tests::{dns, ssl};
use crate::testing::{AGENT, SERVICE_TOKEN};
use ledger::Role;
use serde_json::json;

#[tokio::test]
async fn operators_see_schedules_in_a_view_and_viewers_do_not() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let wanted = json!({
        "cron": "30 2 * * mon-fri", "zone": "Europe/Berlin", "misfire": "skip",
        "agent": AGENT, "operations": [dns("a.example.com")],
    });
    let path = "/v1/schedules/nightly";
    let put = stage.send("PUT", path, SERVICE_TOKEN, &wanted).await;
    assert_eq!(put.status, 200, "{put:?}");
    let operator = stage.session_of(Role::Operator).await;
    let page = stage.view("/schedules", Some(&operator)).await;
    assert_eq!(page.status, 200);
    page.is_harmless();
    for part in [
        ">nightly</bdi></h2>",
        "Active",
        "30 2 * * mon-fri Europe/Berlin",
        "dns.record.write on zone z1",
        "data-path=\"schedules/nightly\"",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
    let viewer = stage.session_of(Role::Viewer).await;
    let refused = stage.view("/schedules", Some(&viewer)).await;
    assert_eq!(refused.status, 403);
}

#[tokio::test]
async fn the_page_of_a_schedule_says_in_words_what_it_does_and_when() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let wanted = json!({
        "cron": "30 2 * * mon-fri", "zone": "Europe/Berlin", "misfire": "skip",
        "agent": AGENT, "operations": [ssl()],
    });
    let path = "/v1/schedules/nightly";
    let put = stage.send("PUT", path, SERVICE_TOKEN, &wanted).await;
    let url = put.body["approval_url"].as_str().unwrap();
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    let page = stage.view(path, None).await;
    assert_eq!(page.status, 200, "{}", page.html);
    page.is_harmless();
    for part in [
        "Let schedule nightly run",
        "ssl.mode.write on zone",
        "At 02:30",
        "30 2 * * mon-fri in Europe/Berlin",
        "next: ",
        "Fires without asking again",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
}

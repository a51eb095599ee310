//! Applies that need no human.

use super::executor::{failed, succeeded, unknown};
use super::{Scene, dns, ssl};
use crate::testing::AGENT;
use ledger::Event;
use serde_json::{Value, json};

#[tokio::test]
async fn what_is_granted_is_carried_out_at_once() {
    let scene = Scene::granted().await;
    let answer = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    let body = &answer.body;
    assert_eq!(body["status"], "completed");
    assert_eq!(body["apply_state"], "completed");
    assert_eq!(body["task_id"], json!(scene.task.task.id));
    assert_eq!(body["idempotency_key"], "k1");
    assert!(body["execution_id"].is_string());
    assert_eq!(body["simulated"], false);
    let result = &body["results"][0];
    assert_eq!(result["operation_id"], "dns.record.write");
    assert_eq!(result["success"], true);
    assert_eq!(result["cloudflare_request_id"], "ray-1");
    assert_eq!(result["result"], json!({"id": "r1"}));
}

#[tokio::test]
async fn one_key_is_one_apply_however_often_and_at_once() {
    let scene = Scene::granted().await;
    let operations = [dns("a.example.com")];
    let asks = (0..6).map(|_| scene.apply("k1", &operations));
    let answers = futures_util::future::join_all(asks).await;
    let again = scene.apply("k1", &operations).await;
    for answer in &answers {
        assert_eq!((answer.status, &answer.body), (200, &again.body));
    }
    assert_eq!(scene.started().await, 1);
}

#[tokio::test]
async fn the_same_is_canonically_the_same() {
    let scene = Scene::granted().await;
    let first = scene.apply("k1", &[dns("a.example.com")]).await;
    let text = "{\"operations\":[{\"params\":{\"ttl\":60.0,\"content\":\"192.0.2.1\",\
        \"name\":\"a.example.com\",\"type\":\"A\"},\"scope_id\":\"z1\",\"scope_type\":\"zone\",\
        \"operation_id\":\"dns.record.write\"}]}";
    let respelled: Value = serde_json::from_str(text).unwrap();
    let second = scene.keyed("/apply", "k1", &respelled).await;
    assert_eq!((second.status, &second.body), (200, &first.body));
    // The older name of the field means the same as well.
    let mut older = dns("a.example.com");
    let params = older["params"].as_object_mut().unwrap();
    let record_type = params.remove("type").unwrap();
    params.insert("record_type".into(), record_type);
    assert_eq!(scene.apply("k1", &[older]).await.body, first.body);

    let other = scene.apply("k1", &[dns("b.example.com")]).await;
    assert_eq!(
        (other.status, other.code()),
        (409, "idempotency_key_reused")
    );
    assert_eq!(scene.started().await, 1);
}

#[tokio::test]
async fn an_apply_may_say_why_and_is_held_to_it_by_its_key() {
    let scene = Scene::granted().await;
    let body = |reason: Value, link: Value| json!({"operations": [dns("a.example.com")], "reason": reason, "link": link});
    let why = body(
        "The old server goes".into(),
        "https://Tickets.example/OPS-42".into(),
    );
    let first = scene.keyed("/apply", "k1", &why).await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(scene.keyed("/apply", "k1", &why).await.body, first.body);
    let path = format!("/applies/{}", first.body["apply_id"].as_str().unwrap());
    let detail = scene.get(&path).await;
    assert_eq!(detail.body["reason"], "The old server goes");
    assert_eq!(detail.body["link"], "https://tickets.example/OPS-42");
    for other in [
        body(Value::Null, Value::Null),
        body(
            "Another one".into(),
            "https://tickets.example/OPS-42".into(),
        ),
    ] {
        let refused = scene.keyed("/apply", "k1", &other).await;
        let told = (refused.status, refused.code());
        assert_eq!(told, (409, "idempotency_key_reused"));
    }
    // A blank reason is none, and one without either shows neither.
    let blank = body("  ".into(), Value::Null);
    let second = scene.keyed("/apply", "k2", &blank).await;
    let path = format!("/applies/{}", second.body["apply_id"].as_str().unwrap());
    let detail = scene.get(&path).await.body;
    assert!(detail.get("reason").is_none() && detail.get("link").is_none());
}

#[tokio::test]
async fn a_reason_or_a_link_out_of_bounds_is_a_400_on_record() {
    let scene = Scene::granted().await;
    for (name, value) in [
        ("reason", json!("x".repeat(501))),
        ("reason", json!(5)),
        ("on_approval", json!("later")),
        ("on_approval", json!(null)),
        ("link", json!("http://tickets.example/")),
        ("link", json!("javascript:alert(1)")),
        ("link", json!("https://bank.example@tickets.example/")),
        (
            "link",
            json!(format!("https://tickets.example/{}", "x".repeat(2000))),
        ),
    ] {
        let mut body = json!({"operations": [dns("a.example.com")]});
        body[name] = value;
        let refused = scene.keyed("/apply", "k1", &body).await;
        assert_eq!(refused.status, 400, "{refused:?}");
        assert!(
            refused.body["detail"].as_str().unwrap().contains(name),
            "{refused:?}"
        );
    }
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn it_stops_at_the_first_failure_and_says_so_every_time() {
    let scene = Scene::granted().await;
    scene
        .executor
        .answers(|index| if index == 1 { failed() } else { succeeded() });
    let operations = [
        dns("a.example.com"),
        dns("b.example.com"),
        dns("c.example.com"),
    ];
    let first = scene.apply("k1", &operations).await;
    assert_eq!(first.status, 409, "{first:?}");
    assert_eq!(first.headers["content-type"], "application/json");
    assert_eq!(first.body["status"], "failed");
    let outcomes: Vec<_> = (0..3)
        .map(|n| first.body["results"][n]["outcome"].clone())
        .collect();
    assert_eq!(outcomes, ["succeeded", "failed", "not_tried"]);
    let failure = &first.body["results"][1];
    assert_eq!(failure["success"], false);
    assert_eq!(failure["result"]["errors"][0]["code"], 81057);
    let again = scene.apply("k1", &operations).await;
    assert_eq!((again.status, &again.body), (409, &first.body));
}

#[tokio::test]
async fn what_nobody_knows_is_settled_by_a_person_once() {
    let scene = Scene::granted().await;
    scene.executor.answers(|_| unknown());
    let operations = [dns("a.example.com")];
    let answer = scene.apply("k1", &operations).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (409, &json!("unknown"))
    );

    let path = format!(
        "/v1/applies/{}/resolve",
        answer.body["apply_id"].as_str().unwrap()
    );
    let bootstrap = scene.stage.bootstrap(|_| ());
    let settle = |outcome: &str, reason: &str| {
        let body = json!({"outcome": outcome, "reason": reason});
        let (stage, path, bootstrap) = (&scene.stage, &path, &bootstrap);
        async move { stage.send("POST", path, bootstrap, &body).await }
    };
    assert_eq!(settle("perhaps", "x").await.status, 400);
    assert_eq!(settle("executed", " ").await.status, 400);
    let settled = settle("executed", "the record is there").await;
    assert_eq!(
        (settled.status, &settled.body["status"]),
        (200, &json!("completed"))
    );
    assert_eq!(settle("executed", "again").await.status, 409);
    let after = scene.apply("k1", &operations).await;
    assert_eq!(
        (after.status, &after.body["results"][0]["success"]),
        (200, &json!(true))
    );
}

#[tokio::test]
async fn who_does_not_want_to_wait_is_told_that_it_runs() {
    let scene = Scene::granted().await;
    scene.executor.hold();
    let headers = [("idempotency-key", "k1"), ("prefer", "wait=0")];
    let body = json!({"operations": [dns("a.example.com")]});
    let path = scene.path("/apply");
    let ask = || {
        scene
            .stage
            .send_with("POST", &path, &scene.token, &headers, &body)
    };
    let answer = ask().await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("in_progress"))
    );
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.body["apply_state"], "applying");
    scene.executor.release();
    let after = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(after.status, 200);
}

#[tokio::test]
async fn shortcuts_are_applies() {
    let scene = Scene::granted().await;
    let body = json!({"scope_id": "z1", "name": "a.example.com", "record_type": "A",
        "content": "192.0.2.1", "ttl": 60});
    let short = scene.keyed("/dns/create", "k1", &body).await;
    assert_eq!(short.status, 200, "{short:?}");
    let long = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(
        long.body, short.body,
        "the same operation under the same key"
    );

    let body = json!({"scope_id": "z1", "purge_everything": true});
    assert_eq!(scene.keyed("/cache/purge", "k2", &body).await.status, 202);
    let script = "x".repeat(2 * 1024 * 1024);
    let body = json!({"scope_id": "a1", "script_name": "hello", "script": script});
    assert_eq!(
        scene.keyed("/workers/deploy", "k3", &body).await.status,
        202
    );
}

#[tokio::test]
async fn only_uploads_may_be_large() {
    let scene = Scene::granted().await;
    let script = "x".repeat(2 * 1024 * 1024);
    let upload = json!({"operation_id": "workers.deploy.write", "scope_type": "account",
        "scope_id": "a1", "params": {"script_name": "hello", "script": script}});
    assert_eq!(scene.apply("k1", &[upload]).await.status, 202);
    let mut large = dns("a.example.com");
    large["params"]["comment"] = json!(script);
    let answer = scene.apply("k2", &[large]).await;
    assert_eq!((answer.status, answer.code()), (413, "payload_too_large"));
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let scene = Scene::granted().await;
    let ledger = &scene.stage.state.app.ledger;
    let before = *ledger.size().borrow();
    let operations = json!({"operations": [dns("a.example.com"), ssl()]});
    let plan = scene.post("/plan", &operations).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    assert_eq!(plan.body["requires_approval"], true);
    let check = &plan.body["permission_check"];
    assert_eq!(check["requested"].as_array().unwrap().len(), 2);
    assert_eq!(check["pre_approved"][0]["operation_id"], "dns.record.write");
    assert_eq!(check["missing"][0]["operation_id"], "ssl.mode.write");
    assert_eq!(check["missing"][0]["required_level"], "admin");
    assert_eq!(plan.body["planned_diff"].as_array().unwrap().len(), 2);
    assert_eq!(*ledger.size().borrow(), before);
}

#[tokio::test]
async fn a_plan_names_the_zone_beside_its_id_or_says_why_not() {
    let scene = Scene::granted().await;
    let mut elsewhere = dns("www.other-shop.net");
    elsewhere["scope_id"] = json!("z2");
    let deploy = json!({"operation_id": "workers.deploy.write", "scope_type": "account",
        "scope_id": "a1", "params": {"script_name": "hello", "script": "export default {}"}});
    let operations = json!({"operations": [dns("www.other-shop.net"), ssl(), elsewhere, deploy]});
    let plan = scene.post("/plan", &operations).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    let effect = |index: usize| plan.body["planned_diff"][index]["effect"].clone();
    assert_eq!(
        effect(0),
        "www.other-shop.net.example.com in zone example.com (id z1)"
    );
    assert_eq!(effect(1), "zone example.com (id z1)");
    let unread = effect(2);
    let unread = unread.as_str().unwrap();
    assert!(
        unread.starts_with("zone z2, whose name cannot be read (HTTP 403)"),
        "{unread}"
    );
    assert_eq!(effect(3), Value::Null);
}

#[tokio::test]
async fn an_apply_can_be_read_by_its_task_only() {
    let scene = Scene::granted().await;
    let answer = scene.apply("k1", &[dns("a.example.com")]).await;
    let rest = format!("/applies/{}", answer.body["apply_id"].as_str().unwrap());
    let detail = scene.get(&rest).await;
    assert_eq!(
        (detail.status, &detail.body["status"]),
        (200, &json!("completed"))
    );
    assert_eq!(detail.body["apply_state"], "completed");
    assert_eq!(detail.body["results"], answer.body["results"]);
    assert_eq!(
        detail.body["operations"][0]["params"]["name"],
        "a.example.com"
    );

    let (other, token) = scene.stage.task(AGENT).await;
    let path = format!("/v1/tasks/{}{rest}", other.task.id);
    let refused = scene.stage.send("GET", &path, &token, &Value::Null).await;
    assert_eq!((refused.status, refused.code()), (404, "apply_not_found"));
}

#[tokio::test]
async fn a_callback_of_the_apply_replaces_the_tasks_one_when_it_is_new() {
    let scene = Scene::granted().await;
    let callback = json!({"url": "https://localhost:9/hook", "secret": "s"});
    let mut body = json!({"operations": [dns("a.example.com")], "callback": callback});
    assert_eq!(scene.keyed("/apply", "k1", &body).await.status, 200);
    assert_eq!(scene.keyed("/apply", "k1", &body).await.status, 200);
    let set = scene
        .events(|event| matches!(event, Event::CallbackSet(_)))
        .await;
    assert_eq!(set, 1);
    body["callback"]["url"] = json!("http://localhost/hook");
    assert_eq!(scene.keyed("/apply", "k2", &body).await.status, 400);
}

//! Users and groups, as administrators see and change them.

use super::*;
use ledger::aggregate::Session;
use ledger::command::CreateKey;
use ledger::event::KeyOrigin;
use ledger::{AgentKeyHash, AgentName};

async fn made(stage: &Stage, path: &str, body: Value) -> Value {
    let answer = as_service(stage, "POST", path, body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.body
}

async fn refused(stage: &Stage, method: &str, path: &str, body: Value) -> (u16, String) {
    let answer = as_service(stage, method, path, body).await;
    (answer.status, answer.code().to_owned())
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_user_is_made_shown_changed_and_deleted() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let group = made(&stage, "/v1/groups", json!({"name": "owners"})).await;
    let new = json!({"name": "ann", "role": "operator", "groups": [group["id"]]});
    let ann = made(&stage, "/v1/users", new).await;
    let expected = json!({
        "id": ann["id"], "name": "ann", "role": "operator", "can_audit": false, "disabled": false,
        "groups": [group["id"]], "has_password": false, "passkeys": 0,
        "created_at": "2027-01-15T08:00:00Z",
    });
    assert_eq!(ann, expected);
    let path = format!("/v1/users/{}", ann["id"].as_str().unwrap());
    let shown = as_service(&stage, "GET", &path, Value::Null).await;
    assert_eq!((shown.status, &shown.body), (200, &ann));
    let owners = format!("/v1/groups/{}", group["id"].as_str().unwrap());
    let members = as_service(&stage, "GET", &owners, Value::Null).await.body;
    assert_eq!(members["members"], json!([ann["id"]]));

    let password = json!({"password": PASSWORD});
    let set = as_service(&stage, "POST", &format!("{path}/password"), password).await;
    assert_eq!(set.status, 204, "{set:?}");
    let change = json!({"name": "anna", "role": "viewer", "can_audit": true, "groups": []});
    let changed = as_service(&stage, "PATCH", &path, change).await;
    let mut expected = expected;
    expected["name"] = "anna".into();
    expected["role"] = "viewer".into();
    expected["can_audit"] = true.into();
    expected["groups"] = json!([]);
    expected["has_password"] = true.into();
    assert_eq!((changed.status, &changed.body), (200, &expected));

    for (method, body) in [
        ("DELETE", Value::Null),
        ("PATCH", json!({"disabled": true})),
    ] {
        let unknown = format!("{path}?revoke=everything");
        let answer = refused(&stage, method, &unknown, body).await;
        assert_eq!(answer, refusal(400, "bad_request"), "{method}");
    }
    let shown = as_service(&stage, "GET", &path, Value::Null).await;
    assert_eq!((shown.status, &shown.body), (200, &expected));

    let deleted = as_service(&stage, "DELETE", &path, Value::Null).await;
    assert!(deleted.status < 300, "{deleted:?}");
    let gone = refusal(404, "user_not_found");
    for (method, rest, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", json!({"role": "admin"})),
        ("DELETE", "", Value::Null),
        ("POST", "/password", json!({"password": PASSWORD})),
    ] {
        let again = refused(&stage, method, &format!("{path}{rest}"), body).await;
        assert_eq!(again, gone, "{method} {rest}");
    }
    let nonsense = refused(&stage, "GET", "/v1/users/nonsense", Value::Null).await;
    assert_eq!(nonsense, gone);
}

#[tokio::test]
async fn who_goes_is_told_with_their_keys_which_go_too_when_that_is_asked() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ledger = &stage.state.app.ledger;
    let gone = [
        stage.user("ann", Role::Admin).await,
        stage.user("bob", Role::Admin).await,
        stage.user("cis", Role::Admin).await,
    ];
    made(
        &stage,
        "/v1/agents",
        json!({"agent": "ci", "owner": gone[0].id.to_string()}),
    )
    .await;
    for user in &gone {
        let session = stage.log_in(user.id).await;
        let session = ledger.existing::<Session>(session.id).await.unwrap();
        let command = CreateKey {
            agent: AgentName::unchecked("ci"),
            hash: AgentKeyHash::of(&user.name),
            how: KeyOrigin::Created,
        };
        ledger.execute(people::by(&session), command).await.unwrap();
    }
    let path = |at: usize, query: &str| format!("/v1/users/{}{query}", gone[at].id);
    let deleted = as_service(&stage, "DELETE", &path(0, "?revoke=keys"), Value::Null).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    let key = &deleted.body["keys"][0];
    assert_eq!(key["agent"], "ci");
    assert_eq!(key["revoked_at"], "2027-01-15T08:00:00Z");
    assert_eq!(deleted.body["agents"][0]["agent"], "ci");
    let listed = as_service(&stage, "GET", "/v1/agents/ci/keys", Value::Null).await;
    let of_ann = listed.body["keys"].as_array().unwrap().last().unwrap();
    assert_eq!(of_ann["id"], key["id"]);
    assert_eq!(of_ann["revoked_at"], key["revoked_at"]);

    let stays = as_service(&stage, "DELETE", &path(1, ""), Value::Null).await;
    assert_eq!(stays.status, 200, "{stays:?}");
    assert_eq!(stays.body["keys"][0]["revoked_at"], Value::Null);
    assert_eq!(stays.body["agents"], json!([]));

    let cis = path(2, "?revoke=keys");
    let without = refused(&stage, "PATCH", &cis, json!({"name": "cissy"})).await;
    assert_eq!(without, refusal(400, "keys_stay"));
    let plain = as_service(&stage, "PATCH", &path(2, ""), json!({"name": "cissy"})).await;
    assert_eq!(plain.body.get("keys"), None, "{plain:?}");
    let disabled = as_service(&stage, "PATCH", &cis, json!({"disabled": true})).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    assert_eq!(disabled.body["name"], "cissy");
    assert_eq!(disabled.body["keys"][0]["agent"], "ci");
    assert!(disabled.body["keys"][0]["revoked_at"].is_string());
    assert_eq!(disabled.body["agents"], json!([]));
    let twice = path(2, "?revoke=keys&revoke=keys");
    let refused = refused(&stage, "DELETE", &twice, Value::Null).await;
    assert_eq!(refused, refusal(400, "bad_request"));
}

#[tokio::test]
async fn names_are_labels_of_one_living_user_each() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let new = |name: &str| json!({"name": name, "role": "viewer"});
    for reserved in ["service-token", "auth-disabled", "bootstrap", "system"] {
        let refused = refused(&stage, "POST", "/v1/users", new(reserved)).await;
        assert_eq!(refused, refusal(400, "name_reserved"), "{reserved}");
    }
    for wrong in ["", "Ann", "a b", "user:1", &"a".repeat(65)] {
        let refused = refused(&stage, "POST", "/v1/users", new(wrong)).await;
        assert_eq!(refused.0, 400, "{wrong}");
    }
    let ann = made(&stage, "/v1/users", new("ann")).await;
    let bob = made(&stage, "/v1/users", new("bob")).await;
    let taken = refusal(409, "name_taken");
    assert_eq!(
        refused(&stage, "POST", "/v1/users", new("ann")).await,
        taken
    );
    let bob = format!("/v1/users/{}", bob["id"].as_str().unwrap());
    let rename = json!({"name": "ann"});
    assert_eq!(refused(&stage, "PATCH", &bob, rename).await, taken);
    let reserved = refused(&stage, "PATCH", &bob, json!({"name": "system"})).await;
    assert_eq!(reserved, refusal(400, "name_reserved"));
    let ann = format!("/v1/users/{}", ann["id"].as_str().unwrap());
    assert!(as_service(&stage, "DELETE", &ann, Value::Null).await.status < 300);
    made(&stage, "/v1/users", new("ann")).await;
}

#[tokio::test]
async fn the_last_usable_administrator_stays_one() {
    let stage = Stage::new().await;
    let root = stage.user("root", Role::Admin).await.id;
    let path = |id: UserId| format!("/v1/users/{id}");
    let last = refusal(409, "last_admin");
    // One who cannot log in is none.
    made(&stage, "/v1/users", json!({"name": "new", "role": "admin"})).await;
    for (method, body) in [
        ("PATCH", json!({"role": "operator"})),
        ("PATCH", json!({"disabled": true})),
        ("DELETE", Value::Null),
    ] {
        assert_eq!(refused(&stage, method, &path(root), body).await, last);
    }
    let second = stage.user("second", Role::Admin).await.id;
    let demote = || json!({"role": "operator"});
    let (root, second) = (path(root), path(second));
    let both = tokio::join!(
        refused(&stage, "PATCH", &root, demote()),
        refused(&stage, "PATCH", &second, demote()),
    );
    let statuses = [both.0.0, both.1.0];
    assert!(statuses == [200, 409] || statuses == [409, 200], "{both:?}");
}

#[tokio::test]
async fn a_list_is_read_page_by_page_the_newest_first() {
    let stage = Stage::new().await;
    for n in 0..5 {
        stage.clock.advance(std::time::Duration::from_secs(1));
        let name = format!("user-{n}");
        made(&stage, "/v1/users", json!({"name": name, "role": "viewer"})).await;
        made(&stage, "/v1/groups", json!({"name": name})).await;
    }
    for list in ["users", "groups"] {
        let mut names = Vec::new();
        let mut path = format!("/v1/{list}?limit=2");
        loop {
            let page = as_service(&stage, "GET", &path, Value::Null).await;
            assert_eq!(page.status, 200, "{page:?}");
            assert!(page.body["as_of"].as_u64().unwrap() > 5);
            let rows = page.body[list].as_array().unwrap();
            names.extend(
                rows.iter()
                    .map(|row| row["name"].as_str().unwrap().to_owned()),
            );
            let Some(next) = page.body["next"].as_str() else {
                break;
            };
            path = format!("/v1/{list}?limit=2&after={next}");
        }
        assert_eq!(names, ["user-4", "user-3", "user-2", "user-1", "user-0"]);
        for wrong in ["limit=0", "limit=201", "limit=x", "after=x", "role=admin"] {
            let path = format!("/v1/{list}?{wrong}");
            assert_eq!(
                refused(&stage, "GET", &path, Value::Null).await.0,
                400,
                "{wrong}"
            );
        }
    }
}

#[tokio::test]
async fn a_group_has_living_users_each_once() {
    let stage = Stage::new().await;
    let ann = made(
        &stage,
        "/v1/users",
        json!({"name": "ann", "role": "viewer"}),
    )
    .await;
    let ann = ann["id"].as_str().unwrap();
    let new = json!({"name": "owners", "members": [ann, ann]});
    let group = made(&stage, "/v1/groups", new.clone()).await;
    let expected = json!({"id": group["id"], "name": "owners", "members": [ann]});
    assert_eq!(group, expected);
    let path = format!("/v1/groups/{}", group["id"].as_str().unwrap());
    let taken = refused(&stage, "POST", "/v1/groups", new).await;
    assert_eq!(taken, refusal(409, "name_taken"));
    for nobody in ["nonsense", "0193f5a0-0000-7000-8000-000000000001"] {
        let body = json!({"members": [nobody]});
        let refused = refused(&stage, "PATCH", &path, body).await;
        assert_eq!(refused, refusal(404, "user_not_found"), "{nobody}");
    }
    let renamed = as_service(&stage, "PATCH", &path, json!({"name": "admins"})).await;
    assert_eq!(renamed.body["members"], json!([ann]), "{renamed:?}");
    let deleted = as_service(&stage, "DELETE", &format!("/v1/users/{ann}"), Value::Null).await;
    assert!(deleted.status < 300, "{deleted:?}");
    let shown = as_service(&stage, "GET", &path, Value::Null).await;
    assert_eq!(shown.body["members"], json!([]));
    assert_eq!(
        as_service(&stage, "DELETE", &path, Value::Null)
            .await
            .status,
        204
    );
    let gone = refused(&stage, "GET", &path, Value::Null).await;
    assert_eq!(gone, refusal(404, "group_not_found"));
}

#[tokio::test]
async fn an_unfit_password_is_refused_by_name() {
    let stage = Stage::new().await;
    let ann = stage.user("ann", Role::Viewer).await.id;
    let path = format!("/v1/users/{ann}/password");
    for unfit in ["elevenchars", &"x".repeat(1_025)] {
        let answer = as_service(&stage, "POST", &path, json!({"password": unfit})).await;
        assert_eq!((answer.status, answer.code()), (400, "bad_request"));
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.starts_with("password: "), "{detail}");
        assert!(!detail.contains(unfit));
    }
}

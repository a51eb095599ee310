//! The policy, as those meet it whose applies it decides.

use super::{Scene, dns};
use ledger::command::Command;
use ledger::event::{PolicyChanged, PolicyDocument, PolicyFormat};
use ledger::policy::Policy;
use ledger::{Error, Origin, PolicyId, Transaction};
use serde_json::{Value, json};

/// Puts a tree in force as a saved document does.
struct Put(u64, Policy);

impl Command for Put {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let policy_id: PolicyId = tx.context().id();
        let document = PolicyDocument {
            digest: self.1.digest(),
            format: PolicyFormat::Toml,
            source: "# as lowered".to_owned(),
            tree: self.1.into(),
        };
        let changed = PolicyChanged {
            policy_id,
            version: self.0,
            document: Some(document),
            restores: None,
            overrides: None,
        };
        let event = tx.context().event(policy_id, changed);
        tx.append(vec![event]).await
    }
}

/// One rule, about everything.
pub(super) async fn put(scene: &Scene, version: u64, action: &str, when: &Value) {
    let needs = match action {
        "ask" => json!([{"group": "default", "n": 1, "assurance": "any"}]),
        _ => json!([]),
    };
    let tree = json!({
        "engine": "lpp-cel/1", "default": "catalog", "policy_change": null, "break_glass": null,
        "limits": {"open": 1000, "per_agent": 10, "per_owner": 50, "per_operation": 200, "per_address": 0},
        "self_approval": false, "windows": {},
        "rule": [{
            "id": "here", "priority": 7, "action": action, "operations": null, "when": when,
            "reason": "Only from the office", "mode": "enforce", "sensitive": false, "needs": needs,
            "ttl": 600, "retention": ["once"], "max_duration": 60, "pre_state": null,
        }],
    });
    let put = Put(version, serde_json::from_value(tree).unwrap());
    let ledger = &scene.stage.state.app.ledger;
    ledger.execute(Origin::system("test"), put).await.unwrap();
}

#[tokio::test]
async fn what_the_policy_denies_names_its_rules_and_a_plan_says_it_before() {
    let scene = Scene::granted().await;
    let outside = json!({"not": {"in_cidr": [{"fact": "address"}, "192.0.2.0/24"]}});
    put(&scene, 1, "deny", &outside).await;
    let operations = json!({"operations": [dns("a.example.com")]});
    let plan = scene.post("/plan", &operations).await;
    assert_eq!(plan.status, 200, "{plan:?}");
    let said = &plan.body["evaluation"];
    assert_eq!(said["outcome"], "deny");
    assert_eq!(said["rules"], json!(["here"]));
    assert_eq!(said["policy"]["version"], 1);
    assert_eq!(said["facts"]["address"]["source"], "service");
    let trace = &said["operations"][0]["trace"][0];
    assert_eq!(
        (&trace["rule"], &trace["priority"]),
        (&json!("here"), &json!(7))
    );
    assert_eq!(plan.body["requires_approval"], false);
    let refused = scene.apply("k", &[dns("a.example.com")]).await;
    assert_eq!((refused.status, refused.code()), (403, "denied_by_policy"));
    assert_eq!(refused.body["rules"], json!(["here"]));
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(detail.ends_with("Only from the office"), "{detail}");
    // The key is free.
    put(&scene, 2, "allow", &json!({"literal": true})).await;
    let allowed = scene.apply("k", &[dns("a.example.com")]).await;
    assert_eq!(allowed.status, 200, "{allowed:?}");
}

#[tokio::test]
async fn what_a_rule_asks_about_waits_although_it_is_granted_and_the_apply_says_which_rule() {
    let scene = Scene::granted().await;
    scene.approver().await;
    put(&scene, 1, "ask", &json!({"literal": true})).await;
    let asked = scene.apply("k", &[dns("a.example.com")]).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let id = asked.body["apply_id"].as_str().unwrap();
    let shown = scene.get(&format!("/applies/{id}")).await;
    let said = &shown.body["evaluation"];
    assert_eq!(
        (&said["outcome"], &said["rules"]),
        (&json!("ask"), &json!(["here"]))
    );
    assert_eq!(said["operations"][0]["trace"][0]["result"], "match");
}

#[tokio::test]
async fn what_could_not_be_evaluated_says_why_also_where_another_version_is_in_force() {
    let scene = Scene::granted().await;
    scene.approver().await;
    let abroad = json!({"in": [{"fact": "country"}, {"literal": ["DE"]}]});
    put(&scene, 1, "ask", &abroad).await;
    let plan = json!({"operations": [dns("a.example.com")]});
    let plan = scene.post("/plan", &plan).await;
    let asked = scene.apply("k", &[dns("a.example.com")]).await;
    assert_eq!(asked.status, 202, "{asked:?}");
    let id = asked.body["apply_id"].as_str().unwrap();
    put(&scene, 2, "allow", &json!({"literal": true})).await;
    let shown = scene.get(&format!("/applies/{id}")).await;
    for answer in [plan, shown] {
        let said = &answer.body["evaluation"];
        assert_eq!(said["policy"]["version"], 1);
        let trace = &said["operations"][0]["trace"][0];
        assert_eq!(trace["result"], "unevaluable", "{answer:?}");
        assert_eq!(trace["why"], "country: not_configured");
    }
}

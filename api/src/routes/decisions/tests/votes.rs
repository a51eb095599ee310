//! Questions that several people answer, behind their link and in a session.

use super::{Asked, Person};
use crate::testing::{Answer, OpenedSession, SERVICE_TOKEN, Stage};
use app::token::link::EnrolmentLink;
use axum::body::Body;
use http::Request;
use ledger::aggregate::{ApprovalState, User};
use ledger::command::OpenUserEnrolment;
use ledger::operation::Operation;
use ledger::{Origin, Role, UserId};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// With the service token.
pub(super) async fn call(stage: &Stage, method: &str, path: &str, body: &Value) -> Answer {
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .header("content-type", "application/json")
        .header("if-match", "\"0\"")
        .body(body)
        .unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

/// A user with a passkey of their own.
pub(super) async fn member(stage: &Stage, name: &str) -> (UserId, Person) {
    let user = stage.user(name, Role::Viewer).await;
    let open = OpenUserEnrolment { user_id: user.id };
    let ledger = &stage.state.app.ledger;
    let opened = ledger.execute(Origin::system("test"), open).await.unwrap();
    let link = EnrolmentLink {
        enrolment_id: opened.enrolment_id,
        principal: User::principal_of(user.id),
        exp: opened.expires_at.as_seconds(),
    };
    let token = stage.state.app.keys.enrolment_link.sign(link).unwrap();
    let path = format!("/v1/enrol/{}", token.reveal());
    let (passkey, body) = stage.make_passkey(&path).await;
    let made = stage.post(&format!("{path}/verify"), &body).await;
    assert_eq!(made.status, 201, "{made:?}");
    let credential_id = made.body["credential_id"].as_str().unwrap().to_owned();
    let person = Person {
        passkey,
        credential_id,
    };
    (user.id, person)
}

pub(super) fn purge() -> Operation {
    let zone = "023e105f4ecef8ad9ca31a8372d0c353";
    let params = json!({"purge_everything": true});
    let purge = providers::all().parse("cache.purge.execute", "zone", zone, &params);
    purge.unwrap()
}

/// A policy by which everything needs one of the approvers and one of a group.
pub(super) async fn two_are_needed(stage: &Stage, member: UserId) {
    two_are_offered(stage, member, &["once"]).await;
}

/// The same, where what they answer can be kept in these ways.
async fn two_are_offered(stage: &Stage, member: UserId, retention: &[&str]) {
    let group = json!({"name": "ops", "members": [member.to_string()]});
    let made = call(stage, "POST", "/v1/groups", &group).await;
    assert_eq!(made.status, 201, "{made:?}");
    let policy = json!({
        "engine": "lpp-cel/1",
        "rule": [{
            "id": "two", "priority": 1, "action": "ask", "pre_state": "shown", "retention": retention,
            "needs": [{"group": "default"}, {"group": "ops"}],
        }],
    });
    let saved = call(stage, "PUT", "/v1/policy", &policy).await;
    assert_eq!(saved.status, 200, "{saved:?}");
}

async fn withdraw(stage: &Stage, session: &OpenedSession, asked: &Asked) -> Answer {
    let path = format!("/v1/approvals/{}/withdraw-vote", asked.approval_id);
    let request = Request::builder()
        .method("POST")
        .uri(path)
        .header("authorization", format!("Bearer {}", session.bearer))
        .body(Body::empty())
        .unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

#[tokio::test]
async fn a_vote_says_for_whom_it_waits_and_the_last_one_decides() {
    let stage = Stage::new().await;
    let mut approver = stage.enrol("default").await;
    let (user, mut ann) = member(&stage, "ann").await;
    two_are_needed(&stage, user).await;
    let asked = stage.question_about(vec![purge()]).await;
    let (_, html) = stage.look(&asked.path).await;
    for part in ["Who has to approve", "0 of 2 so far", "1 of ops"] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let voted = ann.decide(&stage, &asked, &json!({})).await;
    assert_eq!(
        (voted.status, &voted.body["status"]),
        (200, &json!("voted")),
        "{voted:?}"
    );
    let waits = json!({"have": 1, "of": 2, "text": "1 of 2 so far; waits for 1 of the approvers"});
    assert_eq!(voted.body["waits"], waits);
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 200);
    assert!(html.contains("1 of 2 so far"), "{html}");

    let again = ann.decide(&stage, &asked, &json!({})).await;
    assert_eq!((again.status, again.code()), (409, "already_voted"));
    let path = format!("/v1/approvals/{}", asked.approval_id);
    let read = call(&stage, "GET", &path, &Value::Null).await;
    assert_eq!(read.status, 200, "{read:?}");
    assert_eq!(read.body["state"], "pending");
    let needs = &read.body["needs"];
    assert_eq!(needs[0]["group"]["name"], "default");
    assert_eq!(
        (&needs[0]["have"], &needs[1]["have"]),
        (&json!(0), &json!(1))
    );
    assert_eq!(needs[1]["group"]["name"], "ops");
    let vote = &read.body["votes"][0];
    assert_eq!(
        (&vote["user"]["id"], &vote["void"]),
        (&json!(user.to_string()), &Value::Null)
    );
    let once = json!({"mode": "once", "breadth": null, "binding": null, "until": null});
    assert_eq!(
        (&vote["assurance"], &vote["retention"], &vote["block"]),
        (&json!("passkey"), &once, &Value::Null)
    );
    let proof = vote["proof"].as_object().unwrap();
    assert!(proof.values().all(Value::is_string), "{proof:?}");

    // Nobody takes another's vote back; who does it may vote again.
    let other = stage.session_of(Role::Admin).await;
    let refused = withdraw(&stage, &other, &asked).await;
    assert_eq!((refused.status, refused.code()), (404, "vote_not_found"));
    let own = stage.log_in(user).await;
    let withdrawn = withdraw(&stage, &own, &asked).await;
    assert_eq!(withdrawn.status, 200, "{withdrawn:?}");
    assert_eq!(withdrawn.body["votes"][0]["void"], "withdrawn");
    let voted = ann.decide(&stage, &asked, &json!({})).await;
    assert_eq!(voted.body["status"], "voted");

    let decided = approver.decide(&stage, &asked, &json!({})).await;
    assert_eq!(
        (decided.status, &decided.body["status"]),
        (200, &json!("approved"))
    );
    assert_eq!(decided.body.get("waits"), None);
    assert_eq!(stage.approval(&asked).await.state, ApprovalState::Approved);
    let late = withdraw(&stage, &own, &asked).await;
    assert_eq!((late.status, late.code()), (410, "approval_decided"));
}

#[tokio::test]
async fn one_who_is_not_needed_may_not_answer_and_is_not_asked() {
    let stage = Stage::new().await;
    stage.enrol("default").await;
    let (user, _) = member(&stage, "ann").await;
    let (_, mut bob) = member(&stage, "bob").await;
    two_are_needed(&stage, user).await;
    let asked = stage.question_about(vec![purge()]).await;
    let options = stage
        .post(&format!("{}/options", asked.path), &json!({}))
        .await;
    let allowed = options.body["allow_credentials"].as_array().unwrap();
    assert_eq!(allowed.len(), 2);
    assert!(allowed.iter().all(|one| one["id"] != bob.credential_id));
    let mut options = options.body.clone();
    options["allow_credentials"] = json!([{"id": bob.credential_id, "kind": "public-key"}]);
    let body = bob.answer(&options, &json!({}));
    let refused = stage.post(&format!("{}/verify", asked.path), &body).await;
    assert_eq!((refused.status, refused.code()), (403, "not_eligible"));
}

#[tokio::test]
async fn who_approved_is_named_as_people_call_them() {
    let stage = Stage::new().await;
    let mut approver = stage.enrol("default").await;
    let (user, mut ann) = member(&stage, "ann").await;
    two_are_needed(&stage, user).await;
    let asked = stage.question_about(vec![purge()]).await;
    ann.decide(&stage, &asked, &json!({})).await;
    let named =
        format!("<span title=\"user:{user}\"><bdi class=\"shown\" dir=\"ltr\">ann</bdi></span>");
    let (_, html) = stage.look(&asked.path).await;
    assert!(html.contains(&format!("Approved by {named}")), "{html}");
    // An open page is told that somebody has answered.
    let (standing, _) = stage
        .ask("GET", &format!("{}/state", asked.path), "*/*", &Value::Null)
        .await;
    assert_eq!(standing.body["progress"], 1);

    approver.decide(&stage, &asked, &json!({})).await;
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    let both = [
        named.as_str(),
        "<bdi class=\"shown\" dir=\"ltr\">default</bdi>",
    ];
    let places: Vec<_> = both.iter().map(|one| html.find(one).unwrap()).collect();
    assert!(places.is_sorted(), "{html}");
    // So does the history, in the same order.
    let history = call(&stage, "GET", "/v1/history", &Value::Null).await;
    let by = json!([format!("user:{user}"), "default"]);
    assert_eq!(history.body["history"][0]["by"], by);
}

#[tokio::test]
async fn the_history_of_each_who_answered_has_the_question_and_of_nobody_else() {
    let stage = Stage::new().await;
    let mut approver = stage.enrol("default").await;
    let (user, mut ann) = member(&stage, "ann").await;
    two_are_needed(&stage, user).await;
    let history = async |principal: &str| {
        let path = format!("/v1/history?approver={principal}");
        let read = call(&stage, "GET", &path, &Value::Null).await;
        assert_eq!(read.status, 200, "{read:?}");
        let rows = read.body["history"].as_array().unwrap();
        let id = |row: &Value| row["approval_id"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect::<Vec<String>>()
    };
    let ann_is = format!("user:{user}");
    let first = stage.question_about(vec![purge()]).await;
    ann.decide(&stage, &first, &json!({})).await;
    assert_eq!(history(&ann_is).await, [""; 0], "nobody has decided yet");
    approver.decide(&stage, &first, &json!({})).await;
    // A vote that was taken back is no answer.
    let second = stage.question_about(vec![purge()]).await;
    ann.decide(&stage, &second, &json!({})).await;
    let own = stage.log_in(user).await;
    assert_eq!(withdraw(&stage, &own, &second).await.status, 200);
    let denial = json!({"decision": "deny"});
    let denied = approver.decide(&stage, &second, &denial).await;
    assert_eq!(denied.body["status"], "denied", "{denied:?}");

    let [first, second] = [first, second].map(|asked| asked.approval_id.to_string());
    assert_eq!(history("default").await, [second, first.clone()]);
    assert_eq!(history(&ann_is).await, [first]);
    assert_eq!(history("user:nobody").await, [""; 0]);
}

#[tokio::test]
async fn a_later_voter_is_told_what_will_hold_and_not_only_the_own_choice() {
    let once = json!({"mode": "once", "duration": "1m"});
    let hour = json!({"mode": "cache", "duration": "1h", "breadth": "scope", "binding": "agent"});
    let exact = json!({"mode": "cache", "duration": "10m", "breadth": "exact", "binding": "agent"});
    for (first, second, told) in [
        (&once, &json!({"mode": "once"}), "once, within 1 minute."),
        (&once, &hour, "once, within 1 minute."),
        (&json!({"mode": "once"}), &hour, ", once."),
        (&exact, &hour, "for 10 minutes, in any task of the agent"),
    ] {
        let stage = Stage::new().await;
        let approver = stage.enrol("default").await;
        let (user, mut ann) = member(&stage, "ann").await;
        two_are_offered(&stage, user, &["once", "cache"]).await;
        let asked = stage.question_about(vec![purge()]).await;
        drop(approver);
        let words = json!({"decision": "approve", "retention": first});
        let options = format!("{}/options", asked.path);
        let offered = stage.post(&options, &words).await;
        assert_eq!(offered.status, 200, "{offered:?}");
        let said = json!({"decision": "approve", "statement": offered.body["statement"]});
        let body = ann.answer(&offered.body, &said);
        let voted = stage.post(&format!("{}/verify", asked.path), &body).await;
        assert_eq!(voted.body["status"], "voted", "{voted:?}");
        let words = json!({"decision": "approve", "retention": second});
        let offered = stage.post(&options, &words).await;
        let means = offered.body["means"].as_str().unwrap();
        assert!(means.contains(told), "{means}");
        assert!(means.contains("the narrowest holds"), "{means}");
        assert!(means.contains("exactly this"), "{means}");
        // A denial is for nobody to narrow.
        let denies = json!({"decision": "deny", "retention": second});
        let offered = stage.post(&options, &denies).await;
        let means = offered.body["means"].as_str().unwrap();
        assert!(!means.contains("narrowest"), "{means}");
    }
}

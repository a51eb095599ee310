//! From an invitation to a decision, over the whole surface, with a software passkey.

mod bound;
mod by_id;
mod changes;
mod emergencies;
mod endings;
mod kept;
mod large;
mod software_keys;
mod votes;

use crate::testing::{AGENT, Answer, CLIENT, Stage};
use app::token::link::{ApprovalLink, EnrolmentLink};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use ledger::aggregate::{Approval, ApprovalState, Task};
use ledger::command::{
    CloseTask, OpenEnrolment, PresentedToken, RecordPreState, RevokeCredential, SubmitApply,
    Submitted,
};
use ledger::event::{PreState, ZoneNameRead, ZoneRead};
use ledger::operation::Operation;
use ledger::policy::Edge;
use ledger::{
    ApprovalId, ApproverName, Blob, ClientSubject, CredentialId, IdempotencyKey, Origin, TaskId,
};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tower::ServiceExt;
use url::Url;
use webauthn_authenticator_rs::prelude::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_rs_core::proto::{
    CreationChallengeResponse, PublicKeyCredentialCreationOptions, RequestChallengeResponse,
};

const ORIGIN: &str = "http://localhost:8080";

/// A person with a passkey.
struct Person {
    passkey: SoftPasskey,
    credential_id: String,
}

/// A question that waits, and the path of its link.
struct Asked {
    approval_id: ApprovalId,
    task_id: TaskId,
    path: String,
}

fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Stage {
    async fn ask(&self, method: &str, path: &str, accept: &str, body: &Value) -> (Answer, String) {
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let request = Request::builder()
            .header("content-type", "application/json")
            .method(method)
            .uri(path)
            .header("accept", accept)
            .body(body)
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
        };
        (answer, text)
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, "application/json", body).await.0
    }

    async fn look(&self, path: &str) -> (Answer, String) {
        self.ask("GET", path, "text/html,*/*", &Value::Null).await
    }

    /// State, whether upstream has been read, and what came of it.
    async fn standing(&self, asked: &Asked) -> Value {
        let path = format!("{}/state", asked.path);
        let (answer, _) = self.ask("GET", &path, "*/*", &Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = &answer.body;
        json!([body["state"], body["upstream_read"], body["became"]])
    }

    async fn invite(&self, principal: &str) -> String {
        let command = OpenEnrolment {
            principal: ApproverName::unchecked(principal),
        };
        let ledger = &self.state.app.ledger;
        let opened = ledger
            .execute(Origin::system("test"), command)
            .await
            .unwrap();
        let link = EnrolmentLink {
            enrolment_id: opened.enrolment_id,
            principal: ApproverName::unchecked(principal),
            exp: opened.expires_at.as_seconds(),
        };
        let token = self.state.app.keys.enrolment_link.sign(link).unwrap();
        format!("/v1/enrol/{}", token.reveal())
    }

    /// Makes a passkey as the page would, and gives the body that the page would send.
    async fn make_passkey(&self, path: &str) -> (SoftPasskey, Value) {
        let options = self.post(&format!("{path}/options"), &json!({})).await;
        assert_eq!(options.status, 200, "{options:?}");
        let mut public_key: PublicKeyCredentialCreationOptions =
            serde_json::from_value(options.body).unwrap();
        public_key
            .authenticator_selection
            .as_mut()
            .unwrap()
            .require_resident_key = false;
        let mut passkey = SoftPasskey::new(true);
        let made = passkey
            .do_registration(
                Url::parse(ORIGIN).unwrap(),
                CreationChallengeResponse { public_key },
            )
            .unwrap();
        let body = json!({
            "credential_id": base64url(&made.raw_id),
            "client_data_json": base64url(&made.response.client_data_json),
            "attestation_object": base64url(&made.response.attestation_object),
        });
        (passkey, body)
    }

    async fn enrol(&self, principal: &str) -> Person {
        let path = self.invite(principal).await;
        let (passkey, body) = self.make_passkey(&path).await;
        let made = self.post(&format!("{path}/verify"), &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(made.body["approver_principal"], principal);
        let credential_id = made.body["credential_id"].as_str().unwrap().to_owned();
        Person {
            passkey,
            credential_id,
        }
    }

    /// An apply that waits for a human.
    async fn question(&self) -> Asked {
        let operation = providers::all().parse(
            "ssl.mode.write",
            "zone",
            "023e105f4ecef8ad9ca31a8372d0c353",
            &json!({"value": "flexible"}),
        );
        self.question_about(vec![operation.unwrap()]).await
    }

    async fn question_about(&self, operations: Vec<Operation>) -> Asked {
        let (issued, _) = self.task(AGENT).await;
        self.question_in(&issued.task, "key-1", operations).await
    }

    async fn question_in(&self, task: &Task, key: &str, operations: Vec<Operation>) -> Asked {
        self.question_from(Edge::default(), task, key, operations)
            .await
    }

    async fn question_from(
        &self,
        edge: Edge,
        task: &Task,
        key: &str,
        operations: Vec<Operation>,
    ) -> Asked {
        let submitted = self.submitted_from(edge, task, key, operations).await;
        let approval_id = submitted.apply.approval_id.unwrap();
        Asked {
            approval_id,
            task_id: task.id,
            path: format!(
                "/a/{}",
                self.state.app.keys.short_link.seal(approval_id).reveal()
            ),
        }
    }

    async fn submitted_from(
        &self,
        edge: Edge,
        task: &Task,
        key: &str,
        operations: Vec<Operation>,
    ) -> Submitted {
        let token = PresentedToken {
            token_id: task.tokens[0].id,
            task_id: task.id,
            claims_hash: task.tokens[0].claims_hash.clone(),
            subject: ClientSubject::unchecked(CLIENT),
        };
        let command = SubmitApply {
            token: token.into(),
            key: IdempotencyKey::parse(key).unwrap(),
            operations,
            purpose: ledger::Purpose::default(),
            on_approval: ledger::event::OnApproval::Wait,
            callback: None,
            edge,
        };
        let ledger = &self.state.app.ledger;
        let ruling = ledger.execute(Origin::system("test"), command).await;
        ruling.unwrap().accepted().unwrap()
    }

    async fn approval(&self, asked: &Asked) -> Arc<Approval> {
        let ledger = &self.state.app.ledger;
        ledger.load(asked.approval_id).await.unwrap().unwrap()
    }
}

impl Person {
    /// Asks for options, answers them as a browser would, and gives the body for verify.
    async fn sign(&mut self, stage: &Stage, asked: &Asked, words: &Value) -> Value {
        let options = stage.post(&format!("{}/options", asked.path), words).await;
        assert_eq!(options.status, 200, "{options:?}");
        self.answer(&options.body, words)
    }

    fn answer(&mut self, options: &Value, words: &Value) -> Value {
        let allowed: Vec<_> = options["allow_credentials"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| json!({"id": one["id"], "type": one["kind"]}))
            .collect();
        let request = json!({"publicKey": {
            "challenge": options["challenge"], "timeout": options["timeout"],
            "rpId": options["rp_id"], "userVerification": options["user_verification"],
            "allowCredentials": allowed,
        }});
        let request: RequestChallengeResponse = serde_json::from_value(request).unwrap();
        let given = self
            .passkey
            .do_authentication(Url::parse(ORIGIN).unwrap(), request)
            .unwrap();
        let mut body = words.clone();
        body["credential_id"] = base64url(&given.raw_id).into();
        body["client_data_json"] = base64url(&given.response.client_data_json).into();
        body["authenticator_data"] = base64url(&given.response.authenticator_data).into();
        body["signature"] = base64url(&given.response.signature).into();
        body
    }

    async fn decide(&mut self, stage: &Stage, asked: &Asked, words: &Value) -> Answer {
        let body = self.sign(stage, asked, words).await;
        stage.post(&format!("{}/verify", asked.path), &body).await
    }
}

#[tokio::test]
async fn an_enrolled_approver_approves_and_the_page_says_so() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 200);
    for part in [
        "flexible",
        "ssl.mode.write",
        "Simulation.",
        "security",
        "Not read yet",
    ] {
        assert!(html.contains(part), "{part}");
    }
    let done = person.decide(&stage, &asked, &json!({})).await;
    assert_eq!(done.status, 200, "{done:?}");
    let approval = stage.approval(&asked).await;
    let expected = json!({
        "approval_id": asked.approval_id.to_string(), "status": "approved",
        "task_id": approval.task_id().unwrap().to_string(),
    });
    assert_eq!(done.body, expected);
    assert_eq!(approval.state, ApprovalState::Approved);
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("Approved, not carried out yet") && html.contains("default"));
}

#[tokio::test]
async fn a_denial_carries_its_reason_and_options_can_come_by_get() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let words = json!({"decision": "deny", "reason": "not on a Friday"});
    let path = format!(
        "{}/options?decision=deny&reason=not%20on%20a%20Friday",
        asked.path
    );
    let (options, _) = stage
        .ask("GET", &path, "application/json", &Value::Null)
        .await;
    let body = person.answer(&options.body, &words);
    let done = stage.post(&format!("{}/verify", asked.path), &body).await;
    assert_eq!(
        (done.status, &done.body["status"]),
        (200, &json!("denied")),
        "{done:?}"
    );
    let (page, html) = stage.look(&asked.path).await;
    assert_eq!(page.status, 410);
    assert!(html.contains("not on a Friday"));
    let (gone, _) = stage.ask("GET", &asked.path, "*/*", &Value::Null).await;
    assert_eq!(gone.headers["content-type"], "application/problem+json");
    assert_eq!((gone.status, gone.code()), (410, "approval_decided"));
    assert!(
        gone.body["detail"]
            .as_str()
            .unwrap()
            .contains("reason: not on a Friday")
    );
    for step in ["options", "verify"] {
        let again = stage.post(&format!("{}/{step}", asked.path), &body).await;
        let expected = if step == "options" { 400 } else { 410 };
        assert_eq!(again.status, expected, "{step}: {again:?}");
    }
    let options = stage
        .post(&format!("{}/options", asked.path), &json!({}))
        .await;
    assert_eq!((options.status, options.code()), (410, "approval_decided"));
}

#[tokio::test]
async fn a_proof_for_one_decision_or_reason_is_none_for_another() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let asked = stage.question().await;
    let verify = format!("{}/verify", asked.path);
    let signed = person
        .sign(&stage, &asked, &json!({"decision": "deny"}))
        .await;
    for (field, value) in [("decision", json!("approve")), ("reason", json!("because"))] {
        let mut changed = signed.clone();
        changed[field] = value;
        let refused = stage.post(&verify, &changed).await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "assertion_invalid"),
            "{refused:?}"
        );
    }
    assert_eq!(stage.approval(&asked).await.state, ApprovalState::Pending);
    assert_eq!(stage.post(&verify, &signed).await.status, 200);
}

#[tokio::test]
async fn asking_again_leaves_another_persons_challenge_valid_and_only_one_decides() {
    let stage = Stage::new().await;
    let mut first = stage.enrol("default").await;
    let mut second = stage.enrol("security").await;
    let asked = stage.question().await;
    let one = first.sign(&stage, &asked, &json!({})).await;
    let other = second
        .sign(&stage, &asked, &json!({"decision": "deny"}))
        .await;
    let verify = format!("{}/verify", asked.path);
    assert_eq!(stage.post(&verify, &one).await.status, 200);
    let late = stage.post(&verify, &other).await;
    assert_eq!(
        (late.status, late.code()),
        (410, "approval_decided"),
        "{late:?}"
    );
}

#[tokio::test]
async fn a_stranger_and_a_revoked_passkey_learn_only_that() {
    let stage = Stage::new().await;
    let mut person = stage.enrol("default").await;
    let mut stranger = stage.enrol("mallory").await;
    let asked = stage.question().await;
    let options = stage
        .post(&format!("{}/options", asked.path), &json!({}))
        .await;
    let ids = options.body["allow_credentials"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(ids.len(), 1);
    assert_eq!(ids[0]["id"], person.credential_id.as_str());

    let mut forged = options.body.clone();
    forged["allow_credentials"] = json!([{"id": stranger.credential_id, "kind": "public-key"}]);
    let body = stranger.answer(&forged, &json!({}));
    let verify = format!("{}/verify", asked.path);
    let refused = stage.post(&verify, &body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "credential_not_eligible")
    );

    let body = person.answer(&options.body, &json!({}));
    let revoke = RevokeCredential {
        principal: ApproverName::unchecked("default"),
        credential_id: CredentialId::unchecked(
            Blob::from_base64url(&person.credential_id).unwrap(),
        ),
        reason: None,
    };
    let ledger = &stage.state.app.ledger;
    ledger
        .execute(Origin::system("test"), revoke)
        .await
        .unwrap();
    let refused = stage.post(&verify, &body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (403, "credential_not_eligible")
    );
}

//! An approver at a terminal: a key is made, added, decides and is taken away, by the real binary on both sides.

use crate::people::{TOKEN, desk, done, refused, run};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use fixtures::process::said;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, deployment, purge};
use ledger::Event;
use ledger::event::{Approved, Assurance};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;

/// Asks the service under its own name; gives status and body.
async fn ask(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    token: &str,
    body: &Value,
) -> (u16, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{path}", sandbox.settings["BASE_URL"]);
    let mut request = client.request(method.parse().unwrap(), url);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    if !body.is_null() {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

async fn done_by(sandbox: &Sandbox, method: &str, path: &str, token: &str, body: Value) -> Value {
    let (status, answer) = ask(sandbox, method, path, token, &body).await;
    assert!(
        (200..300).contains(&status),
        "{method} {path}: {status} {answer}"
    );
    answer
}

/// The answer of a passkey to options, as a page sends it.
fn answered(sandbox: &Sandbox, options: &Value, passkey: &SoftApprover) -> Value {
    let challenge = options["challenge"].as_str().unwrap();
    let challenge = URL_SAFE_NO_PAD.decode(challenge).unwrap();
    let given = passkey.assert("localhost", &sandbox.settings["BASE_URL"], &challenge);
    json!({
        "credential_id": URL_SAFE_NO_PAD.encode(&given.credential_id),
        "client_data_json": URL_SAFE_NO_PAD.encode(&given.client_data_json),
        "authenticator_data": URL_SAFE_NO_PAD.encode(&given.authenticator_data),
        "signature": URL_SAFE_NO_PAD.encode(&given.signature),
    })
}

/// An approver at a terminal: who may decide, with a session by passkey and a key that was added in it.
struct Person {
    sandbox: Sandbox,
    service: Service,
    /// A session that has shown a passkey a moment ago.
    session: String,
    key: Value,
}

impl Person {
    async fn new() -> Self {
        let mut sandbox = desk().await;
        let service = sandbox.start().await;
        let ann = json!({"name": "ann", "role": "operator"});
        let made = done_by(&sandbox, "POST", "/v1/users", TOKEN, ann).await;
        let id = made["id"].as_str().unwrap().to_owned();
        assert!(service.stop().await.success());
        sandbox
            .settings
            .insert("APPROVAL_APPROVERS", format!("user:{id}"));
        let service = sandbox.start().await;
        let path = format!("/v1/users/{id}/enrolment");
        let opened = done_by(&sandbox, "POST", &path, TOKEN, Value::Null).await;
        let url = opened["enrolment_url"].as_str().unwrap();
        let link = url.strip_prefix(&sandbox.settings["BASE_URL"]).unwrap();
        let options = format!("{link}/options");
        let options = done_by(&sandbox, "POST", &options, "", json!({})).await;
        let passkey = SoftApprover::with_credential(&format!("user:{id}"), "phone");
        let challenge = options["challenge"].as_str().unwrap();
        let base = &sandbox.settings["BASE_URL"];
        let (client_data, attestation) = passkey.attest("localhost", base, challenge);
        let registered = json!({
            "credential_id": URL_SAFE_NO_PAD.encode(passkey.credential_id()),
            "client_data_json": URL_SAFE_NO_PAD.encode(client_data),
            "attestation_object": URL_SAFE_NO_PAD.encode(attestation),
        });
        let verify = format!("{link}/verify");
        done_by(&sandbox, "POST", &verify, "", registered).await;
        let path = "/v1/auth/passkey/options";
        let options = done_by(&sandbox, "POST", path, "", json!({})).await;
        let answer = answered(&sandbox, &options, &passkey);
        let path = "/v1/auth/passkey/verify";
        let begun = done_by(&sandbox, "POST", path, "", answer).await;
        let session = begun["token"].as_str().unwrap().to_owned();
        let key = done(&sandbox, "approver keygen --out ann.key --json", "");
        let key: Value = serde_json::from_str(&key).unwrap();
        let body = json!({
            "credential_id": key["credential_id"], "public_key_b64": key["public_key"],
        });
        let path = "/v1/me/software-keys";
        let added = done_by(&sandbox, "POST", path, &session, body).await;
        assert_eq!(added["public_key_thumbprint"], key["thumbprint"]);
        Self {
            sandbox,
            service,
            session,
            key,
        }
    }

    fn line(&self, words: &str) -> String {
        let url = &self.sandbox.settings["BASE_URL"];
        format!("approver {words} --url {url} --key ann.key")
    }

    fn done(&self, words: &str, input: &str) -> String {
        done(&self.sandbox, &self.line(words), input)
    }

    fn refused(&self, words: &str, input: &str) -> String {
        refused(&self.sandbox, &self.line(words), input)
    }

    fn pending(&self) -> Vec<Value> {
        let lines = self.done("pending --json", "");
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// The id of the question of an apply.
    async fn asked(&self, key: &str, operation: &Value) -> String {
        let task = self.service.open_task().await;
        let asked = self.service.apply(&task, key, operation).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        asked.text_at("approval_id").to_owned()
    }
}

#[tokio::test]
async fn an_approver_decides_from_a_terminal_with_the_address_and_a_key_file_alone() {
    let ann = Person::new().await;
    let file = ann.sandbox.folder().join("ann.key");
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = std::fs::read(&file).unwrap();
    let again = refused(&ann.sandbox, "approver keygen --out ann.key", "");
    assert!(again.contains("ann.key"), "{again}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    let id = ann.asked("k", &purge("one")).await;
    let pending = ann.pending();
    let [question] = pending.as_slice() else {
        panic!("one question waits");
    };
    assert_eq!(question["approval_id"], id);
    let operations = question["question"]["operations"].as_array().unwrap();
    assert_eq!(operations[0]["operation_id"], "cache.purge.execute");
    let listed = ann.done("pending", "");
    assert!(listed.contains("cache.purge.execute on zone"), "{listed}");
    let part = &id[id.len() - 8..];
    // Anything but y decides nothing, and the question stands last on the terminal.
    let output = run(&ann.sandbox, &ann.line(&format!("approve {part}")), "no\n");
    assert_eq!(output.status.code(), Some(1));
    let told = said(&output).1;
    let asked = told.lines().find(|line| line.contains("[y/N]")).unwrap();
    assert!(asked.contains(&id), "{told}");
    for part in [
        "cache.purge.execute on zone",
        "for exactly these operations",
    ] {
        assert!(asked.contains(part), "{part}: {told}");
    }
    assert!(told.contains("params.") && told.contains("one"), "{told}");
    assert!(
        told.contains("may do exactly this") && told.contains("without asking again"),
        "{told}"
    );
    assert_eq!(ann.pending().len(), 1);
    let done = ann.done(&format!("approve {part}"), "y\n");
    assert_eq!(done.trim(), format!("approved {id}"));
    assert!(ann.pending().is_empty());

    let id = ann.asked("l", &purge("two")).await;
    let done = ann.done(&format!("deny {} not today --yes --json", &id[..13]), "");
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!(
        (&done["approval_id"], &done["status"]),
        (&json!(id), &json!("denied"))
    );
    let history = ann.done("history --json", "");
    assert!(
        history.contains("not today") && history.lines().count() == 2,
        "{history}"
    );

    let events = ann.sandbox.events().await;
    let decided = events.iter().find_map(|recorded| match &recorded.event {
        Event::ApprovalApproved(Approved(decided)) => Some(decided.clone()),
        _ => None,
    });
    let decided = decided.unwrap();
    assert_eq!(decided.proof().assurance(), Assurance::SoftwareKey);
    assert_eq!(
        json!(decided.public_key_thumbprint.to_base64url()),
        ann.key["thumbprint"]
    );
    assert!(ann.service.stop().await.success());
    let (key, _) = said(&ann.sandbox.run("ledger vkey"));
    let verify = format!("ledger verify data/proxy.ledger.db --key {}", key.trim());
    let verified = ann.sandbox.run(&verify);
    assert!(verified.status.success(), "{:?}", said(&verified));
}

#[tokio::test]
async fn a_part_of_an_id_names_one_question_or_none_is_decided() {
    let ann = Person::new().await;
    let (one, two) = (
        ann.asked("k", &purge("one")).await,
        ann.asked("l", &purge("two")).await,
    );
    let common = one
        .chars()
        .zip(two.chars())
        .take_while(|(one, two)| one == two);
    let common: String = common.map(|(one, _)| one).collect();
    assert!(common.len() >= 4, "{one} {two}");
    let told = ann.refused(&format!("approve {common} --yes"), "");
    assert!(told.contains(&one) && told.contains(&two), "{told}");
    let told = ann.refused("approve zzzz --yes", "");
    assert!(told.contains("no open question"), "{told}");
    let told = ann.refused("approve 019 --yes", "");
    assert!(told.contains("too short"), "{told}");
    assert_eq!(ann.pending().len(), 2);
    assert!(ann.service.stop().await.success());
}

#[tokio::test]
async fn what_is_sensitive_is_not_approved_without_a_terminal() {
    let ann = Person::new().await;
    let id = ann.asked("k", &deployment()).await;
    let told = ann.refused(&format!("approve once {id} --yes"), "y\n");
    assert!(told.contains("It is sensitive"), "{told}");
    assert_eq!(ann.pending().len(), 1);
    // A denial only takes away, and may block what asked.
    let told = ann.refused(&format!("approve once {id} --yes --block agent"), "");
    assert!(told.contains("only a denial blocks"), "{told}");
    ann.done(&format!("deny {id} --yes --block agent --block-for 1h"), "");
    assert!(ann.pending().is_empty());
    let rules = ann.done("global-rules --json", "");
    let rule: Value = serde_json::from_str(rules.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&rule["kind"], &rule["approval_id"]),
        (&json!("agent"), &json!(id))
    );
    assert!(ann.service.stop().await.success());
}

#[tokio::test]
async fn a_key_that_was_taken_away_opens_nothing_more() {
    let ann = Person::new().await;
    let id = ann.asked("k", &purge("one")).await;
    let path = format!(
        "/v1/me/software-keys/{}",
        ann.key["credential_id"].as_str().unwrap()
    );
    done_by(&ann.sandbox, "DELETE", &path, &ann.session, Value::Null).await;
    ann.refused("pending", "");
    ann.refused(&format!("approve once {id} --yes"), "");
    assert!(ann.service.stop().await.success());
}

#[tokio::test]
async fn alerts_tell_each_question_once_also_over_a_restart() {
    let ann = Person::new().await;
    let mut command = ann.sandbox.command(&ann.line("alerts --json"));
    let alerts =
        fixtures::process::Process::spawn(&mut command, &ann.sandbox.folder().join("alerts"));
    let told = async |count: usize| {
        let told = until("the alerts", async || {
            let told = alerts.log();
            (told.matches(r#""event":"pending""#).count() == count).then_some(told)
        });
        told.await
    };
    let first = ann.asked("k", &purge("one")).await;
    assert!(told(1).await.contains(&first));
    assert!(ann.service.stop().await.success());
    let service = ann.sandbox.start().await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "l", &purge("two")).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let all = told(2).await;
    let of_first = format!(r#""approval_id":"{first}""#);
    assert_eq!(all.matches(&of_first).count(), 1, "{all}");
    assert!(service.stop().await.success());
}

/// Much depends on what fires by itself: it is shown at a terminal in words, and approved at one or on the page.
#[tokio::test]
async fn a_schedule_is_shown_at_a_terminal_in_words_and_denied_from_it() {
    let ann = Person::new().await;
    let task = ann.service.open_task().await;
    let known = ann.service.apply(&task, "k", &purge("one")).await;
    let agents = done_by(&ann.sandbox, "GET", "/v1/agents", TOKEN, Value::Null).await;
    let agent = &agents["agents"][0]["agent"];
    assert_eq!(known.status, 202, "{agents}");
    let wanted = json!({
        "cron": "30 2 * * *", "zone": "Europe/Berlin", "misfire": "skip",
        "agent": agent, "operations": [purge("two")],
    });
    let path = "/v1/schedules/nightly";
    let put = done_by(&ann.sandbox, "PUT", path, TOKEN, wanted).await;
    assert_eq!(put["state"], "waiting_approval", "{put}");
    let id = put["approval_id"].as_str().unwrap();
    assert!(ann.pending().iter().any(|one| one["kind"] == "schedule"));
    let told = ann.refused(&format!("approve {id} --yes"), "");
    assert!(told.contains("there is no terminal"), "{told}");
    let output = run(&ann.sandbox, &ann.line(&format!("deny {id}")), "no\n");
    let told = said(&output).1;
    for part in [
        "cache.purge.execute on zone",
        "At 02:30",
        "30 2 * * * in Europe/Berlin",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    ann.done(&format!("deny {id} not at night --yes"), "");
    let denied = done_by(&ann.sandbox, "GET", path, TOKEN, Value::Null).await;
    assert_eq!(denied["state"], "denied", "{denied}");
    assert!(ann.service.stop().await.success());
}

#[tokio::test]
async fn a_lock_is_not_lifted_before_it_is_said_whether_keys_count_again() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    done_by(
        &sandbox,
        "POST",
        "/v1/agents",
        TOKEN,
        json!({"agent": "ci"}),
    )
    .await;
    let lock = json!({"target": {"kind": "agent", "id": "ci"}, "reason": "key leaked"});
    let lock = done_by(&sandbox, "POST", "/v1/locks", TOKEN, lock).await;
    let id = lock["id"].as_str().unwrap();
    let url = &sandbox.settings["BASE_URL"];
    let line = format!("unlock {id} --url {url} --token {TOKEN}");
    let told = refused(&sandbox, &line, "");
    assert!(
        told.contains("--keep-keys") && told.contains("--revoke-keys"),
        "{told}"
    );
    let locks = done_by(&sandbox, "GET", "/v1/locks", TOKEN, Value::Null).await;
    assert!(locks["locks"][0]["lifted_at"].is_null(), "{locks}");
    done(&sandbox, &format!("{line} --keep-keys"), "");
    assert!(service.stop().await.success());
}

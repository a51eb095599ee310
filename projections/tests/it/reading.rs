//! What people and auditors read: timeline, permissions, credentials; and what nobody can read.

use crate::dump::dump;
use crate::world::{self, catch_up, path_of};
use fixtures::approver::SoftApprover;
use fixtures::commands;
use fixtures::rules::APPROVER;
use ledger::command::{CreateTask, RevokeCredential};
use ledger::{AgentName, ApproverName, Blob, CredentialId, Decision};
use projections::{Paging, TimelineTopic, Validity};
use providers::cloudflare;

const ALL: Paging = Paging {
    after: None,
    limit: 1000,
};

#[tokio::test]
async fn the_timeline_tells_what_happened_to_a_task_and_who_did_it() {
    let (ledger, projections, mut runner) = world::new().await;
    let approver = SoftApprover::new(APPROVER);
    ledger.run(approver.registration()).await.unwrap();
    let token = ledger.task().await;
    // Another task is not in the way.
    ledger.task().await;
    let ssl = vec![commands::ssl_mode("strict")];
    let submitted = ledger
        .submit(&token, "key\u{2d}1", ssl)
        .await
        .unwrap()
        .unwrap();
    let approval = submitted.approval.unwrap();
    let reason = Some("not on a\nFriday");
    let denied = approver.decide(&ledger.ledger, &approval, Decision::Deny, reason);
    let origin = commands::administrator();
    let ruling = ledger.execute(origin, denied).await.unwrap();
    ruling.accepted().unwrap();
    catch_up(&mut runner).await;
    let topic = TimelineTopic::Task(token.task.id);

    let mut told = projections.timeline(Some(topic), ALL).await.unwrap().rows;
    told.reverse();

    let lines: Vec<_> = told
        .iter()
        .map(|entry| format!("{} | {} | {}", entry.event, entry.who, entry.summary))
        .collect();
    let expires = approval.expires_at;
    let token_expires = token.task.tokens[0].expires_at;
    let orchestrator = "administrator agent:orchestrator";
    assert_eq!(
        lines,
        [
            format!(
                "task.created | {orchestrator} | task \"rotate the records\" for agent ci-bot, 7 operations allowed"
            ),
            format!("task.token_issued | {orchestrator} | capability token until {token_expires}"),
            format!(
                "approval.requested | agent ci-bot | approval asked of default until {expires}"
            ),
            format!(
                "apply.accepted | agent ci-bot | apply \"key-1\" of ssl.mode.write on zone zone-1: waits for approval {}",
                approval.id
            ),
            format!("approval.denied | {orchestrator} | denied by default: not on a‹U+000A›Friday"),
        ]
    );
    let all = projections.timeline(None, ALL).await.unwrap();
    let positions: Vec<_> = all.rows.iter().map(|entry| entry.position).collect();
    let gapless: Vec<_> = (0..*ledger.size().borrow()).rev().collect();
    assert_eq!(positions, gapless);
}

#[tokio::test]
async fn replaced_permissions_leave_nothing_of_the_set_before() {
    let (ledger, projections, mut runner) = world::new().await;
    ledger.grant_all().await;
    catch_up(&mut runner).await;
    let agent = &AgentName::unchecked(commands::AGENT);
    assert_eq!(projections.permissions(agent).await.unwrap().len(), 7);
    let fewer = commands::permissions(vec![commands::grant(cloudflare::CACHE_PURGE)]);
    ledger.run(fewer).await.unwrap();
    catch_up(&mut runner).await;

    let left = projections.permissions(agent).await.unwrap();

    assert_eq!(left.len(), 1);
    assert_eq!(left[0].operation, cloudflare::CACHE_PURGE.id);
    assert_eq!((left[0].scope_id.as_str(), left[0].number), ("*", 1));
    assert!(
        projections
            .permissions(&AgentName::unchecked("nobody"))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn credentials_learn_from_their_use_and_stay_when_revoked() {
    let (ledger, projections, mut runner) = world::new().await;
    let approver = SoftApprover::new(APPROVER).backup_eligible();
    ledger.run(approver.registration()).await.unwrap();
    catch_up(&mut runner).await;
    let registered = projections
        .credentials(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap();
    assert_eq!(registered.len(), 1);
    assert_eq!(registered[0].backup_eligible, None);
    assert_eq!(registered[0].public_key, Blob::from(approver.cose_key()));
    let token = ledger.task().await;
    let ssl = vec![commands::ssl_mode("strict")];
    let submitted = ledger.submit(&token, "key-1", ssl).await.unwrap().unwrap();
    let approval = submitted.approval.unwrap();
    let approve = approver.decide(&ledger.ledger, &approval, Decision::Approve, None);
    ledger.run(approve).await.unwrap().accepted().unwrap();
    let revoke = RevokeCredential {
        principal: ApproverName::unchecked(APPROVER),
        credential_id: CredentialId::unchecked(approver.credential_id()),
        reason: Some("lost".to_owned()),
    };
    ledger.run(revoke).await.unwrap();
    catch_up(&mut runner).await;

    let revoked = &projections
        .credentials(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap()[0];

    assert_eq!(revoked.status, Validity::Revoked);
    assert_eq!(revoked.reason.as_deref(), Some("lost"));
    assert_eq!(revoked.backup_eligible, Some(true));
    assert_eq!(
        (revoked.sign_count, revoked.last_used_at),
        (1, Some(ledger.now()))
    );
    assert_eq!(revoked.algorithm, "ES256");
}

#[tokio::test]
async fn no_secret_stands_in_the_file() {
    let (ledger, projections, mut runner) = world::new().await;
    let secret = "a secret that nobody may read";
    let command = CreateTask {
        callback: Some(commands::callback(8443, secret)),
        ..commands::create_task()
    };
    let token = ledger
        .execute(commands::administrator(), command)
        .await
        .unwrap();
    let ssl = vec![commands::ssl_mode("strict")];
    ledger.submit(&token, "key-1", ssl).await.unwrap().unwrap();
    catch_up(&mut runner).await;
    let path = path_of(&ledger);
    drop((projections, runner));

    let rows = dump(&path).await;

    let bytes = std::fs::read(&path).unwrap();
    let mut windows = bytes.windows(secret.len());
    assert!(!windows.any(|window| window == secret.as_bytes()));
    let approvals: Vec<_> = rows
        .iter()
        .filter(|row| row.starts_with("approvals:"))
        .collect();
    assert_eq!(approvals.len(), 1);
    for word in ["nonce", "resume"] {
        assert!(!rows.iter().any(|row| row.contains(word)), "{word}");
    }
}

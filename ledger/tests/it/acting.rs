//! Users act by what they have when their command is decided, not by what they had when they asked.

use crate::scene::refusal;
use fixtures::approver::SoftApprover;
use fixtures::commands::{
    create_key, create_task, create_template, grant, permissions, put_schedule,
};
use fixtures::people::{
    by, change_user, create_group, create_user, delete_user, end_sessions, open_session,
    set_password,
};
use fixtures::test_ledger::TestLedger;
use ledger::AdmissionId;
use ledger::aggregate::AdmissionKind;
use ledger::aggregate::{Session, User};
use ledger::command::{
    AgentChanges, ChangeGroup, ChangeUser, CloseTask, Command, CreateAgent, DeleteGroup,
    DeleteSchedule, DeleteTemplate, DescribeAgent, EndClearance, EndSession, LiftAdmission,
    LiftLock, OpenEnrolment, OpenUserEnrolment, RemoveSharedKey, RemoveUpstream, RemoveUpstreamKey,
    ResolveApply, RetryDelivery, RevokeCredential, RevokeKey, RevokeUserPasskey, RollbackPolicy,
    SetAdmission, UpstreamKeyHolder,
};
use ledger::event::ClientTarget;
use ledger::event::{AgentRegistered, SessionEnd};
use ledger::{
    AgentId, AgentName, ApplyId, ApproverName, ClearanceId, CredentialId, DeliveryId, Error,
    GroupId, KeyId, Ledger, LockId, Origin, Rejection, Role, ScheduleName, TaskId, TemplateName,
    Transaction, UserId,
};
use providers::cloudflare;
use std::pin::Pin;
use std::sync::Arc;

type Given = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A command, and the least role of the users who may give it.
struct Row {
    name: &'static str,
    least: Role,
    give: fn(Ledger, Origin) -> Given,
}

macro_rules! rows {
    ($($least:ident: $command:expr;)+) => {
        [$(Row {
            name: stringify!($command),
            least: Role::$least,
            give: |ledger, origin| {
                Box::pin(async move { ledger.execute(origin, $command).await.map(drop) })
            },
        }),+]
    };
}

/// Every command that a user gives of something else than their own. Whom or what it names does not matter:
/// the role is asked for first.
fn rows() -> impl IntoIterator<Item = Row> {
    rows! {
        Operator: create_task();
        Operator: CloseTask { task_id: TaskId::from_bytes([1; 16]), token: None, reason: None };
        Operator: ResolveApply { apply_id: ApplyId::from_bytes([1; 16]), executed: true, reason: "seen".into() };
        Operator: RetryDelivery { delivery_id: DeliveryId::from_bytes([1; 16]), reason: None };
        Operator: RevokeCredential { principal: alice(), credential_id: CredentialId::unchecked(vec![1]), reason: None };
        Operator: permissions(Vec::new());
        Operator: create_template("deploy");
        Operator: DeleteTemplate { name: TemplateName::parse("deploy").unwrap() };
        Operator: EndClearance { clearance_id: ClearanceId::from_bytes([1; 16]) };
        Admin: LiftLock { lock_id: LockId::from_bytes([1; 16]), revoke_keys: false };
        Admin: fixtures::policies::put(fixtures::policies::policy(), 0);
        Admin: RollbackPolicy { version: 0, follows: 0 };
        Operator: SetAdmission { kind: AdmissionKind::Block, target: ClientTarget::Asn(1), reason: None, duration: None };
        Operator: LiftAdmission { kind: AdmissionKind::Block, admission_id: AdmissionId::from_bytes([1; 16]) };
        Operator: put_schedule("nightly", vec![fixtures::commands::purge()]);
        Operator: DeleteSchedule { name: ScheduleName::unchecked("nightly") };
        Admin: put_upstream_key();
        Admin: RemoveUpstreamKey { holder: UpstreamKeyHolder::Agent(ci()), upstream: ledger::UpstreamName::cloudflare() };
        Admin: fixtures::commands::put_upstream("github");
        Admin: RemoveUpstream { name: ledger::UpstreamName::unchecked("github") };
        Admin: crate::upstreams::share("github", "a-key-of-all-agents-0123456789");
        Admin: RemoveSharedKey { name: ledger::UpstreamName::unchecked("github") };
        Operator: RevokeKey { agent: ci(), key_id: KeyId::from_bytes([1; 16]), reason: None };
        Admin: permissions(vec![grant(cloudflare::DNS_RECORD_WRITE)]);
        Admin: SoftApprover::new("alice").registration();
        Admin: OpenEnrolment { principal: alice() };
        Admin: create_key("cak_one");
        Admin: CreateAgent { agent: ci(), described: AgentChanges::default() };
        Admin: DescribeAgent { agent: ci(), changes: AgentChanges::default() };
        Admin: create_user("max", Role::Viewer);
        Admin: change_user(somebody());
        Admin: delete_user(somebody());
        Admin: set_password(somebody());
        Admin: end_sessions(somebody());
        Admin: OpenUserEnrolment { user_id: somebody() };
        Admin: RevokeUserPasskey { user_id: somebody(), credential_id: CredentialId::unchecked(vec![1]), reason: None };
        Admin: create_group("ops", Vec::new());
        Admin: ChangeGroup { group_id: GroupId::from_bytes([1; 16]), name: None, members: None, reason: None };
        Admin: DeleteGroup { group_id: GroupId::from_bytes([1; 16]), reason: None };
    }
}

fn put_upstream_key() -> ledger::command::PutUpstreamKey {
    crate::upstream_keys::put(
        UpstreamKeyHolder::Agent(ci()),
        "cloudflare",
        "cloudflare-token-012345",
    )
}

fn ci() -> AgentName {
    AgentName::unchecked("ci")
}

fn alice() -> ApproverName {
    ApproverName::unchecked("alice")
}

fn somebody() -> UserId {
    UserId::from_bytes([1; 16])
}

fn with_role(user_id: UserId, role: Role) -> ChangeUser {
    ChangeUser {
        role: Some(role),
        ..change_user(user_id)
    }
}

/// A ledger with an administrator who stays.
async fn people() -> TestLedger {
    let ledger = TestLedger::open().await;
    ledger.run(create_user("root", Role::Admin)).await.unwrap();
    ledger
}

async fn logged_in(ledger: &TestLedger, user_id: UserId) -> Arc<Session> {
    let user = ledger.load::<User>(user_id).await.unwrap().unwrap();
    let login = open_session(ledger, user_id, user.epoch);
    ledger.run(login).await.unwrap().session
}

const fn below(role: Role) -> Role {
    match role {
        Role::Admin => Role::Operator,
        Role::Operator | Role::Viewer => Role::Viewer,
    }
}

#[tokio::test]
async fn who_loses_the_role_before_the_command_is_decided_is_refused() {
    let ledger = people().await;
    let zoe = ledger
        .run(create_user("zoe", Role::Viewer))
        .await
        .unwrap()
        .id;
    for Row { name, least, give } in rows() {
        ledger.run(with_role(zoe, below(least))).await.unwrap();
        let session = logged_in(&ledger, zoe).await;
        let refused = refusal(give(ledger.ledger.clone(), by(&session)).await);
        let role = below(least);
        let required = least;
        assert_eq!(
            refused,
            Rejection::RoleRequired { required, role },
            "{name}"
        );

        ledger.run(with_role(zoe, least)).await.unwrap();
        let session = logged_in(&ledger, zoe).await;
        // Both are of one batch: whatever was asked before it, the role was there.
        let (demoted, late) = tokio::join!(
            ledger.run(with_role(zoe, below(least))),
            give(ledger.ledger.clone(), by(&session))
        );
        demoted.unwrap();
        assert_eq!(refusal(late), Rejection::SessionEnded, "{name}");
    }
}

#[tokio::test]
async fn nobody_ends_a_session_by_one_that_has_ended_nor_anothers() {
    let ledger = people().await;
    let [zoe, max] = ["zoe", "max"].map(|name| create_user(name, Role::Operator));
    let [zoe, max] = [
        ledger.run(zoe).await.unwrap().id,
        ledger.run(max).await.unwrap().id,
    ];
    let end = |session: &Session| EndSession {
        session_id: session.id,
        why: SessionEnd::TakenAway,
    };
    let [stolen, own] = [logged_in(&ledger, zoe).await, logged_in(&ledger, zoe).await];
    let others = logged_in(&ledger, max).await;
    let refused = refusal(ledger.execute(by(&own), end(&others)).await);
    let (required, role) = (Role::Admin, Role::Operator);
    assert_eq!(refused, Rejection::RoleRequired { required, role });
    let (first, second) = tokio::join!(
        ledger.execute(by(&own), end(&stolen)),
        ledger.execute(by(&stolen), end(&own))
    );
    assert!(first.unwrap().ended.is_some());
    assert_eq!(refusal(second), Rejection::SessionEnded);
}

/// Registers an agent, and asks nothing.
struct Unasked;

impl Command for Unasked {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let context = tx.context();
        let agent_id: AgentId = context.id();
        let name = ci();
        let registered = AgentRegistered { agent_id, name };
        tx.append(vec![context.event(agent_id, registered)]).await
    }
}

#[tokio::test]
async fn a_command_that_does_not_ask_whether_its_user_still_acts_records_nothing() {
    let ledger = people().await;
    let zoe = ledger
        .run(create_user("zoe", Role::Admin))
        .await
        .unwrap()
        .id;
    let session = logged_in(&ledger, zoe).await;
    let size = *ledger.size().borrow();
    let refused = ledger.execute(by(&session), Unasked).await;
    assert!(matches!(refused, Err(Error::Defect { .. })), "{refused:?}");
    assert_eq!(*ledger.size().borrow(), size);
    ledger
        .execute(Origin::system("test"), Unasked)
        .await
        .unwrap();
}

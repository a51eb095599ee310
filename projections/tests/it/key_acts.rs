//! How each step of a story with agent keys is done.

use crate::acts::{operations, pick};
use crate::step::KeyStep;
use crate::story::Story;
use fixtures::commands::{self, AGENT};
use ledger::aggregate::AdmissionKind;
use ledger::command::{
    AgentChanges, BeginCall, CreateTemplate, DeleteSchedule, DeleteTemplate, DescribeAgent,
    EndCalls, LiftAdmission, LiftLock, PutUpstreamKey, RecordUsage, RemoveUpstreamKey, RevokeKey,
    RollbackPolicy, RunSchedule, SetAdmission, SetLock, SubmitApply, UpstreamKeyHolder, UsageSum,
};
use ledger::event::{
    BodyDigest, CallCredential, CallEnded, CallOutcome, CallSubject, ClientTarget, LockTarget,
    UpstreamKeyOwner, UsageCounts,
};
use ledger::{AgentName, CallId, Origin, ScheduleName, TemplateName, UpstreamApiKey, UpstreamName};
use providers::cloudflare::CACHE_PURGE;

/// The template that stories know.
const TEMPLATE: &str = "deploy";
/// The key of an upstream that stories store.
const UPSTREAM_KEY: &str = "sk-ant-api03-of-stories-0123456789";

impl Story {
    pub(crate) async fn act_with_keys(&mut self, step: &KeyStep) {
        let administrator = commands::administrator;
        match step {
            KeyStep::Describe { site } => {
                let command = DescribeAgent {
                    agent: AgentName::unchecked(AGENT),
                    changes: AgentChanges {
                        site: Some(site.then(|| "fra1".to_owned())),
                        tags: Some(vec!["ci".to_owned()]),
                        ..AgentChanges::default()
                    },
                };
                self.run(administrator(), command).await;
            }
            KeyStep::Make => {
                let text = format!("cak_{}", *self.ledger.size().borrow());
                let key = self.run(administrator(), commands::create_key(&text)).await;
                self.keys.extend(key);
            }
            KeyStep::Revoke { key } => {
                let Some(key) = pick(&self.keys, *key) else {
                    return;
                };
                let command = RevokeKey {
                    agent: AgentName::unchecked(AGENT),
                    key_id: key.id,
                    reason: None,
                };
                self.run(administrator(), command).await;
            }
            KeyStep::Template { needs_approval } => {
                let command = CreateTemplate {
                    needs_approval: *needs_approval,
                    ..commands::create_template(TEMPLATE)
                };
                self.run(administrator(), command).await;
            }
            KeyStep::DeleteTemplate => {
                let name = TemplateName::unchecked(TEMPLATE);
                self.run(administrator(), DeleteTemplate { name }).await;
            }
            KeyStep::Lock => {
                let command = SetLock {
                    target: LockTarget::Operation(CACHE_PURGE.id.into()),
                    reason: "drill".to_owned(),
                    duration: None,
                };
                self.run(administrator(), command).await;
            }
            KeyStep::Unlock => {
                let (locks, now) = (self.ledger.locks(), self.ledger.now());
                let in_force = locks.all_in_force(now).map(|lock| lock.id).next();
                if let Some(lock_id) = in_force {
                    self.run(
                        administrator(),
                        LiftLock {
                            lock_id,
                            revoke_keys: false,
                        },
                    )
                    .await;
                }
            }
            KeyStep::Admit { lift } => {
                let both = [
                    (AdmissionKind::Block, 64_512),
                    (AdmissionKind::Allow, 64_513),
                ];
                for (kind, asn) in both {
                    let set = SetAdmission {
                        kind,
                        target: ClientTarget::Asn(asn),
                        reason: None,
                        duration: None,
                    };
                    let set = self.run(administrator(), set).await;
                    if let Some(set) = set.filter(|_| *lift) {
                        let admission_id = set.admission.id;
                        let lifted = LiftAdmission { kind, admission_id };
                        self.run(administrator(), lifted).await;
                    }
                }
            }
            KeyStep::Policy { save } => {
                let follows = self.ledger.policy().version;
                if *save {
                    let put = fixtures::policies::put(fixtures::policies::policy(), follows);
                    self.ledger.run(put).await.unwrap();
                } else if follows > 0 {
                    let version = 0;
                    let back = RollbackPolicy { version, follows };
                    self.ledger.run(back).await.unwrap();
                }
            }
            KeyStep::Schedule { act: 0 } => {
                let name = ScheduleName::unchecked("nightly");
                self.run(administrator(), DeleteSchedule { name }).await;
            }
            KeyStep::Schedule { act: 1 } => {
                let mut put = commands::put_schedule("nightly", operations(1));
                put.terms.cron = "*/1 * * * *".to_owned();
                self.run(administrator(), put).await;
            }
            KeyStep::Schedule { .. } => {
                let schedules = self.ledger.schedules();
                for schedule in schedules.all() {
                    let schedule_id = schedule.id;
                    let scheduler = Origin::system("scheduler");
                    self.run(scheduler, RunSchedule { schedule_id }).await;
                }
            }
            KeyStep::Open { key } => {
                let Some(key) = pick(&self.keys, *key) else {
                    return;
                };
                let origin = commands::agent_with_key(key);
                let opened = self.run(origin, commands::open_task(key, TEMPLATE)).await;
                self.opened.extend(opened);
            }
            KeyStep::Use { key, tokens } => {
                let Some(key) = pick(&self.keys, *key) else {
                    return;
                };
                let now = self.ledger.now();
                // Without a task too.
                let task = pick(&self.opened, 0).filter(|_| tokens % 3 > 0);
                let used = UsageSum {
                    owner: UpstreamKeyOwner::Agent(key.agent_id),
                    task_id: task.map(|task| task.id),
                    model: format!("model-{}", tokens % 2),
                    from: now,
                    to: now,
                    counts: UsageCounts {
                        requests: 1,
                        input_tokens: *tokens,
                        ..UsageCounts::default()
                    },
                };
                let used = RecordUsage { used: vec![used] };
                self.run(Origin::system("gateway"), used).await;
            }
            KeyStep::Call { key, ends } => {
                let Some(key) = pick(&self.keys, *key) else {
                    return;
                };
                let gateway = || Origin::system("gateway");
                let subject = CallSubject {
                    owner: UpstreamKeyOwner::Agent(key.agent_id),
                    credential: CallCredential::AgentKey(key.id),
                    task_id: None,
                    upstream: UpstreamName::anthropic(),
                    operation: "anthropic.batches.write".to_owned(),
                    method: "POST".to_owned(),
                    route: "/v1/messages/batches".to_owned(),
                };
                let size = u128::from(*self.ledger.size().borrow());
                let call_id = CallId::from_bytes(size.to_be_bytes());
                let begin = BeginCall {
                    call_id,
                    subject: subject.clone(),
                    path: subject.route.clone(),
                    ruling: None,
                };
                let begun = self.run(gateway(), begin).await;
                if begun.is_some() && *ends {
                    let ended = CallEnded {
                        call_id,
                        is_begun: true,
                        subject,
                        outcome: CallOutcome::Answered { status: 200 },
                        request_bytes: 10,
                        request_digest: BodyDigest::from_bytes([1; 32]),
                        response_bytes: 20,
                        response_digest: BodyDigest::from_bytes([2; 32]),
                        duration_micros: 30_000,
                        upstream_request_id: None,
                        ruling: None,
                    };
                    let ended = vec![ended];
                    self.run(gateway(), EndCalls { ended }).await;
                }
            }
            KeyStep::UpstreamKey { store } => {
                let holder = UpstreamKeyHolder::Agent(AgentName::unchecked(AGENT));
                let upstream = UpstreamName::anthropic();
                if *store {
                    let api_key = UpstreamApiKey::parse(&upstream, UPSTREAM_KEY).unwrap();
                    let put = PutUpstreamKey {
                        holder,
                        upstream,
                        api_key,
                    };
                    self.run(administrator(), put).await;
                } else {
                    self.run(administrator(), RemoveUpstreamKey { holder, upstream })
                        .await;
                }
            }
            KeyStep::Submit {
                key,
                task,
                name,
                operation,
            } => {
                let (Some(key), Some(task)) = (pick(&self.keys, *key), pick(&self.opened, *task))
                else {
                    return;
                };
                let command = SubmitApply {
                    token: commands::presented_key(key, task).into(),
                    key: commands::key(&format!("key-{name}")),
                    operations: operations(*operation),
                    purpose: ledger::Purpose::default(),
                    on_approval: ledger::event::OnApproval::Wait,
                    callback: None,
                    edge: ledger::policy::Edge::default(),
                };
                self.run(commands::agent_with_key(key), command).await;
            }
        }
    }
}

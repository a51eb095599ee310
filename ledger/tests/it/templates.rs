//! Task templates, and what agents do with their keys.

use crate::scene::{Scene, refusal};
use fixtures::commands::{
    AGENT, agent_with_key, continue_apply, create_key, create_template, dns_create, grant_all,
    key as idempotency_key, open_task, permissions, presented_key, ssl_mode,
};
use ledger::aggregate::{Key, Task};
use ledger::command::{
    AgentChanges, ContinueApply, CreateAgent, CreateTemplate, DeleteTemplate, NarrowApproval,
    RevokeKey, SubmitApply, Submitted,
};
use ledger::operation::Operation;
use ledger::{AgentName, Decision, Error, QuestionTime, Rejection, TemplateName};
use std::sync::Arc;
use std::time::Duration;

const TEMPLATE: &str = "deploy";

/// An agent with a key, and a template for it.
struct Keyed {
    scene: Scene,
    key: Arc<Key>,
}

impl Keyed {
    async fn new() -> Self {
        Self::with(create_template(TEMPLATE)).await
    }

    async fn with(template: CreateTemplate) -> Self {
        let scene = Scene::granted().await;
        let key = scene.run(create_key("cak_one")).await.unwrap();
        scene.run(template).await.unwrap();
        Self { scene, key }
    }

    async fn open(&self) -> Result<Arc<Task>, Error> {
        let command = open_task(&self.key, TEMPLATE);
        self.scene.execute(agent_with_key(&self.key), command).await
    }

    async fn opened(&self) -> Arc<Task> {
        self.open().await.unwrap()
    }

    async fn submit(
        &self,
        task: &Task,
        key: &str,
        operations: Vec<Operation>,
    ) -> Result<Submitted, Error> {
        let command = SubmitApply {
            token: presented_key(&self.key, task).into(),
            key: idempotency_key(key),
            operations,
            purpose: ledger::Purpose::default(),
            on_approval: ledger::event::OnApproval::Wait,
            callback: None,
            edge: ledger::policy::Edge::default(),
        };
        let ruling = self
            .scene
            .execute(agent_with_key(&self.key), command)
            .await?;
        Ok(ruling.accepted()?)
    }

    async fn revoke(&self) {
        let revoke = RevokeKey {
            agent: AgentName::unchecked(AGENT),
            key_id: self.key.id,
            reason: None,
        };
        self.scene.run(revoke).await.unwrap();
    }
}

async fn create_agent(scene: &Scene, name: &str) {
    let create = CreateAgent {
        agent: AgentName::unchecked(name),
        described: AgentChanges::default(),
    };
    scene.run(create).await.unwrap();
}

#[tokio::test]
async fn an_agent_opens_a_task_from_its_template_and_its_keys_open_it() {
    let keyed = Keyed::new().await;
    let before = keyed.scene.size_now();
    let task = keyed.opened().await;
    assert_eq!(keyed.scene.names_since(before).await, ["task.created"]);
    assert_eq!(task.agent.as_str(), AGENT);
    assert_eq!(task.tokens, []);
    let end = task.created_at.plus(Duration::from_secs(3600));
    assert_eq!(task.end_for_keys(), Some(end));

    let submitted = keyed
        .submit(&task, "k1", vec![dns_create("a.example.com")])
        .await;
    let submitted = submitted.unwrap();
    assert!(submitted.apply.authorised);
    // So does every other key of the agent.
    let other = keyed.scene.run(create_key("cak_two")).await.unwrap();
    let again = SubmitApply {
        token: presented_key(&other, &task).into(),
        key: idempotency_key("k1"),
        operations: vec![dns_create("a.example.com")],
        purpose: ledger::Purpose::default(),
        on_approval: ledger::event::OnApproval::Wait,
        callback: None,
        edge: ledger::policy::Edge::default(),
    };
    let again = keyed
        .scene
        .execute(agent_with_key(&other), again)
        .await
        .unwrap();
    assert_eq!(again.accepted().unwrap().apply.id, submitted.apply.id);
}

#[tokio::test]
async fn a_template_opens_tasks_of_the_agents_that_it_names_while_it_stands() {
    let keyed = Keyed::new().await;
    create_agent(&keyed.scene, "mallory").await;
    let for_mallory = CreateTemplate {
        agents: vec![AgentName::unchecked("mallory")],
        ..create_template("other")
    };
    keyed.scene.run(for_mallory).await.unwrap();
    let size = keyed.scene.size_now();
    for template in ["other", "none"] {
        let command = open_task(&keyed.key, template);
        let opened = keyed.scene.execute(agent_with_key(&keyed.key), command);
        assert_eq!(refusal(opened.await), Rejection::TemplateNotAllowed);
    }
    assert_eq!(keyed.scene.size_now(), size);

    let task = keyed.opened().await;
    let delete = || DeleteTemplate {
        name: TemplateName::unchecked(TEMPLATE),
    };
    keyed.scene.run(delete()).await.unwrap();
    assert_eq!(refusal(keyed.open().await), Rejection::TemplateNotAllowed);
    let gone = keyed.scene.run(delete()).await;
    assert_eq!(refusal(gone), Rejection::TemplateNotFound);
    let goes_on = keyed.submit(&task, "k1", vec![dns_create("a.example.com")]);
    assert!(goes_on.await.is_ok(), "what was opened goes on");
    // Its name is free again.
    keyed.scene.run(create_template(TEMPLATE)).await.unwrap();
    let taken = keyed.scene.run(create_template(TEMPLATE)).await;
    assert_eq!(refusal(taken), Rejection::NameTaken);
    keyed.opened().await;
}

#[tokio::test]
async fn a_template_names_known_agents_and_something_to_do() {
    let keyed = Keyed::new().await;
    let fine = create_template("new");
    for (wrong, code) in [
        (
            CreateTemplate {
                agents: Vec::new(),
                ..fine.clone()
            },
            "invalid_agents",
        ),
        (
            CreateTemplate {
                agents: vec![AgentName::unchecked("nobody")],
                ..fine.clone()
            },
            "agent_not_found",
        ),
        (
            CreateTemplate {
                operations: Vec::new(),
                ..fine
            },
            "no_operations",
        ),
    ] {
        assert_eq!(refusal(keyed.scene.run(wrong).await).code(), code);
    }
}

#[tokio::test]
async fn a_key_opens_no_task_that_others_opened() {
    let keyed = Keyed::new().await;
    create_agent(&keyed.scene, "mallory").await;
    let mut hers = create_key("cak_hers");
    hers.agent = AgentName::unchecked("mallory");
    let hers = keyed.scene.run(hers).await.unwrap();
    let task = keyed.opened().await;
    let by_orchestrator = keyed.scene.token.task.clone();
    let unknown = Task {
        id: ledger::TaskId::from_bytes([9; 16]),
        ..(*task).clone()
    };
    for (key, task) in [
        (&keyed.key, &*by_orchestrator),
        (&hers, &*task),
        (&keyed.key, &unknown),
    ] {
        let narrow = NarrowApproval {
            token: presented_key(key, task).into(),
            principal: None,
        };
        let refused = keyed.scene.execute(agent_with_key(key), narrow).await;
        assert_eq!(refusal(refused), Rejection::NotOpenedByKey);
    }
}

#[tokio::test]
async fn the_time_of_a_template_ends_on_the_second() {
    let keyed = Keyed::new().await;
    let task = keyed.opened().await;
    let submit = |key: &'static str| keyed.submit(&task, key, vec![dns_create("a.example.com")]);
    keyed.scene.clock.advance(Duration::from_millis(3_599_999));
    assert!(submit("k1").await.is_ok());
    keyed.scene.clock.advance(Duration::from_millis(1));
    let at = task.end_for_keys().unwrap();
    assert_eq!(refusal(submit("k2").await), Rejection::TaskExpired { at });
    assert_eq!(refusal(submit("k1").await), Rejection::TaskExpired { at });
}

#[tokio::test]
async fn a_key_acts_by_the_grants_of_today() {
    let keyed = Keyed::new().await;
    let task = keyed.opened().await;
    let submit = |key: &'static str| keyed.submit(&task, key, vec![dns_create(key)]);
    assert!(submit("k1.example.com").await.unwrap().apply.authorised);
    keyed.scene.run(permissions(Vec::new())).await.unwrap();
    assert!(!submit("k2.example.com").await.unwrap().apply.authorised);
    keyed.scene.run(grant_all()).await.unwrap();
    assert!(submit("k3.example.com").await.unwrap().apply.authorised);
}

#[tokio::test]
async fn every_apply_waits_where_the_template_says_so() {
    let template = CreateTemplate {
        needs_approval: true,
        ..create_template(TEMPLATE)
    };
    let keyed = Keyed::with(template).await;
    let task = keyed.opened().await;
    let operations = vec![dns_create("a.example.com")];
    let waiting = keyed.submit(&task, "k1", operations).await.unwrap();
    assert!(!waiting.apply.authorised && waiting.approval.is_some());
    keyed.scene.decided(&waiting, Decision::Approve).await;
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: presented_key(&keyed.key, &task).into(),
        ..continue_apply(&keyed.scene.token, &waiting)
    };
    let continued = keyed
        .scene
        .execute(agent_with_key(&keyed.key), command)
        .await;
    assert!(continued.unwrap().accepted().unwrap().apply.authorised);
}

#[tokio::test]
async fn a_question_waits_as_long_as_the_template_says_and_as_the_rules_say_where_it_does_not() {
    let week = Duration::from_secs(604_800);
    let of_rules = fixtures::rules::TestRules::default().approval_ttl;
    let said = QuestionTime::from_seconds(week.as_secs()).unwrap();
    for (question, time) in [(Some(said), week), (None, of_rules)] {
        let template = CreateTemplate {
            question,
            ..create_template(TEMPLATE)
        };
        let keyed = Keyed::with(template).await;
        let task = keyed.opened().await;
        assert_eq!(task.question, Some(time));
        let waiting = keyed.submit(&task, "k1", vec![ssl_mode("strict")]).await;
        let approval = keyed.scene.approval(&waiting.unwrap()).await;
        assert_eq!(approval.expires_at, keyed.scene.now().plus(time));
        // The keys open the task for its own time, whatever its questions have.
        let end = task.created_at.plus(Duration::from_secs(3600));
        assert_eq!(task.end_for_keys(), Some(end));
    }
}

#[tokio::test]
async fn a_revoked_key_does_nothing_more_in_a_task_that_it_opened() {
    let keyed = Keyed::new().await;
    let task = keyed.opened().await;
    let waiting = keyed.submit(&task, "k1", vec![ssl_mode("strict")]).await;
    let waiting = waiting.unwrap();
    keyed.scene.decided(&waiting, Decision::Approve).await;
    keyed.revoke().await;
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: presented_key(&keyed.key, &task).into(),
        ..continue_apply(&keyed.scene.token, &waiting)
    };
    let size = keyed.scene.size_now();
    let continued = keyed
        .scene
        .execute(agent_with_key(&keyed.key), command)
        .await;
    assert_eq!(refusal(continued), Rejection::KeyRevoked);
    let again = keyed.submit(&task, "k1", vec![ssl_mode("strict")]).await;
    assert_eq!(refusal(again), Rejection::KeyRevoked);
    assert_eq!(keyed.scene.size_now(), size);
}

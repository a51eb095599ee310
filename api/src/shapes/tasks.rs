//! Tasks: making one, and what it looks like.

use super::callbacks::CallbackRequest;
use super::mistakes::{all, both};
use super::{Coverage, purpose, reason, word};
use crate::problem::{ApiError, Forbidden};
use app::tasks::NewTask;
use ledger::aggregate::Task;
use ledger::command::AllowedEntry;
use ledger::{AgentName, CallbackPolicy, ClientSubject, Providers, QuestionTime, TemplateName};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const TTL_RANGE: std::ops::RangeInclusive<u64> = 60..=3600;
const MOST_OPERATIONS: usize = 100;

/// Known to older orchestrators and never available to a task.
const PERMISSIONS_ADMIN: &str = "permissions.admin";

/// A task to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateTaskRequest {
    /// 1 to 200 characters, for people.
    #[schema(example = "point www at the new origin")]
    task_name: String,
    /// What the task may do; at least one entry. None from a template, which says it.
    #[serde(default)]
    operations: Vec<AllowedOperation>,
    /// For an agent with a key of its own: the name of a task template. It takes the place of everything
    /// else but the name.
    #[serde(default)]
    template: Option<String>,
    /// The agent that it belongs to; only from users and with the service token.
    #[serde(default)]
    agent: Option<String>,
    /// The client subject that the agent's token is bound to; only from users and with the service token.
    #[serde(default)]
    subject: Option<String>,
    /// Where its events go.
    #[serde(default)]
    callback: Option<CallbackRequest>,
    /// Whether applies of the agent may name a callback of its own, beside this one; yes when left out.
    #[serde(default)]
    agent_callbacks: Option<bool>,
    /// Whether its tokens are credentials of `/proxy/…` too, without a signed subject: for the operations that it may
    /// use, and no others. No when left out.
    #[serde(default)]
    proxy: Option<bool>,
    /// The life of its tokens, in seconds: 60 to 3600. When left out, as long as its questions wait, and 300 at
    /// least.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 3600)]
    expires_in_seconds: Option<u64>,
    /// The time for which each of its questions waits for people, and an approval to be continued, in seconds:
    /// 60 to 604800; APPROVAL_TTL_SECONDS when left out.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 604_800)]
    approval_ttl_seconds: Option<u64>,
    /// The reason for which it is opened, which people are shown as the words of its opener; at most 500
    /// characters.
    #[serde(default)]
    #[schema(max_length = 500, example = "The old server is switched off on Friday")]
    reason: Option<String>,
    /// Where people can read more: an https URL without a user name, at most 2,000 bytes.
    #[serde(default)]
    #[schema(max_length = 2000, example = "https://tickets.example/OPS-42")]
    link: Option<String>,
}

/// One (operation, scope) pair that the task may use.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowedOperation {
    /// An operation of the catalog.
    #[schema(example = "dns.record.write")]
    operation_id: String,
    /// The operation's scope type.
    #[schema(example = "zone")]
    scope_type: String,
    /// Which one, or `*` for every one of that type.
    #[schema(example = "023e105f4ecef8ad9ca31a8372d0c353")]
    scope_id: String,
    /// Raises the level that a grant must have; never lowers it.
    #[serde(default)]
    required_level: Option<String>,
    /// Raises the risk; never lowers it.
    #[serde(default)]
    risk_tier: Option<String>,
}

impl CreateTaskRequest {
    fn check_name(&self) -> Result<(), ApiError> {
        if !(1..=200).contains(&self.task_name.chars().count()) {
            return Err(ApiError::bad_request("task_name: 1 to 200 characters"));
        }
        if self.task_name.trim().is_empty() {
            return Err(ApiError::bad_request("task_name: something visible"));
        }
        if self.task_name.chars().any(char::is_control) {
            return Err(ApiError::bad_request("task_name: no control characters"));
        }
        Ok(())
    }

    /// Name and template, as an agent with a key of its own asks for a task.
    pub(crate) fn into_opening(self) -> Result<(String, TemplateName), ApiError> {
        self.check_name()?;
        let Some(template) = self.template else {
            return Err(Forbidden::TemplateRequired.into());
        };
        let says_more = !self.operations.is_empty()
            || self.agent.is_some()
            || self.subject.is_some()
            || self.callback.is_some()
            || self.agent_callbacks.is_some()
            || self.proxy.is_some()
            || self.expires_in_seconds.is_some()
            || self.approval_ttl_seconds.is_some()
            || self.reason.is_some()
            || self.link.is_some();
        if says_more {
            return Err(ApiError::bad_request(
                "template: it says everything but the task_name; leave the other fields out",
            ));
        }
        Ok((self.task_name, TemplateName::unchecked(template)))
    }

    /// The agent that the task is for, and its client: `own` are those that the caller's credential names.
    fn whose(
        &self,
        own: Option<(&str, &ClientSubject)>,
    ) -> Result<(AgentName, ClientSubject), ApiError> {
        let (agent, subject) = match (own, &self.agent, &self.subject) {
            (Some((agent, subject)), None, None) => (agent, subject.clone()),
            (Some(_), ..) => {
                return Err(ApiError::bad_request(
                    "agent, subject: leave them out; the bootstrap token and the client say both",
                ));
            }
            (None, Some(agent), Some(subject)) => {
                let subject = ClientSubject::parse(subject);
                let subject = subject.ok_or_else(|| {
                    ApiError::bad_request("subject: 1 to 256 visible characters of ASCII")
                })?;
                (agent.as_str(), subject)
            }
            (None, ..) => {
                return Err(ApiError::bad_request(
                    "agent, subject: name the agent, and the client subject that its token is bound to",
                ));
            }
        };
        Ok((AgentName::parse(agent)?, subject))
    }

    pub(crate) fn read(
        self,
        own: Option<(&str, &ClientSubject)>,
        policy: &CallbackPolicy,
        providers: &Providers,
    ) -> Result<NewTask, ApiError> {
        let template = match self.template {
            Some(_) => Err(ApiError::bad_request(
                "template: only an agent with a key of its own opens a task from one",
            )),
            None => Ok(()),
        };
        let token_ttl = self.expires_in_seconds.map(token_life).transpose();
        let question = self.approval_ttl_seconds;
        let question = question.map(QuestionTime::from_seconds).transpose();
        let question = question.map_err(ApiError::bad_request);
        let purpose = purpose(self.reason.as_deref(), self.link.as_deref());
        let callback = self.callback.as_ref();
        let callback = callback.map(|callback| callback.read(policy)).transpose();
        let of_agent = both(self.check_name(), self.whose(own));
        let asked = both(template, operations(&self.operations, providers));
        let rest = both(both(token_ttl, question), both(purpose, callback));
        let ((of_agent, asked), rest) = both(both(of_agent, asked), rest)?;
        let (((), (agent, subject)), ((), operations)) = (of_agent, asked);
        let ((token_ttl, question), (purpose, callback)) = rest;
        Ok(NewTask {
            agent,
            subject,
            name: self.task_name,
            operations,
            callback,
            agent_callbacks: self.agent_callbacks.unwrap_or(true),
            proxy: self.proxy.unwrap_or(false),
            token_ttl,
            question,
            purpose,
        })
    }
}

/// The life of a task's tokens.
fn token_life(seconds: u64) -> Result<Duration, ApiError> {
    if !TTL_RANGE.contains(&seconds) {
        return Err(ApiError::bad_request("expires_in_seconds: 60 to 3600"));
    }
    Ok(Duration::from_secs(seconds))
}

/// An allowlist of at least one entry.
pub(crate) fn operations(
    operations: &[AllowedOperation],
    providers: &Providers,
) -> Result<Vec<AllowedEntry>, ApiError> {
    if !(1..=MOST_OPERATIONS).contains(&operations.len()) {
        let detail = format!("operations: 1 to {MOST_OPERATIONS} entries");
        return Err(ApiError::BadRequest { detail });
    }
    let operations = operations.iter().enumerate();
    all(operations
        .map(|(index, operation)| operation.read(&format!("operations[{index}]"), providers)))
}

impl AllowedOperation {
    fn read(&self, at: &str, providers: &Providers) -> Result<AllowedEntry, ApiError> {
        if self.operation_id == PERMISSIONS_ADMIN {
            return Err(Forbidden::PermissionsAdmin.into());
        }
        let (operation, scope_type) = (&self.operation_id, &self.scope_type);
        let covers = Coverage::read(at, operation, scope_type, &self.scope_id, providers);
        let level = |text: &String| word(&format!("{at}.required_level"), text);
        let risk = |text: &String| word(&format!("{at}.risk_tier"), text);
        let raised = both(
            self.required_level.as_ref().map(level).transpose(),
            self.risk_tier.as_ref().map(risk).transpose(),
        );
        let (covers, (required_level, risk_tier)) = both(covers, raised)?;
        let Coverage {
            operation,
            scope_id,
        } = covers;
        Ok(AllowedEntry {
            operation,
            scope_id,
            required_level,
            risk_tier,
        })
    }
}

/// The two shapes of a task that was made.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum TaskCreatedOrOpened {
    Created(TaskCreated),
    Opened(TaskOpened),
}

/// A task that an agent opened from a template. The agent's keys open it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskOpened {
    /// The task.
    task_id: String,
    /// Always `open`.
    status: &'static str,
    /// When the agent's keys stop to open it. The other shape has no such member.
    expires_at: String,
}

impl TaskOpened {
    /// `None` of a task that no key has opened.
    pub(crate) fn of(task: &Task) -> Option<Self> {
        Some(Self {
            task_id: task.id.to_string(),
            status: "open",
            expires_at: task.end_for_keys()?.to_string(),
        })
    }
}

/// A task that was made, with the token that opens it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskCreated {
    /// The task.
    pub(crate) task_id: String,
    /// Always `open`.
    pub(crate) status: &'static str,
    /// Shown once: a JWT, bound to the subject that asked.
    pub(crate) capability_token: String,
    /// How long it lives from now on.
    pub(crate) capability_ttl_seconds: u64,
    /// The callback's registration, when one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) callback_id: Option<String>,
}

/// A token in place of one that went stale or expired.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenRenewed {
    /// The task.
    pub(crate) task_id: String,
    /// Shown to whoever held the old one: a JWT, bound to the same subject.
    pub(crate) capability_token: String,
    /// How long it lives from now on.
    pub(crate) capability_ttl_seconds: u64,
}

/// A task as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskView {
    /// The task.
    pub(crate) task_id: String,
    /// As it was named.
    pub(crate) task_name: String,
    /// open, requires_approval, approved, applying, completed, failed, unknown, denied, expired or
    /// closed: it follows the newest apply, and closed is final.
    pub(crate) status: &'static str,
    /// idle, waiting_approval, ready, applying, completed, failed, unknown or closed.
    pub(crate) apply_state: &'static str,
    /// The callback that the task was opened with; null when there is none.
    pub(crate) callback_id: Option<String>,
    /// The agent's callback, which events go to as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) agent_callback_id: Option<String>,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    /// RFC 3339, UTC: the last change of the task or of one of its applies.
    pub(crate) updated_at: String,
}

impl From<projections::TaskView> for TaskView {
    fn from(view: projections::TaskView) -> Self {
        Self {
            task_id: view.id.to_string(),
            task_name: view.name,
            status: view.status.as_str(),
            apply_state: view.apply_state.as_str(),
            callback_id: view.callback_id.map(|id| id.to_string()),
            agent_callback_id: view.agent_callback_id.map(|id| id.to_string()),
            created_at: view.created_at.to_string(),
            updated_at: view.updated_at.to_string(),
        }
    }
}

/// A token with which somebody else reads a task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ViewerTokenMade {
    /// Shown once: a JWT, good for this task, its applies, approval status, timeline and stream.
    pub(crate) token: String,
    /// RFC 3339, UTC. It ends sooner with the task, and with the session of whoever made it.
    pub(crate) expires_at: String,
    /// The page that watches the task, for a browser.
    pub(crate) watch_url: String,
}

/// A task that was closed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskClosed {
    /// The task.
    pub(crate) task_id: String,
    /// Always `closed`.
    pub(crate) status: &'static str,
}

/// Why a task is closed.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CloseTaskRequest {
    /// For the ledger; up to 1000 characters.
    #[serde(default)]
    reason: Option<String>,
}

impl CloseTaskRequest {
    pub(crate) fn read(self) -> Result<Option<String>, ApiError> {
        reason(self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn fine() -> Value {
        json!({
            "task_name": "t",
            "operations": [{
                "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
            }],
        })
    }

    fn read(task: &Value) -> Result<NewTask, ApiError> {
        let policy = CallbackPolicy::new(["hooks.example"]).unwrap();
        let request: CreateTaskRequest = ledger::deserialize_strict(task.to_string().as_bytes())
            .map_err(ApiError::bad_request)?;
        let subject = ClientSubject::unchecked("client-a");
        request.read(Some(("ci", &subject)), &policy, &providers::all())
    }

    #[test]
    fn the_least_task_leaves_its_times_to_the_settings() {
        let task = read(&fine()).unwrap();
        assert_eq!((task.token_ttl, task.question), (None, None));
        assert_eq!(task.purpose, ledger::Purpose::default());
        assert_eq!(task.operations.len(), 1);
        assert!(task.callback.is_none());
    }

    #[test]
    fn a_wrong_part_is_named() {
        for (field, value, says) in [
            ("task_name", json!(""), "task_name"),
            ("task_name", json!("x".repeat(201)), "task_name"),
            ("task_name", json!(" \u{3000} "), "task_name"),
            ("operations", json!([]), "operations"),
            ("expires_in_seconds", json!(59), "expires_in_seconds"),
            ("expires_in_seconds", json!(3601), "expires_in_seconds"),
            ("expires_in_seconds", json!("300"), "expires_in_seconds"),
            ("approval_ttl_seconds", json!(59), "approval_ttl_seconds"),
            (
                "approval_ttl_seconds",
                json!(604_801),
                "approval_ttl_seconds",
            ),
            ("approval_ttl_seconds", json!("60"), "approval_ttl_seconds"),
            ("reason", json!("x".repeat(501)), "reason"),
            ("link", json!("http://tickets.example/"), "link"),
            ("nonsense", json!(1), "nonsense"),
        ] {
            let mut task = fine();
            task[field] = value;
            let refused = read(&task).unwrap_err();
            assert_eq!(refused.status_and_code().0, 400);
            assert!(refused.to_string().contains(says), "{refused}");
        }
        for (field, value) in [
            ("operation_id", json!("dns.record.rename")),
            ("required_level", json!("root")),
            ("risk_tier", json!("spicy")),
            ("nonsense", json!(1)),
        ] {
            let mut task = fine();
            task["operations"][0][field] = value;
            let refused = read(&task).unwrap_err().to_string();
            assert!(
                refused.contains("operations[0]") && refused.contains(field),
                "{refused}"
            );
        }
    }

    #[test]
    fn no_task_may_administer_permissions() {
        let mut task = fine();
        task["operations"][0]["operation_id"] = json!("permissions.admin");
        assert_eq!(read(&task).unwrap_err().status_and_code().0, 403);
    }

    #[test]
    fn the_edges_are_inside() {
        for (field, value) in [
            ("task_name", json!("ä".repeat(200))),
            ("expires_in_seconds", json!(60)),
            ("expires_in_seconds", json!(3600)),
            ("approval_ttl_seconds", json!(60)),
            ("approval_ttl_seconds", json!(604_800)),
            ("reason", json!("ä".repeat(500))),
            ("link", json!("https://tickets.example/OPS-42")),
        ] {
            let mut task = fine();
            task[field] = value;
            assert!(read(&task).is_ok(), "{field}");
        }
    }
}

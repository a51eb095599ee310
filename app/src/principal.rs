//! Principals: who a request is from, as a scheme has proven it.

use crate::action::{self, Access, Admitted};
use crate::authorize::{
    NamedTask, Request, authorize, key_unlocked, token_in_force, token_unlocked,
};
use crate::feed::Reader;
use crate::identity::session::{SessionPointer, UserSession};
use crate::key_holder::KeyHolder;
use crate::refusal::{Error, Forbidden};
use crate::token::bootstrap::BootstrapClaims;
use crate::token::capability::OpenedToken;
use crate::token::link::{ApprovalLink, EnrolmentLink};
use crate::token::viewer::ViewerToken;
use ledger::aggregate::{Agent, Task};
use ledger::command::{Presented, PresentedToken, check_token};
use ledger::{
    Actor, AgentName, ClientSubject, Ledger, Origin, RequestId, Role, TaskId, Timestamp, TokenId,
};
use projections::TimelineTopic;
use std::sync::Arc;
use std::time::Duration;

/// Who a request is from. To add a kind: a variant, its actor, what [`crate::authorize`] asks of it, the
/// rows that admit it, and a scheme that proves it.
#[derive(Debug, Clone)]
pub enum Principal {
    /// A client with a capability token.
    Agent(Box<TokenHolder>),
    /// A client with the rights of an administrator.
    Administrator(Administrator),
    /// The holder of a link to one question.
    ApprovalLink(ApprovalLink),
    /// The holder of an invitation to register one passkey.
    EnrolmentLink(EnrolmentLink),
    /// The holder of the link by which this start has the first admin made.
    SetupLink,
    /// An account of this machine that may use the operator socket.
    Operator(String),
    /// The holder of the service token, with the rights of an admin.
    Service(ServiceToken),
    /// A client with a key of an agent.
    AgentKey(KeyHolder),
    /// A signed-in person.
    User(UserSession),
    /// The holder of a viewer token.
    Viewer(ViewerToken),
    /// Somebody without a credential while authentication is disabled, with the rights of an admin.
    AuthDisabled,
}

/// The name under which the first admin is made by the link of a start.
const SETUP_LINK: &str = "setup-link";

/// The name of who acts while authentication is disabled.
pub const AUTH_DISABLED: &str = "auth-disabled";

impl Principal {
    /// Who acts, as events say it. `None` for a link: an approver acts by a passkey.
    #[must_use]
    pub fn actor(&self) -> Option<Actor> {
        match self {
            Self::Agent(holder) => Some(holder.actor()),
            Self::Administrator(administrator) => Some(administrator.actor()),
            Self::Operator(name) => Some(Actor::Operator { name: name.clone() }),
            Self::Service(token) => Some(Actor::Service {
                fingerprint: token.fingerprint,
            }),
            Self::AgentKey(holder) => Some(holder.actor()),
            Self::User(session) => Some(session.actor()),
            Self::AuthDisabled => Some(Actor::Administrator {
                principal: AUTH_DISABLED.to_owned(),
                subject: ClientSubject::unchecked(AUTH_DISABLED),
            }),
            // Whoever reads the terminal or the file beside the ledger.
            Self::SetupLink => Some(Actor::Operator {
                name: SETUP_LINK.to_owned(),
            }),
            Self::ApprovalLink(_) | Self::EnrolmentLink(_) | Self::Viewer(_) => None,
        }
    }

    /// Waits until what the principal has shown is taken away or runs out, which nobody does for longer than
    /// `patience`; for ever where it cannot be taken away. Gives the refusal that it meets from then on.
    pub(crate) async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        tokio::select! {
            refused = self.taken_away(ledger, patience) => refused,
            refused = self.locked(ledger, None) => refused,
        }
    }

    /// Waits until a lock stops the principal, or the task for it. Gives the refusal that it meets then.
    async fn locked(&self, ledger: &Ledger, task: Option<&Task>) -> Error {
        let mut locks = ledger.watch_locks();
        loop {
            locks.mark_unchanged();
            if let Err(refused) = self.admit(ledger, task).await {
                return refused;
            }
            if locks.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Holds the principal to the locks as of the last commit.
    async fn admit(&self, ledger: &Ledger, task: Option<&Task>) -> Result<(), Error> {
        if ledger.locks().is_empty() {
            return Ok(());
        }
        match self {
            Self::Agent(holder) => {
                let task = token_in_force(ledger, holder).await?;
                token_unlocked(ledger, holder, &task).await
            }
            Self::AgentKey(holder) => key_unlocked(ledger, holder, task).await,
            Self::User(session) => session.again(ledger).await.map(drop),
            Self::Viewer(token) => token.opens(ledger, NamedTask::None).await.map(drop),
            _ => Ok(()),
        }
    }

    async fn taken_away(&self, ledger: &Ledger, patience: Duration) -> Error {
        match self {
            Self::Agent(holder) => holder.ended(ledger, patience).await,
            Self::AgentKey(holder) => holder.ended(ledger, patience).await,
            Self::User(session) => session.ended(ledger, patience).await,
            Self::Viewer(token) => token.ended(ledger, patience).await,
            Self::Administrator(_)
            | Self::ApprovalLink(_)
            | Self::EnrolmentLink(_)
            | Self::SetupLink
            | Self::Operator(_)
            | Self::Service(_)
            | Self::AuthDisabled => std::future::pending().await,
        }
    }
}

/// The service token of this service's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServiceToken {
    /// The first eight bytes of its SHA-256.
    pub fingerprint: [u8; 8],
}

/// A client that presents a capability token which this service has signed.
#[derive(Debug, Clone)]
pub struct TokenHolder {
    pub(crate) token: Arc<OpenedToken>,
    presented: PresentedToken,
}

impl TokenHolder {
    #[must_use]
    pub fn new(token: impl Into<Arc<OpenedToken>>, subject: &ClientSubject) -> Self {
        let token = token.into();
        let presented = token.presented_by(subject);
        Self { token, presented }
    }

    #[must_use]
    pub fn agent(&self) -> &AgentName {
        self.token.agent()
    }

    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.token.expires_at()
    }

    /// The task that the token is of.
    #[must_use]
    pub fn task_id(&self) -> TaskId {
        self.token.task_id()
    }

    /// The token's `jti`.
    #[must_use]
    pub const fn token_id(&self) -> TokenId {
        self.presented.token_id
    }

    /// The token as the ledger wants to see it.
    pub(crate) const fn presented(&self) -> &PresentedToken {
        &self.presented
    }

    /// Waits until the token is revoked, goes stale or expires, which nobody does for longer than `patience`.
    async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        loop {
            let task = match token_in_force(ledger, self).await {
                Ok(task) => task,
                Err(ended) => return ended,
            };
            let left = self.expires_at().since(ledger.now()).min(patience);
            let fails = |task: &Task, agent: Option<&Agent>| {
                check_token(&self.presented, Some(task), agent, ledger.now()).is_err()
            };
            let is_over = |task: &Task| fails(task, None);
            let is_stale = |agent: &Agent| fails(&task, Some(agent));
            let changed = tokio::select! {
                changed = ledger.wait_for(task.id, left, is_over) => changed.map(drop),
                changed = ledger.wait_for(task.agent_id, left, is_stale) => changed.map(drop),
            };
            if let Err(error) = changed {
                return error.into();
            }
        }
    }

    fn actor(&self) -> Actor {
        Actor::Agent {
            agent: self.token.agent().clone(),
            subject: self.presented.subject.clone(),
            token: self.presented.token_id,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Open and close tasks, settle unknown outcomes, retry deliveries: `can_issue_tasks`.
    IssueTasks,
    /// Read and replace agents' permissions: `can_manage_permissions`.
    ManagePermissions,
    /// Add and take away approvers' credentials: `can_manage_approvers`.
    ManageApprovers,
    /// Read the whole ledger and its proofs: `can_audit`.
    Audit,
}

impl Right {
    /// The claim of a bootstrap token that grants it.
    #[must_use]
    pub const fn claim(self) -> &'static str {
        match self {
            Self::IssueTasks => "can_issue_tasks",
            Self::ManagePermissions => "can_manage_permissions",
            Self::ManageApprovers => "can_manage_approvers",
            Self::Audit => "can_audit",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rights(u8);

impl Rights {
    #[must_use]
    pub const fn and(self, right: Right) -> Self {
        Self(self.0 | 1 << right as u8)
    }

    #[must_use]
    pub const fn include(self, right: Right) -> bool {
        self.0 & 1 << right as u8 != 0
    }
}

/// Somebody with rights, on the client that they are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// `agent:NAME`, or who administers.
    pub name: String,
    pub subject: ClientSubject,
    pub rights: Rights,
}

impl Administrator {
    /// The holder of a bootstrap token, on the client that presents it.
    ///
    /// # Errors
    /// [`Forbidden::OtherSubject`] when the token is bound to another client.
    pub fn presenting(claims: BootstrapClaims, subject: ClientSubject) -> Result<Self, Forbidden> {
        if claims.bindings.mtls_subject != subject {
            return Err(Forbidden::OtherSubject);
        }
        Ok(Self {
            rights: claims.rights(),
            name: claims.sub,
            subject,
        })
    }

    fn actor(&self) -> Actor {
        Actor::Administrator {
            principal: self.name.clone(),
            subject: self.subject.clone(),
        }
    }

    /// The agent that tasks which they open belong to.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAgent`] when they are not `agent:NAME`.
    pub fn agent_name(&self) -> Result<&str, Forbidden> {
        match self.name.strip_prefix("agent:") {
            Some(name) if !name.is_empty() => Ok(name),
            Some(_) | None => Err(Forbidden::NotAnAgent),
        }
    }
}

/// Access of an agent to one task, by the task's capability token or by a key of the agent.
#[derive(Debug)]
pub struct TaskAccess {
    presented: Presented,
    reading: TaskReading,
    origin: Origin,
}

impl TaskAccess {
    /// The task, as of the moment when the token or key was checked.
    #[must_use]
    pub const fn task(&self) -> &Arc<Task> {
        self.reading.task()
    }

    pub(crate) const fn reading(&self) -> &TaskReading {
        &self.reading
    }

    /// The token or key, for commands: they check it again, on the writer.
    pub(crate) fn presented(&self) -> Presented {
        self.presented.clone()
    }

    pub(crate) fn origin(&self) -> Origin {
        self.origin.clone()
    }
}

impl Access for TaskAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        let origin = Origin {
            actor: admitted.principal.actor()?,
            request_id: admitted.request_id,
        };
        let task = admitted.task.as_ref()?;
        Some(Self {
            presented: presented(&admitted.principal, task)?,
            reading: TaskReading::of(admitted)?,
            origin,
        })
    }
}

/// What an agent acts by in a task; `None` for others.
fn presented(principal: &Principal, task: &Task) -> Option<Presented> {
    match principal {
        Principal::Agent(holder) => Some(holder.presented.clone().into()),
        Principal::AgentKey(holder) => Some(holder.presented_in(task.id).into()),
        _ => None,
    }
}

/// Access to read one task, by its capability token or by a role.
#[derive(Debug)]
pub struct TaskReading {
    task: Arc<Task>,
    pub(crate) by: Principal,
}

impl TaskReading {
    /// The task, as of the moment of admission.
    #[must_use]
    pub const fn task(&self) -> &Arc<Task> {
        &self.task
    }

    /// Waits until the caller may read the task no more, which nobody does for longer than `patience`. Gives
    /// the refusal that it meets from then on.
    pub(crate) async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        let by = self.by.ended(ledger, patience);
        let Principal::AgentKey(holder) = &self.by else {
            return by.await;
        };
        tokio::select! {
            refused = by => refused,
            refused = holder.ended_in(&self.task, ledger, patience) => refused,
            refused = self.by.locked(ledger, Some(&self.task)) => refused,
        }
    }
}

impl Access for TaskReading {
    fn of(admitted: Admitted) -> Option<Self> {
        Some(Self {
            task: admitted.task?,
            by: admitted.principal,
        })
    }
}

/// Access to read the timeline: all of it, or what concerns one task.
#[derive(Debug)]
pub struct TimelineReading(Option<TaskId>);

impl TimelineReading {
    /// The topic to read, where one is asked for.
    ///
    /// # Errors
    /// [`Forbidden::OtherTask`] for who reads one task, and asks for something else.
    pub fn topic(&self, asked: Option<TimelineTopic>) -> Result<Option<TimelineTopic>, Forbidden> {
        let Some(own) = self.0.map(TimelineTopic::Task) else {
            return Ok(asked);
        };
        match asked {
            Some(other) if other != own => Err(Forbidden::OtherTask),
            _ => Ok(Some(own)),
        }
    }
}

impl Access for TimelineReading {
    fn of(admitted: Admitted) -> Option<Self> {
        Some(Self(match admitted.principal {
            Principal::Viewer(token) => Some(token.task_id),
            _ => None,
        }))
    }
}

/// Access of somebody who lets others read a task.
#[derive(Debug)]
pub struct Minting {
    /// The session of a person, which the token does not outlive.
    pub(crate) session: Option<SessionPointer>,
}

impl Access for Minting {
    fn of(admitted: Admitted) -> Option<Self> {
        let session = match &admitted.principal {
            Principal::User(session) => Some(SessionPointer::to(&session.session)),
            _ => None,
        };
        Some(Self { session })
    }
}

/// Access of a person to what is their own.
#[derive(Debug)]
pub struct SessionAccess {
    pub session: UserSession,
    pub(crate) origin: Origin,
}

impl Access for SessionAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        match admitted.principal {
            Principal::User(session) => Some(Self {
                origin: Origin {
                    actor: session.actor(),
                    request_id: admitted.request_id,
                },
                session,
            }),
            _ => None,
        }
    }
}

/// Whoever asks who they are.
#[derive(Debug)]
pub struct Whoever {
    pub principal: Principal,
    /// Of a capability token.
    pub task: Option<Arc<Task>>,
}

impl Access for Whoever {
    fn of(admitted: Admitted) -> Option<Self> {
        Some(Self {
            principal: admitted.principal,
            task: admitted.task,
        })
    }
}

/// Access of somebody whom events can name, to what is not bound to one kind of principal.
#[derive(Debug)]
pub struct Acting {
    pub(crate) origin: Origin,
    /// The token or key that an agent acts by, for commands that check it again on the writer.
    pub(crate) token: Option<Presented>,
    /// The session of a user.
    pub(crate) session: Option<UserSession>,
}

impl Acting {
    /// Who acts, for what the ledger itself carries out.
    #[must_use]
    pub fn into_origin(self) -> Origin {
        self.origin
    }

    /// The session of a user, where it is one who acts.
    #[must_use]
    pub const fn session(&self) -> Option<&UserSession> {
        self.session.as_ref()
    }

    /// Who acts.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.origin.actor
    }
}

impl From<SessionAccess> for Acting {
    fn from(who: SessionAccess) -> Self {
        Self {
            origin: who.origin,
            token: None,
            session: Some(who.session),
        }
    }
}

impl Access for Acting {
    fn of(admitted: Admitted) -> Option<Self> {
        let task = admitted.task.as_ref();
        let token = task.and_then(|task| presented(&admitted.principal, task));
        let origin = Origin {
            actor: admitted.principal.actor()?,
            request_id: admitted.request_id,
        };
        let session = match admitted.principal {
            Principal::User(session) => Some(session),
            _ => None,
        };
        Some(Self {
            origin,
            token,
            session,
        })
    }
}

/// Access of somebody who opens a task.
#[derive(Debug)]
pub enum Opening {
    /// Of the agent that they are, or that they name.
    Orchestrator(Orchestrating),
    /// An agent, from a template.
    AgentKey(OpeningByKey),
}

impl Access for Opening {
    fn of(admitted: Admitted) -> Option<Self> {
        let origin = Origin {
            actor: admitted.principal.actor()?,
            request_id: admitted.request_id,
        };
        let by = match admitted.principal {
            Principal::AgentKey(by) => return Some(Self::AgentKey(OpeningByKey { by, origin })),
            Principal::Administrator(by) => Some(by),
            Principal::User(_) | Principal::Service(_) | Principal::AuthDisabled => None,
            _ => return None,
        };
        Some(Self::Orchestrator(Orchestrating { by, origin }))
    }
}

/// Access of an agent that opens a task with its key.
#[derive(Debug)]
pub struct OpeningByKey {
    pub(crate) by: KeyHolder,
    pub(crate) origin: Origin,
}

/// Access of somebody who opens a task for an agent. One that an orchestrator opens belongs to the agent that
/// it is, and its token is bound to its client; others name both.
#[derive(Debug)]
pub struct Orchestrating {
    by: Option<Administrator>,
    pub(crate) origin: Origin,
}

impl Orchestrating {
    /// The agent that the caller's own credential names, with its client; `None` for who names both.
    ///
    /// # Errors
    /// [`Forbidden::NotAnAgent`] when the credential should name one and does not.
    pub fn own_agent(&self) -> Result<Option<(&str, &ClientSubject)>, Forbidden> {
        match &self.by {
            Some(by) => Ok(Some((by.agent_name()?, &by.subject))),
            None => Ok(None),
        }
    }
}

#[derive(Debug)]
pub struct ByLink<T> {
    pub link: T,
    pub(crate) request_id: Option<RequestId>,
}

pub type QuestionAccess = ByLink<ApprovalLink>;

pub type InvitationAccess = ByLink<EnrolmentLink>;

impl Access for QuestionAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        match admitted.principal {
            Principal::ApprovalLink(link) => Some(Self {
                link,
                request_id: admitted.request_id,
            }),
            _ => None,
        }
    }
}

impl Access for InvitationAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        match admitted.principal {
            Principal::EnrolmentLink(link) => Some(Self {
                link,
                request_id: admitted.request_id,
            }),
            _ => None,
        }
    }
}

/// Access of who makes the first admin.
#[derive(Debug)]
pub struct SetupAccess {
    pub(crate) origin: Origin,
}

impl Access for SetupAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        let origin = Origin {
            actor: admitted.principal.actor()?,
            request_id: admitted.request_id,
        };
        matches!(admitted.principal, Principal::SetupLink).then_some(Self { origin })
    }
}

/// Access of somebody who watches what changes, which is asked for again while they do.
#[derive(Debug)]
pub struct WatchAccess {
    principal: Principal,
    reader: Reader,
}

impl WatchAccess {
    /// What they may read.
    #[must_use]
    pub const fn reader(&self) -> Reader {
        self.reader
    }

    /// When the identity ends by itself.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match &self.principal {
            Principal::User(session) => Some(session.session.expires_at),
            Principal::Viewer(token) => Some(token.expires_at()),
            _ => None,
        }
    }

    /// The same access as of now.
    ///
    /// # Errors
    /// As [`authorize`], when they have it no more.
    pub async fn renewed(&self, ledger: &Ledger) -> Result<Self, Error> {
        let principal = self.principal.clone();
        authorize::<action::WatchChanges>(ledger, principal, Request::default()).await
    }
}

impl Access for WatchAccess {
    fn of(admitted: Admitted) -> Option<Self> {
        let reader = match &admitted.principal {
            Principal::Service(_) | Principal::AuthDisabled => Reader::Role {
                role: Role::Admin,
                user: None,
            },
            Principal::User(session) => Reader::Role {
                role: session.role(),
                user: Some(session.user.id),
            },
            Principal::Viewer(token) => Reader::Task(token.task_id),
            _ => return None,
        };
        Some(Self {
            principal: admitted.principal,
            reader,
        })
    }
}

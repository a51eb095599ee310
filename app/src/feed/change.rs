//! Changes: what an event makes different for those who read, in the words of the surface.

use ledger::aggregate::{
    Agent, Apply, Approval, Approver, Delivery, PolicyVersion, Session, Template, UpstreamKey,
};
use ledger::event::{AggregateKind, UpstreamKeyOwner};
use ledger::{Error, Event, Ledger, Recorded, Rejection, Role, StreamId, TaskId, UserId};
use std::collections::{BTreeSet, HashMap};

/// The kind of thing that changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Task,
    Apply,
    Approval,
    Delivery,
    Agent,
    Approver,
    User,
    Group,
    Session,
    Key,
    Template,
    Lock,
    Policy,
    Clearance,
    Admission,
    Schedule,
}

impl Kind {
    /// The word in messages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Apply => "apply",
            Self::Approval => "approval",
            Self::Delivery => "delivery",
            Self::Agent => "agent",
            Self::Approver => "approver",
            Self::User => "user",
            Self::Group => "group",
            Self::Session => "session",
            Self::Key => "key",
            Self::Template => "template",
            Self::Lock => "lock",
            Self::Policy => "policy",
            Self::Clearance => "clearance",
            Self::Admission => "admission",
            Self::Schedule => "schedule",
        }
    }

    /// The least role whose lists have things of this kind.
    const fn read_by(self) -> Role {
        match self {
            Self::Task
            | Self::Apply
            | Self::Approval
            | Self::Delivery
            | Self::Agent
            | Self::Approver
            | Self::Clearance => Role::Viewer,
            Self::Key
            | Self::Template
            | Self::Lock
            | Self::Policy
            | Self::Admission
            | Self::Schedule => Role::Operator,
            Self::User | Self::Group | Self::Session => Role::Admin,
        }
    }
}

/// A thing that changed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub kind: Kind,
    /// Its id, or its name where paths have that.
    pub id: String,
    /// The task that it belongs to, or is.
    task: Option<TaskId>,
    /// The user that it belongs to, or is.
    user: Option<UserId>,
}

impl Change {
    fn of_task(kind: Kind, id: impl ToString, task: TaskId) -> Self {
        Self {
            kind,
            id: id.to_string(),
            task: Some(task),
            user: None,
        }
    }

    const fn named(kind: Kind, id: String, user: Option<UserId>) -> Self {
        Self {
            kind,
            id,
            task: None,
            user,
        }
    }

    /// Whether only its own user, beside admins, is told of it.
    pub(super) const fn is_personal(&self) -> bool {
        self.user.is_some()
    }
}

/// What an identity may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// A user, or the service token.
    Role { role: Role, user: Option<UserId> },
    /// One task, with its applies and approvals.
    Task(TaskId),
}

impl Reader {
    pub(super) fn reads(self, change: &Change) -> bool {
        match self {
            Self::Role { role, user } => {
                role >= change.kind.read_by() || (user.is_some() && user == change.user)
            }
            Self::Task(task) => {
                let is_part = matches!(change.kind, Kind::Task | Kind::Apply | Kind::Approval);
                is_part && change.task == Some(task)
            }
        }
    }
}

/// What the events of a batch change. The topics of streams whose first event is older are loaded, and
/// kept by whoever calls.
pub(super) async fn changes(
    ledger: &Ledger,
    topics: &mut Topics,
    events: &[std::sync::Arc<Recorded>],
) -> Result<BTreeSet<Change>, Error> {
    let mut all = BTreeSet::new();
    for recorded in events {
        if recorded.is_erased() {
            continue;
        }
        let Some(kind) = recorded.event.kind() else {
            continue;
        };
        let stream = recorded.stream_id();
        let topic = match kind.aggregate {
            // Nothing that lists show changes with each call.
            AggregateKind::Call | AggregateKind::Usage | AggregateKind::AssetUpload => continue,
            AggregateKind::Ledger => {
                if let Event::LedgerErased(erased) = &recorded.event
                    && let Some(task) = erased.subject.task()
                {
                    all.insert(Change::of_task(Kind::Task, task, task));
                }
                continue;
            }
            _ => topics.of(ledger, recorded).await?,
        };
        let part = match kind.aggregate {
            AggregateKind::Apply => Some(Kind::Apply),
            AggregateKind::Approval => Some(Kind::Approval),
            AggregateKind::Delivery => Some(Kind::Delivery),
            _ => None,
        };
        match (part, topic) {
            (_, Topic::None) => {}
            (part, Topic::Task(task)) => {
                // A task stands where its newest apply stands. A refusal is nothing that can be read.
                all.insert(Change::of_task(Kind::Task, task, task));
                if let Some(part) = part.filter(|_| !kind.traits.alone) {
                    all.insert(Change::of_task(part, stream, task));
                }
            }
            (_, Topic::Named(kind, name)) => _ = all.insert(Change::named(kind, name, None)),
            (_, Topic::Personal(kind, id, user)) => {
                all.insert(Change::named(kind, id, Some(user)));
            }
        }
    }
    Ok(all)
}

/// Whether the event can take an identity away, or a part of what it may do.
pub(super) fn concerns_identities(recorded: &Recorded) -> bool {
    let kind = recorded.event.kind();
    let of = kind.map(|kind| kind.aggregate);
    matches!(
        of,
        Some(
            AggregateKind::User
                | AggregateKind::Group
                | AggregateKind::Session
                | AggregateKind::Key
                | AggregateKind::Lock
                // A command-line key that is taken away ends the sessions that it has opened.
                | AggregateKind::Approver
        ) | None
    ) || kind.is_some_and(|kind| kind.traits.outlives_token)
}

/// What a stream is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// Nothing that anybody reads.
    None,
    Task(TaskId),
    Named(Kind, String),
    /// Of a user, or the user.
    Personal(Kind, String, UserId),
}

/// How many streams are remembered.
const REMEMBERED: usize = 4096;

/// The topics of streams, as far as they are remembered.
#[derive(Debug, Default)]
pub(super) struct Topics(HashMap<StreamId, Topic>);

impl Topics {
    async fn of(&mut self, ledger: &Ledger, recorded: &Recorded) -> Result<Topic, Error> {
        let stream = recorded.stream_id();
        if let Some(task) = recorded.event.task_id() {
            let topic = Topic::Task(task);
            self.remember(stream, topic.clone());
            return Ok(topic);
        }
        if let Some(known) = self.0.get(&stream) {
            return Ok(known.clone());
        }
        let topic = match load(ledger, recorded).await {
            // Erased since: there is nothing left of it to be read.
            Err(Error::Rejected(Rejection::Erased)) => Topic::None,
            // One event that says nothing must not keep all others from being told.
            Err(error @ Error::Defect { .. }) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    event.position = recorded.position(),
                    "an event is about nothing that is known"
                );
                Topic::None
            }
            loaded => loaded?,
        };
        self.remember(stream, topic.clone());
        Ok(topic)
    }

    fn remember(&mut self, stream: StreamId, topic: Topic) {
        if self.0.len() >= REMEMBERED {
            self.0.clear();
        }
        self.0.insert(stream, topic);
    }
}

async fn load(ledger: &Ledger, recorded: &Recorded) -> Result<Topic, Error> {
    let stream = recorded.stream_id();
    let kind = recorded.event.kind();
    // What stands alone is of nothing that can be read.
    let Some(kind) = kind.filter(|kind| !kind.traits.alone) else {
        return Ok(Topic::None);
    };
    Ok(match kind.aggregate {
        AggregateKind::Task => Topic::Task(stream.into()),
        AggregateKind::Apply => Topic::Task(ledger.existing::<Apply>(stream.into()).await?.task_id),
        AggregateKind::Approval => {
            let approval = ledger.existing::<Approval>(stream.into()).await?;
            match approval.task_id() {
                Some(task_id) => Topic::Task(task_id),
                None => Topic::Named(Kind::Approval, stream.to_string()),
            }
        }
        AggregateKind::Delivery => Topic::Task(
            ledger
                .existing::<Delivery>(stream.into())
                .await?
                .owed
                .task_id,
        ),
        AggregateKind::Agent => {
            let agent = ledger.existing::<Agent>(stream.into()).await?;
            Topic::Named(Kind::Agent, agent.name.to_string())
        }
        AggregateKind::Approver => {
            let approver = ledger.existing::<Approver>(stream.into()).await?;
            Topic::Named(Kind::Approver, approver.principal.to_string())
        }
        AggregateKind::User => Topic::Personal(Kind::User, stream.to_string(), stream.into()),
        AggregateKind::Group => Topic::Named(Kind::Group, stream.to_string()),
        AggregateKind::Session => {
            let session = ledger.existing::<Session>(stream.into()).await?;
            Topic::Personal(Kind::Session, stream.to_string(), session.user_id)
        }
        AggregateKind::Key => Topic::Named(Kind::Key, stream.to_string()),
        AggregateKind::Admission => Topic::Named(Kind::Admission, stream.to_string()),
        AggregateKind::Schedule => Topic::Named(Kind::Schedule, stream.to_string()),
        AggregateKind::Lock => Topic::Named(Kind::Lock, stream.to_string()),
        AggregateKind::Policy => {
            let policy = ledger.existing::<PolicyVersion>(stream.into()).await?;
            Topic::Named(Kind::Policy, policy.version.to_string())
        }
        AggregateKind::Clearance => Topic::Named(Kind::Clearance, stream.to_string()),
        AggregateKind::Template => {
            let template = ledger.existing::<Template>(stream.into()).await?;
            Topic::Named(Kind::Template, template.name.to_string())
        }
        AggregateKind::UpstreamKey => {
            let key = ledger.existing::<UpstreamKey>(stream.into()).await?;
            match key.owner {
                UpstreamKeyOwner::User(user) => Topic::Personal(Kind::User, user.to_string(), user),
                UpstreamKeyOwner::Agent(agent) => {
                    let agent = ledger.existing::<Agent>(agent).await?;
                    Topic::Named(Kind::Agent, agent.name.to_string())
                }
            }
        }
        // No list shows them as they change.
        AggregateKind::Upstream => Topic::None,
        // The event beside it says so.
        AggregateKind::UpstreamSecret
        | AggregateKind::Call
        | AggregateKind::Usage
        | AggregateKind::AssetUpload
        | AggregateKind::Ledger => Topic::None,
    })
}

//! Keys of counts, rates and shares. Two of them are one only when they are of one kind.

use app::identity::throttle::Network;
use ledger::{
    AgentId, ApprovalId, ApproverName, ClientSubject, EnrolmentId, KeyId, TaskId, UserId,
};
use std::sync::Arc;

/// The one that something is counted for. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct CountedFor(Arc<Kind>);

#[derive(Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Unknown,
    All,
    Client(ClientSubject),
    Service,
    AgentKey(KeyId),
    Agent(AgentId),
    User(UserId),
    LinksOf(ClientSubject),
    InvitationsOf(ApproverName),
    Task(TaskId),
    Question(ApprovalId),
    ViewersOf(TaskId),
    Invitation(EnrolmentId),
    Setup,
    Stranger(Network),
    ForgedLinksFrom(Network),
}

impl CountedFor {
    /// All requests of a kind together.
    pub(crate) fn all() -> Self {
        Self(Arc::new(Kind::All))
    }

    pub(crate) fn client(subject: &ClientSubject) -> Self {
        Self(Arc::new(Kind::Client(subject.clone())))
    }

    /// The holder of the service token.
    pub(crate) fn service() -> Self {
        Self(Arc::new(Kind::Service))
    }

    pub(crate) fn agent_key(key: KeyId) -> Self {
        Self(Arc::new(Kind::AgentKey(key)))
    }

    /// An agent, with the key that all agents have.
    pub(crate) fn agent(agent: AgentId) -> Self {
        Self(Arc::new(Kind::Agent(agent)))
    }

    pub(crate) fn user(user: UserId) -> Self {
        Self(Arc::new(Kind::User(user)))
    }

    /// The links of all tasks of a client, apart from the client itself.
    pub(crate) fn links_of(subject: &ClientSubject) -> Self {
        Self(Arc::new(Kind::LinksOf(subject.clone())))
    }

    pub(crate) fn invitations_of(approver: &ApproverName) -> Self {
        Self(Arc::new(Kind::InvitationsOf(approver.clone())))
    }

    /// All who read a task with viewer tokens.
    pub(crate) fn viewers_of(task: TaskId) -> Self {
        Self(Arc::new(Kind::ViewersOf(task)))
    }

    pub(crate) fn task(task: TaskId) -> Self {
        Self(Arc::new(Kind::Task(task)))
    }

    /// All links of a question that belongs to no task.
    pub(crate) fn question(approval: ApprovalId) -> Self {
        Self(Arc::new(Kind::Question(approval)))
    }

    pub(crate) fn invitation(enrolment: EnrolmentId) -> Self {
        Self(Arc::new(Kind::Invitation(enrolment)))
    }

    /// The link by which the first admin is made.
    pub(crate) fn setup() -> Self {
        Self(Arc::new(Kind::Setup))
    }

    /// Somebody who has not proven to be anybody.
    pub(crate) fn stranger(network: Network) -> Self {
        Self(Arc::new(Kind::Stranger(network)))
    }

    /// Links that nobody signed.
    pub(crate) fn forged_links_from(network: Network) -> Self {
        Self(Arc::new(Kind::ForgedLinksFrom(network)))
    }
}

#[cfg(test)]
impl From<&str> for CountedFor {
    fn from(subject: &str) -> Self {
        Self::client(&ClientSubject::unchecked(subject))
    }
}

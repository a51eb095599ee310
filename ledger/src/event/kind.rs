//! The row of an event in the table: what holds of it in every one of its forms.

use super::Actor;
use crate::audit::check::Check;
use crate::callback_event::CallbackEvent;

/// One row of the table of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventKind {
    /// The number in headers.
    pub number: u16,
    /// The name in texts: `apply.accepted`.
    pub name: &'static str,
    /// The aggregate in whose streams it stands.
    pub aggregate: AggregateKind,
    /// The actors that can cause it; none where it has the actor of the event that it reports.
    pub causes: &'static [ActorKind],
    /// The most telling of the rules that the auditor holds it to. It cannot be checked where the event,
    /// or its stream before it, is not there to read.
    pub rule: Check,
    /// The names under which callbacks are told of it. Where there are several, the end that its apply comes
    /// to says which.
    pub told: &'static [CallbackEvent],
    /// What else holds of it.
    pub traits: Traits,
}

/// Properties that few events have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// It is the first event of its stream, and stands nowhere else.
    pub begins: bool,
    /// Its envelope names the event that it answers.
    pub answers: bool,
    /// It changes what decisions look up.
    pub looked_up: bool,
    /// No other event follows in its stream: it stands for a refusal, or for the end of a call.
    pub alone: bool,
    /// A human decided, with a passkey.
    pub decides: bool,
    /// It says where a task's callbacks go.
    pub addresses: bool,
    /// An agent can cause it with a token that has ended, or that ends by it.
    pub outlives_token: bool,
    /// It registers a key or changes one, and stands for itself: the auditor checks it even where the
    /// beginning of its stream is not there to read.
    pub registers_key: bool,
    /// Rules count it for its agent.
    pub counted: bool,
    /// It is the ledger's own account of erased payloads, which every fold takes in.
    pub erases: bool,
}

impl Traits {
    /// None of them.
    pub const NONE: Self = Self {
        begins: false,
        answers: false,
        looked_up: false,
        alone: false,
        decides: false,
        addresses: false,
        outlives_token: false,
        registers_key: false,
        counted: false,
        erases: false,
    };
}

/// What a stream is of. The numbers of its events stand in [`Self::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AggregateKind {
    /// The ledger itself.
    Ledger,
    /// A task.
    Task,
    /// An apply, accepted or refused.
    Apply,
    /// An approval.
    Approval,
    /// An agent.
    Agent,
    /// An approver.
    Approver,
    /// A delivery.
    Delivery,
    /// A user.
    User,
    /// A group of users.
    Group,
    /// A session of a user.
    Session,
    /// An agent key.
    Key,
    /// A task template.
    Template,
    /// A lock.
    Lock,
    /// A version of the policy.
    Policy,
    /// A decision that is kept.
    Clearance,
    /// A block or an allow.
    Admission,
    /// One put of a schedule.
    Schedule,
    /// A key of an upstream.
    UpstreamKey,
    /// Such a key, sealed.
    UpstreamSecret,
    /// A call that was sent on.
    Call,
    /// The sums of what some calls used.
    Usage,
    /// Another API.
    Upstream,
    /// An upload of files through a proxy.
    AssetUpload,
}

impl AggregateKind {
    /// The word in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Task => "task",
            Self::Apply => "apply",
            Self::Approval => "approval",
            Self::Agent => "agent",
            Self::Approver => "approver",
            Self::Delivery => "delivery",
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
            Self::UpstreamKey => "upstream_key",
            Self::UpstreamSecret => "upstream_secret",
            Self::Call => "call",
            Self::Usage => "usage",
            Self::Upstream => "upstream",
            Self::AssetUpload => "asset_upload",
        }
    }

    /// By an event's number, also one that a later version has given out; `None` beyond the last
    /// aggregate.
    #[must_use]
    pub const fn of(event_type: u16) -> Option<Self> {
        Some(match event_type {
            1..=9 => Self::Ledger,
            10..=19 => Self::Task,
            20..=29 => Self::Apply,
            30..=39 => Self::Approval,
            40..=49 => Self::Agent,
            50..=59 => Self::Approver,
            60..=69 => Self::Delivery,
            70..=79 => Self::User,
            80..=89 => Self::Group,
            90..=99 => Self::Session,
            100..=109 => Self::Key,
            110..=119 => Self::Template,
            120..=129 => Self::Lock,
            130..=139 => Self::Policy,
            140..=149 => Self::Clearance,
            150..=159 => Self::Admission,
            160..=169 | 180..=189 => Self::Approval,
            170..=179 => Self::Schedule,
            190..=194 => Self::UpstreamKey,
            195..=199 => Self::UpstreamSecret,
            200..=201 | 203..=205 => Self::Call,
            202 | 206..=209 => Self::Usage,
            210..=219 => Self::Upstream,
            220..=229 => Self::AssetUpload,
            _ => return None,
        })
    }
}

/// A kind of actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// The component of the service that has this name.
    Service(&'static str),
    /// An agent with a capability token.
    Agent,
    /// The holder of a bootstrap token.
    Administrator,
    /// A human with a passkey.
    Approver,
    /// A person at the command line.
    Operator,
    /// A signed-in person.
    User,
    /// An agent with a key of its own.
    AgentKey,
    /// The holder of the service token.
    ServiceToken,
}

impl ActorKind {
    /// True when an actor is of this kind.
    #[must_use]
    pub fn is(self, actor: &Actor) -> bool {
        match (self, actor) {
            (Self::Service(name), Actor::System { component }) => component == name,
            (Self::Agent, Actor::Agent { .. })
            | (Self::Administrator, Actor::Administrator { .. })
            | (Self::Approver, Actor::Approver { .. })
            | (Self::Operator, Actor::Operator { .. })
            | (Self::User, Actor::User { .. })
            | (Self::AgentKey, Actor::AgentKey { .. })
            | (Self::ServiceToken, Actor::Service { .. }) => true,
            _ => false,
        }
    }
}

/// The lists of actors in the table. Which role a user needs for what is up to the service.
pub(super) mod by {
    use super::ActorKind::{
        self, Administrator, Agent, AgentKey, Approver, Operator, Service, ServiceToken, User,
    };

    pub(in super::super) const LEDGER: &[ActorKind] = &[Service("ledger")];
    pub(in super::super) const EXECUTOR: &[ActorKind] = &[Service("executor")];
    pub(in super::super) const DISPATCHER: &[ActorKind] = &[Service("dispatcher")];
    /// The executor has read what a question is bound to before it asks anew.
    pub(in super::super) const READERS: &[ActorKind] =
        &[Service("pre_state_reader"), Service("executor")];
    pub(in super::super) const OPERATOR: &[ActorKind] = &[Operator];
    pub(in super::super) const SCHEDULER: &[ActorKind] = &[Service("scheduler")];
    /// A schedule that fires opens a task of its own.
    pub(in super::super) const CREATORS: &[ActorKind] = &[
        Administrator,
        User,
        ServiceToken,
        AgentKey,
        Service("scheduler"),
    ];
    pub(in super::super) const AGENT: &[ActorKind] = &[Agent, AgentKey];
    /// An agent asks, and what a schedule fires is asked for its agent. Before the first operation of an apply the
    /// executor may find that people are to be asked anew.
    pub(in super::super) const ASKERS: &[ActorKind] =
        &[Agent, AgentKey, Service("scheduler"), Service("executor")];
    pub(in super::super) const APPROVER: &[ActorKind] = &[Approver];
    /// An agent continues what was approved; an approver's decision carries out what asked for that.
    pub(in super::super) const AUTHORISERS: &[ActorKind] = &[Agent, AgentKey, Approver];
    pub(in super::super) const OPENERS: &[ActorKind] =
        &[Administrator, Agent, User, ServiceToken, AgentKey];
    pub(in super::super) const CLOSERS: &[ActorKind] =
        &[Agent, Administrator, Operator, User, ServiceToken, AgentKey];
    /// A schedule closes the tasks that it opened.
    pub(in super::super) const TASK_CLOSERS: &[ActorKind] = &[
        Agent,
        Administrator,
        Operator,
        User,
        ServiceToken,
        AgentKey,
        Service("scheduler"),
    ];
    pub(in super::super) const MANAGERS: &[ActorKind] =
        &[Administrator, Operator, User, ServiceToken];
    /// Who denies a question may block what asked in the same step.
    pub(in super::super) const BLOCKERS: &[ActorKind] =
        &[Administrator, Operator, User, ServiceToken, Approver];
    /// Not the bootstrap token, which is an orchestrator's.
    /// Where several people decide about a change, the last of them makes it.
    pub(in super::super) const POLICY_CHANGERS: &[ActorKind] =
        &[Operator, User, ServiceToken, Approver];
    /// Who wants something else than an apply that people decide about.
    pub(in super::super) const QUESTIONERS: &[ActorKind] =
        &[Operator, User, ServiceToken, Approver, Service("scheduler")];
    /// Who puts a schedule has people asked about it; so does a firing that they have not approved.
    pub(in super::super) const SCHEDULE_ASKERS: &[ActorKind] =
        &[Operator, User, ServiceToken, Service("scheduler")];
    /// Who stores an upstream's key: a user their own, an administrator an agent's.
    pub(in super::super) const KEEPERS: &[ActorKind] = &[Administrator, User, ServiceToken];
    /// The proxies, for those whose calls they send on.
    pub(in super::super) const GATEWAY: &[ActorKind] = &[Service("gateway")];
    pub(in super::super) const USERS: &[ActorKind] = &[User];
    /// A push service says of a device that it is gone.
    pub(in super::super) const DEVICE_ENDERS: &[ActorKind] = &[User, Service("dispatcher")];
    pub(in super::super) const LOGIN: &[ActorKind] = &[Service("login")];
    /// The executor ends an apply; closing its task ends one that has not begun.
    pub(in super::super) const ENDERS: &[ActorKind] = &[
        Service("executor"),
        Agent,
        Administrator,
        Operator,
        User,
        ServiceToken,
        AgentKey,
    ];
    /// Any command on an approval after its deadline records that the deadline has passed.
    pub(in super::super) const EXPIRERS: &[ActorKind] = &[
        Service("expirer"),
        Service("scheduler"),
        Service("executor"),
        Agent,
        Approver,
        Administrator,
        Operator,
        User,
        ServiceToken,
        AgentKey,
    ];
    pub(in super::super) const REGISTRARS: &[ActorKind] =
        &[Administrator, Operator, Approver, User, ServiceToken];
    /// The actor of the event that it reports.
    pub(in super::super) const REPORTED: &[ActorKind] = &[];
}

//! Actions, and who may do each: the table that routes, the operator socket and the tests of refusals
//! read.

use crate::principal::{
    Acting, InvitationAccess, Minting, Opening, Principal, QuestionAccess, Right, SessionAccess,
    SetupAccess, TaskAccess, TaskReading, TimelineReading, WatchAccess, Whoever,
};
use crate::proxy_callers::ProxyCaller;
use crate::refusal::Error;
use ledger::aggregate::Task;
use ledger::{RequestId, Role};
use std::sync::Arc;

/// Who may do an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Everybody, unproven.
    Anyone,
    /// The holder of the task's capability token, which is in force; or of a key of its agent, in a task that
    /// such a key opened.
    Agent,
    /// As [`Self::Agent`]; the token may have expired, gone stale or been revoked, and the ledger decides.
    AgentWithOldToken,
    /// An administrator with this right.
    Administrator(Right),
    /// The holder of an approval link.
    ApprovalLink,
    /// The holder of an enrolment link.
    EnrolmentLink,
    /// The holder of the link by which a start has the first admin made.
    SetupLink,
    /// An operator of the machine.
    Operator,
    /// A signed-in user of this role or of one above it, or the service token.
    User(Role),
    /// The holder of a key of an agent, as that agent.
    AgentKey,
    /// A signed-in user who may read every payload.
    Auditor,
    /// A session, of any user.
    Session,
    /// The holder of a viewer token, for its task.
    ViewerToken,
    /// Whoever has proven to be somebody.
    Identity,
}

impl Who {
    /// Whether a link in the path proves them, whatever else a request carries.
    #[must_use]
    pub const fn is_by_link(self) -> bool {
        matches!(
            self,
            Self::ApprovalLink | Self::EnrolmentLink | Self::SetupLink
        )
    }

    /// The caller in words.
    #[must_use]
    pub const fn holder(self) -> &'static str {
        match self {
            Self::Anyone | Self::Identity => "a caller with any credential",
            Self::Agent | Self::AgentWithOldToken => {
                "the agent of the task, with its own credential,"
            }
            Self::Administrator(_) => "a bootstrap token",
            Self::ApprovalLink | Self::EnrolmentLink | Self::SetupLink => "the holder of its link",
            Self::Operator => "an operator of the machine",
            Self::User(_) => "a user or the service token",
            Self::AgentKey => "an agent with a key of its own",
            Self::Auditor | Self::Session => "a user who is logged in",
            Self::ViewerToken => "the holder of a viewer token",
        }
    }

    /// Whether the principal is of this kind. Its right and standing are asked for in
    /// [`crate::authorize`].
    #[must_use]
    pub const fn is_kind_of(self, principal: &Principal) -> bool {
        matches!(
            (self, principal),
            (Self::Agent | Self::AgentWithOldToken, Principal::Agent(_))
                | (Self::Administrator(_), Principal::Administrator(_))
                | (Self::ApprovalLink, Principal::ApprovalLink(_))
                | (Self::EnrolmentLink, Principal::EnrolmentLink(_))
                | (Self::SetupLink, Principal::SetupLink)
                | (Self::Operator, Principal::Operator(_))
                | (
                    Self::User(_),
                    Principal::User(_) | Principal::Service(_) | Principal::AuthDisabled
                )
                | (Self::Auditor | Self::Session, Principal::User(_))
                | (Self::ViewerToken, Principal::Viewer(_))
                | (
                    Self::Identity,
                    Principal::User(_)
                        | Principal::Service(_)
                        | Principal::AuthDisabled
                        | Principal::Viewer(_)
                        | Principal::Agent(_)
                        | Principal::AgentKey(_)
                        | Principal::Administrator(_)
                )
                | (Self::Agent | Self::AgentKey, Principal::AgentKey(_))
        )
    }
}

/// A principal that may do the action.
#[derive(Debug)]
pub struct Admitted {
    pub principal: Principal,
    /// For which request, where there is one.
    pub request_id: Option<RequestId>,
    /// The task that a capability token is for, as of the moment when the token was checked; for those who
    /// read, the one that they name.
    pub task: Option<Arc<Task>>,
}

/// What a use case is handed once the caller may do its action.
pub trait Access: Sized {
    /// `None` when the table admits a principal that the use case has no use for.
    fn of(admitted: Admitted) -> Option<Self>;
}

/// An action as a type, for handlers and use cases that name what they do.
pub trait Act: Send + Sync + 'static {
    /// The action.
    const ACTION: Action;
    /// What its use case is handed.
    type Access: Access + Send;

    /// The access of somebody who was admitted.
    ///
    /// # Errors
    /// [`Error::Defect`] when the row admits a principal that the use case has no use for.
    fn access(admitted: Admitted) -> Result<Self::Access, Error> {
        Self::Access::of(admitted)
            .ok_or_else(|| Error::defect(format!("{:?} cannot be done so", Self::ACTION)))
    }
}

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident $(-> $access:ty)?: [$($who:expr),+];)+) => {
        /// What somebody asks to do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)+
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Whether who has to change their password may do it before.
            #[must_use]
            pub const fn is_before_password_change(self) -> bool {
                matches!(self, Self::ReadMe | Self::ChangePassword | Self::LogOut)
            }

            /// Who may.
            #[must_use]
            pub const fn who(self) -> &'static [Who] {
                match self {
                    $(Self::$name => const { &[$($who),+] },)+
                }
            }
        }

        $(actions!(@act $(#[$doc])* $name $($access)?);)+
    };
    (@act $(#[$doc:meta])* $name:ident) => {};
    (@act $(#[$doc:meta])* $name:ident $access:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name;

        impl Act for $name {
            const ACTION: Action = Action::$name;
            type Access = $access;
        }
    };
}

use Who::{
    Agent, AgentKey, AgentWithOldToken, Anyone, ApprovalLink, Auditor, EnrolmentLink, Identity,
    Operator, Session, SetupLink, ViewerToken,
};

const ISSUER: Who = Who::Administrator(Right::IssueTasks);
const GRANTER: Who = Who::Administrator(Right::ManagePermissions);
const REGISTRAR: Who = Who::Administrator(Right::ManageApprovers);
const AUDITOR: Who = Who::Administrator(Right::Audit);
const VIEWER: Who = Who::User(Role::Viewer);
const RUNNER: Who = Who::User(Role::Operator);
const ADMIN: Who = Who::User(Role::Admin);

actions! {
    /// Read what is public: health, description, catalog, what a checkpoint commits to.
    ReadPublic: [Anyone];
    /// Open a task.
    OpenTask -> Opening: [ISSUER, RUNNER, AgentKey];
    /// Read a task.
    ReadTask -> TaskReading: [Agent, VIEWER, ViewerToken];
    /// List tasks.
    ListTasks -> Acting: [VIEWER];
    /// Close a task.
    CloseTask -> Acting: [Agent, ISSUER, RUNNER, Operator];
    /// Make a token with which somebody else reads a task for a few minutes.
    MintViewerToken -> Minting: [RUNNER];
    /// Renew a task's token.
    RenewToken -> TaskAccess: [AgentWithOldToken];
    /// Ask what an apply would do.
    PlanApply -> TaskAccess: [Agent];
    /// Submit an apply.
    SubmitApply -> TaskAccess: [Agent];
    /// Continue an apply that was approved.
    ContinueApply -> TaskAccess: [Agent];
    /// Read a task's applies.
    ReadApplies -> TaskReading: [Agent, VIEWER, ViewerToken];
    /// Settle an outcome that is unknown.
    ResolveApply -> Acting: [ISSUER, RUNNER, Operator];
    /// Read where a task's newest approval stands.
    ReadApproval -> TaskReading: [Agent, VIEWER, ViewerToken];
    /// Get the link to a task's pending approval.
    LinkApproval -> TaskAccess: [Agent];
    /// List approvals.
    ListApprovals -> Acting: [VIEWER];
    /// Open a question from a list. Whoever lists questions is given their links.
    OpenQuestion -> Acting: [VIEWER];
    /// Decide a question as the user who is logged in.
    DecideAsUser -> SessionAccess: [Session];
    /// Cancel a question.
    CancelApproval -> Acting: [RUNNER];
    /// Take one's own vote on a question back.
    WithdrawVote -> SessionAccess: [Session];
    /// Look at a question.
    ViewQuestion -> QuestionAccess: [ApprovalLink];
    /// Decide a question.
    DecideQuestion -> QuestionAccess: [ApprovalLink];
    /// Register a passkey on an invitation.
    Enrol -> InvitationAccess: [EnrolmentLink];
    /// Make the first admin.
    SetUp -> SetupAccess: [SetupLink];
    /// Read how agents are described.
    ReadAgents -> Acting: [RUNNER];
    /// Make agents, and change how they are described.
    ManageAgents -> Acting: [ADMIN, Operator];
    /// Read which keys an agent has.
    ReadAgentKeys -> Acting: [RUNNER];
    /// Make a key of an agent.
    CreateAgentKey -> Acting: [ADMIN, Operator];
    /// Read whether an upstream's key is stored for an agent.
    ReadAgentUpstreamKeys -> Acting: [RUNNER];
    /// Store and remove an upstream's key of an agent.
    ManageAgentUpstreamKeys -> Acting: [ADMIN];
    /// Read which other APIs are open to their clients.
    ReadUpstreams -> Acting: [RUNNER];
    /// Open other APIs, and take them away.
    ManageUpstreams -> Acting: [ADMIN];
    /// Take a key away from an agent.
    RevokeAgentKey -> Acting: [RUNNER];
    /// Ask for a key of an agent that somebody else confirms, and wait for it.
    Pair: [Anyone];
    /// Look at who asks for a key under a code, confirm and deny it.
    AnswerPairing -> Acting: [RUNNER];
    /// Read the task templates.
    ReadTemplates -> Acting: [RUNNER];
    /// Make and delete task templates.
    ManageTemplates -> Acting: [RUNNER];
    /// Read the locks.
    ReadLocks -> Acting: [RUNNER];
    /// Lock something; people and everything are an administrator's.
    SetLock -> Acting: [RUNNER, Operator];
    /// Lift a lock.
    LiftLock -> Acting: [ADMIN, Operator];
    /// Read the policy and its versions.
    ReadPolicy -> Acting: [RUNNER];
    /// Read what calls through the proxies used.
    ReadUsage -> Acting: [VIEWER];
    /// Save a policy, or bring back an earlier one.
    ChangePolicy -> Acting: [ADMIN, Operator];
    /// Look what a policy would be worth.
    TryPolicy -> Acting: [RUNNER];
    /// Read the decisions that are kept.
    ReadClearances -> Acting: [VIEWER];
    /// End a decision that is kept.
    EndClearance -> Acting: [RUNNER, Operator];
    /// Read the blocks and allows.
    ReadAdmissions -> Acting: [RUNNER];
    /// Block clients and allow them, and lift that.
    ManageAdmissions -> Acting: [RUNNER, Operator];
    /// Read the schedules, and what an expression names.
    ReadSchedules -> Acting: [RUNNER];
    /// Put and delete schedules.
    ManageSchedules -> Acting: [RUNNER];
    /// Read an agent's permissions.
    ReadPermissions -> Acting: [GRANTER, VIEWER];
    /// Replace an agent's permissions; giving is for administrators.
    ReplacePermissions -> Acting: [GRANTER, RUNNER];
    /// Take grants from an agent.
    RevokeGrants -> Acting: [Operator];
    /// List approvers.
    ListApprovers -> Acting: [VIEWER];
    /// Read an approver's credentials.
    ReadCredentials -> Acting: [REGISTRAR, VIEWER];
    /// Add or change a credential, or invite an approver to register one.
    PutCredential -> Acting: [REGISTRAR, ADMIN];
    /// Take a credential away.
    RevokeCredential -> Acting: [REGISTRAR, RUNNER, Operator];
    /// Read what a task's callbacks are owed.
    ReadDeliveries -> Acting: [Agent, ISSUER, VIEWER];
    /// Have deliveries tried again that were given up.
    RetryDeliveries -> Acting: [ISSUER, RUNNER, Operator];
    /// Read the timeline.
    ReadTimeline -> TimelineReading: [VIEWER, ViewerToken];
    /// Look at the newest events, and at what was not delivered, as pages.
    ReadEvents -> Acting: [VIEWER];
    /// Look at how the service stands.
    ReadSystem -> Acting: [RUNNER];
    /// Have the read tables made anew beside those in use.
    RebuildTables -> Acting: [RUNNER];
    /// Watch what changes.
    WatchChanges -> WatchAccess: [VIEWER, ViewerToken];
    /// Read events and proofs.
    Audit -> Acting: [AUDITOR, Auditor];
    /// Erase what has ended.
    Erase -> Acting: [Operator];
    /// Begin a session.
    LogIn: [Anyone];
    /// End one's own session.
    LogOut -> SessionAccess: [Session];
    /// End all of one's sessions but the one that asks.
    LogOutEverywhere -> SessionAccess: [Session];
    /// Change one's own password.
    ChangePassword -> SessionAccess: [Session];
    /// Learn who one is.
    ReadMe -> Whoever: [Identity];
    /// Read one's own sessions.
    ReadOwnSessions -> SessionAccess: [Session];
    /// End one of one's own sessions.
    EndOwnSession -> SessionAccess: [Session];
    /// Show a passkey once more.
    StepUp -> SessionAccess: [Session];
    /// Read by which passkeys one logs in.
    ReadOwnPasskeys -> SessionAccess: [Session];
    /// Add and remove passkeys of one's own, and make an approver's principal one's own.
    ManageOwnPasskeys -> SessionAccess: [Session];
    /// Read which command-line keys one has.
    ReadOwnKeys -> SessionAccess: [Session];
    /// Add and remove command-line keys of one's own.
    ManageOwnKeys -> SessionAccess: [Session];
    /// Read whether one has stored an upstream's key.
    ReadOwnUpstreamKey -> SessionAccess: [Session];
    /// Store and remove one's own key of an upstream.
    ManageOwnUpstreamKey -> SessionAccess: [Session];
    /// Read which devices of one's own are told of questions.
    ReadOwnDevices -> SessionAccess: [Session];
    /// Have devices of one's own told of questions, or not any more.
    ManageOwnDevices -> SessionAccess: [Session];
    /// Read users and groups.
    ReadUsers -> Acting: [ADMIN];
    /// Make, change and delete users, and set their passwords.
    ManageUsers -> Acting: [ADMIN, Operator];
    /// Make, change and delete groups.
    ManageGroups -> Acting: [ADMIN, Operator];
    /// Call an upstream through a proxy, with a stored key.
    CallUpstream -> ProxyCaller: [AgentKey, Session, Agent];
}

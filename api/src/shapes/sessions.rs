//! Logging in, sessions, and who one is.

use super::words;
use app::identity::session::UserSession;
use app::sessions::LoggedIn;
use app::{AUTH_DISABLED, Principal, Whoever};
use ledger::aggregate::Session;
use ledger::{GroupId, Role, SessionId, Timestamp};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(example = "ann")]
    pub(crate) username: String,
    #[schema(value_type = String, format = Password)]
    pub(crate) password: SecretString,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordRequest {
    /// The present password; left out only by who has none.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = Password)]
    pub(crate) current: Option<SecretString>,
    /// At least 12 characters, at most 1,024 bytes of UTF-8.
    #[schema(value_type = String, format = Password, min_length = 12)]
    pub(crate) new: SecretString,
}

/// A session that has begun. A browser gets the cookie and no token.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LoginAnswer {
    /// A bearer token.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    expires_at: String,
    user: Named,
    /// Nothing else can be done before the password is changed.
    must_change_password: bool,
}

#[derive(Debug, Serialize, ToSchema)]
struct Named {
    id: String,
    name: String,
    #[schema(example = "operator")]
    role: &'static str,
}

impl LoginAnswer {
    pub(crate) fn of(begun: LoggedIn, is_browser: bool) -> Self {
        let session = UserSession {
            user: begun.user,
            session: begun.session,
        };
        Self {
            token: (!is_browser).then(|| begun.bearer.into_revealed()),
            expires_at: session.session.expires_at.to_string(),
            must_change_password: session.must_change_password(),
            user: Named {
                id: session.user.id.to_string(),
                name: session.user.name.to_string(),
                role: session.role().as_str(),
            },
        }
    }
}

/// The caller; null where there is nothing of the kind.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Me {
    /// `user`, `service`, `agent`, `viewer`, `task` or `bootstrap`.
    kind: &'static str,
    /// The way in which it was proven.
    #[schema(example = "session")]
    scheme: &'static str,
    id: Option<String>,
    name: Option<String>,
    #[schema(example = "operator")]
    role: Option<&'static str>,
    groups: Option<Vec<String>>,
    expires_at: Option<String>,
    /// Until when the passkey counts that was shown last.
    step_up_until: Option<String>,
    must_change_password: Option<bool>,
}

impl Me {
    /// `groups` are those of a user.
    pub(crate) fn of(who: &Whoever, groups: &[GroupId], now: Timestamp) -> Self {
        let admin = Some(Role::Admin.as_str());
        match &who.principal {
            Principal::User(session) => Self {
                kind: "user",
                scheme: "session",
                id: Some(session.user.id.to_string()),
                name: Some(session.user.name.to_string()),
                role: Some(session.role().as_str()),
                groups: Some(words(groups)),
                expires_at: Some(session.session.expires_at.to_string()),
                step_up_until: session.step_up_until(now).map(|until| until.to_string()),
                must_change_password: Some(session.must_change_password()),
            },
            Principal::Service(token) => Self {
                kind: "service",
                scheme: "service_token",
                id: Some(hex::encode(token.fingerprint)),
                name: Some("service-token".to_owned()),
                role: admin,
                ..Self::default()
            },
            Principal::AuthDisabled => Self {
                kind: "user",
                scheme: "auth_disabled",
                name: Some(AUTH_DISABLED.to_owned()),
                role: admin,
                ..Self::default()
            },
            Principal::Administrator(administrator) => Self {
                kind: "bootstrap",
                scheme: "bootstrap",
                name: Some(administrator.name.clone()),
                ..Self::default()
            },
            Principal::Agent(holder) => Self {
                kind: "task",
                scheme: "capability",
                id: who.task.as_ref().map(|task| task.id.to_string()),
                name: Some(holder.agent().to_string()),
                expires_at: Some(holder.expires_at().to_string()),
                ..Self::default()
            },
            Principal::AgentKey(holder) => Self {
                kind: "agent",
                scheme: "agent_key",
                id: Some(holder.agent_id().to_string()),
                name: Some(holder.agent().to_string()),
                ..Self::default()
            },
            Principal::Viewer(token) => Self {
                kind: "viewer",
                scheme: "viewer_token",
                id: Some(token.task_id.to_string()),
                expires_at: Some(token.expires_at().to_string()),
                ..Self::default()
            },
            Principal::ApprovalLink(_)
            | Principal::EnrolmentLink(_)
            | Principal::SetupLink
            | Principal::Operator(_) => Self::default(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnSessions {
    /// Newest first.
    sessions: Vec<OwnSession>,
}

#[derive(Debug, Serialize, ToSchema)]
struct OwnSession {
    id: String,
    /// The one that asks.
    current: bool,
    /// `password` or `passkey`.
    #[schema(example = "password")]
    via: &'static str,
    /// From where it began.
    address: String,
    created_at: String,
    expires_at: String,
}

impl OwnSessions {
    pub(crate) fn of<'s>(
        sessions: impl IntoIterator<Item = &'s Session>,
        current: SessionId,
    ) -> Self {
        let shown = |session: &Session| OwnSession {
            id: session.id.to_string(),
            current: session.id == current,
            via: session.via.as_str(),
            address: session.address.clone(),
            created_at: session.opened_at.to_string(),
            expires_at: session.expires_at.to_string(),
        };
        Self {
            sessions: sessions.into_iter().map(shown).collect(),
        }
    }
}

//! What the API does for an admin with a passkey, done by an account of this machine without one.

use super::account::Account;
use super::action::{Asked, Performed};
use super::links::Links;
use super::perform::{access, failure, parsed};
use app::identity::password::{Password, PasswordHasher};
use app::locks::{Named, NewLock};
use app::users::Settings;
use app::{action, agents, enrolments, groups, keys, locks, users};
use ledger::command::AgentChanges;
use ledger::command::LeftBehind;
use ledger::{AgentName, GroupId, GroupName, Ledger, Role, UserId, UserName};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// A user to be made, or changes of one, as the command line sends them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UserBody {
    name: Option<String>,
    role: Option<String>,
    disabled: Option<bool>,
    can_audit: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PasswordBody {
    password: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockBody {
    target: LockedBody,
    /// Told beside it, as the reason of the action.
    #[serde(rename = "reason")]
    _reason: String,
    duration: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockedBody {
    kind: String,
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GroupBody {
    name: String,
}

/// Changes of a group's members from those that it has.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MembersBody {
    add: Vec<String>,
    remove: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentBody {
    agent: Option<String>,
    owner: Option<String>,
    organization: Option<String>,
    site: Option<String>,
    tags: Option<Vec<String>>,
}

/// Does what was asked of the API's route.
pub(super) async fn carry_out(
    ledger: &Ledger,
    links: &Links,
    account: &Account,
    asked: Asked,
) -> Result<Performed, String> {
    let who = account.name();
    let path: Vec<&str> = asked.path.iter().map(String::as_str).collect();
    let revoke_keys = revokes_keys(&asked, &path)?;
    let told = match (asked.method.as_str(), path.as_slice()) {
        ("POST", ["users"]) => {
            let body: UserBody = read(&asked)?;
            let name = user_name(&body.name.clone().unwrap_or_default())?;
            let role = role(body.role.as_deref().unwrap_or_default())?;
            let by = access::<action::ManageUsers>(ledger, account).await?;
            let made = users::create(ledger, by, name, role, body.settings(asked.reason)).await;
            let user = made.map_err(failure)?.user;
            let role = user.role.as_str();
            format!(
                "user {} is made as {role}, with the id {}",
                user.name, user.id
            )
        }
        ("PATCH", ["users", id]) => {
            let id: UserId = parsed("user", id)?;
            let body: UserBody = read(&asked)?;
            let name = body.name.as_deref().map(user_name).transpose()?;
            let role = body.role.as_deref().map(role).transpose()?;
            let by = access::<action::ManageUsers>(ledger, account).await?;
            let settings = body.settings(asked.reason);
            let changed = users::change(ledger, by, id, name, role, settings, revoke_keys).await;
            let (shown, left) = changed.map_err(failure)?;
            let (name, role) = (&shown.user.name, shown.user.role.as_str());
            let end = if shown.user.disabled {
                ", disabled"
            } else {
                ""
            };
            format!("user {name} is {role}{end}{}", what_stays(left.as_ref()))
        }
        ("DELETE", ["users", id]) => {
            let by = access::<action::ManageUsers>(ledger, account).await?;
            let (id, reason) = (parsed("user", id)?, Some(asked.reason));
            let gone = users::delete(ledger, by, id, revoke_keys, reason).await;
            let gone = gone.map_err(failure)?;
            let left = what_stays(gone.left_behind.as_ref());
            format!("user {} is deleted{left}", gone.user.name)
        }
        ("POST", ["users", id, "password"]) => {
            let body: PasswordBody = read(&asked)?;
            let password = Password::parse(&body.password).map_err(|unfit| unfit.to_string())?;
            let hasher = PasswordHasher::new(Arc::clone(ledger.random()));
            let by = access::<action::ManageUsers>(ledger, account).await?;
            let (id, reason) = (parsed("user", id)?, Some(asked.reason));
            let set = users::set_password(ledger, &hasher, by, id, password, reason).await;
            set.map_err(failure)?;
            format!("user {id} has the password, and changes it at the first login")
        }
        ("POST", ["users", id, "enrolment"]) => {
            let by = access::<action::ManageUsers>(ledger, account).await?;
            let user = users::read(ledger, &by, parsed("user", id)?).await;
            let user = user.map_err(failure)?.user;
            let opened = enrolments::open_for_user(ledger, &links.enrolment, by, &user).await;
            let invited = opened.map_err(failure)?;
            return Ok(Performed::Handed {
                text: format!(
                    "{} registers a passkey with this link; it works once, until {}",
                    user.name, invited.expires_at
                ),
                secret: links.enrolment_url(&invited),
            });
        }
        ("POST", ["locks"]) => {
            let body: LockBody = read(&asked)?;
            let (kind, id) = (body.target.kind, body.target.id);
            let providers = &ledger.rules().providers;
            let target = Named::parse(&kind, id.as_deref(), providers);
            let duration = body.duration.as_deref().map(locks::lasting).transpose();
            let wanted = NewLock {
                target: target.map_err(|refused| failure(refused.into()))?,
                reason: asked.reason,
                duration: duration.map_err(|refused| failure(refused.into()))?,
            };
            let by = access::<action::SetLock>(ledger, account).await?;
            let locked = locks::lock(ledger, by, wanted).await.map_err(failure)?;
            let (named, id) = (locked.lock.target.named(), locked.lock.id);
            format!("{named} is locked by lock {id}")
        }
        ("DELETE", ["locks", id]) => {
            let id = parsed("lock", id)?;
            let by = access::<action::LiftLock>(ledger, account).await?;
            let lifted = locks::lift(ledger, by, id, revoke_keys).await;
            let revoked = match lifted.map_err(failure)?.revoked.as_slice() {
                [] => String::new(),
                keys => {
                    let keys: Vec<_> = keys.iter().map(|key| key.id.to_string()).collect();
                    format!("; revoked with it: {}", keys.join(" "))
                }
            };
            format!("lock {id} is lifted; what was made before it stays dead{revoked}")
        }
        ("POST", ["groups"]) => {
            let body: GroupBody = read(&asked)?;
            let name = GroupName::parse(&body.name).map_err(|refused| failure(refused.into()))?;
            let by = access::<action::ManageGroups>(ledger, account).await?;
            let made = groups::create(ledger, by, name, Vec::new(), Some(asked.reason)).await;
            let group = made.map_err(failure)?;
            format!("group {} is made, with the id {}", group.name, group.id)
        }
        ("PATCH", ["groups", id]) => {
            let id: GroupId = parsed("group", id)?;
            let body: MembersBody = read(&asked)?;
            let ids = |ids: &[String]| -> Result<Vec<UserId>, String> {
                ids.iter().map(|id| parsed("user", id)).collect()
            };
            let (add, remove) = (ids(&body.add)?, ids(&body.remove)?);
            let by = access::<action::ManageGroups>(ledger, account).await?;
            let group = groups::read(ledger, &by, id).await.map_err(failure)?;
            let mut members = group.members.clone();
            members.retain(|member| !remove.contains(member) && !add.contains(member));
            members.extend(add);
            let reason = Some(asked.reason);
            let changed = groups::change(ledger, by, id, None, Some(members), reason).await;
            let group = changed.map_err(failure)?;
            format!("group {} has {} members", group.name, group.members.len())
        }
        ("DELETE", ["groups", id]) => {
            let by = access::<action::ManageGroups>(ledger, account).await?;
            let gone = groups::delete(ledger, by, parsed("group", id)?, Some(asked.reason)).await;
            gone.map_err(failure)?;
            format!("group {id} is deleted")
        }
        ("POST", ["agents"]) => {
            let mut body: AgentBody = read(&asked)?;
            let name = agent_name(&body.agent.take().unwrap_or_default())?;
            let by = access::<action::ManageAgents>(ledger, account).await?;
            let made = agents::create(ledger, by, name, body.changes()?).await;
            format!("agent {} is made", made.map_err(failure)?.name)
        }
        ("PATCH", ["agents", agent]) => {
            let changes = read::<AgentBody>(&asked)?.changes()?;
            let by = access::<action::ManageAgents>(ledger, account).await?;
            let described = agents::describe(ledger, by, agent_name(agent)?, changes).await;
            format!("agent {} is described", described.map_err(failure)?.name)
        }
        ("POST", ["agents", agent, "keys"]) => {
            let by = access::<action::CreateAgentKey>(ledger, account).await?;
            let made = keys::create(ledger, by, agent_name(agent)?).await;
            let made = made.map_err(failure)?;
            return Ok(Performed::Handed {
                text: format!(
                    "key {} of agent {agent}; it is shown this once",
                    made.key.id
                ),
                secret: super::Secret::new(made.text.into_revealed()),
            });
        }
        _ => {
            return Err("--local does not do this: ask the API without it".to_owned());
        }
    };
    Ok(Performed::Done {
        text: format!("{told}, by {who}"),
    })
}

/// True where the keys of a user are to go with the user, or those of a target with its lock. Nothing else is asked for behind a path.
fn revokes_keys(asked: &Asked, path: &[&str]) -> Result<bool, String> {
    let [(name, value)] = asked.query.as_slice() else {
        return match asked.query.is_empty() {
            true => Ok(false),
            false => Err("this is asked of the API, without --local".to_owned()),
        };
    };
    let is_known = name == "revoke" && value == "keys" && matches!(path, ["users" | "locks", _]);
    match is_known {
        true => Ok(true),
        false => Err("this is asked of the API, without --local".to_owned()),
    }
}

/// The keys and agents that a user leaves, as the rest of a sentence.
fn what_stays(left: Option<&LeftBehind>) -> String {
    let Some(left) = left else {
        return String::new();
    };
    let keys: Vec<String> = left
        .keys
        .iter()
        .map(|(key, _)| key.id.to_string())
        .collect();
    let keys = match left.keys.first() {
        None => String::new(),
        Some((key, _)) if key.revoked_at.is_some() => {
            format!("; revoked with them: {}", keys.join(" "))
        }
        Some(_) => format!("; keys of theirs that still work: {}", keys.join(" ")),
    };
    let agents: Vec<String> = left
        .agents
        .iter()
        .map(|agent| agent.name.to_string())
        .collect();
    let agents = match agents.as_slice() {
        [] => String::new(),
        agents => format!("; agents of theirs: {}", agents.join(" ")),
    };
    keys + &agents
}

impl UserBody {
    fn settings(&self, reason: String) -> Settings {
        Settings {
            can_audit: self.can_audit,
            disabled: self.disabled,
            groups: None,
            reason: Some(reason),
        }
    }
}

impl AgentBody {
    fn changes(self) -> Result<AgentChanges, String> {
        let owner = self.owner.map(|owner| parsed("user", &owner)).transpose()?;
        Ok(AgentChanges {
            owner: owner.map(Some),
            organization: self.organization.map(Some),
            site: self.site.map(Some),
            tags: self.tags,
        })
    }
}

fn read<T: DeserializeOwned>(asked: &Asked) -> Result<T, String> {
    let body = asked.body.as_ref().map_or("{}", super::Secret::reveal);
    serde_json::from_str(body).map_err(|error| format!("not understood: {error}"))
}

fn user_name(text: &str) -> Result<UserName, String> {
    UserName::parse(text).map_err(|refused| failure(refused.into()))
}

fn agent_name(text: &str) -> Result<AgentName, String> {
    AgentName::parse(text).map_err(|refused| failure(refused.into()))
}

fn role(text: &str) -> Result<Role, String> {
    let all = [Role::Viewer, Role::Operator, Role::Admin];
    let role = all.into_iter().find(|role| role.as_str() == text);
    role.ok_or_else(|| format!("{text:?} is not a role: viewer, operator or admin"))
}

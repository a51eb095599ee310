//! Locks: what operators stop, and what administrators let go on.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::aggregate::{Apply, OperationState};
use ledger::command::{LiftLock, Lifted, Locked, SetLock};
use ledger::describe;
use ledger::event::LockTarget;
use ledger::{
    AgentId, AgentName, ApplyId, CredentialId, KeyId, Ledger, LockId, OperationId, Providers,
    Rejection, TaskId, UserId,
};
use projections::{LockView, Page, Paging, Projection};
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

/// The most applies under way that are looked at for a list of locks.
const MOST_RUNNING: u32 = 500;

/// What is to be locked, as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    All,
    Agent(AgentName),
    Owner(UserId),
    Task(TaskId),
    Operation(OperationId),
    Key(KeyId),
    User(UserId),
    Credential(CredentialId),
}

impl Named {
    /// # Errors
    /// [`Rejection::Invalid`] for another kind, an operation that there is not, and an id too many or too few;
    /// an id that is none of anything has the refusal of one that names nothing.
    pub fn parse(kind: &str, id: Option<&str>, providers: &Providers) -> Result<Self, Rejection> {
        let named = || {
            id.ok_or_else(|| invalid("target.id: say which one; only kind all has none".to_owned()))
        };
        Ok(match kind {
            "all" if id.is_some() => {
                return Err(invalid("target.id: kind all has none".to_owned()));
            }
            "all" => Self::All,
            "agent" => Self::Agent(AgentName::parse(named()?)?),
            "owner" => Self::Owner(parsed(named()?, Rejection::UserNotFound)?),
            "task" => Self::Task(parsed(named()?, Rejection::TaskNotFound)?),
            "operation" => {
                let entry = providers.entry(named()?);
                Self::Operation(entry.map_err(|unknown| invalid(unknown.to_string()))?.id)
            }
            "key" => Self::Key(parsed(named()?, Rejection::KeyNotFound)?),
            "user" => Self::User(parsed(named()?, Rejection::UserNotFound)?),
            "credential" => {
                let id = URL_SAFE_NO_PAD.decode(named()?).ok();
                let id = id.and_then(|id| CredentialId::parse(id).ok());
                Self::Credential(id.ok_or(Rejection::CredentialNotFound)?)
            }
            _ => {
                return Err(invalid(
                    "target.kind: all, agent, owner, task, operation, key, user or credential"
                        .to_owned(),
                ));
            }
        })
    }
}

pub(crate) fn invalid(detail: String) -> Rejection {
    Rejection::Invalid {
        code: "bad_request",
        detail,
    }
}

fn parsed<T: FromStr>(id: &str, missing: Rejection) -> Result<T, Rejection> {
    id.parse().map_err(|_| missing)
}

/// The longest lock that ends by itself, in seconds: ten years.
const LONGEST: u64 = 3650 * 86_400;

/// How long a lock lasts: whole seconds, or a number and its unit.
///
/// # Errors
/// [`Rejection::Invalid`].
pub fn lasting(text: &str) -> Result<Duration, Rejection> {
    let fits = seconds(text).filter(|seconds| (1..=LONGEST).contains(seconds));
    fits.map(Duration::from_secs).ok_or_else(|| {
        invalid("duration: whole seconds, or a number with s, m, h, d, w or y; at most 10y".into())
    })
}

/// `90`, `10s`, `1m`, `1h`, `1d`, `1w`, `1y` in seconds.
fn seconds(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let each = match text.strip_prefix(number)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "y" => 365 * 86_400,
        _ => return None,
    };
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| number.parse().ok())??;
    number.checked_mul(each)
}

#[derive(Debug)]
pub struct NewLock {
    pub target: Named,
    pub reason: String,
    /// How long it lasts; until it is lifted when absent.
    pub duration: Option<Duration>,
}

/// Locks something.
pub async fn lock(ledger: &Ledger, who: Acting, lock: NewLock) -> Result<Locked, Error> {
    let target = match lock.target {
        Named::All => LockTarget::All,
        Named::Agent(name) => {
            let agent = ledger.agent(&name).await?;
            LockTarget::Agent(agent.ok_or(Rejection::AgentNotFound)?.id)
        }
        Named::Owner(id) => LockTarget::Owner(id),
        Named::Task(id) => LockTarget::Task(id),
        Named::Operation(id) => LockTarget::Operation(id.into()),
        Named::Key(id) => LockTarget::Key(id),
        Named::User(id) => LockTarget::User(id),
        Named::Credential(id) => LockTarget::Credential(id),
    };
    let set = SetLock {
        target,
        reason: lock.reason,
        duration: lock.duration,
    };
    Ok(ledger.execute(who.origin, set).await?)
}

/// Locks something, and tells what was sent already. The answer does not wait for that to be known as a whole.
pub async fn set(app: &App, who: Acting, wanted: NewLock) -> Result<ListedLock, Error> {
    let agent = match &wanted.target {
        Named::Agent(name) => Some(name.clone()),
        _ => None,
    };
    let set_by = describe::who(&who.origin.actor);
    let Locked { lock, position } = lock(&app.ledger, who, wanted).await?;
    let view = LockView {
        lock_id: lock.id,
        kind: lock.target.kind().to_owned(),
        target: lock.target.id(),
        reason: lock.reason.clone(),
        set_by,
        set_at: lock.set_at,
        until: lock.until,
        lifted_at: None,
        position,
    };
    // The lock stands. Tables that lag do not make it look as if it did not.
    let views = match app.current_views(&[Projection::Tasks]).await {
        Ok(views) => views,
        Err(_) => &app.projections,
    };
    let applies = views.ready_applies(MOST_RUNNING).await.unwrap_or_default();
    let running = running(&app.ledger, &applies).await.unwrap_or_default();
    Ok(ListedLock {
        agent,
        in_flight: stopped_too_late(&view, &running),
        view,
    })
}

/// Lifts a lock, and revokes the agent keys of its target where that is asked for. One that has ended stays as it
/// is.
pub async fn lift(
    ledger: &Ledger,
    who: Acting,
    lock_id: LockId,
    revoke_keys: bool,
) -> Result<Lifted, Error> {
    let lift = LiftLock {
        lock_id,
        revoke_keys,
    };
    Ok(ledger.execute(who.origin, lift).await?)
}

/// An operation that was sent, and whose outcome is not known yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub apply_id: ApplyId,
    pub operation: OperationId,
}

/// A lock, with what it could not stop any more.
#[derive(Debug)]
pub struct ListedLock {
    pub view: LockView,
    /// The name of the agent that it stops, unless that was erased.
    pub agent: Option<AgentName>,
    pub in_flight: Vec<InFlight>,
}

/// Locks, those that have ended too, the newest first.
pub async fn list(app: &App, _: &Acting, paging: Paging) -> Result<Page<ListedLock>, Error> {
    let views = app
        .current_views(&[Projection::Agents, Projection::Tasks])
        .await?;
    let mut page = views.locks(paging).await?;
    let rows = std::mem::take(&mut page.rows);
    let names = views.agent_names(&agents_of(&rows)).await?;
    let now = app.ledger.now();
    let running = match rows.iter().any(|lock| lock.is_in_force(now)) {
        true => running(&app.ledger, &views.ready_applies(MOST_RUNNING).await?).await?,
        false => Vec::new(),
    };
    let listed = rows.into_iter().map(|view| ListedLock {
        agent: named(&view, &names),
        in_flight: match view.is_in_force(now) {
            true => stopped_too_late(&view, &running),
            false => Vec::new(),
        },
        view,
    });
    Ok(page.with(listed.collect()))
}

/// The agents that locks stop.
fn agents_of(rows: &[LockView]) -> Vec<AgentId> {
    let of_agents = rows.iter().filter(|lock| lock.kind == "agent");
    let ids = of_agents.filter_map(|lock| lock.target.as_ref()?.parse().ok());
    ids.collect()
}

fn named(view: &LockView, names: &HashMap<AgentId, AgentName>) -> Option<AgentName> {
    let id: AgentId = view.target.as_ref()?.parse().ok()?;
    names.get(&id).filter(|_| view.kind == "agent").cloned()
}

/// Operations that are under way, each with what of it can be locked.
async fn running(
    ledger: &Ledger,
    applies: &[ApplyId],
) -> Result<Vec<(InFlight, Vec<LockTarget>)>, Error> {
    let mut running = Vec::new();
    for id in applies {
        let apply = ledger::Error::none_if_erased(ledger.load::<Apply>(*id).await)?;
        let Some(apply) = apply else { continue };
        let is_sent = |state: &OperationState| matches!(state, OperationState::Started(_));
        let sent = apply.operations.iter().position(is_sent);
        let sent = sent.and_then(|index| apply.check.requested.get(index));
        if let Some(sent) = sent {
            let operation = InFlight {
                apply_id: apply.id,
                operation: sent.operation,
            };
            running.push((operation, ledger.lock_targets(&apply).await?));
        }
    }
    Ok(running)
}

fn stopped_too_late(view: &LockView, running: &[(InFlight, Vec<LockTarget>)]) -> Vec<InFlight> {
    let is_target = |target: &LockTarget| target.kind() == view.kind && target.id() == view.target;
    let stopped = running
        .iter()
        .filter(|(_, targets)| targets.iter().any(is_target));
    stopped.map(|(operation, _)| operation.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_whole_seconds_or_a_number_with_one_unit() {
        let read = ["90", "10s", "1m", "1h", "1d", "1w", "1y"].map(seconds);
        let fine = [90, 10, 60, 3600, 86_400, 604_800, 31_536_000].map(Some);
        assert_eq!(read, fine);
        for text in [
            "",
            "s",
            "1.5h",
            "-1m",
            "1h30m",
            "+5",
            "1 h",
            "½d",
            "1mm",
            "99999999999999999999y",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
        for text in ["0", "0s", "11y", "3651d"] {
            assert!(lasting(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_target_has_an_id_unless_it_is_all() {
        let providers = providers::all();
        let parse = |kind: &str, id: Option<&str>| Named::parse(kind, id, &providers);
        assert_eq!(parse("all", None), Ok(Named::All));
        for (kind, id) in [
            ("all", Some("x")),
            ("agent", None),
            ("agent", Some("")),
            ("operation", Some("dns.record.burn")),
            ("zone", Some("z1")),
            ("", None),
        ] {
            assert!(parse(kind, id).is_err(), "{kind} {id:?}");
        }
        for (kind, missing) in [
            ("owner", "user_not_found"),
            ("task", "task_not_found"),
            ("key", "key_not_found"),
            ("user", "user_not_found"),
            ("credential", "credential_not_found"),
        ] {
            assert_eq!(parse(kind, Some("!")).unwrap_err().code(), missing);
        }
    }
}

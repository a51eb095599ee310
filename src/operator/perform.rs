//! Carrying actions out on the ledger, in the running service and without one.

use super::account::Account;
use super::action::{Action, Erased, Performed, Settlement};
use super::links::Links;
use super::on_this_machine;
use super::people::create_admin;
use app::policies::{self, Document, Saved};
use app::policy::Format;
use app::{
    Act, Principal, Request, action, agents, applies, approvers, authorize, deliveries, tasks,
};
use ledger::aggregate::Agent;
use ledger::command::{EraseTarget, Erasure};
use ledger::{AgentName, ApplyId, Blob, CredentialId, DeliveryId, Ledger, OperationId, TaskId};
use projections::Projections;
use std::time::Duration;

/// Has the ledger record the action, as done by that account.
pub(crate) async fn perform(
    ledger: &Ledger,
    links: &Links,
    account: &Account,
    action: Action,
) -> Performed {
    carry_out(ledger, links, account, action)
        .await
        .unwrap_or_else(|text| Performed::Refused { text })
}

async fn carry_out(
    ledger: &Ledger,
    links: &Links,
    account: &Account,
    action: Action,
) -> Result<Performed, String> {
    let who = account.name();
    let told = match action {
        Action::Asked(asked) => {
            return on_this_machine::carry_out(ledger, links, account, asked).await;
        }
        Action::PutPolicy {
            source,
            json,
            follows,
            reason,
        } => {
            let document = Document {
                source: source.into_bytes(),
                format: if json { Format::Json } else { Format::Toml },
            };
            let follows = follows.unwrap_or_else(|| ledger.policy().version);
            let by = access::<action::ChangePolicy>(ledger, account).await?;
            let saved = policies::put_or_override(ledger, by, document, follows, Some(reason));
            Ok(match saved.await.map_err(failure)? {
                Saved::InForce(_) => {
                    let version = ledger.policy().version;
                    format!("version {version} of the policy is in force, by {who}")
                }
                Saved::Asked(approval) => {
                    format!("people have to approve it, in approval {}", approval.id)
                }
            })
        }
        Action::CreateAdmin { name, password } => {
            return create_admin(ledger, links, account, &name, password).await;
        }
        Action::ResolveApply {
            apply,
            outcome,
            reason,
        } => {
            let apply_id: ApplyId = parsed("apply", &apply)?;
            let executed = outcome == Settlement::Executed;
            let by = access::<action::ResolveApply>(ledger, account).await?;
            let settled = applies::resolve(ledger, &by, apply_id, executed, reason);
            settled.await.map_err(failure)?;
            let end = if executed {
                "carried out"
            } else {
                "not carried out"
            };
            Ok(format!("apply {apply_id} is settled as {end}, by {who}"))
        }
        Action::CloseTask { task, reason } => {
            let task_id: TaskId = parsed("task", &task)?;
            let by = access::<action::CloseTask>(ledger, account).await?;
            let closed = tasks::close(ledger, by, task_id, Some(reason));
            closed.await.map_err(failure)?;
            Ok(format!(
                "task {task_id} is closed and its tokens are revoked, by {who}"
            ))
        }
        Action::RetryDelivery { delivery, reason } => {
            let delivery_id: DeliveryId = parsed("delivery", &delivery)?;
            let by = access::<action::RetryDeliveries>(ledger, account).await?;
            let retried = deliveries::retry(ledger, by, delivery_id, Some(reason));
            retried.await.map_err(failure)?;
            Ok(format!("delivery {delivery_id} is due again, by {who}"))
        }
        Action::RevokeGrants {
            agent,
            operation,
            reason,
        } => {
            // The command itself takes any name; a mistyped one would be registered.
            let agent = AgentName::unchecked(agent);
            let known = ledger.agent(&agent).await.map_err(|error| failure(error.into()))?;
            let known = known.ok_or_else(|| format!("there is no agent {agent:?}"))?;
            let operation = operation
                .map(|name| granted_operation(ledger, &known, &name))
                .transpose()?;
            let by = access::<action::RevokeGrants>(ledger, account).await?;
            let left = agents::revoke_grants(ledger, by, agent, operation, reason);
            let left = left.await.map_err(failure)?;
            let (agent, left) = (&left.name, left.grants.len());
            Ok(format!(
                "agent {agent} has {left} grants left and its tokens are stale, by {who}"
            ))
        }
        Action::Erase { what, reason } => {
            let target = match what {
                Erased::Task(task) => EraseTarget::Task(parsed("task", &task)?),
                Erased::Agent(name) => EraseTarget::Agent(AgentName::unchecked(name)),
                Erased::User(user) => EraseTarget::User(parsed("user", &user)?),
                Erased::Approver(principal) => {
                    let known = approvers::known_principal(ledger, principal).await;
                    EraseTarget::Approver(known.map_err(failure)?)
                }
            };
            let by = access::<action::Erase>(ledger, account).await?;
            let erased = ledger.erase(by.into_origin(), target, reason).await;
            let erased = erased.map_err(|error| failure(error.into()))?;
            Ok(told(&erased, is_scrubbed(ledger).await, who))
        }
        Action::RetryDeliveries { .. } => Err(
            "only a running service knows which deliveries were given up: start it, or name one"
                .to_owned(),
        ),
        Action::RebuildProjections { .. } => Err(
            "only a running service makes projections anew beside those in use; without one, leave \
             --online away"
                .to_owned(),
        ),
        Action::RevokeCredential {
            principal,
            credential,
            reason,
        } => {
            let credential_id = Blob::from_base64url(&credential)
                .map(CredentialId::unchecked)
                .ok_or("a credential's id is base64url, as GET …/credentials shows it")?;
            let by = access::<action::RevokeCredential>(ledger, account).await?;
            let name = principal.clone();
            let reason = Some(reason);
            let left = approvers::revoke_credential(ledger, by, name, credential_id, reason);
            left.await.map_err(failure)?;
            Ok(format!(
                "passkey {credential} of {principal} may decide nothing any more, by {who}"
            ))
        }
    };
    told.map(|text| Performed::Done { text })
}

/// Has every delivery tried again that was given up, in the running service, which knows them.
pub(crate) async fn retry_deliveries(
    ledger: &Ledger,
    projections: &Projections,
    account: &Account,
    reason: String,
) -> Performed {
    match retry_all(ledger, projections, account, reason).await {
        Ok(0) => Performed::Done {
            text: "no delivery was given up".to_owned(),
        },
        Ok(retried) => Performed::Done {
            text: format!("{retried} deliveries are due again, by {}", account.name()),
        },
        Err(text) => Performed::Refused { text },
    }
}

async fn retry_all(
    ledger: &Ledger,
    projections: &Projections,
    account: &Account,
    reason: String,
) -> Result<u64, String> {
    let who = access::<action::RetryDeliveries>(ledger, account).await?;
    let mut retried = 0;
    loop {
        let some = deliveries::retry_given_up(ledger, projections, &who, None, Some(&*reason));
        let some = some.await.map_err(failure)?;
        retried += u64::from(some.retried);
        if !some.left {
            return Ok(retried);
        }
    }
}

/// How long a person waits for the files to be clean; it goes on after that.
const SCRUBBING: Duration = Duration::from_secs(15);

async fn is_scrubbed(ledger: &Ledger) -> bool {
    let mut scrubbed = ledger.scrubbed();
    let done = tokio::time::timeout(SCRUBBING, scrubbed.wait_for(|done| *done)).await;
    matches!(done, Ok(Ok(_)))
}

fn told(erased: &Erasure, scrubbed: bool, who: &str) -> String {
    let Erasure {
        subject,
        position,
        payloads,
        streams,
        is_new,
    } = erased;
    let what = format!("{} {}", subject.kind().as_str(), subject.stream());
    let done = if *is_new {
        format!(
            "{what} is erased, {payloads} payloads of {streams} streams, by {who}; the event at \
             position {position} says so"
        )
    } else {
        format!("{what} was erased before: the event at position {position} says by whom and why")
    };
    let files = if scrubbed {
        "The ledger's files hold nothing of it any more. The service's read tables follow at once, \
         or at its next start."
    } else {
        "The ledger's files may still hold bytes of it: somebody reads them, or they are long. The \
         service goes on, and its log tells when they are gone; `ledger erase` again asks."
    };
    format!("{done}\n{files}\nBackups, copies and bundles made before still hold it.")
}

/// An operation of the catalog, or one of an API that is closed by now and that the agent has a grant of still.
fn granted_operation(ledger: &Ledger, agent: &Agent, name: &str) -> Result<OperationId, String> {
    let mut granted = agent.grants.iter().map(|grant| grant.operation);
    match ledger.rules().providers.entry(name) {
        Ok(entry) => Ok(entry.id),
        Err(unknown) => granted
            .find(|operation| operation.as_str() == name)
            .ok_or_else(|| unknown.to_string()),
    }
}

pub(super) fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not the id of a {what}: expected a UUID"))
}

pub(super) async fn access<A: Act>(
    ledger: &Ledger,
    account: &Account,
) -> Result<A::Access, String> {
    let operator = Principal::Operator(account.name().to_owned());
    let admitted = authorize::<A>(ledger, operator, Request::default());
    admitted.await.map_err(failure)
}

pub(super) fn failure(error: app::Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

//! Carrying actions out on the ledger, in the running service and without one.

use super::account::Account;
use super::action::{Action, Erased, Outcome, Performed};
use ledger::command::RevokeGrants;
use ledger::command::{
    CloseTask, Command, EraseTarget, Erasure, ResolveApply, RetryDelivery, RevokeCredential,
};
use ledger::{
    Actor, AgentName, ApplyId, ApproverName, Blob, CredentialId, DeliveryId, Error, Ledger, Origin,
    TaskId,
};
use projections::{Projection, Projections};
use std::collections::HashSet;
use std::time::Duration;

/// Has the ledger record the action, as done by that account.
pub(crate) async fn perform(ledger: &Ledger, account: &Account, action: Action) -> Performed {
    match carry_out(ledger, account, action).await {
        Ok(text) => Performed::Done { text },
        Err(text) => Performed::Refused { text },
    }
}

async fn carry_out(ledger: &Ledger, account: &Account, action: Action) -> Result<String, String> {
    let who = account.name();
    match action {
        Action::ResolveApply {
            apply,
            outcome,
            reason,
        } => {
            let apply_id: ApplyId = parsed("apply", &apply)?;
            let executed = outcome == Outcome::Executed;
            let command = ResolveApply {
                apply_id,
                executed,
                reason,
            };
            record(ledger, account, command).await?;
            let end = if executed {
                "carried out"
            } else {
                "not carried out"
            };
            Ok(format!("apply {apply_id} is settled as {end}, by {who}"))
        }
        Action::CloseTask { task, reason } => {
            let task_id: TaskId = parsed("task", &task)?;
            let command = CloseTask {
                task_id,
                token: None,
                reason: Some(reason),
            };
            record(ledger, account, command).await?;
            Ok(format!(
                "task {task_id} is closed and its tokens are revoked, by {who}"
            ))
        }
        Action::RetryDelivery { delivery, reason } => {
            let delivery_id: DeliveryId = parsed("delivery", &delivery)?;
            let command = RetryDelivery {
                delivery_id,
                reason: Some(reason),
            };
            record(ledger, account, command).await?;
            Ok(format!("delivery {delivery_id} is due again, by {who}"))
        }
        Action::RevokeGrants {
            agent,
            operation,
            reason,
        } => {
            let operation = operation
                .map(|name| ledger.rules().providers.entry(&name).map(|entry| entry.id).map_err(|error| format!("{error}")))
                .transpose()?;
            let agent = AgentName::unchecked(agent);
            // The command itself takes any name; a mistyped one would be registered.
            let known = ledger.agent(&agent).await.map_err(failure)?;
            known.ok_or_else(|| format!("there is no agent {agent:?}"))?;
            let command = RevokeGrants {
                agent: agent.clone(),
                operation,
                reason: Some(reason),
            };
            let left = record(ledger, account, command).await?.grants.len();
            Ok(format!(
                "agent {agent} has {left} grants left and its tokens are stale, by {who}"
            ))
        }
        Action::Erase { what, reason } => {
            let target = match what {
                Erased::Task(task) => EraseTarget::Task(parsed("task", &task)?),
                Erased::Agent(name) => EraseTarget::Agent(AgentName::unchecked(name)),
                Erased::Approver(principal) => EraseTarget::Approver(ApproverName::unchecked(principal)),
            };
            let erased = ledger.erase(origin(account), target, reason).await;
            let erased = erased.map_err(failure)?;
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
            let command = RevokeCredential {
                principal: ApproverName::unchecked(principal.as_str()),
                credential_id,
                reason: Some(reason),
            };
            record(ledger, account, command).await?;
            Ok(format!(
                "passkey {credential} of {principal} may decide nothing any more, by {who}"
            ))
        }
    }
}

/// Deliveries that are looked for at a time.
const RETRIED_AT_A_TIME: u32 = 1_000;

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
    let unread = |error: projections::Error| format!("{:#}", anyhow::Error::from(error));
    let mut retried = 0;
    let mut seen = HashSet::new();
    loop {
        // What was just tried again would otherwise be found once more.
        let reading = projections.caught_up(&[Projection::Callbacks], CATCHING_UP);
        reading.await.map_err(unread)?;
        let found = projections.given_up_deliveries(None, RETRIED_AT_A_TIME);
        let found = found.await.map_err(unread)?;
        // One that is given up anew in between is left for the next time.
        let found: Vec<_> = found.into_iter().filter(|id| seen.insert(*id)).collect();
        if found.is_empty() {
            return Ok(retried);
        }
        for delivery_id in found {
            let command = RetryDelivery {
                delivery_id,
                reason: Some(reason.clone()),
            };
            match ledger.execute(origin(account), command).await {
                Ok(_) => retried += 1,
                // Somebody else was quicker, or it was erased.
                Err(Error::Rejected(_)) => {}
                Err(error) => return Err(failure(error)),
            }
        }
    }
}

/// How long the read tables may take to show what was just recorded.
const CATCHING_UP: Duration = Duration::from_secs(5);

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

fn parsed<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not the id of a {what}: expected a UUID"))
}

async fn record<C: Command>(
    ledger: &Ledger,
    account: &Account,
    command: C,
) -> Result<C::Answer, String> {
    let done = ledger.execute(origin(account), command).await;
    done.map_err(failure)
}

fn origin(account: &Account) -> Origin {
    Origin {
        actor: Actor::Operator {
            name: account.name().to_owned(),
        },
        request_id: None,
    }
}

fn failure(error: Error) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

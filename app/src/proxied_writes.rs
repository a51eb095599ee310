//! Writes of agents through the proxies: asked for, waited for, and taken as far as they go.

use crate::app::App;
use crate::edge::{SeenFrom, edge_of_asker};
use crate::open_calls::{goes_on_in_task, stopped_in_task};
use crate::proxied_calls::say_used;
use crate::refusal::Error;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use ledger::aggregate::{Apply, Approval};
use ledger::command::{
    CloseTask, ForwardUnasked, ForwardWrite, PresentedKey, Standing, Submitted, WriteBy, standing,
};
use ledger::event::{ApplyEnd, UploadTokenDigest};
use ledger::operation::MatchedWrite;
use ledger::{
    Actor, AgentId, AgentName, ApplyId, ClientSubject, KeyId, Origin, Rejection, RequestId, TaskId,
    TokenId, UsedLately,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How much longer than its patience a call waits for a write that is being carried out.
const CARRYING_OUT: Duration = Duration::from_secs(10);
/// The same where its answer takes as long as it takes; what sends it gives up before.
const ANSWERING: Duration = Duration::from_secs(2 * 3600);
/// Why the task of a write is closed.
const CLOSED: &str = "its write has ended";

/// Who asks, as a proxy has proven it.
#[derive(Debug, Clone)]
pub struct Writer {
    pub agent_id: AgentId,
    pub agent: AgentName,
    pub shown: Shown,
    pub request_id: Option<RequestId>,
}

/// The credential that proved it.
#[derive(Debug, Clone)]
pub enum Shown {
    /// A key; [`ledger::SHARED_KEY`] for the one that all agents have.
    Key(KeyId),
    /// A token of a task, with the subject that it is bound to.
    Token {
        task_id: TaskId,
        token_id: TokenId,
        subject: ClientSubject,
    },
}

impl Writer {
    fn origin(&self) -> Origin {
        let actor = match &self.shown {
            Shown::Key(key_id) => Actor::AgentKey {
                agent_id: self.agent_id,
                name: self.agent.clone(),
                key_id: *key_id,
                subject: None,
            },
            Shown::Token {
                token_id, subject, ..
            } => Actor::Agent {
                agent: self.agent.clone(),
                subject: subject.clone(),
                token: *token_id,
            },
        };
        Origin {
            actor,
            request_id: self.request_id,
        }
    }

    const fn by(&self) -> WriteBy {
        match self.shown {
            Shown::Key(key_id) => WriteBy::Key(key_id),
            Shown::Token {
                task_id, token_id, ..
            } => WriteBy::Token { task_id, token_id },
        }
    }
}

/// The standing of a write when its call is answered.
#[derive(Debug)]
pub struct Held {
    pub apply: Arc<Apply>,
    /// The question about it, where there is one.
    pub approval: Option<Arc<Approval>>,
    pub standing: Standing,
}

/// Becomes ready once the answer to an apply has begun.
pub type Begun<'a> = &'a (dyn Fn(ApplyId) -> BoxFuture<'a, ()> + Send + Sync);

/// A write that is to be held.
#[derive(Debug)]
pub struct ToHold<'a> {
    /// A request that is forwarded.
    pub write: MatchedWrite,
    /// The token of the upload whose files it names.
    pub upload: Option<UploadTokenDigest>,
    /// A write whose end the agent was told.
    pub told: Option<ApplyId>,
    /// Where its call comes from.
    pub seen: &'a SeenFrom,
    /// The use by its caller before it, where it was judged by that.
    pub used: Option<UsedLately>,
}

/// Asks for a write, or finds it where it was asked for before, and waits for people and for its end, at most for
/// `patience`. What people approve meanwhile is carried out; what they approve when nobody waits is not, until the same
/// write comes again. Where clients read answers while they come, it also ends when the answer has `begun`.
///
/// # Errors
/// The refusal of the write.
pub async fn hold(
    app: &App,
    writer: &Writer,
    to_hold: ToHold<'_>,
    patience: Duration,
    begun: Option<Begun<'_>>,
) -> Result<Held, Error> {
    let ledger = &app.ledger;
    let until = Instant::now() + patience;
    let ToHold {
        write,
        upload,
        told,
        seen,
        used,
    } = to_hold;
    let mut edge = edge_of_asker(app, seen);
    if let Some(used) = used {
        say_used(app, &mut edge, &used);
    }
    let mut command = ForwardWrite {
        by: writer.by(),
        agent_id: writer.agent_id,
        write,
        told,
        upload,
        edge,
    };
    let mut is_first = true;
    loop {
        let ruling = ledger.execute(writer.origin(), command.clone()).await?;
        let Submitted {
            apply, approval, ..
        } = ruling.accepted()?;
        let stands = standing(&apply, approval.as_deref(), ledger.now());
        if std::mem::take(&mut is_first)
            && is_ended_question(&stands)
            && told != Some(apply.id)
            && is_settled_now(app, writer, (&command, apply.id)).await
        {
            if let Err(error) = close(app, writer, &apply).await {
                tracing::debug!(
                    error = ledger::with_sources(&error),
                    "the task of an ended question stays open"
                );
            }
            command.told = Some(apply.id);
            continue;
        }
        if let (Shown::Key(_), Standing::Running | Standing::Ended(_)) = (&writer.shown, &stands) {
            match goes_on_in_task(app, (apply.task_id, apply.id)).await {
                Ok(_) => {}
                // What was closed before its end is asked for anew.
                Err(Error::Ledger(ledger::Error::Rejected(Rejection::TaskClosed)))
                    if matches!(stands, Standing::Ended(_)) =>
                {
                    let is_known = stands != Standing::Ended(ApplyEnd::Unknown);
                    if is_known && command.told.replace(apply.id) != Some(apply.id) {
                        continue;
                    }
                }
                Err(stopped) => return Err(stopped),
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        let goes_on = match (&stands, &approval) {
            (Standing::Waiting, Some(asked)) if !left.is_zero() => {
                let asked = app.wait_for_decision(asked.id, left).await?;
                let stands = standing(&apply, Some(&*asked), ledger.now());
                stands != Standing::Waiting
            }
            (Standing::Running, _) => {
                // It may also be asked about anew before it begins.
                let is_over = |apply: &Apply| apply.end.is_some() || !apply.authorised;
                let longest = begun.map_or(CARRYING_OUT, |_| ANSWERING);
                let patience = left.saturating_add(longest);
                // The end that was told is waited for: what it answered is nothing new.
                let begun = begun.filter(|_| told != Some(apply.id));
                let begun = begun.map_or_else(|| pending().boxed(), |begun| begun(apply.id));
                let stopped = match writer.shown {
                    Shown::Key(_) => stopped_in_task(app, (apply.task_id, apply.id)).boxed(),
                    // Its end is that of the call.
                    Shown::Token { .. } => pending().boxed(),
                };
                tokio::select! {
                    biased;
                    stopped = stopped => return Err(stopped),
                    ended = ledger.wait_for(apply.id, patience, is_over) => is_over(&*ended?),
                    () = begun => false,
                }
            }
            // What was approved is authorised by the same command: it was not, because the service is ending.
            _ => false,
        };
        if !goes_on {
            return Ok(Held {
                apply,
                approval,
                standing: stands,
            });
        }
    }
}

/// The end of a question without an approval. Nothing was carried out.
const fn is_ended_question(standing: &Standing) -> bool {
    matches!(
        standing,
        Standing::Denied { .. } | Standing::Expired { .. } | Standing::Cancelled { .. }
    )
}

/// Asks anew for a write whose question had ended before this call came, where that needs nobody any more. True when it goes
/// now, or when a lock, a block, a kept denial or a rule refuses it now: all go before the older end.
async fn is_settled_now(
    app: &App,
    writer: &Writer,
    (command, ended): (&ForwardWrite, ApplyId),
) -> bool {
    use Rejection::{Blocked, DeniedBefore, DeniedByPolicy, Locked};
    let command = ForwardUnasked(ForwardWrite {
        told: Some(ended),
        ..command.clone()
    });
    let asked = app.ledger.execute(writer.origin(), command).await;
    matches!(
        asked,
        Ok(_)
            | Err(ledger::Error::Rejected(
                Locked { .. } | Blocked { .. } | DeniedBefore { .. } | DeniedByPolicy { .. }
            ))
    )
}

/// Closes the task of a write that has ended and whose end is known, where it was opened for that.
///
/// # Errors
/// When the ledger refuses it.
pub async fn close(app: &App, writer: &Writer, apply: &Apply) -> Result<(), Error> {
    let Shown::Key(key_id) = writer.shown else {
        return Ok(());
    };
    let presented = PresentedKey {
        key_id,
        agent_id: writer.agent_id,
        task_id: apply.task_id,
    };
    let close = CloseTask {
        task_id: apply.task_id,
        token: Some(presented.into()),
        reason: Some(CLOSED.to_owned()),
    };
    app.ledger.execute(writer.origin(), close).await?;
    Ok(())
}

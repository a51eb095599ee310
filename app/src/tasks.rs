//! Tasks: opening, closing, and renewing their tokens.

use crate::app::App;
use crate::principal::{Acting, Minting, OpeningByKey, Orchestrating, TaskAccess};
use crate::refusal::Error;
use crate::token::capability::CapabilityToken;
use crate::token::link::SignedToken;
use crate::token::viewer::ViewerToken;
use ledger::aggregate::Task;
use ledger::command::{
    AllowedEntry, CloseTask, CreateTask, IssuedToken, NewCallback, OpenTask, Presented, RenewToken,
};
use ledger::{
    AgentName, ClientSubject, Ledger, Purpose, QuestionTime, Rejection, TaskId, TemplateName,
    Timestamp,
};
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct NewTask {
    pub agent: AgentName,
    /// The client that its tokens are bound to.
    pub subject: ClientSubject,
    pub name: String,
    pub operations: Vec<AllowedEntry>,
    /// Where its events go.
    pub callback: Option<NewCallback>,
    /// Whether its applies may name a callback of the agent's own.
    pub agent_callbacks: bool,
    /// Whether its tokens are callers of the proxies too.
    pub proxy: bool,
    /// How long its tokens live. Without it, as long as its questions wait.
    pub token_ttl: Option<Duration>,
    /// How long its questions wait, where that is not for the setting to say.
    pub question: Option<QuestionTime>,
    /// The reason and the link that people are shown.
    pub purpose: Purpose,
}

/// A task with a token that opens it, which is shown once.
#[derive(Debug)]
pub struct Issued {
    pub task: Arc<Task>,
    pub token: CapabilityToken,
    /// How long it counts, in seconds: the same token may be handed out a moment after it was issued.
    pub time_left: u64,
}

/// Opens a task.
pub async fn open(app: &App, who: Orchestrating, task: NewTask) -> Result<Issued, Error> {
    let command = CreateTask {
        agent: task.agent,
        subject: task.subject,
        name: task.name,
        operations: task.operations,
        callback: task.callback,
        agent_callbacks: task.agent_callbacks,
        proxy: task.proxy,
        token_ttl: task.token_ttl,
        question: task.question,
        purpose: task.purpose,
    };
    issued(app, app.ledger.execute(who.origin, command).await?)
}

/// Opens a task of an agent from a template. It has no token: the agent's keys open it.
pub async fn open_from_template(
    ledger: &Ledger,
    who: OpeningByKey,
    name: String,
    template: TemplateName,
) -> Result<Arc<Task>, Error> {
    let command = OpenTask {
        key_id: who.by.key_id(),
        agent_id: who.by.agent_id(),
        subject: who.by.subject().cloned(),
        name,
        template,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// A token with which somebody else reads a task for a few minutes, and the end of those.
///
/// # Errors
/// [`Rejection::TaskClosed`], beside [`Rejection::TaskNotFound`].
pub async fn mint_viewer_token(
    app: &App,
    who: Minting,
    task_id: TaskId,
) -> Result<(SignedToken, Timestamp), Error> {
    let task = app.ledger.load::<Task>(task_id).await?;
    let task = task.ok_or(Rejection::TaskNotFound)?;
    if task.closed_at.is_some() {
        return Err(Rejection::TaskClosed.into());
    }
    let token = ViewerToken::of(&app.ledger, &task, who.session);
    let expires_at = token.expires_at();
    Ok((app.keys.viewer.sign(token)?, expires_at))
}

/// Closes a task for good.
pub async fn close(
    ledger: &Ledger,
    who: Acting,
    task_id: TaskId,
    reason: Option<String>,
) -> Result<Arc<Task>, Error> {
    let command = CloseTask {
        task_id,
        token: who.token,
        reason,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Renews a token that went stale or expired while an approval was open.
pub async fn renew(app: &App, who: &TaskAccess) -> Result<Issued, Error> {
    let Presented::Token(token) = who.presented() else {
        return Err(Error::defect("an agent key is no token to be renewed"));
    };
    let command = RenewToken { token };
    issued(app, app.ledger.execute(who.origin(), command).await?)
}

fn issued(app: &App, issued: IssuedToken) -> Result<Issued, Error> {
    let end = issued.claims.exp;
    let left = end.saturating_sub(app.ledger.now().as_seconds());
    Ok(Issued {
        token: CapabilityToken::sign(&app.keys.capability, &issued.claims)?,
        task: issued.task,
        time_left: u64::try_from(left).unwrap_or(0),
    })
}

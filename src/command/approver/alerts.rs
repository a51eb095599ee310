//! `approver alerts`: each question once, also over connections that break.

use super::{Approver, line, questions, read};
use crate::api_client::{ApiRequest, Refused, Shown};
use crate::cli::{ByKey, PendingArgs};
use crate::command::tell_json;
use crate::output::{note, say};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// Before the service is asked again after a connection broke, at first and at most.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// The things of one kind that a message of the stream names.
#[derive(Deserialize)]
struct Changed {
    kind: String,
}

/// Prints each question as it comes up, until it is interrupted.
pub(super) fn alerts(args: ByKey<PendingArgs>) -> anyhow::Result<ExitCode> {
    let approver = Approver::open(&args.access)?;
    let mut alerts = Alerts {
        approver,
        agent: args.asked.agent,
        json: args.access.json,
        told: BTreeSet::new(),
        is_first: true,
    };
    crate::command::runtime()?.block_on(async {
        let mut pause = FIRST_PAUSE;
        loop {
            match alerts.follow().await {
                // A key that was taken away comes back to nothing.
                Err(error) if alerts.is_first || is_refused(&error) => return Err(error),
                Err(error) => {
                    if pause == FIRST_PAUSE {
                        note!("{error:#}; asking again until it answers");
                    }
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Ok(()) => pause = FIRST_PAUSE,
            }
        }
    })
}

/// A login that failed, and a role that does not read; too many requests pass.
fn is_refused(error: &anyhow::Error) -> bool {
    let refused = error.downcast_ref::<Refused>();
    refused.is_some_and(|refused| matches!(refused.code.as_str(), "login_failed" | "role_required"))
}

struct Alerts {
    approver: Approver,
    agent: Option<String>,
    json: bool,
    /// The questions that were told and are still open.
    told: BTreeSet<String>,
    is_first: bool,
}

impl Alerts {
    /// Logs in, tells what is new and follows the stream until it or the session ends.
    async fn follow(&mut self) -> anyhow::Result<()> {
        let client = self.approver.log_in().await?;
        let listed = questions(&client, Some(&self.approver.key), self.agent.clone()).await?;
        let as_of = listed.as_of;
        self.tell(&listed.approvals)?;
        self.is_first = false;
        let request = ApiRequest::get(&["stream"], Shown::Members);
        let request = request.with_query("after", Some(as_of.to_string()));
        let mut stream = client.events(&request).await?;
        while let Some(message) = stream.next().await? {
            if matches!(message.event.as_str(), "ended" | "resync") {
                return Ok(());
            }
            let changed: Vec<Changed> = serde_json::from_str(&message.data).unwrap_or_default();
            if changed.iter().any(|changed| changed.kind == "approval") {
                let listed =
                    questions(&client, Some(&self.approver.key), self.agent.clone()).await?;
                self.tell(&listed.approvals)?;
            }
        }
        Ok(())
    }

    /// A line for each question that was not told before, the oldest first.
    fn tell(&mut self, rows: &[serde_json::Value]) -> anyhow::Result<()> {
        let mut open = BTreeSet::new();
        for row in rows.iter().rev() {
            let question = read(row)?;
            if !self.told.contains(&question.approval_id) {
                match self.json {
                    true => {
                        let mut object = row.clone();
                        if let Some(members) = object.as_object_mut() {
                            members.insert("event".to_owned(), "pending".into());
                        }
                        tell_json(&object);
                    }
                    false => say!("{}", line(&question)),
                }
            }
            open.insert(question.approval_id);
        }
        self.told = open;
        Ok(())
    }
}

//! Approvals as an agent sees them.

use crate::pages::ShownText;
use crate::problem::ApiError;
use ledger::aggregate::{Apply, Approval, ApprovalState, Task};
use ledger::operation::{Operation, unspelled};
use ledger::{Providers, Timestamp, operations_of};
use projections::ApprovalView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The task's newest approval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalStatus {
    /// The approval.
    pub(crate) approval_id: String,
    /// pending, approved, denied, expired, cancelled or consumed.
    pub(crate) state: String,
    /// Its task; null where it is not about an apply.
    pub(crate) task_id: Option<String>,
    /// Hex SHA-256 of what is asked.
    pub(crate) operation_fingerprint: String,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    /// Until when it can be decided; RFC 3339, UTC.
    pub(crate) expires_at: String,
    /// When it was approved; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approved_at: Option<String>,
    /// What the approver wrote; empty when they denied without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) denied_reason: Option<String>,
}

impl ApprovalStatus {
    /// As it stands at `now`: a deadline binds at once, whether or not it is recorded yet.
    pub(crate) fn of(approval: &Approval, now: Timestamp) -> Self {
        let decision = approval.decision.as_ref();
        let denied = approval.state == ApprovalState::Denied;
        let approved = decision.is_some() && !denied;
        let reason = decision
            .and_then(|decision| decision.reason.clone())
            .unwrap_or_default();
        Self {
            approval_id: approval.id.to_string(),
            state: approval.state_at(now).as_str().to_owned(),
            task_id: approval.task_id().map(|task| task.to_string()),
            operation_fingerprint: approval.fingerprint.to_string(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            approved_at: approval
                .decided_at
                .filter(|_| approved)
                .map(|at| at.to_string()),
            denied_reason: denied.then_some(reason),
        }
    }
}

impl ApprovalStatus {
    /// As [`Self::of`], of a row.
    pub(crate) fn listed(view: ApprovalView, now: Timestamp) -> Self {
        let is_denied = view.state == projections::ApprovalStatus::Denied;
        let reason = view.denied_reason().unwrap_or_default().to_owned();
        Self {
            approval_id: view.id.to_string(),
            state: view.state_at(now).as_str().to_owned(),
            task_id: view.task_id.map(|task| task.to_string()),
            operation_fingerprint: view.fingerprint.to_string(),
            created_at: view.created_at.to_string(),
            expires_at: view.expires_at.to_string(),
            approved_at: view.approved_at().map(|at| at.to_string()),
            denied_reason: is_denied.then_some(reason),
        }
    }
}

/// Asks for the approval's link.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveRequest {
    /// Narrows who decides to this one; it must be one who may already.
    #[serde(default)]
    pub(crate) approver_principal: Option<String>,
}

/// Cancels a question.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CancelRequest {
    /// Why, at most 1000 characters; it stands in the log.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The link for the task's pending apply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalLinkView {
    /// The task.
    pub(crate) task_id: String,
    /// The approval.
    pub(crate) approval_id: String,
    /// For a human.
    pub(crate) approval_url: String,
    /// For the agent.
    pub(crate) approval_status_url: String,
    /// RFC 3339, UTC.
    pub(crate) expires_at: String,
}

/// The pending approval as a chat message shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiscordMessage {
    /// The approval.
    pub(crate) approval_id: String,
    /// What stands on the button.
    pub(crate) button_text: String,
    /// What is asked, in one line for each operation.
    pub(crate) approver_summary: String,
    /// Where the button leads.
    pub(crate) approve_url: String,
    /// How long it can still be decided.
    pub(crate) expires_in_seconds: u64,
}

impl DiscordMessage {
    /// Text that agents wrote is shown with everything in it that does not show by itself.
    pub(crate) fn of(
        task: &Task,
        approval: &Approval,
        apply: &Apply,
        approve_url: String,
        now: Timestamp,
        providers: &Providers,
    ) -> Result<Self, ApiError> {
        let operations = operations_of(apply.submission.as_bytes()).map_err(ApiError::internal)?;
        let lines = operations
            .iter()
            .map(|operation| {
                providers
                    .read_recorded(operation)
                    .map(|it| line_of(approval, &it))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(ApiError::internal)?;
        let head = format!("{} asks: {}", task.agent, task.name);
        // The link often stands in the same message, behind a line of its own.
        let most = LONGEST_MESSAGE.saturating_sub(units(&approve_url) + 2);
        let summary = summary(head, lines, most.max(LEAST_SUMMARY));
        Ok(Self {
            approval_id: approval.id.to_string(),
            button_text: "Review and decide".to_owned(),
            approver_summary: summary,
            approve_url,
            expires_in_seconds: approval.expires_at.since(now).as_secs(),
        })
    }
}

/// The effect comes first: what is cut is the end.
fn line_of(approval: &Approval, operation: &Operation) -> String {
    let summary = operation.summary();
    // Both are spelled already, and a chat message spells all of its text.
    unspelled(&match approval.place(operation) {
        Some(place) => format!("{place}: {summary}"),
        None => summary,
    })
}

/// The longest message that Discord takes. It says characters; counted in UTF-16 code units a text is
/// never longer than it may be, however that is meant.
const LONGEST_MESSAGE: usize = 2_000;
/// What a summary may have however long the link is.
const LEAST_SUMMARY: usize = 1_000;
/// The longest first line: agents and orchestrators name themselves and their tasks.
const LONGEST_HEAD: usize = 400;
/// The longest line of an operation.
const LONGEST_LINE: usize = 300;

/// How long a text is, in UTF-16 code units.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// The head and a line for each operation, within `most` units: what has no room is counted.
fn summary(head: String, lines: Vec<String>, most: usize) -> String {
    let mut summary = for_chat(head, LONGEST_HEAD);
    let mut length = units(&summary);
    let all = lines.len();
    for (shown, line) in lines.into_iter().enumerate() {
        let line = format!("\n- {}", for_chat(line, LONGEST_LINE));
        let rest = |left: usize| format!("\n… and {left} more");
        let reserve = match all - shown - 1 {
            0 => 0,
            left => units(&rest(left)),
        };
        if length + units(&line) + reserve > most {
            summary.push_str(&rest(all - shown));
            return summary;
        }
        length += units(&line);
        summary.push_str(&line);
    }
    summary
}

/// At most `most` units, an end that is cut off shown as `…`. Nothing in it is markup to a chat client, nothing in it calls anybody, and nothing in it hides but
/// what this puts there: chat clients look for mentions (`@everyone`, `<@1>`, `<#1>`, `<@&1>`) behind
/// the backslash as well, so a space of no width breaks them.
fn for_chat(text: String, most: usize) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut length = 0;
    for c in ShownText::line(text).spelled_out().chars() {
        let is_markup = "\\*_~`|<>[]()#@".contains(c);
        let calls = matches!(c, '@' | '#' | '<');
        length += c.len_utf16() + usize::from(is_markup) + usize::from(calls);
        if length >= most {
            escaped.push('…');
            break;
        }
        if is_markup {
            escaped.push('\\');
        }
        escaped.push(c);
        if calls {
            escaped.push('\u{200b}');
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_cannot_write_markup_into_a_chat() {
        assert_eq!(
            for_chat("[ok](https://x) @everyone\u{202e}\nnext".into(), 200),
            "\\[ok\\]\\(https://x\\) \\@\u{200b}everyone\u{2039}U+202E\u{203a}\u{2039}U+000A\u{203a}next"
        );
        assert_eq!(for_chat("www.example.com".into(), 200), "www.example.com");
    }

    #[test]
    fn a_message_is_one_that_discord_takes_and_says_what_it_leaves_out() {
        let line = |n: usize| {
            format!(
                "dns.record.write: create TXT host{n}.example.com = {}",
                "v".repeat(99)
            )
        };
        for (lines, most) in [(20, 1_700), (100, 1_700), (100, LEAST_SUMMARY)] {
            let text = summary(
                "ci asks: rotate".into(),
                (0..lines).map(line).collect(),
                most,
            );
            assert!(units(&text) <= most, "{}", units(&text));
            let shown = text.matches("\n- ").count();
            let told = format!("\n… and {} more", lines - shown);
            assert!(shown > 5 && text.ends_with(&told), "{text}");
        }
        let text = summary("ci asks: rotate".into(), (0..3).map(line).collect(), 1_700);
        assert!(text.ends_with(&"v".repeat(99)), "{text}");
    }

    #[test]
    fn long_names_and_wide_letters_are_cut_where_they_end() {
        for long in ["😀", "@", "\u{202e}\u{200b}", "ü", "\\"] {
            let long = long.repeat(2_000);
            let text = summary(long.clone(), vec![long.clone(); 20], 1_700);
            assert!(units(&text) <= 1_700);
            let head = text.lines().next().unwrap();
            assert!(units(head) <= LONGEST_HEAD && head.ends_with('…'), "{head}");
            assert!(text.contains("… and "), "{text}");
        }
    }

    #[test]
    fn agents_cannot_call_people_in_a_chat() {
        for mention in ["@everyone", "@here", "<@1>", "<@!1>", "<@&1>", "<#1>"] {
            let shown = for_chat(mention.into(), 200).replace('\\', "");
            for call in ["@e", "@h", "@1", "@!", "@&", "<@", "<#", "#1"] {
                assert!(!shown.contains(call), "{mention}: {shown}");
            }
        }
    }
}

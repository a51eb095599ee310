//! The history of answers, as JSON and as a table of text.

use super::lists::{name, next, paging};
use super::time;
use crate::pages::Acts;
use crate::problem::ApiError;
use app::admissions::ListedAdmission;
use app::history::Answered;
use ledger::{AgentName, ApproverName};
use projections::{ApprovalStatus, ClearanceView, HistoryFilter, Paging};
use serde::{Deserialize, Serialize};
use url::form_urlencoded;
use utoipa::{IntoParams, ToSchema};

/// Which answers.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// Only those to questions of this agent.
    agent: Option<String>,
    /// Only those that this principal gave.
    approver: Option<String>,
    /// `APPROVED`, `DENIED`, `EXPIRED` or `CANCELLED`.
    action: Option<String>,
    /// Only those that were given then or later: RFC 3339 with an offset.
    from: Option<String>,
    /// Only those that were given before.
    to: Option<String>,
    /// `true`: each comes with its request in words and its risk (`act`, `first`, `risk`). Left out, it does not.
    acts: Option<bool>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl HistoryQuery {
    pub(crate) fn read(&self) -> Result<(HistoryFilter, Paging), ApiError> {
        let moment = |of, text: &Option<String>| match text {
            Some(text) => time(of, text).map(Some),
            None => Ok(None),
        };
        let filter = HistoryFilter {
            agent: name("agent", self.agent.as_deref(), AgentName::parse)?,
            approver: name("approver", self.approver.as_deref(), ApproverName::parse)?,
            answer: self.action.as_deref().map(answer).transpose()?,
            from: moment("query: from", &self.from)?,
            to: moment("query: to", &self.to)?,
        };
        Ok((filter, paging(self.after.as_deref(), self.limit)?))
    }

    pub(crate) fn wants_acts(&self) -> bool {
        self.acts == Some(true)
    }

    /// The same list from its beginning, with what was asked in words, as a query with its question mark.
    pub(crate) fn table(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let kept = self.kept().into_iter().filter(|(name, _)| *name != ACTS);
        query.extend_pairs(kept).append_pair(ACTS, "true");
        query.append_pair("limit", "200");
        format!("?{}", query.finish())
    }

    /// What it asks for besides the place in the list, as a query says it.
    pub(crate) fn kept(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("agent", &self.agent),
            ("approver", &self.approver),
            ("action", &self.action),
            ("from", &self.from),
            ("to", &self.to),
        ];
        let given = all.into_iter();
        let given = given.filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let acts = self.wants_acts().then_some((ACTS, "true"));
        given.chain(acts).collect()
    }
}

/// The member of a query that asks for the words of each request.
const ACTS: &str = "acts";

/// The word of each answer.
pub(crate) const ANSWERS: [(ApprovalStatus, &str); 4] = [
    (ApprovalStatus::Approved, "APPROVED"),
    (ApprovalStatus::Denied, "DENIED"),
    (ApprovalStatus::Expired, "EXPIRED"),
    (ApprovalStatus::Cancelled, "CANCELLED"),
];

fn answer(text: &str) -> Result<ApprovalStatus, ApiError> {
    let found = ANSWERS.iter().find(|(_, word)| *word == text);
    found.map(|(answer, _)| *answer).ok_or_else(|| {
        ApiError::bad_request("query: action must be APPROVED, DENIED, EXPIRED or CANCELLED")
    })
}

/// Answers, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryList {
    pub(crate) history: Vec<HistoryRow>,
    /// The ledger's size that this is as of.
    pub(crate) as_of: u64,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

impl HistoryList {
    pub(crate) fn of(history: Vec<HistoryRow>, as_of: u64, after: Option<u64>) -> Self {
        Self {
            history,
            as_of,
            next: next(after),
        }
    }
}

/// One question that was answered, or that ended without an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryRow {
    approval_id: String,
    /// `APPROVED`, `DENIED`, `EXPIRED` or `CANCELLED`. What became of an approval afterwards changes nothing in it.
    #[schema(example = "APPROVED")]
    action: &'static str,
    /// The kind of its subject: `apply`, `policy_change`, `schedule` or `review`.
    #[schema(example = "apply")]
    kind: String,
    /// Null where it was not about an apply.
    agent: Option<String>,
    /// Null where it was not about an apply.
    task_id: Option<String>,
    /// What was asked.
    operations: Vec<AskedOperation>,
    /// With `acts=true`: what was asked, as the heading of its page says it, within 400 bytes or so; absent where it
    /// cannot be read any more. Text: escape it where it is shown.
    #[schema(example = "Switch TLS off")]
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<String>,
    /// The same of the operation that a wrong answer costs most; absent where there is only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<String>,
    /// `safe`, `elevated` or `sensitive`: the highest of its operations; there where `act` is.
    #[schema(example = "sensitive")]
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<&'static str>,
    /// The principals who decided; none where nobody did.
    by: Vec<String>,
    /// The words of the person who decided; else the code of what ended it. Text: escape it where it is shown.
    reason: Option<String>,
    requested_at: String,
    decided_at: String,
    /// Whether the approval has been used for an apply.
    used: bool,
    /// Whether one person approved it alone in an emergency.
    break_glass: bool,
    /// The rules of the policy that asked; none where grants, risk or the document's default did.
    rules: Vec<String>,
    /// How long the decision holds, and for what else; null where nobody decided.
    retention: Option<HistoryRetention>,
    /// How long it was to be kept, from the decision on; null where it is for its question alone, ends with its task,
    /// or has no end.
    duration_seconds: Option<u64>,
    /// When it ends by itself; null as the duration is.
    until: Option<String>,
    /// The block that was set with the decision.
    block: Option<HistoryBlock>,
    /// The clearance that keeps the decision.
    clearance_id: Option<String>,
}

/// How long a decision holds, and for what else than its question.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryRetention {
    /// `once`: for its question alone; `cache`: for a time, or until its task closes; `permanent`.
    #[schema(example = "cache")]
    mode: String,
    /// `exact`: the same operations; `scope`: whatever their params. Null for `once`.
    breadth: Option<String>,
    /// `task` or `agent`. Null for `once`.
    binding: Option<String>,
}

impl HistoryRetention {
    fn of(kept: Option<&ClearanceView>) -> Self {
        Self {
            mode: kept.map_or("once", |kept| &kept.mode).to_owned(),
            breadth: kept.map(|kept| kept.breadth.clone()),
            binding: kept.map(|kept| kept.binding.clone()),
        }
    }

    /// `cache, exact, task`
    fn in_a_cell(&self) -> String {
        let parts = [
            Some(&self.mode),
            self.breadth.as_ref(),
            self.binding.as_ref(),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        parts.join(", ")
    }
}

/// A block that was set with a decision.
#[derive(Debug, Serialize, ToSchema)]
struct HistoryBlock {
    id: String,
    /// `agent`, `subject`, `address` or `asn`.
    #[schema(example = "address")]
    kind: String,
    /// Null for an agent that was erased.
    value: Option<String>,
}

impl From<ListedAdmission> for HistoryBlock {
    fn from(block: ListedAdmission) -> Self {
        Self {
            id: block.view.admission_id.to_string(),
            value: block.value(),
            kind: block.view.kind,
        }
    }
}

/// An operation that was asked for.
#[derive(Debug, Serialize, ToSchema)]
struct AskedOperation {
    operation_id: String,
    scope_type: String,
    scope_id: String,
}

impl From<Answered> for HistoryRow {
    fn from(answered: Answered) -> Self {
        Self::of(answered, None)
    }
}

impl HistoryRow {
    /// `acts`: the request in words, where that is asked for and can be read.
    pub(crate) fn of(answered: Answered, acts: Option<&Acts>) -> Self {
        let (view, kept) = (answered.approval, answered.kept);
        let answer = view.answer.unwrap_or(view.state);
        let word = ANSWERS.iter().find(|(one, _)| *one == answer);
        let operations = answered.apply.map(|apply| apply.operations);
        let operations = operations.unwrap_or_default();
        let is_decided = view.decided_at.is_some();
        let until = kept.as_ref().and_then(|kept| kept.until);
        let lasts = kept.as_ref().zip(until);
        Self {
            approval_id: view.id.to_string(),
            action: word.map_or("CANCELLED", |(_, word)| word),
            kind: view.kind,
            agent: view.agent.map(String::from),
            task_id: view.task_id.map(|task| task.to_string()),
            operations: operations
                .iter()
                .map(|it| AskedOperation {
                    operation_id: it.operation_id.to_string(),
                    scope_type: it.scope_type.to_string(),
                    scope_id: it.scope_id.to_string(),
                })
                .collect(),
            act: acts.map(|acts| acts.act.spelled_out()),
            first: acts.and_then(|acts| Some(acts.first.as_ref()?.spelled_out())),
            risk: acts.map(|acts| acts.risk.as_str()),
            by: answered.by.into_iter().map(Into::into).collect(),
            reason: if is_decided {
                view.decision_reason
            } else {
                view.end_reason
            },
            requested_at: view.created_at.to_string(),
            decided_at: view.answered_at.unwrap_or(view.updated_at).to_string(),
            used: view.consumed_by.is_some(),
            break_glass: view.break_glass,
            rules: view.rules,
            retention: is_decided.then(|| HistoryRetention::of(kept.as_ref())),
            duration_seconds: lasts.map(|(kept, until)| until.since(kept.made_at).as_secs()),
            until: until.map(|at| at.to_string()),
            block: answered.block.map(Into::into),
            clearance_id: kept.map(|kept| kept.clearance_id.to_string()),
        }
    }
}

/// The rows as RFC 4180 has them, with a line of names first. `with_acts`: the words of each request stand in the
/// last columns.
///
/// # Errors
/// [`ApiError::Internal`] where they cannot be written, which no row can cause.
pub(crate) fn csv(rows: &[HistoryRow], with_acts: bool) -> Result<Vec<u8>, ApiError> {
    let mut table = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let mut names = vec![
        "approval_id",
        "action",
        "agent",
        "task_id",
        "operations",
        "by",
        "reason",
        "requested_at",
        "decided_at",
        "used",
        "rules",
        "retention",
        "duration_seconds",
        "until",
        "block",
        "clearance_id",
        "kind",
        "break_glass",
    ];
    if with_acts {
        names.extend(["act", "first", "risk"]);
    }
    table.write_record(names).map_err(ApiError::internal)?;
    for row in rows {
        let operations = row.operations.iter();
        let operations: Vec<_> = operations
            .map(|it| format!("{} on {} {}", it.operation_id, it.scope_type, it.scope_id))
            .collect();
        let retention = row.retention.as_ref().map(HistoryRetention::in_a_cell);
        let lasts = row.duration_seconds.map(|seconds| seconds.to_string());
        let block = row.block.as_ref().map(|block| {
            let value = block.value.as_deref().unwrap_or("(erased)");
            format!("{} {value}", block.kind)
        });
        let operations = operations.join("\n");
        let by = row.by.join("\n");
        let rules = row.rules.join("\n");
        let (retention, lasts) = (retention.unwrap_or_default(), lasts.unwrap_or_default());
        let block = block.unwrap_or_default();
        let mut cells = vec![
            row.approval_id.as_str(),
            row.action,
            row.agent.as_deref().unwrap_or_default(),
            row.task_id.as_deref().unwrap_or_default(),
            &operations,
            &by,
            row.reason.as_deref().unwrap_or_default(),
            &row.requested_at,
            &row.decided_at,
            if row.used { "true" } else { "false" },
            &rules,
            &retention,
            &lasts,
            row.until.as_deref().unwrap_or_default(),
            &block,
            row.clearance_id.as_deref().unwrap_or_default(),
            &row.kind,
            if row.break_glass { "true" } else { "false" },
        ];
        if with_acts {
            let words = [row.act.as_deref(), row.first.as_deref(), row.risk];
            cells.extend(words.map(Option::unwrap_or_default));
        }
        let cells = cells.into_iter().map(cell);
        table.write_record(cells).map_err(ApiError::internal)?;
    }
    table.into_inner().map_err(ApiError::internal)
}

/// A cell that no program takes for a formula.
fn cell(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_begins_as_a_formula_does() {
        for begin in ["=HYPERLINK(\"a\")", "+1", "-1", "@a", "\ta", "\ra"] {
            assert_eq!(cell(begin), format!("'{begin}"));
        }
        for plain in ["", "a=1", "'=1", " =1"] {
            assert_eq!(cell(plain), plain);
        }
    }
}

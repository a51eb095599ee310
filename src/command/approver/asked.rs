//! The subject of a question as a person reads it at a terminal: everything that its page shows, in lines.
//!
//! Operations are read and described here, by this program, and their fingerprint is made anew: a service that shows other
//! operations than it asks to sign for is found out.

use super::{MOST, Question};
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown};
use anyhow::{Context, ensure};
use ledger::event::{AskedFrom, PreState};
use ledger::operation::{Before, Operation, WarningLevel, shown, shown_once};
use ledger::{AgentName, Fingerprint, LedgerId, Providers, Risk, Submission, TaskId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// The most characters of a line of a value.
const MOST_TEXT: usize = 2000;
/// The most lines of one value.
const MOST_LINES_OF_VALUE: usize = 60;
/// The most lines of one operation.
const MOST_LINES: usize = 300;
/// How often a request is repeated that came too early, and the pause before that.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// The member of an operation that has the request of a client as it came.
const FORWARD: &str = "forward";

/// A question, as the service tells it.
#[derive(Debug, Deserialize)]
struct Told {
    agent: Option<String>,
    apply_id: Option<String>,
    #[serde(default)]
    operations: Vec<Value>,
    pre_state: Option<StateBefore>,
    subject: Option<Subject>,
    client: Option<Client>,
    requirement: Option<Requirement>,
    evaluation: Option<Evaluation>,
    #[serde(default)]
    needs: Vec<Need>,
}

/// The subject of a question that is not about an apply, in words.
#[derive(Debug, Deserialize)]
struct Subject {
    lines: Vec<String>,
}

/// The state upstream before its operations.
#[derive(Debug, Deserialize)]
struct StateBefore {
    operations: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Client {
    address: Option<String>,
    country: Option<String>,
    city: Option<String>,
    asn: Option<u32>,
    isp: Option<String>,
    tls: Option<Certificate>,
}

#[derive(Debug, Deserialize)]
struct Certificate {
    subject: Option<String>,
    fingerprint: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Requirement {
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Evaluation {
    rules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Need {
    group: Group,
    n: u32,
    have: usize,
    assurance: String,
}

#[derive(Debug, Deserialize)]
struct Group {
    id: String,
    name: Option<String>,
}

/// The words of its agent, where it has some.
#[derive(Debug, Default, Deserialize)]
struct Words {
    reason: Option<String>,
    link: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct TaskNamed {
    task_name: Option<String>,
}

/// An operation, as this program reads it.
#[derive(Debug)]
enum Read {
    Known(Box<Operation>),
    /// This program does not read it, for this reason.
    Unknown(String),
}

/// The subject of a question.
#[derive(Debug)]
pub(super) struct Asked {
    told: Told,
    /// The whole answer of the service.
    pub(super) answer: Value,
    words: Words,
    task_name: Option<String>,
    operations: Vec<Read>,
}

impl Asked {
    /// Reads it from the service.
    pub(super) async fn read(client: &ApiClient, question: &Question) -> anyhow::Result<Self> {
        let id = &question.approval_id;
        let mut answer: Value = patiently(client, &["approvals", id]).await?;
        let told = Told::deserialize(&answer).context("the service's answer is not understood")?;
        let (words, task): (Words, TaskNamed) = match (&question.task_id, &told.apply_id) {
            (Some(task), Some(apply)) => (
                patiently(client, &["tasks", task, "applies", apply]).await?,
                patiently(client, &["tasks", task]).await?,
            ),
            _ => Default::default(),
        };
        if let Some(members) = answer.as_object_mut() {
            members.insert("reason".to_owned(), json!(words.reason));
            members.insert("link".to_owned(), json!(words.link));
            members.insert("task_name".to_owned(), json!(task.task_name));
        }
        Ok(Self::of(told, answer, words, task.task_name))
    }

    fn of(told: Told, answer: Value, words: Words, task_name: Option<String>) -> Self {
        let providers: Providers = providers::all();
        let read = told.operations.iter().map(|operation| {
            let read = providers.read_recorded(operation);
            read.map_or_else(
                |why| Read::Unknown(why.to_string()),
                |known| Read::Known(Box::new(known)),
            )
        });
        Self {
            operations: read.collect(),
            told,
            answer,
            words,
            task_name,
        }
    }

    /// Holds what is shown to the statement that is to be signed: its fingerprint is that of these operations.
    ///
    /// # Errors
    /// When it is of something else.
    pub(super) fn prove(&self, question: &Question, statement: &Value) -> anyhow::Result<()> {
        let Some(task_id) = &question.task_id else {
            return Ok(());
        };
        let text = |name: &str| statement.get(name).and_then(Value::as_str);
        let made = || -> anyhow::Result<String> {
            let ledger_id = text("ledger_id").unwrap_or_default();
            let ledger_id: LedgerId = ledger_id.parse()?;
            let task_id: TaskId = task_id.parse()?;
            let agent = self.told.agent.as_deref().unwrap_or_default();
            let submission = Submission {
                ledger_id,
                agent: AgentName::unchecked(agent),
                task_id,
                operations: self.told.operations.clone(),
            };
            Ok(Fingerprint::of(&submission.canonical_bytes()?).to_string())
        };
        let made = made().context("the service's operations are not understood")?;
        ensure!(
            text("fingerprint") == Some(&*made),
            "the service shows other operations than it asks to sign for: nothing is signed"
        );
        Ok(())
    }

    /// Whether one of its operations is sensitive, or may be. Much depends on whatever is not about an apply.
    pub(super) fn is_sensitive(&self) -> bool {
        let is_harmless = |read: &Read| match read {
            Read::Known(operation) => operation.entry.risk != Risk::Sensitive,
            Read::Unknown(_) => false,
        };
        self.operations.is_empty() || !self.operations.iter().all(is_harmless)
    }

    /// The state upstream, as statements are bound to it, and a line for each operation.
    pub(super) fn state(&self) -> (Vec<PreState>, Vec<String>) {
        let told = self.told.pre_state.as_ref();
        let told = told.map(|state| state.operations.as_slice());
        let told = told.unwrap_or_default();
        (
            told.iter().map(read_state).collect(),
            told.iter().map(ToString::to_string).collect(),
        )
    }

    /// The operations and their scopes in one line, for the question itself.
    pub(super) fn briefly(&self) -> String {
        const FEW: usize = 3;
        let named = self.told.operations.iter().map(named);
        let mut brief: Vec<String> = named.take(FEW).collect();
        let left = self.told.operations.len().saturating_sub(FEW);
        if left > 0 {
            brief.push(format!("{left} more that stand above"));
        }
        brief.join(", ")
    }

    /// Everything that is asked, line by line. No line has a character that moves the cursor.
    pub(super) fn lines(&self, question: &Question) -> Vec<String> {
        let mut lines = Vec::new();
        let mut put = |name: &str, text: &str| {
            lines.push(format!("{name:<10}{}", shown(text, MOST_TEXT)));
        };
        put(
            "agent",
            self.told.agent.as_deref().unwrap_or(question.kind()),
        );
        put("task", question.task());
        if let Some(name) = &self.task_name {
            put("named", name);
        }
        put("from", &self.origin());
        if let Some(evaluation) = &self.told.evaluation
            && !evaluation.rules.is_empty()
        {
            let reason = self.told.requirement.as_ref();
            let reason = reason.and_then(|requirement| requirement.reason.as_deref());
            let rules = evaluation.rules.join(", ");
            put(
                "rule",
                &match reason.filter(|reason| !reason.is_empty()) {
                    Some(reason) => format!("{rules}: {reason}"),
                    None => rules,
                },
            );
        }
        for need in &self.told.needs {
            let group = need.group.name.as_deref().unwrap_or(&need.group.id);
            let how = match need.assurance.as_str() {
                "any" => String::new(),
                other => format!(", each with a {other}"),
            };
            put(
                "needs",
                &format!("{} of {group}{how}; {} so far", need.n, need.have),
            );
        }
        if let Some(reason) = &self.words.reason {
            put("it says", reason);
        }
        if let Some(link) = &self.words.link {
            put("its link", link);
        }
        put("until", &question.expires_at);
        put("digest", &question.operation_fingerprint);
        for line in self.told.subject.iter().flat_map(|subject| &subject.lines) {
            lines.push(format!("what      {}", shown_once(line, MOST_TEXT)));
        }
        let all = self.operations.len();
        for (index, (told, read)) in self
            .told
            .operations
            .iter()
            .zip(&self.operations)
            .enumerate()
        {
            let state = self.told.pre_state.as_ref();
            let state = state.and_then(|state| state.operations.get(index));
            lines.push(format!("operation {} of {all}", index + 1));
            let of_it = operation_lines(told, read, state);
            lines.extend(cut(of_it, MOST_LINES, "of this operation"));
        }
        lines
    }

    /// Where the request came from, as far as the service knew it.
    fn origin(&self) -> String {
        let Some(client) = &self.told.client else {
            return "not known".to_owned();
        };
        let certificate = |part: fn(&Certificate) -> &Option<String>| {
            let certificate = client.tls.as_ref()?;
            part(certificate).clone()
        };
        let from = AskedFrom {
            address: client.address.clone(),
            country: client.country.clone(),
            city: client.city.clone(),
            asn: client.asn,
            isp: client.isp.clone(),
            tls_subject: certificate(|one| &one.subject),
            tls_fingerprint: certificate(|one| &one.fingerprint),
        };
        match from.in_words() {
            words if words.is_empty() => "not known".to_owned(),
            words => words,
        }
    }
}

/// Asks, and again where the service has no room for so many requests.
async fn patiently<T: DeserializeOwned>(client: &ApiClient, path: &[&str]) -> anyhow::Result<T> {
    let request = ApiRequest::get(path, Shown::Members);
    let mut tries = 1;
    loop {
        let answer = client.ask_json(&request).await;
        let is_early = |error: &anyhow::Error| {
            let refused = error.downcast_ref::<Refused>();
            refused.is_some_and(|refused| refused.status == 429)
        };
        match answer {
            Err(error) if tries < TRIES && is_early(&error) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
        tries += 1;
    }
}

fn read_state(told: &Value) -> PreState {
    match (told.get("found"), told.get("unavailable")) {
        (Some(found), _) => PreState::Found(found.to_string()),
        (None, Some(why)) => PreState::Unavailable(why.to_string()),
        (None, None) => PreState::NotApplicable,
    }
}

/// The operation and its scope.
fn named(told: &Value) -> String {
    let text = |name: &str| {
        let text = told.get(name).and_then(Value::as_str);
        shown(text.unwrap_or("?"), MOST)
    };
    format!(
        "{} on {} {}",
        text("operation_id"),
        text("scope_type"),
        text("scope_id")
    )
}

fn operation_lines(told: &Value, read: &Read, state: Option<&Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let empty = Value::Null;
    match read {
        Read::Known(operation) => {
            let entry = &operation.entry;
            let (level, risk) = (entry.level.as_str(), entry.risk.as_str());
            lines.push(format!("  {} ({level}, {risk})", named(told)));
            lines.push(format!("  {}", shown_once(&operation.summary(), MOST_TEXT)));
            let before = Before {
                state: state.and_then(|state| state.get("found")),
                name: None,
            };
            for warning in operation.warnings(&before) {
                let level = match warning.level {
                    WarningLevel::Danger => "DANGER",
                    WarningLevel::Look => "note",
                };
                lines.push(format!(
                    "  {level}: {}",
                    shown_once(&warning.text, MOST_TEXT)
                ));
            }
            for name in operation.lost(&before).keys() {
                lines.push(format!(
                    "  DANGER: it takes {} away",
                    shown(name, MOST_TEXT)
                ));
            }
        }
        Read::Unknown(why) => {
            lines.push(format!("  {}", named(told)));
            let why = shown(why, MOST_TEXT);
            lines.push(format!(
                "  DANGER: this program does not know what it does: {why}"
            ));
        }
    }
    flatten("params", told.get("params").unwrap_or(&empty), &mut lines);
    let Some(forward) = told.get(FORWARD) else {
        return lines;
    };
    let is_read = matches!(read, Read::Known(_));
    for (name, value) in forward.as_object().into_iter().flatten() {
        match (name.as_str(), value.as_str()) {
            // The params are read from it, or else say its length and digest.
            ("body" | "body_base64", Some(text)) if is_read => lines.push(format!(
                "  {FORWARD}.{name}: {} characters, which the params above say",
                text.chars().count()
            )),
            _ => flatten(&format!("{FORWARD}.{name}"), value, &mut lines),
        }
    }
    lines
}

/// A value, a line for each of its members.
fn flatten(path: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                flatten(&format!("{path}.{}", shown(name, MOST)), member, lines);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for (index, member) in list.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), member, lines);
            }
        }
        Value::String(text) if text.contains('\n') => {
            let count = text.chars().count();
            lines.push(format!("  {path}: a text of {count} characters"));
            let of_it = text.lines().map(|line| format!("  | {}", bounded(line)));
            lines.extend(cut(of_it.collect(), MOST_LINES_OF_VALUE, "of this text"));
        }
        Value::String(text) => {
            lines.push(format!("  {path} = {}", bounded(&json!(text).to_string())))
        }
        other => lines.push(format!("  {path} = {other}")),
    }
}

/// A text in one line, and how much of it is left out.
fn bounded(text: &str) -> String {
    let left = text.chars().count().saturating_sub(MOST_TEXT);
    let shown = shown(text, MOST_TEXT);
    match left {
        0 => shown,
        left => format!("{shown} [{left} more characters are left out: the page has them]"),
    }
}

/// The first lines, and how many are left out.
fn cut(mut lines: Vec<String>, most: usize, of_what: &str) -> Vec<String> {
    let left = lines.len().saturating_sub(most);
    if left > 0 {
        lines.truncate(most);
        lines.push(format!(
            "  [{left} more lines {of_what} are left out: the page has them]"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "019bf0a0-7c00-7001-8001-000000000002";
    const LEDGER: &str = "019bf0a0-7c00-7001-8001-000000000001";

    fn question() -> Question {
        Question {
            approval_id: "019bf0a0-7c00-7001-8001-00000000abcd".to_owned(),
            kind: None,
            task_id: Some(TASK.to_owned()),
            agent: Some("ci".to_owned()),
            operation_fingerprint: "00ff".to_owned(),
            expires_at: "2026-11-29T00:00:00Z".to_owned(),
            approval_url: None,
        }
    }

    fn asked(operations: Value) -> Asked {
        let answer = json!({
            "agent": "ci", "apply_id": null, "operations": operations, "pre_state": null, "subject": null,
            "client": {
                "address": "198.51.100.77", "country": "US", "city": null, "asn": 64500, "isp": "Other Net",
                "tls": {"subject": null},
            },
            "requirement": {"reason": "From abroad"}, "evaluation": {"rules": ["foreign"]}, "needs": [],
        });
        let words = Words {
            reason: Some("cleans up\u{1b}[2J".to_owned()),
            link: None,
        };
        let told = Told::deserialize(&answer).unwrap();
        Asked::of(told, answer, words, Some("a task".to_owned()))
    }

    fn purge(tag: &str) -> Value {
        json!({
            "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": "z1",
            "params": {"tags": [tag, "b"]},
        })
    }

    fn statement(operations: &Value) -> Value {
        let submission = Submission {
            ledger_id: LEDGER.parse().unwrap(),
            agent: AgentName::unchecked("ci"),
            task_id: TASK.parse().unwrap(),
            operations: operations.as_array().unwrap().clone(),
        };
        let fingerprint = Fingerprint::of(&submission.canonical_bytes().unwrap());
        json!({"ledger_id": LEDGER, "fingerprint": fingerprint.to_string()})
    }

    #[test]
    fn what_is_shown_is_what_is_signed() {
        let operations = json!([purge("a")]);
        let asked = asked(operations.clone());
        let question = question();
        asked.prove(&question, &statement(&operations)).unwrap();
        let another = statement(&json!([purge("everything")]));
        assert!(asked.prove(&question, &another).is_err());
    }

    #[test]
    fn everything_that_is_asked_stands_in_lines_that_move_no_cursor() {
        let asked = asked(json!([purge("a")]));
        let text = asked.lines(&question()).join("\n");
        for part in [
            "198.51.100.77, US, AS64500 (Other Net)",
            "foreign: From abroad",
            "cleans up",
            "a task",
            "cache.purge.execute on zone z1 (",
            "params.tags[1] = \"b\"",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            text.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert_eq!(asked.briefly(), "cache.purge.execute on zone z1");
    }

    #[test]
    fn what_is_too_long_is_cut_and_said_and_what_is_unknown_is_shown_as_it_came() {
        let script = "fetch('https://evil.example/')\n".repeat(100);
        let mut lines = Vec::new();
        flatten("params.script", &json!(script), &mut lines);
        assert_eq!(lines.len(), MOST_LINES_OF_VALUE + 2);
        assert!(lines[1].contains("evil.example"), "{}", lines[1]);
        assert!(lines.last().unwrap().contains("40 more lines"), "{lines:?}");
        let unknown = json!([{
            "operation_id": "shop.sell", "scope_type": "shop", "scope_id": "s1", "params": {"price": 1},
        }]);
        let asked = asked(unknown);
        assert!(asked.is_sensitive());
        let text = asked.lines(&question()).join("\n");
        assert!(
            text.contains("does not know") && text.contains("params.price = 1"),
            "{text}"
        );
        let long = "x".repeat(MOST_TEXT + 5);
        assert!(bounded(&long).contains("5 more characters"));
    }
}

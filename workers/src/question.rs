//! A question as people hear of it outside of its page: in callbacks, and in messages of the operator's.

use ledger::aggregate::{Apply, Approval, ApprovalState, Task, User};
use ledger::callback_report::SENT;
use ledger::event::{AskedSubject, ScheduleProposal};
use ledger::operation::{MARK, Operation, shown_once};
use ledger::policy::Exclusion;
use ledger::{ApprovalId, Error, Ledger, Providers, Purpose, Risk};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

/// How many operations are told in a sentence each; of what is left, the number.
const SENTENCES: usize = 20;
/// The longest sentence, in characters.
const LONGEST: usize = 300;

/// The addresses of questions' pages. Whoever has one may look, so none is ever recorded or logged.
#[derive(Clone)]
pub struct ApprovalUrls(Arc<dyn Fn(ApprovalId) -> String + Send + Sync>);

impl ApprovalUrls {
    /// The address of a question's page is what `url` gives.
    #[must_use]
    pub fn new(url: impl Fn(ApprovalId) -> String + Send + Sync + 'static) -> Self {
        Self(Arc::new(url))
    }

    pub(crate) fn of(&self, approval: ApprovalId) -> String {
        (self.0)(approval)
    }
}

impl fmt::Debug for ApprovalUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApprovalUrls")
    }
}

/// Who asks.
#[derive(Debug, Clone)]
pub(crate) enum Asker {
    /// An agent, in a task.
    Agent {
        /// Its name.
        name: String,
        /// The name of the task.
        task: String,
    },
    /// Users, by their names; nobody where it was wanted at the command line or with the service token.
    People(Vec<String>),
    /// Users who approved alone in an emergency, by their names.
    Deciders(Vec<String>),
}

/// A question, with what its page says of it first.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) asker: Asker,
    /// A sentence for each of the first operations, as the page has it. Nothing in them hides. Of what is not about an
    /// apply the wish comes first.
    pub(crate) summary: Vec<String>,
    /// How many operations there are.
    pub(crate) operations: usize,
    /// The highest of its operations; of a change of the policy nothing.
    pub(crate) risk: Option<Risk>,
    /// Where it stands.
    pub(crate) state: ApprovalState,
    /// The agent's own words.
    pub(crate) purpose: Purpose,
}

impl Question {
    /// The question as it is known now; `None` where there is none, or where a part of it was erased.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub(crate) async fn read(ledger: &Ledger, id: ApprovalId) -> Result<Option<Self>, Error> {
        let Some(approval) = Error::none_if_erased(ledger.load::<Approval>(id).await)? else {
            return Ok(None);
        };
        let asked = match (approval.apply(), approval.besides()) {
            (Some(asked), _) => asked,
            (None, Some(subject)) => {
                return Self::besides(ledger, &approval, subject).await.map(Some);
            }
            (None, None) => return Ok(None),
        };
        let task = Error::none_if_erased(ledger.load::<Task>(asked.task_id).await)?;
        let apply = Error::none_if_erased(ledger.load::<Apply>(asked.apply_id).await)?;
        let (Some(task), Some(apply)) = (task, apply) else {
            return Ok(None);
        };
        let providers = ledger.rules().providers.clone();
        let state = approval.state_at(ledger.now());
        // A request may have 10 MiB, and others wait for this thread.
        let made = tokio::task::spawn_blocking(move || {
            Self::of(&approval, &task, &apply, state, &providers)
        });
        Ok(made.await.unwrap_or_default())
    }

    /// A question that is not about an apply.
    async fn besides(
        ledger: &Ledger,
        approval: &Approval,
        subject: &AskedSubject,
    ) -> Result<Self, Error> {
        let mut names = Vec::new();
        let required = approval
            .policy
            .as_ref()
            .map(|asked| asked.requirement.get());
        let excluded = required.map_or(&[][..], |required| &required.exclude);
        // Whose agent it is does not want it for that.
        let wanted_by = excluded
            .iter()
            .filter(|one| one.why != Exclusion::AgentOwner);
        for one in wanted_by {
            let user = Error::none_if_erased(ledger.load::<User>(one.user_id).await)?;
            names.extend(user.map(|user| user.name.to_string()));
        }
        let mut question = Self {
            asker: Asker::People(Vec::new()),
            summary: vec![visible(&subject.act(), LONGEST)],
            operations: 1,
            risk: None,
            state: approval.state_at(ledger.now()),
            purpose: Purpose::default(),
        };
        match subject {
            AskedSubject::PolicyChange(_) => question.asker = Asker::People(names),
            AskedSubject::Schedule(schedule) => {
                question.asker = Asker::People(names);
                question.asks_for(&operations_of(ledger, schedule));
            }
            AskedSubject::Review(review) => {
                question.asker = Asker::Deciders(names);
                // It is about an apply.
                let about = Box::pin(Self::read(ledger, review.approval_id)).await?;
                if let Some(about) = about {
                    question.operations += about.operations;
                    question.risk = about.risk;
                    question.summary.extend(about.summary);
                    question.summary.truncate(SENTENCES);
                }
            }
        }
        Ok(question)
    }

    /// Takes in operations, each in a sentence with the scope that it acts on.
    fn asks_for(&mut self, operations: &[Operation]) {
        self.operations += operations.len();
        let risks = operations.iter().map(|operation| operation.entry.risk);
        self.risk = risks.max();
        let first = operations.iter().take(SENTENCES - 1);
        self.summary.extend(first.map(|operation| {
            let (id, scope) = (operation.entry.id, &operation.scope);
            let act = operation.summary();
            let (kind, on) = (scope.scope_type, &scope.id);
            visible(&format!("{id} on {kind} {on}: {act}"), LONGEST)
        }));
    }

    fn of(
        approval: &Approval,
        task: &Task,
        apply: &Apply,
        state: ApprovalState,
        providers: &Providers,
    ) -> Option<Self> {
        let operations = providers
            .read_submission(apply.submission.as_bytes())
            .ok()?;
        let sentence = |(index, operation): (usize, &Operation)| {
            let found = approval.found(index);
            let before = approval.before(operation, found.as_ref());
            visible(&operation.act(&before), LONGEST)
        };
        let risks = operations.iter().map(|operation| task.risk_of(operation));
        let first = operations.iter().take(SENTENCES).enumerate();
        Some(Self {
            asker: Asker::Agent {
                name: task.agent.as_str().to_owned(),
                task: task.name.clone(),
            },
            summary: first.map(sentence).collect(),
            operations: operations.len(),
            risk: Some(risks.fold(Risk::Safe, Risk::max)),
            state,
            purpose: apply.purpose.clone(),
        })
    }

    /// The first sentences, at most `most`, and of what is left the number.
    pub(crate) fn sentences(&self, most: usize) -> Vec<String> {
        let shown: Vec<String> = self.summary.iter().take(most).cloned().collect();
        let more = match self.operations.saturating_sub(shown.len()) {
            0 => None,
            1 => Some("and 1 more operation".to_owned()),
            more => Some(format!("and {more} more operations")),
        };
        shown.into_iter().chain(more).collect()
    }

    /// The JSON of an event, with the fields in its payload that tell of the question. What is there stays as it is.
    pub(crate) fn told_in(&self, event: &str, url: Option<String>) -> String {
        let Ok(mut told) = serde_json::from_str::<Value>(event) else {
            return event.to_owned();
        };
        let Some(payload) = told.get_mut("payload").and_then(Value::as_object_mut) else {
            return event.to_owned();
        };
        let (agent, task) = match &self.asker {
            Asker::Agent { name, task } => (Some(name), Some(task)),
            Asker::People(_) | Asker::Deciders(_) => (None, None),
        };
        let values = [
            json!(url),
            json!(self.sentences(SENTENCES)),
            json!(self.risk),
            json!(agent),
            json!(task),
        ];
        for (field, value) in SENT.iter().zip(values) {
            if !value.is_null() {
                payload.entry(field.name).or_insert(value);
            }
        }
        told.to_string()
    }
}

/// The operations that a schedule asks for; none where they cannot be read.
fn operations_of(ledger: &Ledger, schedule: &ScheduleProposal) -> Vec<Operation> {
    let said: Value = serde_json::from_str(&schedule.definition).unwrap_or_default();
    let list = said.get("operations").and_then(Value::as_array);
    let providers = &ledger.rules().providers;
    let read = list.into_iter().flatten().map(|one| providers.read(one));
    read.filter_map(Result::ok).collect()
}

/// The text on one line of at most `most` characters, an end that is cut off shown as `…`. What hides, breaks the line
/// or may be taken for something else is spelled as on the page, once.
pub(crate) fn visible(text: &str, most: usize) -> String {
    let spelled = shown_once(text, usize::MAX);
    let room = most.saturating_sub(1);
    let Some((end, _)) = spelled.char_indices().nth(room) else {
        return spelled;
    };
    let kept = spelled.get(..end).unwrap_or("");
    // Nothing that is spelled is cut in two.
    let kept = match kept.rfind(MARK) {
        Some(open) if !kept.get(open..).unwrap_or("").contains('›') => kept.get(..open),
        _ => Some(kept),
    };
    format!("{}…", kept.unwrap_or(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::callback_proof::SENT_FIELDS;

    fn question() -> Question {
        Question {
            asker: Asker::Agent {
                name: "deployer".to_owned(),
                task: "release".to_owned(),
            },
            summary: vec!["purge everything".to_owned()],
            operations: 1,
            risk: Some(Risk::Sensitive),
            state: ApprovalState::Pending,
            purpose: Purpose::default(),
        }
    }

    #[test]
    fn what_an_event_says_already_stays_as_it_is() {
        let event = r#"{"event_id":"e","event_type":"approval.pending","payload":{"agent":"other","apply_id":"a","n":1.50}}"#;
        let told = question().told_in(event, Some("https://p/a/x".to_owned()));
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(
            told,
            json!({"event_id": "e", "event_type": "approval.pending", "payload": {
                "agent": "other", "apply_id": "a", "n": 1.5, "task_name": "release",
                "summary": ["purge everything"], "risk": "sensitive", "approval_url": "https://p/a/x",
            }})
        );
        for odd in ["", "[]", "{\"payload\":7}"] {
            assert_eq!(question().told_in(odd, None), odd);
        }
    }

    /// Whoever verifies a callback leaves out these fields and no others.
    #[test]
    fn the_fields_that_are_added_are_those_that_no_proof_covers() {
        let url = Some("https://p/a/x".to_owned());
        let told: Value =
            serde_json::from_str(&question().told_in(r#"{"payload":{}}"#, url)).unwrap();
        let mut added: Vec<&str> = told["payload"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let mut unproven = SENT_FIELDS.to_vec();
        added.sort_unstable();
        unproven.sort_unstable();
        assert_eq!(added, unproven);
    }

    #[test]
    fn sentences_that_are_left_out_are_counted() {
        let many = Question {
            summary: vec!["one".to_owned(), "two".to_owned()],
            operations: 7,
            ..question()
        };
        assert_eq!(many.sentences(9), ["one", "two", "and 5 more operations"]);
        assert_eq!(many.sentences(1), ["one", "and 6 more operations"]);
        assert_eq!(question().sentences(9), ["purge everything"]);
    }

    #[test]
    fn what_hides_is_spelled_out_and_what_is_long_is_cut() {
        let hidden = "a\u{202e}b\nc\u{200b}\"d\\e\u{fc}";
        let spelled = "a‹U+202E›b‹U+000A›c‹U+200B›\"d\\e\u{fc}";
        assert_eq!(visible(hidden, 99), spelled);
        assert_eq!(visible(spelled, 99), spelled);
        assert_eq!(visible(hidden, 13), "a‹U+202E›b…");
        assert_eq!(visible("abcdef", 5), "abcd…");
        assert_eq!(visible("abcd", 5), "abcd");
        assert_eq!(visible("\u{202e}", 5), "…");
    }
}

//! `approver approve` and `approver deny`.

use super::asked::Asked;
use super::{Approver, MOST, Question, challenge_bytes, questions, read};
use crate::api_client::{ApiClient, ApiRequest, Refused, Shown};
use crate::cli::{ByKey, DecideArgs, Mode, Words};
use crate::command::tell_json;
use crate::output::{say, write_error};
use anyhow::{Context, bail, ensure};
use ledger::operation::{shown, shown_once};
use ledger::statement::PreStateDigest;
use ledger::{Decision, ReasonDigest, parse_strict, software_decision_message};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::process::ExitCode;

/// How long an approval is kept where nobody says, in seconds.
const KEPT_SECONDS: &str = "300";
/// So many characters at the end of an id are typed to approve what is sensitive.
const TYPED: usize = 6;
/// More than anybody types.
const MOST_TYPED: u64 = 1024;
/// The longest statement in words.
const MOST_MEANS: usize = 4000;
/// The most of a state that is shown.
const MOST_STATE: usize = 4000;

/// What the service asks to be signed.
#[derive(Deserialize)]
struct Options {
    challenge: String,
    statement: String,
    means: String,
}

/// Decides a question, which a person confirms.
pub(super) fn decide(args: ByKey<DecideArgs>, decision: Decision) -> anyhow::Result<ExitCode> {
    let words = Words::read(&args.asked.words, decision).map_err(anyhow::Error::msg)?;
    ensure!(
        args.asked.yes || !args.access.passphrase_stdin,
        "with --passphrase-stdin nobody can answer the question: --yes does"
    );
    let block = args.asked.block.as_deref();
    ensure!(
        block.is_none() || decision == Decision::Deny,
        "only a denial blocks what asked"
    );
    let block_for = args.asked.block_for.as_deref();
    let block = block.map(|kind| json!({"kind": kind, "duration": block_for}));
    let approver = Approver::open(&args.access)?;
    let done = crate::command::runtime()?.block_on(async {
        let client = approver.log_in().await?;
        let question = named(&client, &words.id).await?;
        let (options, retention) =
            asked(&client, &question, (decision, block.as_ref()), &words).await?;
        let wanted = Chosen {
            is_kept: retention,
            block: args.asked.block.as_deref(),
        };
        check(&options.statement, &question, decision, &words, &wanted)?;
        let subject = Asked::read(&client, &question).await?;
        let statement = parse_strict(options.statement.as_bytes());
        let statement = statement.context("the service's statement is not understood")?;
        subject.prove(&question, &statement)?;
        let state = bound_state(&subject, &statement)?;
        let is_sensitive = decision == Decision::Approve && subject.is_sensitive();
        let says = Says {
            question: &question,
            decision,
            means: &options.means,
            state: &state,
            subject: &subject.lines(&question),
            briefly: &subject.briefly(),
            kept: &in_words(&statement),
            reason: words.reason.as_deref(),
        };
        confirm(&says, is_sensitive, args.asked.yes)?;
        answer(&approver, &client, &question, (decision, &words), &options).await
    })?;
    match args.access.json {
        true => tell_json(&done),
        false => {
            let status = done.get("status").and_then(Value::as_str).unwrap_or("?");
            let id = done.get("approval_id").and_then(Value::as_str);
            say!("{} {}", shown(status, 40), shown(id.unwrap_or("?"), MOST));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The open question that has that part in its id.
async fn named(client: &ApiClient, part: &str) -> anyhow::Result<Question> {
    let listed = questions(client, None, None).await?;
    let mut found = Vec::new();
    for row in &listed.approvals {
        let question = read(row)?;
        if question.approval_id.contains(&part.to_lowercase()) {
            found.push(question);
        }
    }
    match found.as_slice() {
        [] => bail!("no open question has {part:?} in its id"),
        [one] => Ok(one.clone()),
        many => {
            let ids: Vec<String> = many
                .iter()
                .map(|one| shown(&one.approval_id, MOST))
                .collect();
            bail!(
                "{part:?} is in the ids of {} open questions: {}",
                ids.len(),
                ids.join(", ")
            )
        }
    }
}

/// A request behind the link of a question, at the address that was given for the service.
fn request(question: &Question, last: &str, body: Value) -> anyhow::Result<ApiRequest> {
    let url = question.approval_url.as_deref();
    let url = url.context("the service hands out no link to this question")?;
    let link = url.trim_end_matches('/').rsplit('/').next();
    let link = link.context("the link to this question is not understood")?;
    Ok(ApiRequest::post(
        &["approve", link, last],
        body,
        Shown::Members,
    ))
}

/// The options of the decision, and whether it is kept. Where nobody said, an approval is kept for a while where that
/// is offered.
async fn asked(
    client: &ApiClient,
    question: &Question,
    (decision, block): (Decision, Option<&Value>),
    words: &Words,
) -> anyhow::Result<(Options, bool)> {
    let is_kept = match (words.mode, &words.duration, decision) {
        (Some(Mode::Once), ..) => false,
        (Some(Mode::Cache), ..) | (None, Some(_), _) | (None, None, Decision::Approve) => true,
        (None, None, Decision::Deny) => false,
    };
    let is_chosen = words.mode.is_some() || words.duration.is_some();
    let body = |is_kept: bool| {
        let duration = words.duration.as_deref().unwrap_or(KEPT_SECONDS);
        let retention = is_kept.then(|| json!({"mode": "cache", "duration": duration}));
        json!({
            "decision": decision.as_str(), "reason": words.reason, "retention": retention,
            "block": block,
        })
    };
    let kept = client
        .ask_json(&request(question, "options", body(is_kept))?)
        .await;
    let is_not_offered = |error: &anyhow::Error| {
        let refused = error.downcast_ref::<Refused>();
        refused.is_some_and(|refused| refused.code == "retention_not_allowed")
    };
    match kept {
        Err(error) if is_kept && !is_chosen && is_not_offered(&error) => {
            let once = request(question, "options", body(false))?;
            Ok((client.ask_json(&once).await?, false))
        }
        kept => Ok((kept?, is_kept)),
    }
}

/// What was asked for besides the decision.
struct Chosen<'a> {
    is_kept: bool,
    /// The kind of what is blocked.
    block: Option<&'a str>,
}

/// Holds the statement to what was asked: nothing else is signed, whatever the service says.
fn check(
    statement: &str,
    question: &Question,
    decision: Decision,
    words: &Words,
    chosen: &Chosen<'_>,
) -> anyhow::Result<()> {
    let statement = parse_strict(statement.as_bytes());
    let statement = statement
        .ok()
        .context("the service's statement is not understood")?;
    let digest = words.reason.as_deref().map(ReasonDigest::of);
    let is = |name: &str, value: Value| statement.get(name) == Some(&value);
    let is_none = |name: &str| statement.get(name).is_none_or(Value::is_null);
    let block = statement.get("block").filter(|block| !block.is_null());
    let blocks = block.map(|block| block.get("kind").and_then(Value::as_str).unwrap_or("?"));
    // The first form is about applies only, and says no kind.
    let is_of_kind = match statement.get("kind") {
        None => question.kind() == "apply",
        Some(kind) => *kind == question.kind(),
    };
    let fits = is_of_kind
        && is("approval_id", json!(question.approval_id))
        && is("task_id", json!(question.task_id))
        && is("fingerprint", json!(question.operation_fingerprint))
        && is("decision", json!(decision.as_str()))
        && is(
            "reason_digest",
            json!(digest.map(|digest| digest.to_string())),
        )
        && is_none("retention") != chosen.is_kept
        && blocks == chosen.block
        && is_none("break_glass");
    ensure!(
        fits,
        "the service asks to sign something else than was asked for: nothing is signed"
    );
    Ok(())
}

/// The state upstream that the statement is bound to, a line for each operation; nothing where it is bound to none.
fn bound_state(subject: &Asked, statement: &Value) -> anyhow::Result<Vec<String>> {
    let digest = statement.get("pre_state_digest").and_then(Value::as_str);
    let Some(digest) = digest else {
        return Ok(Vec::new());
    };
    let (read, lines) = subject.state();
    ensure!(
        PreStateDigest::of(&read).to_string() == digest,
        "the service shows another state than it asks to sign: nothing is signed"
    );
    Ok(lines)
}

/// For how long, for which operations and for whom the statement keeps the decision, and what it blocks.
fn in_words(statement: &Value) -> String {
    let text = |of: &Value, name: &str| {
        let text = of.get(name).and_then(Value::as_str);
        text.map(|text| shown(text, MOST))
    };
    let there = |name: &str| statement.get(name).filter(|value| !value.is_null());
    let until = |of: &Value| {
        let until = text(of, "until");
        until.map_or_else(
            || "without an end".to_owned(),
            |until| format!("until {until}"),
        )
    };
    let kept = there("retention").map_or_else(
        || "once".to_owned(),
        |kept| {
            let breadth = match text(kept, "breadth").as_deref() {
                Some("exact") => "for exactly these operations",
                Some("scope") => "for these operations and scopes WITH ANY PARAMS",
                _ => "for operations that this program does not know how to name",
            };
            let binding = match text(kept, "binding").as_deref() {
                Some("task") => "in this task",
                Some("agent") if text(statement, "decision").as_deref() == Some("deny") => {
                    "in any task of the agent"
                }
                Some("agent") => "in any task of the agent with the same subject or key",
                _ => "for whom this program does not know",
            };
            format!("kept {} {breadth}, {binding}", until(kept))
        },
    );
    let block = there("block").map(|block| {
        let kind = text(block, "kind").unwrap_or_default();
        let value = text(block, "value").unwrap_or_default();
        format!(", and a block of {kind} {value} {}", until(block))
    });
    format!("{kept}{}", block.unwrap_or_default())
}

/// What a person is asked.
struct Says<'a> {
    question: &'a Question,
    decision: Decision,
    means: &'a str,
    /// The state upstream that an approval is bound to.
    state: &'a [String],
    /// Everything that is asked, line by line.
    subject: &'a [String],
    /// The operations and their scopes.
    briefly: &'a str,
    /// For how long the decision is kept.
    kept: &'a str,
    reason: Option<&'a str>,
}

impl Says<'_> {
    /// Everything that others have written is shown in one line each, without a character that moves the cursor; the
    /// question itself comes last.
    fn text(&self) -> String {
        let Self {
            question,
            decision,
            means,
            state,
            subject,
            briefly,
            kept,
            reason,
        } = self;
        let subject: String = subject.iter().map(|line| format!("{line}\n")).collect();
        let state = state
            .iter()
            .map(|read| format!("there now {}\n", shown(read, MOST_STATE)));
        let state: String = state.collect();
        let reason = reason.map_or(String::new(), |reason| {
            format!("reason    {}\n", shown(reason, 1000))
        });
        let what = match *briefly {
            "" => question.kind().to_owned(),
            briefly => briefly.to_owned(),
        };
        format!(
            "{subject}{state}{reason}means     {}\n{} {}: {}; {kept}",
            shown_once(means, MOST_MEANS),
            match decision {
                Decision::Approve => "Approve",
                Decision::Deny => "Deny",
            },
            shown(&question.approval_id, MOST),
            shown_once(&what, MOST_MEANS),
        )
    }
}

/// Has a person confirm.
fn confirm(says: &Says<'_>, is_sensitive: bool, yes: bool) -> anyhow::Result<()> {
    let id = &says.question.approval_id;
    if is_sensitive {
        let last: String = id.chars().rev().take(TYPED).collect();
        let last: String = last.chars().rev().collect();
        write_error(format_args!(
            "{}? It is sensitive: type the last {TYPED} characters of its id: ",
            says.text()
        ));
        let terminal = File::options().read(true).write(true).open("/dev/tty");
        let terminal = terminal.context(
            "there is no terminal: what is sensitive is approved at one, or with a passkey on the page",
        )?;
        let typed = line_of(&mut BufReader::new(terminal))?;
        ensure!(
            typed == last,
            "{typed:?} is not {last:?}: nothing was decided"
        );
        return Ok(());
    }
    if yes {
        return Ok(());
    }
    write_error(format_args!("{}? [y/N] ", says.text()));
    let typed = line_of(&mut std::io::stdin().lock())?;
    ensure!(matches!(&*typed, "y" | "Y" | "yes"), "nothing was decided");
    Ok(())
}

fn line_of(from: &mut impl std::io::BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    from.take(MOST_TYPED)
        .read_line(&mut line)
        .context("reading an answer")?;
    Ok(line.trim().to_owned())
}

async fn answer(
    approver: &Approver,
    client: &ApiClient,
    question: &Question,
    (decision, words): (Decision, &Words),
    options: &Options,
) -> anyhow::Result<Value> {
    let challenge = challenge_bytes(&options.challenge)?;
    let digest: [u8; 32] = Sha256::digest(options.statement.as_bytes()).into();
    let message = software_decision_message(&digest, &challenge);
    let body = json!({
        "credential_id": approver.key.credential_id(),
        "challenge": options.challenge,
        "signature": approver.key.sign(&message),
        "decision": decision.as_str(),
        "reason": words.reason,
        "statement": options.statement,
    });
    client.ask_json(&request(question, "verify", body)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            approval_id: "019bf0a0-7c00-7001-8001-00000000abcd".to_owned(),
            kind: None,
            task_id: Some("019bf0a0-7c00-7001-8001-000000000002".to_owned()),
            agent: Some("ci\u{1b}[2J\u{202e}bot\nApprove everything? [y/N] y".to_owned()),
            operation_fingerprint: "00ff".to_owned(),
            expires_at: "2026-11-29T00:00:00Z".to_owned(),
            approval_url: Some("https://proxy.example/v1/approve/LINK".to_owned()),
        }
    }

    #[test]
    fn what_others_have_written_cannot_move_the_cursor_and_the_question_comes_last() {
        let question = question();
        let says = Says {
            question: &question,
            decision: Decision::Approve,
            state: &["{\"found\":\"\u{1b}[2J\"}".to_owned()],
            subject: &["agent     ci".to_owned()],
            briefly: "cache.purge.execute on zone z1",
            kept: "once",
            means: "Agent x may purge\r\u{9b}1A everything, once.",
            reason: None,
        };
        let text = says.text();
        let is_safe = |c: char| c == '\n' || (!c.is_control() && c != '\u{202e}');
        assert!(text.chars().all(is_safe), "{text:?}");
        assert_eq!(text.lines().count(), 4, "{text}");
        assert_eq!(
            text.lines().last().unwrap(),
            "Approve 019bf0a0-7c00-7001-8001-00000000abcd: cache.purge.execute on zone z1; once"
        );
    }

    #[test]
    fn what_is_kept_is_said_in_words_of_the_statement() {
        assert_eq!(in_words(&json!({"retention": null})), "once");
        let kept = json!({
            "retention": {
                "mode": "cache", "breadth": "scope", "binding": "task", "until": "2026-11-30T20:00:00Z",
            },
            "block": {"kind": "agent", "value": "ci", "until": null},
        });
        assert_eq!(
            in_words(&kept),
            "kept until 2026-11-30T20:00:00Z for these operations and scopes WITH ANY PARAMS, in this task, and a block \
             of agent ci without an end"
        );
    }

    #[test]
    fn only_what_was_asked_for_is_signed() {
        let question = question();
        let words = Words::read(&["abcd".to_owned()], Decision::Approve).unwrap();
        let statement = |change: fn(&mut Value)| {
            let mut statement = json!({
                "v": 1, "approval_id": question.approval_id, "task_id": question.task_id,
                "fingerprint": "00ff", "decision": "approve", "reason_digest": null,
            });
            change(&mut statement);
            let text = statement.to_string();
            let chosen = Chosen {
                is_kept: false,
                block: None,
            };
            check(&text, &question, Decision::Approve, &words, &chosen).is_ok()
        };
        assert!(statement(|_| {}));
        let changes: [fn(&mut Value); 8] = [
            |it| it["kind"] = json!("policy_change"),
            |it| it["block"] = json!({"kind": "agent", "value": "x", "until": null}),
            |it| it["decision"] = json!("deny"),
            |it| it["approval_id"] = json!("another"),
            |it| it["fingerprint"] = json!("11ff"),
            |it| it["reason_digest"] = json!("00"),
            |it| it["retention"] = json!({"mode": "permanent"}),
            |it| it["break_glass"] = json!(true),
        ];
        for change in changes {
            assert!(!statement(change));
        }
    }
}

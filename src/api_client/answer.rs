//! Answers of the API as short lines.

use super::request::Shown;
use crate::output::{note, say};
use crate::terminal::say_link;
use anyhow::{Context, ensure};
use ledger::operation::{shown, shown_once};
use serde_json::{Map, Value};

/// The longest text of one member, in characters; ids and names are shorter.
const MOST_TEXT: usize = 500;
/// The same of a cell that tells what is asked, or what for.
const MOST_TOLD: usize = 60;
/// As many digits of an id as tell its moment.
const SHORT_ID: usize = 13;
/// The same of a link or key.
const MOST_SECRET: usize = 8192;

/// Prints an answer: as it is for programs, in lines for people.
///
/// # Errors
/// When it is not of the form that is expected.
pub(crate) fn show(form: Shown, body: &[u8], json: bool) -> anyhow::Result<()> {
    if body.is_empty() {
        if !json {
            say!("done");
        }
        return Ok(());
    }
    let answer: Value =
        serde_json::from_slice(body).context("the service's answer is not understood")?;
    if json {
        say!("{answer}");
        return Ok(());
    }
    match form {
        Shown::Rows(name, columns) => {
            let rows = answer.get(name).and_then(Value::as_array);
            let rows = rows.context("the service's answer holds no list")?;
            if rows.is_empty() {
                note!("no {}", spaced(name));
                return Ok(());
            }
            for line in lines(columns, rows) {
                say!("{line}");
            }
            if let Some(next) = answer.get("next").and_then(Value::as_str) {
                note!("more: --after {}", shown(next, MOST_TEXT));
            }
        }
        Shown::Members | Shown::Done => {
            for line in members(&answer, &[]) {
                say!("{line}");
            }
        }
        Shown::Secret(member) => {
            say_link(&shown(text_of(&answer, member)?, MOST_SECRET));
            for line in members(&answer, &[member]) {
                note!("{line}");
            }
            note!("this {member} is shown once", member = spaced(member));
        }
        Shown::Shell(variables) => {
            let lines = variables.iter();
            let lines = lines.map(|(variable, member)| assignment(variable, &answer, member));
            for line in lines.collect::<anyhow::Result<Vec<_>>>()? {
                say!("{line}");
            }
            let told: Vec<&str> = variables.iter().map(|(_, member)| *member).collect();
            for line in members(&answer, &told) {
                note!("{line}");
            }
        }
    }
    Ok(())
}

/// The rows under a head, each column as wide as its widest text.
fn lines(columns: &[&str], rows: &[Value]) -> Vec<String> {
    let head: Vec<String> = columns.iter().map(|column| spaced(column)).collect();
    let cells = |row: &Value| {
        let cell = |column: &&str| cell(column, row.get(column).unwrap_or(&Value::Null));
        columns.iter().map(cell).collect()
    };
    let table: Vec<Vec<String>> = std::iter::once(head)
        .chain(rows.iter().map(cells))
        .collect();
    let width = |at: usize| {
        let cells = table.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        line.trim_end().to_owned()
    };
    table.iter().map(line).collect()
}

/// The text of a member that the answer must have.
fn text_of<'a>(answer: &'a Value, member: &str) -> anyhow::Result<&'a str> {
    let text = answer.get(member).and_then(Value::as_str);
    text.with_context(|| format!("the answer holds no {member}"))
}

/// `NAME=VALUE`, of which a shell reads nothing but a value.
fn assignment(variable: &str, answer: &Value, member: &str) -> anyhow::Result<String> {
    let value = text_of(answer, member)?;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ensure!(
        value.bytes().all(is_plain),
        "the answer's {member} is not what it should be"
    );
    Ok(format!("{variable}={value}"))
}

fn members(answer: &Value, without: &[&str]) -> Vec<String> {
    let members = answer.as_object().into_iter().flatten();
    let shown = members.filter(|(name, _)| !without.contains(&name.as_str()));
    shown
        .map(|(name, value)| format!("{:<16} {}", spaced(&shown_name(name)), text(value)))
        .collect()
}

fn shown_name(name: &str) -> String {
    shown(name, 40)
}

fn spaced(name: &str) -> String {
    name.replace('_', " ")
}

/// A cell of a table: what agents and orchestrators wrote is cut, so that the columns after it stay in sight.
fn cell(column: &str, value: &Value) -> String {
    match (column, value) {
        // The service has spelled out what hides in it.
        ("act", Value::String(told)) => shown_once(told, MOST_TOLD),
        ("task_name" | "reason", Value::String(told)) => shown(told, MOST_TOLD),
        _ => text(value),
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => moment_or_text(text),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        Value::Object(members) => in_words(members),
        Value::Number(number) => number.to_string(),
    }
}

/// A moment as people read it; a text that is none, as it can be shown.
pub(crate) fn moment_or_text(text: &str) -> String {
    moment(text).unwrap_or_else(|| shown(text, MOST_TEXT))
}

/// `30 Nov 2026, 09:05:00 UTC` of a moment as the API writes it.
fn moment(text: &str) -> Option<String> {
    let is_one = text.ends_with('Z') && text.get(10..11) == Some("T");
    let at: jiff::Timestamp = text.parse().ok().filter(|_| is_one)?;
    Some(at.strftime("%-d %b %Y, %H:%M:%S UTC").to_string())
}

/// An object as people say it: a credential, an operation and its scope, the target of something; else its members.
fn in_words(members: &Map<String, Value>) -> String {
    let told = |name: &str| members.get(name).filter(|value| !value.is_null()).map(text);
    if let Some(id) = told("credential_id") {
        let kind = match members.get("public_key_format").and_then(Value::as_str) {
            Some("raw") => "command-line key",
            _ => "passkey",
        };
        let id: String = id.chars().take(SHORT_ID).collect();
        let status = told("status").filter(|status| status != "active");
        let status = status.map_or_else(String::new, |status| format!(" ({status})"));
        return format!("{kind} {id}…{status}");
    }
    if let Some(operation) = told("operation_id") {
        return match (told("scope_type"), told("scope_id")) {
            (Some(kind), Some(id)) if id == "*" => format!("{operation} on any {kind}"),
            (Some(kind), Some(id)) => format!("{operation} on {kind} {id}"),
            _ => operation,
        };
    }
    if let Some(kind) = told("kind").filter(|_| members.contains_key("id")) {
        return match told("id") {
            Some(id) => format!("{kind} {id}"),
            None => kind,
        };
    }
    let members = members.iter();
    let members =
        members.map(|(name, value)| format!("{} {}", spaced(&shown_name(name)), text(value)));
    members.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn no_cell_holds_json_or_a_moment_for_machines() {
        let passkey = json!({"credential_id": "AbCdEfGhIjKlMnOpQr", "status": "active",
            "algorithm": "ES256", "public_key_format": "cose", "public_key_thumbprint": "t"});
        let key = json!({"credential_id": "0123456789abcdef", "status": "revoked",
            "algorithm": "Ed25519", "public_key_format": "raw", "public_key_thumbprint": "t"});
        for (value, told) in [
            (
                json!("2026-11-30T09:05:00.123456Z"),
                "30 Nov 2026, 09:05:00 UTC",
            ),
            (json!("2026-11-30"), "2026-11-30"),
            (json!({"kind": "agent", "id": "ci"}), "agent ci"),
            (json!({"kind": "all", "id": null}), "all"),
            (
                json!([passkey, key]),
                "passkey AbCdEfGhIjKlM…, command-line key 0123456789abc… (revoked)",
            ),
            (
                json!([{"operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "*"}]),
                "ssl.mode.write on any zone",
            ),
            (
                json!({"apply_id": "a", "operation": "\u{1b}[2J"}),
                "apply id a, operation ‹U+001B›[2J",
            ),
        ] {
            assert_eq!(text(&value), told);
        }
        let long = cell("act", &json!("x".repeat(200)));
        assert_eq!(long.chars().count(), 61);
        assert_eq!(cell("act", &json!("a‹U+202E›b")), "a‹U+202E›b");
    }

    #[test]
    fn rows_stand_under_each_other_and_hide_nothing() {
        let rows = [
            json!({"name": "anna", "disabled": false, "groups": ["a", "b"], "more": 1}),
            json!({"name": "bo\u{1b}[2J", "disabled": true, "groups": [], "created_at": null}),
        ];
        let lines = lines(&["name", "disabled", "groups", "created_at"], &rows);
        assert_eq!(
            lines,
            [
                "name           disabled  groups  created at",
                "anna           no        a, b    -",
                "bo‹U+001B›[2J  yes       -       -",
            ]
        );
    }
}

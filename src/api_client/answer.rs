//! Answers of the API as short lines.

use super::request::Shown;
use crate::output::{note, say};
use crate::terminal::say_link;
use anyhow::{Context, ensure};
use ledger::operation::shown;
use serde_json::Value;

/// The longest text of one member, in characters; ids and names are shorter.
const MOST_TEXT: usize = 500;
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
        let cell = |column: &&str| text(row.get(column).unwrap_or(&Value::Null));
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

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) => shown(text, MOST_TEXT),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(", "),
        other => shown(&other.to_string(), MOST_TEXT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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

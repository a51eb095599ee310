//! The text of a document as values with the lines on which they stand, TOML and JSON alike.

use super::Format;
use super::problem::{Code, Problem, Problems};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Deepest nesting of tables and lists. A document needs four.
const MOST_DEPTH: usize = 16;

/// A value, and the line on which it begins.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) line: Option<u32>,
    /// The line on which its text begins: that of a text in three quotes may be the next one.
    pub(super) text_line: Option<u32>,
}

#[derive(Debug)]
pub(super) enum Value {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<(String, Node)>),
    /// Something else, by its name.
    Other(&'static str),
}

impl Value {
    /// What it is, for people.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(name) => name,
        }
    }
}

/// Reads a text of so many bytes at most as values.
///
/// # Errors
/// `too_long` and `too_deep`, which are checked before anything is parsed, and `syntax`.
pub(super) fn parse(source: &[u8], format: Format, most: usize) -> Result<Node, Vec<Problem>> {
    let mut problems = Problems::default();
    if source.len() > most {
        let message = format!(
            "a document has {most} bytes at most, this one {}",
            source.len()
        );
        problems.add(Code::TooLong, None, message);
        return Err(problems.found);
    }
    let root = match format {
        Format::Toml => toml_document(source, &mut problems),
        Format::Json => json_document(source, &mut problems),
    };
    match root {
        Some(root) if problems.found.is_empty() => Ok(root),
        _ => Err(problems.found),
    }
}

fn json_document(source: &[u8], problems: &mut Problems) -> Option<Node> {
    match ledger::parse_strict(source) {
        Ok(value) => from_json(value, problems),
        Err(error) => {
            problems.add(Code::Syntax, None, error.to_string());
            None
        }
    }
}

/// Values that were read as JSON before.
pub(super) fn from_json(value: serde_json::Value, problems: &mut Problems) -> Option<Node> {
    json_node(value, 0, problems)
}

fn json_node(value: serde_json::Value, depth: usize, problems: &mut Problems) -> Option<Node> {
    if depth > MOST_DEPTH {
        problems.add(Code::TooDeep, None, too_deep());
        return None;
    }
    let value = match value {
        serde_json::Value::Null => Value::Other("null"),
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map_or(Value::Other("a fraction"), Value::Int),
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(items) => {
            let items = items
                .into_iter()
                .map(|item| json_node(item, depth + 1, problems));
            Value::List(items.collect::<Option<_>>()?)
        }
        serde_json::Value::Object(fields) => {
            let fields = fields
                .into_iter()
                .map(|(key, value)| Some((key, json_node(value, depth + 1, problems)?)));
            Value::Table(fields.collect::<Option<_>>()?)
        }
    };
    Some(Node {
        value,
        line: None,
        text_line: None,
    })
}

fn toml_document(source: &[u8], problems: &mut Problems) -> Option<Node> {
    let text = match std::str::from_utf8(source) {
        Ok(text) => text,
        Err(error) => {
            let lines = Lines::of(source);
            let line = lines.at(error.valid_up_to());
            problems.add(Code::Syntax, Some(line), "the text is not UTF-8");
            return None;
        }
    };
    let lines = Lines::of(source);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let line = error.span().map(|span| lines.at(span.start));
        problems.add(Code::Syntax, line, error.message());
    }
    if !problems.found.is_empty() {
        return None;
    }
    let reader = TomlReader {
        text,
        lines: &lines,
    };
    let value = reader.table(table.get_ref(), 0, problems)?;
    Some(Node {
        value,
        line: Some(1),
        text_line: Some(1),
    })
}

struct TomlReader<'a> {
    text: &'a str,
    lines: &'a Lines,
}

impl TomlReader<'_> {
    fn table(&self, table: &DeTable<'_>, depth: usize, problems: &mut Problems) -> Option<Value> {
        let mut fields = table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref().clone().into_owned();
                let mut node = self.node(value, depth + 1, problems)?;
                // A table's span may be its header alone; a key says best where something is.
                let key_line = self.lines.at(key.span().start);
                if !matches!(node.value, Value::Text(_)) {
                    node.line = Some(key_line);
                }
                Some((key.span().start, name, node))
            })
            .collect::<Option<Vec<_>>>()?;
        fields.sort_by_key(|(start, _, _)| *start);
        Some(Value::Table(
            fields
                .into_iter()
                .map(|(_, name, node)| (name, node))
                .collect(),
        ))
    }

    fn node(
        &self,
        value: &Spanned<DeValue<'_>>,
        depth: usize,
        problems: &mut Problems,
    ) -> Option<Node> {
        let start = value.span().start;
        let line = Some(self.lines.at(start));
        if depth > MOST_DEPTH {
            problems.add(Code::TooDeep, line, too_deep());
            return None;
        }
        let read = match value.get_ref() {
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Other("an integer that is too large"), Value::Int),
            DeValue::String(text) => Value::Text(text.clone().into_owned()),
            DeValue::Float(_) => Value::Other("a float"),
            // As it is written with quotes around it.
            DeValue::Datetime(moment) => Value::Text(moment.to_string()),
            DeValue::Array(items) => {
                let items = items
                    .iter()
                    .map(|item| self.node(item, depth + 1, problems));
                Value::List(items.collect::<Option<_>>()?)
            }
            DeValue::Table(table) => self.table(table, depth, problems)?,
        };
        // Three quotes are followed by a line break that is not part of the text, where there is one.
        let rest = self.text.get(start..).unwrap_or_default();
        let after = rest
            .strip_prefix("'''")
            .or_else(|| rest.strip_prefix("\"\"\""));
        let on_next = after.is_some_and(|text| text.starts_with('\n') || text.starts_with("\r\n"));
        Some(Node {
            value: read,
            line,
            text_line: line.map(|line| line + u32::from(on_next)),
        })
    }
}

/// A value as JSON; `None` where it holds what is neither a text, an integer nor a truth value.
pub(super) fn to_json(node: &Node) -> Option<serde_json::Value> {
    Some(match &node.value {
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(items) => items.iter().map(to_json).collect::<Option<_>>()?,
        Value::Table(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| Some((key.clone(), to_json(value)?)));
            serde_json::Value::Object(fields.collect::<Option<_>>()?)
        }
        Value::Other(_) => return None,
    })
}

fn too_deep() -> String {
    format!("tables and lists are nested deeper than {MOST_DEPTH} levels")
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &[u8]) -> Self {
        let breaks = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        Self(breaks.map(|(at, _)| at + 1).collect())
    }

    /// The line of a byte, from 1.
    fn at(&self, offset: usize) -> u32 {
        let before = self.0.partition_point(|start| *start <= offset);
        u32::try_from(before + 1).unwrap_or(u32::MAX)
    }
}

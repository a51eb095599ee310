//! An operation's params, every one of them, as rows that a person can read.

use super::shown::ShownText;
use serde_json::Value;

/// One param: its name and its whole value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param {
    pub name: ShownText,
    pub value: ParamValue,
    /// The value that upstream has now, where that is known.
    pub now: Now,
    /// True when it holds something that is not known to this service and was passed on as it came.
    pub is_unchecked: bool,
}

/// How a param compares with what upstream has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    /// Nothing is known, or upstream has no such field.
    Unknown,
    Same,
    Other(ParamValue),
}

/// A value in the form that reads best; nothing is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParamValue {
    Text(ShownText),
    /// A number, true, false, null or an empty list or object, as in JSON; told apart from the text
    /// that looks the same.
    Literal(ShownText),
    /// Several lines of text: a script.
    Block(ShownText),
    List(Vec<ShownText>),
    /// Anything nested, as indented JSON.
    Json(ShownText),
}

/// A text this long is laid out as a block of its own.
const LONG_TEXT: usize = 300;

impl Param {
    /// The rows of a JSON object, in its order; another value than an object is one row named
    /// `value`. What is nested around a script gets a row for each of its parts
    /// (`modules[0].content`), so that the script is laid out as such and not as a JSON string.
    #[must_use]
    pub fn rows(params: &Value) -> Vec<Self> {
        let mut rows = Vec::new();
        match params {
            Value::Object(fields) => {
                for (name, value) in fields {
                    add(&mut rows, name.clone(), value);
                }
            }
            Value::Null => {}
            other => add(&mut rows, "value".to_owned(), other),
        }
        rows
    }
}

impl Param {
    /// True where the value, or the one that upstream has in its place, has this character.
    pub(super) fn holds(&self, character: char) -> bool {
        let now = match &self.now {
            Now::Other(value) => Some(value),
            Now::Unknown | Now::Same => None,
        };
        let is_in = |text: &ShownText| text.original().contains(character);
        [Some(&self.value), now]
            .into_iter()
            .flatten()
            .any(|value| match value {
                ParamValue::Text(text)
                | ParamValue::Literal(text)
                | ParamValue::Block(text)
                | ParamValue::Json(text) => is_in(text),
                ParamValue::List(items) => items.iter().any(is_in),
            })
    }

    /// A row for each field of an object, named `param.field`; the param as it is where it is none.
    pub(super) fn fields(self) -> Vec<Self> {
        let ParamValue::Json(text) = &self.value else {
            return vec![self];
        };
        let Ok(Value::Object(fields)) = serde_json::from_str(text.original()) else {
            return vec![self];
        };
        let name = self.name.original();
        let fields = fields.iter();
        fields
            .map(|(field, value)| Self {
                name: ShownText::line(format!("{name}.{field}")),
                value: ParamValue::from(value),
                now: Now::Unknown,
                is_unchecked: false,
            })
            .collect()
    }
}

/// The whole text of one row of [`Param::rows`], in its order: a script as it is, anything nested as JSON.
pub(crate) fn whole_param(params: Value, row: usize) -> Option<String> {
    let mut places = Vec::new();
    match &params {
        Value::Object(fields) => {
            for (name, value) in fields {
                walk(&mut |_, value| places.push(value), name.clone(), value);
            }
        }
        Value::Null => {}
        other => places.push(other),
    }
    match places.get(row)? {
        Value::String(text) => Some(text.clone()),
        nested => Some(format!("{nested:#}")),
    }
}

fn add(rows: &mut Vec<Param>, name: String, value: &Value) {
    walk(
        &mut |name, value| {
            rows.push(Param {
                name: ShownText::line(name),
                value: ParamValue::from(value),
                now: Now::Unknown,
                is_unchecked: false,
            });
        },
        name,
        value,
    );
}

fn walk<'v>(visit: &mut dyn FnMut(String, &'v Value), name: String, value: &'v Value) {
    match value {
        Value::Object(fields) if holds_long_text(value) || is_file(value) => {
            // What names a script comes before it, or it would be met only after many lines.
            for long in [false, true] {
                let fields = fields.iter();
                for (field, value) in fields.filter(|(_, value)| holds_long_text(value) == long) {
                    walk(visit, format!("{name}.{field}"), value);
                }
            }
        }
        Value::Array(items) if holds_long_text(value) || items.iter().any(is_file) => {
            for (index, item) in items.iter().enumerate() {
                walk(visit, format!("{name}[{index}]"), item);
            }
        }
        value => visit(name, value),
    }
}

/// True for a file, whose content is text of its own and never a JSON string.
fn is_file(value: &Value) -> bool {
    let content = |field| value.get(field).is_some_and(Value::is_string);
    content("name") && (content("content") || content("content_base64"))
}

fn is_long(text: &str) -> bool {
    text.contains('\n') || text.len() > LONG_TEXT
}

fn holds_long_text(value: &Value) -> bool {
    match value {
        Value::String(text) => is_long(text),
        Value::Array(items) => items.iter().any(holds_long_text),
        Value::Object(fields) => fields.values().any(holds_long_text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

impl ParamValue {
    /// The note on look-alike characters, over all of the value.
    #[must_use]
    pub fn lookalikes(&self) -> Option<String> {
        match self {
            Self::Text(text) | Self::Literal(text) | Self::Block(text) | Self::Json(text) => {
                text.lookalikes()
            }
            Self::List(items) => {
                let last = items.last().and_then(ShownText::lookalikes_of_list);
                if let Some(of_all) = last {
                    return of_all.map(str::to_owned);
                }
                let all: Vec<&str> = items.iter().map(ShownText::original).collect();
                ShownText::block(all.join("\n")).lookalikes()
            }
        }
    }
}

impl From<&Value> for ParamValue {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) if is_long(text) => Self::Block(ShownText::block(text.as_str())),
            Value::String(text) => Self::Text(ShownText::line(text.as_str())),
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                Self::Literal(ShownText::line(value.to_string()))
            }
            Value::Array(items) if items.is_empty() => Self::Literal(ShownText::line("[]")),
            Value::Object(fields) if fields.is_empty() => Self::Literal(ShownText::line("{}")),
            Value::Array(items) => match texts(items) {
                Some(items) => Self::List(items),
                None => Self::json(value),
            },
            Value::Object(_) => Self::json(value),
        }
    }
}

impl ParamValue {
    fn json(value: &Value) -> Self {
        Self::Json(ShownText::block(format!("{value:#}")))
    }
}

/// The items when each is a text of one line and there is at least one.
fn texts(items: &[Value]) -> Option<Vec<ShownText>> {
    let texts: Option<Vec<_>> = items
        .iter()
        .map(|item| item.as_str().map(ShownText::line))
        .collect();
    texts.filter(|texts| !texts.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_value_gets_the_form_that_reads_best() {
        let rows = Param::rows(&json!({
            "a": "one line", "b": "two\nlines", "c": 60, "d": true, "e": ["x", "y"],
            "f": [{"g": 1}], "h": "true", "i": [],
        }));
        let forms: Vec<_> = rows
            .iter()
            .map(|row| match row.value {
                ParamValue::Text(_) => 't',
                ParamValue::Literal(_) => 'l',
                ParamValue::Block(_) => 'b',
                ParamValue::List(_) => 's',
                ParamValue::Json(_) => 'j',
            })
            .collect();
        assert_eq!(forms, ['t', 'b', 'l', 'l', 's', 'j', 't', 'l']);
    }

    #[test]
    fn a_nested_script_is_laid_out_as_a_script() {
        let rows = Param::rows(&json!({"modules": [
            {"name": "a.mjs", "content": "one\ntwo"}, {"name": "b.txt", "content": "short"},
        ]}));
        let names: Vec<_> = rows.iter().map(|row| format!("{:?}", row.name)).collect();
        assert_eq!(
            names,
            [
                "\"modules[0].name\"",
                "\"modules[0].content\"",
                "\"modules[1].content\"",
                "\"modules[1].name\""
            ]
        );
        assert_eq!(
            rows[1].value,
            ParamValue::Block(ShownText::block("one\ntwo"))
        );
    }

    #[test]
    fn nested_values_are_complete() {
        let rows = Param::rows(&json!({"rule": {"action": "skip", "expression": "true"}}));
        let ParamValue::Json(text) = &rows[0].value else {
            panic!("not JSON")
        };
        assert!(text == "{\n  \"action\": \"skip\",\n  \"expression\": \"true\"\n}");
    }
}

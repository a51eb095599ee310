//! One table of a document, key by key. What is wrong with a value is said, and a stand-in goes on: the
//! document is refused in the end, with everything that is wrong with it.

use super::duration;
use super::problem::{Code, Problems, quoted};
use super::source::{Node, Value};
use std::ops::RangeInclusive;

/// A table whose keys are asked for by name. Those that nobody asked for are refused by [`Self::finish`].
pub(super) struct Fields<'a> {
    fields: &'a [(String, Node)],
    asked: Vec<&'static str>,
    /// The line on which the table begins.
    pub(super) line: Option<u32>,
}

impl<'a> Fields<'a> {
    /// The value must be a table.
    pub(super) fn of(node: &'a Node, what: &str, problems: &mut Problems) -> Option<Self> {
        let Value::Table(fields) = &node.value else {
            let message = format!("{what} must be a table, not {}", node.value.kind());
            problems.add(Code::BadValue, node.line, message);
            return None;
        };
        Some(Self {
            fields,
            asked: Vec::new(),
            line: node.line,
        })
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let found = self.fields.iter().find(|(name, _)| name == key);
        found.map(|(_, node)| node)
    }

    /// The line of a key, else that of the table.
    pub(super) fn line_of(&self, key: &str) -> Option<u32> {
        let found = self.fields.iter().find(|(name, _)| name == key);
        found.map_or(self.line, |(_, node)| node.line)
    }

    /// Every key with its value.
    pub(super) fn entries(&self) -> &'a [(String, Node)] {
        self.fields
    }

    /// Says that a key is missing where it is, with that message.
    pub(super) fn must_have(&self, key: &str, message: impl Into<String>, problems: &mut Problems) {
        if self.fields.iter().all(|(name, _)| name != key) {
            problems.add(Code::BadValue, self.line, message);
        }
    }

    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a str> {
        let node = self.get(key)?;
        text_of(node, key, problems)
    }

    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<bool> {
        let node = self.get(key)?;
        let Value::Bool(truth) = node.value else {
            let message = format!("{key} must be true or false, not {}", node.value.kind());
            problems.add(Code::BadValue, node.line, message);
            return None;
        };
        Some(truth)
    }

    pub(super) fn number(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        problems: &mut Problems,
    ) -> Option<u32> {
        let node = self.get(key)?;
        let number = match node.value {
            Value::Int(number) => u32::try_from(number).ok(),
            _ => None,
        };
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            let message = format!("{key} must be a whole number {least}..{most}");
            problems.add(Code::BadValue, node.line, message);
        }
        number
    }

    /// A length of time in seconds; `bounds` says the range for people.
    pub(super) fn seconds(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u32>,
        bounds: &str,
        problems: &mut Problems,
    ) -> Option<u32> {
        let node = self.get(key)?;
        let seconds = match &node.value {
            Value::Int(number) => u32::try_from(*number).ok(),
            Value::Text(text) => duration::seconds(text),
            _ => None,
        };
        let seconds = seconds.filter(|seconds| range.contains(seconds));
        if seconds.is_none() {
            let message = format!(
                "{key} must be a time from {bounds}, such as \"10m\" or \"1d\", or whole seconds"
            );
            problems.add(Code::BadValue, node.line, message);
        }
        seconds
    }

    /// One of the words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        problems: &mut Problems,
    ) -> Option<T> {
        let node = self.get(key)?;
        let text = text_of(node, key, problems)?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            let message = format!(
                "{key} must be one of {}, not {}",
                known.join(", "),
                quoted(text)
            );
            problems.add(Code::BadValue, node.line, message);
        }
        found.map(|(_, meaning)| *meaning)
    }

    pub(super) fn list(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        problems: &mut Problems,
    ) -> Option<&'a [Node]> {
        let node = self.get(key)?;
        list_of(node, key, length, problems)
    }

    /// A list of texts, with their lines.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        length: RangeInclusive<usize>,
        problems: &mut Problems,
    ) -> Option<Vec<(&'a str, Option<u32>)>> {
        let items = self.list(key, length, problems)?;
        let texts = items.iter().map(|item| {
            Some((
                text_of(item, &format!("an entry of {key}"), problems)?,
                item.line,
            ))
        });
        // Each of them is looked at, so that each problem is said.
        let texts: Vec<_> = texts.collect();
        texts.into_iter().collect()
    }

    /// Refuses every key that nobody asked for.
    pub(super) fn finish(self, what: &str, problems: &mut Problems) {
        for (key, node) in self.fields {
            if !self.asked.contains(&key.as_str()) {
                let known = self.asked.join(", ");
                let message = format!("{what} has no key {}; its keys are {known}", quoted(key));
                problems.add(Code::UnknownKey, node.line, message);
            }
        }
    }
}

pub(super) fn text_of<'a>(node: &'a Node, what: &str, problems: &mut Problems) -> Option<&'a str> {
    let Value::Text(text) = &node.value else {
        let message = format!("{what} must be a string, not {}", node.value.kind());
        problems.add(Code::BadValue, node.line, message);
        return None;
    };
    Some(text)
}

pub(super) fn list_of<'a>(
    node: &'a Node,
    what: &str,
    length: RangeInclusive<usize>,
    problems: &mut Problems,
) -> Option<&'a [Node]> {
    let Value::List(items) = &node.value else {
        let message = format!("{what} must be a list, not {}", node.value.kind());
        problems.add(Code::BadValue, node.line, message);
        return None;
    };
    if !length.contains(&items.len()) {
        let (least, most) = (length.start(), length.end());
        let code = if items.len() > *most {
            Code::TooLong
        } else {
            Code::BadValue
        };
        let message = format!(
            "{what} must have {least}..{most} entries, not {}",
            items.len()
        );
        problems.add(code, node.line, message);
        return None;
    }
    Some(items)
}

//! Strict reading of one JSON object: every field is asked for by name, what nobody asked for is
//! refused by name.

use super::InvalidOperation;
use super::shown::shown_name;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// One JSON object that is being read. `null` counts as absent: clients that write every optional
/// field send it for the ones they leave out.
pub(super) struct Fields<'a> {
    path: String,
    object: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value must be an object.
    pub(super) fn of(value: &'a Value, path: impl Into<String>) -> Result<Self, InvalidOperation> {
        let path = path.into();
        match value.as_object() {
            Some(object) => Ok(Self {
                path,
                object,
                asked: Vec::new(),
            }),
            None => Err(InvalidOperation::new(path, "must be a JSON object")),
        }
    }

    /// The JSON path of one field.
    pub(super) fn path(&self, name: &str) -> String {
        format!("{}.{name}", self.path)
    }

    /// Refuses one field.
    pub(super) fn refuse(&self, name: &str, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.path(name), problem)
    }

    /// Refuses the object as a whole.
    pub(super) fn refuse_all(&self, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.path.clone(), problem)
    }

    /// Whether the field is there, without counting as having asked for it.
    pub(super) fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    pub(super) fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.object.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn required(&mut self, name: &'static str) -> Result<&'a Value, InvalidOperation> {
        self.value(name)
            .ok_or_else(|| self.refuse(name, "is required"))
    }

    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, InvalidOperation> {
        self.value(name)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.refuse(name, "must be a string"))
            })
            .transpose()
    }

    pub(super) fn required_text(
        &mut self,
        name: &'static str,
    ) -> Result<&'a str, InvalidOperation> {
        self.text(name)?
            .ok_or_else(|| self.refuse(name, "is required"))
    }

    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<bool>, InvalidOperation> {
        self.value(name)
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| self.refuse(name, "must be true or false"))
            })
            .transpose()
    }

    /// A whole number within the range; `60.0` is 60.
    pub(super) fn integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, InvalidOperation> {
        self.value(name)
            .map(|value| {
                whole_number(value)
                    .filter(|number| range.contains(number))
                    .ok_or_else(|| {
                        self.refuse(
                            name,
                            format!("must be a whole number {}..{}", range.start(), range.end()),
                        )
                    })
            })
            .transpose()
    }

    /// A list with so many items, each with its own path.
    pub(super) fn list(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Result<Option<Vec<(String, &'a Value)>>, InvalidOperation> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let items = value
            .as_array()
            .ok_or_else(|| self.refuse(name, "must be a list"))?;
        if !count.contains(&items.len()) {
            return Err(self.refuse(
                name,
                format!(
                    "must have {}..{} entries, has {}",
                    count.start(),
                    count.end(),
                    items.len()
                ),
            ));
        }
        let path = self.path(name);
        Ok(Some(
            items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("{path}[{index}]"), item))
                .collect(),
        ))
    }

    /// A list of strings, each of them accepted by `check` (which says what is wrong).
    pub(super) fn texts(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> Result<Option<Vec<String>>, InvalidOperation> {
        let Some(items) = self.list(name, count)? else {
            return Ok(None);
        };
        items
            .into_iter()
            .map(|(path, item)| {
                let text = item
                    .as_str()
                    .ok_or_else(|| InvalidOperation::new(path.clone(), "must be a string"))?;
                check(text).map_err(|problem| InvalidOperation::new(path, problem))?;
                Ok(text.to_owned())
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Refuses the first field that nobody asked for.
    pub(super) fn finish(self) -> Result<(), InvalidOperation> {
        match self
            .object
            .keys()
            .find(|name| !self.asked.contains(&name.as_str()))
        {
            None => Ok(()),
            Some(name) => Err(self.refuse(
                &shown_name(name),
                format!("unknown field; known here: {}", self.asked.join(", ")),
            )),
        }
    }
}

/// The value as a whole number within ±2^53, whichever way it is written.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    const EXACT: i64 = 1 << 53;
    let number = match value.as_i64() {
        Some(number) => number,
        None => {
            let float = value.as_f64().filter(|float| float.fract() == 0.0)?;
            format!("{float:.0}").parse().ok()?
        }
    };
    (-EXACT..=EXACT).contains(&number).then_some(number)
}

/// A JSON value with every whole number written as an integer, so that equal values are equal.
pub(super) fn normalised(value: &Value) -> Value {
    match value {
        Value::Number(_) => whole_number(value).map_or_else(|| value.clone(), Value::from),
        Value::Array(items) => items.iter().map(normalised).collect(),
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| (name.clone(), normalised(value)))
            .collect(),
        Value::Null | Value::Bool(_) | Value::String(_) => value.clone(),
    }
}

/// Accepts text of so many characters without control characters (tab and line breaks included).
pub(super) fn plain_text(text: &str, length: RangeInclusive<usize>) -> Result<(), String> {
    let count = text.chars().count();
    if !length.contains(&count) {
        return Err(format!(
            "must have {}..{} characters",
            length.start(),
            length.end()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok(())
}

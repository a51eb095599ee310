//! Reading of one JSON object: every field that is known here is asked for by name. What nobody asked
//! for is either passed on as it is and marked as unchecked ([`Fields::rest`]), or refused by name
//! ([`Fields::finish`]) where nothing of the request would carry it.

use super::InvalidOperation;
use super::shown::{is_plain, shown_name};
use super::unchecked::Unchecked;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ops::RangeInclusive;

/// Longest name of a field that is passed on, in characters.
const LONGEST_NAME: usize = 128;

/// The places of one operation's params that were passed on unchecked.
#[derive(Default)]
pub struct Marks(RefCell<Vec<Unchecked>>);

impl Marks {
    /// All of them, each once, in an order that does not depend on how they were found.
    pub fn into_places(self) -> Vec<Unchecked> {
        let mut places = self.0.into_inner();
        places.sort();
        places.dedup();
        places
    }
}

/// One value with the place where it stands.
#[derive(Clone)]
pub struct At<'a> {
    /// The value.
    pub value: &'a Value,
    place: Unchecked,
    marks: &'a Marks,
}

impl<'a> At<'a> {
    /// The value must be an object.
    pub fn fields(self) -> Result<Fields<'a>, InvalidOperation> {
        match self.value.as_object() {
            Some(object) => Ok(Fields {
                place: self.place,
                object,
                asked: Vec::new(),
                marks: self.marks,
            }),
            None => Err(self.refuse("must be a JSON object")),
        }
    }

    /// Refuses the value.
    pub fn refuse(&self, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.place.path(), problem)
    }

    /// Refuses one field of the value, which is an object.
    pub fn refuse_field(&self, name: &str, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.place.field(name).path(), problem)
    }

    /// Marks the value as unchecked.
    pub fn mark(&self) {
        self.marks.0.borrow_mut().push(self.place.clone());
    }
}

/// One JSON object that is being read. `null` counts as absent for the fields that are known here:
/// clients that write every optional field send it for the ones they leave out.
pub struct Fields<'a> {
    place: Unchecked,
    object: &'a Map<String, Value>,
    asked: Vec<&'static str>,
    marks: &'a Marks,
}

impl<'a> Fields<'a> {
    /// The params of an operation, which must be an object.
    pub fn params(value: &'a Value, marks: &'a Marks) -> Result<Self, InvalidOperation> {
        let place = Unchecked::params();
        At {
            value,
            place,
            marks,
        }
        .fields()
    }

    /// The JSON path of one field.
    pub fn path(&self, name: &str) -> String {
        self.place.field(name).path().to_owned()
    }

    /// Refuses one field.
    pub fn refuse(&self, name: &str, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.path(name), problem)
    }

    /// Refuses the object as a whole.
    pub fn refuse_all(&self, problem: impl Into<String>) -> InvalidOperation {
        InvalidOperation::new(self.place.path(), problem)
    }

    /// Marks one field as unchecked.
    pub fn mark(&self, name: &str) {
        self.marks.0.borrow_mut().push(self.place.field(name));
    }

    /// True when the field is there, without counting as having asked for it.
    pub fn has(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(|value| !value.is_null())
    }

    /// A field's value.
    pub fn value(&mut self, name: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&name) {
            self.asked.push(name);
        }
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// A field's value with its place.
    pub fn at(&mut self, name: &'static str) -> Option<At<'a>> {
        let value = self.value(name)?;
        Some(At {
            value,
            place: self.place.field(name),
            marks: self.marks,
        })
    }

    /// A field that is an object.
    pub fn object(&mut self, name: &'static str) -> Result<Option<Fields<'a>>, InvalidOperation> {
        self.at(name).map(At::fields).transpose()
    }

    /// A field's value, which must be there.
    pub fn required(&mut self, name: &'static str) -> Result<&'a Value, InvalidOperation> {
        self.value(name)
            .ok_or_else(|| self.refuse(name, "is required"))
    }

    /// A text.
    pub fn text(&mut self, name: &'static str) -> Result<Option<&'a str>, InvalidOperation> {
        self.value(name)
            .map(|value| {
                value
                    .as_str()
                    .ok_or_else(|| self.refuse(name, "must be a string"))
            })
            .transpose()
    }

    /// A text, which must be there.
    pub fn required_text(&mut self, name: &'static str) -> Result<&'a str, InvalidOperation> {
        self.text(name)?
            .ok_or_else(|| self.refuse(name, "is required"))
    }

    /// True or false.
    pub fn flag(&mut self, name: &'static str) -> Result<Option<bool>, InvalidOperation> {
        self.value(name)
            .map(|value| {
                value
                    .as_bool()
                    .ok_or_else(|| self.refuse(name, "must be true or false"))
            })
            .transpose()
    }

    /// A whole number within the range; `60.0` is 60.
    pub fn integer(
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

    /// A list with so many items, each with its own place.
    pub fn list(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
    ) -> Result<Option<Vec<At<'a>>>, InvalidOperation> {
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
        let (list, marks) = (self.place.field(name), self.marks);
        let item = |(index, value)| At {
            value,
            place: list.item(index),
            marks,
        };
        Ok(Some(items.iter().enumerate().map(item).collect()))
    }

    /// A list of strings, each of them accepted by `check` (which says what is wrong).
    pub fn texts(
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
            .map(|item| {
                let text = item.value.as_str();
                let text = text.ok_or_else(|| item.refuse("must be a string"))?;
                check(text).map_err(|problem| item.refuse(problem))?;
                Ok(text.to_owned())
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of texts of which `known` names those that this service knows; others are marked.
    pub fn open_texts(
        &mut self,
        name: &'static str,
        count: RangeInclusive<usize>,
        known: &[&str],
    ) -> Result<Option<Vec<String>>, InvalidOperation> {
        for item in self.list(name, count.clone())?.into_iter().flatten() {
            if item
                .value
                .as_str()
                .is_some_and(|text| !known.contains(&text))
            {
                item.mark();
            }
        }
        self.texts(name, count, |text| plain_text(text, 1..=256))
    }

    /// A text that is marked where `known` does not name it.
    pub fn open_text(
        &mut self,
        name: &'static str,
        known: &[&str],
    ) -> Result<Option<&'a str>, InvalidOperation> {
        let text = self.plain(name, 1..=256)?;
        if text.is_some_and(|text| !known.contains(&text)) {
            self.mark(name);
        }
        Ok(text)
    }

    /// A text as [`plain_text`] accepts it.
    pub fn plain(
        &mut self,
        name: &'static str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<&'a str>, InvalidOperation> {
        let text = self.text(name)?;
        if let Some(text) = text {
            plain_text(text, length).map_err(|problem| self.refuse(name, problem))?;
        }
        Ok(text)
    }

    /// Everything that nobody asked for, as it is but for the spelling of numbers, and marked as
    /// unchecked.
    pub fn rest(self) -> Result<Map<String, Value>, InvalidOperation> {
        let mut rest = Map::new();
        let unknown = self
            .object
            .iter()
            .filter(|(name, _)| !self.asked.contains(&name.as_str()));
        for (name, value) in unknown {
            let fits = (1..=LONGEST_NAME).contains(&name.chars().count());
            if !fits || !is_plain(name) {
                return Err(self.refuse(
                    &shown_name(name),
                    format!(
                        "the name of a field has 1..{LONGEST_NAME} characters, all of them visible"
                    ),
                ));
            }
            self.mark(name);
            rest.insert(name.clone(), normalised(value));
        }
        Ok(rest)
    }

    /// Refuses the first field that nobody asked for: nothing of the request would carry it.
    pub fn finish(self) -> Result<(), InvalidOperation> {
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
pub fn whole_number(value: &Value) -> Option<i64> {
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
pub fn normalised(value: &Value) -> Value {
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
pub fn plain_text(text: &str, length: RangeInclusive<usize>) -> Result<(), String> {
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

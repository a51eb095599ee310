//! All that is wrong with one operation of a request.

use super::InvalidOperation;
use crate::provider::Providers;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The most mistakes that are told of one operation.
const MOST: usize = 12;
/// Of an operation with more text than this the first mistake alone is told: it would be read many times.
const MOST_BYTES: usize = 256 * 1024;
/// Stands in the place of a text that is missing or wrong, so that the rest can be judged.
const STAND_IN: &str = "x";

/// How a mistake was mended before the operation was read again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mended {
    TakenOut,
    StoodIn,
}

impl Providers {
    /// Everything that is wrong with an operation of a request, the first as [`Self::read`] and
    /// [`Operation::check_asked`](super::Operation::check_asked) tell it; none where it may be asked for. It is read again
    /// without what is wrong, so what depends on a wrong part is not judged.
    #[must_use]
    pub fn mistakes(&self, operation: &Value) -> Vec<InvalidOperation> {
        let mut left = Reduced::of(operation);
        let mut mended: HashMap<String, Mended> = HashMap::new();
        let mut found: Vec<InvalidOperation> = Vec::new();
        let most = match text_in(operation) {
            0..=MOST_BYTES => MOST,
            _ => 1,
        };
        while let Err(why) = self.check(&left.operation) {
            let place = left.place_in_request(&why.path);
            let next = match mended.get(&place) {
                // It is required, and nothing that could stand in its place is known here.
                Some(Mended::StoodIn) => None,
                Some(Mended::TakenOut) => left.put_in(&why.path, STAND_IN),
                // That a part is empty or missing now follows from what was taken out of it.
                None if found.iter().any(|known| are_related(&known.path, &place)) => None,
                None => {
                    found.push(InvalidOperation::new(place.clone(), why.problem));
                    match found.len() < most {
                        true => self.mend(&mut left, &why.path),
                        false => None,
                    }
                }
            };
            match next {
                Some(how) => mended.insert(place, how),
                None => break,
            };
        }
        found
    }

    fn check(&self, operation: &Value) -> Result<(), InvalidOperation> {
        self.read(operation).and_then(|read| read.check_asked())
    }

    fn mend(&self, left: &mut Reduced, path: &str) -> Option<Mended> {
        if path == "scope_type" {
            let id = left.operation.get("operation_id").and_then(Value::as_str)?;
            let right = self.entry(id).ok()?.scope_type;
            return left.put_in(path, right.as_str());
        }
        left.take_out(path).or_else(|| left.put_in(path, STAND_IN))
    }
}

/// True where one of two places is in the other.
fn are_related(one: &str, other: &str) -> bool {
    let is_in = |inner: &str, outer: &str| {
        let rest = inner.strip_prefix(outer);
        rest.is_some_and(|rest| rest.starts_with(['.', '[']))
    };
    is_in(one, other) || is_in(other, one)
}

/// The bytes of all texts in a value.
fn text_in(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(text_in).sum(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| name.len() + text_in(value))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// An operation from which parts were taken out.
struct Reduced {
    operation: Value,
    /// Entries that lists lack, by where those stand in the request; in order.
    gone: BTreeMap<String, Vec<usize>>,
}

/// A step of a path: `params`, `rules`, `[3]`.
#[derive(Clone, Copy)]
enum Step<'a> {
    Field(&'a str),
    Entry(usize),
}

impl Reduced {
    fn of(operation: &Value) -> Self {
        Self {
            operation: operation.clone(),
            gone: BTreeMap::new(),
        }
    }

    /// The place in the request of what stands here now.
    fn place_in_request(&self, path: &str) -> String {
        let Some(steps) = steps(path) else {
            return path.to_owned();
        };
        let mut place = String::new();
        for step in steps {
            match step {
                Step::Field(name) => {
                    if !place.is_empty() {
                        place.push('.');
                    }
                    place.push_str(name);
                }
                Step::Entry(index) => {
                    let index = self.index_in_request(&place, index);
                    place.push_str(&format!("[{index}]"));
                }
            }
        }
        place
    }

    fn index_in_request(&self, list: &str, index: usize) -> usize {
        let gone = self.gone.get(list).map_or(&[][..], Vec::as_slice);
        gone.iter().fold(index, |index, gone| match *gone <= index {
            true => index + 1,
            false => index,
        })
    }

    /// Takes a field or an entry out; `None` where there is none.
    fn take_out(&mut self, path: &str) -> Option<Mended> {
        let steps = steps(path)?;
        let (last, before) = steps.split_last()?;
        match (parent(&mut self.operation, before)?, *last) {
            (Value::Object(fields), Step::Field(name)) => {
                fields.remove(name)?;
            }
            (Value::Array(items), Step::Entry(index)) => {
                if index >= items.len() {
                    return None;
                }
                items.remove(index);
                let (list, _) = path.rsplit_once('[')?;
                let list = self.place_in_request(list);
                let index = self.index_in_request(&list, index);
                let gone = self.gone.entry(list).or_default();
                gone.push(index);
                gone.sort_unstable();
            }
            _ => return None,
        }
        Some(Mended::TakenOut)
    }

    /// Puts a text in the place of a field; `None` where there can be none.
    fn put_in(&mut self, path: &str, text: &str) -> Option<Mended> {
        let steps = steps(path)?;
        let (last, before) = steps.split_last()?;
        match (parent(&mut self.operation, before)?, *last) {
            (Value::Object(fields), Step::Field(name)) => {
                fields.insert(name.to_owned(), Value::from(text));
                Some(Mended::StoodIn)
            }
            _ => None,
        }
    }
}

fn parent<'v>(value: &'v mut Value, steps: &[Step<'_>]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |value, step| match *step {
        Step::Field(name) => value.get_mut(name),
        Step::Entry(index) => value.get_mut(index),
    })
}

/// The steps of a path; `None` where it is none of plain names.
fn steps(path: &str) -> Option<Vec<Step<'_>>> {
    let mut steps = Vec::new();
    for part in path.split('.') {
        let (name, mut entries) = match part.find('[') {
            Some(at) => part.split_at(at),
            None => (part, ""),
        };
        steps.push(Step::Field(name));
        while let Some(rest) = entries.strip_prefix('[') {
            let (index, rest) = rest.split_once(']')?;
            steps.push(Step::Entry(index.parse().ok()?));
            entries = rest;
        }
        if !entries.is_empty() {
            return None;
        }
    }
    Some(steps)
}

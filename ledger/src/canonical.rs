//! Strict JSON in, canonical JSON out.
//!
//! What people approve, what is compared and what is signed is JSON, so two readers must never see
//! two things in the same bytes. [`parse_strict`] therefore takes the I-JSON part of JSON only
//! (RFC 7493): UTF-8, no duplicate keys, no number that a double cannot hold. [`canonicalise`] writes
//! the one form that RFC 8785 (JCS) gives every such value.
//!
//! JCS knows one kind of number, so `60` and `60.0` are the same. That is settled at parsing: a number
//! without a fractional part becomes an integer, and typed readers of the [`Value`] see `60` however
//! it was written.

mod mistakes;
mod number;
mod path;
mod strict;
mod typed;

use path::{Step, shown_path};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};
use serde_json::Value;
use std::cell::RefCell;

/// How many arrays and objects may stand inside one another in what is sent to us.
pub const MAX_DEPTH: usize = 64;

/// The same in what the program puts together: what was sent has room in it.
const MAX_MADE_DEPTH: usize = MAX_DEPTH + 8;

/// The largest integer, of either sign, that is taken: 2^53. Beyond it a double skips integers.
pub const MAX_INTEGER: u64 = 1 << 53;

/// Longest text of a problem found by a typed reader; it may name an unknown field.
const MAX_PROBLEM_CHARS: usize = 300;

/// Why bytes or a value were refused. The texts are for the caller who sent them, and refused applies
/// are recorded with them: they name places and keys, and never quote a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrictJsonError {
    /// Not JSON: a syntax error, bytes that are not UTF-8, a lone surrogate, or data after the end.
    #[error("not valid JSON: {problem}")]
    Syntax {
        /// The mistake, with line and column.
        problem: String,
    },
    /// A key stands twice in one object.
    #[error("{}this key is there more than once", before(path))]
    DuplicateKey {
        /// The key, as a path from the root: `operations[0].params.ttl`.
        path: String,
    },
    /// A number that not every reader would read as the same number.
    #[error("{}numbers beyond ±2^53 are not exact in JSON", before(path))]
    Number {
        /// Where it stands.
        path: String,
    },
    /// A number with more digits than a double holds, so that it would be read as another.
    #[error(
        "{}the number has more digits than are kept: write it as it is meant",
        before(path)
    )]
    Inexact {
        /// Where it stands.
        path: String,
    },
    /// Arrays and objects are nested too deeply.
    #[error("{}nested deeper than {most} levels", before(path))]
    Depth {
        /// Where the limit was passed.
        path: String,
        /// The limit: [`MAX_DEPTH`], and 8 more where the program put the value together.
        most: usize,
    },
    /// Valid JSON, but not what is expected here: an unknown or missing field, or a wrong type.
    #[error("{}{problem}", before(path))]
    Shape {
        /// Where it stands; `.` is the whole.
        path: String,
        /// The mistake; names the field.
        problem: String,
    },
}

/// The place as it stands before a problem; the whole needs no name.
fn before(path: &str) -> String {
    match path {
        "." => String::new(),
        _ => format!("{path}: "),
    }
}

/// Reads one JSON value and nothing else.
///
/// # Errors
/// See [`StrictJsonError`]; never its `Shape`.
pub fn parse_strict(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse_within(bytes, MAX_DEPTH)
}

/// Reads what [`canonicalise`] has written, as strictly.
///
/// # Errors
/// As [`parse_strict`].
pub(crate) fn parse_made(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    parse_within(bytes, MAX_MADE_DEPTH)
}

fn parse_within(bytes: &[u8], most: usize) -> Result<Value, StrictJsonError> {
    let refused = RefCell::new(None);
    let numbers = number::Written::in_text(bytes);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let seed = strict::Strict {
        at: &Step::Root,
        depth: 0,
        most,
        refused: &refused,
        numbers: &numbers,
    };
    let read = seed
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    read.map_err(|error| {
        refused
            .into_inner()
            .unwrap_or_else(|| StrictJsonError::Syntax {
                problem: error.to_string(),
            })
    })
}

/// Reads one JSON value of a known shape, as strictly as [`parse_strict`].
///
/// Unknown fields are refused where `T` says so (`deny_unknown_fields`), and a struct is never read
/// from an array.
///
/// # Errors
/// See [`StrictJsonError`].
pub fn deserialize_strict<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StrictJsonError> {
    let value = typed::Typed(parse_strict(bytes)?);
    serde_path_to_error::deserialize(value)
        .map_err(|error| mistakes::shape(shown_path(error.path()), &error.inner().to_string()))
}

/// The longest text of which more than the first mistake is told, in bytes: it is read once more for each.
const MAX_TOLD_WHOLE: usize = 64 * 1024;

/// As [`deserialize_strict`], for who is told everything that is wrong at once.
///
/// # Errors
/// Every mistake in the shape, up to 16; one alone where it is no strict JSON, or longer than 64 KiB.
pub fn deserialize_strict_or_all_mistakes<T: DeserializeOwned>(
    bytes: &[u8],
) -> Result<T, Vec<StrictJsonError>> {
    let first = match deserialize_strict(bytes) {
        Ok(read) => return Ok(read),
        Err(first) => first,
    };
    let is_short = bytes.len() <= MAX_TOLD_WHOLE;
    let value = is_short.then(|| parse_strict(bytes).ok()).flatten();
    let all = value.map(mistakes::mistakes::<T>).unwrap_or_default();
    Err(if all.is_empty() { vec![first] } else { all })
}

/// The canonical bytes of a value (RFC 8785).
///
/// # Errors
/// `Number` for a value that [`parse_strict`] would refuse: it was put together in the program, and its canonical form
/// would not be its own. `Depth` for one that is nested deeper than what was sent, with 8 levels around it.
pub fn canonicalise(value: &Value) -> Result<Vec<u8>, StrictJsonError> {
    strict::check(value, &Step::Root, 0)?;
    written(value, is_plain(value))
}

/// The canonical bytes of a struct that holds a list of values, which are not copied for it. Its fields stand in the
/// order of their names, and besides the list they are texts and small integers.
///
/// # Errors
/// As [`canonicalise`] of the same object.
pub(crate) fn canonicalise_struct(
    whole: &impl Serialize,
    (name, list): (&str, &[Value]),
) -> Result<Vec<u8>, StrictJsonError> {
    let at = &Step::Key {
        above: &Step::Root,
        key: name,
    };
    for (index, value) in list.iter().enumerate() {
        // Inside the object and the list.
        strict::check(value, &Step::Index { above: at, index }, 2)?;
    }
    written(whole, list.iter().all(is_plain))
}

fn written(value: &impl Serialize, is_plain: bool) -> Result<Vec<u8>, StrictJsonError> {
    let written = if is_plain {
        serde_json::to_vec(value)
    } else {
        serde_json_canonicalizer::to_vec(value)
    };
    written.map_err(|error| StrictJsonError::Syntax {
        problem: error.to_string(),
    })
}

/// True when the ordinary writer's bytes are canonical already, which cost a fraction: numbers are
/// integers, and keys are ASCII, which is in the same order as bytes and as UTF-16. Both writers escape
/// the same characters in the same way.
fn is_plain(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => true,
        Value::Number(number) => !number.is_f64(),
        Value::Array(values) => values.iter().all(is_plain),
        Value::Object(values) => {
            values.keys().is_sorted()
                && values
                    .iter()
                    .all(|(key, value)| key.is_ascii() && is_plain(value))
        }
    }
}

#[cfg(test)]
mod tests;

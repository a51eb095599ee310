//! The reader behind [`super::parse_strict`]: builds a value and refuses what is not I-JSON.

use super::number::Written;
use super::path::Step;
use super::{MAX_INTEGER, MAX_MADE_DEPTH, StrictJsonError};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::cell::RefCell;
use std::fmt;

/// Reads the value at one place. What it refuses it leaves in `refused`, because the error type of
/// the JSON reader can carry text only.
pub(super) struct Strict<'a> {
    pub(super) at: &'a Step<'a>,
    pub(super) depth: usize,
    /// The most that it may come to.
    pub(super) most: usize,
    pub(super) refused: &'a RefCell<Option<StrictJsonError>>,
    /// The numbers of the text; each that is visited is the next one there.
    pub(super) numbers: &'a Written<'a>,
}

impl Strict<'_> {
    fn refuse<E: Error>(&self, why: StrictJsonError) -> E {
        let error = E::custom(&why);
        *self.refused.borrow_mut() = Some(why);
        error
    }

    fn enter<E: Error>(&self) -> Result<usize, E> {
        deeper(self.at, self.depth, self.most).map_err(|why| self.refuse(why))
    }

    fn integer<E: Error>(&self, magnitude: u64, number: Number) -> Result<Value, E> {
        if magnitude > MAX_INTEGER {
            return Err(self.refuse(StrictJsonError::Number {
                path: self.at.shown(),
            }));
        }
        Ok(Value::Number(number))
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.numbers.pass();
        self.integer(value, value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.numbers.pass();
        self.integer(value.unsigned_abs(), value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let written = self.numbers.next();
        match settle(written.unwrap_or(value)) {
            Some(_) if written.is_none() => Err(self.refuse(StrictJsonError::Inexact {
                path: self.at.shown(),
            })),
            Some(number) => Ok(Value::Number(number)),
            None => Err(self.refuse(StrictJsonError::Number {
                path: self.at.shown(),
            })),
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let depth = self.enter()?;
        let mut values = Vec::new();
        loop {
            let at = Step::Index {
                above: self.at,
                index: values.len(),
            };
            let seed = Strict {
                at: &at,
                depth,
                most: self.most,
                refused: self.refused,
                numbers: self.numbers,
            };
            match seq.next_element_seed(seed)? {
                Some(value) => values.push(value),
                None => {
                    // A list that grew has room for as many again.
                    values.shrink_to_fit();
                    return Ok(Value::Array(values));
                }
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let depth = self.enter()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let at = Step::Key {
                above: self.at,
                key: &key,
            };
            if values.contains_key(&key) {
                return Err(self.refuse(StrictJsonError::DuplicateKey { path: at.shown() }));
            }
            let value = map.next_value_seed(Strict {
                at: &at,
                depth,
                most: self.most,
                refused: self.refused,
                numbers: self.numbers,
            })?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

/// Refuses a value, put together in the program, whose canonical form would not be its own.
pub(super) fn check(value: &Value, at: &Step<'_>, depth: usize) -> Result<(), StrictJsonError> {
    match value {
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
        Value::Number(number) => {
            let exact = match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(value), ..) => value <= MAX_INTEGER,
                (_, Some(value), _) => value.unsigned_abs() <= MAX_INTEGER,
                (.., Some(value)) => settle(value).is_some(),
                (.., None) => false,
            };
            exact
                .then_some(())
                .ok_or_else(|| StrictJsonError::Number { path: at.shown() })
        }
        Value::Array(values) => {
            let depth = deeper(at, depth, MAX_MADE_DEPTH)?;
            values.iter().enumerate().try_for_each(|(index, value)| {
                check(value, &Step::Index { above: at, index }, depth)
            })
        }
        Value::Object(values) => {
            let depth = deeper(at, depth, MAX_MADE_DEPTH)?;
            values
                .iter()
                .try_for_each(|(key, value)| check(value, &Step::Key { above: at, key }, depth))
        }
    }
}

fn deeper(at: &Step<'_>, depth: usize, most: usize) -> Result<usize, StrictJsonError> {
    if depth < most {
        Ok(depth + 1)
    } else {
        let path = at.shown();
        Err(StrictJsonError::Depth { path, most })
    }
}

/// A number that was written with a fraction or an exponent: an integer when it has no fractional
/// part, refused from 2^53 on, where the text may have been rounded to a neighbouring integer.
fn settle(value: f64) -> Option<Number> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is a double")]
    const BOUND: f64 = MAX_INTEGER as f64;
    if !value.is_finite() || value.abs() >= BOUND {
        return None;
    }
    if value.fract() == 0.0 {
        #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

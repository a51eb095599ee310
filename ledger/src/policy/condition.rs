//! One condition, evaluated. What is true and what is false is said only where nothing unknown could change it.

use super::bounds::{MAX_COMPARED, MAX_LIST, MAX_MATCHED_BYTES, MAX_TEXT_BYTES};
use super::facts::Why;
use super::prepared::Patterns;
use super::tree::{Comparison, Expr, Quantifier, TextTest, Value};
use super::validate::read_block;
use crate::canonical::MAX_INTEGER;
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The value is not of a type that the operator takes.
const TYPE: Why = Why::Borrowed("type");
/// The value is larger than is looked through.
const TOO_LONG: Why = Why::Borrowed("too_long");
/// The object has no such field.
const ABSENT: Why = Why::Borrowed("absent");

/// A value as it stands where it was found, or the reason why there is none.
pub(super) type Result<'a> = std::result::Result<Seen<'a>, Why>;

/// A value, borrowed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Seen<'a> {
    Bool(bool),
    Int(i64),
    Text(&'a str),
    List(List<'a>),
    Map(Map<'a>),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum List<'a> {
    Of(&'a [Value]),
    Json(&'a [Json]),
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Map<'a> {
    Of(&'a BTreeMap<String, Value>),
    Json(&'a serde_json::Map<String, Json>),
}

/// Where the leaves of a condition come from.
pub(super) trait Leaves<'a> {
    /// A fact by its name.
    fn fact(&mut self, name: &'a str) -> Result<'a>;
    /// The params of the operation.
    fn params(&mut self) -> Result<'a>;
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Int(int) => Self::Int(*int),
            Value::Text(text) => Self::Text(text),
            Value::List(list) => Self::List(List::Of(list)),
            Value::Map(map) => Self::Map(Map::Of(map)),
        }
    }
}

impl<'a> Seen<'a> {
    /// A param. Numbers are integers as their canonical form says: what has a fraction, and `null`, are of no
    /// type here.
    pub(super) fn json(value: &'a Json) -> Result<'a> {
        Ok(match value {
            Json::Null => return Err(TYPE),
            Json::Bool(truth) => Self::Bool(*truth),
            Json::Number(number) => Self::Int(integer(number).ok_or(TYPE)?),
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(List::Json(list)),
            Json::Object(map) => Self::Map(Map::Json(map)),
        })
    }

    const fn bool(self) -> std::result::Result<bool, Why> {
        match self {
            Self::Bool(truth) => Ok(truth),
            _ => Err(TYPE),
        }
    }

    fn text(self, most: usize) -> std::result::Result<&'a str, Why> {
        match self {
            Self::Text(text) if text.len() > most => Err(TOO_LONG),
            Self::Text(text) => Ok(text),
            _ => Err(TYPE),
        }
    }

    const fn list(self) -> std::result::Result<List<'a>, Why> {
        match self {
            Self::List(list) if list.len() > MAX_LIST => Err(TOO_LONG),
            Self::List(list) => Ok(list),
            _ => Err(TYPE),
        }
    }

    const fn map(self) -> std::result::Result<Map<'a>, Why> {
        match self {
            Self::Map(map) => Ok(map),
            _ => Err(TYPE),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "it is within 2^53 of 0 and has no fraction"
)]
fn integer(number: &serde_json::Number) -> Option<i64> {
    let whole = |float: f64| float.fract() == 0.0 && float.abs() <= MAX_INTEGER as f64;
    let int = match number.as_i64() {
        Some(int) => int,
        None => number.as_f64().filter(|float| whole(*float))? as i64,
    };
    (int.unsigned_abs() <= MAX_INTEGER).then_some(int)
}

impl<'a> List<'a> {
    const fn len(self) -> usize {
        match self {
            Self::Of(list) => list.len(),
            Self::Json(list) => list.len(),
        }
    }

    fn get(self, at: usize) -> Option<Result<'a>> {
        match self {
            Self::Of(list) => list.get(at).map(|value| Ok(value.into())),
            Self::Json(list) => list.get(at).map(Seen::json),
        }
    }

    fn iter(self) -> impl Iterator<Item = Result<'a>> {
        (0..self.len()).map_while(move |at| self.get(at))
    }
}

impl<'a> Map<'a> {
    fn len(self) -> usize {
        match self {
            Self::Of(map) => map.len(),
            Self::Json(map) => map.len(),
        }
    }

    fn get(self, key: &str) -> Option<Result<'a>> {
        match self {
            Self::Of(map) => map.get(key).map(|value| Ok(value.into())),
            Self::Json(map) => map.get(key).map(Seen::json),
        }
    }

    fn has(self, key: &str) -> bool {
        match self {
            Self::Of(map) => map.contains_key(key),
            Self::Json(map) => map.contains_key(key),
        }
    }

    fn keys(self) -> Box<dyn Iterator<Item = &'a String> + 'a> {
        match self {
            Self::Of(map) => Box::new(map.keys()),
            Self::Json(map) => Box::new(map.keys()),
        }
    }
}

/// Evaluates conditions over leaves.
pub(super) struct Evaluator<'a, 'l, L> {
    pub(super) patterns: &'a Patterns,
    pub(super) leaves: &'l mut L,
}

impl<'a, L: Leaves<'a>> Evaluator<'a, '_, L> {
    /// Whether the condition holds.
    pub(super) fn holds(&mut self, condition: &'a Expr) -> std::result::Result<bool, Why> {
        self.eval(condition, None)?.bool()
    }

    fn eval(&mut self, expr: &'a Expr, element: Option<&Result<'a>>) -> Result<'a> {
        match expr {
            Expr::Literal(value) => Ok(value.into()),
            Expr::Fact(name) => self.leaves.fact(name),
            Expr::Params => self.leaves.params(),
            Expr::Element => element.cloned().unwrap_or(Err(TYPE)),
            Expr::Field(of, name) => {
                let map = self.eval(of, element)?.map()?;
                map.get(name).unwrap_or(Err(ABSENT))
            }
            Expr::Has(of, name) => {
                let map = self.eval(of, element)?.map()?;
                Ok(Seen::Bool(map.has(name)))
            }
            Expr::Not(part) => Ok(Seen::Bool(!self.eval(part, element)?.bool()?)),
            Expr::And(parts) => self.joined(parts, false, element),
            Expr::Or(parts) => self.joined(parts, true, element),
            Expr::If(condition, then, otherwise) => match self.eval(condition, element)?.bool()? {
                true => self.eval(then, element),
                false => self.eval(otherwise, element),
            },
            Expr::Compare(how, left, right) => {
                let left = self.eval(left, element)?;
                let right = self.eval(right, element)?;
                compare(*how, left, right).map(Seen::Bool)
            }
            Expr::In(value, of) => {
                let value = self.eval(value, element)?;
                let of = self.eval(of, element)?;
                is_in(value, of).map(Seen::Bool)
            }
            Expr::Size(of) => {
                let size = match self.eval(of, element)? {
                    text @ Seen::Text(_) => text.text(MAX_TEXT_BYTES)?.chars().count(),
                    Seen::List(list) => list.len(),
                    Seen::Map(map) => map.len(),
                    Seen::Bool(_) | Seen::Int(_) => return Err(TYPE),
                };
                i64::try_from(size).map(Seen::Int).map_err(|_| TOO_LONG)
            }
            Expr::Text(test, text, part) => {
                let text = self.eval(text, element)?.text(MAX_TEXT_BYTES)?;
                let part = self.eval(part, element)?.text(MAX_TEXT_BYTES)?;
                Ok(Seen::Bool(match test {
                    TextTest::StartsWith => text.starts_with(part),
                    TextTest::EndsWith => text.ends_with(part),
                    TextTest::Contains => text.contains(part),
                }))
            }
            Expr::Matches(text, pattern) => {
                let text = self.eval(text, element)?.text(MAX_MATCHED_BYTES)?;
                let pattern = self.patterns.get(pattern).ok_or(TYPE)?;
                Ok(Seen::Bool(pattern.is_match(text)))
            }
            Expr::InCidr(address, block) => {
                let address = self.eval(address, element)?.text(MAX_TEXT_BYTES)?;
                let address: IpAddr = address.parse().map_err(|_| TYPE)?;
                let block = read_block(block).map_err(|_| TYPE)?;
                Ok(Seen::Bool(block.contains(&address.to_canonical())))
            }
            Expr::Quantified(which, list, body) => self.quantified(*which, list, body, element),
        }
    }

    /// `||` of parts where `decided` is true, else `&&`: a part that is so decides, whatever is unknown.
    fn joined(
        &mut self,
        parts: &'a [Expr],
        decided: bool,
        element: Option<&Result<'a>>,
    ) -> Result<'a> {
        let mut unknown = None;
        for part in parts {
            match self.eval(part, element).and_then(Seen::bool) {
                Ok(truth) if truth == decided => return Ok(Seen::Bool(decided)),
                Ok(_) => {}
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        unknown.map_or(Ok(Seen::Bool(!decided)), Err)
    }

    fn quantified(
        &mut self,
        which: Quantifier,
        list: &'a Expr,
        body: &'a Expr,
        element: Option<&Result<'a>>,
    ) -> Result<'a> {
        let decided = which == Quantifier::Exists;
        let list = self.eval(list, element)?.list()?;
        let mut unknown = None;
        for element in list.iter() {
            match self.eval(body, Some(&element)).and_then(Seen::bool) {
                Ok(truth) if truth == decided => return Ok(Seen::Bool(decided)),
                Ok(_) => {}
                Err(why) => unknown = unknown.or(Some(why)),
            }
        }
        unknown.map_or(Ok(Seen::Bool(!decided)), Err)
    }
}

fn compare(how: Comparison, left: Seen<'_>, right: Seen<'_>) -> std::result::Result<bool, Why> {
    let order = match (how, left, right) {
        (Comparison::Equal, ..) => return equal(left, right, &mut 0),
        (Comparison::NotEqual, ..) => return Ok(!equal(left, right, &mut 0)?),
        (_, Seen::Int(left), Seen::Int(right)) => left.cmp(&right),
        (_, Seen::Text(left), Seen::Text(right)) => left.cmp(right),
        _ => return Err(TYPE),
    };
    Ok(match how {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Equal | Comparison::NotEqual => return Err(TYPE),
    })
}

/// Whether two values of one type are the same.
fn equal(left: Seen<'_>, right: Seen<'_>, compared: &mut usize) -> std::result::Result<bool, Why> {
    *compared = compared.saturating_add(1);
    if *compared > MAX_COMPARED {
        return Err(TOO_LONG);
    }
    match (left, right) {
        (Seen::Bool(left), Seen::Bool(right)) => Ok(left == right),
        (Seen::Int(left), Seen::Int(right)) => Ok(left == right),
        (Seen::Text(left), Seen::Text(right)) => Ok(left == right),
        (Seen::List(left), Seen::List(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            all_equal(left.iter().zip(right.iter()), compared)
        }
        (Seen::Map(left), Seen::Map(right)) => {
            if left.len() != right.len() || left.keys().any(|key| !right.has(key)) {
                return Ok(false);
            }
            let both = |key| Some((left.get(key)?, right.get(key)?));
            all_equal(left.keys().filter_map(|key| both(key)), compared)
        }
        _ => Err(TYPE),
    }
}

fn all_equal<'a>(
    pairs: impl Iterator<Item = (Result<'a>, Result<'a>)>,
    compared: &mut usize,
) -> std::result::Result<bool, Why> {
    let mut unknown = None;
    for (left, right) in pairs {
        match left.and_then(|left| equal(left, right?, compared)) {
            Ok(false) => return Ok(false),
            Ok(true) => {}
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    unknown.map_or(Ok(true), Err)
}

fn is_in(value: Seen<'_>, of: Seen<'_>) -> std::result::Result<bool, Why> {
    if let Seen::Map(map) = of {
        return Ok(map.has(value.text(MAX_TEXT_BYTES)?));
    }
    let mut compared = 0;
    let mut unknown = None;
    for element in of.list()?.iter() {
        match element.and_then(|element| equal(value, element, &mut compared)) {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            Err(why) => unknown = unknown.or(Some(why)),
        }
    }
    unknown.map_or(Ok(false), Err)
}

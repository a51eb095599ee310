//! Every mistake in the shape of a value, where a typed reader stops at the first: what is wrong is told, taken out, and
//! the rest is read once more.

use super::path::{Step, shown_path};
use super::typed::Typed;
use super::{MAX_PROBLEM_CHARS, StrictJsonError};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;
use std::collections::{BTreeMap, BTreeSet};

/// The most mistakes that are told.
const MOST: usize = 16;

/// A step down, in the value as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Key(String),
    Index(usize),
}

/// What was taken out.
#[derive(Debug, Default)]
struct Taken {
    places: BTreeSet<Vec<Place>>,
    /// Of each list the items, by which the later ones have moved up.
    items: BTreeMap<Vec<Place>, BTreeSet<usize>>,
}

/// The mistakes in the shape of a value, in the order in which they are found; none where it has the shape.
pub(super) fn mistakes<T: DeserializeOwned>(mut value: Value) -> Vec<StrictJsonError> {
    let (mut told, mut taken) = (Vec::new(), Taken::default());
    // An object that lacks what was taken out of it goes without a word, so that there are more rounds than mistakes.
    for _ in 0..MOST * 2 {
        let read: Result<T, _> = serde_path_to_error::deserialize(Typed(value.clone()));
        let Err(error) = read else { break };
        let problem = error.inner().to_string();
        let Some(here) = taken.places_of(error.path()) else {
            told.push(shape(shown_path(error.path()), &problem));
            break;
        };
        let is_told = missing(&problem).is_some_and(|field| {
            let mut there = here.clone();
            there.push(Place::Key(field.to_owned()));
            taken.places.contains(&there)
        });
        if !is_told {
            told.push(shape(shown(&here), &problem));
        }
        if told.len() == MOST || !take_out(&mut value, error.path()) {
            break;
        }
        taken.take(here);
    }
    told
}

/// The field that an object lacks, where that is the problem.
fn missing(problem: &str) -> Option<&str> {
    problem.strip_prefix("missing field `")?.strip_suffix('`')
}

pub(super) fn shape(path: String, problem: &str) -> StrictJsonError {
    StrictJsonError::Shape {
        path,
        problem: problem.chars().take(MAX_PROBLEM_CHARS).collect(),
    }
}

impl Taken {
    /// The place of a path in the value as it was sent; `None` for one that leads through more than objects and lists.
    fn places_of(&self, path: &serde_path_to_error::Path) -> Option<Vec<Place>> {
        let mut places = Vec::new();
        for segment in path {
            let place = match segment {
                Segment::Map { key } => Place::Key(key.clone()),
                Segment::Seq { index } => {
                    let before = self.items.get(&places).into_iter().flatten();
                    Place::Index(before.fold(*index, |at, gone| at + usize::from(*gone <= at)))
                }
                Segment::Enum { .. } | Segment::Unknown => return None,
            };
            places.push(place);
        }
        Some(places)
    }

    fn take(&mut self, place: Vec<Place>) {
        if let Some((Place::Index(item), list)) = place.split_last() {
            let items = self.items.entry(list.to_vec()).or_default();
            items.insert(*item);
        }
        self.places.insert(place);
    }
}

/// Takes out what stands at a path; `false` where that is the whole, or nothing is there.
fn take_out(value: &mut Value, path: &serde_path_to_error::Path) -> bool {
    let mut steps: Vec<&Segment> = path.iter().collect();
    let Some(last) = steps.pop() else {
        return false;
    };
    let mut at = value;
    for step in steps {
        let below = match step {
            Segment::Map { key } => at.get_mut(key),
            Segment::Seq { index } => at.get_mut(*index),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(below) = below else {
            return false;
        };
        at = below;
    }
    match (last, at) {
        (Segment::Map { key }, Value::Object(members)) => members.remove(key).is_some(),
        (Segment::Seq { index }, Value::Array(items)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn shown(places: &[Place]) -> String {
    shown_below(&Step::Root, places)
}

fn shown_below(above: &Step<'_>, places: &[Place]) -> String {
    match places.split_first() {
        None => above.shown(),
        Some((Place::Key(key), below)) => shown_below(&Step::Key { above, key }, below),
        Some((Place::Index(index), below)) => {
            let index = *index;
            shown_below(&Step::Index { above, index }, below)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their shape is looked at")]
    struct Apply {
        operations: Vec<Operation>,
        reason: Option<String>,
        name: String,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only their shape is looked at")]
    struct Operation {
        id: String,
        ttl: Option<u32>,
    }

    fn told(value: Value) -> Vec<String> {
        let mistakes = mistakes::<Apply>(value);
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_told_at_its_own_place() {
        let value = json!({
            "operations": [7, {"id": "a", "what": 1}, "x", {"ttl": 1}, {"id": 1, "ttl": "x"}],
            "reason": 7,
            "more": true,
            "name": "n",
        });
        let mut told = told(value);
        told.sort();
        assert_eq!(told.len(), 8, "{told:#?}");
        for (told, place) in told.iter().zip([
            "more: unknown field `more`",
            "operations[0]: ",
            "operations[1].what: unknown field `what`",
            "operations[2]: ",
            "operations[3]: missing field `id`",
            "operations[4].id: ",
            "operations[4].ttl: ",
            "reason: ",
        ]) {
            assert!(told.starts_with(place), "{told} is not of {place}");
        }
    }

    #[test]
    fn what_was_taken_out_is_not_told_as_missing() {
        let told = told(json!({"operations": {}, "name": 1}));
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(
            told.iter().all(|told| !told.contains("missing")),
            "{told:#?}"
        );
    }

    #[test]
    fn no_more_than_a_few_are_told() {
        let many: Vec<Value> = (0..1000).map(Value::from).collect();
        assert_eq!(told(json!({"operations": many, "name": "n"})).len(), MOST);
        assert!(told(json!({"operations": [], "name": "n"})).is_empty());
    }
}

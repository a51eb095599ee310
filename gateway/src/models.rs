//! Lists of models without those that rules deny to their reader.

use crate::refusal::{Refusal, Word};
use axum::body::Bytes;
use serde_json::Value;

/// An answer about models: a list, or one of them.
pub(crate) struct Models {
    json: Vec<u8>,
    answer: Value,
}

impl Models {
    /// # Errors
    /// [`Word::Unreachable`] for what is no JSON.
    pub(crate) fn read(json: Vec<u8>) -> Result<Self, Refusal> {
        let unreadable =
            |_| Refusal::new(Word::Unreachable, "upstream's list of models is no JSON");
        let answer = serde_json::from_slice(&json).map_err(unreadable)?;
        Ok(Self { json, answer })
    }

    /// The ids of the models.
    pub(crate) fn ids(&self) -> Vec<String> {
        let listed = self.answer.get("data").and_then(Value::as_array);
        let models = listed.map_or(std::slice::from_ref(&self.answer), Vec::as_slice);
        let ids = models.iter().filter_map(id);
        ids.map(str::to_owned).collect()
    }

    /// The answer without these. It stays byte for byte where it has none of them.
    ///
    /// # Errors
    /// [`Word::NotFound`] where it is about one of them.
    pub(crate) fn without(mut self, denied: &[String]) -> Result<Bytes, Refusal> {
        let is_denied =
            |model: &Value| id(model).is_some_and(|id| denied.iter().any(|it| it == id));
        if is_denied(&self.answer) {
            return Err(Refusal::new(
                Word::NotFound,
                "the rules of this service allow no messages of this model",
            ));
        }
        if denied.is_empty() {
            return Ok(self.json.into());
        }
        if let Some(models) = self.answer.get_mut("data").and_then(Value::as_array_mut) {
            models.retain(|model| !is_denied(model));
        }
        Ok(self.answer.to_string().into())
    }
}

fn id(model: &Value) -> Option<&str> {
    model.get("id")?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_b(json: &str) -> Result<String, Word> {
        let models = Models::read(json.into()).map_err(|refused| refused.word())?;
        let denied: Vec<String> = models.ids().into_iter().filter(|id| id == "b").collect();
        let answer = models.without(&denied).map_err(|refused| refused.word())?;
        Ok(String::from_utf8(answer.to_vec()).unwrap())
    }

    #[test]
    fn models_that_are_not_allowed_are_left_out_and_nothing_else_changes() {
        let all = r#"{"data": [{"id": "a" }, {"id":"c"}],  "has_more": false}"#;
        assert_eq!(without_b(all).unwrap(), all);
        let some = without_b(r#"{"data":[{"id":"a"},{"id":"b"}],"has_more":false}"#);
        assert_eq!(some.unwrap(), r#"{"data":[{"id":"a"}],"has_more":false}"#);
        assert_eq!(without_b(r#"{"id":"b"}"#), Err(Word::NotFound));
        assert_eq!(without_b(r#"{"id":"a"}"#).unwrap(), r#"{"id":"a"}"#);
        assert_eq!(without_b("["), Err(Word::Unreachable));
        assert_eq!(without_b("{\"error\":1}").unwrap(), "{\"error\":1}");
    }
}

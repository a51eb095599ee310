//! A request for a message, or for the number of its tokens, as rules read it and people are shown it.

use super::{MESSAGES_COUNT, MESSAGES_CREATE};
use ledger::OperationId;
use ledger::operation::fields::Fields;
use ledger::operation::{
    InvalidOperation, Method, Scope, Sent, Unchecked, UpstreamBody, UpstreamRequest, shown,
};
use ledger::provider::Effect;
use serde_json::{Map, Value};

/// The fields that rules read. They stand beside the rest of the body.
const READ: [&str; 3] = ["model", "max_tokens", "stream"];
/// What follows `?` in the target.
const QUERY: &str = "query";
/// The other fields.
const BODY: &str = "body";
/// The most characters of the name of a model that people are shown in a line.
const MOST_OF_NAME: usize = 80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Create,
    Count,
}

impl Kind {
    pub(super) fn of(operation: OperationId) -> Option<Self> {
        let is = |known| operation == known;
        match (is(MESSAGES_CREATE), is(MESSAGES_COUNT)) {
            (true, _) => Some(Self::Create),
            (_, true) => Some(Self::Count),
            _ => None,
        }
    }

    const fn path(self) -> &'static str {
        match self {
            Self::Create => "/v1/messages",
            Self::Count => "/v1/messages/count_tokens",
        }
    }

    /// The params of a client's own request.
    pub(super) fn params_of(self, sent: Sent<'_>) -> Option<Value> {
        let rest = sent.target.strip_prefix(self.path())?;
        let mut body = sent.body?.as_object()?.clone();
        let mut params = Map::new();
        match rest.strip_prefix('?') {
            Some(query) => _ = params.insert(QUERY.to_owned(), query.into()),
            None if rest.is_empty() => {}
            None => return None,
        }
        for name in READ {
            // One that is null stays where it stands.
            if body.get(name).is_some_and(|value| !value.is_null())
                && let Some(value) = body.remove(name)
            {
                params.insert(name.to_owned(), value);
            }
        }
        params.insert(BODY.to_owned(), Value::Object(body));
        Some(Value::Object(params))
    }
}

/// The request.
#[derive(Debug)]
pub(super) struct Asked {
    kind: Kind,
    params: Map<String, Value>,
}

impl Asked {
    /// # Errors
    /// A field that is none of [`Kind::params_of`].
    pub(super) fn parse(kind: Kind, mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let mut params = Map::new();
        for name in READ.into_iter().chain([QUERY, BODY]) {
            if let Some(value) = fields.value(name) {
                params.insert(name.to_owned(), value.clone());
            }
        }
        fields.finish()?;
        Ok(Self { kind, params })
    }

    fn model(&self) -> String {
        let named = self.params.get("model").and_then(Value::as_str);
        named.map_or_else(
            || "a model that it does not name".to_owned(),
            |name| shown(name, MOST_OF_NAME),
        )
    }
}

impl Effect for Asked {
    fn to_json(&self) -> Value {
        Value::Object(self.params.clone())
    }

    fn summary(&self, _: &Scope) -> String {
        let model = self.model();
        let most = self.params.get("max_tokens").and_then(Value::as_u64);
        match (self.kind, most) {
            (Kind::Create, Some(most)) => {
                format!("Have {model} answer a message, with at most {most} tokens")
            }
            (Kind::Create, None) => format!("Have {model} answer a message"),
            (Kind::Count, _) => format!("Have the tokens of a message to {model} counted"),
        }
    }

    fn request(&self, _: &Scope, _: Option<&str>) -> UpstreamRequest {
        let mut path = self.kind.path().to_owned();
        if let Some(query) = self.params.get(QUERY).and_then(Value::as_str) {
            path.push('?');
            path.push_str(query);
        }
        let mut body = match self.params.get(BODY) {
            Some(Value::Object(body)) => body.clone(),
            _ => Map::new(),
        };
        let read = self.params.iter();
        let read = read.filter(|(name, _)| READ.contains(&name.as_str()));
        body.extend(read.map(|(name, value)| (name.clone(), value.clone())));
        UpstreamRequest {
            method: Method::Post,
            path,
            query: Vec::new(),
            body: UpstreamBody::Json(Value::Object(body)),
        }
    }

    fn ends_with_its_answer(&self) -> bool {
        true
    }

    fn reconcilable(&self) -> bool {
        false
    }

    fn read_by_field(&self) -> &'static [&'static str] {
        &[BODY]
    }

    fn reading_order(&self) -> &'static [&'static str] {
        &["model", "max_tokens", "stream", QUERY, BODY]
    }

    /// It is what a client sent, and has no secret of ours.
    fn check_asked(&self, _: &[Unchecked]) -> Result<(), InvalidOperation> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Anthropic;
    use ledger::operation::{ForwardedRequest, Scope, ScopeId};
    use ledger::provider::Providers;
    use ledger::{Level, OperationId, Risk, ScopeType, UpstreamName};
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    fn forwarded(target: &str, body: &Value) -> ledger::operation::Operation {
        let request = ForwardedRequest {
            upstream: UpstreamName::anthropic(),
            title: None,
            level: Level::Write,
            risk: Risk::Elevated,
            method: ledger::operation::Method::Post,
            base_url: Some("https://api.anthropic.com".to_owned()),
            target: target.to_owned(),
            headers: BTreeMap::from([("content-type".to_owned(), "application/json".to_owned())]),
            body: body.to_string().into_bytes(),
            secrets: Vec::new(),
            uploads: Vec::new(),
            upload: None,
            also_allowed: Vec::new(),
            follows: None,
        };
        let scope = Scope {
            scope_type: ScopeType::of("upstream"),
            id: ScopeId::parse("anthropic").unwrap(),
        };
        let all = Providers::new(vec![Arc::new(Anthropic)]);
        let id = OperationId::of("anthropic.messages.create");
        let operation = all.forward(id, scope, request).unwrap();
        let read = all.read_recorded(&operation.to_json()).unwrap();
        assert_eq!(read, operation, "it is read back as it was recorded");
        operation
    }

    #[test]
    fn a_message_is_shown_by_its_fields_and_rules_read_those_that_they_know() {
        let body = json!({
            "model": "claude-x", "max_tokens": 64, "stream": true, "system": "Be brief.",
            "messages": [{"role": "user", "content": "Hello"}], "temperature": null,
        });
        let operation = forwarded("/v1/messages?beta=true", &body);
        let expected = json!({
            "model": "claude-x", "max_tokens": 64, "stream": true, "query": "beta=true",
            "body": {
                "system": "Be brief.", "messages": [{"role": "user", "content": "Hello"}],
                "temperature": null,
            },
        });
        assert_eq!(operation.effect().to_json(), expected);
        assert_eq!(
            operation.summary(),
            "Have claude-x answer a message, with at most 64 tokens"
        );
        assert!(operation.ends_with_its_answer() && !operation.reconcilable());
    }

    #[test]
    fn what_is_not_a_message_as_it_is_known_is_shown_as_it_came() {
        for body in [json!([]), json!("x")] {
            let params = forwarded("/v1/messages", &body).effect().to_json();
            assert_eq!(params["method"], "POST", "{params}");
            assert_eq!(params["body"], body);
        }
        // A field that is null is one that rules do not know, and is sent as it came.
        let params = forwarded("/v1/messages", &json!({"model": null}))
            .effect()
            .to_json();
        assert_eq!(params, json!({"body": {"model": null}}));
    }
}

//! The parts of the description that belong to no single route.

use crate::webhooks;
use url::Url;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem,
    Ref, RefOr, Response, ResponseBuilder, Server,
};

/// An SPDX expression; generators demand it under `identifier` too.
const LICENSE: &str = env!("CARGO_PKG_LICENSE");

/// Title, version and the ways to authenticate.
pub(crate) fn head() -> OpenApi {
    let header = |name: &str, text: &str| {
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(name, text)))
    };
    let bearer = |text: &str| {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT");
        SecurityScheme::Http(scheme.description(Some(text)).build())
    };
    let components = ComponentsBuilder::new()
        .security_scheme(
            "subject",
            header("x-client-subject", "1 to 256 visible characters"),
        )
        .security_scheme(
            "subject_ts",
            header(
                "x-client-subject-ts",
                "Unix seconds, within 60 of the service's time",
            ),
        )
        .security_scheme(
            "subject_sig",
            header(
                "x-client-subject-sig",
                "hex(HMAC-SHA256(MTLS_BINDING_SHARED_SECRET, \"{subject}\\n{ts}\"))",
            ),
        )
        .security_scheme("bootstrap", bearer("A bootstrap token, for administration"))
        .security_scheme("capability", bearer("A capability token, for one task"))
        .security_scheme(
            "session",
            bearer("A session's token; a browser sends its cookie"),
        )
        .security_scheme("service", bearer("The service token"))
        .security_scheme(
            "agent_key",
            bearer("A key of an agent: cak_ and 49 letters and digits"),
        )
        .security_scheme("viewer", bearer("A viewer token, which reads one task"))
        .build();
    let info = InfoBuilder::new()
        .title("llm-permission-proxy")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Agents ask, people approve with a passkey, the service acts, and the ledger remembers. \
             Every refusal is application/problem+json (RFC 9457).",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name(LICENSE)
                .identifier(Some(LICENSE))
                .build(),
        ))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

/// Gives every response the description that the standard demands (OpenAPI 3.1, section 4.8.17), and
/// every operation its refusals and failures: no route is without them, so that handlers need not say so.
/// What needs more words than its status says them at the handler.
/// A parameter that takes the rest of a path is written like any other (section 4.8.8.1).
/// Paths stand below `base_url`, where the world reaches the service.
pub(crate) fn complete(mut description: OpenApi, base_url: &Url) -> OpenApi {
    let server = Server::new(base_url.as_str().trim_end_matches('/'));
    description.servers = Some(vec![server]);
    webhooks::describe(&mut description);
    description.paths.paths = std::mem::take(&mut description.paths.paths)
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .collect();
    let items = description.paths.paths.values_mut();
    for operation in items.flat_map(operations) {
        let described = &mut operation.responses.responses;
        for range in ["4XX", "5XX"] {
            described
                .entry(range.to_owned())
                .or_insert_with(|| RefOr::T(problem()));
        }
        for (status, response) in &mut operation.responses.responses {
            if let RefOr::T(response) = response
                && response.description.is_empty()
            {
                response.description = meaning(status).to_owned();
            }
        }
    }
    description
}

/// A refusal, or a failure of the service.
fn problem() -> Response {
    let schema = Ref::from_schema_name("Problem");
    ResponseBuilder::new()
        .content("application/problem+json", Content::new(Some(schema)))
        .build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [
        &mut item.get,
        &mut item.put,
        &mut item.post,
        &mut item.delete,
        &mut item.patch,
    ]
    .into_iter()
    .flatten()
}

fn meaning(status: &str) -> &'static str {
    match status {
        "200" => "As it stands now",
        "201" => "Made",
        "202" => "Not finished yet",
        "400" => "The request is not of the right form; the detail names the place",
        "401" => "Who asks is not established",
        "403" => "Who asks may not",
        "404" => "It does not exist",
        "409" => "The state of things stands against it",
        "410" => "It was there and is over",
        "413" => "The body is too large",
        "5XX" => "The service could not answer; 503 with Retry-After where asking again helps",
        _ => "Refused; code and detail say why and what to do next",
    }
}

#[cfg(test)]
mod tests {
    use super::complete;
    use crate::router::described;
    use serde_json::Value;
    use std::collections::BTreeSet;

    fn written() -> Value {
        let base_url = "https://proxy.example.com/gate".parse().unwrap();
        let description = complete(described().into_openapi(), &base_url);
        serde_json::to_value(description).unwrap()
    }

    fn references<'v>(value: &'v Value, found: &mut Vec<&'v str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            _ => {}
        }
    }

    /// Generators make nothing, or an empty class, of an object of which nothing is said.
    fn objects_without_fields(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                let is_object = fields.get("type").is_some_and(|kind| {
                    kind == "object"
                        || kind
                            .as_array()
                            .is_some_and(|all| all.contains(&"object".into()))
                });
                let says = ["properties", "additionalProperties"];
                if is_object && !says.iter().any(|name| fields.contains_key(*name)) {
                    found.push(at.to_owned());
                }
                for (name, value) in fields {
                    objects_without_fields(value, &format!("{at}/{name}"), found);
                }
            }
            Value::Array(items) => items
                .iter()
                .for_each(|item| objects_without_fields(item, at, found)),
            _ => {}
        }
    }

    #[test]
    fn generated_clients_can_read_it() {
        let description = written();
        assert_eq!(
            description["info"]["license"]["identifier"],
            "MIT OR Apache-2.0"
        );
        let server = &description["servers"][0]["url"];
        assert_eq!(server, "https://proxy.example.com/gate");
        let mut empty = Vec::new();
        objects_without_fields(&description, "", &mut empty);
        assert_eq!(empty, Vec::<String>::new());
        let schemas = description["components"]["schemas"].as_object().unwrap();
        for (name, schema) in schemas {
            let own = name.to_lowercase();
            let fields = schema["properties"].as_object().into_iter().flatten();
            for (field, value) in fields {
                assert_ne!(field.replace('_', ""), own, "a class named as its field");
                // openapi-typescript wants a field with a default in every request.
                assert!(value.get("default").is_none(), "{name}.{field}");
            }
        }
        for (path, item) in description["paths"].as_object().unwrap() {
            assert!(!path.contains('*'), "{path}");
            for (method, operation) in item.as_object().unwrap() {
                let responses = operation["responses"].as_object().unwrap();
                for range in ["4XX", "5XX"] {
                    assert!(responses.contains_key(range), "{method} {path}: {range}");
                }
                for (status, response) in responses {
                    let content = response["content"].as_object().into_iter().flatten();
                    for (kind, media) in content {
                        if kind == "application/octet-stream" {
                            assert_eq!(media["schema"]["format"], "binary", "{path} {status}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn each_credential_reads_whose_it_is() {
        let description = written();
        let schemes = description["components"]["securitySchemes"].as_object();
        let known: BTreeSet<_> = schemes.unwrap().keys().cloned().collect();
        let of_me = description["paths"]["/v1/me"]["get"]["security"].as_array();
        let ways = of_me
            .unwrap()
            .iter()
            .filter_map(serde_json::Value::as_object);
        let named: BTreeSet<_> = ways.flat_map(|way| way.keys().cloned()).collect();
        assert_eq!(named, known);
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_route_says_what_it_is() {
        let description = written();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
        let mut ids = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(
                    ids.insert(operation["operationId"].as_str()),
                    "{method} {path}"
                );
                assert!(operation["tags"][0].is_string(), "{method} {path}");
                for (status, response) in operation["responses"].as_object().unwrap() {
                    let words = response["description"].as_str().unwrap_or("");
                    assert!(!words.is_empty(), "{method} {path}: {status}");
                }
                let tag = operation["tags"][0].as_str().unwrap();
                let own = !path.contains("{link}") && !["service", "log"].contains(&tag);
                assert_eq!(operation["security"].is_array(), own, "{method} {path}");
            }
        }
    }
}

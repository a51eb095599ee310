//! The parts of the description that belong to no single route.

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder};

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
        .build();
    let info = InfoBuilder::new()
        .title("llm-permission-proxy")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(
            "Agents ask, people approve with a passkey, the service acts, and the ledger remembers. \
             Every refusal is application/problem+json (RFC 9457).",
        ))
        .license(Some(License::new("MIT OR Apache-2.0")))
        .build();
    OpenApiBuilder::new()
        .info(info)
        .components(Some(components))
        .build()
}

#[cfg(test)]
mod tests {
    use crate::router::described;
    use serde_json::Value;

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

    #[test]
    fn every_reference_leads_somewhere_and_every_route_says_what_it_is() {
        let description = serde_json::to_value(described().into_openapi()).unwrap();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 50);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
        for (path, item) in description["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                assert!(operation["summary"].is_string(), "{method} {path}");
                assert!(operation["tags"][0].is_string(), "{method} {path}");
                let own = !path.contains("{link}") && operation["tags"][0] != "service";
                assert_eq!(operation["security"].is_array(), own, "{method} {path}");
            }
        }
    }
}

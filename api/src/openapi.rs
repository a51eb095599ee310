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

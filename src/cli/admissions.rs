//! `block` and `allow`.

use super::access::{Access, Page, ServiceAddress};
use super::anchors::read_token;
use crate::api_client::{ApiRequest, Shown};
use clap::Args;
use secrecy::SecretString;
use serde_json::{Value, json};

const COLUMNS: &[&str] = &[
    "id",
    "kind",
    "value",
    "made_at",
    "until",
    "lifted_at",
    "by",
    "reason",
];

const ADMISSION_HELP: &str = "\
Without CLIENT it prints them. A block refuses each new apply of the client (403 blocked) and wins
over every allow that is more exact. What an allow covers whole cannot be blocked (409 allowed).
Lifting one touches no other.

Example:
  llm-permission-proxy block agent:ci-bot 1h --reason 'asks for everything'
  llm-permission-proxy block 192.0.2.0/24
  llm-permission-proxy allow subject:CN=deployer
  llm-permission-proxy block --lift 019bf0a0-7c00-7001-8001-000000000001";

/// `block` and `allow`
#[derive(Debug, Args)]
#[command(after_help = ADMISSION_HELP)]
pub(crate) struct AdmissionArgs {
    /// agent:NAME, subject:TEXT, asn:NUMBER, or an address or network
    #[arg(value_name = "CLIENT", conflicts_with = "lift")]
    client: Option<String>,

    /// How long: seconds, or a number of s, m, h, d, w or y; until it is lifted where this is not given
    #[arg(value_name = "DURATION")]
    duration: Option<String>,

    /// Why; recorded for good
    #[arg(long, value_name = "TEXT", requires = "client")]
    reason: Option<String>,

    /// Lift the one of this id instead
    #[arg(long, value_name = "ID")]
    lift: Option<String>,

    #[command(flatten)]
    page: Page,

    #[command(flatten)]
    service: ServiceAddress,

    /// A session's token or the service token; - reads it from standard input, @ and a file from there.
    /// Where this is not given the session of `login`, else SERVICE_TOKEN
    #[arg(long, value_name = "TOKEN", value_parser = read_token)]
    token: Option<SecretString>,

    /// Print the API's answer
    #[arg(long)]
    json: bool,
}

/// The body that blocks or allows a client.
pub(super) fn client_body(client: &str, duration: Option<&str>, reason: Option<&str>) -> Value {
    let (kind, value) = match client.split_once(':') {
        Some((kind @ ("agent" | "subject" | "asn"), value)) => (kind, value),
        _ => ("address", client),
    };
    json!({"kind": kind, "value": value, "duration": duration, "reason": reason})
}

impl AdmissionArgs {
    /// The request on that list, and how it is asked.
    pub(crate) fn into_request(self, list: &'static str) -> (ApiRequest, Access) {
        let access = Access {
            service: self.service,
            token: self.token,
            json: self.json,
            local: false,
            reason: None,
        };
        if let Some(id) = self.lift {
            return (ApiRequest::delete(&[list, &id]), access);
        }
        let Some(client) = self.client else {
            let form = Shown::Rows(list, COLUMNS);
            return (ApiRequest::get(&[list], form).with_page(self.page), access);
        };
        let body = client_body(&client, self.duration.as_deref(), self.reason.as_deref());
        (ApiRequest::post(&[list], body, Shown::Members), access)
    }
}

//! Reading objects upstream: for what an operation would change, and for what became of one.

use super::answer::Body;
use super::client::CloudflareClient;
use super::outcome::{Outcome, code};
use ledger::operation::{ObjectId, ScopeId, ScriptName, UpstreamRequest, WafPhase, multipart};
use serde_json::Value;

/// Most records that are asked for at once; upstream's own limit is higher.
const MOST_RECORDS: &str = "100";

/// Why an object could not be read.
pub(super) type Unreadable = String;

/// The modules of a script as (name, content).
pub(super) type Modules = Vec<(String, Vec<u8>)>;

impl CloudflareClient {
    /// The `result` of a read; `None` when there is no such object.
    async fn read(&self, request: UpstreamRequest) -> Result<Option<Value>, Unreadable> {
        match self.send_request(&request).await {
            Outcome::Succeeded { result, .. } => Ok(Some(result)),
            // Upstream's own word for it; a page from somebody in between says nothing.
            Outcome::Failed {
                code: code::NOT_FOUND,
                errors: Value::Array(errors),
                ..
            } if !errors.is_empty() => Ok(None),
            Outcome::Failed { message: why, .. } | Outcome::Lost { why, .. } => Err(why),
        }
    }

    pub(super) async fn read_record(
        &self,
        zone: &ScopeId,
        record_id: &ObjectId,
    ) -> Result<Option<Value>, Unreadable> {
        self.read(UpstreamRequest::get(format!(
            "/zones/{zone}/dns_records/{record_id}"
        )))
        .await
    }

    /// The records of this name, which may be given as in a request: `@`, relative or full.
    pub(super) async fn read_records(
        &self,
        zone: &ScopeId,
        name: &str,
    ) -> Result<Vec<Value>, Unreadable> {
        let zone_name = match self
            .read(UpstreamRequest::get(format!("/zones/{zone}")))
            .await
        {
            Ok(Some(found)) => found.get("name").and_then(Value::as_str).map(str::to_owned),
            // A token may be allowed to see records but not the zone.
            Ok(None) | Err(_) => None,
        };
        let name = full_name(name, zone_name.as_deref())
            .ok_or("the zone's name, which the record's name needs, cannot be read")?;
        let request = UpstreamRequest::get(format!("/zones/{zone}/dns_records"))
            .with_query(vec![("name", name), ("per_page", MOST_RECORDS.to_owned())]);
        match self.read(request).await? {
            Some(Value::Array(records)) => Ok(records),
            Some(_) => Err("the list of records is not a list".to_owned()),
            None => Err("there is no such zone".to_owned()),
        }
    }

    /// The ruleset, or `None`.
    pub(super) async fn read_ruleset(
        &self,
        zone: &ScopeId,
        ruleset_id: &ObjectId,
    ) -> Result<Option<Value>, Unreadable> {
        self.read(UpstreamRequest::get(format!(
            "/zones/{zone}/rulesets/{ruleset_id}"
        )))
        .await
    }

    /// The ruleset that a phase begins with, or `None` while it has none.
    pub(super) async fn read_phase(
        &self,
        zone: &ScopeId,
        phase: WafPhase,
    ) -> Result<Option<Value>, Unreadable> {
        let path = format!("/zones/{zone}/rulesets/phases/{phase}/entrypoint");
        self.read(UpstreamRequest::get(path)).await
    }

    pub(super) async fn read_ssl_mode(&self, zone: &ScopeId) -> Result<Option<Value>, Unreadable> {
        self.read(UpstreamRequest::get(format!("/zones/{zone}/settings/ssl")))
            .await
    }

    /// Bindings, compatibility date and the like of a script, or `None`.
    pub(super) async fn read_script_settings(
        &self,
        account: &ScopeId,
        script: &ScriptName,
    ) -> Result<Option<Value>, Unreadable> {
        let path = format!("/accounts/{account}/workers/scripts/{script}/settings");
        self.read(UpstreamRequest::get(path)).await
    }

    /// The modules of a script, or `None`. A service worker is answered as its bare script, whose
    /// name is empty here; modules as a form.
    pub(super) async fn read_script(
        &self,
        account: &ScopeId,
        script: &ScriptName,
    ) -> Result<Option<Modules>, Unreadable> {
        let path = format!("/accounts/{account}/workers/scripts/{script}");
        let answer = match self.fetch(&UpstreamRequest::get(path)).await {
            Ok(answer) => answer,
            Err(
                super::answer::NoAnswer::NotSent(why) | super::answer::NoAnswer::MaybeSent(why),
            ) => {
                return Err(why);
            }
        };
        match (answer.status, answer.body) {
            (200, Body::Complete(bytes)) if answer.content_type.starts_with("multipart/") => {
                multipart::read(&answer.content_type, &bytes)
                    .map(Some)
                    .ok_or_else(|| "the script's modules cannot be read".to_owned())
            }
            (200, Body::Complete(bytes)) => Ok(Some(vec![(String::new(), bytes)])),
            (404, _) => Ok(None),
            (status, _) => Err(format!("upstream answered HTTP {status} for the script")),
        }
    }
}

/// The record's name with the zone's; `None` where it cannot be known.
fn full_name(name: &str, zone: Option<&str>) -> Option<String> {
    match zone {
        Some(zone) if name == "@" => Some(zone.to_owned()),
        Some(zone) => {
            let lower = name.to_ascii_lowercase();
            let is_full = lower == zone
                || lower
                    .strip_suffix(zone)
                    .is_some_and(|label| label.ends_with('.'));
            Some(if is_full {
                lower
            } else {
                format!("{lower}.{zone}")
            })
        }
        None => name.contains('.').then(|| name.to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_completed_by_the_zones() {
        for (name, expected) in [
            ("@", "example.com"),
            ("www", "www.example.com"),
            ("WWW.Example.com", "www.example.com"),
            ("example.com", "example.com"),
            ("notexample.com", "notexample.com.example.com"),
        ] {
            assert_eq!(
                full_name(name, Some("example.com")).as_deref(),
                Some(expected)
            );
        }
        assert_eq!(full_name("www", None), None);
        assert_eq!(full_name("@", None), None);
        assert_eq!(
            full_name("www.example.com", None).as_deref(),
            Some("www.example.com")
        );
    }
}

//! Reading objects upstream: for what an operation would change, and for what became of one.

use super::{
    ObjectId, ScopeId, ScriptName, UpstreamRequest, WafPhase, ZoneName, ascii_name, multipart,
};
use ledger::provider::{Body, NoAnswer, Outcome, Upstream, code};
use serde_json::Value;

/// Most records that are asked for at once; upstream's own limit is higher.
const MOST_RECORDS: &str = "1000";

/// Why an object could not be read.
pub(super) type Unreadable = String;

/// The modules of a script as (name, content).
pub(super) type Modules = Vec<(String, Vec<u8>)>;

/// A zone's name, or why it cannot be read.
pub(super) type ZoneLookup<'z> = Result<&'z ZoneName, &'z str>;

/// Reads by the way that a worker lends.
pub(super) struct Reader<'u>(pub(super) &'u dyn Upstream);

impl Reader<'_> {
    /// The `result` of a read; `None` when there is no such object.
    async fn read(&self, request: UpstreamRequest) -> Result<Option<Value>, Unreadable> {
        match self.0.send(request).await {
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

    /// The zone's name upstream.
    pub(super) async fn zone_name(&self, zone: &ScopeId) -> Result<String, Unreadable> {
        let found = self
            .read(UpstreamRequest::get(format!("/zones/{zone}")))
            .await?;
        let found = found.ok_or("there is no such zone")?;
        found
            .get("name")
            .and_then(Value::as_str)
            .and_then(ZoneName::parse)
            .map(|name| name.to_string())
            .ok_or_else(|| "upstream's answer names no zone".to_owned())
    }

    /// The account's name, which its owner chose freely.
    pub(super) async fn account_name(&self, account: &ScopeId) -> Result<String, Unreadable> {
        const LONGEST: usize = 120;
        let request = UpstreamRequest::get(format!("/accounts/{account}"));
        let found = self.read(request).await?;
        let found = found.ok_or("there is no such account")?;
        let name = found.get("name").and_then(Value::as_str);
        name.filter(|name| !name.is_empty())
            .map(|name| name.chars().take(LONGEST).collect())
            .ok_or_else(|| "upstream's answer names no account".to_owned())
    }

    /// The records of this name, which may be given as in a request: `@`, relative or full. Without the
    /// zone's name a full one cannot be told from a relative one, so what is found under it counts, and
    /// that nothing is found does not.
    pub(super) async fn read_records(
        &self,
        zone: &ScopeId,
        name: &str,
        zone_name: ZoneLookup<'_>,
    ) -> Result<Vec<Value>, Unreadable> {
        let zone_name = match zone_name {
            Ok(known) => known,
            Err(why) => {
                let found = match ascii_name(name) {
                    Some(full) if full.contains('.') => self.records_named(zone, full).await?,
                    _ => Vec::new(),
                };
                return if found.is_empty() {
                    Err(format!(
                        "the name of the zone, which completes the record's name, cannot be read: {why}"
                    ))
                } else {
                    Ok(found)
                };
            }
        };
        let full = zone_name.full_name(name);
        let found = self.records_named(zone, full.clone()).await?;
        match ZoneName::parse(&full).and_then(|full| full.in_unicode()) {
            // Which of the two spellings upstream compares with is not documented.
            Some(unicode) if found.is_empty() => self.records_named(zone, unicode).await,
            _ => Ok(found),
        }
    }

    async fn records_named(&self, zone: &ScopeId, name: String) -> Result<Vec<Value>, Unreadable> {
        let request = UpstreamRequest::get(format!("/zones/{zone}/dns_records"))
            .with_query(vec![("name", name), ("per_page", MOST_RECORDS.to_owned())]);
        let (records, total) = match self.0.send(request).await {
            Outcome::Succeeded {
                result: Value::Array(records),
                result_info,
                ..
            } => {
                let total = result_info.and_then(|info| info.get("total_count")?.as_u64());
                (records, total)
            }
            Outcome::Succeeded { .. } => {
                return Err("the list of records is not a list".to_owned());
            }
            Outcome::Failed { message: why, .. } | Outcome::Lost { why, .. } => return Err(why),
        };
        let count = u64::try_from(records.len()).unwrap_or(u64::MAX);
        if total.is_some_and(|total| total > count) {
            return Err(format!(
                "there are more records of that name than the {count} that are read"
            ));
        }
        Ok(records)
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
        let answer = match self.0.fetch(UpstreamRequest::get(path)).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(why) | NoAnswer::MaybeSent(why)) => {
                return Err(why);
            }
        };
        match (answer.status, answer.body) {
            (200, Body::Complete(bytes)) if answer.content_type.starts_with("multipart/") => {
                multipart::read(&answer.content_type, &bytes)
                    .map(|modules| Some(self.without_token_in_names(modules)))
                    .ok_or_else(|| "the script's modules cannot be read".to_owned())
            }
            (200, Body::Complete(bytes)) => Ok(Some(vec![(String::new(), bytes)])),
            (404, _) => Ok(None),
            (status, _) => Err(format!("upstream answered HTTP {status} for the script")),
        }
    }

    /// Names are recorded; contents only by their digests.
    fn without_token_in_names(&self, modules: Modules) -> Modules {
        modules
            .into_iter()
            .map(|(name, content)| (self.0.redacted(&name), content))
            .collect()
    }
}

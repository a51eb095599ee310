//! Cloudflare's API, version 4.
//!
//! | file | holds |
//! |---|---|
//! | `catalog` | what can be asked for |
//! | `params` | the params of each operation, and what is asked of them |
//! | `param_table` | the same as a table, for conditions of policies |
//! | `acts` | what an operation does to what stands upstream, in one line |
//! | `cache_purge`, `dns_…`, `ssl_mode`, `waf_…`, `worker…` | params, what they warn of, and their summary |
//! | `request` | the request of each operation |
//! | `forwarded` | which operation a client's own request is |
//! | `described` | what a client's own request does that is no operation's |
//! | `deploys` | the requests that belong to one deploy of a Worker |
//! | `answer` | what an answer means |
//! | `read_back`, `state` | what stands upstream where an operation changes something |
//! | `worker_diff` | the bindings of a Worker beside those that it has |
//! | `worker_code` | the modules of a Worker beside those that run, line by line |
//! | `phase_diff` | the rules of a phase beside those that are there, one by one |
//! | `agreement` | whether that is as the operation makes it, field by field |
//! | `zone_name` | what zones are called, and what names of records become in them |

mod acts;
mod agreement;
mod answer;
mod cache_purge;
mod catalog;
mod deploys;
mod described;
mod dns_name;
mod dns_record_data;
mod dns_record_fields;
mod dns_record_read;
mod dns_record_text;
mod dns_record_type;
mod dns_record_write;
mod dns_text;
mod forwarded;
mod module_syntax;
mod multipart;
mod object_id;
mod param_table;
mod params;
mod phase_diff;
mod read_back;
mod request;
mod ssl_mode;
mod state;
#[cfg(test)]
mod tests;
mod values;
mod waf_action;
mod waf_expression;
mod waf_rule;
mod waf_rules_read;
mod waf_rules_write;
mod worker_binding;
mod worker_code;
mod worker_diff;
mod worker_module;
mod worker_settings;
mod workers_deploy;
mod zone_name;

pub use catalog::{
    ACCOUNT, ACCOUNT_READ, CACHE_PURGE, CATALOG, DNS_RECORD_READ, DNS_RECORD_WRITE, PROXIED,
    SSL_MODE, WAF_RULES_READ, WAF_RULES_WRITE, WORKERS_DEPLOY, WORKERS_READ, WORKERS_ROUTE,
    WORKERS_SCRIPT_DELETE, WORKERS_SECRET, WORKERS_TRIGGER, ZONE, ZONE_READ,
};

use cache_purge::CachePurge;
use dns_record_fields::DnsRecordFields;
use dns_record_read::DnsRecordRead;
use dns_record_write::DnsRecordWrite;
use ledger::operation::fields::{self, Fields};
use ledger::operation::{
    AlsoAllowed, Before, ForwardedBody, ForwardedRequest, InvalidOperation, Scope, ScopeId, Sent,
    Unchecked, UpstreamRequest, Warning, is_safe_segment, says_secret, shown, shown_name,
};
use ledger::provider::{
    Answer, Effect, Following, NoAnswer, Outcome, Param, Pending, Provider, ProviderNames, Upstream,
};
use ledger::{CatalogEntry, ScopeType};
use object_id::{ObjectId, ScriptName};
use params::Params;
use read_back::Reader;
use serde_json::Value;
use ssl_mode::SslMode;
use std::sync::Arc;
use waf_rule::WafRule;
use waf_rules_read::{WafPhase, WafRulesRead};
use waf_rules_write::{RuleChange, WafRulesWrite};
use workers_deploy::{EntryPoint, SCRIPT_SETTINGS, WorkersDeploy};
use zone_name::{ZoneName, ascii_name};

const NAMES: ProviderNames = ProviderNames {
    title: "Cloudflare",
    base_setting: "CLOUDFLARE_API_BASE",
    base: "https://api.cloudflare.com/client/v4",
    token_setting: "CLOUDFLARE_API_TOKEN",
    request_id_header: "cf-ray",
};

#[derive(Debug, Clone, Copy)]
pub struct Cloudflare;

impl Provider for Cloudflare {
    fn names(&self) -> &'static ProviderNames {
        &NAMES
    }

    fn catalog(&self) -> &'static [CatalogEntry] {
        &CATALOG
    }

    fn proxied(&self) -> &'static [CatalogEntry] {
        &PROXIED
    }

    fn params(&self, entry: &CatalogEntry) -> &'static [Param] {
        param_table::params_of(entry.id)
    }

    fn parse(
        &self,
        entry: &CatalogEntry,
        params: Fields<'_>,
    ) -> Result<Arc<dyn Effect>, InvalidOperation> {
        Ok(Arc::new(Params::parse(entry.id, params)?))
    }

    fn params_of(&self, entry: &CatalogEntry, scope: &Scope, sent: Sent<'_>) -> Option<Value> {
        forwarded::params_of(entry, scope, sent)
    }

    fn description_of(
        &self,
        entry: &CatalogEntry,
        scope: &Scope,
        request: &ForwardedRequest,
        body: &ForwardedBody,
    ) -> Option<Arc<dyn Effect>> {
        described::description_of(entry, scope, request, body)
    }

    fn also_allowed(&self, sent: Sent<'_>) -> Vec<AlsoAllowed> {
        deploys::also_allowed(sent)
    }

    fn following(&self, first: Sent<'_>, made: Option<&str>, then: Sent<'_>) -> Following {
        deploys::following(first, made, then)
    }

    fn outcome(&self, answer: Result<Answer, NoAnswer>, is_read: bool) -> Outcome {
        answer::outcome_of(answer, is_read)
    }

    fn has_name(&self, scope_type: ScopeType) -> bool {
        scope_type == ZONE
    }

    fn is_known_by_name(&self, scope_type: ScopeType) -> bool {
        [ZONE, ACCOUNT].contains(&scope_type)
    }

    /// A token may be allowed to change records and not to see their zone.
    fn read_name<'a>(
        &'a self,
        scope: &'a Scope,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<String, String>> {
        Box::pin(async {
            match scope.scope_type == ACCOUNT {
                true => Reader(upstream).account_name(&scope.id).await,
                false => Reader(upstream).zone_name(&scope.id).await,
            }
        })
    }
}

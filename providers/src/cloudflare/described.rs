//! What a client's own request does, where it is not the request that an operation of the catalog makes. What is read
//! here is told to people: a title, dangers, and what stands upstream before. It changes nothing of what is recorded,
//! approved or sent.

use super::acts::{rule_named, rule_of};
use super::object_id::{ObjectId, ScriptName};
use super::read_back::Reader;
use super::state::recorded;
use super::waf_rule::is_every_request;
use super::waf_rules_write::all_are_replaced;
use super::{
    Before, DNS_RECORD_WRITE, DnsRecordFields, DnsRecordWrite, Params, Scope, UpstreamRequest,
    WAF_RULES_WRITE, WORKERS_DEPLOY, Warning, WorkersDeploy, shown,
};
use ledger::CatalogEntry;
use ledger::operation::{Entries, ForwardedBody, ForwardedRequest, Method, OperationFiles};
use ledger::provider::{Depth, Effect, Pending, Snapshot, Upstream};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Longest part of a line that a client wrote.
const MOST_SHOWN: usize = 80;
/// Most things that one line lists.
const MOST_LISTED: usize = 5;

/// The description; `None` where nothing is known but the request's title.
pub(super) fn description_of(
    entry: &CatalogEntry,
    scope: &Scope,
    request: &ForwardedRequest,
    body: &ForwardedBody,
) -> Option<Arc<dyn Effect>> {
    let (path, query) = request
        .target
        .split_once('?')
        .map_or((request.target.as_str(), None), |(path, query)| {
            (path, Some(query))
        });
    let path: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let is_of_scope = path.get(1) == Some(&scope.id.as_str());
    let path = path.get(2..).filter(|_| is_of_scope)?;
    let method = request.method;
    if entry.id == DNS_RECORD_WRITE.id {
        let write = record_of(method, path, body.json()).filter(|_| query.is_none())?;
        return Some(Arc::new(Params::DnsRecordWrite(write)));
    }
    if entry.id == WAF_RULES_WRITE.id {
        return rules_of(method, path, body.json());
    }
    if entry.id == WORKERS_DEPLOY.id
        && let Some(upload) = Upload::of(method, path, request, body)
    {
        return Some(Arc::new(upload));
    }
    let act = match path {
        ["workers", "scripts", script, rest @ ..] => of_script(method, script, rest, body)?,
        ["workers", "domains"] => domain(body.json()?),
        ["workers", "routes", rest @ ..] => route(method, rest, body.json()),
        _ => return None,
    };
    Some(Arc::new(act))
}

/// A record as the request says it, whatever of it the catalog's operation would say otherwise.
fn record_of(method: Method, path: &[&str], body: Option<&Value>) -> Option<DnsRecordWrite> {
    let fields = || body?.as_object().map(DnsRecordFields::as_sent);
    Some(match (method, path) {
        (Method::Post, ["dns_records"]) => DnsRecordWrite::Create(fields()?),
        (Method::Put, ["dns_records", record]) => DnsRecordWrite::Update {
            record_id: ObjectId::of(record)?,
            record: fields()?,
        },
        (Method::Patch, ["dns_records", record]) => DnsRecordWrite::Edit {
            record_id: ObjectId::of(record)?,
            change: fields()?,
        },
        (Method::Delete, ["dns_records", record]) => DnsRecordWrite::Delete {
            record_id: ObjectId::of(record)?,
        },
        _ => return None,
    })
}

fn rules_of(method: Method, path: &[&str], body: Option<&Value>) -> Option<Arc<dyn Effect>> {
    let body = body?;
    Some(match (method, path) {
        (Method::Patch, ["rulesets", ruleset, "rules", rule]) => Arc::new(RuleEdit {
            ruleset_id: ObjectId::of(ruleset)?,
            rule_id: ObjectId::of(rule)?,
            change: body.as_object()?.clone(),
        }),
        (Method::Post, ["rulesets", _, "rules"]) => Arc::new(Act {
            line: format!("Add a firewall rule ({})", rule_line(body)),
            warnings: rule_warnings(std::slice::from_ref(body), None),
            script: None,
        }),
        (Method::Put, ["rulesets", "phases", phase, "entrypoint"]) => {
            let rules = body.get("rules").and_then(Value::as_array);
            let rules = rules.map(Vec::as_slice).unwrap_or_default();
            let text = all_are_replaced(rules.len());
            Arc::new(Act {
                line: format!(
                    "Replace all rules of phase {} by {}",
                    shown(phase, MOST_SHOWN),
                    rules.len()
                ),
                warnings: rule_warnings(rules, Some(Warning::danger("replaces_all_rules", text))),
                script: None,
            })
        }
        _ => return None,
    })
}

/// `block: http.host eq "a"`
fn rule_line(rule: &Value) -> String {
    let action = shown(text(rule, "action").unwrap_or("no action"), 64);
    let expression = text(rule, "expression").unwrap_or_default();
    format!("{action}: {}", shown(expression, MOST_SHOWN))
}

/// The dangers of rules that are read only in part.
fn rule_warnings(rules: &[Value], first: Option<Warning>) -> Vec<Warning> {
    let matches_all = |rule: &&Value| {
        let expression = text(rule, "expression").unwrap_or_default();
        is_every_request(expression) && rule.get("enabled") != Some(&Value::Bool(false))
    };
    let all: Vec<&Value> = rules.iter().filter(matches_all).collect();
    let skips = |rule: &&Value| text(rule, "action") == Some("skip");
    let mut warnings = Vec::new();
    if all.iter().any(skips) {
        let text = "a rule lets every request past the firewall";
        warnings.push(Warning::danger("skips_everything", text));
    }
    if all.iter().any(|rule| !skips(rule)) {
        let text = "the expression of a rule matches every request to the zone";
        warnings.push(Warning::danger("matches_every_request", text));
    }
    warnings.extend(first);
    warnings.push(read_in_part());
    warnings
}

fn read_in_part() -> Warning {
    Warning::new(
        "read_in_part",
        "this service reads only a part of the request: read all of it below",
    )
}

/// A change of some fields of one rule.
#[derive(Debug)]
struct RuleEdit {
    ruleset_id: ObjectId,
    rule_id: ObjectId,
    change: Map<String, Value>,
}

impl RuleEdit {
    fn changes(&self) -> String {
        let fields = self
            .change
            .iter()
            .map(|(name, value)| match (name.as_str(), value) {
                ("enabled", Value::Bool(true)) => "switched on".to_owned(),
                ("enabled", Value::Bool(false)) => "switched off".to_owned(),
                (name, Value::String(value)) => {
                    format!("{} {}", shown(name, 40), shown(value, MOST_SHOWN))
                }
                (name, value) => format!(
                    "{} {}",
                    shown(name, 40),
                    shown(&value.to_string(), MOST_SHOWN)
                ),
            });
        listed(fields)
    }
}

impl Effect for RuleEdit {
    fn to_json(&self) -> Value {
        Value::Object(self.change.clone())
    }

    fn summary(&self, scope: &Scope) -> String {
        let (rule, ruleset) = (&self.rule_id, &self.ruleset_id);
        let changes = self.changes();
        format!("Change firewall rule {rule} of ruleset {ruleset} in {scope}: {changes}")
    }

    fn request(&self, _: &Scope, _: Option<&str>) -> UpstreamRequest {
        UpstreamRequest::get("/".to_owned())
    }

    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        let rule = rule_of(before, self.rule_id.as_str())?;
        let place = before
            .name
            .map_or_else(|| scope.to_string(), |name| shown(name, 255));
        let (named, changes) = (rule_named(rule), self.changes());
        Some(format!(
            "Change firewall rule {named} of {place}: {changes}"
        ))
    }

    fn warnings(&self, _: &Before<'_>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.change.get("enabled") == Some(&Value::Bool(false)) {
            let text = "the rule is switched off; what it stopped passes";
            warnings.push(Warning::danger("disables_rule", text));
        }
        let change = Value::Object(self.change.clone());
        warnings.extend(rule_warnings(&[change], None));
        warnings
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        _: Result<&'a str, &'a str>,
        _: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        Box::pin(async move {
            let reader = Reader(upstream);
            let found = reader.read_ruleset(&scope.id, &self.ruleset_id).await?;
            Ok(Some(Snapshot::new(json!({ "ruleset": found }))))
        })
    }
}

/// The kinds of uploads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The script, which runs at once.
    Script,
    /// A version, which runs once it is deployed.
    Version,
    /// The code alone.
    Content,
}

/// An upload of a Worker, as its form says it.
#[derive(Debug)]
struct Upload {
    kind: Kind,
    script: ScriptName,
    /// `2 modules, 1200 bytes`
    modules: String,
    params: Params,
}

impl Upload {
    fn of(
        method: Method,
        path: &[&str],
        request: &ForwardedRequest,
        body: &ForwardedBody,
    ) -> Option<Self> {
        let (kind, script) = match (method, path) {
            (Method::Put, ["workers", "scripts", script]) => (Kind::Script, script),
            (Method::Post, ["workers", "scripts", script, "versions"]) => (Kind::Version, script),
            (Method::Put, ["workers", "scripts", script, "content"]) => (Kind::Content, script),
            _ => return None,
        };
        let deploy = WorkersDeploy::as_sent(ScriptName::of(script)?, request, body)?;
        Some(Self {
            kind,
            script: deploy.script_name().clone(),
            modules: deploy.counted(),
            params: Params::WorkersDeploy(deploy),
        })
    }
}

impl Effect for Upload {
    fn to_json(&self) -> Value {
        self.params.to_json()
    }

    fn summary(&self, _: &Scope) -> String {
        let (name, modules) = (&self.script, &self.modules);
        match self.kind {
            Kind::Script => format!("Upload the Worker {name}, and put it into use ({modules})"),
            Kind::Version => format!("Upload a version of the Worker {name} ({modules})"),
            Kind::Content => format!("Replace the code of the Worker {name} ({modules})"),
        }
    }

    fn request(&self, scope: &Scope, name: Option<&str>) -> UpstreamRequest {
        self.params.request(scope, name)
    }

    fn act(&self, scope: &Scope, before: &Before<'_>) -> Option<String> {
        match self.kind {
            Kind::Script if before.is_absent("script") => {
                let (name, modules) = (&self.script, &self.modules);
                Some(format!(
                    "Upload the new Worker {name}, and put it into use ({modules})"
                ))
            }
            Kind::Script => self.params.act(scope, before),
            Kind::Version | Kind::Content => None,
        }
    }

    fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = self.params.warnings(before);
        if self.kind == Kind::Script {
            return warnings;
        }
        // What is told of what runs, and of what is lost, is another thing here.
        let is_other = |warning: &Warning| {
            ["replaces_code", "loses_settings", "drops_bindings"].contains(&warning.code)
        };
        warnings.retain(|warning| !is_other(warning));
        let code = match self.kind {
            _ if before.is_absent("script") => None,
            Kind::Version => Some(
                "with the deployment that this approval allows besides, the version's code runs on every request to \
                 the script's routes",
            ),
            Kind::Script | Kind::Content => Some(
                "the script's code is replaced and runs on every request to its routes at once",
            ),
        };
        let lost: Vec<_> = self
            .lost(before)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        if !lost.is_empty() {
            let lost = listed(lost.iter().map(|name| shown(name, MOST_SHOWN)));
            let text = format!("the script has now and loses: {lost}");
            warnings.insert(0, Warning::danger("loses_settings", text));
        }
        if let Some(text) = code {
            warnings.insert(0, Warning::danger("replaces_code", text));
        }
        warnings
    }

    fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        /// The settings that belong to the script, whichever version of it runs.
        const OF_SCRIPT: [&str; 4] = ["logpush", "observability", "tags", "tail_consumers"];
        let mut lost = self.params.lost(before);
        match self.kind {
            Kind::Script => {}
            Kind::Version => lost.retain(|name, _| !OF_SCRIPT.contains(&name.as_str())),
            Kind::Content => lost.clear(),
        }
        lost
    }

    fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        self.params.entries(before)
    }

    fn files(&self, before: &Before<'_>) -> Option<OperationFiles<'_>> {
        self.params.files(before)
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        name: Result<&'a str, &'a str>,
        depth: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        self.params.read_state(scope, name, depth, upstream)
    }
}

/// An act in one line with what it warns of.
#[derive(Debug)]
struct Act {
    line: String,
    warnings: Vec<Warning>,
    /// The script that is read before.
    script: Option<ScriptName>,
}

impl Act {
    fn new(line: String, warning: Warning) -> Self {
        Self {
            line,
            warnings: vec![warning],
            script: None,
        }
    }
}

impl Effect for Act {
    fn to_json(&self) -> Value {
        json!({})
    }

    fn summary(&self, _: &Scope) -> String {
        self.line.clone()
    }

    fn request(&self, _: &Scope, _: Option<&str>) -> UpstreamRequest {
        UpstreamRequest::get("/".to_owned())
    }

    fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = self.warnings.clone();
        if self.script.is_some() && before.is_absent("script") {
            let text = "will fail: the Worker is not there any more";
            warnings.insert(0, Warning::new("will_fail", text));
        }
        warnings
    }

    fn reads_state(&self) -> bool {
        self.script.is_some()
    }

    fn read_state<'a>(
        &'a self,
        scope: &'a Scope,
        _: Result<&'a str, &'a str>,
        _: Depth,
        upstream: &'a dyn Upstream,
    ) -> Pending<'a, Result<Option<Snapshot>, String>> {
        Box::pin(async move {
            let Some(script) = &self.script else {
                return Ok(None);
            };
            let reader = Reader(upstream);
            let found = reader.read_script_settings(&scope.id, script).await?;
            let found = json!({ "script": found });
            let withheld = recorded(found.clone(), None);
            Ok(Some(Snapshot::withheld(found, None, withheld)))
        })
    }
}

fn of_script(method: Method, script: &str, rest: &[&str], body: &ForwardedBody) -> Option<Act> {
    let name = shown(script, MOST_SHOWN);
    let body = body.json();
    Some(match (method, rest) {
        (Method::Delete, []) => Act {
            script: ScriptName::of(script),
            ..Act::new(
                format!("Delete the Worker {name}"),
                Warning::danger(
                    "deletes_worker",
                    "the Worker is deleted with its code, settings and secrets; nothing answers requests to its routes \
                     any more",
                ),
            )
        },
        (Method::Put, ["secrets"]) => {
            let secret = body
                .and_then(|body| text(body, "name"))
                .unwrap_or("without a name");
            let secret = shown(secret, MOST_SHOWN);
            Act::new(
                format!("Store the secret {secret} of the Worker {name}"),
                Warning::new(
                    "stores_secret",
                    "a secret of this name is replaced where there is one, and its value cannot be had again",
                ),
            )
        }
        (Method::Delete, ["secrets", secret]) => Act::new(
            format!(
                "Delete the secret {} of the Worker {name}",
                shown(secret, MOST_SHOWN)
            ),
            Warning::danger(
                "deletes_secret",
                "the secret is deleted, and its value cannot be had again; code that needs it fails",
            ),
        ),
        (Method::Put, ["schedules"]) => {
            let crons = body.and_then(Value::as_array).into_iter().flatten();
            let crons: Vec<_> = crons.filter_map(|one| text(one, "cron")).collect();
            let times = match crons.is_empty() {
                true => "none".to_owned(),
                false => listed(crons.iter().map(|cron| shown(cron, MOST_SHOWN))),
            };
            Act::new(
                format!("Set the schedules of the Worker {name}: {times}"),
                Warning::new(
                    "sets_schedules",
                    "the Worker is called at these times and at no others: other schedules that it has are gone",
                ),
            )
        }
        (Method::Post, ["subdomain"]) => subdomain(&name, body?),
        (Method::Post, ["deployments"]) => {
            let versions = body.and_then(|body| body.get("versions")?.as_array());
            let versions = versions.into_iter().flatten().map(|version| {
                let id = shown(text(version, "version_id").unwrap_or("without an id"), 64);
                let share = version.get("percentage").map(Value::to_string);
                format!("{id} ({} %)", shown(&share.unwrap_or_default(), 16))
            });
            Act::new(
                format!(
                    "Put versions of the Worker {name} into use: {}",
                    listed(versions)
                ),
                Warning::danger(
                    "puts_into_use",
                    "the code of these versions runs on requests to the Worker's routes at once",
                ),
            )
        }
        (Method::Patch, ["settings" | "script-settings"]) => {
            let fields = body.and_then(Value::as_object).map(Map::keys);
            let fields = listed(fields.into_iter().flatten().map(|name| shown(name, 40)));
            let has = |field| body.is_some_and(|body| body.get(field).is_some());
            let warning = match has("bindings") {
                true => Warning::danger(
                    "changes_bindings",
                    "the script's bindings become these; they decide what data it can reach",
                ),
                false => read_in_part(),
            };
            let of = match fields.is_empty() {
                true => String::new(),
                false => format!(": {fields}"),
            };
            Act::new(format!("Change settings of the Worker {name}{of}"), warning)
        }
        _ => return None,
    })
}

fn subdomain(name: &str, body: &Value) -> Act {
    let on = |field: &str| body.get(field).and_then(Value::as_bool);
    let previews = match on("previews_enabled") {
        Some(true) => ", and its previews at theirs",
        Some(false) => ", without its previews",
        None => "",
    };
    match on("enabled") {
        Some(false) => Act::new(
            format!("Take the Worker {name} from its address on workers.dev{previews}"),
            Warning::new("unpublishes", "nothing answers at that address any more"),
        ),
        _ => Act::new(
            format!("Publish the Worker {name} at its address on workers.dev{previews}"),
            Warning::new("publishes", "everybody can call it there"),
        ),
    }
}

fn domain(body: &Value) -> Act {
    let field = |name: &str| shown(text(body, name).unwrap_or("without a name"), 255);
    Act::new(
        format!(
            "Send the requests of {} to the Worker {}",
            field("hostname"),
            field("service")
        ),
        Warning::danger(
            "routes_requests",
            "every request to this name goes to the Worker, whatever answers it now",
        ),
    )
}

fn route(method: Method, rest: &[&str], body: Option<&Value>) -> Act {
    let pattern = body.and_then(|body| text(body, "pattern"));
    let pattern = pattern.map(|pattern| shown(pattern, 255));
    match (method, rest) {
        (Method::Delete, [route, ..]) => Act::new(
            format!("Delete the Worker route {}", shown(route, MOST_SHOWN)),
            Warning::danger(
                "deletes_route",
                "requests to the route reach no Worker any more",
            ),
        ),
        _ => {
            let pattern = pattern.unwrap_or_else(|| "a route".to_owned());
            match body.and_then(|body| text(body, "script")) {
                Some(script) => Act::new(
                    format!(
                        "Send the requests of {pattern} to the Worker {}",
                        shown(script, 255)
                    ),
                    Warning::danger(
                        "routes_requests",
                        "every request to this route goes to the Worker, whatever answers it now",
                    ),
                ),
                None => Act::new(
                    format!("Send the requests of {pattern} to no Worker"),
                    Warning::danger(
                        "deletes_route",
                        "requests to the route reach no Worker any more",
                    ),
                ),
            }
        }
    }
}

/// The first of them, and how many more there are.
fn listed(items: impl Iterator<Item = String>) -> String {
    let items: Vec<_> = items.collect();
    let more = items.len().saturating_sub(MOST_LISTED);
    let some: Vec<_> = items.into_iter().take(MOST_LISTED).collect();
    match more {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name).and_then(Value::as_str)
}

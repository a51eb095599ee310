//! What became of a request whose answer was lost, found out by reading back.
//!
//! Found as intended: applied. Found as it was before: not applied, as long as the request cannot
//! land any more, which the caller knows. What a lost create would have made may still appear, and a
//! purge leaves no trace: unknown.

use super::agreement::{agrees, record_agrees, rule_agrees};
use super::client::CloudflareClient;
use super::read_back::Unreadable;
use ledger::operation::{
    DnsRecordWrite, Entry, Operation, Params, RuleChange, SslMode, WafPhase, WafRule,
    WafRulesWrite, WorkersDeploy,
};
use serde_json::{Map, Value, json};

/// What is known after reading back.
#[derive(Debug, Clone, PartialEq)]
pub enum Reconciled {
    /// Upstream is as the operation wants it.
    Applied {
        /// What stands there now.
        result: Value,
    },
    /// Upstream is as it was before. Within [`CloudflareClient::may_land_within`] of sending, the
    /// request may still be carried out.
    NotApplied {
        /// What was found, for people.
        why: String,
    },
    /// It cannot be known; a person settles it.
    Unknown {
        /// Why not, for people.
        why: String,
    },
}

impl Reconciled {
    fn not_applied(why: &str) -> Self {
        Self::NotApplied {
            why: why.to_owned(),
        }
    }

    fn unknown(why: impl Into<String>) -> Self {
        Self::Unknown { why: why.into() }
    }
}

/// What one look at upstream says.
type Look = Result<Reconciled, Unreadable>;

impl CloudflareClient {
    /// Finds out what became of an operation that was sent and not answered. `pre_state` is what
    /// [`CloudflareClient::read_pre_state`] found before it was sent; it tells what was there
    /// already from what was made. Changes nothing.
    pub async fn reconcile(&self, operation: &Operation, pre_state: Option<&Value>) -> Reconciled {
        let mut delays = self.read_back_delays.iter();
        loop {
            let found = match self.look(operation, pre_state).await {
                Ok(applied @ Reconciled::Applied { .. }) => return applied,
                Ok(other) => other,
                Err(why) => Reconciled::unknown(format!("reading back failed: {why}")),
            };
            if !operation.changes_upstream() || !operation.reconcilable() {
                return found;
            }
            match delays.next() {
                Some(delay) => tokio::time::sleep(*delay).await,
                None => return found,
            }
        }
    }

    async fn look(&self, operation: &Operation, pre_state: Option<&Value>) -> Look {
        let scope = &operation.scope.id;
        match &operation.params {
            Params::DnsRecordRead(_) | Params::WafRulesRead(_) => {
                Ok(Reconciled::not_applied("a read changes nothing"))
            }
            Params::CachePurge(_) => Ok(Reconciled::unknown("a purge leaves nothing to read back")),
            Params::DnsRecordWrite(write) => self.look_at_record(scope, write, pre_state).await,
            Params::SslMode(mode) => Ok(ssl_mode_found(*mode, self.read_ssl_mode(scope).await?)),
            Params::WafRulesWrite(write) => self.look_at_rules(scope, write, pre_state).await,
            Params::WorkersDeploy(deploy) => self.look_at_script(scope, deploy).await,
        }
    }

    async fn look_at_record(
        &self,
        zone: &ledger::operation::ScopeId,
        write: &DnsRecordWrite,
        pre_state: Option<&Value>,
    ) -> Look {
        match write {
            DnsRecordWrite::Create(record) => {
                let found = self
                    .read_records(zone, record.name().unwrap_or("@"))
                    .await?;
                let mut intended = record.body();
                // The list is of this name already, in whichever way it was written.
                intended.remove("name");
                Ok(created_record_found(&intended, found, pre_state))
            }
            DnsRecordWrite::Update {
                record_id,
                record: fields,
            }
            | DnsRecordWrite::Edit {
                record_id,
                change: fields,
            } => {
                let mut intended = fields.body();
                let found = self.read_record(zone, record_id).await?;
                if let (Some(name), Some(found)) = (fields.name(), &found)
                    && names_agree(name, found.get("name"))
                {
                    intended.remove("name");
                }
                Ok(match found {
                    Some(found) if record_agrees(&intended, &found) => {
                        Reconciled::Applied { result: found }
                    }
                    Some(_) => Reconciled::not_applied("the record is not as it was to become"),
                    None => Reconciled::not_applied("there is no such record"),
                })
            }
            DnsRecordWrite::Delete { record_id } => {
                Ok(match self.read_record(zone, record_id).await? {
                    None => Reconciled::Applied {
                        result: json!({"id": record_id.as_str()}),
                    },
                    Some(_) => Reconciled::not_applied("the record is still there"),
                })
            }
        }
    }

    async fn look_at_rules(
        &self,
        zone: &ledger::operation::ScopeId,
        write: &WafRulesWrite,
        pre_state: Option<&Value>,
    ) -> Look {
        let (ruleset_id, rule_id) = match write {
            WafRulesWrite::ReplacePhase { phase, rules, .. } => {
                let intended: Vec<_> = rules.iter().map(|rule| rule.body()).collect();
                return Ok(match self.read_phase(zone, *phase).await? {
                    Some(found) if all_rules_agree(&intended, rules_of(&found)) => {
                        Reconciled::Applied { result: found }
                    }
                    Some(_) => Reconciled::not_applied("the phase's rules are others"),
                    None => Reconciled::not_applied("the phase has no rules"),
                });
            }
            WafRulesWrite::FirstRule { phase, rule } => {
                return self.look_at_first_rule(zone, *phase, rule, pre_state).await;
            }
            WafRulesWrite::AddRule { ruleset_id, .. } => (ruleset_id, ""),
            WafRulesWrite::UpdateRule {
                ruleset_id,
                rule_id,
                ..
            }
            | WafRulesWrite::DeleteRule {
                ruleset_id,
                rule_id,
            } => (ruleset_id, rule_id.as_str()),
        };
        let Some(ruleset) = self.read_ruleset(zone, ruleset_id).await? else {
            return Ok(Reconciled::unknown("there is no such ruleset any more"));
        };
        let rules = rules_of(&ruleset);
        let place = rules.iter().position(|rule| id_of(rule) == Some(rule_id));
        let rule = place.and_then(|place| rules.get(place));
        Ok(match (write, rule) {
            (WafRulesWrite::AddRule { rule, .. }, _) => {
                let before = pre_state
                    .and_then(|state| state.get("ruleset"))
                    .map(rules_of);
                let found = rules
                    .iter()
                    .find(|found| rule_agrees(&rule.body(), found) && !was_there(before, found));
                match found {
                    Some(_) => Reconciled::Applied {
                        result: ruleset.clone(),
                    },
                    None => Reconciled::unknown("no such rule is there, but it may still appear"),
                }
            }
            (WafRulesWrite::DeleteRule { .. }, None) => Reconciled::Applied {
                result: ruleset.clone(),
            },
            (WafRulesWrite::DeleteRule { .. }, Some(_)) => {
                Reconciled::not_applied("the rule is still there")
            }
            (WafRulesWrite::UpdateRule { change, .. }, Some(rule)) => {
                let as_intended = match change {
                    RuleChange::Define(defined) => rule_agrees(&defined.body(), rule),
                    RuleChange::Move(position) => stands_at(position, rules, place),
                };
                if as_intended {
                    Reconciled::Applied {
                        result: ruleset.clone(),
                    }
                } else {
                    Reconciled::not_applied("the rule is not as it was to become")
                }
            }
            (_, None) => Reconciled::not_applied("there is no such rule"),
            (WafRulesWrite::FirstRule { .. } | WafRulesWrite::ReplacePhase { .. }, _) => {
                Reconciled::unknown("the phase's rules were not read")
            }
        })
    }

    /// A phase that had no ruleset, and has one with exactly this rule, was given it.
    async fn look_at_first_rule(
        &self,
        zone: &ledger::operation::ScopeId,
        phase: WafPhase,
        rule: &WafRule,
        pre_state: Option<&Value>,
    ) -> Look {
        let had_none = pre_state.and_then(|state| state.get("ruleset")) == Some(&Value::Null);
        Ok(match self.read_phase(zone, phase).await? {
            Some(found) if had_none && all_rules_agree(&[rule.body()], rules_of(&found)) => {
                Reconciled::Applied { result: found }
            }
            Some(_) => Reconciled::unknown("the phase has rules, which others may have made"),
            None => Reconciled::unknown("the phase has no rules, but they may still appear"),
        })
    }

    async fn look_at_script(
        &self,
        account: &ledger::operation::ScopeId,
        deploy: &WorkersDeploy,
    ) -> Look {
        let name = deploy.script_name();
        let Some(found) = self.read_script(account, name).await? else {
            return Ok(Reconciled::unknown(
                "no such script is there, but it may still appear",
            ));
        };
        let same_code = match (deploy.entry(), deploy.modules(), found.as_slice()) {
            // Answered as the bare script.
            (Entry::BodyPart(_), [only], [(name, content)]) if name.is_empty() => {
                only.content() == content
            }
            (_, modules, found) => {
                modules.len() == found.len()
                    && modules.iter().all(|module| {
                        found.iter().any(|(name, content)| {
                            name == module.name() && content == module.content()
                        })
                    })
            }
        };
        if !same_code {
            return Ok(Reconciled::not_applied("the script's code is other code"));
        }
        // The same code may have been there before; what it is bound to tells the uploads apart.
        let Some(settings) = self.read_script_settings(account, name).await? else {
            return Ok(Reconciled::unknown("the script's settings cannot be read"));
        };
        if settings_agree(&deploy.metadata(), &settings) {
            Ok(Reconciled::Applied {
                result: json!({"id": name.as_str()}),
            })
        } else {
            Ok(Reconciled::not_applied(
                "the script's bindings or settings are others",
            ))
        }
    }
}

fn ssl_mode_found(intended: SslMode, found: Option<Value>) -> Reconciled {
    match found {
        Some(found) if found.get("value") == Some(&json!(intended.as_str())) => {
            Reconciled::Applied { result: found }
        }
        Some(_) => Reconciled::not_applied("the SSL mode is another"),
        None => Reconciled::unknown("the zone's SSL mode cannot be read"),
    }
}

/// Upstream refuses a second record that is equal in type, name and content, so one that was there
/// before and still is means that none was made.
fn created_record_found(
    intended: &Map<String, Value>,
    found: Vec<Value>,
    pre_state: Option<&Value>,
) -> Reconciled {
    let before = pre_state
        .and_then(|state| state.get("records"))
        .and_then(Value::as_array)
        .map(Vec::as_slice);
    match found
        .into_iter()
        .find(|found| record_agrees(intended, found))
    {
        Some(found) if was_there(before, &found) => {
            Reconciled::not_applied("such a record was there before")
        }
        Some(found) => Reconciled::Applied { result: found },
        None => Reconciled::unknown("no such record is there, but it may still appear"),
    }
}

fn was_there(before: Option<&[Value]>, found: &Value) -> bool {
    let id = id_of(found);
    id.is_some() && before.is_some_and(|before| before.iter().any(|other| id_of(other) == id))
}

fn id_of(object: &Value) -> Option<&str> {
    object.get("id").and_then(Value::as_str)
}

fn rules_of(ruleset: &Value) -> &[Value] {
    ruleset
        .get("rules")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn all_rules_agree(intended: &[Value], found: &[Value]) -> bool {
    intended.len() == found.len()
        && intended
            .iter()
            .zip(found)
            .all(|(intended, found)| rule_agrees(intended, found))
}

/// Whether the rule at `place` stands where `position` says.
fn stands_at(position: &Map<String, Value>, rules: &[Value], place: Option<usize>) -> bool {
    let Some(place) = place else { return false };
    let neighbour = |index: Option<usize>| index.and_then(|index| rules.get(index)).and_then(id_of);
    let text = |name: &str| position.get(name).and_then(Value::as_str);
    if let Some(before) = text("before") {
        return if before.is_empty() {
            place == 0
        } else {
            neighbour(place.checked_add(1)) == Some(before)
        };
    }
    if let Some(after) = text("after") {
        return if after.is_empty() {
            place + 1 == rules.len()
        } else {
            neighbour(place.checked_sub(1)) == Some(after)
        };
    }
    position.get("index").and_then(Value::as_u64) == u64::try_from(place + 1).ok()
}

/// A relative name or `@` agrees with any full one that it can stand for.
fn names_agree(intended: &str, found: Option<&Value>) -> bool {
    let Some(found) = found.and_then(Value::as_str) else {
        return false;
    };
    let intended = intended.to_ascii_lowercase();
    let found = found.to_ascii_lowercase();
    intended == "@"
        || found == intended
        || found
            .strip_prefix(&intended)
            .is_some_and(|zone| zone.starts_with('.'))
}

/// Whether the settings are those of the upload, as far as it named them. Inherited and kept
/// bindings are shown as what they are, so only their names can be looked for.
fn settings_agree(metadata: &Map<String, Value>, settings: &Value) -> bool {
    let shown = |field: &str| settings.get(field).unwrap_or(&Value::Null);
    let same = |field: &str| {
        metadata
            .get(field)
            .is_none_or(|intended| agrees(intended, shown(field)))
    };
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let found = list(shown("bindings"));
    let intended = list(metadata.get("bindings").unwrap_or(&Value::Null));
    let bindings_are_there = intended.iter().all(|intended| {
        let inherited = intended.get("type") == Some(&json!("inherit"));
        found.iter().any(|found| {
            if inherited {
                found.get("name") == intended.get("name")
            } else {
                agrees(intended, found)
            }
        })
    });
    let nothing_else = metadata.contains_key("keep_bindings") || found.len() == intended.len();
    [
        "compatibility_date",
        "compatibility_flags",
        "logpush",
        "placement",
        "observability",
    ]
    .into_iter()
    .all(same)
        && bindings_are_there
        && nothing_else
}

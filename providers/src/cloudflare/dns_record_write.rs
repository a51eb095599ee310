//! `dns.record.write`: `{action?, record_id?, …}` with the fields of `dns_record_fields`.
//!
//! | action | record_id | fields |
//! |---|---|---|
//! | `create` (default) | none | all of the record |
//! | `update` | required | all of the record; it is replaced |
//! | `edit` | required | those that change, at least one; content only together with type |
//! | `delete` | required | none |

use super::Before;
use super::acts::name_and_type;
use super::dns_record_fields::DnsRecordFields;
use super::dns_record_text::{described, settings};
use super::fields::Fields;
use super::object_id::ObjectId;
use super::values::says_something;
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Map, Value, json};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum DnsRecordWrite {
    Create(DnsRecordFields),
    /// Replace a record with all that it says.
    Update {
        record_id: ObjectId,
        record: DnsRecordFields,
    },
    /// Change some fields of a record.
    Edit {
        record_id: ObjectId,
        change: DnsRecordFields,
    },
    Delete {
        record_id: ObjectId,
    },
}

impl DnsRecordWrite {
    /// The params that hold what upstream takes where they are left out. An edit leaves what it does not name.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        match self {
            Self::Create(record) | Self::Update { record, .. } => record.defaults(),
            Self::Edit { .. } | Self::Delete { .. } => Vec::new(),
        }
    }

    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let action = fields.text("action")?.unwrap_or("create");
        if action == "create" {
            if fields.has("record_id") {
                return Err(fields.refuse(
                    "record_id",
                    "a record that is created has none yet; to change one, say action \
                     \"update\", \"edit\" or \"delete\"",
                ));
            }
            return DnsRecordFields::parse_complete(fields).map(Self::Create);
        }
        if !matches!(action, "update" | "edit" | "delete") {
            return Err(fields.refuse("action", "must be create, update, edit or delete"));
        }
        let record_id = ObjectId::required(&mut fields, "record_id")?;
        match action {
            "update" => Ok(Self::Update {
                record_id,
                record: DnsRecordFields::parse_complete(fields)?,
            }),
            "edit" => Ok(Self::Edit {
                record_id,
                change: DnsRecordFields::parse_change(fields)?,
            }),
            _ => fields.finish().map(|()| Self::Delete { record_id }),
        }
    }

    /// The record's id, except for a create.
    pub(super) fn record_id(&self) -> Option<&ObjectId> {
        match self {
            Self::Create(_) => None,
            Self::Update { record_id, .. }
            | Self::Edit { record_id, .. }
            | Self::Delete { record_id } => Some(record_id),
        }
    }

    /// The fields that it sets, except for a delete.
    pub(super) fn fields(&self) -> Option<&DnsRecordFields> {
        match self {
            Self::Create(record) | Self::Update { record, .. } => Some(record),
            Self::Edit { change, .. } => Some(change),
            Self::Delete { .. } => None,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let action = match self {
            Self::Create(_) => "create",
            Self::Update { .. } => "update",
            Self::Edit { .. } => "edit",
            Self::Delete { .. } => "delete",
        };
        let mut params = self.fields().map_or_else(Map::new, DnsRecordFields::body);
        params.insert("action".to_owned(), json!(action));
        if let Some(record_id) = self.record_id() {
            params.insert("record_id".to_owned(), json!(record_id.as_str()));
        }
        Value::Object(params)
    }

    pub(super) fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        if self.record_id().is_some() && before.is_absent("record") {
            return vec![Warning::new(
                "will_fail",
                "will fail: the record is not there any more",
            )];
        }
        let mut warnings = Vec::new();
        if self.changes_nothing(before) {
            warnings.push(Warning::new(
                "changes_nothing",
                "nothing changes: upstream has all of this already",
            ));
        }
        match self {
            Self::Create(record) => warnings.extend(beside(record, before)),
            Self::Edit { .. } => {}
            Self::Update { .. } => warnings.push(Warning::new(
                "replaces_record",
                "the whole record is replaced, including what is not named here",
            )),
            Self::Delete { .. } => warnings.push(Warning::danger(
                "deletes_record",
                "the record is deleted; its name may stop resolving",
            )),
        }
        let now = self.now(before);
        let intended = self.fields().map(DnsRecordFields::body);
        // What the record is now counts as much as what it becomes.
        for record in [now, intended.as_ref()].into_iter().flatten() {
            for warning in risks(record, before) {
                if !warnings.contains(&warning) {
                    warnings.push(warning);
                }
            }
        }
        let Some(fields) = self.fields() else {
            return warnings;
        };
        if !matches!(self, Self::Create(_)) && fields.proxied() == Some(false) {
            match now.map(|now| now.get("proxied") == Some(&Value::Bool(true))) {
                Some(false) => {}
                Some(true) => warnings.push(Warning::danger(
                    "exposes_origin",
                    "the record is proxied now and not afterwards: this makes the origin's address \
                     public",
                )),
                None => warnings.push(Warning::new(
                    "exposes_origin",
                    "the record is not proxied afterwards; if it is now, this makes the origin's \
                     address public",
                )),
            }
        }
        if fields.proxied() == Some(true) && fields.ttl().is_some_and(|ttl| ttl != 1) {
            warnings.push(Warning::new(
                "ttl_without_effect",
                "upstream uses an automatic TTL for proxied records, whatever is sent",
            ));
        }
        warnings
    }

    /// Fields beside the record's value that are not sent again: a replace drops them.
    pub(super) fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        let (Self::Update { record, .. }, Some(now)) = (self, self.now(before)) else {
            return Map::new();
        };
        let said = record.body();
        let dropped = |name: &&str| !said.contains_key(*name);
        ["comment", "tags", "settings"]
            .into_iter()
            .filter(dropped)
            .filter_map(|name| Some((name.to_owned(), now.get(name)?.clone())))
            .filter(|(_, value)| says_something(value))
            .collect()
    }

    /// The record that is changed, where it was read.
    fn now<'a>(&self, before: &Before<'a>) -> Option<&'a Map<String, Value>> {
        self.record_id()?;
        before.object("record")
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let (verb, fields) = match self {
            Self::Create(record) => ("Create".to_owned(), record.body()),
            Self::Update { record_id, record } => {
                (format!("Replace {record_id} with"), record.body())
            }
            Self::Edit { record_id, change } => (format!("Edit {record_id} to"), change.body()),
            Self::Delete { record_id } => return format!("Delete record {record_id} in {scope}"),
        };
        let settings = settings(&fields);
        let line = format!("{verb} {} in {scope}", described(&fields));
        if settings.is_empty() {
            line
        } else {
            format!("{line} ({})", settings.join(", "))
        }
    }
}

/// The records that a new one meets under its name: one that it cannot stand beside, or others of its type.
fn beside(record: &DnsRecordFields, before: &Before<'_>) -> Option<Warning> {
    let found = before.state?.get("records")?.as_array()?;
    let text = |record: &Value, name: &str| {
        let text = record.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_ascii_uppercase()
    };
    let new = Value::Object(record.body());
    let new_type = text(&new, "type");
    let name = |found: &Value| {
        let found = found.as_object();
        found.map_or_else(String::new, |found| name_and_type(found, None))
    };
    // RFC 1034, section 3.6.2: a CNAME stands alone.
    let is_alone = |found: &&Value| {
        let found_type = text(found, "type");
        let holds = |record_type: &str| matches!(record_type, "A" | "AAAA" | "CNAME");
        (new_type == "CNAME" && holds(&found_type)) || (found_type == "CNAME" && holds(&new_type))
    };
    if let Some(found) = found.iter().find(is_alone) {
        let text = format!(
            "will fail: {} exists, and a CNAME stands alone",
            name(found)
        );
        return Some(Warning::new("will_fail", text));
    }
    let same_type: Vec<_> = found
        .iter()
        .filter(|found| text(found, "type") == new_type)
        .collect();
    let is_equal = |found: &&&Value| {
        let intended = new.get("content").filter(|content| content.is_string());
        intended.is_some() && intended == found.get("content")
    };
    if let Some(found) = same_type.iter().find(is_equal) {
        let text = format!("will fail: {} with this value exists", name(found));
        return Some(Warning::new("will_fail", text));
    }
    let first = same_type.first()?;
    Some(Warning::new(
        "adds_to_records",
        match same_type.len() {
            1 => format!(
                "{} exists and stays: this one stands beside it",
                name(first)
            ),
            many => format!(
                "{many} records {} exist and stay: this one stands beside them",
                name(first)
            ),
        },
    ))
}

/// The risks of a record of this type and name, whether it comes or goes.
fn risks(record: &Map<String, Value>, before: &Before<'_>) -> Vec<Warning> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let by_type = match text("type") {
        "NS" => Some((
            "nameserver_record",
            "an NS record gives a part of the zone into other hands",
        )),
        "MX" => Some((
            "mail_record",
            "an MX record decides where the domain's mail goes",
        )),
        "CAA" => Some((
            "caa_record",
            "a CAA record decides who may issue certificates for the domain",
        )),
        "DS" => Some((
            "ds_record",
            "a wrong DS record makes a delegated zone unresolvable",
        )),
        _ => None,
    };
    let mut risks: Vec<_> = by_type
        .map(|(code, text)| match code {
            "caa_record" => Warning::new(code, text),
            _ => Warning::danger(code, text),
        })
        .into_iter()
        .collect();
    let name = text("name");
    if name == "*" || name.starts_with("*.") {
        risks.push(Warning::new(
            "wildcard_record",
            "a wildcard answers for every name that has no record of its own",
        ));
    } else if is_apex(before, name) {
        risks.push(Warning::new(
            "apex_record",
            "the record is of the domain itself, not of a name below it",
        ));
    }
    risks
}

/// True when this is the name of the zone itself. Where the zone's name is not known, only `@` is
/// known to be.
fn is_apex(before: &Before<'_>, name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name == "@"
        || before
            .name
            .is_some_and(|zone| name.eq_ignore_ascii_case(zone))
}

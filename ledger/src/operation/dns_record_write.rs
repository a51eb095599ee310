//! `dns.record.write`: `{action?, record_id?, …}` with the fields of `dns_record_fields`.
//!
//! | action | record_id | fields |
//! |---|---|---|
//! | `create` (default) | none | all of the record |
//! | `update` | required | all of the record; it is replaced |
//! | `edit` | required | those that change, at least one; content only together with type |
//! | `delete` | required | none |

use super::dns_record_fields::DnsRecordFields;
use super::dns_record_type::RecordType;
use super::fields::Fields;
use super::object_id::ObjectId;
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Map, Value, json};

/// A change to one DNS record.
#[derive(Debug, Clone, PartialEq)]
pub enum DnsRecordWrite {
    /// Make a new record.
    Create(DnsRecordFields),
    /// Replace a record with all that it says.
    Update {
        /// Which one.
        record_id: ObjectId,
        /// What it will be.
        record: DnsRecordFields,
    },
    /// Change some fields of a record.
    Edit {
        /// Which one.
        record_id: ObjectId,
        /// What changes.
        change: DnsRecordFields,
    },
    /// Delete a record.
    Delete {
        /// Which one.
        record_id: ObjectId,
    },
}

impl DnsRecordWrite {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        match fields.text("action")?.unwrap_or("create") {
            "create" => {
                if fields.has("record_id") {
                    return Err(fields.refuse(
                        "record_id",
                        "a record that is created has none yet; to change one, say action \
                         \"update\", \"edit\" or \"delete\"",
                    ));
                }
                DnsRecordFields::parse_complete(fields).map(Self::Create)
            }
            "update" => Ok(Self::Update {
                record_id: ObjectId::required(fields, "record_id")?,
                record: DnsRecordFields::parse_complete(fields)?,
            }),
            "edit" => Ok(Self::Edit {
                record_id: ObjectId::required(fields, "record_id")?,
                change: DnsRecordFields::parse_change(fields)?,
            }),
            "delete" => Ok(Self::Delete {
                record_id: ObjectId::required(fields, "record_id")?,
            }),
            _ => Err(fields.refuse("action", "must be create, update, edit or delete")),
        }
    }

    /// The record's id, except for a create.
    #[must_use]
    pub fn record_id(&self) -> Option<&ObjectId> {
        match self {
            Self::Create(_) => None,
            Self::Update { record_id, .. }
            | Self::Edit { record_id, .. }
            | Self::Delete { record_id } => Some(record_id),
        }
    }

    /// The fields that it sets, except for a delete.
    #[must_use]
    pub fn fields(&self) -> Option<&DnsRecordFields> {
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

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        match self {
            Self::Create(_) | Self::Edit { .. } => {}
            Self::Update { .. } => warnings.push(Warning::new(
                "replaces_record",
                "the whole record is replaced, including what is not named here",
            )),
            Self::Delete { .. } => warnings.push(Warning::new(
                "deletes_record",
                "the record is deleted; its name may stop resolving",
            )),
        }
        let Some(fields) = self.fields() else {
            return warnings;
        };
        warnings.extend(fields.record_type().and_then(type_warning));
        warnings.extend(fields.name().and_then(name_warning));
        let on_existing = !matches!(self, Self::Create(_));
        if on_existing && fields.proxied() == Some(false) {
            warnings.push(Warning::new(
                "exposes_origin",
                "the record is not proxied afterwards; if it is now, this makes the origin's \
                 address public",
            ));
        }
        if fields.proxied() == Some(true) && fields.ttl().is_some_and(|ttl| ttl != 1) {
            warnings.push(Warning::new(
                "ttl_without_effect",
                "upstream uses an automatic TTL for proxied records, whatever is sent",
            ));
        }
        warnings
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let (verb, fields) = match self {
            Self::Create(record) => ("Create".to_owned(), record),
            Self::Update { record_id, record } => (format!("Replace {record_id} with"), record),
            Self::Edit { record_id, change } => (format!("Edit {record_id} to"), change),
            Self::Delete { record_id } => return format!("Delete record {record_id} in {scope}"),
        };
        let settings = fields.settings();
        let line = format!("{verb} {} in {scope}", fields.described());
        if settings.is_empty() {
            line
        } else {
            format!("{line} ({})", settings.join(", "))
        }
    }
}

fn type_warning(record_type: RecordType) -> Option<Warning> {
    let (code, text) = match record_type {
        RecordType::Ns => (
            "nameserver_record",
            "an NS record gives a part of the zone into other hands",
        ),
        RecordType::Mx => (
            "mail_record",
            "an MX record decides where the domain's mail goes",
        ),
        RecordType::Caa => (
            "caa_record",
            "a CAA record decides who may issue certificates for the domain",
        ),
        RecordType::Ds => (
            "ds_record",
            "a wrong DS record makes a delegated zone unresolvable",
        ),
        _ => return None,
    };
    Some(Warning::new(code, text))
}

fn name_warning(name: &str) -> Option<Warning> {
    if name == "*" || name.starts_with("*.") {
        return Some(Warning::new(
            "wildcard_record",
            "a wildcard answers for every name that has no record of its own",
        ));
    }
    // The zone's name is not known here; a name of two labels is most often the zone itself.
    (name == "@" || name.split('.').count() == 2).then(|| {
        Warning::new(
            "apex_record",
            format!("{name} is or looks like the domain itself"),
        )
    })
}

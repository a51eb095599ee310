//! `dns.record.read`: `{record_id}` for one record, or filters `name`, `type` (older:
//! `record_type`), `content`, `page` (from 1), `per_page` (1..=5000); `{}` lists from the start.

use super::dns_name::record_name;
use super::dns_record_type::RecordType;
use super::fields::{Fields, plain_text};
use super::object_id::ObjectId;
use super::{InvalidOperation, Scope};
use serde_json::{Map, Value, json};

/// Which DNS records to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DnsRecordRead {
    /// One, by its id.
    One(ObjectId),
    /// Those that match, a page at a time.
    List(DnsRecordFilter),
}

/// What the records of a list have in common; nothing means all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DnsRecordFilter {
    name: Option<String>,
    record_type: Option<RecordType>,
    content: Option<String>,
    page: Option<i64>,
    per_page: Option<i64>,
}

impl DnsRecordFilter {
    /// The filter as query parameters, in upstream's names.
    #[must_use]
    pub fn query(&self) -> Vec<(&'static str, String)> {
        [
            ("name", self.name.clone()),
            ("type", self.record_type.map(|known| known.to_string())),
            ("content", self.content.clone()),
            ("page", self.page.map(|page| page.to_string())),
            ("per_page", self.per_page.map(|count| count.to_string())),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl DnsRecordRead {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        if let Some(record_id) = ObjectId::parse(fields, "record_id")? {
            return Ok(Self::One(record_id));
        }
        let name = fields
            .text("name")?
            .map(|text| record_name(text).map_err(|problem| fields.refuse("name", problem)))
            .transpose()?;
        let record_type = super::dns_record_fields::parse_type(fields)?;
        let content = fields.text("content")?.map(str::to_owned);
        if let Some(content) = &content {
            plain_text(content, 1..=4096).map_err(|problem| fields.refuse("content", problem))?;
        }
        Ok(Self::List(DnsRecordFilter {
            name,
            record_type,
            content,
            page: fields.integer("page", 1..=1_000_000)?,
            per_page: fields.integer("per_page", 1..=5000)?,
        }))
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::One(record_id) => json!({"record_id": record_id.as_str()}),
            Self::List(filter) => {
                let mut params = Map::new();
                let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
                for (name, value) in [
                    ("name", text(&filter.name)),
                    (
                        "type",
                        filter.record_type.map(|known| json!(known.as_str())),
                    ),
                    ("content", text(&filter.content)),
                    ("page", filter.page.map(Value::from)),
                    ("per_page", filter.per_page.map(Value::from)),
                ] {
                    if let Some(value) = value {
                        params.insert(name.to_owned(), value);
                    }
                }
                Value::Object(params)
            }
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::One(record_id) => format!("Read DNS record {record_id} in {scope}"),
            Self::List(filter) => {
                let query: Vec<_> = filter
                    .query()
                    .into_iter()
                    .map(|(name, value)| format!("{name} {}", super::shown(&value, 80)))
                    .collect();
                if query.is_empty() {
                    format!("List DNS records in {scope}")
                } else {
                    format!("List DNS records in {scope} with {}", query.join(", "))
                }
            }
        }
    }
}

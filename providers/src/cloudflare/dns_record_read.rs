//! `dns.record.read`: `{record_id}` for one record, or filters `name`, `type` (older:
//! `record_type`), `content`, `page` (from 1), `per_page` (1..=5000000); `{}` lists from the start.
//! Other filters of upstream's are passed on as query parameters.

use super::dns_name::record_name;
use super::dns_record_type::RecordType;
use super::fields::Fields;
use super::object_id::ObjectId;
use super::values::{as_text, other_filters};
use super::zone_name::ZoneName;
use super::{InvalidOperation, Scope};
use serde_json::{Map, Value, json};

/// Most filters that one line for people names.
const MOST_SHOWN: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum DnsRecordRead {
    One(ObjectId),
    /// Those that match, a page at a time.
    List(DnsRecordFilter),
}

/// The filter of a list of records; an empty one takes all.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct DnsRecordFilter {
    name: Option<String>,
    record_type: Option<RecordType>,
    content: Option<String>,
    page: Option<i64>,
    per_page: Option<i64>,
    /// Filters that are not known here.
    more: Map<String, Value>,
}

impl DnsRecordFilter {
    /// The name that the records have, as it was given.
    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The filter as query parameters, in upstream's names; always in this order, which the ledger
    /// has recorded. Upstream compares full names only, so a name is completed with the zone's, as it
    /// is when a record is written.
    pub(super) fn query(&self, zone: Option<&ZoneName>) -> Vec<(String, String)> {
        let full = |(name, value): (&'static str, Value)| match (name, zone, value.as_str()) {
            ("name", Some(zone), Some(text)) => (name, json!(zone.full_name(text))),
            _ => (name, value),
        };
        let known = self.known().into_iter().map(full);
        let mut query: Vec<_> = known
            .map(|(name, value)| (name.to_owned(), as_text(&value)))
            .collect();
        query.extend(
            self.more
                .iter()
                .map(|(name, value)| (name.clone(), as_text(value))),
        );
        query
    }

    fn known(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        [
            ("name", text(&self.name)),
            ("type", self.record_type.map(|known| json!(known.as_str()))),
            ("content", text(&self.content)),
            ("page", self.page.map(Value::from)),
            ("per_page", self.per_page.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

impl DnsRecordRead {
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        if let Some(record_id) = ObjectId::parse(&mut fields, "record_id")? {
            return fields.finish().map(|()| Self::One(record_id));
        }
        let name = fields
            .text("name")?
            .map(|text| record_name(text).map_err(|problem| fields.refuse("name", problem)))
            .transpose()?;
        Ok(Self::List(DnsRecordFilter {
            name,
            record_type: super::dns_record_fields::parse_type(&mut fields)?,
            content: fields.plain("content", 1..=4096)?.map(str::to_owned),
            page: fields.integer("page", 1..=1_000_000)?,
            per_page: fields.integer("per_page", 1..=5_000_000)?,
            more: other_filters(fields)?,
        }))
    }

    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::One(record_id) => json!({"record_id": record_id.as_str()}),
            Self::List(filter) => {
                let known = filter.known().into_iter();
                let known = known.map(|(name, value)| (name.to_owned(), value));
                Value::Object(filter.more.clone().into_iter().chain(known).collect())
            }
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        match self {
            Self::One(record_id) => format!("Read DNS record {record_id} in {scope}"),
            Self::List(filter) => {
                let query: Vec<_> = filter
                    .query(None)
                    .into_iter()
                    .take(MOST_SHOWN)
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

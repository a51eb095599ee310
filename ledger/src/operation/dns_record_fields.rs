//! The fields of a DNS record: `type` (or `record_type`, its older name here), `name`, `content` or
//! `data`, `ttl`, `proxied`, `priority`, `comment`, `tags`.
//!
//! - `ttl`: 1 (automatic, the default) or 30..=86400 seconds. Upstream accepts 30..=59 on
//!   Enterprise zones only; the plan is not known here, so that range is left to upstream.
//! - `proxied`: for A, AAAA and CNAME, default false.
//! - `priority`: 0..=65535, required for MX and URI; other types carry theirs in `data`.
//! - `comment`: at most 500 characters (upstream: 100 on the smallest plan), on one line.
//! - `tags`: at most 20 of `name:value`.

use super::InvalidOperation;
use super::dns_name::record_name;
use super::dns_record_type::RecordType;
use super::fields::{Fields, plain_text};
use super::shown::shown;
use serde_json::{Map, Value, json};

/// What a record says.
#[derive(Debug, Clone, PartialEq)]
pub enum RecordValue {
    /// One text, checked for its type.
    Content(String),
    /// The parts of a type that consists of parts.
    Data(Map<String, Value>),
}

/// Fields of a record, checked together. Complete (type, name, value, ttl are there) for a create
/// and a replace; for an edit only those that are to change.
#[derive(Debug, Clone, PartialEq)]
pub struct DnsRecordFields {
    record_type: Option<RecordType>,
    name: Option<String>,
    value: Option<RecordValue>,
    ttl: Option<i64>,
    proxied: Option<bool>,
    priority: Option<i64>,
    comment: Option<String>,
    tags: Option<Vec<String>>,
}

impl DnsRecordFields {
    /// All that makes up a record, defaults filled in.
    pub(super) fn parse_complete(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let mut record = Self::parse(fields)?;
        let record_type = record
            .record_type
            .ok_or_else(|| fields.refuse("type", "is required"))?;
        if record.name.is_none() {
            return Err(fields.refuse("name", "is required"));
        }
        if record.value.is_none() {
            let name = if record_type.has_data() {
                "data"
            } else {
                "content"
            };
            return Err(fields.refuse(name, format!("is required for {record_type} records")));
        }
        if record_type.has_priority() && record.priority.is_none() {
            return Err(fields.refuse("priority", format!("is required for {record_type} records")));
        }
        record.ttl.get_or_insert(1);
        if record_type.is_proxiable() {
            record.proxied.get_or_insert(false);
        }
        Ok(record)
    }

    /// The fields that are to change, at least one.
    pub(super) fn parse_change(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let change = Self::parse(fields)?;
        if change.body().is_empty() {
            return Err(fields.refuse_all("an edit needs at least one field to change"));
        }
        Ok(change)
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let record_type = parse_type(fields)?;
        let name = fields
            .text("name")?
            .map(|text| record_name(text).map_err(|problem| fields.refuse("name", problem)))
            .transpose()?;
        let value = parse_value(fields, record_type)?;
        let ttl = fields.integer("ttl", 1..=86_400)?;
        if ttl.is_some_and(|ttl| (2..30).contains(&ttl)) {
            return Err(fields.refuse(
                "ttl",
                "must be 1 (automatic) or 60..86400 seconds (30 on Enterprise zones)",
            ));
        }
        let mut proxied = fields.flag("proxied")?;
        if let Some(record_type) = record_type.filter(|known| !known.is_proxiable()) {
            if proxied == Some(true) {
                return Err(fields.refuse(
                    "proxied",
                    format!("{record_type} records cannot be proxied; only A, AAAA and CNAME can"),
                ));
            }
            // Saying that it is not proxied says nothing.
            proxied = None;
        }
        let priority = fields.integer("priority", 0..=65_535)?;
        if let (Some(_), Some(record_type)) = (priority, record_type)
            && !record_type.has_priority()
        {
            return Err(fields.refuse(
                "priority",
                format!("{record_type} records have none here; only MX and URI do"),
            ));
        }
        let comment = fields.text("comment")?.map(str::to_owned);
        if let Some(comment) = &comment {
            plain_text(comment, 0..=500).map_err(|problem| fields.refuse("comment", problem))?;
        }
        let tags = fields.texts("tags", 0..=20, check_tag)?;
        Ok(Self {
            record_type,
            name,
            value,
            ttl,
            proxied,
            priority,
            comment,
            tags,
        })
    }

    /// The record's type, if it is given.
    #[must_use]
    pub fn record_type(&self) -> Option<RecordType> {
        self.record_type
    }

    /// Its name, if it is given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Its content or data, if it is given.
    #[must_use]
    pub fn value(&self) -> Option<&RecordValue> {
        self.value.as_ref()
    }

    /// Whether it is to be proxied, if that is given.
    #[must_use]
    pub fn proxied(&self) -> Option<bool> {
        self.proxied
    }

    /// Its time to live in seconds, 1 for automatic, if that is given.
    #[must_use]
    pub fn ttl(&self) -> Option<i64> {
        self.ttl
    }

    /// The fields under upstream's names: the body of the request.
    #[must_use]
    pub fn body(&self) -> Map<String, Value> {
        let value = |wanted: &str| match &self.value {
            Some(RecordValue::Content(text)) if wanted == "content" => Some(json!(text)),
            Some(RecordValue::Data(data)) if wanted == "data" => Some(json!(data)),
            _ => None,
        };
        [
            ("type", self.record_type.map(|known| json!(known.as_str()))),
            ("name", self.name.as_ref().map(|name| json!(name))),
            ("content", value("content")),
            ("data", value("data")),
            ("ttl", self.ttl.map(Value::from)),
            ("proxied", self.proxied.map(Value::from)),
            ("priority", self.priority.map(Value::from)),
            (
                "comment",
                self.comment.as_ref().map(|comment| json!(comment)),
            ),
            ("tags", self.tags.as_ref().map(|tags| json!(tags))),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }

    /// `A record www.example.com → 192.0.2.1`, as far as it is known.
    pub(super) fn described(&self) -> String {
        let mut text = match self.record_type {
            Some(record_type) => format!("{record_type} record"),
            None => "record".to_owned(),
        };
        if let Some(name) = &self.name {
            text = format!("{text} {name}");
        }
        match &self.value {
            Some(RecordValue::Content(content)) => format!("{text} → {}", shown(content, 80)),
            Some(RecordValue::Data(data)) => {
                let parts: Vec<_> = data.values().map(part_as_text).collect();
                format!("{text} → {}", shown(&parts.join(" "), 80))
            }
            None => text,
        }
    }

    /// `proxied, TTL automatic`, as far as it is given.
    pub(super) fn settings(&self) -> Vec<String> {
        let proxied = self
            .proxied
            .map(|on| if on { "proxied" } else { "not proxied" }.to_owned());
        let priority = self.priority.map(|priority| format!("priority {priority}"));
        let ttl = self.ttl.map(|ttl| match ttl {
            1 => "TTL automatic".to_owned(),
            seconds => format!("TTL {seconds} s"),
        });
        [proxied, priority, ttl].into_iter().flatten().collect()
    }
}

fn part_as_text(part: &Value) -> String {
    part.as_str()
        .map_or_else(|| part.to_string(), str::to_owned)
}

pub(super) fn parse_type(fields: &mut Fields<'_>) -> Result<Option<RecordType>, InvalidOperation> {
    let older = fields.text("record_type")?;
    let name = if older.is_some() {
        "record_type"
    } else {
        "type"
    };
    match (fields.text("type")?, older) {
        (Some(_), Some(_)) => Err(fields.refuse(
            "record_type",
            "is the older name of type; give one of the two",
        )),
        (Some(text), None) | (None, Some(text)) => RecordType::parse(text)
            .map(Some)
            .map_err(|problem| fields.refuse(name, problem)),
        (None, None) => Ok(None),
    }
}

fn parse_value(
    fields: &mut Fields<'_>,
    record_type: Option<RecordType>,
) -> Result<Option<RecordValue>, InvalidOperation> {
    let content = fields.text("content")?;
    let data = fields.value("data");
    match (content, data, record_type) {
        (None, None, _) => Ok(None),
        (Some(_), Some(_), _) => {
            Err(fields.refuse("data", "a record has either content or data, not both"))
        }
        // What a value must look like depends on the type, and what the record is now is not
        // known here.
        (_, _, None) => Err(fields.refuse("type", "is required where content or data is given")),
        (Some(content), None, Some(record_type)) => record_type
            .content(content)
            .map(|content| Some(RecordValue::Content(content)))
            .map_err(|problem| fields.refuse("content", problem)),
        (None, Some(data), Some(record_type)) => record_type
            .data(data, fields.path("data"))
            .map(|data| Some(RecordValue::Data(data))),
    }
}

fn check_tag(text: &str) -> Result<(), String> {
    let (name, value) = text.split_once(':').unwrap_or((text, ""));
    let fine = (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        && plain_text(value, 0..=100).is_ok();
    if fine {
        Ok(())
    } else {
        Err(
            "must be name:value, the name 1..32 letters, digits, - and _, the value at most 100 \
             characters"
                .to_owned(),
        )
    }
}

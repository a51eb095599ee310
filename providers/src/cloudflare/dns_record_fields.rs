//! The fields of a DNS record: `type` (or `record_type`, its older name here), `name`, `content`,
//! `data`, `ttl`, `proxied`, `priority`, `comment`, `tags`, `settings`; every other field is passed on
//! as it came.
//!
//! - `ttl`: 1 (automatic, the default) or 30..=86400 seconds. Upstream accepts 30..=59 on
//!   Enterprise zones only; the plan is not known here, so that range is left to upstream.
//! - `proxied`: for A, AAAA and CNAME, default false.
//! - `priority`: 0..=65535, required for MX and URI; upstream says that it ignores it elsewhere.
//! - `comment`: at most 500 characters (upstream: 100 on the smallest plan), on one line.
//! - `tags`: at most 20 of `name:value`.
//! - `settings`: `ipv4_only`, `ipv6_only`, `flatten_cname`.
//! - `content` beside `data`, as upstream shows types that consist of parts: left out, for upstream
//!   writes it from the data.

use super::InvalidOperation;
use super::dns_name::record_name;
use super::dns_record_type::RecordType;
use super::fields::{Fields, plain_text};
use serde_json::{Map, Value, json};

const SETTINGS: [&str; 3] = ["ipv4_only", "ipv6_only", "flatten_cname"];

/// Fields of a record, checked together. Complete (type, name, value, ttl are there) for a create
/// and a replace; for an edit only those that are to change.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DnsRecordFields {
    record_type: Option<RecordType>,
    name: Option<String>,
    content: Option<String>,
    data: Option<Map<String, Value>>,
    ttl: Option<i64>,
    proxied: Option<bool>,
    priority: Option<i64>,
    comment: Option<String>,
    tags: Option<Vec<String>>,
    settings: Option<Map<String, Value>>,
    /// Fields that are not known here.
    more: Map<String, Value>,
}

impl DnsRecordFields {
    /// All that makes up a record, defaults filled in.
    pub(super) fn parse_complete(fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let required = |name: &str, problem: &str| {
            InvalidOperation::new(format!("params.{name}"), format!("is required{problem}"))
        };
        let mut record = Self::parse(fields)?;
        let record_type = record.record_type.ok_or_else(|| required("type", ""))?;
        if record.name.is_none() {
            return Err(required("name", ""));
        }
        let of_type = format!(" for {record_type} records");
        if record.content.is_none() && record.data.is_none() {
            let name = if record_type.has_data() {
                "data"
            } else {
                "content"
            };
            return Err(required(name, &of_type));
        }
        // Upstream is moving priorities into the data.
        let in_data = record.data.as_ref().and_then(|data| data.get("priority"));
        if record_type.has_priority() && record.priority.is_none() && in_data.is_none() {
            return Err(required("priority", &of_type));
        }
        record.ttl.get_or_insert(1);
        if record_type.is_proxiable() {
            record.proxied.get_or_insert(false);
        }
        Ok(record)
    }

    /// The fields of a whole record that hold what upstream takes where they are left out.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        let fields = [
            ("proxied", self.proxied == Some(false)),
            ("ttl", self.ttl == Some(1)),
        ];
        let fields = fields.into_iter().filter(|(_, is_default)| *is_default);
        fields.map(|(name, _)| name).collect()
    }

    pub(super) fn parse_change(fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let nothing = fields.refuse_all("an edit needs at least one field to change");
        let change = Self::parse(fields)?;
        if change.body().is_empty() {
            return Err(nothing);
        }
        Ok(change)
    }

    /// The fields of a client's own request, unchecked: what they say is told to people, and never sent from here.
    pub(super) fn as_sent(body: &Map<String, Value>) -> Self {
        let name = body.get("name").and_then(Value::as_str);
        Self {
            record_type: None,
            name: name.map(str::to_owned),
            content: None,
            data: None,
            ttl: body.get("ttl").and_then(Value::as_i64),
            proxied: body.get("proxied").and_then(Value::as_bool),
            priority: None,
            comment: None,
            tags: None,
            settings: None,
            more: body.clone(),
        }
    }

    fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let record_type = parse_type(&mut fields)?;
        let name = fields
            .text("name")?
            .map(|text| record_name(text).map_err(|problem| fields.refuse("name", problem)))
            .transpose()?;
        let (content, data) = parse_value(&mut fields, record_type)?;
        let ttl = fields.integer("ttl", 1..=86_400)?;
        if ttl.is_some_and(|ttl| (2..30).contains(&ttl)) {
            return Err(fields.refuse(
                "ttl",
                "must be 1 (automatic) or 60..86400 seconds (30 on Enterprise zones)",
            ));
        }
        let mut proxied = fields.flag("proxied")?;
        if let Some(record_type) = record_type.filter(|known| known.is_never_proxied()) {
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
        if priority.is_some() && record_type.is_some_and(|known| !known.has_priority()) {
            fields.mark("priority");
        }
        let comment = fields.plain("comment", 0..=500)?.map(str::to_owned);
        let tags = fields.texts("tags", 0..=20, check_tag)?;
        let settings = fields.object("settings")?.map(parse_settings).transpose()?;
        Ok(Self {
            record_type,
            name,
            content,
            data,
            ttl,
            proxied,
            priority,
            comment,
            tags,
            settings,
            more: fields.rest()?,
        })
    }

    pub(super) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// True when it is to be proxied, if that is given.
    pub(super) fn proxied(&self) -> Option<bool> {
        self.proxied
    }

    /// Its time to live in seconds, 1 for automatic, if that is given.
    pub(super) fn ttl(&self) -> Option<i64> {
        self.ttl
    }

    /// The fields under upstream's names: the body of the request.
    pub(super) fn body(&self) -> Map<String, Value> {
        let mut body = self.more.clone();
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let object = |object: &Option<Map<String, Value>>| object.as_ref().map(|map| json!(map));
        let known = [
            ("type", self.record_type.map(|known| json!(known.as_str()))),
            ("name", text(&self.name)),
            ("content", text(&self.content)),
            ("data", object(&self.data)),
            ("ttl", self.ttl.map(Value::from)),
            ("proxied", self.proxied.map(Value::from)),
            ("priority", self.priority.map(Value::from)),
            ("comment", text(&self.comment)),
            ("tags", self.tags.as_ref().map(|tags| json!(tags))),
            ("settings", object(&self.settings)),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        }
        body
    }
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
        (Some(text), None) | (None, Some(text)) => {
            let found = RecordType::parse(text).map_err(|problem| fields.refuse(name, problem))?;
            if found.is_unknown() {
                fields.mark("type");
            }
            Ok(Some(found))
        }
        (None, None) => Ok(None),
    }
}

type ContentAndData = (Option<String>, Option<Map<String, Value>>);

fn parse_value(
    fields: &mut Fields<'_>,
    record_type: Option<RecordType>,
) -> Result<ContentAndData, InvalidOperation> {
    let content = fields.text("content")?;
    let data = fields.object("data")?;
    let Some(record_type) = record_type else {
        // What a value must look like depends on the type, and what the record is now is not
        // known here.
        return match (content, data) {
            (None, None) => Ok((None, None)),
            _ => Err(fields.refuse("type", "is required where content or data is given")),
        };
    };
    let content = content
        .filter(|_| !(record_type.has_data() && data.is_some()))
        .map(|text| {
            if record_type.has_data() || record_type.is_unknown() {
                fields.mark("content");
            }
            let content = record_type.content(text);
            content.map_err(|problem| fields.refuse("content", problem))
        })
        .transpose()?;
    if data.is_some() && !record_type.has_data() {
        fields.mark("data");
    }
    let data = data.map(|data| record_type.data(data)).transpose()?;
    Ok((content, data))
}

fn parse_settings(mut fields: Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut settings = Map::new();
    for name in SETTINGS {
        if let Some(on) = fields.flag(name)? {
            settings.insert(name.to_owned(), json!(on));
        }
    }
    settings.extend(fields.rest()?);
    Ok(settings)
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

//! A DNS record beside what was sent of it.

use super::{Field, agrees, shown_part, whole};
use crate::cloudflare::dns_text::text_bytes;
use crate::cloudflare::{DnsRecordFields, DnsRecordWrite, ZoneName, ascii_name};
use ledger::event::Agreement;
use serde_json::{Map, Value};
use std::net::IpAddr;

pub(super) fn written<'s>(
    write: &DnsRecordWrite,
    part: impl Fn(&str) -> &'s Value,
    zone: Option<&ZoneName>,
) -> Agreement {
    let change = match write {
        DnsRecordWrite::Create(record) => {
            let records = part("records").as_array().map(Vec::as_slice);
            let records = records.unwrap_or_default().iter();
            let each = records.map(|found| the_created(record, found, zone));
            return each.fold(Agreement::Differs, |best, one| match (best, one) {
                (Agreement::Agrees, _) | (_, Agreement::Agrees) => Agreement::Agrees,
                (Agreement::CannotTell, _) | (_, Agreement::CannotTell) => Agreement::CannotTell,
                (Agreement::Differs, Agreement::Differs) => Agreement::Differs,
            });
        }
        DnsRecordWrite::Delete { .. } => {
            return whole([Field::equal(part("record").is_null())]);
        }
        DnsRecordWrite::Update { record, .. } => record,
        DnsRecordWrite::Edit { change, .. } => change,
    };
    match part("record") {
        Value::Null => Agreement::Differs,
        found => whole(record_fields(&change.body(), found, zone).map(|(_, field)| field)),
    }
}

/// Whether a record is the one that was to be made. Its name is, because the records were asked for by it; its
/// value must be shown to be the same. One whose value does not show, as `@` without the zone's name, may be it.
fn the_created(record: &DnsRecordFields, found: &Value, zone: Option<&ZoneName>) -> Agreement {
    let mut intended = record.body();
    intended.remove("name");
    let fields: Vec<_> = record_fields(&intended, found, zone).collect();
    let is_value = |name: &str| matches!(name, "content" | "data");
    if fields.iter().any(|(_, field)| *field == Field::Other) {
        Agreement::Differs
    } else if fields
        .iter()
        .any(|(name, field)| is_value(name) && *field == Field::Same)
    {
        Agreement::Agrees
    } else {
        Agreement::CannotTell
    }
}

/// The fields of a record as they were sent, beside the record as it is shown.
pub(super) fn record_fields<'f>(
    intended: &'f Map<String, Value>,
    found: &'f Value,
    zone: Option<&'f ZoneName>,
) -> impl Iterator<Item = (&'f str, Field)> {
    let shown = |name: &str| found.get(name).unwrap_or(&Value::Null);
    let is_proxied = found.get("proxied") == Some(&Value::Bool(true));
    intended.iter().map(move |(name, intended)| {
        let value = shown(name);
        let field = match name.as_str() {
            "type" => texts(intended, value, str::to_ascii_uppercase),
            "name" => record_name(intended, value, zone),
            "content" => content(intended, value, found, zone),
            "data" if value.is_null() => Field::NotShown,
            "data" => Field::equal(data_agrees(intended, value)),
            "ttl" if is_proxied && intended.as_f64() != Some(1.0) => Field::NotShown,
            "tags" if value.is_array() => Field::equal(sorted(intended) == sorted(value)),
            _ => shown_part(intended, found.get(name)),
        };
        (name.as_str(), field)
    })
}

/// A short name stands for as many full ones as there are zones: without the zone's name it says nothing.
fn record_name(intended: &Value, found: &Value, zone: Option<&ZoneName>) -> Field {
    let (Some(intended), Some(found)) = (intended.as_str(), found.as_str()) else {
        return Field::NotShown;
    };
    let Some(found) = ascii_name(found) else {
        return Field::NotShown;
    };
    match zone {
        Some(zone) => Field::equal(zone.full_name(intended) == found),
        None => Field::NotShown,
    }
}

fn content(intended: &Value, found: &Value, record: &Value, zone: Option<&ZoneName>) -> Field {
    let (Some(intended), Some(found)) = (intended.as_str(), found.as_str()) else {
        return Field::NotShown;
    };
    let address = |text: &str| text.parse::<IpAddr>().ok();
    match record.get("type").and_then(Value::as_str) {
        Some("A" | "AAAA") => Field::equal(match (address(intended), address(found)) {
            (Some(intended), Some(found)) => intended == found,
            _ => intended == found,
        }),
        Some("CNAME" | "MX" | "NS" | "PTR") if intended == "@" => match zone {
            Some(zone) => Field::equal(ascii_name(found).as_deref() == Some(zone.as_str())),
            None => Field::NotShown,
        },
        Some("CNAME" | "MX" | "NS" | "PTR") => Field::equal(
            intended == found
                || (ascii_name(intended).is_some() && ascii_name(intended) == ascii_name(found)),
        ),
        _ => Field::equal(text_bytes(intended) == text_bytes(found)),
    }
}

fn texts(intended: &Value, found: &Value, as_compared: impl Fn(&str) -> String) -> Field {
    match (intended.as_str(), found.as_str()) {
        (Some(intended), Some(found)) => Field::equal(as_compared(intended) == as_compared(found)),
        (_, None) => Field::NotShown,
        (None, _) => Field::Other,
    }
}

/// Parts of `data`: hosts come back in lower case and with or without their final dot, and some numbers
/// as texts.
fn data_agrees(intended: &Value, found: &Value) -> bool {
    match (intended, found) {
        (Value::Object(intended), Value::Object(found)) => intended
            .iter()
            .all(|(name, value)| data_agrees(value, found.get(name).unwrap_or(&Value::Null))),
        (Value::String(intended), Value::String(found)) => {
            let plain = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
            plain(intended) == plain(found)
        }
        (Value::Number(number), Value::String(text))
        | (Value::String(text), Value::Number(number)) => {
            text.parse::<f64>().ok() == number.as_f64()
        }
        _ => agrees(intended, found),
    }
}

fn sorted(list: &Value) -> Vec<String> {
    let entries = list.as_array().into_iter().flatten();
    let mut texts: Vec<_> = entries.map(Value::to_string).collect();
    texts.sort();
    texts.dedup();
    texts
}

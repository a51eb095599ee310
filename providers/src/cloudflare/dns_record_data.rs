//! The `data` of record types that consist of parts. A part that is not known here is passed on.

use super::InvalidOperation;
use super::dns_name::host_name;
use super::dns_record_type::RecordType;
use super::fields::{Fields, plain_text, whole_number};
use serde_json::{Map, Value, json};

/// Tags of CAA records that are known here. The set is open (RFC 8659, section 4.2, has a registry).
const CAA_TAGS: [&str; 7] = [
    "issue",
    "issuewild",
    "iodef",
    "issuemail",
    "issuevmc",
    "contactemail",
    "contactphone",
];

/// The values that one part of `data` may have.
#[derive(Clone, Copy)]
pub(super) enum Part {
    U8,
    U16,
    /// A host name, or `.` for none.
    Target,
    /// Text without control characters, from so many characters on.
    Text(usize),
    Hex,
    Base64,
    CaaTag,
    /// One of the two words that the type's format has.
    OneOf(&'static [&'static str]),
    /// A number within these bounds that may be left out.
    Number(f64, f64),
}

const TLSA: &[(&str, Part)] = &[
    ("usage", Part::U8),
    ("selector", Part::U8),
    ("matching_type", Part::U8),
    ("certificate", Part::Hex),
];
const SVCB: &[(&str, Part)] = &[
    ("priority", Part::U16),
    ("target", Part::Target),
    ("value", Part::Text(0)),
];

impl RecordType {
    /// The parts of this type's `data` (field names are upstream's) in the order of a zone file; `None`
    /// when it has `content`, or is not known here.
    pub(super) const fn parts(self) -> Option<&'static [(&'static str, Part)]> {
        Some(match self {
            Self::A
            | Self::Aaaa
            | Self::Cname
            | Self::Mx
            | Self::Ns
            | Self::Openpgpkey
            | Self::Ptr
            | Self::Txt
            | Self::Other(_) => return None,
            Self::Caa => &[
                ("flags", Part::U8),
                ("tag", Part::CaaTag),
                ("value", Part::Text(1)),
            ],
            Self::Cert => &[
                ("type", Part::U16),
                ("key_tag", Part::U16),
                ("algorithm", Part::U8),
                ("certificate", Part::Base64),
            ],
            Self::Dnskey => &[
                ("flags", Part::U16),
                ("protocol", Part::U8),
                ("algorithm", Part::U8),
                ("public_key", Part::Base64),
            ],
            Self::Ds => &[
                ("key_tag", Part::U16),
                ("algorithm", Part::U8),
                ("digest_type", Part::U8),
                ("digest", Part::Hex),
            ],
            Self::Https | Self::Svcb => SVCB,
            Self::Loc => &[
                ("lat_degrees", Part::Number(0.0, 90.0)),
                ("lat_minutes", Part::Number(0.0, 59.0)),
                ("lat_seconds", Part::Number(0.0, 59.999)),
                ("lat_direction", Part::OneOf(&["N", "S"])),
                ("long_degrees", Part::Number(0.0, 180.0)),
                ("long_minutes", Part::Number(0.0, 59.0)),
                ("long_seconds", Part::Number(0.0, 59.999)),
                ("long_direction", Part::OneOf(&["E", "W"])),
                ("altitude", Part::Number(-100_000.0, 42_849_672.95)),
                ("size", Part::Number(0.0, 90_000_000.0)),
                ("precision_horz", Part::Number(0.0, 90_000_000.0)),
                ("precision_vert", Part::Number(0.0, 90_000_000.0)),
            ],
            Self::Naptr => &[
                ("order", Part::U16),
                ("preference", Part::U16),
                ("flags", Part::Text(0)),
                ("service", Part::Text(0)),
                ("regex", Part::Text(0)),
                ("replacement", Part::Target),
            ],
            Self::Smimea | Self::Tlsa => TLSA,
            Self::Srv => &[
                ("priority", Part::U16),
                ("weight", Part::U16),
                ("port", Part::U16),
                ("target", Part::Target),
            ],
            Self::Sshfp => &[
                ("algorithm", Part::U8),
                ("type", Part::U8),
                ("fingerprint", Part::Hex),
            ],
            Self::Uri => &[("weight", Part::U16), ("target", Part::Text(1))],
        })
    }

    /// True when records of this type take `data` rather than `content`.
    pub(super) const fn has_data(self) -> bool {
        self.parts().is_some()
    }

    /// Checks `data` and returns the form that is sent: the parts that are known here, and everything
    /// else as it came.
    pub(super) fn data(
        self,
        mut fields: Fields<'_>,
    ) -> Result<Map<String, Value>, InvalidOperation> {
        let mut data = Map::new();
        for (name, part) in self.parts().unwrap_or_default() {
            if let Part::Number(..) = part
                && fields.value(name).is_none()
            {
                continue;
            }
            let value = fields.required(name)?;
            let value = part
                .check(value)
                .map_err(|problem| fields.refuse(name, problem))?;
            if matches!(part, Part::CaaTag) && !CAA_TAGS.iter().any(|tag| value == *tag) {
                fields.mark(name);
            }
            data.insert((*name).to_owned(), value);
        }
        data.extend(fields.rest()?);
        Ok(data)
    }
}

impl Part {
    fn check(self, value: &Value) -> Result<Value, String> {
        let text = || value.as_str().ok_or_else(|| "must be a string".to_owned());
        let whole = |most: i64| {
            whole_number(value)
                .filter(|number| (0..=most).contains(number))
                .map(Value::from)
                .ok_or_else(|| format!("must be a whole number 0..{most}"))
        };
        match self {
            Self::U8 => whole(255),
            Self::U16 => whole(65_535),
            Self::Target => match text()? {
                "." => Ok(json!(".")),
                name => host_name(name).map(Value::from),
            },
            Self::Text(least) => {
                let text = text()?;
                plain_text(text, least..=2048).map(|()| json!(text))
            }
            Self::Hex => match text()? {
                text if (2..=4096).contains(&text.len())
                    && text.len().is_multiple_of(2)
                    && text.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
                {
                    Ok(json!(text.to_ascii_lowercase()))
                }
                _ => Err("must be hexadecimal".to_owned()),
            },
            Self::Base64 => match text()? {
                text if (1..=4096).contains(&text.len())
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte)) =>
                {
                    Ok(json!(text))
                }
                _ => Err("must be base64".to_owned()),
            },
            Self::CaaTag => match text()? {
                tag if (1..=64).contains(&tag.len())
                    && tag
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
                {
                    Ok(json!(tag))
                }
                _ => Err(format!(
                    "must be a tag of a-z 0-9, such as {}",
                    CAA_TAGS.join(", ")
                )),
            },
            Self::OneOf(words) => match text()? {
                text if words.contains(&text) => Ok(json!(text)),
                _ => Err(format!("must be one of {}", words.join(", "))),
            },
            Self::Number(least, most) => match value.as_f64() {
                Some(number) if (least..=most).contains(&number) => {
                    Ok(whole_number(value).map_or_else(|| json!(number), Value::from))
                }
                _ => Err(format!("must be a number {least}..{most}")),
            },
        }
    }
}

//! A zone's name, and the full names of its records under it.

use std::fmt;

/// The name of a zone as DNS has it: lower-case ASCII, other scripts in Punycode (RFC 5891), without
/// a final dot.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ZoneName(String);

impl ZoneName {
    /// Reads a name as upstream shows it, in Unicode or in ASCII; `None` when it is no name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let name = ascii_name(text)?;
        (name.len() <= 253 && name.contains('.')).then_some(Self(name))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name of a record that a request calls `record`: `@` is the zone itself, and a name
    /// that does not end in the zone's name is completed with it, as upstream does.
    pub(super) fn full_name(&self, record: &str) -> String {
        let record = ascii_name(record).unwrap_or_else(|| record.to_lowercase());
        if record == "@" || self.has(&record) {
            return if record == "@" {
                self.0.clone()
            } else {
                record
            };
        }
        format!("{record}.{}", self.0)
    }

    /// True when a full name is the zone's or below it.
    pub(super) fn has(&self, name: &str) -> bool {
        name == self.0
            || name
                .strip_suffix(self.as_str())
                .is_some_and(|labels| labels.ends_with('.'))
    }

    /// In Unicode, where that is another text. The same name may be shown by letters that look like
    /// others, so it stands beside the ASCII form and never for it.
    pub(super) fn in_unicode(&self) -> Option<String> {
        let (unicode, valid) = idna::domain_to_unicode(&self.0);
        (valid.is_ok() && unicode != self.0).then_some(unicode)
    }
}

impl fmt::Display for ZoneName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name in the one form in which names are compared: lower-case ASCII, other scripts in Punycode,
/// without a final dot. `None` for what is no name. `_`, `*`, `/` and `@` stay as they are: records have
/// them.
pub(super) fn ascii_name(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() {
        return None;
    }
    if text.is_ascii() {
        return Some(text.to_ascii_lowercase());
    }
    idna::domain_to_ascii(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_names_are_completed_as_upstream_does() {
        let zone = ZoneName::parse("Example.com.").unwrap();
        for (given, full) in [
            ("@", "example.com"),
            ("www", "www.example.com"),
            ("WWW.Example.com", "www.example.com"),
            ("example.com", "example.com"),
            ("example", "example.example.com"),
            ("notexample.com", "notexample.com.example.com"),
            ("www.other-shop.net", "www.other-shop.net.example.com"),
            ("*", "*.example.com"),
            ("_sip._tcp", "_sip._tcp.example.com"),
        ] {
            assert_eq!(zone.full_name(given), full, "{given}");
        }
    }

    #[test]
    fn a_name_in_another_script_has_one_spelling() {
        let zone = ZoneName::parse("Bücher.example").unwrap();
        assert_eq!(zone.as_str(), "xn--bcher-kva.example");
        assert_eq!(zone, ZoneName::parse("xn--bcher-kva.example").unwrap());
        assert_eq!(zone.in_unicode().as_deref(), Some("bücher.example"));
        for name in ["www", "www.xn--bcher-kva.example", "www.bücher.example"] {
            assert_eq!(zone.full_name(name), "www.xn--bcher-kva.example", "{name}");
        }
        assert_eq!(ZoneName::parse("example.com").unwrap().in_unicode(), None);
    }

    #[test]
    fn the_place_of_an_effect_is_said_in_full() {
        let of = |operation_id: &str, params: serde_json::Value| {
            let operation = crate::all().parse(operation_id, "zone", "z1", &params);
            operation.unwrap()
        };
        let zone = ZoneName::parse("example.com").unwrap();
        let create = of(
            "dns.record.write",
            serde_json::json!({"type": "A", "name": "www.other-shop.net", "content": "192.0.2.1"}),
        );
        let purge = of(
            "cache.purge.execute",
            serde_json::json!({"purge_everything": true}),
        );
        assert_eq!(
            create.place(Some(Ok(zone.as_str()))).as_deref(),
            Some("www.other-shop.net.example.com in zone example.com (id z1)")
        );
        assert_eq!(
            purge.place(Some(Ok(zone.as_str()))).as_deref(),
            Some("zone example.com (id z1)")
        );
        let unicode = ZoneName::parse("bücher.example").unwrap();
        assert_eq!(
            purge.place(Some(Ok(unicode.as_str()))).as_deref(),
            Some("zone xn--bcher-kva.example (id z1, in Unicode bücher.example)")
        );
        let unreadable = create.place(Some(Err("HTTP 403"))).unwrap();
        assert!(
            unreadable.contains("cannot be read (HTTP 403)"),
            "{unreadable}"
        );
        assert!(unreadable.contains("completed"), "{unreadable}");
        let unknown = create.place(None).unwrap();
        assert!(unknown.contains("not known yet"), "{unknown}");
    }

    #[test]
    fn what_is_no_name_is_none() {
        for wrong in ["", ".", "com", "a\u{202e}b.example"] {
            assert_eq!(ZoneName::parse(wrong), None, "{wrong:?}");
        }
    }
}

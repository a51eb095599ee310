//! `cache.purge.execute`: exactly one of `purge_everything: true`, `files`, `tags`, `hosts`,
//! `prefixes`, each list with 1..=100 entries. `purge_everything: false` counts as absent.
//!
//! An entry of `files` is an absolute http(s) URL, or `{url, headers?}` where the cache key depends
//! on request headers. A prefix is `host/path` without a scheme.

use super::dns_name::check_host;
use super::fields::Fields;
use super::shown::{shown, shown_name};
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Map, Value, json};
use url::Url;

/// Upstream's limit for one request.
const MOST_ENTRIES: usize = 100;
/// Longest URL or prefix that is accepted; upstream's request line ends there at the latest.
const LONGEST_URL: usize = 8192;
/// Longest cache tag upstream knows.
const LONGEST_TAG: usize = 1024;

/// What to drop from a zone's cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePurge {
    /// All of it.
    Everything,
    /// Single URLs.
    Files(Vec<PurgeFile>),
    /// What carries one of these cache tags.
    Tags(Vec<String>),
    /// What was fetched for one of these hosts.
    Hosts(Vec<String>),
    /// What begins with one of these, `host/path`.
    Prefixes(Vec<String>),
}

/// One URL to purge, with the request headers that are part of its cache key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PurgeFile {
    url: String,
    headers: Vec<(String, String)>,
}

impl PurgeFile {
    fn parse(path: String, entry: &Value) -> Result<Self, InvalidOperation> {
        if let Some(url) = entry.as_str() {
            check_url(url).map_err(|problem| InvalidOperation::new(path, problem))?;
            return Ok(Self {
                url: url.to_owned(),
                headers: Vec::new(),
            });
        }
        if !entry.is_object() {
            return Err(InvalidOperation::new(
                path,
                "must be a URL or {url, headers}",
            ));
        }
        let mut fields = Fields::of(entry, path)?;
        let url = fields.required_text("url")?;
        check_url(url).map_err(|problem| fields.refuse("url", problem))?;
        let mut headers = Vec::new();
        if let Some(value) = fields.value("headers") {
            let object = value
                .as_object()
                .ok_or_else(|| fields.refuse("headers", "must be an object of strings"))?;
            for (name, value) in object {
                let value = value.as_str().filter(|value| is_header_value(value));
                match value {
                    Some(value) if is_header_name(name) => {
                        headers.push((name.clone(), value.to_owned()));
                    }
                    _ => {
                        return Err(fields.refuse(
                            "headers",
                            format!(
                                "{:?} must be a header name with a visible value",
                                shown_name(name)
                            ),
                        ));
                    }
                }
            }
        }
        fields.finish()?;
        headers.sort();
        Ok(Self {
            url: url.to_owned(),
            headers,
        })
    }

    fn to_json(&self) -> Value {
        if self.headers.is_empty() {
            return json!(self.url);
        }
        let headers: Map<String, Value> = self
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({"url": self.url, "headers": headers})
    }
}

impl CachePurge {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        const KINDS: [&str; 5] = ["purge_everything", "files", "tags", "hosts", "prefixes"];
        let everything = fields.flag("purge_everything")?.unwrap_or(false);
        let files = fields
            .list("files", 1..=MOST_ENTRIES)?
            .map(|items| {
                items
                    .into_iter()
                    .map(|(path, item)| PurgeFile::parse(path, item))
                    .collect::<Result<Vec<_>, _>>()
            })
            .transpose()?;
        let mut asked = [
            everything.then_some(Self::Everything),
            files.map(Self::Files),
            fields
                .texts("tags", 1..=MOST_ENTRIES, check_tag)?
                .map(Self::Tags),
            fields
                .texts("hosts", 1..=MOST_ENTRIES, check_host)?
                .map(Self::Hosts),
            fields
                .texts("prefixes", 1..=MOST_ENTRIES, check_prefix)?
                .map(Self::Prefixes),
        ]
        .into_iter()
        .flatten();
        match (asked.next(), asked.next()) {
            (Some(purge), None) => Ok(purge),
            (None, _) => Err(fields.refuse_all(format!("needs one of {}", KINDS.join(", ")))),
            (Some(_), Some(_)) => Err(fields.refuse_all(format!(
                "has more than one of {}; make one operation for each",
                KINDS.join(", ")
            ))),
        }
    }

    /// The params, which are the request's body too.
    #[must_use]
    pub fn body(&self) -> Value {
        match self {
            Self::Everything => json!({"purge_everything": true}),
            Self::Files(files) => {
                json!({"files": files.iter().map(PurgeFile::to_json).collect::<Vec<_>>()})
            }
            Self::Tags(tags) => json!({"tags": tags}),
            Self::Hosts(hosts) => json!({"hosts": hosts}),
            Self::Prefixes(prefixes) => json!({"prefixes": prefixes}),
        }
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self {
            Self::Everything => vec![Warning::new(
                "purges_everything",
                "the whole cache of the zone is dropped; the origin takes the full load until it \
                 has filled again",
            )],
            Self::Files(_) | Self::Tags(_) | Self::Hosts(_) | Self::Prefixes(_) => Vec::new(),
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let (what, entries): (&str, Vec<&str>) = match self {
            Self::Everything => return format!("Purge everything from the cache of {scope}"),
            Self::Files(files) => ("file", files.iter().map(|file| file.url.as_str()).collect()),
            Self::Tags(tags) => ("tag", tags.iter().map(String::as_str).collect()),
            Self::Hosts(hosts) => ("host", hosts.iter().map(String::as_str).collect()),
            Self::Prefixes(all) => ("prefix", all.iter().map(String::as_str).collect()),
        };
        let first = shown(entries.first().copied().unwrap_or_default(), 80);
        match entries.len() {
            0 | 1 => format!("Purge by {what} {first} from the cache of {scope}"),
            count => format!(
                "Purge by {what} {first} and {} more from the cache of {scope}",
                count - 1
            ),
        }
    }
}

fn check_url(text: &str) -> Result<(), String> {
    const RIGHT: &str = "must be an absolute http(s) URL without credentials and fragment";
    if text.len() > LONGEST_URL {
        return Err(format!("must have at most {LONGEST_URL} bytes"));
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(format!("{RIGHT}, spaces written as %20"));
    }
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
                // The parser forgives `https:host` and `https:\\host`; a cache key does not.
                && text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://")) =>
        {
            Ok(())
        }
        _ => Err(RIGHT.to_owned()),
    }
}

fn check_tag(text: &str) -> Result<(), String> {
    if (1..=LONGEST_TAG).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b',')
    {
        Ok(())
    } else {
        Err(format!(
            "must be a cache tag: 1..{LONGEST_TAG} visible ASCII characters without space and comma"
        ))
    }
}

fn check_prefix(text: &str) -> Result<(), String> {
    let fine = text.len() <= LONGEST_URL
        && text.bytes().all(|byte| byte.is_ascii_graphic())
        && !text.contains(['?', '#', '\\'])
        && !text.contains("://")
        && check_host(text.split('/').next().unwrap_or_default()).is_ok();
    if fine {
        Ok(())
    } else {
        Err("must be host/path without scheme, query and fragment: www.example.com/news".to_owned())
    }
}

fn is_header_name(name: &str) -> bool {
    // A token of RFC 9110, section 5.6.2.
    (1..=128).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn is_header_value(value: &str) -> bool {
    value.len() <= 4096
        && value
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_absolute_http_or_https_and_nothing_else() {
        for fine in [
            "https://example.com/a?b=c",
            "http://example.com",
            "https://example.com:8443/ä",
        ] {
            assert_eq!(check_url(fine), Ok(()), "{fine}");
        }
        for wrong in [
            "",
            "/a",
            "example.com/a",
            "ftp://example.com/",
            "https:/example.com",
            "https:example.com",
            "https://u:p@example.com/",
            "https://example.com/#a",
            "https://example.com/a b",
            "javascript:alert(1)",
            "https://",
        ] {
            assert!(check_url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn prefixes_have_no_scheme_and_no_query() {
        assert_eq!(check_prefix("www.example.com/a/b"), Ok(()));
        assert_eq!(check_prefix("www.example.com"), Ok(()));
        for wrong in [
            "",
            "https://www.example.com/a",
            "www.example.com/a?b",
            "/a",
            "a b/c",
        ] {
            assert!(check_prefix(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tags_are_visible_ascii_without_commas() {
        assert_eq!(check_tag("a:b"), Ok(()));
        for wrong in ["", "a,b", "a b", "ä", &"a".repeat(1025)] {
            assert!(check_tag(wrong).is_err(), "{wrong}");
        }
    }
}

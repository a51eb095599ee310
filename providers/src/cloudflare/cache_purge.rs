//! `cache.purge.execute`: exactly one of `purge_everything: true`, `files`, `tags`, `hosts`,
//! `prefixes`, each list with 1..=500 entries. `purge_everything: false` counts as absent. Other fields
//! are passed on.
//!
//! An entry of `files` is an absolute http(s) URL, or `{url, headers?}` where the cache key depends
//! on request headers. A prefix is `host/path` without a scheme. How upstream spells hosts and paths in
//! other scripts is not documented, so those are passed on as they are written.

use super::dns_name::check_host;
use super::fields::{At, Fields};
use super::{InvalidOperation, Scope, Warning};
use super::{shown, shown_name};
use ledger::operation::is_plain;
use serde_json::{Map, Value, json};
use url::Url;

/// Upstream's limit for one request on the largest plan.
const MOST_ENTRIES: usize = 500;
/// Upstream's limit for one request on the other plans; which plan a zone has is not known here.
const ENTRIES_OF_EVERY_PLAN: usize = 100;
/// Longest URL or prefix that is accepted; upstream's request line ends there at the latest.
const LONGEST_URL: usize = 8192;
/// Longest cache tag upstream knows.
const LONGEST_TAG: usize = 1024;

/// A purge of a zone's cache.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CachePurge {
    what: PurgeWhat,
    /// Fields that are not known here.
    more: Map<String, Value>,
}

/// The part of a zone's cache that is dropped.
#[derive(Debug, Clone, PartialEq)]
enum PurgeWhat {
    Everything,
    /// Single URLs.
    Files(Vec<PurgeFile>),
    Tags(Vec<String>),
    Hosts(Vec<String>),
    /// Everything that begins with one of these, `host/path`.
    Prefixes(Vec<String>),
}

/// One URL to purge, with the request headers that are part of its cache key.
#[derive(Debug, Clone, PartialEq)]
struct PurgeFile {
    url: String,
    headers: Vec<(String, String)>,
    /// Fields that are not known here.
    more: Map<String, Value>,
}

impl PurgeFile {
    fn parse(entry: At<'_>) -> Result<Self, InvalidOperation> {
        if let Some(url) = entry.value.as_str() {
            check_url(url).map_err(|problem| entry.refuse(problem))?;
            return Ok(Self {
                url: url.to_owned(),
                headers: Vec::new(),
                more: Map::new(),
            });
        }
        if !entry.value.is_object() {
            return Err(entry.refuse("must be a URL or {url, headers}"));
        }
        let mut fields = entry.fields()?;
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
                                "{:?} must be a header name with a value of one line",
                                shown_name(name)
                            ),
                        ));
                    }
                }
            }
        }
        headers.sort();
        Ok(Self {
            url: url.to_owned(),
            headers,
            more: fields.rest()?,
        })
    }

    fn to_json(&self) -> Value {
        if self.headers.is_empty() && self.more.is_empty() {
            return json!(self.url);
        }
        let mut file = self.more.clone();
        file.insert("url".to_owned(), json!(self.url));
        if !self.headers.is_empty() {
            let headers: Map<String, Value> = self
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            file.insert("headers".to_owned(), Value::Object(headers));
        }
        Value::Object(file)
    }
}

impl CachePurge {
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        const KINDS: [&str; 5] = ["purge_everything", "files", "tags", "hosts", "prefixes"];
        let everything = fields.flag("purge_everything")?.unwrap_or(false);
        let files = fields.list("files", 1..=MOST_ENTRIES)?.map(|items| {
            items
                .into_iter()
                .map(PurgeFile::parse)
                .collect::<Result<Vec<_>, _>>()
        });
        let mut asked = [
            everything.then_some(PurgeWhat::Everything),
            files.transpose()?.map(PurgeWhat::Files),
            fields
                .texts("tags", 1..=MOST_ENTRIES, check_tag)?
                .map(PurgeWhat::Tags),
            entries(&mut fields, "hosts", check_host)?.map(PurgeWhat::Hosts),
            entries(&mut fields, "prefixes", check_prefix)?.map(PurgeWhat::Prefixes),
        ]
        .into_iter()
        .flatten();
        let what = match (asked.next(), asked.next()) {
            (Some(what), None) => what,
            (None, _) => {
                return Err(fields.refuse_all(format!("needs one of {}", KINDS.join(", "))));
            }
            (Some(_), Some(_)) => {
                return Err(fields.refuse_all(format!(
                    "has more than one of {}; make one operation for each",
                    KINDS.join(", ")
                )));
            }
        };
        let (name, count) = what.counted();
        if count > ENTRIES_OF_EVERY_PLAN {
            fields.mark(name);
        }
        Ok(Self {
            what,
            more: fields.rest()?,
        })
    }

    /// The params, which are the request's body too.
    pub(super) fn body(&self) -> Value {
        let value = match &self.what {
            PurgeWhat::Everything => json!(true),
            PurgeWhat::Files(files) => files.iter().map(PurgeFile::to_json).collect(),
            PurgeWhat::Tags(all) | PurgeWhat::Hosts(all) | PurgeWhat::Prefixes(all) => json!(all),
        };
        let mut body = self.more.clone();
        body.insert(self.what.counted().0.to_owned(), value);
        Value::Object(body)
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        match self.what {
            PurgeWhat::Everything => vec![Warning::danger(
                "purges_everything",
                "the whole cache of the zone is dropped; the origin takes the full load until it \
                 has filled again",
            )],
            _ => Vec::new(),
        }
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let (what, entries): (&str, Vec<&str>) = match &self.what {
            PurgeWhat::Everything => {
                return format!("Purge everything from the cache of {scope}");
            }
            PurgeWhat::Files(files) => {
                ("file", files.iter().map(|file| file.url.as_str()).collect())
            }
            PurgeWhat::Tags(tags) => ("tag", tags.iter().map(String::as_str).collect()),
            PurgeWhat::Hosts(hosts) => ("host", hosts.iter().map(String::as_str).collect()),
            PurgeWhat::Prefixes(all) => ("prefix", all.iter().map(String::as_str).collect()),
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

impl PurgeWhat {
    /// Upstream's field for it, and how many entries it has.
    fn counted(&self) -> (&'static str, usize) {
        match self {
            Self::Everything => ("purge_everything", 1),
            Self::Files(all) => ("files", all.len()),
            Self::Tags(all) => ("tags", all.len()),
            Self::Hosts(all) => ("hosts", all.len()),
            Self::Prefixes(all) => ("prefixes", all.len()),
        }
    }
}

/// A list of hosts or prefixes. What `check` does not accept only for its script is passed on and
/// marked.
fn entries(
    fields: &mut Fields<'_>,
    name: &'static str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<Vec<String>>, InvalidOperation> {
    for item in fields.list(name, 1..=MOST_ENTRIES)?.into_iter().flatten() {
        if item.value.as_str().is_some_and(|text| !text.is_ascii()) {
            item.mark();
        }
    }
    fields.texts(name, 1..=MOST_ENTRIES, |text| {
        let is_visible = is_plain(text) && !text.contains(char::is_whitespace);
        if text.is_ascii() || !is_visible {
            return check(text);
        }
        // Its form is checked as if each letter of another script were one of ours.
        let ascii = |letter: char| if letter.is_ascii() { letter } else { 'x' };
        check(&text.chars().map(ascii).collect::<String>())
    })
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
    if let Some(wrong) = text.chars().find(|letter| !letter.is_ascii_graphic()) {
        return Err(format!(
            "must not contain U+{:04X}: spaces, control characters and what cannot be seen are written \
             as %20 and the like",
            u32::from(wrong)
        ));
    }
    let fine = text.len() <= LONGEST_URL
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
    value.len() <= 4096 && !value.chars().any(char::is_control)
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

//! Files that an operation carries: the modules of a script, each beside the one that runs.

use super::UploadedFile;
use std::borrow::Cow;
use std::collections::HashSet;

/// One file, byte for byte as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFile<'a> {
    /// Its name among the files.
    pub name: &'a str,
    /// What its client calls it besides.
    pub file_name: Option<&'a str>,
    /// Its media type.
    pub media_type: &'a str,
    /// Its bytes.
    pub content: &'a [u8],
    /// The file upstream that it replaces.
    pub change: FileChange,
    /// Its text as people read it beside its name, where no param has it.
    pub text: Option<Cow<'a, str>>,
}

/// A file beside the one upstream that it replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Upstream was not read, or not this far.
    Unknown,
    /// There is none.
    Added,
    /// The same bytes.
    Same,
    /// Other bytes: where they differ, line by line. Nothing is said of lines where one of the two is no text.
    Changed(Option<Vec<Hunk>>),
}

/// Lines that are sent in the place of others. Lines end with a line feed, which is no part of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// The first of the lines that are sent, from 0.
    pub at: usize,
    /// How many of these are sent.
    pub sent: usize,
    /// The lines that go, as far as they are recorded.
    pub gone: Vec<String>,
    /// How many more lines go.
    pub left_out: usize,
}

/// A file upstream that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoneFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Lower-case hex.
    pub sha256: String,
}

/// The files of one param, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperationFiles<'a> {
    /// The param that holds them.
    pub param: &'static str,
    /// The files.
    pub files: Vec<OperationFile<'a>>,
    /// They are the parts of a form, which people read as files and not as params.
    pub are_parts: bool,
    /// Files that were sent before it and belong to it.
    pub uploads: &'a [UploadedFile],
    /// The files upstream that are not sent again.
    pub gone: Vec<GoneFile>,
    /// The hosts of the files that those upstream name too; `None` where these were not read.
    pub known_hosts: Option<Vec<String>>,
    /// Why the files upstream could not be read.
    pub unread: Option<String>,
    /// The field of the state upstream that holds what was read of them, for nobody to read as it is.
    pub recorded_as: &'static str,
}

/// The hosts of absolute URLs in a text, each once, in the order in which they stand there; at most so many.
#[must_use]
pub fn hosts_of(text: &str, most: usize) -> Vec<String> {
    /// Longest name of a host (RFC 1035, section 2.3.4).
    const LONGEST_HOST: usize = 253;
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        rest = after;
        let scheme = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
        if !matches!(scheme, Some("http" | "https" | "ws" | "wss")) {
            continue;
        }
        let end = after.find(|c: char| c.is_whitespace() || "/?#\"'`\\)(<>,;$|".contains(c));
        let authority = after.get(..end.unwrap_or(after.len())).unwrap_or("");
        // User info before an @ is shown too: it makes one host look like another.
        let host: String = authority.chars().take(LONGEST_HOST).collect();
        let host = host.to_lowercase();
        if !host.is_empty() && seen.insert(host.clone()) {
            found.push(host);
        }
        if found.len() == most {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_that_a_script_names_are_listed_once() {
        let script = "fetch('https://A.example/x'); fetch(`wss://b.example:8443`);\n\
                      // https://a.example and ftp://c.example\n\
                      const u = \"http://shop.example@evil.example/\" + 'https://' + host;";
        assert_eq!(
            hosts_of(script, 40),
            ["a.example", "b.example:8443", "shop.example@evil.example"]
        );
        assert_eq!(hosts_of(script, 1), ["a.example"]);
    }
}

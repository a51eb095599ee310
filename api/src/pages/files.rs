//! The files that an operation carries, each by its name, size and digest, and the hosts that its text names.

use super::shown::ShownText;
use ledger::operation::OperationFile;
use sha2::{Digest as _, Sha256};

/// Most hosts that are listed of one file.
const MOST_HOSTS: usize = 40;

/// Longest name of a host (RFC 1035, section 2.3.4).
const LONGEST_HOST: usize = 253;

#[derive(Debug, Clone)]
pub struct ShownFile {
    pub name: ShownText,
    pub media_type: ShownText,
    pub bytes: usize,
    /// Lower-case hex.
    pub sha256: String,
    /// False for a binary, of which nothing else is shown.
    pub is_text: bool,
    /// The hosts of URLs in its text, in the order in which they stand there.
    pub hosts: Vec<ShownText>,
    /// The address of all of it.
    pub address: Option<String>,
}

impl ShownFile {
    pub(super) fn of(file: OperationFile<'_>) -> Self {
        let text = std::str::from_utf8(file.content).ok();
        Self {
            name: ShownText::line(file.name),
            media_type: ShownText::line(file.media_type),
            bytes: file.content.len(),
            sha256: hex::encode(Sha256::digest(file.content)),
            is_text: text.is_some(),
            hosts: hosts(text.unwrap_or_default()),
            address: None,
        }
    }
}

/// The hosts of absolute URLs in a text, each once.
fn hosts(text: &str) -> Vec<ShownText> {
    let mut found: Vec<String> = Vec::new();
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
        if !host.is_empty() && !found.contains(&host) {
            found.push(host);
        }
        if found.len() == MOST_HOSTS {
            break;
        }
    }
    found.into_iter().map(ShownText::line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_that_a_script_names_are_listed_once() {
        let script = "fetch('https://A.example/x'); fetch(`wss://b.example:8443`);\n\
                      // https://a.example and ftp://c.example\n\
                      const u = \"http://shop.example@evil.example/\" + 'https://' + host;";
        let found = hosts(script);
        let found: Vec<_> = found.iter().map(ShownText::original).collect();
        assert_eq!(
            found,
            ["a.example", "b.example:8443", "shop.example@evil.example"]
        );
    }

    #[test]
    fn a_binary_is_its_name_size_and_digest() {
        let file = OperationFile {
            name: "a.wasm",
            media_type: "application/wasm",
            content: &[0, 0x61, 0x73, 0x6d, 0xff],
        };
        let shown = ShownFile::of(file);
        assert!(!shown.is_text && shown.hosts.is_empty());
        assert_eq!((shown.bytes, shown.sha256.len()), (5, 64));
    }
}

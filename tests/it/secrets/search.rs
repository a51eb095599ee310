//! Looks for secrets in bytes, in every form in which they could be written down.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Files that exist to hold a secret, and what they hold.
pub(super) const HOLDERS: [&str; 2] = [".key", ".signing-key"];

/// The file with the link by which the first admin is made, while there is none.
pub(super) const LINK_HOLDER: &str = ".first-admin";

/// Every token of ours begins with one of few heads, which tell nothing.
const LEAST_PART: usize = 24;

/// What must not be found, by name.
#[derive(Default)]
pub(super) struct Secrets(pub(super) Vec<(String, Vec<u8>)>);

impl Secrets {
    /// A secret as it is.
    pub(super) fn keep(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        let secret = secret.as_ref();
        assert!(secret.len() > 12, "{name} is too short to be looked for");
        self.0.push((name.to_owned(), secret.to_vec()));
    }

    /// A signed token: what is said in it, and the signature, which alone makes it one.
    pub(super) fn keep_token(&mut self, name: &str, token: &str) {
        let token = token.rsplit('/').next().unwrap();
        for part in token.split('.').skip(1).filter(|it| it.len() >= LEAST_PART) {
            self.keep(&format!("{name} ({})", part.len()), part);
        }
    }

    /// Where any of them stands in a text, in any form.
    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        Search::new(self).found_in(bytes)
    }
}

/// Looks for many texts in one go.
pub(super) struct Search {
    /// The first two bytes of any of them.
    begins: Vec<bool>,
    /// By their first four bytes.
    needles: HashMap<[u8; 4], Vec<(String, Vec<u8>)>>,
}

impl Search {
    pub(super) fn new(secrets: &Secrets) -> Self {
        let mut search = Self {
            begins: vec![false; 1 << 16],
            needles: HashMap::new(),
        };
        for (name, secret) in &secrets.0 {
            for (form, needle) in forms(secret) {
                search.begins[pair(&needle)] = true;
                let head = needle[..4].try_into().unwrap();
                let named = (format!("{name} as {form}"), needle);
                search.needles.entry(head).or_default().push(named);
            }
        }
        search
    }

    pub(super) fn found_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = BTreeSet::new();
        for at in 0..bytes.len().saturating_sub(4) {
            let rest = &bytes[at..];
            if !self.begins[pair(rest)] {
                continue;
            }
            let head: [u8; 4] = rest[..4].try_into().unwrap();
            let needles = self.needles.get(&head).into_iter().flatten();
            let here = needles.filter(|(_, needle)| rest.starts_with(needle));
            found.extend(here.map(|(name, _)| name.clone()));
        }
        found.into_iter().collect()
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

/// The ways to write something down.
pub(super) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("it is", secret.to_vec()),
        ("hex", hex::encode(secret).into_bytes()),
        ("HEX", hex::encode_upper(secret).into_bytes()),
    ];
    let percent = |keep: fn(&u8) -> bool| -> Vec<u8> {
        let coded = secret.iter().map(|byte| match keep(byte) {
            true => char::from(*byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        coded.collect::<String>().into_bytes()
    };
    forms.push(("percent", percent(u8::is_ascii_alphanumeric)));
    forms.push(("percent, all of it", percent(|_| false)));
    // Base64 of something that it is a part of: at each of the three offsets, without the characters
    // that its neighbours have a part in.
    for offset in 0..3 {
        let mut padded = vec![0; offset];
        padded.extend(secret);
        let skip = [0, 2, 3][offset];
        let keep = padded.len() * 8 / 6;
        let trimmed = |text: String| text.as_bytes()[skip..keep].to_vec();
        forms.push(("base64", trimmed(STANDARD_NO_PAD.encode(&padded))));
        forms.push(("base64url", trimmed(URL_SAFE_NO_PAD.encode(&padded))));
    }
    forms
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            all.extend(files(&entry.path()));
        } else if kind.is_file() {
            all.push(entry.path());
        }
    }
    all
}

/// Fails where a file has what it must not.
pub(super) fn look_through(folder: &Path, secrets: &Secrets) -> usize {
    let search = Search::new(secrets);
    let mut looked = 0;
    for file in files(folder) {
        let name = file.display().to_string();
        let mut holders = HOLDERS.iter().chain([&LINK_HOLDER]);
        if holders.any(|holder| name.ends_with(holder)) {
            continue;
        }
        // One that went away meanwhile holds nothing.
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        looked += 1;
        let found = search.found_in(&bytes);
        assert!(found.is_empty(), "in {name}: {found:?}");
    }
    looked
}

#[test]
fn a_planted_secret_is_found_in_every_form_and_at_every_place() {
    let mut secrets = Secrets::default();
    secrets.keep("planted", "planted+secret/with?signs");
    for (form, needle) in forms(b"planted+secret/with?signs") {
        for before in ["", "x", "xy", "xyz"] {
            let mut text = before.as_bytes().to_vec();
            text.extend(&needle);
            text.extend(b" and more");
            assert!(
                !secrets.found_in(&text).is_empty(),
                "{form} after {before:?}"
            );
        }
    }
    // Base64 of a longer text, whatever stands before it.
    for before in ["", "x", "xy", "xyz"] {
        let text = format!("{before}planted+secret/with?signs and more");
        for coded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
            assert!(!secrets.found_in(coded.as_bytes()).is_empty(), "{coded}");
        }
    }
    assert!(secrets.found_in(b"planted secret").is_empty());
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("below")).unwrap();
    std::fs::write(
        folder.path().join("below/file"),
        "planted+secret/with?signs",
    )
    .unwrap();
    let looked = std::panic::catch_unwind(|| look_through(folder.path(), &secrets));
    assert!(looked.is_err(), "a file that has it is found");
}

//! multipart/form-data (RFC 7578), written so that equal parts give equal bytes, and read back.

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// One part of a form. Names hold no quotes and no line breaks: they are checked before an
/// operation is accepted.
struct Part<'a> {
    name: &'a str,
    /// Modules are files; `metadata` is not.
    is_file: bool,
    content_type: &'a str,
    content: &'a [u8],
}

/// A whole form and the media type that names its boundary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    /// `multipart/form-data; boundary=…`
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// The upload of a Worker: the part `metadata`, then each module as (name, media type, content).
pub(super) fn upload<'a>(
    metadata: &Value,
    modules: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>,
) -> Form {
    let metadata = metadata.to_string();
    let mut parts = vec![Part {
        name: "metadata",
        is_file: false,
        content_type: "application/json",
        content: metadata.as_bytes(),
    }];
    parts.extend(
        modules
            .into_iter()
            .map(|(name, content_type, content)| Part {
                name,
                is_file: true,
                content_type,
                content,
            }),
    );
    write(&parts)
}

/// The boundary is a digest of the parts: the same upload has the same bytes each time, so that the
/// digest in the log can be checked; and no content can hold the digest of itself.
fn write(parts: &[Part<'_>]) -> Form {
    let mut digest = Sha256::new();
    for part in parts {
        for piece in [
            part.name.as_bytes(),
            part.content_type.as_bytes(),
            part.content,
        ] {
            digest.update(u64::try_from(piece.len()).unwrap_or(u64::MAX).to_le_bytes());
            digest.update(piece);
        }
    }
    let mut boundary = hex::encode(digest.finalize());
    boundary.truncate(40);
    let mut bytes = Vec::new();
    for part in parts {
        let name = part.name;
        let file = if part.is_file {
            format!("; filename=\"{name}\"")
        } else {
            String::new()
        };
        bytes.extend_from_slice(
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\
                 Content-Type: {}\r\n\r\n",
                part.content_type
            )
            .as_bytes(),
        );
        bytes.extend_from_slice(part.content);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Form {
        content_type: format!("multipart/form-data; boundary={boundary}"),
        bytes,
    }
}

/// The parts of a form as (name, content); `None` when it is not well-formed.
pub(super) fn read(content_type: &str, bytes: &[u8]) -> Option<Vec<(String, Vec<u8>)>> {
    let boundary = content_type
        .split(';')
        .filter_map(|parameter| parameter.trim().strip_prefix("boundary="))
        .map(|boundary| boundary.trim_matches('"'))
        .next()
        .filter(|boundary| !boundary.is_empty())?;
    let delimiter = format!("\r\n--{boundary}");
    // The first delimiter may stand at the very beginning, without the line break before it.
    let mut rest = match bytes.strip_prefix(delimiter.get(2..)?.as_bytes()) {
        Some(rest) => rest,
        None => split_once(bytes, delimiter.as_bytes())?.1,
    };
    let mut parts = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(parts);
        }
        let (part, behind) = split_once(rest, delimiter.as_bytes())?;
        let part = part.strip_prefix(b"\r\n")?;
        let (head, content) = split_once(part, b"\r\n\r\n")?;
        let head = std::str::from_utf8(head).ok()?;
        parts.push((name_of(head)?, content.to_vec()));
        rest = behind;
    }
}

fn name_of(head: &str) -> Option<String> {
    let disposition = head.split("\r\n").find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    // A name may hold a semicolon; it holds no quotes.
    let (at, name) = disposition.match_indices("name=").find(|(at, _)| {
        disposition
            .get(..*at)
            .is_some_and(|before| before.ends_with([' ', ';']))
    })?;
    let rest = disposition.get(at + name.len()..)?;
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().map(str::to_owned),
        None => rest.split(';').next().map(|name| name.trim().to_owned()),
    }
}

fn split_once<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let index = bytes.windows(at.len()).position(|window| window == at)?;
    Some((bytes.get(..index)?, bytes.get(index + at.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn equal_uploads_have_equal_bytes() {
        let form = || {
            upload(
                &json!({"main_module": "a.js"}),
                [("a.js", "text/plain", &b"x"[..])],
            )
        };
        assert_eq!(form(), form());
    }

    #[test]
    fn a_module_cannot_be_mistaken_for_two() {
        let one = upload(&json!({}), [("a", "b", &b"c"[..]), ("d", "e", &b"f"[..])]);
        let other = upload(
            &json!({}),
            [("a", "b", &b"c\r\n"[..]), ("d", "e", &b"f"[..])],
        );
        assert_ne!(one.content_type, other.content_type);
    }

    #[test]
    fn what_is_no_form_is_not_read() {
        for (content_type, bytes) in [
            ("multipart/form-data", &b"--a--"[..]),
            ("multipart/form-data; boundary=a", b""),
            ("multipart/form-data; boundary=a", b"--a\r\n\r\n"),
            (
                "multipart/form-data; boundary=a",
                b"--a\r\nContent-Type: x\r\n\r\nb\r\n--a--",
            ),
        ] {
            assert_eq!(read(content_type, bytes), None, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(contents in prop::collection::vec(any::<Vec<u8>>(), 0..4)) {
            let names: Vec<_> =
                (0..contents.len()).map(|index| format!("p [{index}]; name=ä.js")).collect();
            let modules = names.iter().zip(&contents);
            let form = upload(
                &json!({}),
                modules.map(|(name, content)| (name.as_str(), "text/plain", content.as_slice())),
            );
            let parts = read(&form.content_type, &form.bytes).unwrap();
            let expected: Vec<_> = std::iter::once(("metadata".to_owned(), b"{}".to_vec()))
                .chain(names.into_iter().zip(contents))
                .collect();
            prop_assert_eq!(parts, expected);
        }
    }
}

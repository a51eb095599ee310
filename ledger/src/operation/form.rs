//! Forms (multipart/form-data, RFC 7578), read in the one way that all readers agree on, and written anew: what was
//! judged is what upstream parses.

use crate::canonical::parse_strict;
use bytes::Bytes;
use memchr::memmem;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// The most parts of a form.
const MOST_PARTS: usize = 1000;
/// The longest boundary (RFC 2046, section 5.1.1).
const LONGEST_BOUNDARY: usize = 70;
/// The longest head of a part.
const LONGEST_HEAD: usize = 4096;

/// One part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormPart {
    /// No other part of the form has it.
    pub name: String,
    /// What its client calls the file.
    pub file_name: Option<String>,
    /// As the client wrote it.
    pub content_type: Option<String>,
    /// Its bytes.
    pub content: Bytes,
}

/// A form as it goes up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// In the order in which they go.
    pub parts: Vec<FormPart>,
}

/// Why a form was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidForm(&'static str);

/// The boundary that the media type of a form names; `None` for another media type.
///
/// # Errors
/// A form that names none, or one that two readers could read as two.
pub fn form_boundary(content_type: &str) -> Result<Option<String>, InvalidForm> {
    let unreadable = || InvalidForm("the content type cannot be read");
    let (essence, params) = content_type.split_once(';').unwrap_or((content_type, ""));
    if !essence.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Ok(None);
    }
    let mut boundary = None;
    for param in params.split(';') {
        let (name, value) = param.split_once('=').ok_or_else(unreadable)?;
        if !name.trim().eq_ignore_ascii_case("boundary") || boundary.is_some() {
            return Err(InvalidForm(
                "the content type of a form has one boundary and nothing else",
            ));
        }
        let value = value.trim();
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"').ok_or_else(unreadable)?,
            None => value,
        };
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&byte);
        if value.is_empty() || value.len() > LONGEST_BOUNDARY || !value.bytes().all(is_fine) {
            return Err(InvalidForm("the boundary of the form is none"));
        }
        boundary = Some(value.to_owned());
    }
    Ok(boundary)
}

impl Form {
    /// Reads a form.
    ///
    /// # Errors
    /// What readers could take for two forms: bytes outside of the parts, lines that do not end with CRLF, parts
    /// without a name or with the same one, headers that a form does not need.
    pub fn parse(body: &Bytes, boundary: &str) -> Result<Self, InvalidForm> {
        let refused = InvalidForm;
        let opening = format!("--{boundary}\r\n");
        let closing = format!("\r\n--{boundary}");
        let mut rest = body
            .strip_prefix(opening.as_bytes())
            .ok_or_else(|| refused("it begins with its boundary, and lines end with CRLF"))?;
        let mut names = BTreeSet::new();
        let mut parts = Vec::new();
        loop {
            let head = find(rest, b"\r\n\r\n").filter(|at| *at <= LONGEST_HEAD);
            let head =
                head.ok_or_else(|| refused("a part has no head, or one that is too long"))?;
            let (head, content) = rest.split_at(head);
            let content = content.get(4..).unwrap_or_default();
            let end =
                find(content, closing.as_bytes()).ok_or_else(|| refused("a part has no end"))?;
            let (content, after) = content.split_at(end);
            let head = std::str::from_utf8(head)
                .map_err(|_| refused("the head of a part is not UTF-8"))?;
            let part = part(head, body.slice_ref(content)).map_err(refused)?;
            if !names.insert(part.name.clone()) {
                return Err(refused("two parts have the same name"));
            }
            parts.push(part);
            if parts.len() > MOST_PARTS {
                return Err(refused("it has more than 1000 parts"));
            }
            let after = after.get(closing.len()..).unwrap_or_default();
            if let Some(next) = after.strip_prefix(b"\r\n") {
                rest = next;
            } else if matches!(after, b"--" | b"--\r\n") {
                return Ok(Self { parts });
            } else {
                return Err(refused("there are bytes outside of its parts"));
            }
        }
    }

    /// The part of that name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<&FormPart> {
        self.parts.iter().find(|part| part.name == name)
    }

    /// The media type and the bytes. The boundary is a digest of the parts, which none of them can hold.
    #[must_use]
    pub fn write(&self) -> (String, Bytes) {
        let mut digest = Sha256::new();
        for part in &self.parts {
            let texts = [
                part.name.as_bytes(),
                part.file_name.as_deref().unwrap_or_default().as_bytes(),
                part.content_type.as_deref().unwrap_or_default().as_bytes(),
                &part.content,
            ];
            for text in texts {
                digest.update((text.len() as u64).to_le_bytes());
                digest.update(text);
            }
        }
        let digest = digest.finalize();
        let boundary: String = digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let mut bytes = Vec::new();
        for part in &self.parts {
            let name = quoted(&part.name);
            let mut head =
                format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"");
            if let Some(file_name) = &part.file_name {
                head.push_str(&format!("; filename=\"{}\"", quoted(file_name)));
            }
            if let Some(content_type) = &part.content_type {
                head.push_str(&format!("\r\nContent-Type: {content_type}"));
            }
            head.push_str("\r\n\r\n");
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(&part.content);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let content_type = format!("multipart/form-data; boundary={boundary}");
        (content_type, bytes.into())
    }
}

impl FormPart {
    /// True for one that is JSON: it says so, or it is one of those that Cloudflare's API reads as JSON whatever they
    /// say of themselves.
    #[must_use]
    pub fn is_json(&self) -> bool {
        let said = self.content_type.as_deref().unwrap_or_default();
        let essence = said.split(';').next().unwrap_or_default();
        ["metadata", "settings"].contains(&self.name.as_str())
            || essence.trim().eq_ignore_ascii_case("application/json")
    }

    /// Its JSON, where it is that and can be read in one way only.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        self.is_json()
            .then(|| parse_strict(&self.content).ok())
            .flatten()
    }

    /// Its text as people read it: JSON as it was parsed. `None` for a binary.
    pub(super) fn text(&self) -> Option<Cow<'_, str>> {
        match self.json() {
            Some(value) => Some(Cow::Owned(format!("{value:#}"))),
            None => std::str::from_utf8(&self.content).ok().map(Cow::Borrowed),
        }
    }

    /// What it is called, and its bytes by their number and SHA-256.
    pub(super) fn described(&self) -> Map<String, Value> {
        let mut fields = self.named();
        fields.insert("bytes".to_owned(), json!(self.content.len()));
        fields.insert("sha256".to_owned(), json!(self.sha256()));
        fields
    }

    /// What the same part has in common, however its client spells its JSON.
    pub(super) fn matched(&self) -> Value {
        let mut fields = self.named();
        match self.json() {
            Some(value) => fields.insert("json".to_owned(), value),
            None => fields.insert("sha256".to_owned(), json!(self.sha256())),
        };
        Value::Object(fields)
    }

    fn named(&self) -> Map<String, Value> {
        let mut fields = Map::new();
        let texts = [
            ("name", Some(&self.name)),
            ("file_name", self.file_name.as_ref()),
            ("media_type", self.content_type.as_ref()),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                fields.insert(field.to_owned(), json!(text));
            }
        }
        fields
    }

    fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.content))
    }
}

/// As clients write names (WHATWG HTML, multipart/form-data encoding). None of them holds a line break.
fn quoted(text: &str) -> String {
    text.replace('"', "%22")
}

fn part(head: &str, content: Bytes) -> Result<FormPart, &'static str> {
    let (mut named, mut content_type) = (None, None);
    for line in head.split("\r\n") {
        if line.contains(['\r', '\n']) {
            return Err("lines end with CRLF");
        }
        let (name, value) = line
            .split_once(':')
            .ok_or("a part has a line that is no header")?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-disposition") && named.is_none() {
            named = Some(disposition(value)?);
        } else if name.eq_ignore_ascii_case("content-type") && content_type.is_none() {
            let is_fine = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
            if value.is_empty() || !value.bytes().all(is_fine) {
                return Err("a part has a content type that is none");
            }
            content_type = Some(value.to_owned());
        } else {
            return Err("a part has one Content-Disposition, one Content-Type and no other header");
        }
    }
    let (name, file_name) = named.ok_or("a part has no Content-Disposition")?;
    Ok(FormPart {
        name,
        file_name,
        content_type,
        content,
    })
}

/// The name and the file's name.
fn disposition(value: &str) -> Result<(String, Option<String>), &'static str> {
    let mut rest = value
        .strip_prefix("form-data")
        .ok_or("each part is form-data")?;
    let (mut name, mut file_name) = (None, None);
    while !rest.is_empty() {
        let param = rest.trim_start().strip_prefix(';');
        let param = param
            .ok_or("a Content-Disposition cannot be read")?
            .trim_start();
        let (key, value) = param
            .split_once('=')
            .ok_or("a Content-Disposition cannot be read")?;
        let quoted = value
            .strip_prefix('"')
            .ok_or("names stand in double quotes")?;
        let (text, after) = quoted.split_once('"').ok_or("a name has no end")?;
        // Readers differ on what a backslash means.
        if text.contains('\\') || text.chars().any(char::is_control) {
            return Err("a name has a backslash or a control character");
        }
        let place = match key {
            "name" => &mut name,
            "filename" => &mut file_name,
            _ => return Err("a Content-Disposition has name and filename, and no filename*"),
        };
        if place.replace(text.replace("%22", "\"")).is_some() {
            return Err("a Content-Disposition says something twice");
        }
        rest = after;
    }
    let name = name.filter(|name: &String| !name.is_empty());
    Ok((name.ok_or("a part has no name")?, file_name))
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    memmem::find(bytes, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Form, InvalidForm> {
        let body = Bytes::copy_from_slice(text.as_bytes());
        Form::parse(&body, "x")
    }

    const METADATA: &str = "Content-Disposition: form-data; name=\"metadata\"";

    fn form(parts: &[(&str, &str)]) -> String {
        let mut text = String::new();
        for (head, content) in parts {
            text.push_str(&format!("--x\r\n{head}\r\n\r\n{content}\r\n"));
        }
        text.push_str("--x--\r\n");
        text
    }

    #[test]
    fn a_form_is_read_and_written_as_the_same_parts() {
        let module = "Content-Disposition: form-data; name=\"a.js\"; filename=\"a.js\"\r\n\
                      Content-Type: application/javascript+module";
        let text = form(&[(METADATA, "{}"), (module, "export default {}\r\n--y")]);
        let form = parsed(&text).unwrap();
        assert_eq!(form.parts.len(), 2);
        assert_eq!(form.part("metadata").unwrap().content, "{}");
        let read = form.part("a.js").unwrap();
        assert_eq!(read.file_name.as_deref(), Some("a.js"));
        assert_eq!(
            read.content_type.as_deref(),
            Some("application/javascript+module")
        );
        assert_eq!(read.content, "export default {}\r\n--y");
        let (content_type, bytes) = form.write();
        let boundary = form_boundary(&content_type).unwrap().unwrap();
        assert_eq!(Form::parse(&bytes, &boundary).unwrap(), form);
        assert_eq!(form.write().1, bytes, "equal parts are equal bytes");
    }

    #[test]
    fn what_two_readers_could_read_as_two_forms_is_refused() {
        let named =
            |params: &str| form(&[(&format!("Content-Disposition: form-data{params}"), "a")]);
        for text in [
            String::new(),
            "--x--\r\n".to_owned(),
            format!("preamble\r\n{}", form(&[(METADATA, "{}")])),
            format!("{}epilogue", form(&[(METADATA, "{}")])),
            form(&[(METADATA, "{}")]).replace("\r\n", "\n"),
            form(&[(METADATA, "{}")]).replace("--x--\r\n", ""),
            form(&[(METADATA, "{}"), (METADATA, "{}")]),
            form(&[("Content-Type: text/plain", "a")]),
            form(&[(
                &format!("{METADATA}\r\nContent-Transfer-Encoding: base64"),
                "a",
            )]),
            form(&[(&format!("{METADATA}\r\n{METADATA}"), "a")]),
            form(&[(&format!("{METADATA}\r\n folded: x"), "a")]),
            named(""),
            named("; name=\"\""),
            named("; name=a"),
            named("; name=\"a\"; name=\"b\""),
            named("; name=\"a\"; filename*=UTF-8''b"),
            named("; name=\"a\\\"b\""),
            named("; name=\"a\"x"),
        ] {
            assert!(parsed(&text).is_err(), "{text:?}");
        }
        assert!(parsed(&named("; name=\"a\"; filename=\"b\"")).is_ok());
    }

    #[test]
    fn a_form_has_at_most_a_thousand_parts() {
        let heads: Vec<String> = (0..=1000)
            .map(|number| format!("Content-Disposition: form-data; name=\"{number}\""))
            .collect();
        let parts: Vec<(&str, &str)> = heads.iter().map(|head| (head.as_str(), "a")).collect();
        assert!(parsed(&form(&parts)).is_err());
        assert!(parsed(&form(&parts[1..])).is_ok());
    }

    #[test]
    fn a_media_type_has_one_boundary_and_nothing_beside_it() {
        let read = form_boundary;
        assert_eq!(read("application/json"), Ok(None));
        for text in [
            "multipart/form-data; boundary=x",
            "Multipart/Form-Data;boundary=\"x\"",
        ] {
            assert_eq!(read(text), Ok(Some("x".to_owned())), "{text}");
        }
        for text in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"x",
            "multipart/form-data; boundary=x; boundary=y",
            "multipart/form-data; boundary=x; charset=utf-8",
            "multipart/form-data; boundary=a b",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}

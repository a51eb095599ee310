//! One module of a Worker: `{name, content}` or `{name, content_base64}` (for bytes that are not
//! text), and `type` where the name's ending does not tell it.

use super::InvalidOperation;
use super::fields::At;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ledger::Word;
use ledger::operation::is_plain;
use serde_json::{Value, json};

const LONGEST_NAME: usize = 255;

/// The kind of a module, as the media type of its part in the upload. The set is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum ModuleType {
    EsModule,
    /// A CommonJS module, or the script of a service worker.
    Script,
    Wasm,
    Text,
    Data,
    Json,
    Python,
    SourceMap,
    /// One that is not known here: a media type without parameters.
    Other(Word<64>),
}

impl ModuleType {
    const KNOWN: [Self; 8] = [
        Self::EsModule,
        Self::Script,
        Self::Wasm,
        Self::Text,
        Self::Data,
        Self::Json,
        Self::Python,
        Self::SourceMap,
    ];

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::EsModule => "application/javascript+module",
            Self::Script => "application/javascript",
            Self::Wasm => "application/wasm",
            Self::Text => "text/plain",
            Self::Data => "application/octet-stream",
            Self::Json => "application/json",
            Self::Python => "text/x-python",
            Self::SourceMap => "application/source-map",
            Self::Other(word) => word.as_str(),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut known = Self::KNOWN.into_iter();
        if let Some(known) = known.find(|known| known.as_str() == text) {
            return Ok(known);
        }
        // It becomes a header of the module's part in the upload.
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&^_.+-/".contains(&byte);
        let is_media_type = text.split('/').filter(|part| !part.is_empty()).count() == 2
            && text.matches('/').count() == 1;
        Word::parse(text, is_token)
            .filter(|_| is_media_type)
            .map(Self::Other)
            .ok_or_else(|| {
                let known: Vec<_> = Self::KNOWN.iter().map(Self::as_str).collect();
                format!("must be a media type, such as {}", known.join(", "))
            })
    }

    /// What the ending of a module's name says. `.js` is an ES module; the script of a service
    /// worker is named by `body_part`, which says otherwise.
    fn from_name(name: &str) -> Option<Self> {
        let (_, ending) = name.rsplit_once('.')?;
        Some(match ending {
            "js" | "mjs" => Self::EsModule,
            "cjs" => Self::Script,
            "wasm" => Self::Wasm,
            "txt" | "html" | "css" => Self::Text,
            "bin" => Self::Data,
            "json" => Self::Json,
            "py" => Self::Python,
            "map" => Self::SourceMap,
            _ => return None,
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WorkerModule {
    name: String,
    module_type: ModuleType,
    content: Vec<u8>,
}

impl WorkerModule {
    /// The single module of the short form; its name is ours.
    pub(super) fn of_script(name: &str, module_type: ModuleType, script: &str) -> Self {
        Self {
            name: name.to_owned(),
            module_type,
            content: script.as_bytes().to_vec(),
        }
    }

    /// A part of a client's own request, unchecked.
    pub(super) fn as_sent(name: &str, media_type: &str, content: &[u8]) -> Self {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        Self {
            name: name.to_owned(),
            module_type: ModuleType::parse(media_type).unwrap_or(ModuleType::Data),
            content: content.to_vec(),
        }
    }

    /// `body_part` is the name of the service worker's script, where there is one.
    pub(super) fn parse(module: At<'_>, body_part: Option<&str>) -> Result<Self, InvalidOperation> {
        let mut fields = module.fields()?;
        let name = fields.required_text("name")?;
        check_name(name).map_err(|problem| fields.refuse("name", problem))?;
        let given = fields
            .text("type")?
            .map(|text| ModuleType::parse(text).map_err(|problem| fields.refuse("type", problem)))
            .transpose()?;
        if matches!(given, Some(ModuleType::Other(_))) {
            fields.mark("type");
        }
        let told = if body_part == Some(name) {
            Some(ModuleType::Script)
        } else {
            ModuleType::from_name(name)
        };
        let module_type = given
            .or(told)
            .ok_or_else(|| fields.refuse("type", "is required: the name's ending does not say"))?;
        let content = match (fields.text("content")?, fields.text("content_base64")?) {
            (Some(text), None) => text.as_bytes().to_vec(),
            (None, Some(text)) => BASE64_STANDARD.decode(text).map_err(|_| {
                fields.refuse(
                    "content_base64",
                    "must be base64 with padding (RFC 4648, section 4)",
                )
            })?,
            _ => {
                return Err(fields.refuse("content", "give either content or content_base64"));
            }
        };
        fields.finish()?;
        Ok(Self {
            name: name.to_owned(),
            module_type,
            content,
        })
    }

    /// Its name, which is the name of its part in the upload.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn module_type(&self) -> &ModuleType {
        &self.module_type
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    /// The first control character of a module that is text, other than tab and line breaks: nobody who
    /// decides could read it, and source text has escapes for it.
    pub(super) fn unreadable(&self) -> Option<String> {
        let is_text = match self.module_type {
            ModuleType::EsModule
            | ModuleType::Script
            | ModuleType::Text
            | ModuleType::Json
            | ModuleType::Python
            | ModuleType::SourceMap => true,
            ModuleType::Wasm | ModuleType::Data | ModuleType::Other(_) => false,
        };
        let text = std::str::from_utf8(&self.content)
            .ok()
            .filter(|_| is_text)?;
        let is_unreadable = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
        let (at, found) = text.char_indices().find(|(_, c)| is_unreadable(*c))?;
        let line = text.get(..at).unwrap_or("").matches('\n').count() + 1;
        let code = u32::from(found);
        Some(format!(
            "module {:?} has the control character U+{code:04X} in line {line}: write it as an escape, \
             such as \\x{code:02x}",
            super::shown(&self.name, LONGEST_NAME)
        ))
    }

    pub(super) fn to_json(&self) -> Value {
        let module_type = self.module_type.as_str();
        match std::str::from_utf8(&self.content) {
            Ok(text) => json!({"name": self.name, "type": module_type, "content": text}),
            Err(_) => json!({
                "name": self.name,
                "type": module_type,
                "content_base64": BASE64_STANDARD.encode(&self.content),
            }),
        }
    }
}

/// Names end up in quoted strings of the upload's headers and in `import` paths: a relative path that
/// does not lead out of its directory, of characters that can be seen, without quotes and backslashes.
/// Everything else is upstream's to decide: `pages/[slug].js` is a name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fine = name.len() <= LONGEST_NAME
        && name != "metadata"
        && !name.contains(['"', '\\'])
        && is_plain(name)
        && name
            .split('/')
            .all(|segment| !segment.is_empty() && segment != "..");
    if fine {
        Ok(())
    } else {
        Err(format!(
            "must be a relative path such as lib/index.js, at most {LONGEST_NAME} bytes, without .., \
             quotes, backslashes and characters that cannot be seen, not metadata"
        ))
    }
}

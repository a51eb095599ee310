//! One module of a Worker: `{name, content}` or `{name, content_base64}` (for bytes that are not
//! text), and `type` where the name's ending does not tell it.

use super::InvalidOperation;
use super::fields::Fields;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

/// What a module is, as the media type of its part in the upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ModuleType {
    /// An ES module.
    EsModule,
    /// A CommonJS module, or the script of a service worker.
    Script,
    /// WebAssembly.
    Wasm,
    /// Text.
    Text,
    /// Bytes.
    Data,
    /// JSON.
    Json,
    /// Python.
    Python,
    /// A source map.
    SourceMap,
}

impl ModuleType {
    const ALL: [Self; 8] = [
        Self::EsModule,
        Self::Script,
        Self::Wasm,
        Self::Text,
        Self::Data,
        Self::Json,
        Self::Python,
        Self::SourceMap,
    ];

    /// The media type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EsModule => "application/javascript+module",
            Self::Script => "application/javascript",
            Self::Wasm => "application/wasm",
            Self::Text => "text/plain",
            Self::Data => "application/octet-stream",
            Self::Json => "application/json",
            Self::Python => "text/x-python",
            Self::SourceMap => "application/source-map",
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == text)
            .ok_or_else(|| {
                let known = Self::ALL.map(Self::as_str).join(", ");
                format!("must be one of {known}")
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

/// A module as it will be uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerModule {
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

    /// `body_part` is the name of the service worker's script, where there is one.
    pub(super) fn parse(
        value: &Value,
        path: String,
        body_part: Option<&str>,
    ) -> Result<Self, InvalidOperation> {
        let mut fields = Fields::of(value, path)?;
        let name = fields.required_text("name")?;
        check_name(name).map_err(|problem| fields.refuse("name", problem))?;
        let given = fields
            .text("type")?
            .map(|text| ModuleType::parse(text).map_err(|problem| fields.refuse("type", problem)))
            .transpose()?;
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
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub fn module_type(&self) -> ModuleType {
        self.module_type
    }

    /// Its bytes.
    #[must_use]
    pub fn content(&self) -> &[u8] {
        &self.content
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

/// Names end up in headers of the upload and in `import` paths: path segments of letters, digits
/// and `._-`, none of them `.` or `..`.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fine = name.len() <= 255
        && name != "metadata"
        && name.split('/').all(|segment| {
            !segment.is_empty()
                && !matches!(segment, "." | "..")
                && segment
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        });
    if fine {
        Ok(())
    } else {
        Err(
            "must be a relative path of A-Z a-z 0-9 . _ - such as lib/index.js, at most 255 \
             characters, not metadata"
                .to_owned(),
        )
    }
}

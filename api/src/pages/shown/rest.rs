//! The rest of a text that a page does not show: its length, and where all of it can be had.

use super::lookalikes::lookalikes;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Of a text that was cut.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Rest {
    /// Bytes of the whole text.
    pub(super) bytes: usize,
    /// Lines of the whole text.
    pub(super) lines: usize,
    /// Of the whole text; `None` where no text was cut but entries of a list were left out.
    digest: Option<[u8; 32]>,
    /// The note on look-alike characters, over all of it.
    pub(super) lookalikes: Option<String>,
    /// The address of the file that has all of it.
    pub(super) file: Option<String>,
}

impl Rest {
    pub(super) fn of(whole: &str) -> Self {
        Self {
            bytes: whole.len(),
            lines: whole.lines().count(),
            digest: Some(Sha256::digest(whole.as_bytes()).into()),
            lookalikes: lookalikes(whole),
            file: None,
        }
    }

    /// Of entries that are left out of a list, with the note over all of it.
    pub(super) const fn entries(file: String, lookalikes: Option<String>) -> Self {
        Self {
            bytes: 0,
            lines: 0,
            digest: None,
            lookalikes,
            file: Some(file),
        }
    }

    /// True where it stands for entries of a list.
    pub(super) const fn is_of_entries(&self) -> bool {
        self.digest.is_none()
    }

    /// The note behind what is shown of it.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>, shown: usize) -> fmt::Result {
        f.write_str(r#"<span class="cut">"#)?;
        if self.digest.is_some() {
            write!(
                f,
                "<strong>Cut here:</strong> {} of {} bytes are shown. ",
                in_thousands(shown),
                in_thousands(self.bytes)
            )?;
        }
        match &self.file {
            // A URL of ours, in which quotes and brackets are percent-encoded.
            Some(file) => write!(
                f,
                r#"<a href="{file}" download>Download all of it</a> and read it before you approve."#
            )?,
            None => f.write_str("The request has all of it.")?,
        }
        if let Some(digest) = &self.digest {
            write!(
                f,
                r#" SHA-256 of this text: <code class="digest">{}</code>"#,
                hex::encode(digest)
            )?;
        }
        f.write_str("</span>")
    }
}

/// `9,900,000`.
pub(crate) fn in_thousands(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

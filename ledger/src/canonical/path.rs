//! Places in a JSON document, as people write them: `operations[0].params.ttl`.

use crate::operation::shown_name;
use serde_path_to_error::Segment;
use std::fmt::{self, Write as _};

/// One step down from the root, with the steps above it.
#[derive(Debug)]
pub(super) enum Step<'a> {
    Root,
    Key { above: &'a Step<'a>, key: &'a str },
    Index { above: &'a Step<'a>, index: usize },
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Root => Ok(()),
            Step::Key { above, key } => {
                write!(f, "{above}")?;
                write_key(f, matches!(above, Step::Root), key)
            }
            Step::Index { above, index } => write!(f, "{above}[{index}]"),
        }
    }
}

impl Step<'_> {
    /// The path as text; the root is `.`.
    pub(super) fn shown(&self) -> String {
        match self {
            Step::Root => ".".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// The same text for a path that a typed reader has kept track of.
pub(super) fn shown_path(path: &serde_path_to_error::Path) -> String {
    let mut text = String::new();
    for segment in path {
        // Writing to a string cannot fail.
        let _ = match segment {
            Segment::Seq { index } => write!(text, "[{index}]"),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                let first = text.is_empty();
                write_key(&mut text, first, key)
            }
            Segment::Unknown => Ok(()),
        };
    }
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

fn write_key(f: &mut impl fmt::Write, first: bool, key: &str) -> fmt::Result {
    let plain = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    let shown = shown_name(key);
    if !plain || shown != key {
        return write!(f, "[{shown:?}]");
    }
    if !first {
        f.write_char('.')?;
    }
    f.write_str(key)
}

//! Names of characters that a page shows as code points.

pub(super) use ledger::operation::MARK;

/// The name of a character that is shown as a code point.
pub(super) fn name(c: char) -> &'static str {
    match c {
        ' ' => "space at the edge",
        '\n' => "line feed",
        '\r' => "carriage return",
        '\t' => "tab",
        MARK => "single left guillemet",
        '\u{ad}' => "soft hyphen",
        '\u{200b}' => "zero width space",
        '\u{200c}' => "zero width non-joiner",
        '\u{200d}' => "zero width joiner",
        '\u{200e}' => "left-to-right mark",
        '\u{200f}' => "right-to-left mark",
        '\u{202a}' => "left-to-right embedding",
        '\u{202b}' => "right-to-left embedding",
        '\u{202c}' => "pop directional formatting",
        '\u{202d}' => "left-to-right override",
        '\u{202e}' => "right-to-left override",
        '\u{2066}' => "left-to-right isolate",
        '\u{2067}' => "right-to-left isolate",
        '\u{2068}' => "first strong isolate",
        '\u{2069}' => "pop directional isolate",
        '\u{feff}' => "byte order mark",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        c if c.is_control() => "control character",
        c if c.is_whitespace() => "unusual space",
        '\u{300}'..='\u{36f}' => "combining mark",
        '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' => "private use",
        _ => "character that may draw nothing or move others",
    }
}

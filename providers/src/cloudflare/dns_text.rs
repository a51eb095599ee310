//! The content of a TXT record: what it says, however it is written.

/// The bytes that the content stands for: character-strings in quotes (RFC 1035, section 5.1) are put
/// together, with `\"`, `\\` and `\DDD` undone; content without quotes is what it is.
pub(super) fn text_bytes(content: &str) -> Vec<u8> {
    strings(content.trim_matches([' ', '\t'])).unwrap_or_else(|| content.as_bytes().to_vec())
}

/// `None` when it is not quoted strings from its beginning to its end.
fn strings(content: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = content.strip_prefix('"')?;
    loop {
        rest = quoted(rest, &mut bytes)?;
        if rest.is_empty() {
            return Some(bytes);
        }
        rest = rest.trim_start_matches([' ', '\t']).strip_prefix('"')?;
    }
}

/// Reads to the closing quote; what comes behind it.
fn quoted<'t>(text: &'t str, bytes: &mut Vec<u8>) -> Option<&'t str> {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Some(chars.as_str()),
            '\\' => {
                let behind = chars.as_str();
                let number = behind
                    .get(..3)
                    .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))
                    .and_then(|digits| digits.parse::<u8>().ok());
                if let Some(byte) = number {
                    bytes.push(byte);
                    chars = behind.get(3..)?.chars();
                } else {
                    push(chars.next()?, bytes);
                }
            }
            c => push(c, bytes),
        }
    }
    None
}

fn push(c: char, bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_say_the_same_however_they_are_written() {
        for (one, other, same) in [
            ("v=spf1 -all", "\"v=spf1 -all\"", true),
            ("ab", "\"a\" \"b\"", true),
            ("ab", "\"a\"\"b\"", true),
            ("a b", "\"a\" \"b\"", false),
            ("Abc", "\"abc\"", false),
            ("a\\b", "\"a\\\\b\"", true),
            ("a\"b", "\"a\\\"b\"", true),
            ("é", "\"\\195\\169\"", true),
            ("\"a\" \"b", "\"a\" \"b\"", false),
            ("\"open", "\"open\"", false),
            ("", "\"\"", true),
        ] {
            assert_eq!(text_bytes(one) == text_bytes(other), same, "{one} {other}");
        }
        let long = "x".repeat(300);
        let pieces = format!("\"{}\" \"{}\"", &long[..255], &long[255..]);
        assert_eq!(text_bytes(&long), text_bytes(&pieces));
    }
}

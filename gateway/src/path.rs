//! The judgement of a path as it was sent. What two readers could take for two paths is refused, so that what
//! was judged is what upstream reads.

use crate::refusal::Refusal;

/// Checks that every reader sees the same segments in a path.
///
/// # Errors
/// A refusal for `.`, `..`, an empty segment, a coded character that would read as another path once it is
/// decoded, and what is no coding.
pub(crate) fn judge(path: &str) -> Result<(), Refusal> {
    let Some(rest) = path.strip_prefix('/') else {
        return Err(Refusal::malformed("the path must begin with a slash"));
    };
    if rest.is_empty() {
        return Ok(());
    }
    for segment in rest.split('/') {
        match segment {
            "" => return Err(Refusal::malformed("the path has an empty segment")),
            "." | ".." => return Err(Refusal::malformed("the path has a dot segment")),
            _ => judge_segment(segment.as_bytes())?,
        }
    }
    Ok(())
}

fn judge_segment(segment: &[u8]) -> Result<(), Refusal> {
    let mut rest = segment;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let (coded, after) = decoded(after)?;
                if is_ambiguous(coded, after) {
                    return Err(Refusal::malformed(
                        "the path has a coded character that must stand there as it is, or is coded twice",
                    ));
                }
                rest = after;
            }
            b'\\' | 0..=b' ' | 127.. => {
                return Err(Refusal::malformed(
                    "the path has a character that must be coded",
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The byte that two hexadecimal digits name, and what follows them.
fn decoded(text: &[u8]) -> Result<(u8, &[u8]), Refusal> {
    if let [high, low, after @ ..] = text
        && let (Some(high), Some(low)) = (digit(*high), digit(*low))
    {
        return Ok((high << 4 | low, after));
    }
    Err(Refusal::malformed(
        "the path has a percent sign that codes nothing",
    ))
}

const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Whether a decoder would make another path of it, or another decoder would go on.
fn is_ambiguous(coded: u8, after: &[u8]) -> bool {
    let is_coded_twice = coded == b'%' && decoded(after).is_ok();
    coded.is_ascii_alphanumeric() || matches!(coded, b'.' | b'/' | b'\\' | 0) || is_coded_twice
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_readers_could_take_for_two_paths_is_refused() {
        for path in [
            "",
            "v1",
            "//v1",
            "/v1//messages",
            "/v1/messages/",
            "/v1/./messages",
            "/v1/../messages",
            "/..",
            "/v1/%2e%2e/messages",
            "/v1/%2E/messages",
            "/v1/a%2fb",
            "/v1/a%5Cb",
            "/v1/a\\b",
            "/v1/%00",
            "/v1/%6dessages",
            "/v1/%31",
            "/v1/%252e",
            "/v1/%25%32%65",
            "/v1/%2",
            "/v1/%",
            "/v1/%zz",
            "/v1/é",
        ] {
            assert!(judge(path).is_err(), "{path}");
        }
    }

    #[test]
    fn what_reads_in_one_way_passes() {
        for path in [
            "/",
            "/v1/messages",
            "/v1/models/claude-x.y",
            "/v1/a%3Fb",
            "/v1/...",
            "/v1/a%20b%25",
            "/v1/%C3%A9",
        ] {
            assert_eq!(judge(path), Ok(()), "{path}");
        }
    }
}

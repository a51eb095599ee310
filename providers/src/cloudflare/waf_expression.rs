//! Form of a rule's expression. What its fields and functions mean is upstream's to say; what can
//! never be an expression is refused here.

/// Upstream's limit for one rule.
const LONGEST_EXPRESSION: usize = 4096;

/// 1..=4096 characters, brackets in pairs, texts closed.
pub(super) fn check_expression(text: &str) -> Result<(), String> {
    if text.trim().is_empty() || text.chars().count() > LONGEST_EXPRESSION {
        return Err(format!("must have 1..{LONGEST_EXPRESSION} characters"));
    }
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
    {
        return Err("must not contain control characters".to_owned());
    }
    let mut open = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        match character {
            '(' | '{' | '[' => open.push(character),
            ')' | '}' | ']' => {
                let fits = matches!(
                    (open.pop(), character),
                    (Some('('), ')') | (Some('{'), '}') | (Some('['), ']')
                );
                if !fits {
                    return Err(format!("has {character:?} without its opening bracket"));
                }
            }
            'r' if rest.starts_with('"') || rest.starts_with('#') => {
                rest = after_raw_text(rest)?;
            }
            '"' => rest = after_text(rest)?,
            _ => {}
        }
    }
    match open.pop() {
        None => Ok(()),
        Some(bracket) => Err(format!("has {bracket:?} without its closing bracket")),
    }
}

/// The rest behind a text whose opening quote has been read; `\` hides the next character.
fn after_text(text: &str) -> Result<&str, String> {
    let mut hidden = false;
    for (index, character) in text.char_indices() {
        match character {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            '"' => return Ok(text.get(index + 1..).unwrap_or_default()),
            _ => {}
        }
    }
    Err(UNCLOSED.to_owned())
}

/// The rest behind `r"…"` or `r#"…"#`, from behind the `r` on; nothing is hidden in it.
fn after_raw_text(text: &str) -> Result<&str, String> {
    let hashes = text
        .chars()
        .take_while(|&character| character == '#')
        .count();
    let Some(inner) = text.get(hashes..).and_then(|text| text.strip_prefix('"')) else {
        return Ok(text);
    };
    let end = format!("\"{}", "#".repeat(hashes));
    inner
        .split_once(end.as_str())
        .map(|(_, rest)| rest)
        .ok_or_else(|| UNCLOSED.to_owned())
}

const UNCLOSED: &str = "has a text without its closing quote";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_formed_expressions_pass() {
        for fine in [
            "true",
            "(http.host eq \"a)b\" and ip.src in {192.0.2.0/24 2001:db8::/32})",
            "http.request.uri.path matches r#\"^/\"(a\"#",
            "http.user_agent contains \"a\\\"b\"",
            "any(http.request.headers[\"x\"][*] eq \"y\")",
            "http.request.uri.path matches r\"\\\"",
        ] {
            assert_eq!(check_expression(fine), Ok(()), "{fine}");
        }
    }

    #[test]
    fn what_cannot_be_an_expression_is_refused() {
        let long = "a".repeat(4097);
        for wrong in [
            "",
            "  ",
            "(a",
            "a)",
            "(a]",
            "a eq \"b",
            "a eq \"b\\\"",
            "a matches r\"b",
            "a\0",
            &long,
        ] {
            assert!(check_expression(wrong).is_err(), "{wrong:?}");
        }
    }
}

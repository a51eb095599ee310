//! Upstream has our token, and may repeat it in what it answers; what it answers is recorded for good.
//!
//! Redaction works on finished text, behind everything that drops or decodes characters. A text that
//! would show the token to somebody who drops what does not show, or who decodes what is encoded, is
//! taken out as a whole.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ledger::provider::Outcome;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization as _;

/// Replaces the token.
pub(super) const REDACTED: &str = "[token]";
/// Replaces a text in which the token was hidden.
const REMOVED: &str = "[removed: it held the token]";
/// From so many letters and digits on a token cannot appear by chance, so it is looked for without
/// regard to case and to what stands between its characters.
const LONG: usize = 16;
/// The characters that escapes begin with.
const ESCAPES: [char; 4] = ['%', '=', '\\', '&'];
/// How many encodings inside one another are undone.
const MOST_LAYERS: usize = 6;
/// Longest name of a request that is kept; upstream's have 20 characters.
const LONGEST_REQUEST_ID: usize = 64;

/// Takes the token out of what is recorded.
#[derive(Clone)]
pub(super) struct Redaction {
    token: String,
    /// The token once reduced, plain and encoded.
    needles: Vec<String>,
    is_long: bool,
}

impl Redaction {
    pub(super) fn of(token: &str) -> Self {
        let is_long = reduced(token, true).len() >= LONG;
        let mut needles = vec![reduced(token, is_long)];
        if is_long {
            needles.push(hex::encode(token));
            needles.extend(in_base64(token.as_bytes()).map(|text| reduced(&text, true)));
        }
        Self {
            token: token.to_owned(),
            needles,
            is_long,
        }
    }

    /// The text without the token.
    pub(super) fn text(&self, text: &str) -> String {
        let text = text.replace(&self.token, REDACTED);
        if self.is_shown_by(&text) {
            REMOVED.to_owned()
        } else {
            text
        }
    }

    /// The value without the token, in keys and texts and across them.
    pub(super) fn json(&self, mut value: Value) -> Value {
        self.in_place(&mut value);
        if self.is_shown_by(&value.to_string()) {
            value = Value::from(REMOVED);
        }
        value
    }

    /// Upstream's name of a request, if it is one.
    pub(super) fn request_id(&self, text: String) -> Option<String> {
        let is_name = (1..=LONGEST_REQUEST_ID).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_name && !self.is_shown_by(&text)).then_some(text)
    }

    /// Everything of an outcome that comes from upstream. Every field is named: none is passed on by
    /// being forgotten.
    pub(super) fn outcome(&self, mut outcome: Outcome) -> Outcome {
        let id = |id: &mut Option<String>| *id = id.take().and_then(|id| self.request_id(id));
        let json = |value: &mut Value| *value = self.json(value.take());
        let note = |note: &mut Option<Value>| note.iter_mut().for_each(json);
        match &mut outcome {
            Outcome::Succeeded {
                http_status: _,
                request_id,
                result,
                result_info,
                messages,
            } => {
                id(request_id);
                json(result);
                note(result_info);
                note(messages);
            }
            Outcome::Failed {
                http_status: _,
                request_id,
                code: _,
                message,
                errors,
                messages,
            } => {
                id(request_id);
                *message = self.text(message);
                json(errors);
                note(messages);
            }
            Outcome::Lost {
                http_status: _,
                request_id,
                why,
                errors,
            } => {
                id(request_id);
                *why = self.text(why);
                note(errors);
            }
        }
        outcome
    }

    fn in_place(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.in_place(value)),
            Value::Object(fields) => {
                let all = std::mem::take(fields).into_iter();
                *fields = all
                    .map(|(name, mut value)| {
                        self.in_place(&mut value);
                        (self.text(&name), value)
                    })
                    .collect();
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    /// True when the token can be read from the text, as it is or decoded.
    fn is_shown_by(&self, text: &str) -> bool {
        // What was taken out names what it was.
        let mut view = text.replace(REMOVED, " ").replace(REDACTED, " ");
        for _ in 0..MOST_LAYERS {
            // Letters of other shapes are read as the letters that they are.
            if !view.is_ascii() {
                view = view.nfkc().collect();
            }
            let reduced = reduced(&view, self.is_long);
            if self.needles.iter().any(|needle| reduced.contains(needle)) {
                return true;
            }
            match decoded(&view) {
                Some(next) => view = next,
                None => return false,
            }
        }
        // Nobody encodes so often but to hide something.
        true
    }
}

/// The characters that count: of a long token letters and digits in lower case, of a short one all
/// visible ASCII.
fn reduced(text: &str, is_long: bool) -> String {
    let bytes = text.chars().filter(char::is_ascii);
    if is_long {
        bytes
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect()
    } else {
        bytes.filter(char::is_ascii_graphic).collect()
    }
}

/// The base64 of the token inside of a longer text, for each of the three ways in which its bytes
/// can fall; without the characters that its neighbours decide too.
fn in_base64(token: &[u8]) -> impl Iterator<Item = String> {
    [(0, 0), (1, 2), (2, 3)].into_iter().map(|(shift, skip)| {
        let mut bytes = vec![0; shift];
        bytes.extend_from_slice(token);
        let whole = bytes.len() * 8 / 6;
        let text = BASE64_STANDARD.encode(bytes);
        text.get(skip..whole).unwrap_or_default().to_owned()
    })
}

/// The text with one layer of escapes undone: `%74`, `=74`, `\u0074`, `\u{74}`, `\x74`, `\164`, `\/`, `&#116;`,
/// `&#x74;`. `None` when there are none.
fn decoded(text: &str) -> Option<String> {
    if !text.contains(ESCAPES) {
        return None;
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(at) = rest.find(ESCAPES) {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        match escape(behind) {
            Some((c, len)) => {
                out.extend(c);
                rest = behind.get(len..).unwrap_or_default();
                changed = true;
            }
            None => {
                out.push_str(behind.get(..1).unwrap_or_default());
                rest = behind.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    changed.then_some(out)
}

/// The character that an escape at the beginning stands for, and the escape's length.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    let hex = |digits: Option<&str>| {
        digits
            .filter(|digits| !digits.is_empty() && digits.len() <= 8)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok())
    };
    if text.starts_with(['%', '=']) {
        return hex(text.get(1..3)).map(|code| (char::from_u32(code), 3));
    }
    if let Some(escaped) = text.strip_prefix('\\') {
        return match escaped.chars().next()? {
            'u' | 'x' if escaped.get(1..2) == Some("{") => {
                let digits = run(escaped.get(2..)?, 16);
                hex(Some(digits)).map(|code| (char::from_u32(code), 4 + digits.len()))
            }
            'u' => hex(escaped.get(1..5)).map(|code| (char::from_u32(code), 6)),
            'U' => hex(escaped.get(1..9)).map(|code| (char::from_u32(code), 10)),
            'x' => hex(escaped.get(1..3)).map(|code| (char::from_u32(code), 4)),
            '0'..='7' => {
                let digits = run(escaped.get(..3).unwrap_or(escaped), 8);
                let code = u32::from_str_radix(digits, 8).ok()?;
                Some((char::from_u32(code), 1 + digits.len()))
            }
            // Line breaks and the like, which do not count.
            'n' | 'r' | 't' | 'b' | 'f' => Some((None, 2)),
            c if !c.is_alphanumeric() => Some((Some(c), 1 + c.len_utf8())),
            _ => None,
        };
    }
    // A browser takes one without its semicolon as well.
    let entity = text.strip_prefix("&#")?;
    let (radix, digits) = match entity.strip_prefix(['x', 'X']) {
        Some(digits) => (16, run(digits, 16)),
        None => (10, run(entity, 10)),
    };
    let code = u32::from_str_radix(digits, radix).ok()?;
    let length = 2 + usize::from(radix == 16) + digits.len();
    let is_closed = text.get(length..).is_some_and(|rest| rest.starts_with(';'));
    Some((char::from_u32(code), length + usize::from(is_closed)))
}

/// The digits at the beginning, eight at most.
fn run(text: &str, radix: u32) -> &str {
    let digits = text.chars().take(8).take_while(|c| c.is_digit(radix));
    text.get(..digits.count()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    const TOKEN: &str = "Kq7_wZ2m-Vb81xTnR4cYs6LdPf09GhJa";

    fn without(value: Value) -> String {
        Redaction::of(TOKEN).json(value).to_string()
    }

    #[test]
    fn the_token_alone_is_taken_out_where_it_stands_plainly() {
        let redaction = Redaction::of(TOKEN);
        assert_eq!(
            redaction.text(&format!("Invalid access token {TOKEN}.")),
            "Invalid access token [token]."
        );
        let value = json!({TOKEN: {"a": [format!("x {TOKEN} y")], "b": 1}});
        assert_eq!(
            redaction.json(value),
            json!({"[token]": {"a": ["x [token] y"], "b": 1}})
        );
    }

    #[test]
    fn what_has_nothing_of_it_stays_as_it_is() {
        let value = json!({"a": "b\\u0063 100% &amp; \u{1}", "d": 1.0, "e": ["", null, true]});
        assert_eq!(Redaction::of(TOKEN).json(value.clone()), value);
        let short = Redaction::of("token");
        assert_eq!(short.text("Invalid Token"), "Invalid Token");
        assert_eq!(short.text("a token"), "a [token]");
        assert_eq!(short.text("a tok\u{1}en"), REMOVED);
    }

    #[test]
    fn a_token_that_is_encoded_is_found() {
        let percent: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let each = |write: fn(u8) -> String| TOKEN.bytes().map(write).collect::<String>();
        // Latin letters in the width of Chinese ones (U+FF01 and on).
        let wide = |c: char| char::from_u32(u32::from(c) + 0xfee0).unwrap();
        let twice = percent.replace('%', "%25");
        let json_escapes: String = TOKEN.bytes().map(|byte| format!("\\u{byte:04X}")).collect();
        let entities: String = TOKEN.bytes().map(|byte| format!("&#{byte};")).collect();
        let nested = json!({"a": json!({"b": json!({"c": TOKEN.replace('7', "\u{7}7")})
            .to_string()})
        .to_string()});
        for hidden in [
            json!(percent),
            json!(twice),
            json!(json_escapes),
            json!(entities),
            json!(entities.replace(';', "")),
            json!(percent.replace('%', "=")),
            json!(each(|byte| format!("\\u{{{byte:x}}}"))),
            json!(each(|byte| format!("\\{byte:03o}"))),
            json!(each(|byte| format!("\\U{byte:08x}"))),
            json!(TOKEN.chars().map(wide).collect::<String>()),
            json!(hex::encode(TOKEN)),
            json!(TOKEN.to_lowercase()),
            json!(TOKEN.to_uppercase()),
            json!(BASE64_STANDARD.encode(format!("Bearer {TOKEN}"))),
            json!(BASE64_STANDARD.encode(format!("a:{TOKEN}:b"))),
            json!({"a": BASE64_STANDARD.encode(format!("xy{TOKEN}z"))}),
            json!([TOKEN.get(..9), TOKEN.get(9..)]),
            json!({TOKEN.replace('m', "m\u{200b}"): 1}),
            nested,
        ] {
            let shown = without(hidden.clone());
            assert!(shown.contains("[removed"), "{hidden} is shown as {shown}");
        }
    }

    #[test]
    fn a_request_has_no_other_name_than_upstreams() {
        let redaction = Redaction::of(TOKEN);
        let kept = |text: &str| redaction.request_id(text.to_owned());
        assert_eq!(kept("8f3b1c-AMS").as_deref(), Some("8f3b1c-AMS"));
        for wrong in ["", "a b", "a_b", &TOKEN.replace('_', "-"), &"a".repeat(65)] {
            assert_eq!(kept(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        /// Whatever is put between its characters that a reader drops, and however each of them is
        /// written, the token does not come through.
        #[test]
        fn no_embedding_comes_through(
            fill in prop::collection::vec("[\u{0}-\u{1f} \u{ad}\u{200b}-\u{200f}\u{2060}\u{fe0f}\"',.;:/|-]{0,3}", TOKEN.len()),
            style in prop::collection::vec(0..6_u8, TOKEN.len()),
            place in 0..4_u8,
        ) {
            let mut hidden = String::from("before ");
            for ((c, fill), style) in TOKEN.chars().zip(&fill).zip(&style) {
                hidden.push_str(fill);
                let code = u32::from(c);
                match style {
                    0 => hidden.push_str(&format!("%{code:02X}")),
                    1 => hidden.push_str(&format!("\\u{code:04x}")),
                    2 => hidden.push_str(&format!("&#x{code:x};")),
                    3 => hidden.push(c.to_ascii_uppercase()),
                    _ => hidden.push(c),
                }
            }
            let value = match place {
                0 => json!(hidden),
                1 => json!({"errors": [{"message": hidden}]}),
                2 => json!({hidden: null}),
                _ => json!({"text": json!({"inner": hidden}).to_string()}),
            };
            let shown = without(value);
            prop_assert!(shown.contains("[removed") || shown.contains(REDACTED), "{shown}");
            prop_assert!(!reduced(&shown, true).contains(&reduced(TOKEN, true)));
        }
    }
}

//! Numbers that are written with a fraction or an exponent, as they stand in the text.
//!
//! `299.9999999999999999999` is read as 300, and people would approve another number than was sent. A
//! number survives when the shortest text of its double has the same digits (`0.1` does, although no
//! double is a tenth), or when it has no more digits than tell doubles apart and does not become whole.
//! The double is read here: the JSON reader takes the nearest or one beside it.

use std::cell::{Cell, OnceCell};
use std::ops::Range;

/// The numbers of a JSON text, in their order. They are looked for only when one of them is not an
/// integer, and then once.
pub(super) struct Written<'a> {
    text: &'a [u8],
    passed: Cell<usize>,
    found: OnceCell<Vec<Range<usize>>>,
}

impl<'a> Written<'a> {
    pub(super) const fn in_text(text: &'a [u8]) -> Self {
        Self {
            text,
            passed: Cell::new(0),
            found: OnceCell::new(),
        }
    }

    /// The next number of the text was read.
    pub(super) fn pass(&self) {
        self.passed.set(self.passed.get() + 1);
    }

    /// The next number of the text; `None` when it does not survive being read.
    pub(super) fn next(&self) -> Option<f64> {
        let found = self.found.get_or_init(|| numbers(self.text));
        let written = found.get(self.passed.get());
        let written = written.and_then(|place| self.text.get(place.clone()));
        self.pass();
        survivor(written?)
    }
}

/// Where the numbers of a text are, up to where it is no JSON any more.
fn numbers(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => behind_string(after),
            b'-' | b'0'..=b'9' => {
                let in_number =
                    |byte: &u8| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
                let end = rest.iter().position(|byte| !in_number(byte));
                let begin = text.len() - rest.len();
                let (number, after) = rest.split_at(end.unwrap_or(rest.len()));
                found.push(begin..begin + number.len());
                after
            }
            _ => after,
        };
    }
    found
}

/// The rest behind the end of a string that has begun.
fn behind_string(mut rest: &[u8]) -> &[u8] {
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => return after,
            b'\\' => after.get(1..).unwrap_or_default(),
            _ => after,
        };
    }
    rest
}

/// So many digits tell every double from its neighbours (IEEE 754, 5.12.2).
const MOST_DIGITS: usize = 17;

fn survivor(written: &[u8]) -> Option<f64> {
    let value: f64 = std::str::from_utf8(written).ok()?.parse().ok()?;
    let digits = decimal(written)?;
    let is_whole = value.fract() == 0.0;
    let same = || decimal(format!("{value:e}").as_bytes()).as_ref() == Some(&digits);
    let survives = same() || (!is_whole && digits.digits.len() <= MOST_DIGITS);
    survives.then_some(value)
}

/// A decimal number without its sign: digits that begin and end with none that is 0, and the power of
/// ten of the first one. Zero has no digits.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    digits: Vec<u8>,
    power: i64,
}

fn decimal(text: &[u8]) -> Option<Decimal> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = whole.bytes().chain(fraction.bytes());
    let zeros = all.clone().take_while(|digit| *digit == b'0').count();
    let mut digits: Vec<u8> = all.skip(zeros).collect();
    while digits.last() == Some(&b'0') {
        digits.pop();
    }
    if digits.is_empty() {
        return Some(Decimal { digits, power: 0 });
    }
    // An exponent that no i64 holds is none of a double's.
    let exponent: i64 = exponent.parse().ok()?;
    let first = i64::try_from(whole.len()).ok()? - i64::try_from(zeros).ok()?;
    Some(Decimal {
        digits,
        power: exponent.checked_add(first)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::parse_strict;
    use super::*;
    use proptest::prelude::*;

    fn survives(text: &str) -> bool {
        survivor(text.as_bytes()).is_some()
    }

    #[test]
    fn a_number_survives_when_its_double_says_the_same() {
        for text in [
            "0.1",
            "0.5",
            "1.0",
            "1e2",
            "100e-2",
            "-0.0",
            "0e99",
            "0.10",
            "299.99",
            "1.5e300",
            "0.30000000000000004",
            "333333333.33333329",
            "-2.50",
            "5e-324",
            "000.5",
        ] {
            assert!(survives(text), "{text}");
        }
        for text in [
            "299.9999999999999999999",
            "0.1000000000000000000001",
            "1.00000000000000000001",
            "0.30000000000000004440892098500626",
            "1e-400",
            "299.99999999999999",
            "0.99999999999999999",
            "2e-324",
            "1e99999999999999999999",
        ] {
            assert!(!survives(text), "{text}");
        }
    }

    #[test]
    fn the_place_of_the_number_is_named() {
        let text = r#"{"a": "1.5, \" 2", "b": [1, -2, 0.25, {"c": 299.9999999999999999999}]}"#;
        let refused = parse_strict(text.as_bytes()).unwrap_err().to_string();
        assert!(
            refused.starts_with("b[3].c: the number has more digits"),
            "{refused}"
        );
        let fine = text.replace("9999999999999999999}", "5}");
        assert!(parse_strict(fine.as_bytes()).is_ok(), "{fine}");
    }

    proptest! {
        #[test]
        fn whatever_a_writer_of_doubles_wrote_survives(value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let json = serde_json::to_string(&value).unwrap();
            for text in [format!("{value:e}"), format!("{value}"), json] {
                prop_assert!(survives(&text), "{}", text);
            }
        }
    }
}

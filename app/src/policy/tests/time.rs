//! No document takes long to read, or ends the process.

use super::super::{Format, read};
use super::{Code, HEAD, names, rule, toml};
use ledger::policy::RuleAction;
use std::time::{Duration, Instant};

#[test]
fn rules_that_cost_too_much_together_are_refused() {
    let costly = "when = \"agent.tags.exists(t, t.matches('a') || t.matches('b'))\"";
    let rules: String = (0..4)
        .map(|number| rule(&format!("r{number}"), 1, RuleAction::Ask, costly))
        .collect();
    let problems = toml(&format!("{HEAD}{rules}")).unwrap_err();
    assert_eq!(problems[0].code, Code::TooCostly);
    let one = rule("r", 1, RuleAction::Ask, costly);
    assert!(toml(&format!("{HEAD}{one}")).is_ok());
}

/// What is repeated, what stands in the middle, and what closes.
const SHAPES: [(&str, &str, &str); 41] = [
    ("(", "asn==1", ")"),
    ("[", "1", "]"),
    ("{'a':", "1", "}"),
    ("has(", "params.ttl", ")"),
    ("size(", "'a'", ")"),
    ("(asn==1||", "true", ")"),
    ("((asn==1)&&(asn==1)||", "true", ")"),
    ("true?", "true", ":true"),
    ("(true?", "true", ":true)"),
    ("[1].exists(x,", "true", ")"),
    ("!", "true", ""),
    ("-", "1", "==1"),
    ("!-", "1", ""),
    ("a.", "a", ""),
    ("a[", "a", "]"),
    ("a.b(", "a", ")"),
    ("1+", "1", ""),
    ("asn==", "1", ""),
    ("1<", "1", ""),
    ("\"a\"+", "'a'", ""),
    ("'", "", ""),
    ("\"", "", "x"),
    ("'''", "", "'"),
    ("// ", "", "\n"),
    ("?", "", ":"),
    ("(", "", ""),
    (")", "", ""),
    ("(((((", "", ")"),
    ("a b ", "", ""),
    ("@", "", ""),
    ("\u{e9}", "", ""),
    ("in ", "", ""),
    (".", "", ""),
    ("&&", "", "||"),
    ("asn==1&&", "asn==1", ""),
    ("1e", "", ""),
    ("0x", "", ""),
    ("\\", "", ""),
    ("{", "", "}"),
    (",", "", ""),
    ("a{", "", "}"),
];

/// Time is what a parser that backtracks spends, and the stack is what one that recurses does.
#[test]
fn no_text_takes_long_or_ends_the_process() {
    let mut slowest = (Duration::ZERO, String::new());
    for (open, middle, close) in SHAPES {
        for times in [16, 32, 190, 2000] {
            let text = format!("{}{middle}{}", open.repeat(times), close.repeat(times));
            if text.len() > 2048 {
                continue;
            }
            // As many conditions as fit.
            let rules: Vec<_> = (0..4000 / text.len().max(512))
                .map(|number| {
                    serde_json::json!({
                        "id": format!("r{number}"), "priority": 1, "action": "deny", "when": text,
                        "operations": ["dns.record.write"],
                    })
                })
                .collect();
            let document = serde_json::json!({"engine": "lpp-cel/1", "rule": rules});
            let begun = Instant::now();
            drop(read(
                document.to_string().as_bytes(),
                Format::Json,
                &names(),
            ));
            let took = begun.elapsed();
            if took > slowest.0 {
                slowest = (took, format!("{open} {middle} {close} {times} times"));
            }
        }
    }
    println!("{slowest:?}");
    assert!(slowest.0 < Duration::from_secs(2), "{slowest:?}");
}

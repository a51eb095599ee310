//! Cases, the examples of the documentation among them, and differences.

use super::super::{Format, Groups, Names, Report, difference, read, read_cases, run_cases};
use super::{Code, EXAMPLE, HEAD, rule, toml};
use ledger::policy::{Prepared, RuleAction};

#[test]
fn the_examples_of_the_page_do_what_their_cases_say() {
    let page = include_str!("../../../../docs/policy.md");
    let blocks = page.split("```toml\n").skip(1);
    let blocks: Vec<_> = blocks.filter_map(|rest| rest.split_once("```")).collect();
    let mut passed = 0;
    for pair in blocks.chunks_exact(2) {
        let offline = Names {
            groups: Groups::Unknown,
            providers: providers::all(),
        };
        let read = read(pair[0].0.as_bytes(), Format::Toml, &offline).unwrap();
        assert_eq!(read.warnings, [], "{}", pair[0].0);
        let cases = read_cases(pair[1].0.as_bytes(), Format::Toml, &offline.providers).unwrap();
        let report = run_cases(&Prepared::new(read.policy).unwrap(), &cases);
        assert_eq!(report.failed, 0, "{}: {:#?}", pair[0].0, report.results);
        passed += report.passed;
    }
    assert!(passed >= 25, "{passed}");
}

fn tried(cases: &str) -> Report {
    let document = format!(
        "{HEAD}{}[windows.office]\nzone = \"UTC\"\nopen = [\"mon 09:00-18:00\"]\n",
        rule("by-asn", 2, RuleAction::Deny, "when = \"asn == 1\""),
    );
    let policy = Prepared::new(toml(&document).unwrap().policy).unwrap();
    let cases = read_cases(cases.as_bytes(), Format::Toml, &providers::all()).unwrap();
    run_cases(&policy, &cases)
}

const CASE: &str = r#"
[[case]]
name = "one"
at = "2026-03-02T10:00:00Z"
operations = [{ operation_id = "dns.record.read", scope_type = "zone", scope_id = "z", params = {} }]
granted = "read"
expect = { outcome = "deny", rules = ["by-asn"] }
"#;

#[test]
fn a_case_does_not_pass_on_a_fact_that_it_does_not_give() {
    let result = tried(CASE).results.remove(0);
    assert_eq!((result.passed, result.error), (false, Some("fact_missing")));
    assert_eq!(result.outcome, None);
    let detail = result.detail.unwrap();
    assert!(detail.contains("asn"), "{detail}");
    assert_eq!(tried(&format!("{CASE}facts = {{ asn = 1 }}")).passed, 1);
    // What is said to be unknown is known to be so.
    assert_eq!(tried(&format!("{CASE}unknown = [\"asn\"]")).passed, 1);
    let allowed = tried(&format!("{CASE}facts = {{ asn = 2 }}"));
    assert_eq!(allowed.results[0].outcome, Some(RuleAction::Allow));
    assert_eq!(allowed.failed, 1);
}

#[test]
fn a_case_fails_where_another_rule_decides() {
    let other = CASE.replace("rules = [\"by-asn\"]", "rules = []");
    let result = tried(&format!("{other}facts = {{ asn = 1 }}"))
        .results
        .remove(0);
    assert!(!result.passed && result.error.is_none());
    let detail = result.detail.unwrap();
    assert_eq!(detail, "expected deny by no rule, found deny by by-asn");
}

#[test]
fn cases_that_are_wrong_are_refused_with_their_lines() {
    let wrong = |cases: &str| {
        let problems = read_cases(cases.as_bytes(), Format::Toml, &providers::all()).unwrap_err();
        let found = problems.iter().map(|one| (one.code, one.line.unwrap_or(0)));
        found.collect::<Vec<_>>()
    };
    assert_eq!(wrong(""), [(Code::BadValue, 1)]);
    assert_eq!(
        wrong(&format!("{CASE}facts = {{ asm = 1 }}")),
        [(Code::UnknownName, 8)]
    );
    assert_eq!(
        wrong(&format!("{CASE}facts = {{ asn = \"1\" }}")),
        [(Code::BadValue, 8)]
    );
    assert_eq!(
        wrong(&format!("{CASE}unknown = [\"asm\"]")),
        [(Code::UnknownName, 8)]
    );
    assert_eq!(
        wrong(&format!("{CASE}granded = \"read\"")),
        [(Code::UnknownKey, 8)]
    );
    let local = CASE.replace("10:00:00Z", "10:00:00");
    assert_eq!(wrong(&local), [(Code::BadValue, 4)]);
    let none = CASE.replace("dns.record.read", "dns.record");
    assert_eq!(wrong(&none), [(Code::BadValue, 5)]);
    let nothing = CASE.replace("outcome = \"deny\", ", "");
    assert_eq!(wrong(&nothing), [(Code::BadValue, 7)]);
}

#[test]
fn a_difference_names_the_rule_and_the_key() {
    let one = toml(EXAMPLE).unwrap().policy;
    assert_eq!(difference(&one, &one), []);
    let other = EXAMPLE
        .replace("priority = 100", "priority = 7")
        .replace("open = 900", "open = 901")
        .replace("\"foreign\"", "\"foreign\" # the same");
    let other = toml(&other).unwrap().policy;
    let said: Vec<_> = difference(&one, &other)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "~ limits open: 900 -> 901",
            "~ rule foreign priority: 100 -> 7"
        ]
    );
    let renamed = EXAMPLE.replace("\"foreign\"", "\"abroad\"");
    let renamed = toml(&renamed).unwrap().policy;
    let said: Vec<_> = difference(&one, &renamed)
        .into_iter()
        .map(|one| one.place)
        .collect();
    assert_eq!(said, ["rule abroad", "rule foreign"]);
}

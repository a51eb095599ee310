use super::*;
use ledger::GroupId;
use ledger::policy::{
    Assurance, DefaultAction, Limits, Need, NeedGroup, PreState, RetentionMode, RuleAction,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a document says before its rules.
const HEAD: &str = "engine = \"lpp-cel/1\"\n";

fn group(number: u8, name: &str, people: &[&str]) -> KnownGroup {
    KnownGroup {
        id: match number {
            0 => NeedGroup::Default,
            number => NeedGroup::Group(GroupId::from_bytes([number; 16])),
        },
        name: name.to_owned(),
        people: people
            .iter()
            .map(|person| ((*person).to_owned(), Assurance::Passkey))
            .collect(),
    }
}

fn names() -> Names {
    let mut soft = group(3, "soft", &[]);
    soft.people = BTreeMap::from([("eve".to_owned(), Assurance::Any)]);
    Names {
        groups: Groups::Known(vec![
            group(0, "default", &["anna"]),
            group(1, "security", &["anna", "ben", "cleo"]),
            group(2, "ops", &["anna"]),
            soft,
        ]),
        providers: providers::all(),
    }
}

fn toml(text: &str) -> Result<Read, Vec<Problem>> {
    read(text.as_bytes(), Format::Toml, &names())
}

/// A document of one rule with these lines beside what it must have.
fn with_rule(lines: &str) -> Result<Read, Vec<Problem>> {
    toml(&format!(
        "{HEAD}[[rule]]\nid = \"r\"\npriority = 1\naction = \"ask\"\n{lines}"
    ))
}

#[track_caller]
fn refused(read: Result<Read, Vec<Problem>>, expected: &[(Code, u32)]) {
    let problems = read.unwrap_err();
    let found: Vec<_> = problems
        .iter()
        .map(|problem| (problem.code, problem.line.unwrap_or(0)))
        .collect();
    assert_eq!(found, expected, "{problems:#?}");
}

const EXAMPLE: &str = r#"
engine = "lpp-cel/1"
default = "catalog"
policy_change = { needs = [{ group = "security" }] }
break_glass = { group = "ops", review = [{ group = "security" }] }
limits = { open = 900 }
[[rule]]
id = "foreign"
priority = 100
action = "ask"
operations = ["dns.record.write", "cache.purge.execute"]
when = '!(country in ["DE", "FR"]) || !window.office'
reason = "From abroad or at night"
needs = [{ group = "security", n = 2, assurance = "passkey" }, { group = "ops" }]
ttl = "15m"
retention = ["once"]
max_duration = 3600
pre_state = "bind"
[windows.office]
zone = "Europe/Berlin"
open = ["mon-fri 09:00-18:00"]
except = ["2026-12-25"]
"#;

#[test]
fn a_document_becomes_its_tree() {
    let read = toml(EXAMPLE).unwrap();
    assert_eq!(read.warnings, []);
    let policy = read.policy;
    assert_eq!(policy.default, DefaultAction::Catalog);
    assert_eq!(
        policy.limits,
        Limits {
            open: 900,
            ..Limits::default()
        }
    );
    assert!(policy.policy_change.is_some() && policy.break_glass.is_some());
    let rule = &policy.rules[0];
    assert_eq!(rule.id.as_str(), "foreign");
    assert_eq!((rule.ttl, rule.max_duration), (900, 3600));
    assert_eq!(rule.pre_state, Some(PreState::Bind));
    assert_eq!(rule.retention, BTreeSet::from([RetentionMode::Once]));
    let security = NeedGroup::Group(GroupId::from_bytes([1; 16]));
    assert_eq!(
        rule.needs[0],
        Need {
            group: security,
            n: 2,
            assurance: Assurance::Passkey
        }
    );
    assert_eq!(policy.windows["office"].open.len(), 5);
    assert!(policy.windows["office"].open.contains("wed 09:00-18:00"));
}

#[test]
fn what_is_left_out_is_filled_in() {
    let policy = with_rule("").unwrap().policy;
    assert_eq!(policy.limits, Limits::default());
    assert_eq!(policy.default, DefaultAction::Catalog);
    assert!(!policy.self_approval && policy.policy_change.is_none());
    let json = serde_json::to_value(&policy.rules[0]).unwrap();
    assert_eq!(
        json,
        serde_json::json!({
            "id": "r", "priority": 1, "action": "ask", "operations": null, "when": {"literal": true},
            "reason": "", "mode": "enforce", "sensitive": false,
            "needs": [{"group": "default", "n": 1, "assurance": "any"}],
            "ttl": 600, "retention": ["once", "cache"], "max_duration": 86400, "pre_state": null,
        })
    );
    let deny = with_rule("").map(|_| {
        toml(&format!(
            "{HEAD}[[rule]]\nid = \"r\"\npriority = 1\naction = \"deny\"\n"
        ))
    });
    assert_eq!(deny.unwrap().unwrap().policy.rules[0].needs, []);
}

#[test]
fn comments_order_and_the_way_to_name_a_group_do_not_change_the_digest() {
    let one = format!(
        "{HEAD}[[rule]]\nid = \"a\"\npriority = 1\naction = \"deny\"\n[[rule]]\nid = \"b\"\npriority = 2\n\
         action = \"ask\"\nneeds = [{{ group = \"ops\" }}]\nttl = \"1h\"\n"
    );
    let other = format!(
        "# said otherwise\n{HEAD}[[rule]]\naction = \"ask\"\nttl = 3600\nneeds = [{{ n = 1, group = \
         \"02020202-0202-0202-0202-020202020202\" }}]\npriority = 2\nid = \"b\" # two\n[[rule]]\n\
         priority = 1\nid = \"a\"\naction = \"deny\"\nwhen = \"(true)\"\n"
    );
    let (one, other) = (toml(&one).unwrap().policy, toml(&other).unwrap().policy);
    assert_eq!(one, other);
    assert_eq!(one.digest(), other.digest());
}

#[test]
fn json_has_the_same_keys_and_becomes_the_same_tree() {
    let value: ::toml::Value = ::toml::from_str(EXAMPLE).unwrap();
    let json = serde_json::to_vec(&value).unwrap();
    let from_json = read(&json, Format::Json, &names()).unwrap();
    assert_eq!(from_json, toml(EXAMPLE).unwrap());
    let problems = read(
        b"{\"engine\": \"lpp-cel/1\", \"x\": 1}",
        Format::Json,
        &names(),
    );
    refused(problems, &[(Code::UnknownKey, 0)]);
    let twice = read(b"{\"engine\": 1, \"engine\": 2}", Format::Json, &names());
    refused(twice, &[(Code::Syntax, 0)]);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_line() {
    let text = r#"
engine = "lpp-cel/2"
default = "maybe"
colour = "red"
[[rule]]
id = "A"
priority = -1
when = """
country == 1"""
ttl = "30s"
[[rule]]
id = "b"
priority = 1
action = "ask"
operations = ["dns.record.wirte"]
needs = [{ group = "nobody" }, { n = 0 }]
retention = ["always"]
pre_state = true
[windows.office]
zone = "Europe/Berlln"
open = ["mon-fri 9-18"]
except = ["25.12.2026"]
"#;
    refused(
        toml(text),
        &[
            (Code::BadValue, 2),
            (Code::BadValue, 3),
            (Code::UnknownKey, 4),
            (Code::BadValue, 5),
            (Code::BadValue, 6),
            (Code::BadValue, 7),
            (Code::Type, 9),
            (Code::BadValue, 10),
            (Code::UnknownName, 15),
            (Code::GroupUnknown, 16),
            (Code::BadValue, 16),
            (Code::BadValue, 16),
            (Code::BadValue, 17),
            (Code::BadValue, 17),
            (Code::BadValue, 18),
            (Code::Window, 20),
            (Code::Window, 21),
            (Code::Window, 22),
        ],
    );
    let rules: Vec<_> = toml(text)
        .unwrap_err()
        .into_iter()
        .map(|one| one.rule)
        .collect();
    assert_eq!(rules[3].as_deref(), Some("A"));
    assert_eq!(rules[8].as_deref(), Some("b"));
    assert_eq!(rules[15], None);
}

#[test]
fn every_mistake_of_the_syntax_is_said_with_its_line() {
    refused(
        toml("engine = \n[[rule]]\nid = \"x\nb = 1\n"),
        &[(Code::Syntax, 1), (Code::Syntax, 3)],
    );
    refused(
        read(b"engine = \"lpp-cel/1\"\n# \xff", Format::Toml, &names()),
        &[(Code::Syntax, 2)],
    );
}

#[test]
fn a_document_has_bounds() {
    let long = format!("{HEAD}# {}", "x".repeat(MOST_BYTES));
    refused(toml(&long), &[(Code::TooLong, 0)]);
    let deep = format!("{HEAD}x = {}1{}", "[".repeat(40), "]".repeat(40));
    refused(toml(&deep), &[(Code::TooDeep, 2)]);
    let rules = "[[rule]]\nid='x'\n".repeat(501);
    let problems = toml(&format!("{HEAD}{rules}")).unwrap_err();
    assert_eq!(problems[0].code, Code::TooLong);
    refused(
        with_rule(&format!("reason = '{}'", "x".repeat(1001))),
        &[(Code::TooLong, 6)],
    );
    refused(with_rule("reason = \"a\\u001bb\""), &[(Code::BadValue, 6)]);
}

#[test]
fn two_rules_of_one_id_are_refused() {
    let rule = "[[rule]]\nid = \"a\"\npriority = 1\naction = \"deny\"\n";
    refused(
        toml(&format!("{HEAD}{rule}{rule}")),
        &[(Code::DuplicateId, 6)],
    );
}

#[test]
fn needs_that_the_people_cannot_meet_are_refused() {
    refused(
        with_rule("needs = [{ group = \"ops\", n = 2 }]"),
        &[(Code::Unsatisfiable, 6)],
    );
    // The same person would have to count twice.
    refused(
        with_rule("needs = [{ group = \"ops\" }, { group = \"default\" }]"),
        &[(Code::Unsatisfiable, 6)],
    );
    assert!(with_rule("needs = [{ group = \"ops\" }, { group = \"security\", n = 2 }]").is_ok());
    refused(
        with_rule("needs = [{ group = \"ops\" }, { group = \"security\", n = 3 }]"),
        &[(Code::Unsatisfiable, 6)],
    );
    assert!(with_rule("needs = [{ group = \"soft\" }]").is_ok());
    refused(
        with_rule("needs = [{ group = \"soft\", assurance = \"passkey\" }]"),
        &[(Code::Unsatisfiable, 6)],
    );
    refused(with_rule("needs = []"), &[(Code::BadValue, 6)]);
    refused(
        with_rule("needs = [{ group = \"ops\", n = 0 }]"),
        &[(Code::BadValue, 6)],
    );
    let glass =
        format!("{HEAD}break_glass = {{ group = \"ops\", review = [{{ group = \"ops\" }}] }}");
    refused(toml(&glass), &[(Code::Unsatisfiable, 2)]);
    let change = format!("{HEAD}policy_change = {{ needs = [{{ group = \"security\", n = 4 }}] }}");
    refused(toml(&change), &[(Code::Unsatisfiable, 2)]);
}

#[test]
fn a_rule_that_does_not_ask_has_no_needs() {
    let text = format!(
        "{HEAD}[[rule]]\nid = \"r\"\npriority = 1\naction = \"allow\"\nneeds = [{{ group = \"ops\" }}]"
    );
    refused(toml(&text), &[(Code::BadValue, 6)]);
}

#[test]
fn a_group_of_the_configuration_is_never_one_of_the_same_name() {
    let mut known = names();
    if let Groups::Known(groups) = &mut known.groups {
        groups.insert(0, group(9, "default", &["mallory"]));
    }
    let text = format!(
        "{HEAD}[[rule]]\nid = \"r\"\npriority = 1\naction = \"ask\"\nneeds = [{{ group = \"default\" }}]"
    );
    let read = read(text.as_bytes(), Format::Toml, &known).unwrap();
    assert_eq!(read.policy.rules[0].needs[0].group, NeedGroup::Default);
}

#[test]
fn without_a_service_groups_are_told_apart_by_their_names() {
    let offline = Names {
        groups: Groups::Unknown,
        providers: providers::all(),
    };
    let of = |name: &str| {
        let text = EXAMPLE.replace("\"ops\"", &format!("\"{name}\""));
        read(text.as_bytes(), Format::Toml, &offline)
            .unwrap()
            .policy
            .digest()
    };
    assert_eq!(of("ops"), of("ops"));
    assert_ne!(of("ops"), of("night shift"));
}

fn warned(lines: &str) -> Vec<(Code, String)> {
    let read = toml(&format!("{HEAD}{lines}")).unwrap();
    read.warnings
        .into_iter()
        .map(|warning| (warning.code, warning.rule.unwrap_or_default()))
        .collect()
}

fn rule(id: &str, priority: u32, action: RuleAction, more: &str) -> String {
    let action = serde_json::to_string(&action).unwrap();
    format!("[[rule]]\nid = \"{id}\"\npriority = {priority}\naction = {action}\n{more}\n")
}

#[test]
fn an_ask_or_allow_above_a_deny_is_warned_of() {
    let deny = rule(
        "d",
        1,
        RuleAction::Deny,
        "operations = [\"ssl.mode.write\"]\nwhen = \"asn == 1\"",
    );
    let above = rule("a", 2, RuleAction::Allow, "when = \"asn == 2\"");
    assert_eq!(
        warned(&format!("{above}{deny}")),
        [(Code::HidesDeny, "a".to_owned())]
    );
    let elsewhere = rule(
        "a",
        2,
        RuleAction::Ask,
        "operations = [\"dns.record.read\"]\nwhen = \"asn == 2\"",
    );
    assert_eq!(warned(&format!("{elsewhere}{deny}")), []);
    let below = rule("a", 1, RuleAction::Allow, "when = \"asn == 2\"");
    assert_eq!(warned(&format!("{below}{deny}")), []);
    let observed = rule(
        "a",
        2,
        RuleAction::Allow,
        "when = \"asn == 2\"\nmode = \"observe\"",
    );
    assert_eq!(warned(&format!("{observed}{deny}")), []);
}

#[test]
fn a_rule_that_never_decides_is_warned_of() {
    let all = rule("all", 9, RuleAction::Deny, "");
    let below = rule("below", 1, RuleAction::Ask, "");
    assert_eq!(
        warned(&format!("{all}{below}")),
        [(Code::Unreachable, "below".to_owned())]
    );
    let beside = rule("beside", 9, RuleAction::Ask, "");
    assert_eq!(
        warned(&format!("{all}{beside}")),
        [(Code::Unreachable, "beside".to_owned())]
    );
    let some = rule(
        "some",
        9,
        RuleAction::Deny,
        "operations = [\"ssl.mode.write\"]",
    );
    assert_eq!(warned(&format!("{some}{below}")), []);
    // Sensitive operations do not see this allow.
    let allow = rule("allow", 9, RuleAction::Allow, "");
    assert_eq!(warned(&format!("{allow}{below}")), []);
    let allow = rule("allow", 9, RuleAction::Allow, "sensitive = true");
    assert_eq!(
        warned(&format!("{allow}{below}")),
        [(Code::Unreachable, "below".to_owned())]
    );
    let never = rule("never", 9, RuleAction::Ask, "when = \"false\"");
    assert_eq!(warned(&never), [(Code::Unreachable, "never".to_owned())]);
}

#[test]
fn all_over_a_list_that_may_be_empty_is_warned_of() {
    let of = |when: &str| {
        let more = format!("operations = [\"cache.purge.execute\"]\nwhen = \"{when}\"");
        warned(&rule("r", 1, RuleAction::Allow, &more))
    };
    let expected = [(Code::AllOnEmpty, "r".to_owned())];
    assert_eq!(of("params.hosts.all(h, h.endsWith('.example'))"), expected);
    assert_eq!(of("!agent.tags.all(h, h == 'x')"), expected);
    assert_eq!(
        of("size(params.hosts) > 0 && params.hosts.all(h, h.endsWith('.example'))"),
        []
    );
    assert_eq!(of("params.hosts.exists(h, h.endsWith('.example'))"), []);
    assert_eq!(of("['a', 'b'].all(h, h == country)"), []);
}

#[test]
fn approving_ones_own_questions_is_warned_of() {
    assert_eq!(
        warned("self_approval = true"),
        [(Code::SelfApproval, String::new())]
    );
}

#[test]
fn the_elements_of_a_param_are_asked_for_their_fields() {
    let when = "params.files.exists(f, has(f.url) && f.url.endsWith('.js'))";
    let more = format!("operations = [\"cache.purge.execute\"]\nwhen = \"{when}\"");
    assert_eq!(warned(&rule("r", 1, RuleAction::Deny, &more)), []);
}

mod cases;
mod time;

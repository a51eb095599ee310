//! Conditions evaluated twice: by the crate that parses them, and, lowered, by the ledger. Where they are
//! evaluated at all the two agree, and where one cannot tell, neither can the other.

use super::super::problem::{Code, Problems};
use super::{Surroundings, on_a_large_stack, read};
use cel::{Context, Program, Value as Cel};
use ledger::operation::Scope;
use ledger::policy::{
    DefaultAction, Engine, Expr, Fact, Facts, Limits, Mode, OperationFacts, Policy, Prepared, Rule,
    RuleAction, RuleResult, Value, Window, evaluate,
};
use ledger::{Level, OperationId, Risk};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Draws what the conditions and the facts are made of; the same in every run.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).unwrap()
    }

    fn of<T: Copy>(&mut self, those: &[T]) -> T {
        those[self.below(those.len())]
    }

    /// A condition.
    fn truth(&mut self, depth: usize, element: bool) -> String {
        let kind = self.below(if depth == 0 { 9 } else { 15 });
        match kind {
            0 => self.of(&["true", "false"]).to_owned(),
            1 => self
                .of(&["window.office", "window.night", "params.proxied"])
                .to_owned(),
            2 => {
                let field = self.of(&["ttl", "proxied", "comment", "tags", "priority"]);
                format!("has(params.{field})")
            }
            3 => {
                let order = self.of(&["==", "!=", "<", "<=", ">", ">="]);
                format!("{} {order} {}", self.number(element), self.number(element))
            }
            4 => {
                let order = self.of(&["==", "!=", "<", "<=", ">", ">="]);
                format!("{} {order} {}", self.text(element), self.text(element))
            }
            5 => {
                let test = self.of(&["startsWith", "endsWith", "contains"]);
                format!("{}.{test}({})", self.text(element), self.text(element))
            }
            6 => {
                let pattern = self.of(&["^a", "e$", "^$", "[a-z]+é?", "(a|b)c", ".", "\\\\d"]);
                format!("{}.matches(\"{pattern}\")", self.text(element))
            }
            7 => format!("{} in {}", self.text(element), self.list()),
            8 => {
                let block = self.of(&["10.0.0.0/8", "192.0.2.0/24", "2001:db8::/32", "0.0.0.0/0"]);
                format!("in_cidr(address, \"{block}\")")
            }
            9 | 10 => self.joined("&&", depth, element),
            11 | 12 => self.joined("||", depth, element),
            13 => format!("!({})", self.truth(depth - 1, element)),
            14 if element => {
                let (condition, then) = (self.truth(depth - 1, true), self.truth(depth - 1, true));
                format!("({condition} ? {then} : {})", self.truth(depth - 1, true))
            }
            _ => {
                let quantifier = self.of(&["exists", "all"]);
                format!(
                    "{}.{quantifier}(e, {})",
                    self.list(),
                    self.truth(depth - 1, true)
                )
            }
        }
    }

    fn joined(&mut self, operator: &str, depth: usize, element: bool) -> String {
        let parts = 2 + self.below(2);
        let parts: Vec<_> = (0..parts).map(|_| self.truth(depth - 1, element)).collect();
        format!("({})", parts.join(&format!(" {operator} ")))
    }

    fn number(&mut self, element: bool) -> String {
        match self.below(6) {
            0 => self
                .of(&["asn", "counts.asked_1h", "params.ttl", "params.priority"])
                .to_owned(),
            1 => format!("size({})", self.list()),
            2 => format!("{}.size()", self.text(element)),
            3 => format!("({} == 1 ? 2 : asn)", self.of(&["asn", "params.ttl"])),
            _ => self.of(&["0", "1", "2", "-1", "60", "300"]).to_owned(),
        }
    }

    fn text(&mut self, element: bool) -> String {
        match self.below(if element { 5 } else { 3 }) {
            0 => self
                .of(&["\"a\"", "\"\"", "\"ab\"", "'é'", "\"DE\""])
                .to_owned(),
            1 => self
                .of(&["country", "agent.name", "subject", "scope.type"])
                .to_owned(),
            2 => self
                .of(&["params.name", "params[\"comment\"]", "params.type"])
                .to_owned(),
            _ => "e".to_owned(),
        }
    }

    fn list(&mut self) -> String {
        self.of(&["agent.tags", "params.tags", "[\"a\", \"é\"]", "[\"DE\"]"])
            .to_owned()
    }

    fn word(&mut self) -> &'static str {
        self.of(&["a", "", "ab", "é", "DE", "FR", "abc", "bc7"])
    }

    fn words(&mut self) -> Vec<&'static str> {
        let count = self.below(3);
        (0..count).map(|_| self.word()).collect()
    }
}

/// Facts, all of them known, and params of which some are absent.
struct World {
    facts: BTreeMap<&'static str, serde_json::Value>,
    params: serde_json::Value,
}

impl World {
    fn draw(draw: &mut Draw) -> Self {
        let address = draw.of(&["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.0.0.1"]);
        let facts = BTreeMap::from([
            ("country", json!(draw.word())),
            ("agent.name", json!(draw.word())),
            ("subject", json!(draw.word())),
            ("agent.tags", json!(draw.words())),
            ("asn", json!(draw.below(3))),
            ("counts.asked_1h", json!(draw.below(3))),
            ("window.office", json!(draw.below(2) == 0)),
            ("window.night", json!(draw.below(2) == 0)),
            ("address", json!(address)),
        ]);
        let mut params = json!({"name": draw.word(), "type": draw.word()});
        for (name, value) in [
            ("ttl", json!(draw.of(&[1, 60, 300]))),
            ("proxied", json!(draw.below(2) == 0)),
            ("comment", json!(draw.word())),
            ("tags", json!(draw.words())),
        ] {
            if draw.below(4) > 0 {
                params[name] = value;
            }
        }
        Self { facts, params }
    }

    /// As the ledger looks at it; `None` where it cannot tell.
    fn of_ours(&self, condition: Expr) -> Option<bool> {
        let mut facts = Facts::default();
        for (name, value) in &self.facts {
            let value: Value = serde_json::from_value(value.clone()).unwrap();
            facts.set(*name, Fact::Known(value));
        }
        let policy = Prepared::new(policy(condition)).unwrap();
        let scope = Scope {
            scope_type: "zone".parse().unwrap(),
            id: ledger::operation::ScopeId::parse("z").unwrap(),
        };
        let operation = OperationFacts {
            operation: OperationId::of("dns.record.write"),
            scope: &scope,
            level: Level::Write,
            risk: Risk::Elevated,
            params: Some(&self.params),
            granted: false,
            always_asked: false,
        };
        let evaluation = evaluate(&policy, &[operation], &facts);
        match &evaluation.operations[0].trace[0] {
            RuleResult::Match => Some(true),
            RuleResult::NoMatch => Some(false),
            RuleResult::Unevaluable(_) => None,
        }
    }

    /// As the interpreter of CEL does.
    fn of_theirs(&self, program: &Program) -> Option<bool> {
        let mut context = Context::default();
        let mut roots: BTreeMap<&str, serde_json::Value> = BTreeMap::from([
            ("params", self.params.clone()),
            ("operation", json!("dns.record.write")),
            ("scope", json!({"type": "zone", "id": "z"})),
        ]);
        for (name, value) in &self.facts {
            match name.split_once('.') {
                None => {
                    roots.insert(name, value.clone());
                }
                Some((root, field)) => {
                    roots.entry(root).or_insert_with(|| json!({}))[field] = value.clone();
                }
            }
        }
        for (name, value) in roots {
            context.add_variable_from_value(name, lifted(&value));
        }
        context.add_function("in_cidr", in_cidr).unwrap();
        match program.execute(&context) {
            Ok(Cel::Bool(truth)) => Some(truth),
            Ok(other) => panic!("{other:?} is no truth value"),
            Err(_) => None,
        }
    }
}

fn in_cidr(address: Arc<String>, block: Arc<String>) -> bool {
    let address: std::net::IpAddr = address.parse().unwrap();
    let block: ipnet::IpNet = block.parse().unwrap();
    block.contains(&address.to_canonical())
}

fn lifted(value: &serde_json::Value) -> Cel {
    match value {
        serde_json::Value::Bool(truth) => (*truth).into(),
        serde_json::Value::Number(number) => number.as_i64().unwrap().into(),
        serde_json::Value::String(text) => text.as_str().into(),
        serde_json::Value::Array(items) => items.iter().map(lifted).collect::<Vec<_>>().into(),
        serde_json::Value::Object(fields) => {
            let fields: HashMap<String, Cel> = fields
                .iter()
                .map(|(name, value)| (name.clone(), lifted(value)))
                .collect();
            fields.into()
        }
        serde_json::Value::Null => Cel::Null,
    }
}

fn windows() -> BTreeMap<String, Window> {
    let window = |name: &str| {
        let window = Window {
            zone: "UTC".to_owned(),
            open: BTreeSet::from(["mon 09:00-18:00".to_owned()]),
            except: BTreeSet::new(),
        };
        (name.to_owned(), window)
    };
    BTreeMap::from([window("office"), window("night")])
}

fn policy(when: Expr) -> Policy {
    Policy {
        engine: Engine::LppCel1,
        default: DefaultAction::Catalog,
        policy_change: None,
        break_glass: None,
        limits: Limits::default(),
        self_approval: false,
        rules: vec![Rule {
            id: "r".parse().unwrap(),
            priority: 1,
            action: RuleAction::Deny,
            operations: Some(BTreeSet::from([OperationId::of("dns.record.write")])),
            when,
            reason: String::new(),
            mode: Mode::Enforce,
            sensitive: false,
            needs: Vec::new(),
            ttl: 600,
            retention: BTreeSet::from([ledger::policy::RetentionMode::Once]),
            max_duration: 60,
            pre_state: None,
        }],
        windows: windows(),
    }
}

/// `None` where it would cost more than is spent.
fn lowered(text: &str) -> Option<Expr> {
    let providers = providers::all();
    let operations = BTreeSet::from([OperationId::of("dns.record.write")]);
    let windows = windows();
    let surroundings = Surroundings {
        action: Some(RuleAction::Deny),
        operations: Some(&operations),
        providers: &providers,
        windows: &windows,
    };
    let read = on_a_large_stack(|| {
        let mut problems = Problems::default();
        read(text, None, &surroundings, &mut problems).ok_or(problems.found)
    });
    match read {
        Ok(condition) => Some(condition),
        Err(problems) => {
            let code = problems[0].code;
            assert_eq!(code, Code::TooCostly, "{text}: {problems:?}");
            None
        }
    }
}

#[test]
fn the_ledger_evaluates_conditions_as_the_crate_that_parses_them_does() {
    let mut draw = Draw(20_261_129);
    let (mut held, mut failed, mut untold) = (0, 0, 0);
    for _ in 0..800 {
        let text = draw.truth(3, false);
        let Some(condition) = lowered(&text) else {
            continue;
        };
        let program = Program::compile(&text).unwrap();
        for _ in 0..4 {
            let world = World::draw(&mut draw);
            let ours = world.of_ours(condition.clone());
            let theirs = world.of_theirs(&program);
            assert_eq!(ours, theirs, "{text}\n{:?}\n{}", world.facts, world.params);
            match ours {
                Some(true) => held += 1,
                Some(false) => failed += 1,
                None => untold += 1,
            }
        }
    }
    // Each of the three is seen often enough to say something.
    assert!(
        held > 200 && failed > 200 && untold > 50,
        "{held} {failed} {untold}"
    );
}

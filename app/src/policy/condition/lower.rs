//! CEL's tree, type-checked and lowered node by node.

use super::super::problem::{Code, Problems, quoted};
use super::Surroundings;
use super::facts::{self, Type};
use super::parse::Parsed;
use cel::common::ast::{
    ComprehensionExpr, Expr as Cel, IdedExpr, ListExpr, LiteralValue, SelectExpr, operators,
};
use ledger::policy::{Expr, Quantifier, RuleAction, Value};

/// The largest integer of either sign that JSON keeps.
const MOST_INTEGER: i64 = 1 << 53;
/// What a macro of CEL calls the value that it puts together.
const RESULT: &str = "@result";

/// A part that was lowered, with its type.
#[derive(Debug)]
pub(super) struct Typed {
    pub(super) expr: Expr,
    pub(super) of: Type,
}

impl Typed {
    pub(super) const fn new(expr: Expr, of: Type) -> Self {
        Self { expr, of }
    }
}

/// The element that a quantifier is at.
struct Bound {
    name: String,
    of: Type,
    /// Whether the list is one of the params.
    of_params: bool,
}

/// One condition that is being lowered. What is wrong is said once, and the part is then `None`.
pub(super) struct Lowering<'a> {
    parsed: &'a Parsed<'a>,
    surroundings: &'a Surroundings<'a>,
    problems: &'a mut Problems,
    element: Option<Bound>,
}

impl<'a> Lowering<'a> {
    pub(super) fn new(
        parsed: &'a Parsed<'a>,
        surroundings: &'a Surroundings<'a>,
        problems: &'a mut Problems,
    ) -> Self {
        Self {
            parsed,
            surroundings,
            problems,
            element: None,
        }
    }

    /// Whether the catalog has an operation.
    pub(super) fn is_operation(&self, name: &str) -> bool {
        self.surroundings.providers.entry(name).is_ok()
    }

    /// Says what is wrong at a node.
    pub(super) fn refuse<T>(
        &mut self,
        node: &IdedExpr,
        code: Code,
        message: impl Into<String>,
    ) -> Option<T> {
        let line = self.parsed.line_of(node);
        self.problems.add(code, line, message);
        None
    }

    pub(super) fn lower(&mut self, node: &IdedExpr) -> Option<Typed> {
        match &node.expr {
            Cel::Literal(value) => self.literal(node, value),
            Cel::List(list) => self.list(node, list),
            Cel::Ident(_) => self.name(node),
            Cel::Select(select) if select.test => self.has(node, select),
            Cel::Select(select) => self.select(node, select),
            Cel::Call(call) => self.call(node, call),
            Cel::Comprehension(comprehension) => self.quantified(node, comprehension),
            Cel::Map(_) | Cel::Struct(_) => self.refuse(
                node,
                Code::Profile,
                "a condition has no objects of its own: compare fields one by one",
            ),
            Cel::Unspecified => self.refuse(node, Code::Syntax, "not an expression"),
        }
    }

    /// A part that must be of a type.
    pub(super) fn lower_as(&mut self, node: &IdedExpr, wanted: &Type, what: &str) -> Option<Expr> {
        let part = self.lower(node)?;
        // What is not known before cannot stand for true or false: a string there would never match.
        let fits = part.of.fits(wanted) && (*wanted != Type::Bool || part.of == Type::Bool);
        if !fits {
            let message = format!("{what} must be {wanted}, and this is {}", part.of);
            return self.refuse(node, Code::Type, message);
        }
        Some(part.expr)
    }

    fn literal(&mut self, node: &IdedExpr, value: &LiteralValue) -> Option<Typed> {
        let (value, of) = match value {
            LiteralValue::Boolean(truth) => (Value::Bool(*truth.inner()), Type::Bool),
            LiteralValue::Int(number) => return self.integer(node, *number.inner()),
            LiteralValue::String(text) => (Value::Text(text.inner().to_owned()), Type::Text),
            LiteralValue::Double(_) => {
                let message = "there are no fractions: write whole numbers";
                return self.refuse(node, Code::Profile, message);
            }
            LiteralValue::UInt(_) => {
                return self.refuse(node, Code::Profile, "write integers without u");
            }
            LiteralValue::Bytes(_) => {
                return self.refuse(node, Code::Profile, "there are no bytes: write a string");
            }
            LiteralValue::Null => {
                let message = "there is no null: has(params.x) says whether a param is there";
                return self.refuse(node, Code::Profile, message);
            }
        };
        Some(Typed::new(Expr::Literal(value), of))
    }

    pub(super) fn integer(&mut self, node: &IdedExpr, number: i64) -> Option<Typed> {
        if !(-MOST_INTEGER..=MOST_INTEGER).contains(&number) {
            return self.refuse(node, Code::BadValue, "integers are within ±2^53");
        }
        Some(Typed::new(Expr::Literal(Value::Int(number)), Type::Int))
    }

    /// A list of constants, all of one type.
    fn list(&mut self, node: &IdedExpr, list: &ListExpr) -> Option<Typed> {
        let items: Vec<_> = list.elements.iter().map(|item| self.lower(item)).collect();
        let items = items.into_iter().collect::<Option<Vec<_>>>()?;
        let of = items.first().map_or(Type::Any, |item| item.of.clone());
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            let Expr::Literal(value) = item.expr else {
                let message = "the entries of a list must be constants";
                return self.refuse(node, Code::Profile, message);
            };
            if item.of != of {
                let message = format!(
                    "the entries of a list must be of one type: {of} or {}",
                    item.of
                );
                return self.refuse(node, Code::Type, message);
            }
            if matches!(value, Value::List(_)) {
                let message = "a list holds no lists";
                return self.refuse(node, Code::Profile, message);
            }
            values.push(value);
        }
        let of = Type::List(Box::new(of));
        Some(Typed::new(Expr::Literal(Value::List(values)), of))
    }

    /// A name by itself: a fact, the params, or the element of a quantifier.
    fn name(&mut self, node: &IdedExpr) -> Option<Typed> {
        let Cel::Ident(name) = &node.expr else {
            return None;
        };
        if let Some(bound) = self.element.as_ref().filter(|bound| bound.name == *name) {
            return Some(Typed::new(Expr::Element, bound.of.clone()));
        }
        if name == "params" {
            return self.params(node);
        }
        if let Some(of) = facts::type_of(name) {
            return self.fact(node, name, of);
        }
        let parts = facts::parts_of(name);
        let message = match name.as_str() {
            "window" => "say which window: window.NAME".to_owned(),
            _ if parts.is_empty() => format!("there is no fact {}", quoted(name)),
            _ => format!("{name} holds {parts}: say which"),
        };
        self.refuse(node, Code::UnknownName, message)
    }

    fn params(&mut self, node: &IdedExpr) -> Option<Typed> {
        let Some(operations) = self.surroundings.operations else {
            let message =
                "a rule that reads params must name its operations, which say what types they have";
            return self.refuse(node, Code::ParamsNeedOperations, message);
        };
        let fields = facts::params_of(operations, self.surroundings.providers);
        Some(Typed::new(Expr::Params, Type::Object(fields)))
    }

    fn fact(&mut self, node: &IdedExpr, name: &str, of: Type) -> Option<Typed> {
        let may = self
            .surroundings
            .action
            .is_none_or(|action| action == RuleAction::Deny);
        if name == "allowed" && !may {
            let message = "only deny rules read allowed: an allow says that something is not blocked, no more";
            return self.refuse(node, Code::Profile, message);
        }
        Some(Typed::new(Expr::Fact(name.to_owned()), of))
    }

    /// `a.b`: a fact of two words, a window, or a field.
    fn select(&mut self, node: &IdedExpr, select: &SelectExpr) -> Option<Typed> {
        if let Cel::Ident(root) = &select.operand.expr
            && self
                .element
                .as_ref()
                .is_none_or(|bound| bound.name != *root)
            && root != "params"
        {
            return self.fact_in_parts(node, root, &select.field);
        }
        let operand = self.lower(&select.operand)?;
        self.field(node, operand, &select.field)
    }

    fn fact_in_parts(&mut self, node: &IdedExpr, root: &str, field: &str) -> Option<Typed> {
        let name = format!("{root}.{field}");
        if root == "window" {
            if !self.surroundings.windows.contains_key(field) {
                let message = format!("there is no window {}", quoted(field));
                return self.refuse(node, Code::UnknownName, message);
            }
            return self.fact(node, &name, Type::Bool);
        }
        if let Some(of) = facts::type_of(&name) {
            return self.fact(node, &name, of);
        }
        let parts = facts::parts_of(root);
        let message = if parts.is_empty() {
            format!("there is no fact {}", quoted(&name))
        } else {
            format!("there is no fact {}; {root} holds {parts}", quoted(&name))
        };
        self.refuse(node, Code::UnknownName, message)
    }

    /// A field of an object.
    pub(super) fn field(&mut self, node: &IdedExpr, operand: Typed, name: &str) -> Option<Typed> {
        let of = self.type_of_field(node, &operand.of, name)?;
        let expr = Expr::Field(Box::new(operand.expr), name.to_owned());
        Some(Typed::new(expr, of))
    }

    fn type_of_field(&mut self, node: &IdedExpr, object: &Type, name: &str) -> Option<Type> {
        match object {
            Type::Any => Some(Type::Any),
            Type::Object(fields) => match fields.get(name) {
                Some(Type::Disagreeing) => {
                    let message = format!(
                        "{} is of another type in another operation of the rule",
                        quoted(name)
                    );
                    self.refuse(node, Code::Type, message)
                }
                Some(of) => Some(of.clone()),
                None => {
                    let known: Vec<_> = fields.keys().copied().collect();
                    let there = match known.as_slice() {
                        [] => "of these operations rules can read no params".to_owned(),
                        _ => format!("there are {}", known.join(", ")),
                    };
                    let message = format!("there is no field {}; {there}", quoted(name));
                    self.refuse(node, Code::UnknownField, message)
                }
            },
            other => {
                let message = format!("{} is read of {other}, which has no fields", quoted(name));
                self.refuse(node, Code::Type, message)
            }
        }
    }

    /// `has(params.x)`.
    fn has(&mut self, node: &IdedExpr, select: &SelectExpr) -> Option<Typed> {
        if !self.is_of_params(&select.operand) {
            let message =
                "has() is for params only: a fact that is not known makes its part unknown";
            return self.refuse(node, Code::Profile, message);
        }
        let operand = self.lower(&select.operand)?;
        self.type_of_field(node, &operand.of, &select.field)?;
        let expr = Expr::Has(Box::new(operand.expr), select.field.clone());
        Some(Typed::new(expr, Type::Bool))
    }

    /// Whether a node is of the params: they themselves, a field, or an element of a list there.
    fn is_of_params(&self, node: &IdedExpr) -> bool {
        match &node.expr {
            Cel::Ident(name) => match self.element.as_ref().filter(|bound| bound.name == *name) {
                Some(bound) => bound.of_params,
                None => name == "params",
            },
            Cel::Select(select) => !select.test && self.is_of_params(&select.operand),
            Cel::Call(call) if call.func_name == operators::INDEX => call
                .args
                .first()
                .is_some_and(|operand| self.is_of_params(operand)),
            _ => false,
        }
    }

    /// `list.exists(x, …)` and `list.all(x, …)`, as the macros of CEL write them.
    fn quantified(&mut self, node: &IdedExpr, found: &ComprehensionExpr) -> Option<Typed> {
        let Some((quantifier, body)) = quantifier(found) else {
            let message = "of the macros there are exists and all only";
            return self.refuse(node, Code::Profile, message);
        };
        if self.element.is_some() {
            let message = "exists and all stand one level deep only";
            return self.refuse(node, Code::Profile, message);
        }
        if facts::is_root(&found.iter_var) {
            let message = format!(
                "{} is the name of a fact: call the element otherwise",
                found.iter_var
            );
            return self.refuse(node, Code::Profile, message);
        }
        let list = self.lower(&found.iter_range)?;
        let of = match list.of {
            Type::List(of) => *of,
            Type::Any => Type::Any,
            other => {
                let message = format!("exists and all go over a list, and this is {other}");
                return self.refuse(node, Code::Type, message);
            }
        };
        self.element = Some(Bound {
            name: found.iter_var.clone(),
            of,
            of_params: self.is_of_params(&found.iter_range),
        });
        let body = self.lower_as(body, &Type::Bool, "what holds for an element");
        self.element = None;
        let expr = Expr::Quantified(quantifier, Box::new(list.expr), Box::new(body?));
        Some(Typed::new(expr, Type::Bool))
    }
}

/// Which macro made a comprehension, and what it asks of each element.
fn quantifier(found: &ComprehensionExpr) -> Option<(Quantifier, &IdedExpr)> {
    let is_result = |node: &IdedExpr| matches!(&node.expr, Cel::Ident(name) if name == RESULT);
    if found.accu_var != RESULT || found.iter_var2.is_some() || !is_result(&found.result) {
        return None;
    }
    let Cel::Literal(LiteralValue::Boolean(begins)) = &found.accu_init.expr else {
        return None;
    };
    let Cel::Call(step) = &found.loop_step.expr else {
        return None;
    };
    let [before, body] = step.args.as_slice() else {
        return None;
    };
    let quantifier = match (*begins.inner(), step.func_name.as_str()) {
        (false, operators::LOGICAL_OR) => Quantifier::Exists,
        (true, operators::LOGICAL_AND) => Quantifier::All,
        _ => return None,
    };
    is_result(before).then_some((quantifier, body))
}

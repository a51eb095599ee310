//! Calls, type-checked and lowered: operators and functions.

use super::super::problem::{Code, quoted};
use super::facts::{self, Type};
use super::lower::{Lowering, Typed};
use cel::common::ast::{CallExpr, Expr as Cel, IdedExpr, LiteralValue, operators};
use ledger::policy::{Comparison, Expr, TextTest, Value, read_block, read_pattern};

impl Lowering<'_> {
    pub(super) fn call(&mut self, node: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        let name = call.func_name.as_str();
        match (name, call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, args) => self.joined(name, args),
            (operators::LOGICAL_NOT, None, [one]) => {
                let part = self.lower_as(one, &Type::Bool, "what ! is before")?;
                Some(Typed::new(Expr::Not(Box::new(part)), Type::Bool))
            }
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                self.conditional(condition, then, otherwise)
            }
            (operators::EQUALS, None, [left, right]) => {
                self.compared(node, Comparison::Equal, left, right)
            }
            (operators::NOT_EQUALS, None, [left, right]) => {
                self.compared(node, Comparison::NotEqual, left, right)
            }
            (operators::LESS, None, [left, right]) => {
                self.compared(node, Comparison::Less, left, right)
            }
            (operators::LESS_EQUALS, None, [left, right]) => {
                self.compared(node, Comparison::LessOrEqual, left, right)
            }
            (operators::GREATER, None, [left, right]) => {
                self.compared(node, Comparison::Greater, left, right)
            }
            (operators::GREATER_EQUALS, None, [left, right]) => {
                self.compared(node, Comparison::GreaterOrEqual, left, right)
            }
            (operators::IN, None, [value, holder]) => self.contained(node, value, holder),
            (operators::INDEX, None, [object, key]) => self.indexed(node, object, key),
            (operators::NEGATE, None, [number]) => self.negated(node, number),
            ("size", None, [of]) | ("size", Some(of), []) => self.size(node, of),
            ("startsWith", Some(text), [other]) => self.text(TextTest::StartsWith, text, other),
            ("endsWith", Some(text), [other]) => self.text(TextTest::EndsWith, text, other),
            ("contains", Some(text), [other]) => self.text(TextTest::Contains, text, other),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => {
                self.matches(text, pattern)
            }
            ("in_cidr", None, [address, block]) => self.in_cidr(address, block),
            _ => self.refuse(node, Code::Profile, left_out(call)),
        }
    }

    /// `&&` and `||`; what the parser nests is one node of many parts.
    fn joined(&mut self, name: &str, args: &[IdedExpr]) -> Option<Typed> {
        let mut parts = Vec::new();
        let mut fine = true;
        for arg in args {
            match self.lower_as(arg, &Type::Bool, "a part of && or ||") {
                Some(Expr::And(inner)) if name == operators::LOGICAL_AND => parts.extend(inner),
                Some(Expr::Or(inner)) if name == operators::LOGICAL_OR => parts.extend(inner),
                Some(part) => parts.push(part),
                None => fine = false,
            }
        }
        let expr = if name == operators::LOGICAL_AND {
            Expr::And(parts)
        } else {
            Expr::Or(parts)
        };
        fine.then_some(Typed::new(expr, Type::Bool))
    }

    fn conditional(
        &mut self,
        condition: &IdedExpr,
        then: &IdedExpr,
        otherwise: &IdedExpr,
    ) -> Option<Typed> {
        let condition = self.lower_as(condition, &Type::Bool, "what ? is behind");
        let then = self.lower(then);
        let other = self.lower(otherwise);
        let (condition, then, other) = (condition?, then?, other?);
        if then.of != other.of {
            let message = format!(
                "both sides of : must be of one type: one is {}, the other {}",
                then.of, other.of
            );
            return self.refuse(otherwise, Code::Type, message);
        }
        let parts = (
            Box::new(condition),
            Box::new(then.expr),
            Box::new(other.expr),
        );
        Some(Typed::new(Expr::If(parts.0, parts.1, parts.2), then.of))
    }

    fn compared(
        &mut self,
        node: &IdedExpr,
        comparison: Comparison,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Option<Typed> {
        let (left, right) = (self.lower(left), self.lower(right));
        let (left, right) = (left?, right?);
        let is_object = |part: &Typed| matches!(part.of, Type::Object(_));
        if !left.of.fits(&right.of) || is_object(&left) || is_object(&right) {
            let message = format!("{} cannot be compared with {}", left.of, right.of);
            return self.refuse(node, Code::Type, message);
        }
        let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        let has_order = |part: &Typed| matches!(part.of, Type::Int | Type::Text | Type::Any);
        if is_order && !(has_order(&left) && has_order(&right)) {
            let message = format!("{} has no order", left.of);
            return self.refuse(node, Code::Type, message);
        }
        for (fact, other) in [(&left.expr, &right.expr), (&right.expr, &left.expr)] {
            self.words(node, fact, other, is_order)?;
        }
        let expr = Expr::Compare(comparison, Box::new(left.expr), Box::new(right.expr));
        Some(Typed::new(expr, Type::Bool))
    }

    /// Holds a constant to the words that a fact can be: one that it never is, is a mistake.
    fn words(&mut self, node: &IdedExpr, fact: &Expr, other: &Expr, is_order: bool) -> Option<()> {
        let Expr::Fact(fact) = fact else {
            return Some(());
        };
        let words = facts::words_of(fact);
        if is_order && words.is_some() {
            let message = format!("{fact} is a word, whose order is that of letters: use == or in");
            return self.refuse(node, Code::Type, message);
        }
        let constants = match other {
            Expr::Literal(Value::List(items)) => items.as_slice(),
            Expr::Literal(value) => std::slice::from_ref(value),
            _ => &[],
        };
        for constant in constants {
            let Value::Text(text) = constant else {
                continue;
            };
            let known = match words {
                Some(words) => words.contains(&text.as_str()),
                None if fact == "operation" => self.is_operation(text),
                None => true,
            };
            if !known {
                let message = match words {
                    Some(words) => {
                        format!("{fact} is {}, and never {}", words.join(", "), quoted(text))
                    }
                    None => format!("there is no operation {}", quoted(text)),
                };
                return self.refuse(node, Code::UnknownName, message);
            }
        }
        Some(())
    }

    fn contained(&mut self, node: &IdedExpr, value: &IdedExpr, holder: &IdedExpr) -> Option<Typed> {
        let (value, holder) = (self.lower(value), self.lower(holder));
        let (value, holder) = (value?, holder?);
        let wanted = match &holder.of {
            Type::List(of) => (**of).clone(),
            Type::Object(_) => Type::Text,
            Type::Any => Type::Any,
            other => {
                let message = format!("in is before a list or an object, and this is {other}");
                return self.refuse(node, Code::Type, message);
            }
        };
        if !value.of.fits(&wanted) {
            let message = format!("{} is never in a list of what is {wanted}", value.of);
            return self.refuse(node, Code::Type, message);
        }
        self.words(node, &value.expr, &holder.expr, false)?;
        let expr = Expr::In(Box::new(value.expr), Box::new(holder.expr));
        Some(Typed::new(expr, Type::Bool))
    }

    /// `params["name"]`, the same as `params.name`.
    fn indexed(&mut self, node: &IdedExpr, object: &IdedExpr, key: &IdedExpr) -> Option<Typed> {
        let Some(name) = constant_text(key) else {
            let message =
                "in [ ] stands the name of a field, as a constant: there are no places of lists";
            return self.refuse(node, Code::Profile, message);
        };
        let object = self.lower(object)?;
        self.field(node, object, name)
    }

    fn negated(&mut self, node: &IdedExpr, number: &IdedExpr) -> Option<Typed> {
        match &number.expr {
            Cel::Literal(LiteralValue::Int(number)) => {
                self.integer(node, number.inner().saturating_neg())
            }
            _ => self.refuse(node, Code::Profile, "there is no arithmetic"),
        }
    }

    fn size(&mut self, node: &IdedExpr, of: &IdedExpr) -> Option<Typed> {
        let part = self.lower(of)?;
        let has_size = matches!(
            part.of,
            Type::Text | Type::List(_) | Type::Object(_) | Type::Any
        );
        if !has_size {
            let message = format!("{} has no size", part.of);
            return self.refuse(node, Code::Type, message);
        }
        Some(Typed::new(Expr::Size(Box::new(part.expr)), Type::Int))
    }

    fn text(&mut self, test: TextTest, text: &IdedExpr, other: &IdedExpr) -> Option<Typed> {
        let text = self.lower_as(
            text,
            &Type::Text,
            "what startsWith, endsWith and contains look at",
        );
        let other = self.lower_as(
            other,
            &Type::Text,
            "what startsWith, endsWith and contains look for",
        );
        let expr = Expr::Text(test, Box::new(text?), Box::new(other?));
        Some(Typed::new(expr, Type::Bool))
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Option<Typed> {
        let Some(source) = constant_text(pattern) else {
            let message = "the pattern of matches must be a constant";
            return self.refuse(pattern, Code::Profile, message);
        };
        if let Err(error) = read_pattern(source) {
            let why = error.lines().last().unwrap_or_default();
            return self.refuse(pattern, Code::Pattern, format!("not a pattern: {why}"));
        }
        let text = self.lower_as(text, &Type::Text, "what matches looks at")?;
        let expr = Expr::Matches(Box::new(text), source.to_owned());
        Some(Typed::new(expr, Type::Bool))
    }

    fn in_cidr(&mut self, address: &IdedExpr, block: &IdedExpr) -> Option<Typed> {
        let Some(text) = constant_text(block) else {
            let message = "the block of in_cidr must be a constant, such as \"10.0.0.0/8\"";
            return self.refuse(block, Code::Profile, message);
        };
        let net = match read_block(text) {
            Ok(net) => net,
            Err(why) => return self.refuse(block, Code::BadValue, why),
        };
        let address = self.lower_as(address, &Type::Text, "what in_cidr looks at")?;
        let expr = Expr::InCidr(Box::new(address), net.to_string());
        Some(Typed::new(expr, Type::Bool))
    }
}

fn constant_text(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Cel::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// What to say of a call that this language leaves out.
fn left_out(call: &CallExpr) -> String {
    match call.func_name.as_str() {
        operators::ADD
        | operators::SUBSTRACT
        | operators::MULTIPLY
        | operators::DIVIDE
        | operators::MODULO
        | operators::NEGATE => "there is no arithmetic, and texts are not put together".to_owned(),
        "now" | "timestamp" | "duration" => {
            "there is no clock in conditions: say the hours as a window".to_owned()
        }
        name => format!(
            "there is no {}(): of the functions there are has, size, startsWith, endsWith, contains, matches, \
             in_cidr, exists and all",
            name.chars()
                .filter(|one| !one.is_control())
                .take(40)
                .collect::<String>()
        ),
    }
}

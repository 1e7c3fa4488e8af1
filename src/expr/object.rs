//! Conditions: CEL on one object, `object`, of which it sees `metadata.generation` and `status`.
//!
//! The language is CEL's comparisons and logic, fields, `has`, `exists` and `all` over lists, and tests of texts. Nothing in it
//! makes a text or a list longer, macros nest no deeper than two, and the object is cut off at a size: so evaluation takes no
//! more than the text and the object have.

use std::collections::HashMap;

use kube::core::cel::cel::{
    Context, IdedExpr, Program, Value,
    common::ast::{ComprehensionExpr, Expr, LiteralValue, operators},
};
use serde_json::{Value as Json, json};

use super::{ExprError, bound, one_line};

/// The variable.
const OBJECT: &str = "object";
/// The most values in what a condition sees of an object.
const MOST_VALUES: usize = 512;
/// The longest text in it.
const LONGEST_TEXT: usize = 4096;
/// How deep `exists` and `all` may stand in each other.
const DEEPEST_MACRO: usize = 2;
/// Operators of a condition, by CEL's internal names.
const OPERATORS: [&str; 12] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::IN,
    operators::INDEX,
];
/// Functions of a condition.
const FUNCTIONS: [&str; 4] = ["size", "contains", "startsWith", "endsWith"];

/// A condition on an object, ready to be evaluated.
#[derive(Debug)]
pub struct ObjectCondition {
    text: String,
    expression: IdedExpr,
}

impl ObjectCondition {
    /// Reads a condition.
    pub fn compile(text: &str) -> Result<Self, ExprError> {
        bound(text)?;
        let program = Program::compile(text)
            .map_err(|error| ExprError::Syntax { text: text.to_owned(), reason: one_line(&error.to_string()) })?;
        let expression = program.expression().clone();
        allowed(&expression.expr, &[OBJECT], 0)?;
        Ok(ObjectCondition { text: text.to_owned(), expression })
    }

    /// Whether an object matches it. A field that is not there is an error, unless `has` asks for it.
    pub fn holds(&self, object: &Json) -> Result<bool, ExprError> {
        let mut left = MOST_VALUES;
        let seen = json!({"metadata": {"generation": object["metadata"]["generation"]}, "status": object["status"]});
        let seen = value(&seen, &mut left).ok_or_else(|| self.failed("the status of the object is too large"))?;
        let mut context = Context::default();
        context.add_variable_from_value(OBJECT, seen);
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(self.failed("it is not true or false")),
            Err(error) => Err(self.failed(&one_line(&error.to_string()))),
        }
    }

    fn failed(&self, reason: &str) -> ExprError {
        ExprError::Execution { text: self.text.clone(), reason: reason.to_owned() }
    }
}

/// JSON as CEL has it, without fields that are null: `has` is false of them. `None` where it is too large.
fn value(json: &Json, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    Some(match json {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) if text.len() > LONGEST_TEXT => return None,
        Json::String(text) => Value::String(text.clone().into()),
        Json::Array(items) => {
            let items: Option<Vec<Value>> = items.iter().map(|item| value(item, left)).collect();
            Value::List(items?.into())
        }
        Json::Object(fields) => {
            let fields = fields.iter().filter(|(_, field)| !field.is_null());
            let fields: Option<HashMap<String, Value>> =
                fields.map(|(name, field)| Some((name.clone(), value(field, left)?))).collect();
            Value::from(fields?)
        }
    })
}

/// Refuses what conditions on objects do not have. `names` are the variables, `depth` the macros around.
fn allowed(expr: &Expr, names: &[&str], depth: usize) -> Result<(), ExprError> {
    match expr {
        Expr::Literal(_) => Ok(()),
        Expr::Ident(name) if names.contains(&name.as_str()) => Ok(()),
        Expr::Ident(name) => Err(refused(&format!("`{name}` is unknown; a condition can only use `object`"))),
        Expr::Select(select) => allowed(&select.operand.expr, names, depth),
        Expr::List(list) if list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_))) => Ok(()),
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            if !OPERATORS.contains(&name) && !FUNCTIONS.contains(&name) {
                return Err(refused(&format!("`{name}` is not allowed")));
            }
            let parts = call.target.iter().map(AsRef::as_ref).chain(&call.args);
            parts.into_iter().try_for_each(|part| allowed(&part.expr, names, depth))
        }
        Expr::Comprehension(comprehension) => quantifier(comprehension, names, depth),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
            Err(refused("a list or map that is built is not allowed"))
        }
    }
}

/// `exists` and `all`: what starts with true or false. Others make lists or count.
fn quantifier(macro_: &ComprehensionExpr, names: &[&str], depth: usize) -> Result<(), ExprError> {
    if !matches!(macro_.accu_init.expr, Expr::Literal(LiteralValue::Boolean(_))) {
        return Err(refused("of the macros only `exists` and `all` are allowed, and `has`"));
    }
    if depth >= DEEPEST_MACRO {
        return Err(refused("`exists` and `all` may stand in each other twice"));
    }
    allowed(&macro_.iter_range.expr, names, depth)?;
    let inner: Vec<&str> = names.iter().copied().chain([macro_.iter_var.as_str(), macro_.accu_var.as_str()]).collect();
    allowed(&macro_.loop_step.expr, &inner, depth + 1)
}

fn refused(why: &str) -> ExprError {
    ExprError::Object(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(status: &Json) -> Json {
        json!({"metadata": {"name": "web", "generation": 3}, "spec": {"secret": "x"}, "status": status})
    }

    #[test]
    fn conditions_on_an_object_hold_or_not() {
        let ready = json!({"observedGeneration": 3, "currentStatus": "valid", "conditions": [
            {"type": "Valid", "status": "True"}, {"type": "Programmed", "status": "False"}]});
        let none = Json::Null;
        for (text, status, holds) in [
            ("object.status.currentStatus == 'valid'", &ready, true),
            ("object.status.observedGeneration >= object.metadata.generation", &ready, true),
            ("object.status.observedGeneration == 3", &ready, true),
            ("object.status.conditions.exists(c, c.type == 'Valid' && c.status == 'True')", &ready, true),
            ("object.status.conditions.all(c, c.status == 'True')", &ready, false),
            ("object.status.conditions.all(c, object.status.conditions.exists(d, d.type == c.type))", &ready, true),
            ("!has(object.status) || object.status.currentStatus != 'invalid'", &none, true),
            (
                "has(object.status.currentStatus) ? object.status.currentStatus in ['valid', 'ready'] : true",
                &ready,
                true,
            ),
            ("object.status.conditions[0].status == 'True' && size(object.status.conditions) == 2", &ready, true),
            ("object.status.currentStatus.startsWith('val')", &ready, true),
        ] {
            let condition = ObjectCondition::compile(text).unwrap();
            assert_eq!(condition.holds(&object(status)), Ok(holds), "{text}");
        }
    }

    #[test]
    fn a_field_that_is_not_there_or_a_status_without_bound_is_an_error() {
        let holds = |text: &str, status: &Json| ObjectCondition::compile(text).unwrap().holds(&object(status));
        let long = json!({"x": "a".repeat(LONGEST_TEXT + 1)});
        let many = json!({"x": vec![1; MOST_VALUES]});
        for (text, status, wanted) in [
            ("object.status.currentStatus == 'valid'", &Json::Null, "cannot be evaluated"),
            ("object.spec.secret == 'x'", &json!({}), "cannot be evaluated"),
            ("object.status.x", &json!({"x": 1}), "it is not true or false"),
            ("has(object.status.x)", &long, "too large"),
            ("has(object.status.x)", &many, "too large"),
        ] {
            let error = holds(text, status).unwrap_err().to_string();
            assert!(error.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn what_could_cost_more_than_it_says_is_refused() {
        let nested = "object.status.a.all(x, x.all(y, y.all(z, true)))";
        for text in [
            nested,
            "object.status.a.map(x, [x, x]).size() > 0",
            "object.status.a.filter(x, x > 1).size() > 0",
            "object.status.a.exists_one(x, x > 1)",
            "object.status.a + object.status.a == 'x'",
            "[object.status, object.status].size() == 2",
            "{'a': object.status}.size() == 1",
            "object.status.a.matches('a*')",
            "other.status == 1",
            "object.status.a == ",
        ] {
            assert!(ObjectCondition::compile(text).is_err(), "{text}");
        }
        assert!(matches!(ObjectCondition::compile(&"(".repeat(20)), Err(ExprError::Nesting)));
    }
}

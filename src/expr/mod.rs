//! Conditions: CEL on one number, `result`. Compiled once, bounded in length, nesting and cost.
//!
//! The language is CEL's arithmetic and comparisons. What could cost more than it says (macros over lists, functions)
//! is refused when the text is checked, so that evaluation takes a handful of operations. Whole numbers in a text are
//! read as doubles, as `result` is one: else `result == 0` would be false at 0.0 and `result + 1` an error.

use kube::core::cel::cel::{
    Context, ExecutionError, IdedExpr, Program, Value,
    common::ast::{Expr, LiteralValue, operators},
};

/// The longest text; the CRD's schema holds the same.
const LONGEST: usize = 1024;
/// The deepest nesting of brackets: the parser is recursive.
const DEEPEST: usize = 16;
/// Operators a condition may use, by CEL's internal names.
const OPERATORS: [&str; 16] = [
    operators::CONDITIONAL,
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::SUBSTRACT,
    operators::ADD,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::GREATER_EQUALS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::LESS,
    operators::NEGATE,
    operators::IN,
];
/// Numbers a condition is tried on when it is checked.
const PROBES: [f64; 3] = [0.0, 0.5, 100.0];

/// Why a text is not a condition on `result`.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExprError {
    /// More than 1024 characters.
    #[error("a condition must have at most {LONGEST} characters, got {0}")]
    Length(usize),
    /// Brackets in brackets in brackets.
    #[error("a condition must nest at most {DEEPEST} brackets; simplify it")]
    Nesting,
    /// CEL cannot read it.
    #[error("`{text}` is not a CEL condition: {reason}")]
    Syntax {
        /// The text.
        text: String,
        /// The parser's message.
        reason: String,
    },
    /// A name other than `result`.
    #[error("`{0}` is unknown; a condition can only use `result`, a number")]
    Unknown(String),
    /// A part of CEL that conditions do not have.
    #[error("`{0}` is not allowed in a condition; use arithmetic and comparisons on `result`, one number")]
    Refused(String),
    /// It computes something else than true or false.
    #[error("`{0}` is not a boolean; use a comparison, as in `result < 100`")]
    NotBoolean(String),
    /// Types that do not go together.
    #[error("`{text}` cannot be evaluated: {reason}")]
    Execution {
        /// The text.
        text: String,
        /// CEL's message.
        reason: String,
    },
}

/// A condition ready to be evaluated.
#[derive(Debug)]
pub struct Condition {
    text: String,
    expression: IdedExpr,
}

impl Condition {
    /// Reads a condition.
    pub fn compile(text: &str) -> Result<Self, ExprError> {
        bound(text)?;
        let program = Program::compile(text)
            .map_err(|error| ExprError::Syntax { text: text.to_owned(), reason: one_line(&error.to_string()) })?;
        let mut expression = program.expression().clone();
        allowed(&mut expression.expr)?;
        Ok(Condition { text: text.to_owned(), expression })
    }

    /// Whether `result` matches it.
    pub fn holds(&self, result: f64) -> Result<bool, ExprError> {
        let mut context = Context::default();
        context.add_variable_from_value("result", result);
        match Value::resolve(&self.expression, &context) {
            Ok(Value::Bool(holds)) => Ok(holds),
            Ok(_) => Err(ExprError::NotBoolean(self.text.clone())),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &ExecutionError) -> ExprError {
        ExprError::Execution { text: self.text.clone(), reason: one_line(&error.to_string()) }
    }
}

/// Whether a text is a condition on `result`: it compiles, and numbers can be put in.
pub fn check(text: &str) -> Result<(), ExprError> {
    let condition = Condition::compile(text)?;
    PROBES.iter().try_for_each(|probe| condition.holds(*probe).map(drop))
}

fn bound(text: &str) -> Result<(), ExprError> {
    let length = text.chars().count();
    if length > LONGEST {
        return Err(ExprError::Length(length));
    }
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '(' | '[' | '{' | '?' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return Err(ExprError::Nesting);
        }
    }
    Ok(())
}

/// Refuses what conditions do not have and reads whole numbers as doubles.
fn allowed(expr: &mut Expr) -> Result<(), ExprError> {
    match expr {
        Expr::Literal(literal) => {
            as_double(literal);
            Ok(())
        }
        Expr::Ident(name) if name == "result" => Ok(()),
        Expr::Ident(name) => Err(ExprError::Unknown(name.clone())),
        Expr::List(list) => list.elements.iter_mut().try_for_each(|element| allowed(&mut element.expr)),
        Expr::Call(call) => {
            if call.target.is_some() || !OPERATORS.contains(&call.func_name.as_str()) {
                return Err(ExprError::Refused(shown_name(&call.func_name)));
            }
            call.args.iter_mut().try_for_each(|argument| allowed(&mut argument.expr))
        }
        Expr::Comprehension(_) => Err(ExprError::Refused("a macro over a list".to_owned())),
        Expr::Select(select) => Err(ExprError::Refused(format!(".{}", select.field))),
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(ExprError::Refused("{}".to_owned())),
    }
}

fn as_double(literal: &mut LiteralValue) {
    match literal {
        LiteralValue::Int(whole) => *literal = LiteralValue::Double((*whole.inner() as f64).into()),
        LiteralValue::UInt(whole) => *literal = LiteralValue::Double((*whole.inner() as f64).into()),
        _ => {}
    }
}

fn shown_name(name: &str) -> String {
    if name == operators::INDEX { "result[...]".to_owned() } else { name.to_owned() }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_or_not() {
        for (text, result, holds) in [
            ("result < 100", 99.5, true),
            ("result < 100", 100.0, false),
            ("result >= 0.95 && result <= 1", 0.99, true),
            ("result == 0", 0.0, true),
            ("!(result > 1.5) || result in [7, 8.0]", 8.0, true),
            ("result * 100 + 1 < 6", 0.04, true),
            ("result != 0", 0.0, false),
            ("-result < -1", 2.0, true),
            ("result > 10 ? result < 20 : true", 30.0, false),
        ] {
            let condition = Condition::compile(text).unwrap();
            assert_eq!(condition.holds(result), Ok(holds), "{text} at {result}");
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_reason() {
        for (text, word) in [
            ("result <", "not a CEL condition"),
            ("value < 3", "`value` is unknown"),
            ("result + 1", "is not a boolean"),
            ("result + 'a' < 3", "cannot be evaluated"),
            ("result[0] < 3", "one number"),
            ("[1, 2].all(x, [1, 2].all(y, x + y < 9))", "not allowed"),
            ("result.matches('x')", "not allowed"),
            ("size('abc') > 2", "not allowed"),
            ("", "not a CEL condition"),
        ] {
            let error = check(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
        assert_eq!(check(&"(".repeat(600)), Err(ExprError::Nesting));
        assert_eq!(check(&"1".repeat(2000)), Err(ExprError::Length(2000)));
        assert_eq!(check(&format!("{}true", "result>1?true:".repeat(70))), Err(ExprError::Nesting));
    }
}

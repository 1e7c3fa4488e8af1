//! Conditions: CEL on one number, `result`. Compiled once, bounded in length, nesting and cost.
//!
//! The language is CEL's arithmetic and comparisons, with `default(result, 0)`, `isNaN(result)` and `isInf(result)`, as
//! users of Argo Rollouts know them. What could cost more than it says (macros over lists, other functions) is refused when
//! the text is checked, so that evaluation takes as many operations as the text has. Whole numbers in a text are read as
//! doubles, as `result` is one: else `result == 0` would be false at 0.0 and `result + 1` an error.
//!
//! An empty result is NaN. It reaches only conditions that name one of these functions: all others say nothing of it.

pub mod object;

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
/// Functions of a condition, with the number of their arguments.
const FUNCTIONS: [(&str, usize); 3] = [("default", 2), ("isNaN", 1), ("isInf", 1)];
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
    /// A habit of another tool, with what to write here.
    #[error("`{0}` is not allowed in a condition: {1}")]
    Habit(String, &'static str),
    /// A function with too few or too many arguments.
    #[error("`{name}` takes {takes} of the form `{form}`")]
    Arguments {
        /// The function.
        name: &'static str,
        /// How many arguments, in words.
        takes: &'static str,
        /// As it is written.
        form: &'static str,
    },
    /// A part of CEL that conditions on an object do not have.
    #[error("{0}; use comparisons of `object.status` and `object.metadata.generation`, with `has`, `exists` and `all`")]
    Object(String),
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
    functions: bool,
}

impl Condition {
    /// Reads a condition.
    pub fn compile(text: &str) -> Result<Self, ExprError> {
        bound(text)?;
        let program = Program::compile(text)
            .map_err(|error| ExprError::Syntax { text: text.to_owned(), reason: one_line(&error.to_string()) })?;
        let mut expression = program.expression().clone();
        let functions = allowed(&mut expression.expr)?;
        Ok(Condition { text: text.to_owned(), expression, functions })
    }

    /// Whether it says something of a result that is empty, NaN or infinite: it names one of the functions for that.
    pub fn handles_no_number(&self) -> bool {
        self.functions
    }

    /// Whether `result` matches it.
    pub fn holds(&self, result: f64) -> Result<bool, ExprError> {
        let mut context = Context::empty();
        context.add_variable_from_value("result", result);
        context.add_function("default", |value: f64, default: f64| if value.is_nan() { default } else { value });
        context.add_function("isNaN", |value: f64| value.is_nan());
        context.add_function("isInf", |value: f64| value.is_infinite());
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
    let odd = if condition.handles_no_number() { [f64::NAN, f64::INFINITY].as_slice() } else { &[] };
    PROBES.iter().chain(odd).try_for_each(|probe| condition.holds(*probe).map(drop))
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

/// Refuses what conditions do not have and reads whole numbers as doubles. Whether a function is called.
fn allowed(expr: &mut Expr) -> Result<bool, ExprError> {
    match expr {
        Expr::Literal(literal) => {
            as_double(literal);
            Ok(false)
        }
        Expr::Ident(name) if name == "result" => Ok(false),
        Expr::Ident(name) => Err(ExprError::Unknown(name.clone())),
        Expr::List(list) => all_allowed(&mut list.elements),
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            let function = FUNCTIONS.into_iter().find(|(known, _)| *known == name && call.target.is_none());
            match function {
                Some((name, arguments)) if call.args.len() != arguments => Err(arguments_of(name)),
                None if call.target.is_some() || !OPERATORS.contains(&name) => Err(refused(name)),
                _ => Ok(all_allowed(&mut call.args)? | function.is_some()),
            }
        }
        Expr::Comprehension(_) => Err(refused("a macro over a list")),
        Expr::Select(select) => Err(refused(&format!(".{}", select.field))),
        Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => Err(refused("{}")),
    }
}

fn all_allowed(parts: &mut [IdedExpr]) -> Result<bool, ExprError> {
    parts.iter_mut().try_fold(false, |functions, part| Ok(allowed(&mut part.expr)? | functions))
}

fn arguments_of(name: &'static str) -> ExprError {
    let (takes, form) = match name {
        "default" => ("two arguments", "default(result, 0)"),
        "isInf" => ("one argument", "isInf(result)"),
        _ => ("one argument", "isNaN(result)"),
    };
    ExprError::Arguments { name, takes, form }
}

/// What users of Argo Rollouts write is answered with what to write here.
fn refused(name: &str) -> ExprError {
    let one_number =
        "`result` is one number, not a list; write `result`, and aggregate the query, for example with sum(...)";
    match name {
        operators::INDEX => ExprError::Habit("result[...]".to_owned(), one_number),
        "a macro over a list" | "len" | "size" | "all" | "any" | "first" | "last" => {
            ExprError::Habit(name.to_owned(), one_number)
        }
        "asFloat" | "asInt" | "double" | "int" | "float" => {
            ExprError::Habit(name.to_owned(), "`result` is a number already; write `result`")
        }
        "isNil" => ExprError::Habit(name.to_owned(), "an empty result is NaN here; write `isNaN(result)`"),
        _ => ExprError::Refused(name.to_owned()),
    }
}

fn as_double(literal: &mut LiteralValue) {
    match literal {
        LiteralValue::Int(whole) => *literal = LiteralValue::Double((*whole.inner() as f64).into()),
        LiteralValue::UInt(whole) => *literal = LiteralValue::Double((*whole.inner() as f64).into()),
        _ => {}
    }
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
            ("default(result, 0) < 5", f64::NAN, true),
            ("default(result, 9) < 5", f64::NAN, false),
            ("default(result, 9) < 5", 4.0, true),
            ("isNaN(result) || result < 5", f64::NAN, true),
            ("!isNaN(result) && result < 5", f64::NAN, false),
            ("isInf(result) || default(result, 1) > 3", f64::NEG_INFINITY, true),
            ("isNaN(result)", f64::INFINITY, false),
        ] {
            let condition = Condition::compile(text).unwrap();
            assert_eq!(condition.holds(result), Ok(holds), "{text} at {result}");
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn only_conditions_with_a_function_see_what_is_no_number() {
        for (text, handles) in [
            ("result < 5", false),
            ("default(result, 0) < 5", true),
            ("result < 5 && (isNaN(result) ? true : result > 1)", true),
            ("result in [1, default(result, 2)]", true),
        ] {
            assert_eq!(Condition::compile(text).unwrap().handles_no_number(), handles, "{text}");
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
            ("len(result) == 1 && result < 3", "aggregate the query"),
            ("all(result, 1) < 3", "aggregate the query"),
            ("asFloat(result) < 3", "is a number already"),
            ("isNil(result)", "write `isNaN(result)`"),
            ("default(result) < 3", "`default(result, 0)`"),
            ("isNaN()", "`isNaN(result)`"),
            ("isNaN(result, 1)", "`isNaN(result)`"),
            ("isNaN('a')", "cannot be evaluated"),
            ("default(value, 1) < 3", "`value` is unknown"),
            ("result.default(1) < 3", "not allowed"),
            ("default(result, 0)", "is not a boolean"),
            ("result < 3 and result > 1", "not a CEL condition"),
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

//! The one number in a JSON value of a foreign source.

use serde_json::Value;

/// A number; `None` for `null` and for one that is not finite. A text that is a number is read as one, as many APIs write
/// them, and `true` is 1.
pub fn of_json(value: &Value) -> Result<Option<f64>, &'static str> {
    let number = match value {
        Value::Null => return Ok(None),
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        Value::Number(number) => number.as_f64().ok_or("the value is not a number")?,
        Value::String(text) => text.trim().parse().map_err(|_| "the value is a text, and not a number")?,
        Value::Array(_) => return Err("the value is a list; select one number"),
        Value::Object(_) => return Err("the value is an object; select one number"),
    };
    Ok(Some(number).filter(|number| number.is_finite()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_and_everything_else_is_not() {
        for (value, number) in [
            (json!(1.5), Ok(Some(1.5))),
            (json!(" 12 "), Ok(Some(12.0))),
            (json!(true), Ok(Some(1.0))),
            (json!(false), Ok(Some(0.0))),
            (json!(null), Ok(None)),
            (json!("NaN"), Ok(None)),
            (json!("ok"), Err("the value is a text, and not a number")),
            (json!([1]), Err("the value is a list; select one number")),
            (json!({"a": 1}), Err("the value is an object; select one number")),
        ] {
            assert_eq!(of_json(&value), number, "{value}");
        }
    }
}

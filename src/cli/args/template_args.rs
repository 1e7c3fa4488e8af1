//! `--arg NAME=VALUE`: the arguments of templates, alike in every verb that takes them.

use crate::api::analysis::Arg;

/// Reads one.
pub fn template_arg(text: &str) -> Result<Arg, String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok(Arg { name: name.to_owned(), value: Some(value.to_owned()) }),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_anything_and_a_name_must_be_there() {
        let read = |text: &str| template_arg(text).map(|arg| (arg.name, arg.value.unwrap()));
        assert_eq!(read("selector=app=\"web\""), Ok(("selector".into(), "app=\"web\"".into())));
        assert_eq!(read("app="), Ok(("app".into(), String::new())));
        for text in ["app", "=web", ""] {
            assert_eq!(read(text), Err("write NAME=VALUE".into()), "{text}");
        }
    }
}

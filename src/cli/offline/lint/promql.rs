//! Brackets and quotes of a PromQL query. Whether it means something only Prometheus knows; that it cannot be read is seen here.

/// Why a query cannot be read: the bracket or quote that is not closed, or closes nothing.
pub(super) fn unbalanced(query: &str) -> Option<String> {
    let mut open: Vec<(usize, char)> = Vec::new();
    let mut chars = query.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' | '\'' | '`' if closes(&mut chars, c) => {}
            '"' | '\'' | '`' => return Some(format!("the quote {c} at character {} is not closed", at + 1)),
            '#' => while chars.next().is_some_and(|(_, c)| c != '\n') {},
            '(' | '[' | '{' => open.push((at, c)),
            ')' | ']' | '}' => match open.pop() {
                Some((_, opening)) if closing(opening) == c => {}
                Some((at_opening, opening)) => {
                    return Some(format!(
                        "`{c}` at character {} does not close `{opening}` at character {}",
                        at + 1,
                        at_opening + 1
                    ));
                }
                None => return Some(format!("`{c}` at character {} closes nothing", at + 1)),
            },
            _ => {}
        }
    }
    open.pop().map(|(at, opening)| format!("`{opening}` at character {} is not closed", at + 1))
}

/// Whether the text ends; a backquoted one has no escapes.
fn closes(chars: &mut impl Iterator<Item = (usize, char)>, quote: char) -> bool {
    while let Some((_, c)) = chars.next() {
        if c == quote {
            return true;
        }
        if c == '\\' && quote != '`' {
            chars.next();
        }
    }
    false
}

fn closing(opening: char) -> char {
    match opening {
        '(' => ')',
        '[' => ']',
        _ => '}',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_quotes_are_counted() {
        for good in [
            "sum(rate(http_requests_total{code=~\"5..\", app=\"{{args.app}}\"}[5m])) # why )",
            "a{b=\"}\\\"\"} / on(c) d{e='('}",
            "x{y=`\\`}",
            "up{{{args.selector}}}",
            "",
        ] {
            assert_eq!(unbalanced(good), None, "{good}");
        }
        for (bad, why) in [
            ("sum(rate(a[5m])", "`(` at character 4 is not closed"),
            ("sum(a))", "`)` at character 7 closes nothing"),
            ("sum(a[5m)]", "`)` at character 9 does not close `[` at character 6"),
            ("a{b=\"c}", "the quote \" at character 5 is not closed"),
        ] {
            assert_eq!(unbalanced(bad).as_deref(), Some(why), "{bad}");
        }
    }
}

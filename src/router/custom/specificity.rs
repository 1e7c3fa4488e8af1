//! Whether a header route would take requests from another rule, in a mesh that orders rules by how specific they are.
//!
//! Such a mesh compares the path first, perhaps the method, and then counts headers. A header route has what its base has and a
//! header more. So it takes from another rule just where that has the same path and method, and a condition that the base has
//! not: it outranked the base, and might not outrank the header route.

use serde_json::{Value, json};

use super::headers::Headers;

/// The position of the first of the other rules that would lose requests to a header route of this rule.
pub(super) fn loser(headers: &Headers, base: &Value, others: &[(usize, Value)]) -> Option<usize> {
    if headers.precedence.is_empty() {
        return None;
    }
    let ours: Vec<Conditions> = alternatives(headers, base).iter().map(|one| Conditions::of(headers, one)).collect();
    let loses = |other: &Value| {
        let theirs = alternatives(headers, other);
        theirs.iter().map(|one| Conditions::of(headers, one)).any(|theirs| ours.iter().any(|own| theirs.outranks(own)))
    };
    others.iter().find(|(_, other)| loses(other)).map(|(index, _)| *index)
}

/// The alternatives of a rule; a rule of a kind without is one itself.
fn alternatives<'v>(headers: &Headers, rule: &'v Value) -> Vec<&'v Value> {
    match &headers.any_of {
        None => vec![rule],
        Some(field) => field.get(rule).and_then(Value::as_array).into_iter().flatten().collect(),
    }
}

/// What an alternative requires of a request.
struct Conditions {
    /// What is compared first.
    first: Vec<Value>,
    /// Everything else.
    rest: Vec<Value>,
}

impl Conditions {
    fn of(headers: &Headers, one: &Value) -> Self {
        let is_first = |field: &str| headers.precedence.iter().any(|known| known == field);
        let mut all = Vec::new();
        if headers.any_of.is_some() {
            let fields = one.as_object().into_iter().flatten();
            for (field, value) in fields {
                match value {
                    Value::Array(items) => all.extend(items.iter().map(|item| (field.clone(), item.clone()))),
                    _ => all.push((field.clone(), value.clone())),
                }
            }
        } else {
            let entries = headers.all_of.get(one).and_then(Value::as_array).into_iter().flatten();
            let fields = entries.filter_map(Value::as_object).flatten();
            all.extend(fields.map(|(field, value)| (field.clone(), value.clone())));
        }
        let (first, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(|(field, _)| is_first(field));
        let single = |(field, value): (String, Value)| json!([field, value]);
        // `/` is also what no path means.
        let first = first.into_iter().filter(|(_, value)| value != "/").map(single).collect();
        Conditions { first, rest: rest.into_iter().map(single).collect() }
    }

    /// Whether it is compared with the other one by more than what comes first, and has what that has not.
    fn outranks(&self, base: &Conditions) -> bool {
        let is_within = |these: &[Value], those: &[Value]| these.iter().all(|one| those.contains(one));
        let same_first = is_within(&self.first, &base.first) && is_within(&base.first, &self.first);
        same_first && !is_within(&self.rest, &base.rest)
    }
}

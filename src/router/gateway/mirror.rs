//! Mirrored requests: a RequestMirror filter of a rule that leads to the canary Service.

use serde_json::{Value, json};

use super::backends::Backends;
use crate::{api::Percent, engine::Target};

const FILTER: &str = "RequestMirror";
const FIELD: &str = "requestMirror";

/// The filter that mirrors this share of a rule's requests to a backend. All requests are the default, which every version
/// of the Gateway API knows; a share has fields since v1.3.
pub(super) fn filter(backend: &Value, percent: Percent) -> Value {
    let mut mirror = json!({ "backendRef": Backends::reference(backend) });
    match percent.basis_points() {
        10_000 => {}
        whole if whole % 100 == 0 => mirror["percent"] = json!(whole / 100),
        points => mirror["fraction"] = json!({ "numerator": points, "denominator": 10_000 }),
    }
    json!({ "type": FILTER, FIELD: mirror })
}

/// Adds a filter to a rule. `false`: its filters have another shape.
pub(super) fn add(rule: &mut Value, filter: Value) -> bool {
    let Some(rule) = rule.as_object_mut() else { return false };
    let filters = rule.entry("filters").or_insert(Value::Null);
    if filters.is_null() {
        *filters = json!([]);
    }
    let Some(filters) = filters.as_array_mut() else { return false };
    filters.push(filter);
    true
}

/// The share that a rule mirrors to our canary; `None` in it where the filter names none.
pub(super) fn of(backends: &Backends<'_>, rule: &Value) -> Option<Option<Percent>> {
    let mut filters = rule["filters"].as_array().into_iter().flatten();
    let mirror = &filters.find(|filter| is_ours(backends, filter))?[FIELD];
    let number = |value: &Value| value.as_u64();
    let percent = number(&mirror["percent"]).and_then(|percent| percent.checked_mul(100));
    let fraction = || {
        let denominator = number(&mirror["fraction"]["denominator"]).unwrap_or(100);
        number(&mirror["fraction"]["numerator"])?.checked_mul(10_000)?.checked_div(denominator)
    };
    let points = percent.or_else(fraction);
    Some(points.map(|points| Percent::from_basis_points(u32::try_from(points).unwrap_or(u32::MAX))))
}

/// Takes our mirror out of a rule, and what is empty without it.
pub(super) fn drop_from(backends: &Backends<'_>, rule: &mut Value) {
    let Some(fields) = rule.as_object_mut() else { return };
    let Some(filters) = fields.get_mut("filters").and_then(Value::as_array_mut) else { return };
    let before = filters.len();
    filters.retain(|filter| !is_ours(backends, filter));
    if filters.is_empty() && before > 0 {
        fields.shift_remove("filters");
    }
}

/// A mirror to the canary Service: nothing but a release sends it requests.
fn is_ours(backends: &Backends<'_>, filter: &Value) -> bool {
    filter["type"] == FILTER && backends.leads_to(&filter[FIELD]["backendRef"], Target::Canary)
}

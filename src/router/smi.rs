//! The Service Mesh Interface: weights of TrafficSplits, in the form of the version that is served.
//!
//! No converter stands between the versions of TrafficSplit: what was stored through one is read through another as it is,
//! but for its apiVersion, and checked against the schema of the version that it is written through. In v1alpha1 a weight
//! is a quantity (`500m`, `"2"`, 2), from v1alpha2 on a whole number. So both spellings are read in every version, and
//! from v1alpha2 on only numbers are written. A number is a quantity, too, but a text stays one in v1alpha1: the schema of
//! that installation may ask for it.

use serde_json::Value;

use super::{
    context::RouteContext,
    kind::{Capabilities, RbacRule, Router, RouterKind, WatchedKind},
    weighted_list::{GRAIN, ListForm, WeightedLists, whole},
};
use crate::api::{analysis::Pack, traffic::SmiTraffic};

const GROUP: &str = "split.smi-spec.io";
/// The one whose weights are quantities.
const QUANTITIES: &str = "v1alpha1";
const VERSIONS: &[&str] = &["v1alpha4", "v1alpha3", "v1alpha2", QUANTITIES];

const TRAFFIC_SPLIT: WatchedKind = WatchedKind::known(GROUP, VERSIONS, "TrafficSplit", "trafficsplits");

/// The Service Mesh Interface in the registry.
pub const KIND: RouterKind = RouterKind {
    key: "smi",
    summary: "Service Mesh Interface: weights of TrafficSplits",
    docs: DOCS,
    example: EXAMPLE,
    capabilities: Capabilities { grain: GRAIN, header: false, cookie: false, mirror: false, sticky: false },
    // Which mesh is behind a TrafficSplit, and so what its proxies report, is not to be known from it.
    pack: Pack::Application,
    rbac: &[RbacRule { group: GROUP, resources: &["trafficsplits"], verbs: &["list", "watch", "update"] }],
    watches: &[TRAFFIC_SPLIT],
    build: |entry| entry.smi.clone().map(|config| Box::new(WeightedLists(Smi { config })) as Box<dyn Router>),
};

const DOCS: &str = "\
A TrafficSplit in the Rollout's namespace, whose `spec.service` is the Service that clients call and whose \
`spec.backends` list the stable and the canary Service. Only the weights of the backends are written: whole numbers, 100 \
in total, or 10,000 where a weight is finer than 1 %. Other backends keep their share, and the rest is split between ours.

v1alpha4, v1alpha3, v1alpha2 and v1alpha1 are supported; the newest that the API server serves is used. In v1alpha1 a \
weight is a quantity (`500m`), later a whole number, and SMI does not convert between them: a weight that was stored in \
the old form is written as a number.

Header and cookie routes, mirrors and sticky cookies are rejected when the Rollout is validated: a TrafficSplit has \
weights alone. `spec.matches` stays as it is.

Metrics: a TrafficSplit does not say which mesh reads it, so the default pack is `application`, the requests that the \
pods count themselves. With Linkerd set `settings: {pack: linkerd}` in the analysis template.";

const EXAMPLE: &str = "\
smi:
  trafficSplits:
    - name: checkout
";

/// One `smi` entry of `spec.traffic`.
#[derive(Debug)]
struct Smi {
    config: SmiTraffic,
}

impl ListForm for Smi {
    const KEY: &'static str = KIND.key;
    const KIND: &'static WatchedKind = &TRAFFIC_SPLIT;
    const LIST: &'static str = "/spec/backends";

    fn named(&self) -> Vec<(Option<&str>, &str)> {
        self.config.traffic_splits.iter().map(|one| (None, one.name.as_str())).collect()
    }

    fn sends_to(&self, _ctx: &RouteContext, _namespace: &str, entry: &Value, service: &str) -> bool {
        entry["service"].as_str() == Some(service)
    }

    /// In thousandths.
    fn weight(&self, entry: &Value) -> Option<u64> {
        match &entry["weight"] {
            Value::String(quantity) => thousandths(quantity),
            weight => whole(weight).map(|weight| weight * 1000).or_else(|| thousandths(&weight.to_string())),
        }
    }

    fn is_well_spelled(&self, version: &str, entry: &Value) -> bool {
        version == QUANTITIES || entry["weight"].is_u64()
    }

    fn write(&self, version: &str, entry: &mut Value, weight: u64) {
        let Some(fields) = entry.as_object_mut() else { return };
        let is_text = fields.get("weight").is_some_and(Value::is_string);
        let spelled = if version == QUANTITIES && is_text { weight.to_string().into() } else { weight.into() };
        fields.insert("weight".to_owned(), spelled);
    }

    fn lines(&self, _ctx: &RouteContext, _namespace: &str, service: &str, _sibling: Option<&Value>) -> String {
        format!("- service: {service}\n")
    }
}

/// A quantity in thousandths, of at most nine digits before the point; `None` for what is none, or is finer.
fn thousandths(quantity: &str) -> Option<u64> {
    let (number, unit) = match quantity.strip_suffix(['m', 'k']) {
        Some(number) => (number, if quantity.ends_with('m') { 1 } else { 1_000_000 }),
        None => (quantity, 1000),
    };
    let (before, after) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str, most: usize| text.len() <= most && text.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() || !digits(before, 9) || !digits(after, 6) {
        return None;
    }
    let all: u128 = format!("{before}{after}").parse().ok()?;
    let (scaled, parts) = (all * unit, 10_u128.pow(u32::try_from(after.len()).ok()?));
    u64::try_from(scaled / parts).ok().filter(|_| scaled.is_multiple_of(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_exactly_or_not_at_all() {
        for (quantity, wanted) in [
            ("1", Some(1000)),
            ("0", Some(0)),
            ("500m", Some(500)),
            ("0.5", Some(500)),
            ("0.5m", None),
            ("1.50", Some(1500)),
            ("2k", Some(2_000_000)),
            ("1.5k", Some(1_500_000)),
            ("999999999.999999k", Some(999_999_999_999_999)),
            ("9999999999", None),
            ("-1", None),
            ("1e3", None),
            ("", None),
            ("m", None),
            (".5", None),
            ("1.2.3", None),
        ] {
            assert_eq!(thousandths(quantity), wanted, "{quantity:?}");
        }
    }
}

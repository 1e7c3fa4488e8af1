//! What Consul makes of the config entries of a service: its compiled discovery chain.

use serde_json::Value;

use crate::api::Percent;

/// The canary's share in the chain of a service whose subsets are these; `None` where the chain leads to neither.
///
/// The splitter's node has a split per subset, each leading to a resolver's node with a target. Without a splitter the chain
/// leads to the default subset.
pub fn share(answer: &Value, stable: &str, canary: &str) -> Option<Percent> {
    let chain = &answer["Chain"];
    let nodes = chain["Nodes"].as_object()?;
    let subset = |node: &str| {
        let target = chain["Nodes"][node]["Resolver"]["Target"].as_str()?;
        chain["Targets"][target]["ServiceSubset"].as_str()
    };
    let splitter = nodes.values().find(|node| node["Type"] == "splitter");
    let Some(splitter) = splitter else {
        // Whatever routes are before it, the last leads on to the service itself.
        let end = end(chain)?;
        return match subset(end)? {
            found if found == stable => Some(Percent::ZERO),
            found if found == canary => Some(Percent::FULL),
            _ => None,
        };
    };
    let of = |wanted: &str| -> f64 {
        let splits = splitter["Splits"].as_array().into_iter().flatten();
        let ours = splits.filter(|split| split["NextNode"].as_str().and_then(subset) == Some(wanted));
        ours.filter_map(|split| split["Weight"].as_f64()).sum()
    };
    let (to_stable, to_canary) = (of(stable), of(canary));
    let both = to_stable + to_canary;
    (both > 0.0).then(|| Percent::from_basis_points((to_canary / both * 10_000.0).round() as u32))
}

/// The node where requests end that no route of a router catches.
fn end(chain: &Value) -> Option<&str> {
    let start = chain["StartNode"].as_str()?;
    let node = &chain["Nodes"][start];
    if node["Type"] == "router" { node["Routes"].as_array()?.last()?["NextNode"].as_str() } else { Some(start) }
}

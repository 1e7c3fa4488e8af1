//! `--pack`: a metric pack by its name.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::Value;

use crate::api::analysis::Pack;

/// Reads the name of a pack, and offers all of them.
pub fn packs() -> impl TypedValueParser<Value = Pack> {
    let names = Pack::ALL.iter().filter_map(|pack| Some(serde_json::to_value(pack).ok()?.as_str()?.to_owned()));
    PossibleValuesParser::new(names).try_map(|name| serde_json::from_value(Value::String(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pack_has_its_name() {
        let command = || clap::Command::new("x").no_binary_name(true).arg(clap::Arg::new("pack").value_parser(packs()));
        let read = |name: &str| *command().get_matches_from([name]).get_one::<Pack>("pack").unwrap();
        let names = [
            "istio",
            "ambient",
            "linkerd",
            "consul",
            "envoy",
            "contour",
            "traefik",
            "nginx",
            "application",
            "otel",
            "micrometer",
            "grpc",
        ];
        assert_eq!(names.map(read), Pack::ALL);
    }
}

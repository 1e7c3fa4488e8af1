//! The meshes and gateways whose kind and paths ship with the program: one file each.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::{
    api::{
        analysis::Pack,
        traffic::{CustomBackends, CustomFields, CustomHeaders, CustomTraffic},
    },
    router::kind::WatchedKind,
    yaml,
};

use super::kinds::kind_of;

/// The files, by the name of the preset.
const FILES: [(&str, &str); 6] = [
    ("apisix", include_str!("presets/apisix.yaml")),
    ("contour", include_str!("presets/contour.yaml")),
    ("gloo", include_str!("presets/gloo.yaml")),
    ("gloo-upstream-group", include_str!("presets/gloo-upstream-group.yaml")),
    ("kuma", include_str!("presets/kuma.yaml")),
    ("kuma-labels", include_str!("presets/kuma-labels.yaml")),
];

/// A preset.
#[derive(Clone, Debug)]
pub struct Preset {
    /// Its name.
    pub name: &'static str,
    /// What it is for, and where the weights are.
    pub summary: String,
    /// How its proxies count requests.
    pub pack: Pack,
    /// An entry without a name.
    pub custom: CustomTraffic,
    /// The kind that it writes.
    pub kind: WatchedKind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    summary: String,
    pack: Pack,
    custom: Fields,
}

/// What a file may say of the entry.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    api_version: String,
    kind: String,
    plural: String,
    backends: Option<CustomBackends>,
    fields: Option<CustomFields>,
    headers: Option<CustomHeaders>,
    total: Option<u32>,
    verified: Option<String>,
}

/// Every file, read; or the one that this binary was built with and cannot be.
static PRESETS: LazyLock<Vec<Result<Preset, String>>> =
    LazyLock::new(|| FILES.iter().map(|(name, text)| parse(name, text)).collect());

fn parse(name: &'static str, text: &str) -> Result<Preset, String> {
    let File { summary, pack, custom } = yaml::read_one(text).map_err(|error| format!("the preset {name}: {error}"))?;
    let custom = CustomTraffic {
        api_version: Some(custom.api_version),
        kind: Some(custom.kind),
        plural: Some(custom.plural),
        backends: custom.backends,
        fields: custom.fields,
        headers: custom.headers,
        total: custom.total,
        verified: custom.verified,
        ..CustomTraffic::default()
    };
    let kind = kind_of(&custom).map_err(|defect| format!("the preset {name}: {}", defect.message))?;
    Ok(Preset { name, summary, pack, custom, kind })
}

/// All presets, by name.
pub fn presets() -> impl Iterator<Item = &'static Preset> {
    PRESETS.iter().filter_map(|preset| preset.as_ref().ok())
}

/// One preset.
pub(super) fn preset(name: &str) -> Option<&'static Preset> {
    presets().find(|preset| preset.name == name)
}

#[cfg(test)]
mod tests {
    use super::{super::shape::Shape, *};

    #[test]
    fn every_preset_reads() {
        let defects: Vec<_> = PRESETS.iter().filter_map(|preset| preset.as_ref().err()).collect();
        assert!(defects.is_empty(), "{defects:?}");
        assert_eq!(presets().count(), FILES.len());
        let named =
            |preset: &Preset| CustomTraffic { preset: Some(preset.name.to_owned()), ..CustomTraffic::default() };
        let defects: Vec<_> = presets().filter_map(|preset| Shape::of(&named(preset)).err()).flatten().collect();
        assert_eq!(defects, []);
    }
}

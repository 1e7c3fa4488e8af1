//! The templates that are built into the binary (`analysis/*.yaml`).

use serde::Deserialize;

use crate::api::analysis::AnalysisTemplateSpec;

const TEMPLATES: [(&str, &str); 4] = [
    ("golden-signals", include_str!("../../analysis/golden-signals.yaml")),
    ("errors", include_str!("../../analysis/errors.yaml")),
    ("success-rate", include_str!("../../analysis/success-rate.yaml")),
    ("conversion", include_str!("../../analysis/conversion.yaml")),
];

/// The names of the built-in templates.
pub const BUILTIN_NAMES: [&str; 4] = [TEMPLATES[0].0, TEMPLATES[1].0, TEMPLATES[2].0, TEMPLATES[3].0];

#[derive(Deserialize)]
struct Manifest {
    spec: AnalysisTemplateSpec,
}

/// The built-in template of this name.
pub fn builtin(name: &str) -> Option<AnalysisTemplateSpec> {
    let text = TEMPLATES.iter().find(|template| template.0 == name)?.1;
    crate::yaml::read_one::<Manifest>(text).ok().map(|manifest| manifest.spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{evidence::resolve::check, source::DIALECT};

    #[test]
    fn every_built_in_template_reads_and_is_valid() {
        for name in BUILTIN_NAMES {
            let spec = builtin(name).unwrap_or_else(|| panic!("{name} does not parse"));
            assert_eq!(check(name, &spec, DIALECT), vec![], "{name}");
        }
        assert_eq!(builtin("golden-signal"), None);
        assert!(builtin("golden-signals").unwrap().metrics[0].is_required());
    }
}

//! The file that is played: the embedded one or the user's, made ready for a world without a cluster.

use std::{collections::BTreeMap, path::Path, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;

use crate::{
    api::{Rollout, analysis::AnalysisTemplateSpec, crds},
    cli::{
        exit::CliError,
        offline::{
            lint::{check, files::Files},
            objects::template,
            plan::{self, Objects},
            refusal::Refusal,
        },
    },
    local::template,
    yaml::{self, Document},
};

/// The demo's own file.
pub const EMBEDDED: &str = include_str!("../../../rollouts/demo.yaml");

const CANNOT: &str = "cannot play a release with these errors";

/// What is played.
#[derive(Debug)]
pub struct Manifest {
    /// The Rollout, with its own template.
    pub rollout: Rollout,
    /// The AnalysisTemplates of the file, by name.
    pub templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// Whether the times are a user's, not the demo's shortened ones.
    pub own_times: bool,
}

impl Manifest {
    /// How long the waits of its steps take at the soonest.
    pub fn least(&self) -> Duration {
        plan::least(&self.rollout.spec, &Objects::of_templates(self.templates.clone()))
    }
}

/// Reads the file, or the embedded one.
pub fn load(path: Option<&Path>) -> Result<Manifest, CliError> {
    let Some(path) = path else { return parse(EMBEDDED, "rollouts/demo.yaml", false) };
    let file = Files::default().one(path)?;
    parse(&file.text, &file.name, true)
}

fn parse(text: &str, name: &str, own_times: bool) -> Result<Manifest, CliError> {
    let mut reader = Files::default();
    let file = reader.read(name, text.as_bytes())?;
    let mut refusal = Refusal::default();
    let documents = refusal.documents(&mut reader, &file);
    for document in documents.iter().filter(|one| is_ours(one)) {
        refusal.extend(name, document, check::object(document, None));
    }
    refusal.check(CANNOT)?;
    let (mut rollout, mut templates) = (None, BTreeMap::new());
    for document in &documents {
        let wrong = |error: yaml::YamlError| Refusal::one(CANNOT, name, document.position(""), "", error.to_string());
        match document.text("/kind").unwrap_or_default() {
            "Rollout" if rollout.is_none() => rollout = Some(yaml::typed::<Rollout>(&document.value).map_err(wrong)?),
            "Rollout" => {
                let two = "there are two Rollouts; the demo runs one".to_owned();
                return Err(Refusal::one(CANNOT, name, document.position("kind"), "kind", two));
            }
            _ => templates.extend(template(document).map_err(wrong)?),
        }
    }
    let rollout = rollout.ok_or_else(|| CliError::Failed(format!("{name}: there is no Rollout in this file")))?;
    if rollout.spec.strategy.ab_test.is_some() {
        return Err(CliError::Failed(format!(
            "{name}: has an abTest, which only an application's own users decide; use 'glidepath simulate' for such files"
        )));
    }
    Ok(Manifest { rollout: on_this_machine(rollout), templates, own_times })
}

fn is_ours(document: &Document) -> bool {
    document.text("/kind").is_some_and(|kind| crds::kinds().any(|ours| ours == kind))
}

/// There is no Deployment here, and no operator to unset `paused`: the template is the Rollout's own.
fn on_this_machine(mut rollout: Rollout) -> Rollout {
    let name = rollout.metadata.name.clone().unwrap_or_else(|| "demo".into());
    let spec = &mut rollout.spec;
    spec.workload_ref = None;
    spec.paused = false;
    spec.selector.get_or_insert_with(LabelSelector::default);
    spec.template.get_or_insert_with(|| template::stand_in(&name));
    spec.replicas.get_or_insert(4);
    rollout.status = None;
    rollout
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_whole() {
        let manifest = load(None).unwrap();
        assert_eq!(
            manifest.least(),
            Duration::from_secs(16),
            "two observations of three windows, each read a window later"
        );
        let analysis = manifest.rollout.spec.analysis.unwrap();
        assert!(manifest.templates.contains_key(&analysis.templates[0].name));
        let weights: Vec<_> = manifest.rollout.spec.strategy.canary.unwrap().steps;
        let weights: Vec<_> = weights.iter().filter_map(|step| step.set_weight).map(|w| w.to_string()).collect();
        assert_eq!(weights, ["25 %", "50 %"]);
        assert!(!manifest.own_times);
    }

    #[test]
    fn a_rollout_of_a_deployment_gets_pods_of_its_own() {
        let text = "kind: Rollout\napiVersion: glidepath.dev/v1alpha1\nmetadata: {name: shop}\nspec:\n  paused: true\n  \
                    workloadRef: {apiVersion: apps/v1, kind: Deployment, name: shop}\n  strategy: {canary: {}}\n";
        let rollout = parse(text, "shop.yaml", true).unwrap().rollout;
        assert!(rollout.spec.workload_ref.is_none() && rollout.spec.template.is_some() && !rollout.spec.paused);
    }

    #[test]
    fn what_cannot_be_played_is_said() {
        for (text, said) in [
            ("kind: Service\n", "no Rollout"),
            (
                "kind: Rollout\nspec: {replicas: many}\n",
                "shop.yaml:2:8  error   spec.replicas: must be an integer, got the string \"many\"",
            ),
            ("a: [\n", "cannot play a release with these errors:\nshop.yaml:2:1  error   not readable as YAML: "),
            (
                "apiVersion: glidepath.dev/v1alpha1\nkind: Rollout\nmetadata: {name: shop}\nspec: {replcas: 4}\n",
                "shop.yaml:4:8  error   spec.replcas: unknown field; did you mean replicas?",
            ),
            (include_str!("../../../rollouts/ab-test.yaml"), "shop.yaml: has an abTest, which only"),
        ] {
            let error = parse(text, "shop.yaml", true).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}

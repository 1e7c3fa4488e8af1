//! What else in the files says how a release will go: the templates of its analyses, and the Deployment that it adopts.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    api::{
        RolloutSpec,
        analysis::{AnalysisTemplateSpec, TemplateRef},
    },
    cli::offline::objects::template,
    evidence::{Soonest, builtin, soonest},
    sim::actions::replicas_of,
    yaml::Document,
};

/// What is planned with when neither a file nor the command line says how many pods there are.
const USUAL_REPLICAS: u32 = 10;

/// The templates and Deployments of files.
#[derive(Debug, Default)]
pub struct Objects {
    templates: BTreeMap<String, AnalysisTemplateSpec>,
    /// The pods of each Deployment, by its name.
    deployments: BTreeMap<String, u32>,
}

/// How many pods a release has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replicas {
    /// The number.
    pub count: u32,
    /// What would say it, if it is only assumed.
    pub assumed: Option<String>,
}

impl Objects {
    /// With these templates.
    pub fn of_templates(templates: BTreeMap<String, AnalysisTemplateSpec>) -> Self {
        Objects { templates, ..Objects::default() }
    }

    /// Adds what a document says. One that cannot be read is reported by the checks.
    pub fn add(&mut self, document: &Document) {
        self.templates.extend(template(document).ok().flatten());
        if document.text("/kind") == Some("Deployment") {
            let name = document.text("/metadata/name").unwrap_or_default().to_owned();
            let replicas = replicas_of(&document.value).ok().flatten();
            self.deployments.insert(name, replicas.unwrap_or(1));
        }
    }

    /// How soon these templates can pass. Of one that is in no file nothing is known.
    pub fn soonest(&self, names: &[TemplateRef]) -> Soonest {
        let found = |one: &TemplateRef| Some((one.name.clone(), self.find(&one.name)?));
        let known = soonest(names.iter().filter_map(found).collect());
        let is_unknown = names.iter().any(|one| self.find(&one.name).is_none());
        Soonest { is_required: known.is_required || is_unknown, ..known }
    }

    /// Those of the Rollout's templates that have a load.
    pub fn with_load(&self, spec: &RolloutSpec) -> BTreeSet<String> {
        let background = spec.background().map(|background| background.templates).unwrap_or_default();
        let judged = spec.strategy.judged().into_iter().flat_map(|(_, judged)| judged.templates.clone());
        let names = background.into_iter().chain(judged).map(|template| template.name);
        names.filter(|name| self.find(name).is_some_and(|template| template.load.is_some())).collect()
    }

    fn find(&self, name: &str) -> Option<AnalysisTemplateSpec> {
        self.templates.get(name).cloned().or_else(|| builtin(name))
    }

    /// The pods of a Rollout: its own number, else that of the Deployment that it adopts.
    pub fn replicas(&self, spec: &RolloutSpec) -> Replicas {
        let adopted = spec.workload_ref.as_ref().map(|workload| workload.name.as_str());
        // The first count of an adopted Deployment is never 0 (rule S8).
        let of_deployment = || self.deployments.get(adopted?).map(|count| (*count).max(1));
        match (spec.replicas.or_else(of_deployment), adopted) {
            (Some(count), _) => Replicas { count, assumed: None },
            (None, Some(name)) => assumed(format!("add the file of Deployment \"{name}\"")),
            (None, None) => assumed("set spec.replicas".to_owned()),
        }
    }
}

fn assumed(todo: String) -> Replicas {
    Replicas { count: USUAL_REPLICAS, assumed: Some(todo) }
}

//! AnalysisRuns without a cluster: frozen from templates as the controller does it, and moved on by the same judges.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::api::ObjectMeta;

use crate::{
    api::{
        AnalysisRun, Rollout,
        analysis::{AnalysisRunStatus, AnalysisTemplateSpec, Arms, Pack, TemplateRef},
    },
    engine::RunRequest,
    evidence::{
        builtin,
        resolve::{Wanted, resolve},
        run,
    },
    ports::{RolloutKey, Source, WorldError},
};

/// Where the numbers come from, for the record: the pods' own counters, not a Prometheus.
const ADDRESS: &str = "http://localhost";

/// The run that is asked for.
pub fn freeze(
    key: &RolloutKey,
    rollout: &Rollout,
    request: &RunRequest,
    templates: &BTreeMap<String, AnalysisTemplateSpec>,
) -> Result<AnalysisRun, WorldError> {
    let workload = |id: &str| format!("{}-{id}", key.name);
    let services = rollout.spec.services.clone().unwrap_or_default();
    let wanted = Wanted {
        templates: request.templates.iter().map(|named| find(named, templates)).collect::<Result<_, _>>()?,
        args: &request.args,
        pack: Some(Pack::Application),
        arms: Arms {
            namespace: key.namespace.clone(),
            canary: workload(&request.canary),
            stable: workload(&request.stable),
            canary_service: services.canary,
            stable_service: services.stable,
        },
        prometheus: Some(ADDRESS),
        background: request.background,
        epoch: request.epoch,
        one_armed: request.one_armed,
        share: request.share,
        ..Wanted::default()
    };
    let spec = resolve(wanted).map_err(|errors| {
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        WorldError::Refused { reason: "InvalidAnalysis".into(), message: texts.join("; ") }
    })?;
    let metadata = ObjectMeta {
        name: Some(request.name.clone()),
        namespace: Some(key.namespace.clone()),
        ..ObjectMeta::default()
    };
    Ok(AnalysisRun { metadata, spec, status: None })
}

fn find(
    named: &TemplateRef,
    templates: &BTreeMap<String, AnalysisTemplateSpec>,
) -> Result<(String, AnalysisTemplateSpec), WorldError> {
    let name = &named.name;
    let found = templates.get(name).cloned().or_else(|| builtin(name));
    found.map(|template| (name.clone(), template)).ok_or_else(|| WorldError::Refused {
        reason: "MissingTemplate".into(),
        message: format!("no AnalysisTemplate \"{name}\" in this file or built in; put it into the same file"),
    })
}

/// The run's next status, when there is one.
pub async fn advance(run: &AnalysisRun, source: &dyn Source, now: Timestamp) -> Option<AnalysisRunStatus> {
    let status = run.status.clone().unwrap_or_default();
    let plan = run::plan(&run.spec, &status, now);
    let questions = plan.questions();
    let results = if questions.is_empty() { Vec::new() } else { source.answer(ADDRESS, &questions).await };
    let next = run::advance(&run.spec, &status, &plan.answered(results), now);
    (next != status).then_some(next)
}

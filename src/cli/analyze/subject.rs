//! What is judged: the templates that are named, frozen into the spec of one AnalysisRun.

use std::collections::BTreeMap;

use kube::api::ObjectMeta;

use super::args::AnalyzeArgs;
use crate::{
    api::{
        AnalysisRun,
        analysis::{AnalysisTemplateSpec, Arms, RunPrometheus, ThresholdMetric},
    },
    cli::{
        args::global::Global,
        exit::CliError,
        offline::{lint::files::Files, objects::template, refusal::Refusal},
    },
    evidence::{
        BUILTIN_NAMES, Workloads, builtin,
        resolve::{Wanted, resolve},
        workloads,
    },
    source::DIALECT,
};

const CANNOT: &str = "cannot analyze with these errors";

/// Templates by name.
pub type Templates = Vec<(String, AnalysisTemplateSpec)>;

/// The run, not begun.
pub fn of(args: &AnalyzeArgs, global: &Global, templates: Templates) -> Result<AnalysisRun, CliError> {
    let needed = templates.iter().map(|(_, spec)| workloads(spec)).max().unwrap_or_default();
    let (canary, stable) = match (needed, args.canary.clone(), args.stable.clone()) {
        (Workloads::Both, None, _) | (Workloads::Both, _, None) => {
            let words = "a metric compares two versions; name their workloads with --canary and --stable";
            return Err(CliError::Usage(words.into()));
        }
        (Workloads::Service, None, None) => {
            let words = "a metric counts a whole service; name a workload of it with --stable";
            return Err(CliError::Usage(words.into()));
        }
        // The service of both is one.
        (Workloads::Service, canary, stable) => (canary.clone().or(stable.clone()), stable.or(canary)),
        (_, canary, stable) => (canary, stable),
    };
    let mut arms = arms(args, global);
    if needed == Workloads::Service {
        arms.canary_service = arms.canary_service.or_else(|| arms.stable_service.clone());
    }
    frozen(args, templates, Arms { canary: canary.unwrap_or_default(), stable: stable.unwrap_or_default(), ..arms })
}

/// Whether the sources can be asked for a time of the past; some answer for the present alone.
pub fn have_a_past(templates: &Templates) -> Result<(), CliError> {
    let metrics = templates.iter().flat_map(|(name, spec)| spec.metrics.iter().map(move |metric| (name, metric)));
    for (name, metric) in metrics {
        let external = metric.threshold.as_ref().and_then(ThresholdMetric::external);
        if let Some(query) = external.filter(|query| !query.knows_the_past()) {
            let (source, metric) = (query.name(), &metric.name);
            return Err(CliError::Usage(format!(
                "metric {metric} of template {name} queries {source}, which answers for the present alone: --replay and \
                 --aa need the past"
            )));
        }
    }
    Ok(())
}

/// The namespace and the Services.
pub fn arms(args: &AnalyzeArgs, global: &Global) -> Arms {
    Arms {
        namespace: global.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        canary_service: args.canary_service.clone(),
        stable_service: args.stable_service.clone(),
        ..Arms::default()
    }
}

/// A run of these templates with these arms.
pub fn frozen(args: &AnalyzeArgs, templates: Templates, arms: Arms) -> Result<AnalysisRun, CliError> {
    let names: Vec<&str> = templates.iter().map(|(name, _)| name.as_str()).collect();
    let metadata =
        ObjectMeta { name: Some(names.join("-")), namespace: Some(arms.namespace.clone()), ..ObjectMeta::default() };
    let wanted = Wanted {
        templates,
        args: &args.args,
        pack: args.pack,
        arms,
        prometheus: Some(RunPrometheus::controller()),
        ..Wanted::default()
    };
    let spec = resolve(wanted, DIALECT).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        CliError::Failed(format!("{CANNOT}:\n{}", lines.join("\n")))
    })?;
    Ok(AnalysisRun { metadata, spec, status: None })
}

/// The templates that are named: from the files, or built in. Without a name all in the files.
pub fn named(args: &AnalyzeArgs) -> Result<Templates, CliError> {
    let in_files = in_files(args)?;
    if args.templates.is_empty() {
        return match in_files.is_empty() {
            true => Err(CliError::Usage(format!(
                "name a template with -f FILE, or one that is built in: {}",
                BUILTIN_NAMES.join(", ")
            ))),
            false => Ok(in_files.into_iter().collect()),
        };
    }
    let find = |name: &String| in_files.get(name).cloned().or_else(|| builtin(name)).map(|spec| (name.clone(), spec));
    let missing = |name: &String| {
        let known: Vec<&str> = in_files.keys().map(String::as_str).chain(BUILTIN_NAMES).collect();
        CliError::Usage(format!("there is no template \"{name}\"; there are {}", known.join(", ")))
    };
    args.templates.iter().map(|name| find(name).ok_or_else(|| missing(name))).collect()
}

fn in_files(args: &AnalyzeArgs) -> Result<BTreeMap<String, AnalysisTemplateSpec>, CliError> {
    if args.file.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut reader = Files::default();
    let (mut refusal, mut found) = (Refusal::default(), BTreeMap::new());
    for file in reader.collect(&args.file)? {
        let documents = refusal.documents(&mut reader, &file);
        let placed: Vec<_> = documents.iter().map(|document| (file.name.as_str(), document)).collect();
        refusal.objects(&placed);
        found.extend(documents.iter().filter_map(|document| template(document).ok().flatten()));
    }
    refusal.check(CANNOT)?;
    match found.is_empty() {
        true => Err(CliError::Failed("there is no AnalysisTemplate in the files".into())),
        false => Ok(found),
    }
}

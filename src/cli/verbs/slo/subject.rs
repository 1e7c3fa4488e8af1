//! What `slo` is about: whose events, which counters and which objective, from the command line, a template or the Rollout.

use std::path::Path;

use jiff::Timestamp;

use super::{args::Args, latency_objective::LatencyObjective};
use crate::{
    api::{
        Rollout,
        analysis::{AnalysisTemplateSpec, Arg, Builtin, BurnRateMetric, Counter, Pack, RunPrometheus},
        common::Percent,
    },
    cli::{
        args::global::Global,
        connect::connect,
        exit::CliError,
        offline::{
            lint::{files::Files, report::Report},
            objects,
        },
    },
    evidence::{
        Answer, IncrementsQuery, Query,
        defaults::{BURN_RATE_PERIOD, Defaults},
        resolve::filled,
        slo::{Counted, REPORTED, Slo, question},
    },
    ports::source::{Asking, Source, SourceError},
    router,
    source::DIALECT,
};

/// What is counted, and what is wanted of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// The Rollout, or the template's name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// Whose events.
    pub counted: Counted,
    /// The counters of bad and of all events.
    pub counters: (Counter, Counter),
    /// The pack of builtin counters.
    pub pack: Pack,
    /// The objective.
    pub slo: Slo,
    /// That of response times, if there is one.
    pub latency: Option<LatencyObjective>,
    /// The address of the Prometheus.
    pub prometheus: String,
}

impl Subject {
    /// How many events were bad in the window of so many seconds that ends then.
    pub fn question(&self, end: i64, seconds: u64) -> IncrementsQuery {
        question(&self.counted, [&self.counters.0, &self.counters.1], self.pack, end, seconds)
    }

    /// The windows of a report, the shortest first, each with what asks for its events; the period is last. What is asked of
    /// it is what lies before the longest of the others, whose shorter pieces have more of a young service.
    pub fn windows(&self, end: i64) -> Vec<(u64, IncrementsQuery)> {
        let period = self.slo.period_seconds;
        let longest = REPORTED.iter().copied().max().unwrap_or_default();
        let rest = self.question(end.saturating_sub_unsigned(longest), period.saturating_sub(longest));
        let windows = REPORTED.iter().map(|seconds| (*seconds, self.question(end, *seconds)));
        windows.chain([(period, rest)]).collect()
    }

    /// What there is at one time: series count from their first sample on.
    pub fn moment(&self, at: i64) -> IncrementsQuery {
        let end = Timestamp::from_second(at).unwrap_or(Timestamp::UNIX_EPOCH);
        IncrementsQuery { end, piece_seconds: None, whole_pods: true, ..self.question(at, 60) }
    }

    /// Asks the Prometheus that was named.
    pub async fn ask(&self, source: &dyn Source, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let prometheus = RunPrometheus::controller();
        source.answer(&Asking { namespace: &self.namespace, prometheus: &prometheus }, queries).await
    }
}

/// Reads it from the arguments; from the cluster only where no Prometheus is given.
pub async fn subject(args: &Args, global: &Global) -> Result<Subject, CliError> {
    let template = match &args.file {
        Some(file) => Some(template(file, &args.args)?),
        None => None,
    };
    let metric = metric(args, template.as_ref().map(|(_, spec)| spec))?;
    let latency = LatencyObjective::of(args, template.as_ref().map(|(_, spec)| spec))?;
    let counters = metric.counters();
    let name = args.service.clone().or(template.map(|(name, _)| name)).unwrap_or_default();
    if args.service.is_none() {
        selected(args, &counters)?;
    }
    let (rollout, namespace) = match (&args.prometheus, &args.service) {
        (None, Some(service)) => {
            let connection = connect(global).await.map_err(without_a_cluster)?;
            (Some(connection.rollout(service).await?), connection.namespace)
        }
        _ => (None, global.namespace.clone().unwrap_or_else(|| "default".to_owned())),
    };
    let counted = match &args.service {
        Some(service) => Counted::Service { namespace: namespace.clone(), name: service.clone() },
        None => Counted::Selected,
    };
    let pack = args.pack.unwrap_or_else(|| pack_of(rollout.as_ref()));
    let slo = Defaults::burn_rate(&metric);
    let prometheus = address(args, rollout.as_ref())?;
    Ok(Subject { name, namespace, counted, counters, pack, slo, latency, prometheus })
}

/// The objective as a metric, which says what is wrong with it.
fn metric(args: &Args, template: Option<&AnalysisTemplateSpec>) -> Result<BurnRateMetric, CliError> {
    if args.service.is_none() && template.is_none() {
        let words = "name a SERVICE (the Rollout whose pods are counted), or a template with -f FILE";
        return Err(CliError::Usage(words.to_owned()));
    }
    let known = template.map(in_template).transpose()?.unwrap_or_default();
    let has_one = !known.objective.is_zero();
    let objective = args.objective.or(has_one.then_some(known.objective)).ok_or_else(|| {
        CliError::Usage("there is no objective; set one with --objective, like --objective 99.9%".to_owned())
    })?;
    let period = args.period.or(known.period).unwrap_or(BURN_RATE_PERIOD);
    let metric = BurnRateMetric { objective, period: Some(period), ..known };
    match metric.problems().first() {
        Some((field, problem)) => Err(CliError::Usage(format!("--{field} {problem}"))),
        None => Ok(metric),
    }
}

/// The template's burn rate; of its ratio only the counters, without an objective.
fn in_template(spec: &AnalysisTemplateSpec) -> Result<BurnRateMetric, CliError> {
    let burn_rate = spec.metrics.iter().find_map(|metric| metric.burn_rate.clone());
    let ratio = spec.metrics.iter().find_map(|metric| metric.ratio.clone());
    let counters = |ratio: crate::api::analysis::RatioMetric| BurnRateMetric {
        bad: Some(ratio.bad),
        total: Some(ratio.total),
        objective: Percent::ZERO,
        ..BurnRateMetric::default()
    };
    burn_rate.or(ratio.map(counters)).ok_or_else(|| {
        CliError::Failed(
            "the template has no burnRate metric and no ratio metric, whose events could be counted".to_owned(),
        )
    })
}

/// The first template in a file, with its arguments filled in.
fn template(file: &Path, args: &[Arg]) -> Result<(String, AnalysisTemplateSpec), CliError> {
    let (mut files, mut report) = (Files::default(), Report::default());
    let read = files.one(file)?;
    let documents = files.readable(&read, &mut report);
    if let Some(finding) = report.findings.first() {
        return Err(CliError::Failed(format!("{}: {}", read.name, finding.text())));
    }
    let broken = |error: &crate::yaml::YamlError| CliError::Failed(format!("{}: {error}", read.name));
    let mut templates = documents.iter().filter_map(|document| objects::template(document).transpose());
    let Some(found) = templates.next() else {
        return Err(CliError::Failed(format!("there is no AnalysisTemplate in {}", read.name)));
    };
    let (name, spec) = found.map_err(|error| broken(&error))?;
    let filled = filled(&name, &spec, args, DIALECT);
    let wrong = |errors: Vec<crate::evidence::resolve::ResolveError>| {
        CliError::Failed(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    };
    Ok((name, filled.map_err(wrong)?))
}

/// Without a service nothing but the user's own counters says what is counted.
fn selected(args: &Args, (bad, total): &(Counter, Counter)) -> Result<(), CliError> {
    let builtin = [bad, total].into_iter().find_map(|counter| counter.builtin);
    let Some(builtin) = builtin else { return Ok(()) };
    let what = if builtin == Builtin::Requests { "requests" } else { "errors" };
    let file = args.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    Err(CliError::Usage(format!(
        "{file} counts `{what}` of a metric pack: name the SERVICE whose requests these are, too"
    )))
}

fn pack_of(rollout: Option<&Rollout>) -> Pack {
    rollout.and_then(|rollout| router::pack(&rollout.spec)).unwrap_or(Pack::Application)
}

fn address(args: &Args, rollout: Option<&Rollout>) -> Result<String, CliError> {
    if let Some(address) = &args.prometheus {
        return Ok(address.clone());
    }
    let give = "set --prometheus URL, as reachable from here";
    let named = rollout.and_then(|rollout| rollout.spec.analysis.as_ref()?.prometheus.as_ref());
    match named {
        Some(named) if named.auth.is_none() && named.tls.is_none() => Ok(named.address.clone()),
        Some(_) => Err(CliError::Usage(format!(
            "the Rollout's Prometheus needs credentials or a CA from Secrets, which are not read here; {give}, and the \
             files with them"
        ))),
        None => Err(CliError::Usage(format!("no Prometheus is named; {give}"))),
    }
}

/// With the address of a Prometheus no cluster is needed.
fn without_a_cluster(error: CliError) -> CliError {
    match error {
        CliError::Kubeconfig(why) => CliError::Usage(format!(
            "no Prometheus is named, and no cluster can be asked for the Rollout's ({why}); set --prometheus URL"
        )),
        other => other,
    }
}

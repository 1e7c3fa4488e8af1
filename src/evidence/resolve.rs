//! From templates and arguments to the frozen spec of one AnalysisRun, or every reason why not.

use crate::{
    api::analysis::{
        AnalysisRunSpec, AnalysisTemplateSpec, Arg, Arms, Bake, Load, Metric, Pack, PrometheusOwner, RunPrometheus,
        Settings,
    },
    api::common::{HumanDuration, Percent},
};

use super::{
    defaults::{Defaults, Frozen},
    dialect::Dialect,
    judges::{Judge, frozen, judge_of},
    query::Scope,
};

mod arguments;
mod error;
mod problems;

pub use arguments::arguments_of;
use arguments::{fill, unknown_arguments};
pub use error::ResolveError;
use problems::judged;

/// What a run is made from.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'a> {
    /// The templates as found, by name.
    pub templates: Vec<(String, AnalysisTemplateSpec)>,
    /// Values for arguments.
    pub args: &'a [Arg],
    /// The mesh's pack, where no template names one. Default: the application's own metrics.
    pub pack: Option<Pack>,
    /// The two sides.
    pub arms: Arms,
    /// The Prometheus that is asked.
    pub prometheus: Option<RunPrometheus>,
    /// Whether the run continues until it is stopped.
    pub background: bool,
    /// The epoch to begin with.
    pub epoch: u32,
    /// Whether the stable side sees no comparable traffic.
    pub one_armed: bool,
    /// The canary's planned share of the requests in it.
    pub share: Option<Percent>,
    /// The planned share of assignments to the candidate of an A/B test.
    pub candidate_share: Option<Percent>,
    /// Whether it decides an A/B test.
    pub goal: bool,
    /// Over how many runs of one attempt alpha is divided; 0 and 1 mean all for this one.
    pub runs_in_attempt: u32,
}

/// The frozen spec of one run, whose questions can be asked in this dialect.
pub fn resolve(wanted: Wanted<'_>, dialect: &dyn Dialect) -> Result<AnalysisRunSpec, Vec<ResolveError>> {
    let mut errors = unknown_arguments(&wanted.templates, wanted.args);
    let (mut metrics, mut load): (Vec<Metric>, Vec<Load>) = (Vec::new(), Vec::new());
    for (name, template) in &wanted.templates {
        let (filled, missing) = fill(name, template, wanted.args);
        errors.extend(missing);
        errors.extend(judged(name, &filled, dialect));
        metrics.extend(filled.metrics);
        load.extend(filled.load);
    }
    errors.extend(duplicates(&metrics));
    errors.extend(wanted.goal.then(|| no_goal(&metrics)).flatten());
    errors.extend(wanted.one_armed.then(|| one_armed_conversion(&metrics)).flatten());
    errors.extend(wanted.one_armed.then(|| one_armed_pods(&metrics)).flatten());
    if !metrics.iter().any(Metric::is_required) {
        errors.push(ResolveError::NothingRequired);
    }
    let known = |named: &RunPrometheus| named.source == PrometheusOwner::Controller || !named.address.is_empty();
    let has_prometheus = wanted.prometheus.as_ref().is_some_and(known);
    if !has_prometheus && !metrics.iter().all(is_external) {
        errors.push(ResolveError::NoPrometheus);
    }
    let settings = settled(&wanted).unwrap_or_else(|error| {
        errors.push(error);
        Settings::default()
    });
    let spec = AnalysisRunSpec {
        arms: wanted.arms,
        metrics,
        settings,
        prometheus: wanted.prometheus.unwrap_or_default(),
        background: wanted.background,
        stop: false,
        epoch: wanted.epoch,
        one_armed: wanted.one_armed,
        // Prometheus counts it.
        share: wanted.share.filter(|_| has_prometheus),
        candidate_share: wanted.candidate_share,
        load,
    };
    if errors.is_empty() {
        errors.extend(arms_told_apart(&spec, dialect));
    }
    if errors.is_empty() { Ok(spec) } else { Err(errors) }
}

/// What is wrong with a template regardless of its arguments: for `lint`.
pub fn check(name: &str, template: &AnalysisTemplateSpec, dialect: &dyn Dialect) -> Vec<ResolveError> {
    // A number is valid wherever a value may be: in labels, names after a letter, and conditions.
    let stand_in =
        |arg: &Arg| Arg { name: arg.name.clone(), value: arg.value.clone().or_else(|| Some("1".to_owned())) };
    let args: Vec<Arg> = template.args.iter().map(stand_in).collect();
    // An argument may hold a whole selector, which a placeholder is not: that field is checked when the argument has a
    // value.
    let open: Vec<String> = template
        .args
        .iter()
        .filter(|arg| arg.value.is_none())
        .map(|arg| format!("{{{{args.{}}}}}", arg.name))
        .collect();
    let mut checked = template.clone();
    for metric in &mut checked.metrics {
        if let Some(latency) = &mut metric.latency {
            let unreadable = dialect.histogram(&latency.histogram).is_err();
            if let Some(own) = latency.histogram.prometheus.as_mut()
                && unreadable
                && open.iter().any(|open| own.histogram.contains(open))
            {
                own.histogram = "histogram_by_argument".to_owned();
            }
        }
        for (number, (_, counter)) in metric.counters_mut().into_iter().enumerate() {
            let unreadable = dialect.counter(counter).is_err();
            let Some((_, selector)) = counter.own_mut() else { continue };
            if unreadable && open.iter().any(|open| selector.contains(open)) {
                *selector = format!("selector_by_argument_{number}");
            }
        }
    }
    let (filled, mut errors) = fill(name, &checked, &args);
    errors.extend(judged(name, &filled, dialect));
    errors.extend(duplicates(&filled.metrics));
    errors
}

/// Which workloads a run of a template has to name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Workloads {
    /// None.
    #[default]
    None,
    /// One of a service, all of which is counted.
    Service,
    /// The two that are compared.
    Both,
}

/// What the metrics of a template count.
pub fn workloads(template: &AnalysisTemplateSpec) -> Workloads {
    let (spec, frozen) = (AnalysisRunSpec::default(), Frozen::of(&Settings::default(), 1.0));
    let of = |judge: &dyn Judge| match judge.window(&spec, &frozen, 0) {
        _ if judge.compares_pods() => Workloads::Both,
        Some(query) if query.scope == Scope::Arms => Workloads::Both,
        Some(_) => Workloads::Service,
        None => Workloads::None,
    };
    template.metrics.iter().filter_map(judge_of).map(of).max().unwrap_or_default()
}

/// Whether a metric of a template has its numbers from Prometheus.
pub fn needs_prometheus(template: &AnalysisTemplateSpec) -> bool {
    !template.metrics.iter().all(is_external)
}

/// A template with its arguments put in, whose questions can be asked in this dialect.
pub fn filled(
    name: &str,
    template: &AnalysisTemplateSpec,
    args: &[Arg],
    dialect: &dyn Dialect,
) -> Result<AnalysisTemplateSpec, Vec<ResolveError>> {
    let (filled, mut errors) = fill(name, template, args);
    errors.extend(judged(name, &filled, dialect));
    if errors.is_empty() { Ok(filled) } else { Err(errors) }
}

/// An A/B test has one goal: two could each win for another variant.
fn no_goal(metrics: &[Metric]) -> Option<ResolveError> {
    let kind = |metric: &Metric| if decides(metric) { "a conversion" } else { "another kind of metric" };
    match metrics {
        [only] if decides(only) => None,
        [only] => Some(ResolveError::NoGoal(format!("{} ({})", kind(only), only.name))),
        several => Some(ResolveError::NoGoal(format!("{} metrics", several.len()))),
    }
}

fn decides(metric: &Metric) -> bool {
    judge_of(metric).is_some_and(|judge| judge.decides())
}

/// Whether its numbers come from elsewhere than Prometheus.
fn is_external(metric: &Metric) -> bool {
    metric.threshold.as_ref().is_some_and(|threshold| threshold.external().is_some())
}

fn duplicates(metrics: &[Metric]) -> Vec<ResolveError> {
    let again = |(index, metric): &(usize, &Metric)| metrics.iter().take(*index).any(|other| other.name == metric.name);
    metrics
        .iter()
        .enumerate()
        .filter(again)
        .map(|(_, metric)| ResolveError::DuplicateMetric(metric.name.clone()))
        .collect()
}

/// Every setting with a value: the templates', else the default. Frozen with the run.
pub(super) fn settled(wanted: &Wanted<'_>) -> Result<Settings, ResolveError> {
    let all: Vec<&Settings> = wanted.templates.iter().filter_map(|(_, spec)| spec.settings.as_ref()).collect();
    let default = Defaults::settings();
    let bake = |settings: &Settings| settings.bake.clone();
    let duration =
        |name, of: fn(&Settings) -> Option<HumanDuration>| agreed(name, &all, of).map(|own| own.or(of(&default)));
    let alpha = agreed("alpha", &all, |settings| settings.alpha)?.or(default.alpha);
    let bake_default = default.bake.clone().unwrap_or_default();
    let bake_duration = agreed("bake.duration", &all, |settings| bake(settings)?.duration)?.or(bake_default.duration);
    let bake_requests = agreed("bake.requests", &all, |settings| bake(settings)?.requests)?.or(bake_default.requests);
    Ok(Settings {
        alpha: alpha.map(|alpha| alpha / f64::from(wanted.runs_in_attempt.max(1))),
        beta: agreed("beta", &all, |settings| settings.beta)?.or(default.beta),
        warm_up: duration("warmUp", |settings| settings.warm_up)?,
        no_data_timeout: duration("noDataTimeout", |settings| settings.no_data_timeout)?,
        window: duration("window", |settings| settings.window)?,
        delay: duration("delay", |settings| settings.delay)?,
        bake: Some(Bake { duration: bake_duration, requests: bake_requests }),
        phi: agreed("phi", &all, |settings| settings.phi)?,
        pack: agreed("pack", &all, |settings| settings.pack)?.or(wanted.pack).or(Some(Pack::Application)),
    })
}

/// The one value that templates give a setting, if any does.
fn agreed<T: PartialEq + Clone>(
    name: &'static str,
    all: &[&Settings],
    of: impl Fn(&Settings) -> Option<T>,
) -> Result<Option<T>, ResolveError> {
    let mut values = all.iter().filter_map(|settings| of(settings));
    let first = values.next();
    if values.any(|value| first.as_ref() != Some(&value)) { Err(ResolveError::Disagree(name)) } else { Ok(first) }
}

/// Writes one question of each metric that compares, so that what cannot be asked is refused before anything starts.
fn arms_told_apart(spec: &AnalysisRunSpec, dialect: &dyn Dialect) -> Option<ResolveError> {
    let question = |metric: &Metric| judge_of(metric)?.window(spec, &frozen(spec, metric), 0);
    let asked = spec.metrics.iter().filter_map(question);
    asked.map(|query| dialect.window(&query)).find_map(Result::err).map(ResolveError::Arms)
}

/// A conversion compares two variants that have users at the same time.
fn one_armed_conversion(metrics: &[Metric]) -> Option<ResolveError> {
    let conversion = metrics.iter().find(|metric| decides(metric))?;
    Some(ResolveError::NoControl(conversion.name.clone()))
}

/// Pods that serve are not compared with pods that idle. A metric that is not required may find nothing to compare.
fn one_armed_pods(metrics: &[Metric]) -> Option<ResolveError> {
    let compares =
        |metric: &&Metric| metric.is_required() && judge_of(metric).is_some_and(|judge| judge.compares_pods());
    metrics.iter().find(compares).map(|metric| ResolveError::NoTrafficAtStable(metric.name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::analysis::Prometheus, evidence::builtin, source::DIALECT};

    fn template(yaml: &str) -> (String, AnalysisTemplateSpec) {
        ("t".to_owned(), serde_yaml::from_str(yaml).unwrap())
    }

    fn wanted(templates: Vec<(String, AnalysisTemplateSpec)>) -> Wanted<'static> {
        let arms = Arms { namespace: "shop".into(), canary: "web-2".into(), stable: "web-1".into(), ..Arms::default() };
        let named = Prometheus { address: "http://prometheus:9090/".into(), ..Prometheus::default() };
        Wanted { templates, arms, prometheus: Some(RunPrometheus::from(&named)), ..Wanted::default() }
    }

    fn errors(yaml: &str) -> String {
        let all = resolve(wanted(vec![template(yaml)]), DIALECT).unwrap_err();
        all.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn golden_signals_resolve_with_every_setting_frozen() {
        let mut wanted = wanted(vec![("golden-signals".into(), builtin("golden-signals").unwrap())]);
        wanted.pack = Some(Pack::Istio);
        wanted.runs_in_attempt = 2;
        let spec = resolve(wanted, DIALECT).unwrap();
        assert_eq!(spec.prometheus.address, "http://prometheus:9090");
        assert_eq!(spec.settings.alpha, Some(0.025));
        assert_eq!((spec.settings.phi, spec.settings.pack), (None, Some(Pack::Istio)));
        assert_eq!(spec.settings.window, Some(HumanDuration::secs(15)));
        assert_eq!(spec.metrics.len(), 1);
    }

    #[test]
    fn the_conversion_template_takes_whole_selectors() {
        let template = || vec![("conversion".to_owned(), builtin("conversion").unwrap())];
        let value = |name: &str, value: &str| Arg { name: name.into(), value: Some(value.into()) };
        let args = [value("successes", r#"orders_total{shop="a"}"#), value("trials", r#"visitors_total{shop="a"}"#)];
        let share = Some(Percent::whole(50));
        let spec = resolve(Wanted { args: &args, candidate_share: share, ..wanted(template()) }, DIALECT).unwrap();
        let judge = spec.metrics[0].conversion.clone().unwrap();
        assert_eq!(judge.trials.prometheus.unwrap().counter, r#"visitors_total{shop="a"}"#);
        assert_eq!(spec.candidate_share, share);
        let alone = resolve(Wanted { args: &args, one_armed: true, ..wanted(template()) }, DIALECT).unwrap_err();
        assert_eq!(alone, [ResolveError::NoControl("conversion".into())]);
    }

    #[test]
    fn a_run_that_asks_no_prometheus_needs_none() {
        let yaml = "args: [{name: app, value: web}]\n\
                    metrics: [{name: q, threshold: {web: {url: 'https://x.example/{{args.app}}'}, success: result < 1}}]";
        let share = Some(Percent::whole(5));
        let spec = resolve(Wanted { prometheus: None, share, ..wanted(vec![template(yaml)]) }, DIALECT).unwrap();
        assert_eq!(spec.metrics[0].threshold.clone().unwrap().web.unwrap().url, "https://x.example/web");
        assert_eq!(spec.share, None, "nothing counts it");
        let both = format!("{yaml}\n").replace("}}]", "}}, {name: p, threshold: {query: x, success: result < 1}}]");
        let found = resolve(Wanted { prometheus: None, ..wanted(vec![template(&both)]) }, DIALECT).unwrap_err();
        assert_eq!(found, [ResolveError::NoPrometheus]);
    }

    #[test]
    fn arguments_are_put_in_literally() {
        let args = [Arg { name: "app".into(), value: Some("a\"$1".into()) }];
        let yaml = "args: [{name: app}, {name: most, value: '3'}]\n\
                    metrics: [{name: q, threshold: {query: 'x{a=\"{{args.app}}\"} {{ args.app }}', success: 'result < {{args.most}}'}}]";
        let spec = resolve(Wanted { args: &args, ..wanted(vec![template(yaml)]) }, DIALECT).unwrap();
        let threshold = spec.metrics[0].threshold.clone().unwrap();
        assert_eq!(threshold.query, "x{a=\"a\"$1\"} a\"$1");
        assert_eq!(threshold.success.as_deref(), Some("result < 3"));
    }

    #[test]
    fn a_load_takes_arguments_and_is_checked_by_its_fields() {
        let yaml = |container: &str| {
            format!(
                "args: [{{name: host, value: web}}]\n\
                 metrics: [{{name: e, threshold: {{query: x, success: result < 1}}}}]\n\
                 load: {{job: {{template: {{spec: {{containers: {container}}}}}}}}}"
            )
        };
        let spec = resolve(wanted(vec![template(&yaml("[{args: ['http://{{args.host}}/']}]"))]), DIALECT).unwrap();
        assert_eq!(spec.load[0].job.template["spec"]["containers"][0]["args"][0], "http://web/");
        let undeclared = errors(&yaml("[{args: ['{{args.port}}']}]"));
        let field = "template t: load.job.template.spec.containers[0].args[0]";
        assert!(undeclared.contains(&format!("{field} uses {{{{args.port}}}}")), "{undeclared}");
        assert_eq!(errors(&yaml("[]")), "template t: load.job.template.spec.containers: set at least one container");
        let (_, used) = template(&yaml("[{args: ['{{args.host}}']}]"));
        assert_eq!(arguments_of(&used, "load.job.template.spec.containers[0]"), ["host"]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_field() {
        let ratio = |inner: &str| {
            format!(
                "metrics: [{{name: e, ratio: {{bad: {{builtin: errors}}, total: {{builtin: requests}}, {inner}}}}}]"
            )
        };
        for (yaml, words) in [
            (ratio("tolerance: 25, pass: {ratio: 1.25}"), "template t: metrics[0].ratio.pass.ratio: 1.25 must be above 1 + tolerance (1.25)"),
            (ratio("floor: 0.5, pass: {ceiling: 0.5}"), "metrics[0].ratio.pass.ceiling: 0.5 % must be above the floor (0.5 %)"),
            (ratio("floor: 60"), "metrics[0].ratio.floor: must be above 0 and at most 50 %"),
            (ratio("floor: 0.1") + "\nsettings: {window: 1500ms}", "settings.window: is not a whole number of seconds"),
            (ratio("floor: 0.1") + "\nsettings: {pack: envoy}", "distinguishes arms by Service"),
            ("metrics: [{name: e, required: false, threshold: {query: x, success: result < 1}}]".into(), "no metric is required"),
            ("metrics: [{name: e, threshold: {query: x, success: y < 1}}]".into(), "metrics[0].threshold.success: `y` is unknown"),
            ("metrics: [{name: e, threshold: {query: '{{args.z}}', success: result < 1}}]".into(), "metrics[0].threshold.query uses {{args.z}}, which is not among its args"),
            ("args: [{name: app}]\nmetrics: [{name: e, threshold: {query: x, success: result < 1}}]".into(), "argument app has no value"),
            ("metrics: [{name: e, conversion: {successes: {prometheus: {counter: a}}, trials: {prometheus: {counter: a}}}}]".into(), "metrics[0].conversion.successes: successes and trials are the same counter"),
            ("metrics: [{name: e, conversion: {successes: {prometheus: {counter: 'rate(a[1m])'}}, trials: {builtin: requests}}}]".into(), "metrics[0].conversion.successes: prometheus.counter: `rate(a[1m])` is not a series selector"),
            ("metrics: [{name: e, conversion: {successes: {prometheus: {counter: '{{args.z}}'}}, trials: {builtin: requests}}}]".into(), "metrics[0].conversion.successes.prometheus.counter uses {{args.z}}, which is not among its args"),
            ("metrics: [{name: e, threshold: {success: result < 1}}]".into(), "metrics[0].threshold: set exactly one of query, web"),
            ("metrics: [{name: e, threshold: {query: x, web: {url: 'https://x'}, success: result < 1}}]".into(), "metrics[0].threshold: set exactly one of query, web"),
            ("metrics: [{name: e, threshold: {web: {url: x}, success: result < 1}}]".into(), "metrics[0].threshold.web.url: must start with https:// or http://"),
            ("metrics: [{name: e, threshold: {web: {url: 'https://x/{{args.z}}'}, success: result < 1}}]".into(), "metrics[0].threshold.web.url uses {{args.z}}, which is not among its args"),
            ("metrics: [{name: e, gauge: {query: cpu, tolerance: 0}}]".into(), "metrics[0].gauge.tolerance: must be above 0"),
            ("metrics: [{name: e, gauge: {query: '{{args.z}}'}}]".into(), "metrics[0].gauge.query uses {{args.z}}, which is not among its args"),
            ("metrics: [{name: e, gauge: {query: cpu, per: request}}]\nsettings: {pack: envoy}".into(), "distinguishes arms by Service"),
            ("metrics: [{name: e}]".into(), "metrics[0]: a metric must have exactly one judge:"),
            ("metrics: [{name: e, threshold: {query: x, success: result < 1}}, {name: e, threshold: {query: x, success: result < 1}}]".into(), "metric e occurs twice"),
            ("metrics: [{name: e, ratio: {bad: {prometheus: {counter: 'rate(a[1m])'}}, total: {builtin: requests}}}]".into(), "metrics[0].ratio.bad: prometheus.counter: `rate(a[1m])` is not a series selector"),
        ] {
            let found = errors(&yaml);
            assert!(found.contains(words), "{yaml}\n{found}");
        }
    }

    #[test]
    fn unknown_arguments_and_disagreeing_templates_are_told() {
        let yaml = |window: &str| {
            format!(
                "args: [{{name: app, value: x}}]\nmetrics: [{{name: m{window}, threshold: {{query: x, success: result < 1}}}}]\nsettings: {{window: {window}}}"
            )
        };
        let args = [Arg { name: "ap".into(), value: None }];
        let wanted =
            Wanted { args: &args, prometheus: None, ..wanted(vec![template(&yaml("15s")), template(&yaml("30s"))]) };
        let found = resolve(wanted, DIALECT).unwrap_err();
        assert!(
            found.contains(&ResolveError::UnknownArgument { arg: "ap".into(), hint: "; did you mean app?".into() })
        );
        assert!(found.contains(&ResolveError::Disagree("window")) && found.contains(&ResolveError::NoPrometheus));
    }

    #[test]
    fn pods_are_not_compared_where_stable_has_no_traffic() {
        let yaml = |rest: &str| {
            format!(
                "metrics: [{{name: q, threshold: {{query: x, success: result < 1}}}}, {{name: cpu, {rest} gauge: {{query: cpu}}}}]"
            )
        };
        let resolved = |rest: &str| resolve(Wanted { one_armed: true, ..wanted(vec![template(&yaml(rest))]) }, DIALECT);
        assert_eq!(resolved("").unwrap_err(), [ResolveError::NoTrafficAtStable("cpu".into())]);
        assert!(resolved("required: false,").is_ok());
    }

    #[test]
    fn a_template_is_checked_without_its_values() {
        let (_, spec) = template(
            "args: [{name: sel}]\nmetrics: [{name: e, ratio: {bad: {prometheus: {counter: '{{args.sel}}'}}, total: {builtin: requests}}}]",
        );
        assert_eq!(check("t", &spec, DIALECT), vec![]);
    }
}

//! The PromQL that counts one window (analysis.md section 2), and the reading of its answer.
//!
//! Increments are counted per series and then summed by arm, because `rate` and `increase` extrapolate and lose the first
//! increment of a series that is born at 1. For a counter `m`, a window `W` and a witness `t` of the pod's presence:
//!
//! ```text
//! (m - m offset W >= 0)                                              grew
//! or (m < (m offset W) / 2)                                          was reset: all of it is new
//! or ((m unless m offset W) and on (pod) group by (pod) (t offset W))   born in a pod that was there before
//! ```
//!
//! A long window is the sum of such pieces (`sum_over_time` of a subquery, whose steps lie on the same grid), so that pods
//! that came and went within it are counted too. A service is all revisions of a Rollout: the ReplicaSets, or their pods,
//! that are called like an arm but for the revision's id; to callers, both Services.
//!
//! A fall by less than half is no reset and counts nothing; that of a total is noted. A pod's first scrape counts nothing
//! either: how much of it lies in this window is not known.

use super::{
    pack::{ArmKind, ArmsBy, Report, Side, pack_file},
    selector::{Selector, SelectorError, in_string, label_name},
    service_names::ServiceNames,
};
use crate::{
    api::analysis::{Arms, Builtin, Counter, PrometheusCounter},
    evidence::{Answer, ArmCounts, IncrementsQuery, Scope},
};

/// What precedes an arm's name where its falls are counted.
const FELL: &str = "fell ";

/// Why no query can be written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PromqlError {
    /// A selector that cannot be extended.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// Pods of callers cannot be divided.
    #[error(
        "the metric pack counts at the callers, which do not see the pod that served a request, so the pods of one workload \
         cannot be compared; set a pack that counts at the pods, such as istio or application"
    )]
    CallersPods,
    /// A Service is not named.
    #[error("the metric pack distinguishes arms by Service: set services.stable and services.canary of the Rollout")]
    NoService,
    /// A defect of the binary.
    #[error("the built-in metric pack is invalid: {0}")]
    Pack(&'static str),
    /// A pack that has no histogram.
    #[error("the metric pack has no duration; name your own histogram: {{prometheus: {{histogram: NAME}}}}")]
    NoDuration,
    /// A histogram with neither source.
    #[error("a histogram is either builtin or prometheus")]
    NoHistogram,
    /// Braces alone name no histogram to which `_bucket` can be added.
    #[error("`{0}` does not name a histogram; write name{{label=\"value\"}}")]
    NoName(String),
    /// A counter with neither source.
    #[error("a counter is either builtin or prometheus")]
    NoCounter,
}

/// The two queries of one window; each gives one sample per arm, labelled `arm`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncrementsText {
    /// Bad events.
    pub bad: String,
    /// All events.
    pub total: String,
}

/// Whether one pair of queries can answer both: alike but for their arms, none of which is divided by pods.
pub fn are_alike(one: &IncrementsQuery, other: &IncrementsQuery) -> bool {
    if one.arms.canary_pods.is_some() || other.arms.canary_pods.is_some() {
        return false;
    }
    let but_arms = |query: &IncrementsQuery| IncrementsQuery { arms: Arms::default(), ..query.clone() };
    but_arms(one) == but_arms(other)
}

/// The queries' texts for one or several questions that are alike. They are evaluated at the window's end.
pub fn increments(queries: &[&IncrementsQuery]) -> Result<IncrementsText, PromqlError> {
    Ok(IncrementsText { bad: text(queries, true)?, total: text(queries, false)? })
}

/// The arm of the pods that are chosen out of one workload; no workload is called so.
const CHOSEN_PODS: &str = "chosen";

/// What the label `arm` says for the canary and for stable.
pub fn arm_names(query: &IncrementsQuery) -> Result<(String, String), PromqlError> {
    arms_called(&counted(query, &query.total, false)?.by, &query.arms)
}

/// The same for arms that are distinguished by such a label.
pub(super) fn arms_called(by: &ArmsBy, arms: &Arms) -> Result<(String, String), PromqlError> {
    let name = |workload: &str, service: &Option<String>| -> Result<String, PromqlError> {
        match by.by {
            ArmKind::Workload | ArmKind::Pod => Ok(format!("{}/{workload}", arms.namespace)),
            ArmKind::Service => {
                let service = service.as_deref().ok_or(PromqlError::NoService)?;
                Ok(by.names.arm(service, &arms.namespace))
            }
        }
    };
    if arms.canary_pods.is_some() {
        return Ok((CHOSEN_PODS.to_owned(), name(&arms.stable, &arms.stable_service)?));
    }
    Ok((name(&arms.canary, &arms.canary_service)?, name(&arms.stable, &arms.stable_service)?))
}

/// What the label `arm` says for the parts of a service.
pub(super) fn service_names(scope: Scope, by: &ArmsBy, arms: &Arms) -> Result<Vec<String>, PromqlError> {
    if scope == Scope::Selected {
        return Ok(vec![String::new()]);
    }
    let mut names = match by.by {
        ArmKind::Service => {
            let (canary, stable) = arms_called(by, arms)?;
            vec![canary, stable]
        }
        ArmKind::Workload | ArmKind::Pod => {
            service_workloads(arms).map(|name| format!("{}/{name}", arms.namespace)).to_vec()
        }
    };
    names.dedup();
    Ok(names)
}

/// The arms' names without the revisions' ids.
fn service_workloads(arms: &Arms) -> [&str; 2] {
    [&arms.canary, &arms.stable].map(|arm| arm.rsplit_once('-').map_or(arm.as_str(), |(name, _)| name))
}

/// Reads one question's answer out of the samples of both queries, given as (value of the label `arm`, value).
pub fn counts(query: &IncrementsQuery, bad: &[(String, f64)], total: &[(String, f64)]) -> Result<Answer, PromqlError> {
    if query.scope != Scope::Arms {
        return events(query, bad, total);
    }
    let (canary, stable) = arm_names(query)?;
    let of = |samples: &[(String, f64)], arm: &str| {
        samples
            .iter()
            .find(|sample| sample.0 == arm && sample.1.is_finite())
            .map(|sample| sample.1.round().max(0.0) as u64)
    };
    let mut notes = Vec::new();
    let mut arm = |side: &str, name: &str| {
        if let Some(series) = of(total, &format!("{FELL}{name}")).filter(|series| *series > 0) {
            let plural = if series == 1 { "" } else { "s" };
            notes.push(format!(
                "{side}: {series} counter{plural} fell by less than half, which is no reset; counted as 0"
            ));
        }
        let total = of(total, name)?;
        let bad = of(bad, name).unwrap_or(0);
        if query.bad_comes_later {
            return Some(ArmCounts { bad, total });
        }
        if bad > total {
            notes.push(format!("{side}: {bad} bad of {total} events (scraped apart); counted as {total}"));
        }
        Some(ArmCounts { bad: bad.min(total), total })
    };
    let (canary, stable) = (arm("canary", &canary), arm("stable", &stable));
    Ok(Answer::Increments { canary, stable, notes })
}

/// The same of a whole service.
fn events(query: &IncrementsQuery, bad: &[(String, f64)], total: &[(String, f64)]) -> Result<Answer, PromqlError> {
    let names = service_names(query.scope, &counted(query, &query.total, false)?.by, &query.arms)?;
    let sum = |samples: &[(String, f64)]| {
        let own = samples.iter().filter(|(arm, value)| names.contains(arm) && value.is_finite());
        own.map(|(_, value)| value.round().max(0.0) as u64).reduce(u64::saturating_add)
    };
    let Some(total) = sum(total) else { return Ok(Answer::Events { counts: None, notes: Vec::new() }) };
    let bad = sum(bad).unwrap_or(0);
    let odd =
        (bad > total).then(|| format!("service: {bad} bad of {total} events (scraped apart); counted as {total}"));
    Ok(Answer::Events { counts: Some(ArmCounts { bad: bad.min(total), total }), notes: odd.into_iter().collect() })
}

/// One counter's selectors, with what is needed to count new series and to distinguish the arms.
struct Counted {
    by: ArmsBy,
    reports: Vec<Series>,
}

/// Series of one side's view.
pub(super) struct Series {
    pub by: ArmsBy,
    pub side: Side,
    pub selectors: Vec<String>,
    pub witness: String,
    /// The label with the name of the pod that counts, as PromQL writes it.
    pub pod: String,
}

/// Over what time, and of which pods.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub window_seconds: u32,
    pub warm_up_seconds: u32,
    pub whole_pods: bool,
}

fn text(queries: &[&IncrementsQuery], bad: bool) -> Result<String, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let counted = counted(first, if bad { &first.bad } else { &first.total }, bad)?;
    let callers = counted.reports.iter().all(|series| series.side == Side::Caller);
    if first.scope == Scope::Arms && first.arms.canary_pods.is_some() && callers {
        return Err(PromqlError::CallersPods);
    }
    let sum = format!("sum by (arm) ({})", grown(queries, &counted.reports)?);
    // In a long window a fall says nothing, and of bad events there are too few series for the price.
    if !bad && first.scope == Scope::Arms && first.piece_seconds.is_none() && !first.whole_pods {
        return Ok(format!("{sum} or {}", falls(queries, &counted.reports)?));
    }
    Ok(over_time(first.window_seconds, first.piece_seconds, sum))
}

/// The same of each pod, as the pods themselves count it: the query's samples have the pod in the only label beside `arm`.
/// `None` where callers count alone.
pub(super) fn by_pods(queries: &[&IncrementsQuery], bad: bool) -> Result<Option<String>, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let mut reports = counted(first, if bad { &first.bad } else { &first.total }, bad)?.reports;
    reports.retain(|series| series.side == Side::Server);
    let Some(Series { pod, .. }) = reports.first() else { return Ok(None) };
    Ok(Some(format!("sum by (arm, {pod}) ({})", grown(queries, &reports)?)))
}

/// What the series of the questions, which are alike, grew by in the window, each with its arm.
fn grown(queries: &[&IncrementsQuery], reports: &[Series]) -> Result<String, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let IncrementsQuery { warm_up_seconds, whole_pods, .. } = **first;
    let window_seconds = first.piece_seconds.unwrap_or(first.window_seconds).min(first.window_seconds);
    let span = Span { window_seconds, warm_up_seconds, whole_pods };
    let all = with_arms(queries, reports, |alike, place| {
        let parts: Result<Vec<String>, _> = alike.iter().map(|series| series_text(span, series, place)).collect();
        Ok(parts?.join(" or "))
    });
    Ok(all?.join(" or "))
}

/// How many series fell by less than half, by arm, which is called `fell ARM` here: an expression of the same query, not a query
/// more.
fn falls(queries: &[&IncrementsQuery], reports: &[Series]) -> Result<String, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let all = with_arms(queries, reports, |alike, place| {
        let mut parts = Vec::new();
        for series in alike {
            for selector in &series.selectors {
                let m = bound(&series.by, place, selector)?;
                parts.push(format!("(({m} / {m} offset {}s < 1) >= 0.5)", first.window_seconds));
            }
        }
        Ok(format!("({})", parts.join(" or ")))
    })?;
    let fell = |fallen: &String| format!(r#"label_replace({fallen}, "arm", "{FELL}$1", "arm", "(.+)")"#);
    Ok(format!("count by (arm) ({})", all.iter().map(fell).collect::<Vec<_>>().join(" or ")))
}

/// An expression of the reports' series with their arms, for each group of reports that distinguish the arms alike.
fn with_arms(
    queries: &[&IncrementsQuery],
    reports: &[Series],
    expression: impl Fn(&[Series], Option<&ArmMatchers>) -> Result<String, PromqlError>,
) -> Result<Vec<String>, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoCounter) };
    let pairs: Vec<&Arms> = queries.iter().map(|query| &query.arms).collect();
    let mut all = Vec::new();
    for alike in reports.chunk_by(|one, other| one.by == other.by) {
        let Some(Series { by, .. }) = alike.first() else { continue };
        let place = place_of(by, first.scope, &pairs)?;
        all.push(by_arm(first.scope, by, &expression(alike, place.as_ref())?, &first.arms)?);
    }
    Ok(all)
}

/// A selector of the arms' series alone, where they are distinguished.
fn bound(by: &ArmsBy, place: Option<&ArmMatchers>, text: &str) -> Result<String, PromqlError> {
    let selector = match place {
        Some(place) => place.bind(by, text)?,
        None => Selector::parse(text)?,
    };
    Ok(selector.to_string())
}

/// Where the questions' series are, if they distinguish arms.
pub(super) fn place_of(by: &ArmsBy, scope: Scope, pairs: &[&Arms]) -> Result<Option<ArmMatchers>, PromqlError> {
    if scope == Scope::Selected {
        return Ok(None);
    }
    let mut arms = Vec::new();
    for pair in pairs {
        arms.extend(patterns(by, scope, pair)?);
    }
    let namespaces = pairs.iter().map(|pair| pair.namespace.as_str()).collect();
    Ok(Some(ArmMatchers::joined(namespaces, arms)))
}

/// The sum of the pieces of a long window. The steps of a subquery lie on the grid of its resolution.
pub(super) fn over_time(window_seconds: u32, piece_seconds: Option<u32>, piece: String) -> String {
    match piece_seconds.filter(|seconds| *seconds < window_seconds) {
        Some(seconds) => format!("sum_over_time(({piece})[{window_seconds}s:{seconds}s])"),
        None => piece,
    }
}

/// Where the arms are, as regular expressions.
pub(super) struct ArmMatchers {
    namespaces: String,
    arms: String,
}

impl ArmMatchers {
    fn joined(mut namespaces: Vec<&str>, mut arms: Vec<String>) -> Self {
        namespaces.sort_unstable();
        namespaces.dedup();
        arms.dedup();
        ArmMatchers { namespaces: namespaces.join("|"), arms: arms.join("|") }
    }

    /// A selector of the series of these arms alone.
    pub fn bind(&self, by: &ArmsBy, text: &str) -> Result<Selector, PromqlError> {
        let mut selector = Selector::parse(text)?;
        if let Some(label) = &by.namespace_label {
            selector.push(&format!(r#"{}=~"{}""#, label_name(label), self.namespaces));
        }
        selector.push(&format!(r#"{}=~"{}""#, label_name(&by.label), self.arms));
        Ok(selector)
    }
}

/// Gives every series its arm: `namespace/ReplicaSet`, or the Service as the proxy names it; of a whole service, without the
/// revision's id.
fn named(scope: Scope, by: &ArmsBy, series: &str) -> String {
    // They are in strings here: a quote or a backslash in a label's name would end one.
    let (label, namespace) = (in_string(&by.label), in_string(by.namespace_label.as_deref().unwrap_or("namespace")));
    let without = |parts: &str| {
        let joined = format!(r#"label_join({series}, "arm", "/", "{namespace}", "{label}")"#);
        format!(r#"label_replace({joined}, "arm", "$1", "arm", "(.*){parts}")"#)
    };
    match by.by {
        _ if scope == Scope::Selected => series.to_owned(),
        ArmKind::Workload if scope == Scope::Service => without("-[^-]*"),
        ArmKind::Pod if scope == Scope::Service => without("-[^-]*-[^-]*"),
        ArmKind::Workload => format!(r#"label_join({series}, "arm", "/", "{namespace}", "{label}")"#),
        // A pod is called like its ReplicaSet and five characters more.
        ArmKind::Pod => format!(
            r#"label_replace(label_join({series}, "arm", "/", "{namespace}", "{label}"), "arm", "$1", "arm", "(.*)-[^-]*")"#
        ),
        ArmKind::Service => by.names.named(series, &label, &namespace),
    }
}

/// The series with their arms, also where the canary is some pods of a workload.
pub(super) fn by_arm(scope: Scope, by: &ArmsBy, series: &str, arms: &Arms) -> Result<String, PromqlError> {
    match arms.canary_pods.as_ref().filter(|_| scope == Scope::Arms) {
        Some(_) if by.by == ArmKind::Service => Err(PromqlError::CallersPods),
        Some(pods) => Ok(chosen(by, &named(scope, by, series), pods)),
        None => Ok(named(scope, by, series)),
    }
}

/// Gives the pods that a regular expression matches an arm of their own.
fn chosen(by: &ArmsBy, series: &str, pods: &str) -> String {
    let label = if by.by == ArmKind::Pod { by.label.as_str() } else { "pod" };
    format!("label_replace({series}, \"arm\", \"{CHOSEN_PODS}\", \"{}\", {})", in_string(label), quoted(pods))
}

/// A string of PromQL, whose escapes are Go's.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A builtin counter is the pack's; a counter of the user's own lies on the serving pods.
fn counted(query: &IncrementsQuery, counter: &Counter, bad: bool) -> Result<Counted, PromqlError> {
    if let Some(own) = &counter.prometheus {
        let by = by_pod(own.pod_label(), own.namespace_label());
        // The total of the same pods is the better witness: it has series before the first bad event.
        let labels = |counter: &&PrometheusCounter| {
            counter.pod_label() == own.pod_label() && counter.namespace_label() == own.namespace_label()
        };
        let witness = query.total.prometheus.as_ref().filter(labels).unwrap_or(own).counter.clone();
        let (selectors, pod) = (vec![own.counter.clone()], label_name(own.pod_label()));
        let series = Series { by: by.clone(), side: Side::Server, selectors, witness, pod };
        return Ok(Counted { by, reports: vec![series] });
    }
    if counter.builtin.is_none() {
        return Err(PromqlError::NoCounter);
    }
    let errors = bad_counter(counter, bad);
    let file = pack_file(query.pack).map_err(PromqlError::Pack)?;
    let series = |report: &Report| Series {
        by: report.arms.as_ref().unwrap_or(&file.arms).clone(),
        side: report.side,
        selectors: if errors { report.errors.clone() } else { report.requests.clone() },
        witness: report.witness.clone(),
        pod: "pod".to_owned(),
    };
    Ok(Counted { by: file.arms.clone(), reports: file.reports.iter().map(series).collect() })
}

/// How the arms of a user's own series are distinguished: they lie on the serving pods.
pub(super) fn by_pod(label: &str, namespace_label: &str) -> ArmsBy {
    let (label, namespace_label) = (label.to_owned(), Some(namespace_label.to_owned()));
    ArmsBy { by: ArmKind::Pod, label, namespace_label, names: ServiceNames::default() }
}

/// The counter defines its own type, wherever it is used.
fn bad_counter(counter: &Counter, bad: bool) -> bool {
    counter.builtin.map_or(bad, |builtin| builtin == Builtin::Errors)
}

/// What each series grew by in the window.
pub(super) fn series_text(span: Span, series: &Series, place: Option<&ArmMatchers>) -> Result<String, PromqlError> {
    let by = &series.by;
    let bound = |text: &str| bound(by, place, text);
    let window = span.window_seconds;
    let pod = &series.pod;
    let witness = bound(&series.witness)?;
    let mut parts = Vec::new();
    for selector in &series.selectors {
        let m = bound(selector)?;
        let born = if span.whole_pods {
            format!("({m} unless {m} offset {window}s)")
        } else {
            format!("(({m} unless {m} offset {window}s) and on ({pod}) group by ({pod}) ({witness} offset {window}s))")
        };
        parts.push(format!("({m} - {m} offset {window}s >= 0) or ({m} < ({m} offset {window}s) / 2) or {born}"));
    }
    Ok(warm(span, by, (series.side, pod), &parts.join(" or "), |ago| format!("{witness} offset {ago}s")))
}

/// The series of pods that are warm: those of which `there` shows one so many seconds ago.
pub(super) fn warm(
    span: Span,
    by: &ArmsBy,
    (side, pod): (Side, &str),
    grown: &str,
    there: impl FnOnce(u32) -> String,
) -> String {
    if span.warm_up_seconds == 0 {
        return format!("({grown})");
    }
    // Warm-up is per serving pod. A caller cannot see pods: there an arm is warm once this caller knew it that long ago.
    let (on, ago) =
        (if side == Side::Server { pod.to_owned() } else { format!("{pod}, {}", by.label) }, span.warm_up_seconds);
    format!("(({grown}) and on ({on}) group by ({on}) ({}))", there(ago))
}

/// Regular expressions for the arm label of what a question counts.
fn patterns(by: &ArmsBy, scope: Scope, arms: &Arms) -> Result<[String; 2], PromqlError> {
    let of_service = |id: &str| service_workloads(arms).map(|name| format!("{}-{id}", escaped(name)));
    match by.by {
        _ if scope == Scope::Selected => Ok([String::new(), String::new()]),
        ArmKind::Workload if scope == Scope::Service => Ok(of_service("[a-z0-9]+")),
        // An id has 8 to 10 characters and a pod's own suffix has 5: pods of a workload whose name only begins so do not match.
        ArmKind::Pod if scope == Scope::Service => Ok(of_service("[a-z0-9]{8,10}-[a-z0-9]{5}")),
        _ => {
            let (canary, stable) = arm_patterns(by, arms)?;
            Ok([canary, stable])
        }
    }
}

/// Regular expressions (anchored by PromQL) for the arm label of canary and stable.
fn arm_patterns(by: &ArmsBy, arms: &Arms) -> Result<(String, String), PromqlError> {
    let pattern = |workload: &str, service: &Option<String>| -> Result<String, PromqlError> {
        match by.by {
            ArmKind::Workload => Ok(escaped(workload)),
            ArmKind::Pod => Ok(format!("{}-.*", escaped(workload))),
            ArmKind::Service => {
                let service = service.as_deref().ok_or(PromqlError::NoService)?;
                Ok(by.names.pattern(&escaped(service), &escaped(&arms.namespace)))
            }
        }
    };
    Ok((pattern(&arms.canary, &arms.canary_service)?, pattern(&arms.stable, &arms.stable_service)?))
}

/// Names of Kubernetes hold letters, digits, `-` and `.`: the dot alone means something in a regular expression.
fn escaped(name: &str) -> String {
    name.replace('.', "[.]")
}

#[cfg(test)]
#[path = "packs_tests.rs"]
mod packs_tests;

#[cfg(test)]
#[path = "promql_tests.rs"]
pub(super) mod tests;

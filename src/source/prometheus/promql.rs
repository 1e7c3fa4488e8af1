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
//! A fall by less than half is no reset and counts nothing. A pod's first scrape counts nothing either: how much of it
//! lies in this window is not known.

use super::{
    pack::{ArmKind, ArmsBy, Report, Side, pack_file},
    selector::{Selector, SelectorError, in_string, label_name},
};
use crate::{
    api::analysis::{Arms, Builtin, Counter, PrometheusCounter},
    evidence::{Answer, ArmCounts, IncrementsQuery, Scope},
};

/// Why no query can be written.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum PromqlError {
    /// A selector that cannot be extended.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// Pods of callers cannot be divided.
    #[error(
        "the pack counts at the callers, so that the pods of one workload cannot be compared; set the pack istio or application"
    )]
    CallersPods,
    /// A Service is not named.
    #[error("the envoy pack distinguishes arms by Service: set services.stable and services.canary of the Rollout")]
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
    arms_called(counted(query, &query.total, false)?.by.by, &query.arms)
}

/// The same for arms that are distinguished by such a label.
pub(super) fn arms_called(kind: ArmKind, arms: &Arms) -> Result<(String, String), PromqlError> {
    let name = |workload: &str, service: &Option<String>| -> Result<String, PromqlError> {
        match kind {
            ArmKind::Workload | ArmKind::Pod => Ok(format!("{}/{workload}", arms.namespace)),
            ArmKind::Service => {
                let service = service.as_deref().ok_or(PromqlError::NoService)?;
                Ok(format!("{service}.{}", arms.namespace))
            }
        }
    };
    if arms.canary_pods.is_some() {
        return Ok((CHOSEN_PODS.to_owned(), name(&arms.stable, &arms.stable_service)?));
    }
    Ok((name(&arms.canary, &arms.canary_service)?, name(&arms.stable, &arms.stable_service)?))
}

/// What the label `arm` says for the parts of a service.
fn service_names(query: &IncrementsQuery) -> Result<Vec<String>, PromqlError> {
    if query.scope == Scope::Selected {
        return Ok(vec![String::new()]);
    }
    let kind = counted(query, &query.total, false)?.by.by;
    let mut names = match kind {
        ArmKind::Service => {
            let (canary, stable) = arm_names(query)?;
            vec![canary, stable]
        }
        ArmKind::Workload | ArmKind::Pod => {
            service_workloads(&query.arms).map(|name| format!("{}/{name}", query.arms.namespace)).to_vec()
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
    let names = service_names(query)?;
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
    if first.scope == Scope::Arms && first.arms.canary_pods.is_some() && counted.by.by == ArmKind::Service {
        return Err(PromqlError::CallersPods);
    }
    let mut arms = Vec::new();
    for query in queries {
        arms.extend(patterns(counted.by.by, query)?);
    }
    let namespaces = queries.iter().map(|query| query.arms.namespace.as_str()).collect();
    let place = (first.scope != Scope::Selected).then(|| ArmMatchers::joined(namespaces, arms));
    let IncrementsQuery { warm_up_seconds, whole_pods, .. } = **first;
    let window_seconds = first.piece_seconds.unwrap_or(first.window_seconds).min(first.window_seconds);
    let span = Span { window_seconds, warm_up_seconds, whole_pods };
    let mut parts = Vec::new();
    for series in &counted.reports {
        parts.push(series_text(span, &counted.by, series, place.as_ref())?);
    }
    let parts = parts.join(" or ");
    let series = match first.scope {
        Scope::Arms => by_arm(&counted.by, &parts, &first.arms)?,
        scope => named(scope, &counted.by, &parts),
    };
    Ok(over_time(first, format!("sum by (arm) ({series})")))
}

/// The sum of the pieces of a long window. The steps of a subquery lie on the grid of its resolution.
fn over_time(query: &IncrementsQuery, piece: String) -> String {
    match query.piece_seconds.filter(|seconds| *seconds < query.window_seconds) {
        Some(seconds) => format!("sum_over_time(({piece})[{}s:{seconds}s])", query.window_seconds),
        None => piece,
    }
}

/// Where the arms are, as regular expressions.
pub(super) struct ArmMatchers {
    namespaces: String,
    arms: String,
}

impl ArmMatchers {
    /// Of one or several pairs of arms.
    pub fn of(by: &ArmsBy, pairs: &[&Arms]) -> Result<Self, PromqlError> {
        let mut arms = Vec::new();
        for pair in pairs {
            let (canary, stable) = arm_patterns(by.by, pair)?;
            arms.extend([canary, stable]);
        }
        Ok(Self::joined(pairs.iter().map(|pair| pair.namespace.as_str()).collect(), arms))
    }

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

/// Gives every series its arm: `namespace/ReplicaSet`, or `service.namespace`; of a whole service, without the revision's id.
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
        ArmKind::Service => {
            format!(r#"label_replace({series}, "arm", "$2", "{label}", "(.*[|])?([^.|]+[.][^.]+)[.]svc([.].*)?")"#)
        }
    }
}

/// The series with their arms, also where the canary is some pods of a workload.
pub(super) fn by_arm(by: &ArmsBy, series: &str, arms: &Arms) -> Result<String, PromqlError> {
    match &arms.canary_pods {
        Some(_) if by.by == ArmKind::Service => Err(PromqlError::CallersPods),
        Some(pods) => Ok(chosen(by, &named(Scope::Arms, by, series), pods)),
        None => Ok(named(Scope::Arms, by, series)),
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
        let label = own.pod_label().to_owned();
        let by = ArmsBy { by: ArmKind::Pod, label, namespace_label: Some(own.namespace_label().to_owned()) };
        // The total of the same pods is the better witness: it has series before the first bad event.
        let labels = |counter: &&PrometheusCounter| {
            counter.pod_label() == own.pod_label() && counter.namespace_label() == own.namespace_label()
        };
        let witness = query.total.prometheus.as_ref().filter(labels).unwrap_or(own).counter.clone();
        let (selectors, pod) = (vec![own.counter.clone()], label_name(own.pod_label()));
        return Ok(Counted { by, reports: vec![Series { side: Side::Server, selectors, witness, pod }] });
    }
    if counter.builtin.is_none() {
        return Err(PromqlError::NoCounter);
    }
    let errors = bad_counter(counter, bad);
    let file = pack_file(query.pack).map_err(PromqlError::Pack)?;
    let series = |report: &Report| Series {
        side: report.side,
        selectors: if errors { report.errors.clone() } else { report.requests.clone() },
        witness: report.witness.clone(),
        pod: "pod".to_owned(),
    };
    Ok(Counted { by: file.arms.clone(), reports: file.reports.iter().map(series).collect() })
}

/// How the arms of a user's own series are distinguished: they lie on the serving pods.
pub(super) fn by_pod() -> ArmsBy {
    ArmsBy { by: ArmKind::Pod, label: "pod".to_owned(), namespace_label: Some("namespace".to_owned()) }
}

/// The counter defines its own type, wherever it is used.
fn bad_counter(counter: &Counter, bad: bool) -> bool {
    counter.builtin.map_or(bad, |builtin| builtin == Builtin::Errors)
}

/// What each series grew by in the window.
pub(super) fn series_text(
    span: Span,
    by: &ArmsBy,
    series: &Series,
    place: Option<&ArmMatchers>,
) -> Result<String, PromqlError> {
    let bound = |text: &str| match place {
        Some(place) => place.bind(by, text).map(|selector| selector.to_string()),
        None => Ok(Selector::parse(text)?.to_string()),
    };
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
fn patterns(kind: ArmKind, query: &IncrementsQuery) -> Result<[String; 2], PromqlError> {
    let of_service = |id: &str| service_workloads(&query.arms).map(|name| format!("{}-{id}", escaped(name)));
    match kind {
        _ if query.scope == Scope::Selected => Ok([String::new(), String::new()]),
        ArmKind::Workload if query.scope == Scope::Service => Ok(of_service("[a-z0-9]+")),
        // An id has 8 to 10 characters and a pod's own suffix has 5: pods of another workload whose name goes on are none.
        ArmKind::Pod if query.scope == Scope::Service => Ok(of_service("[a-z0-9]{8,10}-[a-z0-9]{5}")),
        _ => {
            let (canary, stable) = arm_patterns(kind, &query.arms)?;
            Ok([canary, stable])
        }
    }
}

/// Regular expressions (anchored by PromQL) for the arm label of canary and stable.
fn arm_patterns(kind: ArmKind, arms: &Arms) -> Result<(String, String), PromqlError> {
    let pattern = |workload: &str, service: &Option<String>| -> Result<String, PromqlError> {
        match kind {
            ArmKind::Workload => Ok(escaped(workload)),
            ArmKind::Pod => Ok(format!("{}-.*", escaped(workload))),
            ArmKind::Service => {
                let service = service.as_deref().ok_or(PromqlError::NoService)?;
                Ok(format!("(.*[|])?{}[.]{}[.]svc([.].*)?", escaped(service), escaped(&arms.namespace)))
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
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::analysis::Pack;

    pub(super) fn query(pack: Pack) -> IncrementsQuery {
        let builtin = |builtin| Counter { builtin: Some(builtin), prometheus: None };
        IncrementsQuery {
            bad: builtin(Builtin::Errors),
            total: builtin(Builtin::Requests),
            pack,
            arms: Arms {
                namespace: "shop".into(),
                canary: "checkout-k3v9x2m1qa".into(),
                stable: "checkout-b7d0c41hze".into(),
                canary_service: Some("checkout-canary".into()),
                stable_service: Some("checkout".into()),
                canary_pods: None,
            },
            end: Timestamp::UNIX_EPOCH,
            window_seconds: 15,
            piece_seconds: None,
            scope: Scope::Arms,
            warm_up_seconds: 120,
            whole_pods: false,
            bad_comes_later: false,
        }
    }

    fn own_counters() -> IncrementsQuery {
        let own = |counter: &str| Counter { builtin: None, prometheus: Some(PrometheusCounter::of(counter)) };
        let (bad, total) = (own(r#"orders_total{outcome="lost"}"#), own("orders_total"));
        IncrementsQuery { bad, total, warm_up_seconds: 0, ..query(Pack::Istio) }
    }

    pub(super) fn shown(query: &IncrementsQuery) -> String {
        let text = increments(&[query]).unwrap();
        format!("bad:\n{}\n\ntotal:\n{}\n", text.bad, text.total)
    }

    #[test]
    fn texts_of_the_packs() {
        insta::assert_snapshot!("istio", shown(&query(Pack::Istio)));
        insta::assert_snapshot!("envoy", shown(&query(Pack::Envoy)));
        insta::assert_snapshot!("application", shown(&query(Pack::Application)));
        insta::assert_snapshot!("own_counters_without_warm_up", shown(&own_counters()));
    }

    /// With the parts that name arms and namespaces taken away, the text is the one that promtool has proved.
    #[test]
    fn the_formula_is_the_vectors_one() {
        let vectors: serde_yaml::Value =
            serde_yaml::from_str(include_str!("../../../tests/vectors/increments.promtool.yml")).unwrap();
        let proved = vectors["tests"][0]["promql_expr_test"][0]["expr"].as_str().unwrap();
        let mut query = query(Pack::Application);
        query.total = Counter { builtin: None, prometheus: Some(PrometheusCounter::of("req")) };
        query.warm_up_seconds = 0;
        let matchers = r#"{namespace=~"shop",pod=~"checkout-k3v9x2m1qa-.*|checkout-b7d0c41hze-.*"}"#;
        let text = increments(&[&query]).unwrap().total.replace(matchers, "");
        let inner =
            proved.strip_prefix("sum by (arm) ").unwrap().replace(r#"req{code="200"}"#, "req").replace(")/2", ") / 2");
        assert!(text.contains(&inner), "{text}\n does not hold\n{inner}");
    }

    /// promtool proves the texts in the vectors; this proves that they are ours.
    #[test]
    fn the_proved_texts_of_the_packs_are_these() {
        let vectors: serde_yaml::Value =
            serde_yaml::from_str(include_str!("../../../tests/vectors/packs.promtool.yml")).unwrap();
        let mut ours: Vec<String> = Vec::new();
        let service =
            IncrementsQuery { scope: Scope::Service, window_seconds: 300, piece_seconds: Some(60), ..own_counters() };
        let packs = [Pack::Istio, Pack::Envoy, Pack::Application].map(query);
        for query in packs.into_iter().chain([own_counters(), service]) {
            let text = increments(&[&query]).unwrap();
            ours.extend([text.bad, text.total]);
        }
        for test in vectors["tests"].as_sequence().unwrap() {
            for proved in test["promql_expr_test"].as_sequence().unwrap() {
                assert!(ours.iter().any(|text| *text == proved["expr"].as_str().unwrap()), "{proved:?}");
            }
        }
    }

    /// Counters of a federation or a gateway name the serving pod in another label, and OpenTelemetry's names have dots.
    #[test]
    fn own_counters_name_the_pod_in_any_label() {
        let own = |counter: &str, pod: &str, namespace: &str| {
            let labels = (Some(pod.to_owned()), Some(namespace.to_owned()));
            let own =
                PrometheusCounter { pod_label: labels.0, namespace_label: labels.1, ..PrometheusCounter::of(counter) };
            Counter { builtin: None, prometheus: Some(own) }
        };
        let (bad, total) = (r#"{"http.requests","code"=~"5.."}"#, r#"{"http.requests"}"#);
        let otel = IncrementsQuery {
            bad: own(bad, "k8s.pod.name", "k8s.namespace.name"),
            total: own(total, "k8s.pod.name", "k8s.namespace.name"),
            ..query(Pack::Istio)
        };
        insta::assert_snapshot!("own_counters_with_quoted_names", shown(&otel));
        let exported = IncrementsQuery { total: own("all", "exported_pod", "exported_namespace"), ..otel };
        let text = increments(&[&exported]).unwrap();
        assert!(text.total.contains(r#"all{exported_namespace=~"shop",exported_pod=~"checkout-"#), "{}", text.total);
        assert!(text.total.contains("and on (exported_pod) group by (exported_pod) (all{"), "{}", text.total);
        assert!(!text.bad.contains("exported_pod"), "a counter with other labels is no witness: {}", text.bad);
        assert_eq!(arm_names(&exported).unwrap().0, "shop/checkout-k3v9x2m1qa");
    }

    #[test]
    fn an_arm_without_a_service_cannot_be_told_by_envoy() {
        let mut query = query(Pack::Envoy);
        query.arms.canary_service = None;
        assert_eq!(increments(&[&query]), Err(PromqlError::NoService));
    }

    #[test]
    fn samples_become_counts_by_arm() {
        let samples =
            |list: &[(&str, f64)]| list.iter().map(|(arm, value)| ((*arm).to_owned(), *value)).collect::<Vec<_>>();
        let (canary, stable) = ("shop/checkout-k3v9x2m1qa", "shop/checkout-b7d0c41hze");
        let query = query(Pack::Application);
        let total = samples(&[(canary, 2.0), (stable, 600.0), ("", 9.0), ("cart/checkout-b7d0c41hze", 7.0)]);
        let answer = counts(&query, &samples(&[(canary, 3.0)]), &total).unwrap();
        let Answer::Increments { canary, stable, notes } = answer else { panic!("not increments") };
        assert_eq!(canary, Some(ArmCounts { bad: 2, total: 2 }));
        assert_eq!(stable, Some(ArmCounts { bad: 0, total: 600 }));
        assert_eq!(notes, ["canary: 3 bad of 2 events (scraped apart); counted as 2"]);
        let none = counts(&query, &[], &[]).unwrap();
        assert_eq!(none, Answer::Increments { canary: None, stable: None, notes: vec![] });
        let later = IncrementsQuery { bad_comes_later: true, ..query };
        let answer = counts(&later, &samples(&[("shop/checkout-k3v9x2m1qa", 3.0)]), &total).unwrap();
        let Answer::Increments { canary, notes, .. } = answer else { panic!("not increments") };
        assert_eq!((canary, notes), (Some(ArmCounts { bad: 3, total: 2 }), vec![]));
    }

    #[test]
    fn over_an_hour_a_young_pod_counts_whole() {
        let long =
            IncrementsQuery { window_seconds: 3600, warm_up_seconds: 0, whole_pods: true, ..query(Pack::Application) };
        let total = increments(&[&long]).unwrap().total;
        assert!(total.contains("offset 3600s)") && !total.contains("group by (pod)"), "{total}");
    }

    #[test]
    fn a_service_is_all_revisions_counted_in_pieces() {
        let service = |pack| IncrementsQuery {
            scope: Scope::Service,
            window_seconds: 3600,
            piece_seconds: Some(60),
            warm_up_seconds: 0,
            ..query(pack)
        };
        insta::assert_snapshot!("service_by_pods", shown(&service(Pack::Application)));
        let istio = increments(&[&service(Pack::Istio)]).unwrap().total;
        assert!(istio.contains(r#"destination_workload=~"checkout-[a-z0-9]+""#), "{istio}");
        assert!(istio.starts_with("sum_over_time((sum by (arm) (") && istio.ends_with(")[3600s:60s])"), "{istio}");
        assert!(istio.contains("offset 60s") && !istio.contains("offset 3600s"), "{istio}");
        let short = IncrementsQuery { window_seconds: 60, ..service(Pack::Istio) };
        assert!(!increments(&[&short]).unwrap().total.contains("sum_over_time"), "one piece needs no subquery");
        let envoy = increments(&[&service(Pack::Envoy)]).unwrap().total;
        assert!(envoy.contains("checkout-canary[.]shop[.]svc") && envoy.contains("checkout[.]shop[.]svc"), "{envoy}");
        assert!(!are_alike(&service(Pack::Istio), &query(Pack::Istio)));
    }

    #[test]
    fn a_services_samples_are_summed() {
        let samples = |list: &[(&str, f64)]| -> Vec<(String, f64)> {
            list.iter().map(|(arm, value)| ((*arm).to_owned(), *value)).collect()
        };
        let service = |pack| IncrementsQuery { scope: Scope::Service, ..query(pack) };
        let total = samples(&[("shop/checkout", 600.4), ("shop/checkout-api", 9.0), ("cart/checkout", 7.0)]);
        let answer = counts(&service(Pack::Application), &samples(&[("shop/checkout", 3.0)]), &total).unwrap();
        let expected = |bad, total| Answer::Events { counts: Some(ArmCounts { bad, total }), notes: Vec::new() };
        assert_eq!(answer, expected(3, 600));
        let both = samples(&[("checkout.shop", 500.0), ("checkout-canary.shop", 50.0)]);
        assert_eq!(counts(&service(Pack::Envoy), &[], &both).unwrap(), expected(0, 550));
        let none = Answer::Events { counts: None, notes: Vec::new() };
        assert_eq!(counts(&service(Pack::Istio), &[], &[]).unwrap(), none);
        let Answer::Events { counts: clamped, notes } =
            counts(&service(Pack::Istio), &samples(&[("shop/checkout", 9.0)]), &samples(&[("shop/checkout", 5.0)]))
                .unwrap()
        else {
            panic!("no events")
        };
        assert_eq!((clamped, notes.len()), (Some(ArmCounts { bad: 5, total: 5 }), 1));
    }

    #[test]
    fn counters_of_the_users_own_are_taken_as_they_select() {
        let selected = IncrementsQuery { scope: Scope::Selected, ..own_counters() };
        let text = increments(&[&selected]).unwrap();
        assert!(
            text.bad.contains(r#"orders_total{outcome="lost"} offset 15s"#) && !text.bad.contains("=~"),
            "{}",
            text.bad
        );
        let one = |value| vec![(String::new(), value)];
        let answer = counts(&selected, &one(2.0), &one(80.0)).unwrap();
        assert_eq!(answer, Answer::Events { counts: Some(ArmCounts { bad: 2, total: 80 }), notes: Vec::new() });
    }

    #[test]
    fn several_rollouts_share_a_query() {
        let shop = query(Pack::Istio);
        let cart = IncrementsQuery {
            arms: Arms {
                namespace: "cart".into(),
                canary: "cart-2".into(),
                stable: "cart-1".into(),
                ..Arms::default()
            },
            ..shop.clone()
        };
        assert!(are_alike(&shop, &cart));
        assert!(!are_alike(&shop, &IncrementsQuery { warm_up_seconds: 0, ..shop.clone() }));
        let total = increments(&[&shop, &cart]).unwrap().total;
        assert!(total.contains(r#"destination_workload_namespace=~"cart|shop""#), "{total}");
        assert!(total.contains(r#"=~"checkout-k3v9x2m1qa|checkout-b7d0c41hze|cart-2|cart-1""#), "{total}");
        assert_eq!(arm_names(&cart).unwrap(), ("cart/cart-2".to_owned(), "cart/cart-1".to_owned()));
        let envoy = arm_names(&query(Pack::Envoy)).unwrap();
        assert_eq!(envoy, ("checkout-canary.shop".to_owned(), "checkout.shop".to_owned()));
    }
}

//! The PromQL that counts a histogram's buckets in one window, and the reading of its answer.
//!
//! A classic histogram has a counter for each bound, `NAME_bucket{le="0.25"}`, counted like any other counter
//! ([`promql`](super::promql)) and summed by arm and bound. `le` is a text there, written in several ways (`1`, `1.0`,
//! `1e+06`): all of a bound's are asked for, and answers are compared as numbers.
//!
//! A native histogram is one series; differences and sums of it are histograms. Whether it grew, was reset or was born is
//! read off `histogram_count`. For a histogram `m` and a window `W`:
//!
//! ```text
//! ((m - m offset W) and (histogram_count(m) - histogram_count(m offset W) >= 0))
//! or (m and (histogram_count(m) < histogram_count(m offset W) / 2))
//! or ((m unless m offset W) and on (pod) group by (pod) (histogram_count(m offset W)))
//! ```

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    answer::{Answerer, Data, Failed, data, number},
    pack::{ArmsBy, Side, pack_file},
    promql::{
        PromqlError, Series, Span, arms_called, by_arm, by_pod, over_time, place_of, series_text, service_names, warm,
    },
    selector::{Selector, label_name},
};
use crate::{
    api::analysis::{Arms, PrometheusHistogram, TimeUnit},
    evidence::{Answer, Bucket, BucketKind, BucketsQuery, Histogram, Scope},
};

/// Buckets that an arm's answer has at most. The finest native histogram has 160.
const MOST_BUCKETS: usize = 1024;

/// Samples of an answer.
pub type BucketSamples = Vec<Sample>;

/// One series of an answer: a number for one bound, or a histogram.
#[derive(Debug, Deserialize)]
pub struct Sample {
    #[serde(default)]
    metric: HashMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    histogram: Option<(f64, Native)>,
}

/// A native histogram; buckets are [boundary rule, lower bound, upper bound, count], without empty ones.
#[derive(Debug, Default, Deserialize)]
struct Native {
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

/// Where a histogram's series are.
struct Source {
    by: ArmsBy,
    side: Side,
    selector: Selector,
    unit: TimeUnit,
    /// The label with the name of the pod that counts, as PromQL writes it.
    pod: String,
}

/// The selector and unit of a histogram of the user's own.
pub fn own(own: &PrometheusHistogram) -> Result<(Selector, TimeUnit), PromqlError> {
    let selector = Selector::parse(&own.histogram)?;
    if selector.name().is_empty() {
        return Err(PromqlError::NoName(own.histogram.clone()));
    }
    let unit = own.unit.unwrap_or_else(|| TimeUnit::of_name(selector.name()));
    Ok((selector, unit))
}

/// The first and the other places of its series; the units are the same.
fn sources(query: &BucketsQuery) -> Result<(Source, Vec<Source>), PromqlError> {
    if let Some(named) = &query.histogram.prometheus {
        let (selector, unit) = own(named)?;
        let (by, pod) = (by_pod(named.pod_label(), named.namespace_label()), label_name(named.pod_label()));
        return Ok((Source { by, side: Side::Server, selector, unit, pod }, Vec::new()));
    }
    if query.histogram.builtin.is_none() {
        return Err(PromqlError::NoHistogram);
    }
    let file = pack_file(query.pack).map_err(PromqlError::Pack)?;
    let mut sources = file.reports.iter().filter_map(|report| {
        let (by, duration) = (report.arms.as_ref().unwrap_or(&file.arms).clone(), report.duration.as_ref()?);
        let selector = Selector::parse(&duration.histogram);
        let (side, unit, pod) = (report.side, duration.unit, "pod".to_owned());
        Some(selector.map(|selector| Source { by, side, selector, unit, pod }))
    });
    let first = sources.next().ok_or(PromqlError::NoDuration)??;
    Ok((first, sources.collect::<Result<_, _>>()?))
}

/// Whether one query can answer both: alike but for their arms and bounds.
pub fn are_alike(one: &BucketsQuery, other: &BucketsQuery) -> bool {
    if one.arms.canary_pods.is_some() || other.arms.canary_pods.is_some() {
        return false;
    }
    let but_arms = |query: &BucketsQuery| {
        let kind = match &query.kind {
            BucketKind::Classic(bounds) if !bounds.is_empty() => BucketKind::Classic(vec![f64::INFINITY]),
            kind => kind.clone(),
        };
        BucketsQuery { arms: Arms::default(), kind, ..query.clone() }
    };
    but_arms(one) == but_arms(other)
}

/// The query's text for one or several questions that are alike, to be evaluated at the window's end.
pub fn text(queries: &[&BucketsQuery]) -> Result<String, PromqlError> {
    let Some(first) = queries.first() else { return Err(PromqlError::NoHistogram) };
    let (source, others) = sources(first)?;
    let all: Vec<Source> = std::iter::once(source).chain(others).collect();
    if first.scope == Scope::Arms
        && first.arms.canary_pods.is_some()
        && all.iter().all(|source| source.side == Side::Caller)
    {
        return Err(PromqlError::CallersPods);
    }
    let parts: Result<Vec<String>, _> = all.into_iter().map(|source| grown(source, queries, first)).collect();
    let labels = if matches!(first.kind, BucketKind::Native) { "arm" } else { "arm, le" };
    let sum = format!("sum by ({labels}) ({})", parts?.join(" or "));
    Ok(over_time(first.window_seconds, first.piece_seconds, sum))
}

/// What the series of one place grew by, with their arms.
fn grown(source: Source, queries: &[&BucketsQuery], first: &BucketsQuery) -> Result<String, PromqlError> {
    let arms: Vec<&Arms> = queries.iter().map(|query| &query.arms).collect();
    let place = place_of(&source.by, first.scope, &arms)?;
    let BucketsQuery { warm_up_seconds, whole_pods, .. } = *first;
    let window_seconds = first.piece_seconds.unwrap_or(first.window_seconds).min(first.window_seconds);
    let span = Span { window_seconds, warm_up_seconds, whole_pods };
    let grown = match &first.kind {
        BucketKind::Classic(_) => {
            let mut buckets = source.selector.ending("_bucket");
            let bounds = all_bounds(queries);
            if !bounds.is_empty() {
                buckets.push(&format!(r#"le=~"{}""#, spellings(&bounds)));
            }
            let (witness, selectors) = (source.selector.ending("_count").to_string(), vec![buckets.to_string()]);
            let (by, pod) = (source.by.clone(), source.pod.clone());
            series_text(span, &Series { by, side: source.side, selectors, witness, pod }, place.as_ref())?
        }
        BucketKind::Native => {
            let text = source.selector.to_string();
            let m = match &place {
                Some(place) => place.bind(&source.by, &text)?.to_string(),
                None => text,
            };
            native(span, &source, &m)
        }
    };
    by_arm(first.scope, &source.by, &grown, &first.arms)
}

/// The bounds that any of them asks for.
fn all_bounds(queries: &[&BucketsQuery]) -> Vec<f64> {
    let of =
        |query: &&BucketsQuery| if let BucketKind::Classic(bounds) = &query.kind { bounds.clone() } else { vec![] };
    let mut bounds: Vec<f64> = queries.iter().flat_map(of).collect();
    bounds.sort_by(f64::total_cmp);
    bounds.dedup();
    bounds
}

fn native(span: Span, source: &Source, m: &str) -> String {
    let (window, pod) = (span.window_seconds, &source.pod);
    let (now, before) = (format!("histogram_count({m})"), format!("histogram_count({m} offset {window}s)"));
    let born = if span.whole_pods {
        format!("({m} unless {m} offset {window}s)")
    } else {
        format!("(({m} unless {m} offset {window}s) and on ({pod}) group by ({pod}) ({before}))")
    };
    let grown = format!(
        "(({m} - {m} offset {window}s) and ({now} - {before} >= 0)) or ({m} and ({now} < {before} / 2)) or {born}"
    );
    warm(span, &source.by, (source.side, pod), &grown, |ago| format!("histogram_count({m} offset {ago}s)"))
}

/// A regular expression of how these bounds, and infinity, may be written.
fn spellings(bounds: &[f64]) -> String {
    let mut all: Vec<String> = bounds.iter().flat_map(|bound| spelled(*bound)).collect();
    all.push("+Inf".to_owned());
    all.dedup();
    all.join("|").replace('.', "[.]").replace('+', "[+]")
}

/// `0.25`; `1` and `1.0`; `1000000`, `1000000.0` and `1e+06`.
fn spelled(bound: f64) -> Vec<String> {
    let plain = bound.to_string();
    let point = if plain.contains('.') { None } else { Some(format!("{plain}.0")) };
    let exponent = (!(1e-4..1e6).contains(&bound)).then(|| {
        let text = format!("{bound:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
        format!("{digits}e{sign}{exponent:0>2}")
    });
    [Some(plain), point, exponent].into_iter().flatten().collect()
}

/// The samples in an HTTP answer.
pub fn read(from: Answerer<'_>, status: u16, body: &[u8]) -> Result<BucketSamples, Failed> {
    match data(from, status, body)? {
        Some(Data::Vector(samples)) => Ok(samples),
        _ => Err(Failed::lasting("the query for a histogram returns no instant vector".to_owned())),
    }
}

/// Both arms' histograms, or the service's. A window with a negative count, after a reset that nothing else shows, is dropped
/// with a note.
pub fn answer(query: &BucketsQuery, samples: &[Sample]) -> Result<Answer, PromqlError> {
    let (source, _) = sources(query)?;
    let unit = source.unit.seconds();
    if query.scope != Scope::Arms {
        let names = service_names(query.scope, &source.by, &query.arms)?;
        return Ok(match of_arms(&query.kind, samples, &names) {
            Ok(times) => Answer::Times { times, unit, notes: Vec::new() },
            Err(odd) => Answer::Times { times: None, unit, notes: vec![format!("dropped windows: {odd}")] },
        });
    }
    let (canary, stable) = arms_called(&source.by, &query.arms)?;
    let arm = |name: String| of_arms(&query.kind, samples, &[name]);
    Ok(match (arm(canary), arm(stable)) {
        (Ok(canary), Ok(stable)) => Answer::Buckets { canary, stable, unit, notes: Vec::new() },
        (Err(odd), _) | (_, Err(odd)) => {
            Answer::Buckets { canary: None, stable: None, unit, notes: vec![format!("dropped windows: {odd}")] }
        }
    })
}

/// The histogram of some arms together.
fn of_arms(kind: &BucketKind, samples: &[Sample], names: &[String]) -> Result<Option<Histogram>, Odd> {
    let is_own = |sample: &&Sample| names.contains(sample.metric.get("arm").unwrap_or(&String::new()));
    let own: Vec<&Sample> = samples.iter().filter(is_own).collect();
    match kind {
        _ if own.is_empty() => Ok(None),
        BucketKind::Native => {
            let all = own.iter().filter_map(|sample| sample.histogram.as_ref()).map(|(_, native)| filled(native));
            let all = all.collect::<Result<Vec<_>, Odd>>()?;
            Ok((!all.is_empty()).then(|| Histogram::new(all.into_iter().flatten())))
        }
        BucketKind::Classic(_) => classic(&own).map(Some),
    }
}

/// What is wrong with an arm's buckets.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
enum Odd {
    #[error("a bucket's count fell, as after a counter reset")]
    Negative,
    #[error("a bucket is not a number")]
    NoNumber,
    #[error("an arm has more than {} buckets", MOST_BUCKETS)]
    TooMany,
}

fn filled(native: &Native) -> Result<Vec<Bucket>, Odd> {
    if native.buckets.len() > MOST_BUCKETS {
        return Err(Odd::TooMany);
    }
    let bucket = |(_, lo, hi, count): &(u8, String, String, String)| {
        let [lo, hi] = [lo, hi].map(|bound| number(bound).map_err(|_| Odd::NoNumber));
        // The zero bucket reaches below zero; a duration does not.
        Ok(Bucket { lo: lo?.max(0.0), hi: hi?, count: whole(count)? })
    };
    native.buckets.iter().map(bucket).collect()
}

fn classic(samples: &[&Sample]) -> Result<Histogram, Odd> {
    if samples.len() > MOST_BUCKETS {
        return Err(Odd::TooMany);
    }
    let below = |sample: &&Sample| {
        let bound = sample.metric.get("le").ok_or(Odd::NoNumber)?;
        let bound = number(bound).map_err(|_| Odd::NoNumber)?;
        let (_, count) = sample.value.as_ref().ok_or(Odd::NoNumber)?;
        Ok((bound, whole(count)?))
    };
    Histogram::cumulative(samples.iter().map(below).collect::<Result<Vec<_>, Odd>>()?).ok_or(Odd::Negative)
}

/// A count; sums of many pods may be off a whole number by a last bit.
fn whole(text: &str) -> Result<u64, Odd> {
    let value = number(text).map_err(|_| Odd::NoNumber)?;
    match value.round() {
        value if value.is_nan() || value.is_infinite() => Err(Odd::NoNumber),
        value if value < 0.0 => Err(Odd::Negative),
        value => Ok(value as u64),
    }
}

#[cfg(test)]
#[path = "buckets_tests.rs"]
mod tests;

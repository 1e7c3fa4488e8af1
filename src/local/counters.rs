//! The demo's metrics: what a Prometheus would know about the pods, counted by the pods themselves, second by second.
//!
//! Each pod is one series, as a sidecar's inbound counters are. Seconds of the clock are the grid, so a window's increments
//! are sums of whole buckets; the rules of analysis.md section 2 hold (births count, a vanished pod drops out, warm-up is
//! per pod and for both arms).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;

use crate::{
    api::analysis::Builtin,
    evidence::{Answer, ArmCounts, IncrementsQuery, Query, Scope},
    ports::{
        Clock,
        source::{Asking, Fault, Source, SourceError},
    },
};

/// How long buckets are kept, in seconds: longer than any window that is read back, and as long as the longest window of a burn
/// rate.
const KEPT: i64 = 21_600;

/// One pod's counts.
pub struct Series {
    workload: String,
    born: i64,
    clock: Arc<dyn Clock>,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: ArmCounts,
    by_second: BTreeMap<i64, ArmCounts>,
    ended: Option<i64>,
}

impl Counts {
    fn between(&self, start: i64, end: i64) -> ArmCounts {
        let mut sum = ArmCounts::default();
        self.by_second.range(start..end).for_each(|(_, bucket)| add(&mut sum, *bucket));
        sum
    }
}

impl Series {
    /// Counts one answered request.
    pub fn count(&self, bad: bool) {
        let second = self.clock.now().as_second();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let bucket = counts.by_second.entry(second).or_default();
        add(bucket, ArmCounts { bad: u64::from(bad), total: 1 });
        add(&mut counts.all, ArmCounts { bad: u64::from(bad), total: 1 });
        if counts.by_second.len() > KEPT as usize {
            counts.by_second.pop_first();
        }
    }

    /// The pod is gone: the series ends.
    pub fn end(&self) {
        let now = self.clock.now().as_second();
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).ended = Some(now);
    }

    /// What the pod has answered so far.
    pub fn so_far(&self) -> ArmCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).all
    }

    /// What it answered from `start` up to `end`; `None` when it has no say in that window.
    fn window(&self, start: i64, end: i64, warm_up: i64) -> Option<ArmCounts> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = counts.ended.is_some_and(|ended| ended < end);
        if gone || self.born + warm_up > end {
            return None;
        }
        Some(counts.between(start, end))
    }

    /// The same of a pod that may be new or gone.
    fn between(&self, start: i64, end: i64) -> ArmCounts {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).between(start, end)
    }
}

/// The counters of all pods that ever were.
pub struct Counters {
    clock: Arc<dyn Clock>,
    series: Mutex<Vec<Arc<Series>>>,
}

impl Counters {
    /// No pods yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Counters { clock, series: Mutex::new(Vec::new()) }
    }

    /// A new pod's series.
    pub fn series(&self, workload: &str) -> Arc<Series> {
        let series = Arc::new(Series {
            workload: workload.to_owned(),
            born: self.clock.now().as_second(),
            clock: self.clock.clone(),
            counts: Mutex::default(),
        });
        self.series.lock().unwrap_or_else(PoisonError::into_inner).push(series.clone());
        series
    }

    /// What a workload's pods have answered so far, the ones that are gone included.
    pub fn so_far(&self, workload: &str) -> ArmCounts {
        self.sum(|series| (series.workload == workload).then(|| series.so_far())).unwrap_or_default()
    }

    /// What all pods have answered so far.
    pub fn in_all(&self) -> ArmCounts {
        self.sum(|series| Some(series.so_far())).unwrap_or_default()
    }

    fn sum(&self, counted: impl Fn(&Series) -> Option<ArmCounts>) -> Option<ArmCounts> {
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        series.iter().filter_map(|series| counted(series)).reduce(|mut sum, counts| {
            add(&mut sum, counts);
            sum
        })
    }

    fn increments(&self, query: &IncrementsQuery) -> Result<Answer, SourceError> {
        let (Some(bad), Some(total)) = (query.bad.builtin, query.total.builtin) else {
            let message = "only builtin requests and errors are counted in local mode; use {builtin: errors}, {builtin: requests}";
            return Err(SourceError::new(Fault::Refused, message.into()));
        };
        let end = query.end.as_second();
        let start = end - i64::from(query.window_seconds);
        let warm_up = i64::from(query.warm_up_seconds);
        if query.scope != Scope::Arms {
            return self.service(start, end, bad, total);
        }
        let arm = |workload: &str| {
            let counted = |series: &Series| series.window(start, end, warm_up).filter(|_| series.workload == workload);
            self.sum(counted).map(|counts| ArmCounts { bad: pick(bad, counts), total: pick(total, counts) })
        };
        Ok(Answer::Increments { canary: arm(&query.arms.canary), stable: arm(&query.arms.stable), notes: Vec::new() })
    }
}

impl Counters {
    /// What all pods counted, the ones that are gone included.
    fn service(&self, start: i64, end: i64, bad: Builtin, total: Builtin) -> Result<Answer, SourceError> {
        if end - start > KEPT {
            let message = format!("local mode keeps counts for {} h; a longer window needs a Prometheus", KEPT / 3600);
            return Err(SourceError::new(Fault::Refused, message));
        }
        let sum = self.sum(|series| Some(series.between(start, end)));
        let counts = sum.map(|counts| ArmCounts { bad: pick(bad, counts), total: pick(total, counts) });
        Ok(Answer::Events { counts, notes: Vec::new() })
    }
}

#[async_trait]
impl Source for Counters {
    async fn answer(&self, _: &Asking<'_>, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let answer = |query: &Query| match query {
            Query::Increments(increments) => self.increments(increments),
            Query::Buckets(_) => {
                let message =
                    "response times are not counted in local mode; use a ratio of the proxy's builtin counters";
                Err(SourceError::new(Fault::Refused, message.into()))
            }
            Query::Spread(_) => Ok(Answer::Spread(None)), // there are no pods
            Query::Scalar { .. } => Ok(Answer::Scalar(None)),
            Query::External { .. } => {
                let message = "local mode asks no source outside; its metrics are the requests that it counts";
                Err(SourceError::new(Fault::Refused, message.into()))
            }
            Query::Range { .. } => {
                let message = "local mode has no history of a query: an anomaly metric needs a Prometheus";
                Err(SourceError::new(Fault::Refused, message.into()))
            }
            Query::Pods(_) => {
                let message = "local mode has no pods, and knows no gauge of a process: remove the gauge metric";
                Err(SourceError::new(Fault::Refused, message.into()))
            }
        };
        queries.iter().map(answer).collect()
    }
}

fn pick(which: Builtin, counts: ArmCounts) -> u64 {
    match which {
        Builtin::Requests => counts.total,
        Builtin::Errors => counts.bad,
    }
}

fn add(sum: &mut ArmCounts, more: ArmCounts) {
    sum.bad += more.bad;
    sum.total += more.total;
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use jiff::Timestamp;

    use super::*;
    use crate::{
        api::analysis::{Arms, Counter, Pack, RunPrometheus},
        evidence::Scope,
    };

    struct Hand(AtomicI64);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_second(self.0.load(Ordering::SeqCst)).unwrap()
        }
    }

    async fn answered(counters: &Counters, queries: &[Query]) -> Vec<Result<Answer, SourceError>> {
        let prometheus = RunPrometheus::controller();
        counters.answer(&Asking { namespace: "shop", prometheus: &prometheus }, queries).await
    }

    fn ask(end: i64) -> Query {
        let counter = |builtin| Counter { builtin: Some(builtin), prometheus: None };
        Query::Increments(IncrementsQuery {
            bad: counter(Builtin::Errors),
            total: counter(Builtin::Requests),
            pack: Pack::Application,
            arms: Arms { canary: "shop-new".into(), stable: "shop-old".into(), ..Arms::default() },
            end: Timestamp::from_second(end).unwrap(),
            window_seconds: 2,
            piece_seconds: None,
            scope: Scope::Arms,
            warm_up_seconds: 3,
            whole_pods: false,
            bad_comes_later: false,
        })
    }

    #[tokio::test]
    async fn windows_count_each_answer_once_after_the_pods_warm_up() {
        let clock = Arc::new(Hand(AtomicI64::new(100)));
        let counters = Counters::new(clock.clone());
        let (old, gone) = (counters.series("shop-old"), counters.series("shop-old"));
        let mut new = None;
        for second in 100..112 {
            clock.0.store(second, Ordering::SeqCst);
            if second == 104 {
                new = Some(counters.series("shop-new"));
            }
            if second == 105 {
                gone.end();
            }
            old.count(second == 109);
            if second < 105 {
                gone.count(false);
            }
            new.iter().for_each(|series| series.count(true));
        }
        let counts = |bad, total| Some(ArmCounts { bad, total });
        for (end, canary, stable, why) in [
            (102, None, None, "everything is younger than the warm-up"),
            (104, None, counts(0, 4), "two stable pods, two seconds"),
            (106, None, counts(0, 2), "a vanished pod drops out, the canary is cold"),
            (108, counts(2, 2), counts(0, 2), "the canary is warm"),
            (110, counts(2, 2), counts(1, 2), "stable's bad answer"),
        ] {
            let answer = answered(&counters, &[ask(end)]).await.remove(0).unwrap();
            assert_eq!(answer, Answer::Increments { canary, stable, notes: Vec::new() }, "window to {end}: {why}");
        }
        let Query::Increments(alike) = ask(112) else { unreachable!() };
        let service = |window_seconds| IncrementsQuery { scope: Scope::Service, window_seconds, ..alike.clone() };
        let answer = answered(&counters, &[Query::Increments(service(12))]).await.remove(0).unwrap();
        assert_eq!(answer, Answer::Events { counts: counts(9, 25), notes: Vec::new() }, "the pods of all versions");
        let month = answered(&counters, &[Query::Increments(service(2_592_000))]).await.remove(0).unwrap_err();
        assert!(month.to_string().contains("keeps counts for 6 h"), "{month}");
        assert_eq!(counters.so_far("shop-new"), ArmCounts { bad: 8, total: 8 });
        assert_eq!(counters.in_all(), ArmCounts { bad: 9, total: 25 });
    }

    #[tokio::test]
    async fn what_the_demo_does_not_count_is_no_data() {
        let counters = Counters::new(Arc::new(Hand(AtomicI64::new(100))));
        let at = Timestamp::from_second(100).unwrap();
        let scalar = answered(&counters, &[Query::Scalar { query: "up".into(), at }]).await;
        assert_eq!(scalar, [Ok(Answer::Scalar(None))]);
        let range = Query::Range { query: "up".into(), start: at, end: at, step_seconds: 60 };
        let refused = answered(&counters, &[range]).await.remove(0).unwrap_err();
        assert!(refused.to_string().contains("needs a Prometheus"), "{refused}");
        let Query::Increments(mut foreign) = ask(100) else { unreachable!() };
        foreign.bad = Counter::default();
        let refused = answered(&counters, &[Query::Increments(foreign)]).await.remove(0).unwrap_err();
        assert!(refused.to_string().contains("builtin"));
    }
}

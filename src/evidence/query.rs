//! A question to a source, and its answer.

use jiff::Timestamp;

use crate::{
    api::analysis::{Arms, Counter, ExternalQuery, Histogram as HistogramOf, Pack},
    stats::histogram::Histogram,
};

/// A question to a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// How many bad and total events each arm had in the window that ends at `end`.
    Increments(IncrementsQuery),
    /// How many requests of each arm fell into each bucket in the window that ends at `end`.
    Buckets(BucketsQuery),
    /// The value of each pod at `at`.
    Pods(PodsQuery),
    /// How many bad and total events each of stable's pods had, window by window.
    Spread(SpreadQuery),
    /// One number: the only value at `at` of the user's own query.
    Scalar {
        /// Its text in the language of the source, arguments filled in.
        query: String,
        /// The evaluation time.
        at: Timestamp,
    },
    /// One number from a source other than Prometheus.
    External {
        /// Which, and what it is asked; arguments filled in.
        query: ExternalQuery,
        /// The time of the measurement.
        at: Timestamp,
    },
    /// One number after another: the values of the user's own query from `start` through `end`.
    Range {
        /// Its text in the language of the source, arguments filled in.
        query: String,
        /// The first evaluation time.
        start: Timestamp,
        /// The last one.
        end: Timestamp,
        /// Seconds between them, at least 1.
        step_seconds: u32,
    },
}

impl Query {
    /// The time of the measurement, of a question for one number.
    pub fn measured_at(&self) -> Option<Timestamp> {
        match self {
            Query::Scalar { at, .. } | Query::External { at, .. } => Some(*at),
            Query::Range { end, .. } => Some(*end),
            Query::Increments(_) | Query::Buckets(_) | Query::Pods(_) | Query::Spread(_) => None,
        }
    }
}

/// Whose events are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those of each arm.
    #[default]
    Arms,
    /// Those of the service as a whole: of all revisions' pods, where the arms are two of the revisions.
    Service,
    /// Those of every series that a counter of the user's own selects, whoever's they are.
    Selected,
}

/// A question for the increments of one window (analysis.md section 2).
#[derive(Clone, Debug, PartialEq)]
pub struct IncrementsQuery {
    /// The counter of bad events.
    pub bad: Counter,
    /// The counter of all events.
    pub total: Counter,
    /// Where builtin counters come from.
    pub pack: Pack,
    /// The two sides.
    pub arms: Arms,
    /// Whose events are counted.
    pub scope: Scope,
    /// The window's end.
    pub end: Timestamp,
    /// The window's length in whole seconds.
    pub window_seconds: u32,
    /// The length of the pieces that a long window is counted in, of which it holds a whole number: a pod that is gone at
    /// its end, or was not there at its start, counts in all pieces that it saw whole. `None`: in one piece.
    pub piece_seconds: Option<u32>,
    /// How old a pod's counters must be to count, in seconds.
    pub warm_up_seconds: u32,
    /// Whether a pod that is younger than the window counts with all it has counted so far. In a short window most of that
    /// may lie before it; in a long one a rate would be missed otherwise.
    pub whole_pods: bool,
    /// Whether bad events may belong to the total of an earlier window, as a conversion comes later than the user: then
    /// there may be more of them than of all events, and that is not odd.
    pub bad_comes_later: bool,
}

/// A question for the increments of a histogram's buckets in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct BucketsQuery {
    /// The histogram.
    pub histogram: HistogramOf,
    /// Which of its series are read.
    pub kind: BucketKind,
    /// Where a builtin histogram comes from.
    pub pack: Pack,
    /// The two sides.
    pub arms: Arms,
    /// Whose requests are counted.
    pub scope: Scope,
    /// The window's end.
    pub end: Timestamp,
    /// The window's length in whole seconds.
    pub window_seconds: u32,
    /// The length of the pieces that a long window is counted in, as of counters. `None`: in one piece.
    pub piece_seconds: Option<u32>,
    /// How old a pod's series must be to count, in seconds.
    pub warm_up_seconds: u32,
    /// Whether a pod that is younger than the window counts with all it has counted so far.
    pub whole_pods: bool,
}

/// How a histogram is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum BucketKind {
    /// As one native series.
    Native,
    /// As one series per bound, of which these are read, in the unit of the histogram; all where none is named.
    Classic(Vec<f64>),
}

/// A question for one value per pod, by the user's own query.
#[derive(Clone, Debug, PartialEq)]
pub struct PodsQuery {
    /// Its text in the language of the source, arguments filled in.
    pub query: String,
    /// The label with a pod's name.
    pub pod_label: String,
    /// The label with its namespace.
    pub namespace_label: String,
    /// The two sides.
    pub arms: Arms,
    /// The evaluation time.
    pub at: Timestamp,
    /// A pod counts that had a value so many seconds before.
    pub warm_up_seconds: u32,
}

/// The value of one pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodValue {
    /// Its namespace; empty where the source says none.
    pub namespace: String,
    /// Its name.
    pub pod: String,
    /// The value, which may be no number.
    pub value: f64,
}

/// A question for what stable's pods counted, each for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct SpreadQuery {
    /// The last window; the others end before it, one window apart.
    pub window: IncrementsQuery,
    /// The end of the first window.
    pub first_end: Timestamp,
}

/// Events of one arm in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArmCounts {
    /// Bad events.
    pub bad: u64,
    /// All events.
    pub total: u64,
}

/// An answer from a source.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The counts of both arms; `None` for an arm without any series.
    Increments {
        /// The canary's.
        canary: Option<ArmCounts>,
        /// Stable's.
        stable: Option<ArmCounts>,
        /// Notes for users.
        notes: Vec<String>,
    },
    /// The requests of both arms by response time; `None` for an arm without any series.
    Buckets {
        /// The canary's.
        canary: Option<Histogram>,
        /// Stable's.
        stable: Option<Histogram>,
        /// How many seconds the unit of the bounds is.
        unit: f64,
        /// Notes for users.
        notes: Vec<String>,
    },
    /// The requests of a whole service by response time; `None` without any series.
    Times {
        /// Its requests.
        times: Option<Histogram>,
        /// How many seconds the unit of the bounds is.
        unit: f64,
        /// Notes for users.
        notes: Vec<String>,
    },
    /// What the whole service counted; `None` without any series.
    Events {
        /// Its events.
        counts: Option<ArmCounts>,
        /// Notes for users.
        notes: Vec<String>,
    },
    /// The numbers with the seconds of their evaluations, those without a number left out.
    Series(Vec<(i64, f64)>),
    /// The pods with a value.
    Pods(Vec<PodValue>),
    /// What each pod counted in each window, oldest first; pods without requests may be left out. `None` where pods are not
    /// distinguished.
    Spread(Option<Vec<Vec<ArmCounts>>>),
    /// The number; `None` for an empty vector or NaN.
    Scalar(Option<f64>),
    /// How a Job ended: its exit code is the number.
    Job(JobEnd),
    /// The measurement ended without a number, and why. Like an error it is no data; unlike it, it is over.
    Unmeasured(String),
    /// The measurement has begun and takes longer than an answer may: the same question is asked again.
    Unfinished,
    /// So many series where one number was asked for: none of them is the one that was meant.
    Several(usize),
}

/// How a Job ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobEnd {
    /// The exit code of the container that failed, else 0.
    pub exit_code: i32,
    /// The end of that container's log: one bounded line, for users alone.
    pub log: String,
}

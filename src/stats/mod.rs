//! Pure numerics: counts in, evidence out. No clocks, no I/O, no kinds of Kubernetes.
//!
//! Start at [`RatioState`], the accumulator of the ratio judge: `observe` a window, `assess` the evidence. Below it are
//! the formulas, each in its own file:
//!
//! | File | Holds |
//! |---|---|
//! | [`grid`] | log-uniform grids; sums and means of numbers kept as logarithms |
//! | [`packed`] | a grid as it is kept in a record |
//! | [`ratio`] | canary's error rate against stable's: likelihood ratios and their mixtures, towards Fail and Pass |
//! | [`rate`] | canary's error rate against a fixed rate: floor (Fail) and ceiling (Pass) |
//! | [`restart`] | the mixture of restarts, which finds a late regression as fast as an early one |
//! | [`sequence`] | the rate ratio people see, with its confidence sequence |
//! | [`share`] | whether requests reach the canary in the planned share |
//! | [`histogram`] | buckets of durations: what lies above a bound, quantiles |
//! | [`bounds`] | which bucket bounds the latency judge tests |
//! | [`latency`] | the latency judge: the average of restart mixtures over bucket bounds |
//! | [`conversion`] | the A/B judge: shares of users that convert, after a check of who was assigned where |
//! | [`posterior`] | which of two shares is believed to be higher: shown, never decided by |
//! | [`gauge`] | the gauge judge: a t-test of log ratios that may be looked at every minute |
//! | [`kayenta`] | Spinnaker's judge: a Mann-Whitney test per series, and a score |
//! | [`dispersion`] | how much clustered errors weaken every piece of evidence (phi) |
//! | [`slo`] | service level objectives: error budget, burn rates and the alerts on them |
//! | [`ebh`] | which of several metrics moved, with a bound on false ones |
//! | [`anomaly`] | a number against the same time of earlier days |
//!
//! Evidence is an e-value E, kept as ln E: under the null hypothesis its expectation is at most 1 however often we look,
//! so rejecting at E >= 1/alpha errs with chance at most alpha. All logarithms are natural. Every function is total:
//! no count, however large or absurd (more errors than requests), gives a panic or a NaN.

pub mod anomaly;
pub mod bounds;
mod config;
pub mod conversion;
mod counts;
pub mod dispersion;
pub mod ebh;
mod epochs;
pub mod gauge;
pub mod grid;
pub mod histogram;
pub mod kayenta;
pub mod latency;
mod packed;
mod pass;
pub mod posterior;
pub mod rate;
pub mod ratio;
pub mod restart;
pub mod sequence;
pub mod share;
mod shown;
pub mod slo;
mod state;

pub use config::RatioConfig;
pub use counts::Counts;
pub use dispersion::Dispersion;
pub use latency::{LatencyAssessment, LatencyState, Slow};
pub use sequence::Interval;
pub(crate) use shown::{p_value, significant};
pub use state::{Assessment, RatioState};

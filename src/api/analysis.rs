//! Metrics and their judges: templates, and the AnalysisRuns that apply them.

mod conversion;
mod counter;
mod metric;
mod prometheus;
mod run;
mod settings;
mod template;

pub use conversion::ConversionMetric;
pub use counter::{Builtin, Counter, PrometheusCounter};
pub use metric::{Metric, ONE_JUDGE, RatioMetric, RatioPass, ThresholdMetric};
pub use prometheus::{
    BasicAuth, BasicSecretRef, BearerAuth, NO_USERINFO, ONE_AUTH, Prometheus, PrometheusAuth, PrometheusOwner,
    PrometheusTls, RunPrometheus, SecretKeyRef,
};
pub use run::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Arms, Measurement, MetricStatus, RunPhase, ShareStatus,
    ShareVerdict, Verdict,
};
pub use settings::{Bake, Pack, Settings};
pub use template::{
    ARGUMENT_NAME, AnalysisTemplate, AnalysisTemplateSpec, Arg, ClusterAnalysisTemplate, ClusterAnalysisTemplateSpec,
    TemplateRef,
};

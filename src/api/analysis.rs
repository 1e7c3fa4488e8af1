//! Metrics and their judges: templates, and the AnalysisRuns that apply them.

mod anomaly;
mod auth;
mod burn_rate;
mod conversion;
mod counter;
mod gauge;
mod guards;
mod header;
mod kayenta;
mod latency;
mod load;
mod metric;
mod prometheus;
mod run;
mod settings;
mod sources;
mod template;
mod threshold;
mod trail;

pub use anomaly::{AnomalyMetric, OnAnomaly};
pub use auth::{
    Auth, AwsSecretRef, BasicAuth, BasicSecretRef, BearerAuth, CertificateSecretRef, OAuth2, OAuth2SecretRef, ONE_AUTH,
    SecretKeyRef, SigV4, Tls,
};
pub use burn_rate::{BurnRateMetric, BurnScope};
pub use conversion::ConversionMetric;
pub use counter::{Builtin, Counter, PrometheusCounter};
pub use gauge::{GaugeDirection, GaugeMetric, GaugePer};
pub use guards::{Allowed, Guards};
pub use header::Header;
pub use kayenta::{EffectSize, KayentaDirection, KayentaMetric, KayentaSeries, NanStrategy, Outliers};
pub use latency::{BuiltinHistogram, Histogram, LatencyMetric, LatencySlo, PrometheusHistogram, TimeUnit};
pub use load::{Load, LoadJob, LoadStatus};
pub use metric::{Metric, ONE_JUDGE, RatioMetric, RatioPass};
pub use prometheus::{NO_USERINFO, Prometheus, PrometheusOwner, RunPrometheus};
pub use run::{
    AnalysisRun, AnalysisRunSpec, AnalysisRunStatus, Arms, Measurement, MetricStatus, RunPhase, ShareStatus,
    ShareVerdict, Verdict,
};
pub use settings::{Bake, Pack, Settings};
pub use sources::{
    CloudWatchQuery, DatadogQuery, DatadogSecretRef, Dimension, ExternalQuery, GraphiteQuery, InfluxdbQuery, JobQuery,
    LONGEST_JOB, MetricDataQuery, MetricStat, NewRelicQuery, NewRelicRegion, ONE_CALCULATION, ONE_SOURCE, StatMetric,
    WebMethod, WebQuery,
};
pub use template::{
    ARGUMENT_NAME, AnalysisTemplate, AnalysisTemplateSpec, Arg, ClusterAnalysisTemplate, ClusterAnalysisTemplateSpec,
    TemplateRef,
};
pub use threshold::ThresholdMetric;
pub use trail::{Trail, TrailEvidence, TrailPoint, TrailWindow};

//! Why templates and arguments give no run.

/// Why templates and arguments give no run. Each names the template and the field.
#[derive(Clone, Debug, thiserror::Error, PartialEq)]
pub enum ResolveError {
    /// An argument without a value.
    #[error("template {template}: argument {arg} has no value; set it under args")]
    MissingValue {
        /// The template's name.
        template: String,
        /// The argument's name.
        arg: String,
    },
    /// A value for an argument that no template has.
    #[error("args: no template has an argument {arg}{hint}")]
    UnknownArgument {
        /// The argument's name.
        arg: String,
        /// `; did you mean x?`, or nothing.
        hint: String,
    },
    /// A text names an argument that its template does not declare.
    #[error("template {template}: {field} uses {{{{args.{arg}}}}}, which is not among its args")]
    Undeclared {
        /// The template's name.
        template: String,
        /// The field.
        field: String,
        /// The argument's name.
        arg: String,
    },
    /// Two metrics of one name.
    #[error("metric {0} occurs twice; names must be unique among the templates of a run")]
    DuplicateMetric(String),
    /// Two templates set a setting differently.
    #[error("templates disagree on settings.{0}; set it in one of them, or to the same value")]
    Disagree(&'static str),
    /// A value that cannot be.
    #[error("template {template}: {field}: {problem}")]
    Invalid {
        /// The template's name.
        template: String,
        /// The field, for instance `metrics[0].ratio.pass.ratio`.
        field: String,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A conversion metric, but stable receives no traffic in parallel to the canary.
    #[error("metric {0} compares conversions, but stable has no users in parallel to the new version")]
    NoControl(String),
    /// A metric that compares pods under traffic, but stable receives none in parallel to the canary.
    #[error(
        "metric {0} compares the pods of both versions under traffic, but stable has none in parallel to the new version; use a threshold, or set `required: false`"
    )]
    NoTrafficAtStable(String),
    /// Several metrics, or none of the kind that decides between variants.
    #[error("the goal of an A/B test must be exactly one conversion metric; its templates have {0}")]
    NoGoal(String),
    /// Nothing can pass.
    #[error("no metric is required, so the analysis cannot pass; remove `required: false` from one")]
    NothingRequired,
    /// No Prometheus.
    #[error("no Prometheus is configured; set --prometheus or analysis.prometheus.address")]
    NoPrometheus,
    /// The arms cannot be distinguished.
    #[error("{0}")]
    Arms(String),
}

//! The arguments of `glidepath analyze`.

use std::{path::PathBuf, sync::Arc};

use crate::{
    api::{
        HumanDuration,
        analysis::{AnalysisTemplateSpec, Arg, Pack},
    },
    cli::{
        args::{pack::packs, prometheus::Credentials, secrets::SecretFolder, template_args::template_arg},
        exit::CliError,
    },
    evidence::needs_prometheus,
    source::{Outbound, Sources},
};

/// Judge a template by any Prometheus, without a cluster
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath analyze golden-signals --canary web-7c9d --stable web-5d8f \\
      -n shop --prometheus http://localhost:9090
  glidepath analyze -f template.yaml --arg service=checkout --for 5m \\
      --prometheus http://localhost:9090
  glidepath analyze golden-signals --canary web-7c9d --stable web-5d8f \\
      -n shop --prometheus http://localhost:9090 --replay -2h..-1h
  glidepath analyze golden-signals --stable web-5d8f --aa --since 24h \\
      -n shop --prometheus http://localhost:9090

The last asks how often it would have aborted a version that was fine.
--canary and --stable are workloads (ReplicaSets), as the metrics call them; a template of thresholds needs none, and one
of a service's burn rate --stable alone.

Exit codes: 0 Pass, 10 Fail, 11 no verdict within --for, 14 no data or inconclusive, 1 an error, 2 usage error,
130 interrupted")]
pub struct AnalyzeArgs {
    /// Templates: built in, or in the files. Default: all in the files
    #[arg(value_name = "TEMPLATE")]
    pub templates: Vec<String>,
    /// Files or folders with AnalysisTemplates, or `-` for standard input; can be repeated
    #[arg(short, long, visible_alias = "filename", value_name = "PATH")]
    pub file: Vec<PathBuf>,
    /// An argument of the templates; can be repeated
    #[arg(long = "arg", value_name = "NAME=VALUE", value_parser = template_arg)]
    pub args: Vec<Arg>,
    /// The workload of the version that is judged
    #[arg(long, value_name = "WORKLOAD")]
    pub canary: Option<String>,
    /// The workload that it is compared with
    #[arg(long, value_name = "WORKLOAD")]
    pub stable: Option<String>,
    /// The Service of the version that is judged, for metrics of callers
    #[arg(long, value_name = "SERVICE")]
    pub canary_service: Option<String>,
    /// The Service that it is compared with, for metrics of callers
    #[arg(long, value_name = "SERVICE")]
    pub stable_service: Option<String>,
    /// Where builtin counters come from, unless a template says it
    #[arg(long, value_name = "PACK", value_parser = packs())]
    pub pack: Option<Pack>,
    /// End after this time without a verdict
    #[arg(long = "for", value_name = "DURATION", conflicts_with_all = ["replay", "aa"])]
    pub longest: Option<HumanDuration>,
    /// Judge past data: START..END, each a time like 2026-11-28T10:00Z, or one before now like -2h
    #[arg(long, value_name = "START..END", allow_hyphen_values = true, conflicts_with = "aa")]
    pub replay: Option<String>,
    /// Judge the pods of --stable against each other on past data: every Fail is a false one
    #[arg(long, requires = "stable", conflicts_with = "canary")]
    pub aa: bool,
    /// With --aa: how far back; default 24h
    #[arg(long, value_name = "DURATION", requires = "aa")]
    pub since: Option<HumanDuration>,
    /// With --aa: how long each analysis lasts; default 1h
    #[arg(long, value_name = "DURATION", requires = "aa")]
    pub each: Option<HumanDuration>,
    /// The Prometheus to query; metrics of other sources need none
    #[arg(long, env = "GLIDEPATH_PROMETHEUS", value_name = "URL")]
    pub prometheus: Option<String>,
    /// How to authenticate there
    #[command(flatten)]
    pub credentials: Credentials,
    /// How to authenticate to other sources
    #[command(flatten)]
    pub secrets: SecretFolder,
    /// Comma-separated hosts that metrics of other sources may use, including internal ones, as the controller's option
    #[arg(long, env = "GLIDEPATH_ALLOW_HOSTS", value_name = "HOST", value_delimiter = ',')]
    pub allow_hosts: Vec<String>,
}

impl AnalyzeArgs {
    /// Where the numbers of these templates come from.
    pub async fn source(&self, templates: &[(String, AnalysisTemplateSpec)]) -> Result<Sources, CliError> {
        let own = match &self.prometheus {
            Some(address) => Some(self.credentials.typed(address.clone()).await?),
            None if templates.iter().any(|(_, spec)| needs_prometheus(spec)) => {
                return Err(CliError::Usage("name the Prometheus to query with --prometheus URL".into()));
            }
            None => None,
        };
        for (name, spec) in templates {
            let missing = |error| CliError::Usage(format!("template {name}: {error}"));
            self.secrets.has_all(spec).await.map_err(missing)?;
        }
        let outbound = Outbound::new(self.allow_hosts.clone());
        Ok(Sources::for_one(outbound, own, Arc::new(self.secrets.clone())))
    }
}

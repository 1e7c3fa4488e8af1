//! The flags that name a Prometheus and how to authenticate there, alike in every verb that asks one.

use std::{path::PathBuf, sync::Arc};

use crate::{
    cli::exit::CliError,
    ports::secrets::{SecretData, SecretError, Secrets},
    source::{Outbound, OwnPrometheus, PrometheusSource},
};

/// Authentication to `--prometheus`: by files, so that no secret is in a command line or a manifest.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Credentials {
    /// A file with the username for --prometheus; like the three files below it is reloaded when needed
    #[arg(
        long,
        env = "GLIDEPATH_PROMETHEUS_USERNAME_FILE",
        value_name = "FILE",
        requires = "prometheus_password_file"
    )]
    prometheus_username_file: Option<PathBuf>,
    /// A file with the password for --prometheus
    #[arg(
        long,
        env = "GLIDEPATH_PROMETHEUS_PASSWORD_FILE",
        value_name = "FILE",
        requires = "prometheus_username_file"
    )]
    prometheus_password_file: Option<PathBuf>,
    /// A file with a bearer token for --prometheus, instead of username and password
    #[arg(
        long,
        env = "GLIDEPATH_PROMETHEUS_BEARER_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "prometheus_username_file"
    )]
    prometheus_bearer_token_file: Option<PathBuf>,
    /// A file with the CA certificates to verify --prometheus; default: the system's
    #[arg(long, env = "GLIDEPATH_PROMETHEUS_CA_FILE", value_name = "FILE")]
    prometheus_ca_file: Option<PathBuf>,
    /// The tenant at --prometheus (X-Scope-OrgID), for Mimir and Cortex
    #[arg(long, env = "GLIDEPATH_PROMETHEUS_TENANT", value_name = "NAME")]
    prometheus_tenant: Option<String>,
    /// A file with more headers for --prometheus, `NAME: VALUE` on each line
    #[arg(long, env = "GLIDEPATH_PROMETHEUS_HEADERS_FILE", value_name = "FILE")]
    prometheus_headers_file: Option<PathBuf>,
}

impl Credentials {
    /// The Prometheus at this address.
    pub fn at(self, address: String) -> OwnPrometheus {
        OwnPrometheus {
            address,
            username_file: self.prometheus_username_file,
            password_file: self.prometheus_password_file,
            bearer_token_file: self.prometheus_bearer_token_file,
            ca_file: self.prometheus_ca_file,
            tenant: self.prometheus_tenant,
            headers_file: self.prometheus_headers_file,
            is_typed: false,
        }
    }

    /// The Prometheus at the address that was typed.
    pub async fn typed(&self, address: String) -> Result<OwnPrometheus, CliError> {
        let own = OwnPrometheus { is_typed: true, ..self.clone().at(address) };
        own.check().await.map_err(|error| CliError::Usage(error.to_string()))?;
        Ok(own)
    }

    /// The same, asked for a single run.
    pub async fn source(&self, address: String) -> Result<PrometheusSource, CliError> {
        let own = self.typed(address).await?;
        Ok(PrometheusSource::for_one(Outbound::default(), Some(own), Arc::new(NoSecrets)))
    }
}

/// A Prometheus named on the command line has its credentials in files.
pub struct NoSecrets;

#[async_trait::async_trait]
impl Secrets for NoSecrets {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        Err(SecretError::Missing(format!("{namespace}/{name}")))
    }
}

//! The flags of `glidepath local` with Consul as the router, and what they make.

use std::sync::Arc;

use crate::{
    api::Rollout,
    cli::{args::prometheus::Credentials, exit::CliError},
    local::{
        consul::{Access, Mesh, Names},
        site::admission::Routing,
    },
    ports::Source,
};

/// Consul as the router.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ConsulArgs {
    /// Split traffic in Consul's mesh instead of by a proxy: the HTTP API of the agent on this machine. As in Consul's own tools
    /// CONSUL_HTTP_TOKEN_FILE or CONSUL_HTTP_TOKEN gives the ACL token, CONSUL_CACERT the CA of an https address,
    /// CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY our own certificate
    #[arg(long, value_name = "URL", conflicts_with = "listen")]
    consul: Option<String>,
    /// The name of the service in Consul; default: the Rollout's name
    #[arg(long, value_name = "NAME", requires = "consul", conflicts_with = "listen")]
    consul_service: Option<String>,
    /// The namespace in Consul (Enterprise); default: CONSUL_NAMESPACE
    #[arg(long, value_name = "NAME", requires = "consul", conflicts_with = "listen")]
    consul_namespace: Option<String>,
    /// The admin partition in Consul (Enterprise); default: CONSUL_PARTITION
    #[arg(long, value_name = "NAME", requires = "consul", conflicts_with = "listen")]
    consul_partition: Option<String>,
    /// The datacenter of the service; default: the agent's
    #[arg(long, value_name = "NAME", requires = "consul", conflicts_with = "listen")]
    consul_datacenter: Option<String>,
    /// A Prometheus for thresholds with a query: with Consul no proxy counts requests
    #[arg(long, value_name = "URL", requires = "consul", conflicts_with = "listen")]
    prometheus: Option<String>,
    #[command(flatten)]
    credentials: Credentials,
}

impl ConsulArgs {
    /// What routes.
    pub fn routing(&self) -> Routing {
        match &self.consul {
            Some(_) => Routing::Consul { has_metrics: self.prometheus.is_some() },
            None => Routing::Proxy,
        }
    }

    /// The service in the mesh; `None` with the proxy.
    pub fn mesh(&self, rollout: &Rollout, health_path: Option<&String>) -> Result<Option<Mesh>, CliError> {
        let Some(address) = &self.consul else { return Ok(None) };
        let names = Names {
            namespace: self.consul_namespace.clone(),
            partition: self.consul_partition.clone(),
            datacenter: self.consul_datacenter.clone(),
        };
        let access = Access::new(address, names, |name| std::env::var(name).ok());
        let access = access.map_err(|error| CliError::Usage(error.to_string()))?;
        let service = self.consul_service.clone().or_else(|| rollout.metadata.name.clone()).unwrap_or_default();
        if !is_name(&service) {
            let words = format!("\"{service}\" is not the name of a service in Consul's mesh; set --consul-service");
            return Err(CliError::Usage(words));
        }
        let mesh = Mesh::new(access, &service, health_path.cloned());
        mesh.map(Some).map_err(|error| CliError::Failed(error.to_string()))
    }

    /// Where numbers come from; `None`: the proxy.
    pub async fn source(&self) -> Result<Option<Arc<dyn Source>>, CliError> {
        match &self.prometheus {
            Some(address) => Ok(Some(Arc::new(self.credentials.source(address.clone()).await?))),
            None => Ok(None),
        }
    }
}

/// Names in the mesh are parts of host names.
fn is_name(text: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(is_inner) && !text.starts_with('-') && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_service_has_the_name_of_a_host() {
        assert!(["web", "web-2", "2"].into_iter().all(is_name));
        assert!(!["", "Web", "a.b", "a/b", "-a", "a-", "a\" or Service != \""].into_iter().any(is_name));
    }
}

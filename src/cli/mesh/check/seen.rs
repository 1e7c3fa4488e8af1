//! The callers of a Service that a Prometheus has seen.

use jiff::Timestamp;

use crate::{
    api::{analysis::RunPrometheus, common::HumanDuration},
    cli::exit::CliError,
    mesh::{MeshKind, Service, check::Caller, drive},
    ports::source::Asking,
    source::PrometheusSource,
};

/// Asks for them.
pub(super) async fn callers(
    source: &PrometheusSource,
    kind: &'static MeshKind,
    service: &Service,
    since: HumanDuration,
    now: Timestamp,
) -> Result<Vec<Caller>, CliError> {
    let prometheus = RunPrometheus::controller();
    let asking = Asking { namespace: &service.namespace, prometheus: &prometheus };
    let failed = |error: crate::ports::source::SourceError| {
        CliError::Failed(format!("cannot ask for the callers of Service {}: {error}", service.name))
    };
    let mut found = Vec::new();
    for query in kind.provider.caller_queries(service, since.get().as_secs()) {
        let counts = source.samples(&asking, query.counts.clone(), now).await.map_err(failed)?;
        let last = source.samples(&asking, query.last_seen.clone(), now).await.map_err(failed)?;
        found.extend(drive::callers(kind, &query, counts, last));
    }
    Ok(found)
}

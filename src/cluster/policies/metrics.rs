//! What the metrics say of a policy's callers: asked when a look asks for it, and not again for a while.

use jiff::Timestamp;

use crate::{
    api::analysis::RunPrometheus,
    cluster::{asked::Asked, locks::lock, shared::Cluster, table::ObjectKey},
    mesh::{
        MeshKind, Service,
        check::{Caller, CallerQuery},
        drive::{Ask, Metrics, ServiceCallers, callers},
    },
    ports::source::{Asking, Source, SourceError},
};

impl Cluster {
    /// The answer to a question about a spec, from memory or from the metrics.
    pub(super) async fn metrics(
        &self,
        source: &dyn Source,
        mesh: &'static MeshKind,
        (key, spec): (&ObjectKey, &str),
        ask: &Ask,
    ) -> Result<Metrics, String> {
        let now = self.clock.now();
        if let Some(known) = lock(&self.policies.asked).get(key).filter(|known| known.answers(spec, ask, now)) {
            return known.answer.clone();
        }
        let before = lock(&self.policies.asked).get(key).and_then(|known| known.before(spec, ask));
        let answer = self.ask(source, mesh, ask, before, now).await.map_err(|error| error.to_string());
        let asked = Asked::new(spec, ask, now, answer.clone());
        lock(&self.policies.asked).insert(key.clone(), asked);
        answer
    }

    async fn ask(
        &self,
        source: &dyn Source,
        mesh: &'static MeshKind,
        ask: &Ask,
        before: Option<Vec<ServiceCallers>>,
        now: Timestamp,
    ) -> Result<Metrics, SourceError> {
        let is_known = before.is_some();
        let mut metrics = Metrics { before: before.unwrap_or_default(), denied: Vec::new() };
        for service in self.services_asked(ask) {
            let name = (service.namespace.clone(), service.name.clone());
            if !is_known {
                let queries = mesh.provider.caller_queries(&service, ask.seconds);
                let before = answers(source, mesh, &service, queries, ask.until).await?;
                metrics.before.push(ServiceCallers { service: name.clone(), callers: before });
            }
            if ask.denials {
                let since = u64::try_from(now.duration_since(ask.until).as_secs()).unwrap_or_default().max(1);
                let queries = mesh.provider.denial_queries(&service, since);
                let denied = answers(source, mesh, &service, queries, now).await?;
                metrics.denied.push(ServiceCallers { service: name, callers: denied });
            }
        }
        Ok(metrics)
    }

    fn services_asked(&self, ask: &Ask) -> Vec<Service> {
        let facts = self.policies.facts.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        ask.services.iter().filter_map(|(namespace, name)| facts.service(namespace, name).cloned()).collect()
    }
}

async fn answers(
    source: &dyn Source,
    mesh: &'static MeshKind,
    service: &Service,
    queries: Vec<CallerQuery>,
    at: Timestamp,
) -> Result<Vec<Caller>, SourceError> {
    let prometheus = RunPrometheus::controller();
    let asking = Asking { namespace: &service.namespace, prometheus: &prometheus };
    let mut found = Vec::new();
    for query in queries {
        let counts = source.samples(&asking, &query.counts, at).await?;
        let last =
            if query.last_seen.is_empty() { Vec::new() } else { source.samples(&asking, &query.last_seen, at).await? };
        found.extend(callers(mesh, &query, counts, last));
    }
    Ok(found)
}

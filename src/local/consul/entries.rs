//! The config entries of a service as they are read, and as they begin where there are none.

use serde_json::{Map, Value, json};

use super::{
    client::Client,
    error::{CallError, MeshError},
};
use crate::router::consul::ConsulService;

pub(super) const SPLITTER: &str = "service-splitter";
pub(super) const RESOLVER: &str = "service-resolver";
pub(super) const ROUTER: &str = "service-router";
/// The Meta of an entry that was made here.
const MADE_BY: (&str, &str) = ("made-by", "glidepath");

/// The three kinds that a release changes; `None` where there is no entry.
pub(super) struct Entries {
    pub splitter: Option<Value>,
    pub resolver: Option<Value>,
    pub router: Option<Value>,
}

impl Entries {
    /// All of them, if they may be changed here.
    pub async fn read(client: &Client, service: &ConsulService) -> Result<Self, MeshError> {
        Ok(Entries {
            splitter: read(client, SPLITTER, service).await?,
            resolver: read(client, RESOLVER, service).await?,
            router: read(client, ROUTER, service).await?,
        })
    }
}

/// One entry, if it may be changed here.
pub(super) async fn read(client: &Client, kind: &str, service: &ConsulService) -> Result<Option<Value>, MeshError> {
    let entry = client.entry(kind, &service.name).await?;
    match entry.as_ref().map(|entry| &entry["Meta"]["external-source"]) {
        Some(source) if source == "kubernetes" => {
            Err(MeshError::OfKubernetes { place: format!("{kind} {}", service.name) })
        }
        _ => Ok(entry),
    }
}

/// The entry that the defaults of a service, or of all proxies, are in; it is only read.
pub(super) async fn defaults(client: &Client, service: &ConsulService) -> Result<[Option<Value>; 2], CallError> {
    Ok([client.entry("service-defaults", &service.name).await?, client.entry("proxy-defaults", "global").await?])
}

/// The version that a write is conditional on; 0 for an entry that is to be made.
pub(super) fn index(entry: Option<&Value>) -> u64 {
    entry.and_then(|entry| entry["ModifyIndex"].as_u64()).unwrap_or(0)
}

/// The entry as it is written: without what Consul keeps of it.
pub(super) fn body(mut entry: Value) -> Value {
    if let Some(fields) = entry.as_object_mut() {
        fields.retain(|name, _| !matches!(name.as_str(), "CreateIndex" | "ModifyIndex" | "Hash"));
    }
    entry
}

/// The entry before anything is said in it: two subsets, of which stable is the default; all requests for stable; no routes.
pub(super) fn begun(kind: &str, service: &ConsulService) -> Value {
    let (stable, canary) = (service.stable_subset.as_str(), service.canary_subset.as_str());
    let mut entry = json!({ "Kind": kind, "Name": service.name, "Meta": { MADE_BY.0: MADE_BY.1 } });
    for (field, name) in [("Namespace", &service.namespace), ("Partition", &service.partition)] {
        if let Some(name) = name {
            entry[field] = name.as_str().into();
        }
    }
    match kind {
        SPLITTER => {
            entry["Splits"] =
                json!([{ "Weight": 100, "ServiceSubset": stable }, { "Weight": 0, "ServiceSubset": canary }]);
        }
        RESOLVER => {
            let subsets: Map<String, Value> = [stable, canary]
                .map(|subset| (subset.to_owned(), json!({ "OnlyPassing": true })))
                .into_iter()
                .collect();
            entry["DefaultSubset"] = stable.into();
            entry["Subsets"] = subsets.into();
        }
        _ => entry["Routes"] = json!([]),
    }
    entry
}

/// Whether the entry was made here, and so goes when nothing is left in it.
pub(super) fn is_made_here(entry: &Value) -> bool {
    entry["Meta"][MADE_BY.0] == MADE_BY.1
}

//! Requests to the API server, as counted by the controller itself and, to check it, by the server.

use crate::http::get_ok;
use crate::lane::Lane;
use anyhow::{Context, Result};
use std::collections::BTreeMap;

/// Counts by verb and resource, as RBAC names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Requests(BTreeMap<(String, String), u64>);

impl Requests {
    /// The controller's own count.
    pub fn of_controller(listen: &str) -> Result<Self> {
        let page = get_ok(&format!("http://{listen}/metrics"))?;
        Requests::read(&page, "glidepath_api_requests_total", |labels| {
            Some((labels.get("verb")?.to_string(), labels.get("resource")?.to_string()))
        })
    }

    /// The server's count, of the kinds that no one but the controller writes.
    pub fn of_server(lane: &Lane) -> Result<Self> {
        let page = lane.kubectl(&["get", "--raw", "/metrics"])?;
        Requests::read(&page, "apiserver_request_total", |labels| {
            let (verb, group) = (labels.get("verb")?.to_lowercase(), *labels.get("group")?);
            let (resource, subresource) = (*labels.get("resource")?, *labels.get("subresource")?);
            let ours = match (group, resource) {
                ("events.k8s.io", _) | ("networking.istio.io", _) => true,
                ("glidepath.dev", "rollouts") => subresource == "status",
                _ => false,
            };
            let name = if subresource.is_empty() { resource.to_owned() } else { format!("{resource}/{subresource}") };
            let verb = match verb.as_str() {
                "post" => "create".to_owned(),
                "put" => "update".to_owned(),
                _ => verb,
            };
            (ours && !matches!(verb.as_str(), "list" | "watch")).then_some((verb, name))
        })
    }

    fn read<'a>(
        page: &'a str,
        metric: &str,
        key: impl Fn(&BTreeMap<&'a str, &'a str>) -> Option<(String, String)>,
    ) -> Result<Self> {
        let mut counts = BTreeMap::new();
        for line in page.lines() {
            let Some(rest) = line.strip_prefix(metric).and_then(|rest| rest.strip_prefix('{')) else { continue };
            let (labels, value) = rest.rsplit_once("} ").context("a sample without a value")?;
            let labels = labels.strip_suffix('"').unwrap_or(labels).split("\",");
            let labels = labels.filter_map(|label| label.split_once("=\"")).collect();
            if let Some(key) = key(&labels) {
                *counts.entry(key).or_default() += value.parse::<f64>()? as u64;
            }
        }
        Ok(Requests(counts))
    }

    /// What came after an earlier count.
    pub fn since(&self, before: &Requests) -> Requests {
        let counts = self.0.iter().map(|(key, count)| (key.clone(), count - before.0.get(key).copied().unwrap_or(0)));
        Requests(counts.filter(|(_, count)| *count > 0).collect())
    }

    /// Those that a fleet at rest has none of: neither watches nor the lease.
    pub fn of_work(&self) -> Requests {
        let work = |(verb, resource): &(String, String)| verb != "watch" && resource != "leases";
        Requests(self.0.iter().filter(|(key, _)| work(key)).map(|(key, count)| (key.clone(), *count)).collect())
    }

    /// The work without events.
    pub fn without_events(&self) -> Requests {
        let counts = self.of_work().0.into_iter().filter(|((_, resource), _)| resource != "events");
        Requests(counts.collect())
    }

    /// The events.
    pub fn events(&self) -> u64 {
        self.0.iter().filter(|((_, resource), _)| resource == "events").map(|(_, count)| count).sum()
    }

    pub fn sum(&self) -> u64 {
        self.0.values().sum()
    }

    /// Those but the lists that follow a watch in which nothing happened.
    pub fn without_lists(&self) -> Requests {
        let counts = self.0.iter().filter(|((verb, _), _)| verb != "list");
        Requests(counts.map(|(key, count)| (key.clone(), *count)).collect())
    }

    /// Both counts together.
    pub fn and(&self, more: &Requests) -> Requests {
        let mut sum = self.clone();
        for (key, count) in &more.0 {
            *sum.0.entry(key.clone()).or_default() += count;
        }
        sum
    }

    /// `patch replicasets`, with its count; the most frequent first.
    pub fn rows(&self) -> Vec<(String, u64)> {
        let mut rows: Vec<_> =
            self.0.iter().map(|((verb, resource), count)| (format!("{verb} {resource}"), *count)).collect();
        rows.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        rows
    }
}

//! The two instances of a local rollout in Consul's catalog: how each is registered, and which of a service pass.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::local::address::Address;

/// One version at one of the two addresses, as an instance of the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Which of the two: 0 or 1. Its id follows from it, and so its sidecar's.
    pub place: usize,
    /// Where the version answers.
    pub address: Address,
    /// The revision.
    pub revision: String,
}

/// The id of the instance at a place: always the same, so that its sidecar is too.
pub fn id(service: &str, place: usize) -> String {
    format!("{service}-glidepath-{}", place + 1)
}

impl Instance {
    /// What is registered. The sidecar inherits the Meta, by which the resolver selects it, and its port is Consul's choice.
    pub(super) fn body(&self, service: &str, key: &str, health_path: Option<&str>) -> Value {
        let authority = self.address.authority();
        let mut check = json!({ "Name": "responds", "Interval": "1s", "Timeout": "2s" });
        match health_path {
            Some(path) => check["HTTP"] = format!("http://{authority}{path}").into(),
            None => check["TCP"] = authority.into(),
        }
        json!({
            "ID": id(service, self.place),
            "Name": service,
            "Address": self.address.host().trim_matches(['[', ']']),
            "Port": self.address.port(),
            "Meta": { key: self.revision },
            "Check": check,
            "Connect": { "SidecarService": {} },
        })
    }

    /// Whether the agent has it so.
    pub(super) fn is(&self, registered: &Value, key: &str) -> bool {
        registered["Address"] == self.address.host().trim_matches(['[', ']'])
            && registered["Port"] == self.address.port()
            && registered["Meta"][key] == self.revision.as_str()
    }
}

/// How many instances of each revision there are, and the id of one that has none.
pub(super) fn by_revision(instances: &[Value], key: &str) -> (BTreeMap<String, u32>, Option<String>) {
    let mut counts = BTreeMap::new();
    let mut stranger = None;
    for instance in instances {
        let service = &instance["Service"];
        match service["Meta"][key].as_str().filter(|revision| !revision.is_empty()) {
            Some(revision) => *counts.entry(revision.to_owned()).or_insert(0) += 1,
            None => stranger = Some(service["ID"].as_str().unwrap_or("an instance").to_owned()),
        }
    }
    (counts, stranger)
}

//! The API server's own record of what the controllers wrote: who, what, and in which order it took effect. Every object
//! lives in one etcd, so the resourceVersions of all objects together are one order of all writes.

use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A write that took effect.
#[derive(Debug, Clone)]
pub struct Write {
    /// Which token was used: each process has one of its own.
    credential: String,
    verb: String,
    /// `services shop/web`
    object: String,
    resource: String,
    /// The version that the write gave the object; none for a deletion.
    version: Option<u64>,
    /// Microseconds since 1970 at which the API server had read the request, and at which it answered.
    pub received: i64,
    pub answered: i64,
    /// Whether it took effect only on what its sender had seen. To grow a ReplicaSet the same object will do: pods more
    /// than needed harm no one, and the leader removes them.
    pub conditional: bool,
    /// Whom a write of the Lease made its holder; empty: no one.
    holder: Option<String>,
}

/// A write by a process that did not hold the Lease when it took effect.
#[derive(Debug)]
pub struct Stray {
    pub identity: String,
    pub holder: String,
    pub write: Write,
}

/// All writes, in the order in which they took effect.
pub struct Audit {
    writes: Vec<Write>,
    /// The process behind each token.
    identities: BTreeMap<String, String>,
}

impl Audit {
    /// Reads the log that the lane's API server has written so far. Of tokens it knows those that took the Lease under one
    /// of these names.
    pub fn read(folder: &Path, names: &[&str]) -> Result<Self> {
        let log = BufReader::new(File::open(folder.join("audit.log"))?);
        let mut writes = Vec::new();
        for line in log.lines() {
            // The last line may be half written.
            let Ok(event) = serde_json::from_str::<Value>(&line?) else { continue };
            writes.extend(Write::of(&event)?);
        }
        let mut writes = effective(writes);
        writes.sort_by_key(|write| write.version);
        let mut identities = BTreeMap::new();
        for write in &writes {
            if let Some(name) = write.holder.as_deref().filter(|name| names.contains(name)) {
                identities.insert(write.credential.clone(), name.to_owned());
            }
        }
        Ok(Self { writes, identities })
    }

    /// How often the Lease went to one of the known processes.
    pub fn terms(&self) -> usize {
        let mut holders: Vec<_> = self.writes.iter().filter_map(|write| write.holder.as_deref()).collect();
        holders.dedup();
        holders.iter().filter(|holder| self.identities.values().any(|name| name == *holder)).count()
    }

    /// Writes of each known process, without those of the Lease, by resource.
    pub fn by_process(&self) -> BTreeMap<(&str, &str), usize> {
        let mut counts = BTreeMap::new();
        for (identity, write) in self.known() {
            *counts.entry((identity, write.resource.as_str())).or_default() += 1;
        }
        counts
    }

    /// Writes of known processes that took effect when another process, or no one, held the Lease.
    pub fn strays(&self) -> Vec<Stray> {
        let stray = |(identity, write): (&str, &Write)| {
            let holder = self.holder_at(write);
            (holder != identity).then(|| Stray {
                identity: identity.into(),
                holder: holder.into(),
                write: write.clone(),
            })
        };
        self.known().filter_map(stray).collect()
    }

    fn known(&self) -> impl Iterator<Item = (&str, &Write)> {
        let work = self.writes.iter().filter(|write| write.holder.is_none());
        work.filter_map(|write| Some((self.identities.get(&write.credential)?.as_str(), write)))
    }

    /// Who held the Lease when a write took effect. A deletion has no version: it counts by the time of its arrival.
    fn holder_at(&self, write: &Write) -> &str {
        let before = |lease: &&Write| match write.version {
            Some(version) => lease.version < Some(version),
            None => lease.answered <= write.received,
        };
        let leases = self.writes.iter().rev().filter(|other| other.holder.is_some());
        leases.filter(before).find_map(|lease| lease.holder.as_deref()).unwrap_or_default()
    }
}

/// Without those that changed nothing: they are answered with the version that the object had before, and so with one that
/// is not above all that were answered before they came.
fn effective(mut writes: Vec<Write>) -> Vec<Write> {
    writes.sort_by_key(|write| write.answered);
    let mut highest = None;
    let known: Vec<_> = writes
        .iter()
        .map(|write| {
            highest = highest.max(write.version);
            (write.answered, highest)
        })
        .collect();
    let before = |received: i64| {
        let answered = known.partition_point(|(answered, _)| *answered <= received);
        answered.checked_sub(1).and_then(|last| known[last].1)
    };
    writes.retain(|write| write.version.is_none() || write.version > before(write.received));
    writes
}

impl Write {
    /// `None`: it was refused, or is not a write of an object.
    fn of(event: &Value) -> Result<Option<Self>> {
        let code = event["responseStatus"]["code"].as_u64().unwrap_or(500);
        if event["stage"] != "ResponseComplete" || code >= 300 {
            return Ok(None);
        }
        let text = |path: &str| event.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let time = |path: &str| -> Result<i64> {
            let time: jiff::Timestamp = text(path).parse().with_context(|| format!("{path} of {event}"))?;
            Ok(time.as_microsecond())
        };
        let (verb, resource) = (text("/verb"), text("/objectRef/resource"));
        let version = Some(text("/responseObject/metadata/resourceVersion")).filter(|_| verb != "delete");
        let lease = resource == "leases";
        let asked = &event["requestObject"]["metadata"];
        let same_object = resource == "replicasets" && asked["uid"].is_string();
        Ok(Some(Self {
            credential: text("/user/extra/authentication.kubernetes.io~1credential-id/0"),
            object: format!("{resource} {}/{}", text("/objectRef/namespace"), text("/objectRef/name")),
            version: version.and_then(|version| version.parse().ok()),
            received: time("/requestReceivedTimestamp")?,
            answered: time("/stageTimestamp")?,
            conditional: asked["resourceVersion"].is_string() || same_object || verb == "create",
            holder: lease.then(|| text("/responseObject/spec/holderIdentity")),
            verb,
            resource,
        }))
    }
}

/// A log in which one process writes once more after another took the Lease.
#[test]
fn a_write_beside_the_leader_is_found() {
    let event = |at: u64, who: &str, resource: &str, version: u64, holder: &str| {
        let extra = serde_json::json!({"authentication.kubernetes.io/credential-id": [who]});
        // Each is answered before the next one comes.
        let time = format!("2026-01-01T00:00:{at:02}Z");
        let answered = format!("2026-01-01T00:00:{at:02}.5Z");
        let metadata = serde_json::json!({"resourceVersion": version.to_string()});
        serde_json::json!({
            "stage": "ResponseComplete", "verb": "update", "user": {"extra": extra}, "responseStatus": {"code": 200},
            "objectRef": {"resource": resource, "namespace": "shop", "name": "web"}, "requestReceivedTimestamp": time,
            "stageTimestamp": answered, "requestObject": {}, "responseObject": {"metadata": metadata, "spec": {"holderIdentity": holder}},
        })
    };
    let log = [
        event(1, "1", "leases", 10, "a"),
        event(2, "1", "virtualservices", 11, ""),
        event(3, "2", "leases", 13, "b"),
        // Nothing to change: the answer has the version of what another writer has written before.
        event(4, "2", "replicasets", 12, ""),
        event(5, "2", "virtualservices", 14, ""),
        event(6, "1", "virtualservices", 14, ""),
        event(7, "1", "services", 15, ""),
    ];
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("audit.log"), log.map(|event| format!("{event}\n")).concat()).unwrap();
    let audit = Audit::read(folder.path(), &["a", "b"]).unwrap();
    let strays = audit.strays();
    let found: Vec<_> =
        strays.iter().map(|s| (s.identity.as_str(), s.holder.as_str(), s.write.object.as_str())).collect();
    assert_eq!(found, [("a", "b", "services shop/web")]);
    assert!(!strays[0].write.conditional);
    assert_eq!(audit.terms(), 2);
}

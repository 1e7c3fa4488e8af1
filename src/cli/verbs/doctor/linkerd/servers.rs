//! Linkerd's policies hold for the pods that a Server selects. One that selects stable's pods and not the canary's leaves the
//! canary to the cluster's default policy: its requests are denied, or are allowed where stable's would be denied.

use std::collections::BTreeMap;

use serde_json::Value;

use super::super::{
    check::Check,
    reader::{Kind, Reader},
};
use crate::{
    api::{REVISION_LABEL, Rollout, metadata::PodMetadata, status::RevisionRef},
    cli::connect::Connection,
    ports::RolloutKey,
    router::gateway::linkerd::POLICY,
};

const SERVERS: Kind =
    Kind { group: POLICY, versions: &["v1beta3", "v1beta2", "v1beta1"], kind: "Server", plural: "servers" };
const AUTHORIZATION_POLICIES: Kind =
    Kind { group: POLICY, versions: &["v1alpha1"], kind: "AuthorizationPolicy", plural: "authorizationpolicies" };
const SERVER_AUTHORIZATIONS: Kind = Kind {
    group: POLICY,
    versions: &["v1beta1", "v1alpha1"],
    kind: "ServerAuthorization",
    plural: "serverauthorizations",
};

type Labels = BTreeMap<String, String>;

/// The Servers of namespaces, each read once.
#[derive(Default)]
pub(super) struct Servers {
    by_namespace: BTreeMap<String, Vec<Value>>,
}

impl Servers {
    /// A line for each Server that the canary's pods of a Rollout escape.
    pub(super) async fn checks(
        &mut self,
        connection: &Connection,
        reader: &mut Reader<'_>,
        rollout: &Rollout,
    ) -> Vec<Check> {
        let key = RolloutKey::of(rollout);
        if !self.by_namespace.contains_key(&key.namespace) {
            let read = reader.list(&SERVERS, Some(&key.namespace)).await.unwrap_or_default();
            self.by_namespace.insert(key.namespace.clone(), read);
        }
        let servers = self.by_namespace.get(&key.namespace).map_or(&[][..], Vec::as_slice);
        if servers.is_empty() {
            return Vec::new();
        }
        let Some((stable, canary)) = labels(connection, rollout).await else { return Vec::new() };
        let partial: Vec<&Value> = servers.iter().filter(|server| selects_one(server, &stable, &canary)).collect();
        if partial.is_empty() {
            return Vec::new();
        }
        let mut policies = reader.list(&AUTHORIZATION_POLICIES, Some(&key.namespace)).await.unwrap_or_default();
        policies.extend(reader.list(&SERVER_AUTHORIZATIONS, Some(&key.namespace)).await.unwrap_or_default());
        partial.into_iter().map(|server| check(&key, server, &policies)).collect()
    }
}

fn check(key: &RolloutKey, server: &Value, policies: &[Value]) -> Check {
    let name = server["metadata"]["name"].as_str().unwrap_or("?");
    let of_it: Vec<String> = policies.iter().filter(|policy| is_for(policy, server)).map(shown).collect();
    let with = if of_it.is_empty() { String::new() } else { format!(", and with it {},", of_it.join(", ")) };
    Check::wrong(
        format!(
            "Linkerd: Rollout {key}: Server {name}{with} holds for the pods of stable and not for those of the canary"
        ),
        format!(
            "select by labels that every version has, not by {REVISION_LABEL} or those of stableMetadata: kubectl edit server.{POLICY} {name} -n {}",
            key.namespace
        ),
    )
}

/// Whether a policy is bound to a Server: by its name, or a ServerAuthorization by its labels.
fn is_for(policy: &Value, server: &Value) -> bool {
    let name = &server["metadata"]["name"];
    let target = &policy["spec"]["targetRef"];
    let by = &policy["spec"]["server"];
    let labels: Labels = serde_json::from_value(server["metadata"]["labels"].clone()).unwrap_or_default();
    (target["kind"] == "Server" && target["name"] == *name)
        || by["name"] == *name
        || (by["selector"].is_object() && selects(&by["selector"], &labels))
}

fn shown(policy: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    format!("{} {}", text(&policy["kind"]), text(&policy["metadata"]["name"]))
}

fn selects_one(server: &Value, stable: &Labels, canary: &Labels) -> bool {
    let selector = &server["spec"]["podSelector"];
    selector.is_object() && selects(selector, stable) && !selects(selector, canary)
}

/// A label selector as Kubernetes reads it.
fn selects(selector: &Value, labels: &Labels) -> bool {
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(key, value)| labels.get(key).map(String::as_str) == value.as_str())
        && expressions.all(|one| holds(one, labels))
}

fn holds(expression: &Value, labels: &Labels) -> bool {
    let label = labels.get(expression["key"].as_str().unwrap_or_default());
    let is_among = || {
        let mut values = expression["values"].as_array().into_iter().flatten();
        label.is_some_and(|label| values.any(|value| value == label.as_str()))
    };
    match expression["operator"].as_str() {
        Some("In") => is_among(),
        Some("NotIn") => !is_among(),
        Some("Exists") => label.is_some(),
        Some("DoesNotExist") => label.is_none(),
        _ => false,
    }
}

/// The labels of stable's pods and of the canary's: while no release is under way, of the next canary's.
async fn labels(connection: &Connection, rollout: &Rollout) -> Option<(Labels, Labels)> {
    let status = rollout.status.as_ref()?;
    let stable = status.stable_revision.as_ref()?;
    let own = labels_of(connection, rollout, stable).await?;
    let current = status.current_revision.as_ref().filter(|current| current.id != stable.id);
    let next = match current {
        Some(current) => labels_of(connection, rollout, current).await?,
        None => of_next(rollout, &own),
    };
    Some((with(own, rollout.spec.stable_metadata.as_ref()), with(next, rollout.spec.canary_metadata.as_ref())))
}

async fn labels_of(connection: &Connection, rollout: &Rollout, revision: &RevisionRef) -> Option<Labels> {
    let connection = Connection { namespace: RolloutKey::of(rollout).namespace, ..connection.clone() };
    let template = connection.template_of(rollout, &revision.id).await?;
    serde_json::from_value(template["metadata"]["labels"].clone()).ok()
}

/// Another revision of the same template has no label of this one's alone.
fn of_next(rollout: &Rollout, own: &Labels) -> Labels {
    let role = rollout.spec.stable_metadata.as_ref().map(|metadata| &metadata.labels);
    let is_of_role = |key: &String| role.is_some_and(|role| role.contains_key(key));
    let mut next: Labels = own.clone();
    next.retain(|key, _| !is_of_role(key));
    next.insert(REVISION_LABEL.to_owned(), "the next revision".to_owned());
    next
}

fn with(mut labels: Labels, role: Option<&PodMetadata>) -> Labels {
    let role = role.into_iter().flat_map(|role| &role.labels);
    labels.extend(role.map(|(key, value)| (key.clone(), value.clone())));
    labels
}

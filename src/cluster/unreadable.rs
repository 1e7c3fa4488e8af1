//! A Rollout that cannot be read: it is told so, and nobody else is held up (kube rule 7).

use kube::api::Patch;
use serde_json::json;

use super::{Cluster, call::call, lock, rollouts, workload::params};
use crate::{
    api::{conditions, status::RolloutStatus},
    engine::Notice,
    ports::RolloutKey,
};

const REASON: &str = "Invalid";

impl Cluster {
    /// Writes `Stalled` into the status and publishes an event, once per message.
    pub(super) async fn report_unreadable(&self, key: &RolloutKey, message: &str) {
        let said = lock(&self.reported).insert(key.clone(), message.to_owned());
        if said.as_deref() == Some(message) {
            return;
        }
        let text = format!("this controller cannot read the Rollout: {message}; mend the field");
        let mut status = RolloutStatus::default();
        for (type_, on) in [(conditions::STALLED, true), (conditions::READY, false)] {
            conditions::set(&mut status.conditions, type_, on, (REASON, &text), None, self.clock.now());
        }
        let patch = json!({"status": {
            "phase": "Degraded", "reason": REASON, "message": text, "conditions": status.conditions,
        }});
        let api = self.api(&rollouts(), &key.namespace);
        let what = format!("write the status of Rollout {key}");
        match call(&what, api.patch_status(&key.name, &params(), &Patch::Merge(&patch))).await {
            Ok(written) => {
                self.tables.rollouts.wrote(&written);
                let mut about = crate::api::Rollout::new(&key.name, crate::api::RolloutSpec::default());
                about.metadata.namespace = Some(key.namespace.clone());
                about.metadata.uid = written.metadata.uid;
                self.events.send(&about, &Notice { warning: true, reason: REASON.into(), message: text });
            }
            Err(error) => {
                lock(&self.reported).remove(key);
                tracing::warn!(rollout = %key, %error, "cannot report an unreadable Rollout");
            }
        }
    }
}

//! Synthetic traffic that is kept running while an analysis measures: a service without requests of its own cannot pass.

use jiff::Timestamp;
use kube::KubeSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sources::{JobQuery, LONGEST_JOB, raw_object, template_problems, template_texts};

/// Synthetic traffic while the analysis runs. It is no evidence itself: what the metrics measure decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct Load {
    /// The Job that sends it.
    pub job: LoadJob,
}

/// A Job that sends traffic. One runs at a time; when it ends or fails, the next is started. The controller must be allowed
/// to create and delete Jobs in this namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
pub struct LoadJob {
    /// The pod template, as in a Job: `metadata` with labels and annotations, and `spec`. The restart policy is `Never`.
    #[schemars(schema_with = "raw_object")]
    pub template: Value,
}

impl Load {
    /// The texts in which arguments are substituted, each with its field: every text of the pod's spec.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = (String, &mut String)> {
        template_texts(&mut self.job.template).into_iter().map(|(field, text)| (format!("load.job.{field}"), text))
    }

    /// What is wrong with it, each with its field.
    pub fn problems(&self) -> impl Iterator<Item = (String, String)> {
        let found = template_problems(&self.job.template).into_iter();
        found.map(|(field, problem)| (format!("load.job.{field}"), problem))
    }

    /// What runs. A Job is replaced after an hour, so that none outlives a controller that is gone by more.
    pub fn job(&self) -> JobQuery {
        JobQuery { template: self.job.template.clone(), timeout: Some(LONGEST_JOB) }
    }
}

/// The Jobs of one load: the one in progress, and what became of those before it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct LoadStatus {
    /// The Job in progress; absent between two, and after the analysis has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// How many Jobs were started.
    #[serde(default)]
    pub started: u32,
    /// When the last one was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When the next one is started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// Consecutive failures.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failures: u32,
    /// Why the last one failed or could not be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

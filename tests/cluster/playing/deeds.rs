//! What the entries of a timeline do on a real cluster: what an operator with kubectl would do.

use crate::kubectl;
use ::glidepath::api::status::RolloutStatus;
use ::glidepath::api::{Rollout, RolloutCommand};
use ::glidepath::sim::actions;
use ::glidepath::sim::expect::RevisionShown;
use ::glidepath::sim::scenario::{CommandEntry, Entry};
use anyhow::{Context, Result, anyhow, bail};
use kube::api::PostParams;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Who gives commands here: the name of the administrator's token.
const ADMINISTRATOR: &str = "admin";

/// Hands in one namespace.
pub struct Hands {
    pub client: Client,
    /// The lane's folder.
    pub folder: PathBuf,
    pub namespace: String,
    /// The Rollout's name.
    pub rollout: String,
}

impl Hands {
    /// Runs kubectl in the namespace.
    async fn kubectl(&self, args: &[&str], input: String) -> Result<String> {
        let (folder, namespace) = (self.folder.clone(), self.namespace.clone());
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let run = move || {
            let args: Vec<&str> = args.iter().map(String::as_str).chain(["-n", namespace.as_str()]).collect();
            kubectl::feed(&folder, &args, &input)
        };
        tokio::task::spawn_blocking(run).await?
    }

    /// Creates or replaces an object.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        self.kubectl(&args, object.to_string()).await.map(drop)
    }

    async fn merge(&self, kind: &str, name: &str, patch: &Value) -> Result<()> {
        self.kubectl(&["patch", kind, name, "--type=merge", "-p", &patch.to_string()], String::new()).await.map(drop)
    }

    /// Carries an entry out, and says it in words. `rollout` is the Rollout as it is now.
    pub async fn act(&self, entry: &Entry, rollout: Option<&Rollout>) -> Result<String> {
        let there = || rollout.context("the Rollout is gone");
        if let Some(deploy) = &entry.deploy {
            self.deploy(rollout, &deploy.image).await?;
            return Ok(format!("deploy {}", deploy.image));
        }
        if let Some(patch) = &entry.patch {
            there()?;
            self.merge("gro", &self.rollout, patch).await?;
            return Ok(format!("patch {patch}"));
        }
        if let Some(object) = &entry.apply {
            self.apply(object).await?;
            let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            return Ok(format!("apply {} {}", text("/kind"), text("/metadata/name")));
        }
        if let Some(delete) = &entry.delete {
            self.kubectl(&["delete", &delete.kind, &delete.name, "--wait=false"], String::new()).await?;
            return Ok(format!("delete {} {}", delete.kind, delete.name));
        }
        if let Some(replicas) = entry.scale {
            there()?;
            self.kubectl(&["scale", "gro", &self.rollout, &format!("--replicas={replicas}")], String::new()).await?;
            return Ok(format!("scale to {replicas}"));
        }
        bail!("the entry is empty")
    }

    async fn deploy(&self, rollout: Option<&Rollout>, image: &str) -> Result<()> {
        let workload = rollout.and_then(|rollout| rollout.spec.workload_ref.as_ref());
        let (kind, name) = match (rollout, workload) {
            (_, Some(workload)) => ("deployment", workload.name.as_str()),
            (Some(_), None) => ("gro", self.rollout.as_str()),
            (None, _) => bail!("the Rollout is gone"),
        };
        let path = "/spec/template/spec/containers/0/image";
        let patch = json!([{"op": "replace", "path": path, "value": image}]).to_string();
        self.kubectl(&["patch", kind, name, "--type=json", "-p", &patch], String::new()).await.map(drop)
    }

    /// Gives a command; what the entry does not say is what is true at this moment. Gives its object's name.
    pub async fn command(
        &self,
        entry: &CommandEntry,
        status: &RolloutStatus,
        revisions: &[RevisionShown],
    ) -> Result<String> {
        let numbered = |named: &str| revisions.iter().find(|shown| format!("r{}", shown.number) == named);
        let id = |named: &str| numbered(named).map(|shown| shown.id.clone());
        let mut spec = actions::command(entry, &self.rollout, status, id);
        spec.requested_by = Some(ADMINISTRATOR.to_owned());
        let mut command = RolloutCommand::new("", spec);
        command.metadata.name = None;
        command.metadata.generate_name = Some(format!("{}-{}-", self.rollout, entry.verb.as_str()));
        let api = Api::<RolloutCommand>::namespaced(self.client.clone(), &self.namespace);
        Ok(api.create(&PostParams::default(), &command).await?.name_any())
    }
}

/// The objects as they are created: entries of the very first instant are part of them, because in virtual time no one
/// looks before they are carried out. Gives what was done, one text for each entry.
pub fn fold_first(timeline: &[Entry], objects: &mut [Value]) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for entry in timeline {
        let first = [entry.at, entry.after].into_iter().flatten().all(|time| time.get().is_zero());
        let text = match (first, &entry.deploy, &entry.patch, entry.scale) {
            (true, Some(deploy), ..) => {
                set_image(objects, &deploy.image)?;
                format!("deploy {}", deploy.image)
            }
            (true, _, Some(patch), _) => {
                json_patch::merge(named(objects, "Rollout")?, patch);
                format!("patch {patch}")
            }
            (true, _, _, Some(replicas)) => {
                named(objects, "Rollout")?["spec"]["replicas"] = replicas.into();
                format!("scale to {replicas}")
            }
            _ => break,
        };
        done.push(text);
    }
    Ok(done)
}

fn set_image(objects: &mut [Value], image: &str) -> Result<()> {
    let own = !named(objects, "Rollout")?["spec"]["template"].is_null();
    let holder = named(objects, if own { "Rollout" } else { "Deployment" })?;
    actions::set_image(&mut holder["spec"]["template"], image).map_err(|why| anyhow!(why))
}

/// The one object of a kind.
pub fn named<'a>(objects: &'a mut [Value], kind: &str) -> Result<&'a mut Value> {
    objects.iter_mut().find(|object| object["kind"] == kind).with_context(|| format!("there is no {kind}"))
}

//! `uninstall`: restores what the controller has adopted, while it still runs, and says what is left (rule S40).
//!
//! Rollouts are deleted one by one and waited for: the controller restores Deployments, routes and Service selectors before
//! it lets a Rollout go. ReplicaSets of a Rollout with a template of its own stay and serve on, without an owner. Nothing is
//! done during a release: its pods would be left next to stable's.

mod left;

use std::time::Duration;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions, PropagationPolicy},
};
use tokio::time::{Instant, sleep};

use super::{
    command::{self, Order},
    get::list,
};
use crate::{
    api::{
        FINALIZER, HumanDuration, Rollout,
        command::{CommandState, Verb},
        status::Phase,
    },
    cli::{
        args::global::Global,
        connect::{Connection, connect},
        exit::{CliError, Exit},
        program::program,
        render::output::print,
    },
};

/// Delete all Rollouts and wait until the controller has restored what it adopted
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath uninstall                   dry run: list what would be restored
  glidepath uninstall --yes             restore all Rollouts in all namespaces
  glidepath uninstall --yes -n shop     in one namespace only
  glidepath uninstall --yes --abort     abort releases in progress first

Then: kubectl delete -k deploy/ and, when no Rollout is left, kubectl delete -k deploy/crds

Exit code 0 when everything was restored, 1 when it was blocked, 11 when it timed out.")]
pub struct Args {
    /// Delete and restore; without it, only the plan is printed
    #[arg(long)]
    pub yes: bool,
    /// Abort the releases that are in progress
    #[arg(long)]
    pub abort: bool,
    /// The timeout for all Rollouts together
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    pub timeout: HumanDuration,
}

/// How often the API server is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Silence for so long says what it waits for.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long the controller may take to accept an abort.
const ANSWER: Duration = Duration::from_secs(10);

/// What becomes of one Rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its Deployment gets its pods and template back; our ReplicaSets go.
    DeploymentRestored,
    /// Its own ReplicaSets stay without an owner.
    PodsStay,
    /// The controller has never seen it.
    Untouched,
}

impl Fate {
    fn of(rollout: &Rollout) -> Self {
        let adopted = rollout.finalizers().iter().any(|finalizer| finalizer == FINALIZER);
        match (adopted, &rollout.spec.workload_ref) {
            (false, _) => Fate::Untouched,
            (true, Some(_)) => Fate::DeploymentRestored,
            (true, None) => Fate::PodsStay,
        }
    }

    /// Dependents of an adopted Deployment's Rollout go; pods of a template of its own must not.
    fn propagation(self) -> PropagationPolicy {
        match self {
            Fate::PodsStay => PropagationPolicy::Orphan,
            Fate::DeploymentRestored | Fate::Untouched => PropagationPolicy::Background,
        }
    }
}

/// Restores everything, or says what would be.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let connection = connect(global).await?;
    let scope = Scope { connection, namespaced: global.namespace.is_some() };
    let rollouts = scope.list().await?;
    if rollouts.is_empty() {
        print("no Rollouts: nothing to restore\n")?;
        return scope.finish().await;
    }
    print(&plan(&rollouts))?;
    if !args.yes {
        print("nothing was changed; run it again with --yes\n")?;
        return Ok(Exit::Done);
    }
    let deadline = Instant::now() + args.timeout.get();
    let busy: Vec<&Rollout> = rollouts.iter().filter(|rollout| in_release(rollout)).collect();
    if !busy.is_empty() {
        if !args.abort {
            let names: Vec<String> = busy.iter().map(|rollout| shown(rollout)).collect();
            return Err(CliError::Failed(format!(
                "releases in progress: {}; nothing was changed. Promote or abort them, or use --abort",
                names.join(", ")
            )));
        }
        if !scope.abort_all(&busy, deadline).await? {
            return Ok(Exit::TimedOut);
        }
    }
    for rollout in scope.list().await? {
        scope.delete(&rollout).await?;
    }
    if !scope.wait("restored", deadline, |_| true).await? {
        return Ok(Exit::TimedOut);
    }
    scope.finish().await
}

/// Where it works.
struct Scope {
    connection: Connection,
    /// One namespace; all otherwise.
    namespaced: bool,
}

impl Scope {
    /// All Rollouts. One that cannot be read is in the way: the controller cannot read it either, and restores nothing of it.
    async fn list(&self) -> Result<Vec<Rollout>, CliError> {
        let (rollouts, unreadable) = list(&self.connection, !self.namespaced, &ListParams::default()).await?;
        if unreadable.is_empty() {
            return Ok(rollouts);
        }
        let lines: Vec<String> =
            unreadable.iter().map(|bad| format!("{} cannot be decoded: {}", bad.name, bad.why)).collect();
        Err(CliError::Failed(format!(
            "{}; the controller cannot restore what it cannot decode. Fix that field, or delete a Rollout that was never adopted, \
             and run it again",
            lines.join("; ")
        )))
    }

    /// `false`: the time was over.
    async fn abort_all(&self, rollouts: &[&Rollout], deadline: Instant) -> Result<bool, CliError> {
        for rollout in rollouts {
            let namespace = rollout.namespace().unwrap_or_default();
            let connection = Connection { namespace, ..self.connection.clone() };
            let order = Order::new(Verb::Abort, Some("uninstall".to_owned()), ANSWER);
            let (sent, _) = command::send(&connection, &rollout.name_any(), &order).await?;
            let status = sent.status.unwrap_or_default();
            print(&match status.state {
                Some(CommandState::Done) => format!("{}: aborting\n", shown(rollout)),
                Some(_) => format!("{}: abort refused: {}\n", shown(rollout), status.message),
                None => format!("{}: no controller responded within 10s\n", shown(rollout)),
            })?;
        }
        self.wait("aborted", deadline, in_release).await
    }

    async fn delete(&self, rollout: &Rollout) -> Result<(), CliError> {
        let api: Api<Rollout> =
            Api::namespaced(self.connection.client.clone(), &rollout.namespace().unwrap_or_default());
        let params = DeleteParams {
            propagation_policy: Some(Fate::of(rollout).propagation()),
            preconditions: Some(Preconditions { uid: rollout.uid(), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(&rollout.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 || status.code == 409 => Ok(()),
            Err(error) => Err(self.connection.error(format!("delete Rollout {}", shown(rollout)), &error)),
        }
    }

    /// Waits until no Rollout is `open` any more and prints each as it closes. `false`: the time was over.
    async fn wait(&self, done: &str, deadline: Instant, open: fn(&Rollout) -> bool) -> Result<bool, CliError> {
        let mut before: Vec<String> = Vec::new();
        let mut said = Instant::now();
        loop {
            let waiting: Vec<Rollout> = self.list().await?.into_iter().filter(open).collect();
            let names: Vec<String> = waiting.iter().map(shown).collect();
            for name in before.iter().filter(|name| !names.contains(name)) {
                print(&format!("{name}: {done}\n"))?;
                said = Instant::now();
            }
            if waiting.is_empty() {
                return Ok(true);
            }
            if Instant::now() >= deadline {
                print(&out_of_time(&waiting))?;
                return Ok(false);
            }
            if said.elapsed() >= SAY_EVERY {
                print(&waiting.iter().map(still).collect::<String>())?;
                said = Instant::now();
            }
            before = names;
            sleep(LOOK_EVERY).await;
        }
    }

    /// Says what is left and what comes next.
    async fn finish(&self) -> Result<Exit, CliError> {
        let namespace = self.namespaced.then_some(self.connection.namespace.as_str());
        print(&left::report(&self.connection.client, namespace).await)?;
        let next = match namespace {
            Some(_) => format!("other namespaces may have Rollouts: {} uninstall without -n lists them\n", program()),
            None => "next: kubectl delete -k deploy/, then kubectl delete -k deploy/crds\n".to_owned(),
        };
        print(&next)?;
        Ok(Exit::Done)
    }
}

/// A release whose pods would be left next to stable's.
fn in_release(rollout: &Rollout) -> bool {
    let Some(status) = &rollout.status else { return false };
    let moving = matches!(status.phase, Some(Phase::Progressing | Phase::Paused));
    let canary = status.current_revision.as_ref().zip(status.stable_revision.as_ref());
    let two = canary.is_some_and(|(current, stable)| current.id != stable.id);
    rollout.metadata.deletion_timestamp.is_none() && two && (moving || status.updated_replicas > 0)
}

fn shown(rollout: &Rollout) -> String {
    format!("{}/{}", rollout.namespace().unwrap_or_default(), rollout.name_any())
}

/// What would become of each, in one line.
fn plan(rollouts: &[Rollout]) -> String {
    let line = |rollout: &Rollout| {
        let workload = rollout.spec.workload_ref.as_ref().map(|workload| workload.name.clone()).unwrap_or_default();
        let what = match Fate::of(rollout) {
            Fate::DeploymentRestored => format!("Deployment/{workload} is restored, its routes and Services too"),
            Fate::PodsStay => "its pods are orphaned and keep running; its routes and Services are restored".to_owned(),
            Fate::Untouched => "was never adopted; it is deleted".to_owned(),
        };
        let busy = if in_release(rollout) { " (release in progress)" } else { "" };
        format!("{}: {what}{busy}\n", shown(rollout))
    };
    rollouts.iter().map(line).collect()
}

fn still(rollout: &Rollout) -> String {
    let message = rollout.status.as_ref().map(|status| status.message.clone()).unwrap_or_default();
    format!("{}: still waiting: {message}\n", shown(rollout))
}

fn out_of_time(waiting: &[Rollout]) -> String {
    let lines: String = waiting.iter().map(still).collect();
    format!(
        "{lines}timed out: the controller has not finished these; check with '{} doctor' that it is running. Nothing was removed by force: run it again\n",
        program()
    )
}

#[cfg(test)]
mod tests;

//! What can be typed, as the cluster, the kubeconfig or this machine knows it; nothing where one of them does not answer in
//! the time that a shell can wait.

use std::{fmt::Debug, future::Future, sync::mpsc, thread, time::Duration};

use k8s_openapi::api::{apps::v1::ReplicaSet, core::v1::Namespace};
use kube::{Api, ResourceExt, api::ListParams, config::Kubeconfig};
use serde::de::DeserializeOwned;
use tokio::runtime::Builder;

use super::typed::Typed;
use crate::{
    api::{AnalysisRun, HumanDuration, MeshPolicy, ROLLOUT_LABEL, Rollout},
    cli::{
        connect::{Connection, connect},
        exit::CliError,
        local::place,
    },
    cluster::kinds::NUMBER,
    view::step,
};

/// How long a shell waits for the server. Whoever has pressed Tab sits in front of it.
const LIMIT: Duration = Duration::from_millis(800);
/// Another limit, where getting a token takes longer than that.
const LIMIT_VARIABLE: &str = "GLIDEPATH_COMPLETION_TIMEOUT";
/// More names than these are not read: no one chooses from a list that long.
const MOST: u32 = 500;

/// One thing that can be typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The word.
    pub value: String,
    /// What it is, in a few words; may be empty.
    pub about: String,
}

impl Candidate {
    fn plain(value: String) -> Self {
        Candidate { value, about: String::new() }
    }
}

/// The Rollouts of the namespace.
pub(super) fn rollouts(typed: &Typed) -> Vec<Candidate> {
    ask(typed, |connection, _| async move { names(&connection, &connection.rollouts()).await })
}

/// The AnalysisRuns of the namespace.
pub(super) fn runs(typed: &Typed) -> Vec<Candidate> {
    ask(typed, |connection, _| async move {
        let all = Api::<AnalysisRun>::namespaced(connection.client.clone(), &connection.namespace);
        names(&connection, &all).await
    })
}

/// The MeshPolicies of the namespace.
pub(super) fn policies(typed: &Typed) -> Vec<Candidate> {
    ask(typed, |connection, _| async move {
        let all = Api::<MeshPolicy>::namespaced(connection.client.clone(), &connection.namespace);
        names(&connection, &all).await
    })
}

/// The namespaces of the cluster.
pub(super) fn namespaces(typed: &Typed) -> Vec<Candidate> {
    ask(
        typed,
        |connection, _| async move { names(&connection, &Api::<Namespace>::all(connection.client.clone())).await },
    )
}

/// The names of what can be listed there.
async fn names<K: Clone + DeserializeOwned + Debug>(
    connection: &Connection,
    all: &Api<K>,
) -> Result<Vec<Candidate>, CliError> {
    let found = all.list_metadata(&ListParams::default().limit(MOST)).await;
    let found = found.map_err(|error| connection.error("list names", &error))?;
    Ok(found.items.into_iter().filter_map(|object| object.metadata.name).map(Candidate::plain).collect())
}

/// The contexts of the kubeconfig, with the cluster and the namespace of each.
pub(super) fn contexts(typed: &Typed) -> Vec<Candidate> {
    let file = match &typed.global.kubeconfig {
        Some(path) => Kubeconfig::read_from(path),
        None => Kubeconfig::read(),
    };
    let contexts = file.map(|file| file.contexts).unwrap_or_default();
    let candidate = |context: kube::config::NamedContext| {
        let about = context.context.map(|context| {
            let namespace = context.namespace.map(|namespace| format!(", namespace {namespace}")).unwrap_or_default();
            format!("cluster {}{namespace}", context.cluster)
        });
        Candidate { value: context.name, about: about.unwrap_or_default() }
    };
    contexts.into_iter().map(candidate).collect()
}

/// The local rollouts that run on this machine.
pub(super) fn locals(_: &Typed) -> Vec<Candidate> {
    let running = place::root().map(|root| place::running(&root)).unwrap_or_default();
    running.into_iter().map(Candidate::plain).collect()
}

/// The steps of the Rollout that is named, numbered as `promote --to-step` counts them.
pub(super) fn steps(typed: &Typed) -> Vec<Candidate> {
    ask(typed, |connection, names| async move {
        let rollout = one(&connection, &names).await?;
        let rows = step::steps(&rollout).into_iter().enumerate();
        Ok(rows.map(|(index, row)| Candidate { value: (index + 1).to_string(), about: row.label }).collect())
    })
}

/// The revisions of the Rollout that are kept, newest first, without the one that is released or stable already.
pub(super) fn revisions(typed: &Typed) -> Vec<Candidate> {
    ask(typed, |connection, names| async move {
        let rollout = one(&connection, &names).await?;
        let sets: Api<ReplicaSet> = Api::namespaced(connection.client.clone(), &connection.namespace);
        let ours = ListParams::default().labels(&format!("{ROLLOUT_LABEL}={}", rollout.name_any()));
        let sets = sets.list(&ours).await.map_err(|error| connection.error("list ReplicaSets", &error))?;
        let current = rollout.status.and_then(|status| status.current_revision).map(|revision| revision.number);
        let mut kept: Vec<(u64, String)> = sets.items.iter().filter_map(revision).collect();
        kept.retain(|(number, _)| Some(*number) != current);
        kept.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
        Ok(kept.into_iter().map(|(number, about)| Candidate { value: number.to_string(), about }).collect())
    })
}

/// Its number and its images.
fn revision(set: &ReplicaSet) -> Option<(u64, String)> {
    let number = set.annotations().get(NUMBER)?.parse().ok()?;
    let pod = set.spec.as_ref()?.template.as_ref()?.spec.as_ref();
    let images: Vec<&str> = pod.iter().flat_map(|pod| &pod.containers).filter_map(|c| c.image.as_deref()).collect();
    Some((number, images.join(", ")))
}

async fn one(connection: &Connection, names: &[String]) -> Result<Rollout, CliError> {
    match names {
        [name] => connection.rollout(name).await,
        _ => Err(CliError::Usage("one Rollout has steps and revisions".into())),
    }
}

/// Asks the API server that the line means.
fn ask<F, A>(typed: &Typed, question: F) -> Vec<Candidate>
where
    F: FnOnce(Connection, Vec<String>) -> A + Send + 'static,
    A: Future<Output = Result<Vec<Candidate>, CliError>> + Send,
{
    let typed = typed.clone();
    in_time(async move { question(connect(&typed.global).await?, typed.names).await })
}

/// The answer, or none when it takes too long. A thread of its own, which the end of the process does not wait for: a
/// kubeconfig may name a program that gets a token, and a name may have to be resolved; both block.
fn in_time<A>(answer: A) -> Vec<Candidate>
where
    A: Future<Output = Result<Vec<Candidate>, CliError>> + Send + 'static,
{
    let (send, answered) = mpsc::channel();
    thread::spawn(move || {
        if let Ok(runtime) = Builder::new_current_thread().enable_all().build() {
            let _ = send.send(runtime.block_on(answer));
        }
    });
    answered.recv_timeout(limit()).ok().and_then(Result::ok).unwrap_or_default()
}

fn limit() -> Duration {
    let set = std::env::var(LIMIT_VARIABLE).ok().and_then(|text| text.parse().ok());
    set.map_or(LIMIT, |limit: HumanDuration| limit.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_never_answers_is_nothing() {
        let found = in_time(async { Ok(vec![Candidate::plain("a".into())]) });
        assert_eq!(found, [Candidate::plain("a".into())]);
        assert_eq!(in_time(async { Err(CliError::Failed("no".into())) }), []);
        assert_eq!(in_time(std::future::pending()), []);
    }
}

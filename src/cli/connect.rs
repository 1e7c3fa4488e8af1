//! The way to the API server, and the reads that several verbs share.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{
    Api, Client, Config, ResourceExt,
    api::ListParams,
    client::ClientBuilder,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use serde_json::Value;

use super::{
    answer,
    args::global::Global,
    exit::{CliError, innermost},
    local::place::kubeconfig,
    pods::{self, Wanted},
    program::program,
    request_timeout::InTime,
};
use crate::{
    api::{AnalysisRun, REVISION_LABEL, ROLLOUT_LABEL, Rollout},
    clock::SystemClock,
    ports::Clock,
    source::trust,
    view::{
        courses::Courses,
        revision::{RevisionView, Role},
    },
};

/// A client with the namespace that is meant.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// The namespace: asked for, else the kubeconfig's.
    pub namespace: String,
    /// The API server's address, for messages.
    pub address: String,
}

/// The time, for views.
pub fn now() -> Timestamp {
    SystemClock.now()
}

/// Reads the kubeconfig (or the pod's own account) and makes a client. Nothing is asked of the server yet.
pub async fn connect(global: &Global) -> Result<Connection, CliError> {
    let mut config = config(global).await?;
    // Whoever sets the time of a call sets that of connecting too.
    config.connect_timeout = global.request_timeout.is_none().then_some(Duration::from_secs(5));
    let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let address = config.cluster_url.to_string();
    let client = ClientBuilder::try_from(config).map_err(|error| CliError::Kubeconfig(innermost(&error)))?;
    let in_time = InTime { timeout: global.request_timeout.unwrap_or_default(), address: address.clone() };
    let client = client.with_layer(&in_time).build();
    Ok(Connection { client, namespace, address })
}

/// The configuration of the client: the file and context that are named, else KUBECONFIG or ~/.kube/config, else the pod's
/// own account.
pub(super) async fn config(global: &Global) -> Result<Config, CliError> {
    let mut config = named_config(global).await?;
    // A kubeconfig that names no CA trusts the machine's. Without any the client could not even be made for plain HTTP.
    if config.root_cert.is_none() && !trust::has_system_roots() {
        config.root_cert = Some(trust::built_in_der());
    }
    Ok(config)
}

async fn named_config(global: &Global) -> Result<Config, CliError> {
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let named = global.kubeconfig.is_some() || global.context.is_some() || global.local.is_some();
    let file = match (&global.local, &global.kubeconfig) {
        (Some(local), _) => Kubeconfig::read_from(kubeconfig(local.as_deref())?),
        (None, Some(path)) => Kubeconfig::read_from(path),
        (None, None) => Kubeconfig::read(),
    };
    let file = match file {
        Ok(file) => file,
        Err(error) => {
            let own = if named { None } else { Config::incluster().ok() };
            let mut own = own.ok_or_else(|| CliError::Kubeconfig(unreadable(&error)))?;
            impersonate(global, &mut own);
            return Ok(own);
        }
    };
    let contexts: Vec<String> = file.contexts.iter().map(|context| context.name.clone()).collect();
    if let Some(wanted) = global.context.as_ref().filter(|wanted| !contexts.contains(wanted)) {
        return Err(CliError::Usage(no_context(wanted, &contexts)));
    }
    let config = Config::from_custom_kubeconfig(file, &options).await;
    let mut config = config.map_err(|error| CliError::Kubeconfig(innermost(&error)))?;
    impersonate(global, &mut config);
    Ok(config)
}

/// `--as` and `--as-group` take the place of what the kubeconfig says.
fn impersonate(global: &Global, config: &mut Config) {
    if let Some(user) = &global.as_user {
        config.auth_info.impersonate = Some(user.clone());
        config.auth_info.impersonate_groups = (!global.as_groups.is_empty()).then(|| global.as_groups.clone());
    }
}

/// Adds the file: kube's innermost message is only `No such file or directory`.
fn unreadable(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(why, path) => format!("{}: {why}", path.display()),
        other => innermost(other),
    }
}

fn no_context(wanted: &str, contexts: &[String]) -> String {
    let there =
        if contexts.is_empty() { "it has none".to_owned() } else { format!("there are: {}", contexts.join(", ")) };
    format!("the kubeconfig has no context \"{wanted}\"; {there}")
}

impl Connection {
    /// Rollouts of the namespace.
    pub fn rollouts(&self) -> Api<Rollout> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// An error of the client, with the server's address where it did not answer.
    pub fn error(&self, doing: impl Into<String>, error: &kube::Error) -> CliError {
        match CliError::kube(doing, error) {
            CliError::Unreachable { why, .. } => CliError::Unreachable { at: format!(" at {}", self.address), why },
            other => other,
        }
    }

    /// The error of a command's first call, when the server may be any server: what it is, if it is no API server.
    pub async fn first_error(&self, doing: impl Into<String>, error: &kube::Error) -> CliError {
        let doing = doing.into();
        let Some(what) = answer::foreign(error) else { return self.error(doing, error) };
        if let kube::Error::SerdeError(why) = error
            && self.version().await.is_ok()
        {
            let todo =
                "install the CRDs of this version of glidepath, or use the version that belongs to the controller";
            return CliError::Failed(format!("cannot {doing}: it is not what this version expects: {why}; {todo}"));
        }
        CliError::NotKubernetes { at: self.address.clone(), what }
    }

    /// The version of Kubernetes. Any JSON object is read as one, and what it lacks is left empty.
    pub async fn version(&self) -> Result<String, kube::Error> {
        let version = self.client.apiserver_version().await?.git_version;
        let none = || kube::Error::SerdeError(serde::de::Error::custom("a version without gitVersion"));
        Some(version).filter(|version| !version.is_empty()).ok_or_else(none)
    }

    /// Why the server does not know a kind: the CRD is missing, or it is no API server.
    pub async fn kind_missing(&self, kind: &'static str, error: &kube::Error) -> CliError {
        let version = self.version().await;
        let is_path =
            |error: &kube::Error| matches!(error, kube::Error::Api(status) if answer::is_unknown_path(status));
        let what = match &version {
            _ if answer::foreign(error).is_some() => answer::foreign(error),
            Err(other) if is_path(other) => Some("404 page not found".to_owned()),
            Err(other) => answer::foreign(other),
            Ok(_) => None,
        };
        what.map_or(CliError::KindMissing(kind), |what| CliError::NotKubernetes { at: self.address.clone(), what })
    }

    /// The Rollout of this name, or an error that names those that exist.
    pub async fn rollout(&self, name: &str) -> Result<Rollout, CliError> {
        match self.rollouts().get(name).await {
            Ok(rollout) => Ok(rollout),
            Err(error) => Err(match &error {
                kube::Error::Api(status) if answer::is_unknown_path(status) => {
                    self.kind_missing("Rollout", &error).await
                }
                kube::Error::Api(status) if status.code == 404 => self.not_found(name).await,
                _ => self.first_error(format!("read Rollout \"{name}\""), &error).await,
            }),
        }
    }

    async fn not_found(&self, name: &str) -> CliError {
        let listed = self.rollouts().list(&ListParams::default().limit(200)).await;
        let names: Vec<String> =
            listed.map(|l| l.items.iter().map(ResourceExt::name_any).collect()).unwrap_or_default();
        CliError::NotFound {
            kind: "Rollout",
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            there: what_is_there(name, &names),
        }
    }

    /// How the evidence of the current release developed. Nothing where AnalysisRuns may not be listed: it is an ornament.
    pub async fn courses(&self, rollout: &Rollout) -> Courses {
        let runs: Api<AnalysisRun> = Api::namespaced(self.client.clone(), &self.namespace);
        let label = ListParams::default().labels(&format!("{ROLLOUT_LABEL}={}", rollout.name_any()));
        runs.list(&label).await.map(|list| Courses::of(rollout, &list.items)).unwrap_or_default()
    }

    /// The Rollout's revisions with their pods, newest first. Without the permission to list ReplicaSets: none. Pods are
    /// read while a revision has too few, or all if they are asked for.
    pub async fn revisions(&self, rollout: &Rollout, wanted: Wanted) -> Vec<RevisionView> {
        let mut views = revision_views(rollout, &self.replica_sets(rollout, REVISION_LABEL).await, now());
        let pods = Api::namespaced(self.client.clone(), &self.namespace);
        pods::add(&pods, rollout, &mut views, wanted, now()).await;
        views
    }

    /// The pod template of one of the Rollout's revisions, if it can be read.
    pub async fn template_of(&self, rollout: &Rollout, id: &str) -> Option<Value> {
        let sets = self.replica_sets(rollout, &format!("{REVISION_LABEL}={id}")).await;
        let template = sets.into_iter().next()?.spec?.template?;
        serde_json::to_value(template).ok()
    }

    /// ReplicaSets that belong to the Rollout; none without the permission to list them.
    async fn replica_sets(&self, rollout: &Rollout, labels: &str) -> Vec<ReplicaSet> {
        let sets: Api<ReplicaSet> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = sets.list(&ListParams::default().labels(labels)).await;
        owned(rollout, found.map(|list| list.items).unwrap_or_default())
    }
}

/// What there is in place of a name that is missing.
fn what_is_there(name: &str, names: &[String]) -> String {
    const SHOWN: usize = 8;
    if names.is_empty() {
        return format!("there are none; use -n for another namespace; '{} get -A' lists all", program());
    }
    let close =
        names.iter().filter(|n| strsim::damerau_levenshtein(n, name) <= 2).min_by_key(|n| strsim::levenshtein(n, name));
    if let Some(close) = close {
        return format!("did you mean \"{close}\"?");
    }
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("there are: {}{more}", names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", "))
}

fn owned(rollout: &Rollout, mut sets: Vec<ReplicaSet>) -> Vec<ReplicaSet> {
    let uid = rollout.metadata.uid.as_deref();
    sets.retain(|set| set.owner_references().iter().any(|owner| Some(owner.uid.as_str()) == uid));
    sets
}

/// ReplicaSets of the Rollout as rows of the screen: those that serve a role or still have pods.
fn revision_views(rollout: &Rollout, sets: &[ReplicaSet], now: Timestamp) -> Vec<RevisionView> {
    let status = rollout.status.clone().unwrap_or_default();
    let mut views: Vec<RevisionView> = sets.iter().filter_map(|set| revision_view(&status, set, now)).collect();
    views.retain(|view| view.role != Role::Old || view.wanted > 0 || view.available > 0);
    views.sort_by_key(|view| (view.role == Role::Old, std::cmp::Reverse(view.number), view.age));
    views
}

fn revision_view(status: &crate::api::RolloutStatus, set: &ReplicaSet, now: Timestamp) -> Option<RevisionView> {
    let id = set.labels().get(REVISION_LABEL)?.clone();
    let known = status.stable_revision.iter().chain(&status.current_revision).chain(&status.promoted);
    let past = status.history.iter().map(|entry| &entry.revision);
    let number = known.chain(past).find(|revision| revision.id == id).map_or(0, |revision| revision.number);
    let spec = set.spec.as_ref()?;
    let pod = spec.template.as_ref().and_then(|template| template.spec.as_ref());
    let images: Vec<&str> = pod.iter().flat_map(|pod| &pod.containers).filter_map(|c| c.image.as_deref()).collect();
    let pods = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    Some(RevisionView {
        role: Role::of(&id, status),
        id,
        number,
        available: pods(set.status.as_ref().and_then(|status| status.available_replicas)),
        wanted: pods(spec.replicas),
        image: images.join(", "),
        age: set.metadata.creation_timestamp.as_ref().map(|at| now.duration_since(at.0)).unwrap_or_default(),
        ..RevisionView::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_used_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let global = |context: Option<&str>| Global {
            kubeconfig: Some(path.clone()),
            context: context.map(Into::into),
            ..Global::default()
        };
        let error = config(&global(None)).await.unwrap_err().to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("set --kubeconfig"), "{error}");
        let text = "{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: 'http://127.0.0.1:1'}}], \
                    users: [{name: a, user: {}}], contexts: [{name: a, context: {cluster: a, user: a}}], current-context: a}";
        std::fs::write(&path, text).unwrap();
        assert_eq!(config(&global(None)).await.unwrap().cluster_url.to_string(), "http://127.0.0.1:1/");
        let error = config(&global(Some("b"))).await.unwrap_err();
        assert_eq!(error.to_string(), "the kubeconfig has no context \"b\"; there are: a");
    }

    #[tokio::test]
    async fn requests_are_sent_as_the_user_that_is_named() {
        let server = wiremock::MockServer::start().await;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let text = format!(
            "{{apiVersion: v1, kind: Config, clusters: [{{name: a, cluster: {{server: '{}'}}}}], users: [{{name: a, user: {{}}}}], \
             contexts: [{{name: a, context: {{cluster: a, user: a}}}}], current-context: a}}",
            server.uri()
        );
        std::fs::write(&path, text).unwrap();
        let as_groups = vec!["on-call".to_owned(), "shop".to_owned()];
        let global = Global { kubeconfig: Some(path), as_user: Some("ada".into()), as_groups, ..Global::default() };
        let _ = connect(&global).await.unwrap().rollouts().get("web").await;
        let headers = &server.received_requests().await.unwrap()[0].headers;
        let of = |name: &str| headers.get_all(name).iter().map(|v| v.to_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(
            (of("impersonate-user"), of("impersonate-group")),
            (vec!["ada".into()], vec!["on-call".into(), "shop".into()])
        );
    }

    #[test]
    fn a_missing_name_names_what_is_there() {
        let names = ["checkout".to_owned(), "search".to_owned()];
        assert_eq!(what_is_there("chekcout", &names), "did you mean \"checkout\"?");
        assert_eq!(what_is_there("basket", &names), "there are: checkout, search");
        assert!(what_is_there("x", &[]).contains("use -n for another namespace"));
    }

    #[test]
    fn replica_sets_become_revisions_by_owner_and_role() {
        let set = |id: &str, owner: &str, replicas: i32| -> ReplicaSet {
            serde_json::from_value(serde_json::json!({
                "metadata": {
                    "name": format!("checkout-{id}"), "labels": { REVISION_LABEL: id }, "creationTimestamp": samples::ago(720),
                    "ownerReferences": [{ "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "name": "checkout", "uid": owner }]
                },
                "spec": {
                    "replicas": replicas, "selector": {},
                    "template": { "spec": { "containers": [{ "name": "app", "image": "i:1" }] } }
                },
                "status": { "replicas": replicas, "availableReplicas": replicas }
            }))
            .unwrap()
        };
        let sets = vec![
            set("b7d0c41hze", "u-1", 12),
            set("k3v9x2m1qa", "u-1", 4),
            set("goneempty0", "u-1", 0),
            set("draining00", "u-1", 1),
            set("notoursatal", "u-2", 3),
        ];
        let rollout = samples::observing().rollout;
        let views = revision_views(&rollout, &owned(&rollout, sets), samples::NOW);
        let shown: Vec<_> = views.iter().map(|v| (v.number, v.role, v.available)).collect();
        assert_eq!(shown, [(42, Role::Canary, 4), (41, Role::Stable, 12), (0, Role::Old, 1)]);
        assert_eq!(views[0].age.as_secs(), 720);
    }
}

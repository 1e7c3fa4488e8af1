use std::collections::BTreeMap;

use kube::{
    Api, Client, Config,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt as _, watcher},
};
use tokio::sync::mpsc;

use super::*;
use crate::{
    api::{
        Rollout, RolloutCommand,
        command::{RolloutCommandSpec, Verb},
    },
    clock::SystemClock,
    local::site::{Setup, admission, folder::Folder},
    ports::gate::{GateAnswer, GateAsker, GateQuestion},
};

/// A gate that says nothing.
struct Closed;

#[async_trait::async_trait]
impl GateAsker for Closed {
    async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
        GateAnswer::Unclear("closed".into())
    }
}

/// A site in a folder of its own, served, and a client with this token.
struct Served {
    client: Client,
    site: Site,
    _folder: tempfile::TempDir,
}

async fn served(token: &str) -> Served {
    let folder = tempfile::tempdir().unwrap();
    let site = site(&folder);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let config = kubeconfig(address, token, "web", "default");
    let config = Config::from_custom_kubeconfig(serde_json::from_value(config).unwrap(), &Default::default()).await;
    let routes = routes(site.clone(), "secret", "ann");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Served { client: Client::try_from(config.unwrap()).unwrap(), site, _folder: folder }
}

fn site(folder: &tempfile::TempDir) -> Site {
    let mut object = json!({
        "apiVersion": "glidepath.dev/v1alpha1", "kind": "Rollout", "metadata": { "name": "web" },
        "spec": { "strategy": { "canary": { "steps": [{ "setWeight": 10 }] } } },
    });
    admission::prepare(&mut object, admission::Routing::Proxy);
    let setup = Setup {
        rollout: serde_json::from_value(object).unwrap(),
        templates: BTreeMap::new(),
        option: "--local".into(),
        gates: Arc::new(Closed),
        addresses: ["http://127.0.0.1:1", "http://127.0.0.1:2"].map(|address| address.parse().unwrap()),
        timeout: Duration::from_secs(1),
        seed: 1,
        mesh: None,
        source: None,
    };
    let (news, _) = mpsc::unbounded_channel();
    Site::open(Folder::open(folder.path()).unwrap(), setup, Arc::new(SystemClock), news).unwrap()
}

impl Served {
    fn rollouts(&self) -> Api<Rollout> {
        Api::namespaced(self.client.clone(), "default")
    }

    fn commands(&self) -> Api<RolloutCommand> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn patch(&self, patch: Value) -> Result<Rollout, kube::Error> {
        self.rollouts().patch("web", &PatchParams::default(), &Patch::Merge(patch)).await
    }
}

fn refused(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.message),
        other => panic!("{other}"),
    }
}

fn abort(rollout: &str) -> RolloutCommand {
    let metadata = ObjectMeta { generate_name: Some("web-abort-".into()), ..ObjectMeta::default() };
    let spec = RolloutCommandSpec::of(rollout, Verb::Abort);
    RolloutCommand { metadata, spec, status: None }
}

#[tokio::test]
async fn only_the_token_opens() {
    let error = served("guess").await.rollouts().get("web").await.unwrap_err();
    assert_eq!(refused(error).0, 401);
    let served = served("secret").await;
    assert_eq!(served.rollouts().get("web").await.unwrap().spec.replicas, Some(1));
}

#[tokio::test]
async fn objects_are_read_by_name_namespace_and_selector() {
    let served = served("secret").await;
    let list =
        |selector: ListParams| async move { served.rollouts().list(&selector).await.map(|list| list.items.len()) };
    assert_eq!(list(ListParams::default()).await.unwrap(), 1);
    let served = &self::served("secret").await;
    for (selector, found) in [
        (ListParams::default().fields("metadata.name=web"), 1),
        (ListParams::default().fields("metadata.name=api"), 0),
        (ListParams::default().labels("team"), 0),
    ] {
        assert_eq!(served.rollouts().list(&selector).await.unwrap().items.len(), found, "{selector:?}");
    }
    let odd = served.rollouts().list(&ListParams::default().labels("team in (a,b)")).await.unwrap_err();
    assert_eq!(refused(odd).0, 400);
    let elsewhere: Api<Rollout> = Api::namespaced(served.client.clone(), "shop");
    assert_eq!(elsewhere.list(&ListParams::default()).await.unwrap().items.len(), 0);
    let Err(kube::Error::Api(missing)) = served.rollouts().get("api").await else { panic!() };
    assert_eq!((missing.code, missing.details.unwrap().name.as_str()), (404, "api"));
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::namespaced(served.client.clone(), "default");
    assert_eq!(refused(pods.list(&ListParams::default()).await.unwrap_err()).0, 404);
}

#[tokio::test]
async fn a_patch_changes_the_spec_and_nothing_else() {
    let served = served("secret").await;
    let before = served.rollouts().get("web").await.unwrap();
    let patch = json!({
        "metadata": { "uid": "other", "labels": { "team": "a" } }, "status": { "message": "forged" },
        "spec": { "progressDeadline": "1m" },
    });
    let after = served.patch(patch).await.unwrap();
    assert_eq!(after.metadata.uid, before.metadata.uid);
    assert_eq!((after.status, after.metadata.generation), (None, Some(2)));
    assert_eq!(served.site.rollout().unwrap().metadata.labels.unwrap()["team"], "a");

    let scaled =
        json!({ "spec": { "strategy": { "canary": { "steps": [{ "setCanaryScale": { "replicas": 2 } }] } } } });
    let (code, message) = refused(served.patch(scaled).await.unwrap_err());
    assert!(code == 422 && message.contains("nothing to scale"), "{message}");
    let stale = json!({ "metadata": { "resourceVersion": "1" }, "spec": { "progressDeadline": "2m" } });
    assert_eq!(refused(served.patch(stale).await.unwrap_err()).0, 409);
    let guarded = json!([{ "op": "test", "path": "/spec/template/spec/containers/0/name", "value": "other" }]);
    let guarded = Patch::<()>::Json(serde_json::from_value(guarded).unwrap());
    let error = served.rollouts().patch("web", &PatchParams::default(), &guarded).await.unwrap_err();
    assert_eq!(refused(error).0, 422);
}

#[tokio::test]
async fn commands_are_recorded_under_a_name_of_their_own() {
    let served = served("secret").await;
    let first = served.commands().create(&PostParams::default(), &abort("web")).await.unwrap();
    let second = served.commands().create(&PostParams::default(), &abort("web")).await.unwrap();
    assert!(first.metadata.name.as_ref().unwrap().starts_with("web-abort-"));
    assert_ne!((&first.metadata.name, &first.metadata.uid), (&second.metadata.name, &second.metadata.uid));
    let (code, message) = refused(served.commands().create(&PostParams::default(), &abort("api")).await.unwrap_err());
    assert!(code == 422 && message.contains("only \"web\""), "{message}");
    let mut outside = abort("web");
    outside.metadata = ObjectMeta { name: Some("../../web".into()), ..ObjectMeta::default() };
    assert_eq!(refused(served.commands().create(&PostParams::default(), &outside).await.unwrap_err()).0, 422);
    let mut restart = abort("web");
    restart.spec.verb = Verb::Restart;
    let (_, message) = refused(served.commands().create(&PostParams::default(), &restart).await.unwrap_err());
    assert!(message.contains("restart the process at the address yourself"), "{message}");
}

#[tokio::test]
async fn a_watch_tells_every_change() {
    let served = served("secret").await;
    let mut changes = watcher(served.rollouts(), watcher::Config::default()).applied_objects().boxed();
    let mut next = async || changes.next().await.unwrap().unwrap();
    assert_eq!(next().await.metadata.generation, Some(1));
    for (deadline, generation) in [("1m", 2), ("2m", 3)] {
        served.patch(json!({ "spec": { "progressDeadline": deadline } })).await.unwrap();
        assert_eq!(next().await.metadata.generation, Some(generation));
    }
}

/// The engine writes its status all the time; a patch that says nothing of versions is no loser of that race.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_get_through_while_the_status_is_written() {
    let served = served("secret").await;
    let (site, stop) = (served.site.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let stopped = stop.clone();
    let writing = tokio::task::spawn_blocking(move || {
        let mut written = 0_u64;
        while !stopped.load(std::sync::atomic::Ordering::SeqCst) {
            let mut rollout = site.rollout().unwrap();
            rollout.status.get_or_insert_default().message = written.to_string();
            site.objects().put(kinds::ROLLOUT, &rollout).unwrap();
            written += 1;
            std::thread::yield_now();
        }
        written
    });
    for number in 0..20 {
        served.patch(json!({ "metadata": { "labels": { "number": number.to_string() } } })).await.unwrap();
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    assert!(writing.await.unwrap() > 0);
}

/// `--dry-run=server`: what would be stored is answered, and nothing is stored.
#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let served = served("secret").await;
    let before = served.site.objects().version();
    let patch = Patch::Merge(json!({ "spec": { "paused": true } }));
    let how = PatchParams { dry_run: true, ..PatchParams::default() };
    assert!(served.rollouts().patch("web", &how, &patch).await.unwrap().spec.paused);
    let mut command = abort("web");
    command.metadata.name = Some("a".into());
    let how = PostParams { dry_run: true, ..PostParams::default() };
    assert_eq!(served.commands().create(&how, &command).await.unwrap().metadata.name.as_deref(), Some("a"));
    assert_eq!(served.site.objects().version(), before);
    assert!(!served.rollouts().get("web").await.unwrap().spec.paused);
}

//! Synthetic traffic of a run from its first look to its end, by the work on AnalysisRuns and an API server of a few objects.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{super::queue::AsyncWork, RunWork};
use crate::{
    cluster::{
        fake_objects::{Shop, world},
        table::ObjectKey,
    },
    evidence::{Answer, Query},
    ports::{
        Clock, Source,
        source::{Asking, Fault, SourceError},
    },
    reconcile::retry::Next,
    server::Metrics,
};

const RUN: &str = "/apis/glidepath.dev/v1alpha1/namespaces/shop/analysisruns/web-2-1-background";
const JOBS: &str = "/apis/batch/v1/namespaces/shop/jobs";

/// A clock that a test moves.
struct Set(AtomicI64);

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

struct NoNumbers;

#[async_trait]
impl Source for NoNumbers {
    async fn answer(&self, _: &Asking<'_>, questions: &[Query]) -> Vec<Result<Answer, SourceError>> {
        questions.iter().map(|_| Err(SourceError::new(Fault::Unreachable, "no numbers here".into()))).collect()
    }
}

/// A run with a load, and who works on it.
struct Scene {
    shop: Arc<Shop>,
    clock: Arc<Set>,
    work: RunWork,
}

impl Scene {
    fn new() -> Self {
        let shop = Arc::new(world());
        shop.lead(1);
        let pods = json!({"spec": {"containers": [{"name": "hey", "image": "hey:1"}]}});
        let metrics = json!([{"name": "up", "threshold": {"query": "up", "success": "result > 0", "interval": "60s"}}]);
        let run = json!({"apiVersion": "glidepath.dev/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "web-2-1-background", "namespace": "shop", "uid": "run-1", "resourceVersion": "30"},
            "spec": {"arms": {"namespace": "shop", "canary": "web-2", "stable": "web-1"}, "background": true, "stop": false,
                "metrics": metrics, "load": [{"job": {"template": pods}}]}});
        shop.add(RUN, run);
        Scene::of(shop, 1_000)
    }

    /// Another process, which knows what is on record alone.
    fn restarted(self) -> Self {
        let now = self.clock.0.load(Ordering::Relaxed);
        Scene::of(self.shop, now)
    }

    fn of(shop: Arc<Shop>, now: i64) -> Self {
        let clock = Arc::new(Set(AtomicI64::new(now)));
        let work =
            RunWork::new(Arc::clone(&shop.cluster), Arc::new(NoNumbers), Arc::<Set>::clone(&clock), Metrics::default());
        Scene { shop, clock, work }
    }

    /// Looks at the run as often as it falls due at once, some seconds later.
    async fn after(&self, seconds: i64) -> Next {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
        for _ in 0..5 {
            let next = self.work.work(ObjectKey::new("shop", "web-2-1-background")).await;
            if !matches!(next, Next::After(wait) if wait.as_secs() == 0) {
                return next;
            }
        }
        panic!("it never rests");
    }

    fn run(&self) -> Value {
        self.shop.server.objects.lock().unwrap()[RUN].clone()
    }

    fn load(&self) -> Value {
        self.run()["status"]["load"][0].clone()
    }

    /// The paths of the Jobs that there are.
    fn jobs(&self) -> Vec<String> {
        let objects = self.shop.server.objects.lock().unwrap();
        objects.keys().filter(|path| path.starts_with(JOBS)).cloned().collect()
    }

    fn end(&self, job: &str, condition: &str, reason: &str) {
        let mut objects = self.shop.server.objects.lock().unwrap();
        let ended = json!({"conditions": [{"type": condition, "status": "True", "reason": reason}]});
        objects.get_mut(job).unwrap()["status"] = ended;
    }

    fn stop(&self) {
        self.shop.watch_brings(&self.shop.server.change(RUN, "/spec/stop", true.into()));
    }
}

#[tokio::test]
async fn a_job_is_on_record_before_it_is_created_and_runs_until_the_run_ends() {
    let scene = Scene::new();
    scene.after(0).await;
    let jobs = scene.jobs();
    assert_eq!(jobs, [format!("{JOBS}/{}", scene.load()["job"].as_str().unwrap())]);
    let requests = scene.shop.server.requests.lock().unwrap().clone();
    let first = |what: &str| requests.iter().rposition(|line| line.starts_with(what)).unwrap();
    assert!(first(&format!("PATCH {RUN}")) < first(&format!("POST {JOBS}")), "{requests:?}");
    let job = scene.shop.server.objects.lock().unwrap()[&jobs[0]].clone();
    assert_eq!(job["metadata"]["ownerReferences"][0]["uid"], "run-1", "it goes with its run");
    assert_eq!(job["spec"]["activeDeadlineSeconds"], 3600);

    scene.after(60).await;
    assert_eq!(scene.jobs(), jobs, "one at a time");
    scene.stop();
    assert!(matches!(scene.after(1).await, Next::Forget));
    assert_eq!(scene.jobs(), Vec::<String>::new());
    assert_eq!((&scene.run()["status"]["phase"], &scene.load()["job"]), (&json!("Stopped"), &Value::Null));
    assert_eq!(scene.load()["started"], 1);
}

#[tokio::test]
async fn a_job_that_fails_is_a_note_and_one_that_ends_is_followed_by_the_next() {
    let scene = Scene::new();
    scene.after(0).await;
    let first = scene.jobs().remove(0);
    scene.end(&first, "Complete", "");
    scene.after(40).await;
    assert_eq!((scene.jobs().len(), &scene.load()["started"]), (2, &json!(2)));
    assert!(scene.load().get("note").is_none());

    // Its pods cannot be listed: that it failed is known all the same.
    let second = scene.jobs().into_iter().find(|job| *job != first).unwrap();
    scene.end(&second, "Failed", "BackoffLimitExceeded");
    scene.after(20).await;
    assert_eq!((scene.jobs().len(), &scene.load()["failures"]), (2, &json!(1)), "later");
    let said = scene.run()["status"]["message"].as_str().unwrap().to_owned();
    assert!(said.contains("; load: Job web-2-1-background-") && said.contains(" failed: "), "{said}");
    assert_ne!(scene.run()["status"]["verdict"], "Fail");
    scene.after(30).await;
    assert_eq!((scene.jobs().len(), &scene.load()["started"]), (3, &json!(3)));
}

/// The first process dies between the end of the run and the deletion of its Job.
#[tokio::test]
async fn a_controller_that_takes_over_finds_the_job_and_deletes_that_of_an_ended_run() {
    let scene = Scene::new();
    scene.after(0).await;
    let jobs = scene.jobs();
    let scene = scene.restarted();
    scene.after(15).await;
    assert_eq!((scene.jobs(), scene.load()["started"].clone()), (jobs, json!(1)), "found again");
    scene.shop.watch_brings(&scene.shop.server.change(RUN, "/status/phase", "Stopped".into()));
    let scene = scene.restarted();
    assert!(matches!(scene.after(0).await, Next::Forget));
    assert_eq!((scene.jobs(), scene.load()["job"].clone()), (Vec::new(), Value::Null));
}

/// A Job of this name that is not the run's is neither used nor deleted.
#[tokio::test]
async fn a_foreign_job_stays() {
    let scene = Scene::new();
    scene.after(0).await;
    let job = scene.jobs().remove(0);
    scene.shop.server.objects.lock().unwrap().get_mut(&job).unwrap()["metadata"]["ownerReferences"] = json!([]);
    scene.after(15).await;
    assert!(scene.load()["note"].as_str().unwrap().contains("is not of this run; delete it"), "{}", scene.load());
    scene.after(60).await;
    assert_eq!(scene.jobs(), std::slice::from_ref(&job));
    scene.stop();
    scene.after(1).await;
    assert_eq!(scene.jobs(), [job]);
}

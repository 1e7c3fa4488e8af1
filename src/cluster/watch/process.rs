//! A process with its watches against the small API server of the tests.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;

use super::{fake_api::FakeApi, *};
use crate::{
    clock::SystemClock,
    cluster::{events::EventSender, fence::Fence, shared::Settings, snapshot::Snapshot, table::ObjectKey},
    engine::{GateAnswer, GateQuestion},
    ports::{GateAsker, Observation, RolloutKey, World},
    reconcile::GateDesk,
};

struct NoGates;
#[async_trait]
impl GateAsker for NoGates {
    async fn ask(&self, _: &str, _: &GateQuestion) -> GateAnswer {
        unreachable!("no gate is asked here")
    }
}

#[derive(Default)]
pub struct Touched(pub Mutex<Vec<String>>);
impl Triggers for Touched {
    fn rollout(&self, key: RolloutKey) {
        self.0.lock().unwrap().push(key.name);
    }
    fn rollout_first(&self, key: RolloutKey) {
        self.0.lock().unwrap().push(format!("{} first", key.name));
    }
    fn rollout_counts(&self, key: RolloutKey) {
        self.rollout(key);
    }
    fn run(&self, _: ObjectKey) {}
    fn policy(&self, _: ObjectKey) {}
}

/// A process with its watches.
pub struct Process {
    pub api: FakeApi,
    pub cluster: Arc<Cluster>,
    pub streams: Streams,
    pub touched: Arc<Touched>,
    _watches: JoinSet<()>,
}

impl Process {
    pub fn start(api: &FakeApi) -> Self {
        Process::start_in(api, None)
    }

    pub fn start_in(api: &FakeApi, namespace: Option<&str>) -> Self {
        let (streams, touched) = (Streams::default(), Arc::<Touched>::default());
        let settings = Settings { namespace: namespace.map(str::to_owned), ..Settings::default() };
        let fence = Fence::default();
        fence.open();
        let cluster = Arc::new(Cluster::new(
            (api.client(), api.client()),
            settings,
            Arc::new(SystemClock),
            EventSender::start(api.client(), &fence, None),
            Arc::<Touched>::clone(&touched),
            GateDesk::new(Arc::new(NoGates)),
            fence,
        ));
        let watches = start(&cluster, &streams);
        Process { api: api.clone(), cluster, streams, touched, _watches: watches }
    }

    /// Seconds until the start waits for nothing more.
    pub async fn synced(&self) -> u64 {
        for second in 0..120 {
            settle().await;
            if self.streams.unsynced().is_empty() {
                return second;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("never synced: {:?}", self.streams.unsynced())
    }

    /// Lets so many seconds pass, with a bookmark a minute at these paths.
    pub async fn pass(&self, seconds: u64, bookmarks: &[&str]) {
        for second in 0..seconds {
            if second % 60 == 59 {
                bookmarks.iter().for_each(|path| self.api.bookmark(path, 1_000));
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        settle().await;
    }

    pub async fn observe(&self, name: &str) -> Option<Observation<Arc<Snapshot>>> {
        self.cluster.observe(&RolloutKey { namespace: "shop".into(), name: name.into() }).await.unwrap()
    }

    pub fn image(&self, name: &str) -> Option<String> {
        let entry = self.cluster.tables.rollouts.get("shop", name)?;
        let template = entry.value.read().ok()?.spec.template?;
        template["image"].as_str().map(str::to_owned)
    }

    pub fn fault(&self, name: &str) -> String {
        let entry = self.cluster.tables.rollouts.get("shop", name).unwrap();
        entry.value.read().unwrap_err().message
    }

    pub fn trouble(&self) -> Option<String> {
        let mut istio = watched_kinds().filter(|kind| kind.group == "networking.istio.io");
        istio.find_map(|kind| self.cluster.router_kinds.trouble(&kind.resource(), "shop"))
    }

    pub fn version(&self) -> String {
        self.cluster.router_kinds.version(watched_kinds().next().unwrap())
    }
}

/// Lets everything happen that can happen now.
pub async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

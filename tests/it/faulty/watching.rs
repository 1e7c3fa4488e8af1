//! Watches: a stream of events for one connection, with bookmarks, an end, and what may go wrong with all of them.

use std::{sync::Arc, time::Duration};

use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use super::{
    cluster::FaultyCluster,
    faults::{Fault, dice},
    store::{Change, Logged},
    verbs::Call,
};

/// The API server sends a bookmark about once a minute.
const BOOKMARK: Duration = Duration::from_secs(60);

/// A chunk of a watch's answer; an error breaks the connection.
type Chunk = Result<Bytes, std::io::Error>;

/// Opens a watch; the body ends with the connection.
pub fn open(cluster: &Arc<FaultyCluster>, process: usize, call: Call) -> Body {
    let (chunks, body) = mpsc::unbounded_channel::<Chunk>();
    let from = call.query.get("resourceVersion").and_then(|version| version.parse().ok());
    let watch = Watch { cluster: Arc::clone(cluster), process, call, chunks };
    tokio::spawn(async move {
        let at = from.filter(|version| *version > 0).unwrap_or_else(|| watch.cluster.with(|c| c.store.version()));
        watch.run(at).await;
    });
    Body::from_stream(stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) }).boxed())
}

struct Watch {
    cluster: Arc<FaultyCluster>,
    process: usize,
    call: Call,
    chunks: mpsc::UnboundedSender<Chunk>,
}

/// Why a watch is over.
enum End {
    Properly,
    Broken,
    /// Open, and silent.
    Silent,
}

impl Watch {
    async fn run(self, at: u64) {
        let lasts = self.call.query.get("timeoutSeconds").and_then(|text| text.parse().ok()).unwrap_or(300);
        let end = tokio::select! {
            biased;
            () = self.chunks.closed() => return,
            end = self.follow(at) => end,
            () = sleep(Duration::from_secs(lasts)) => End::Properly,
        };
        match end {
            End::Properly => {}
            End::Broken => drop(self.chunks.send(Err(std::io::ErrorKind::ConnectionReset.into()))),
            End::Silent => self.chunks.closed().await,
        }
    }

    /// Sends what is new, one event after the other, for as long as the history is known.
    async fn follow(&self, mut at: u64) -> End {
        let mut changed = self.cluster.changed();
        let opened = self.cluster.now();
        let mut bookmark = self.cluster.now() + BOOKMARK;
        loop {
            changed.mark_unchanged();
            let now = self.cluster.now();
            if self.cluster.is_cut(opened) {
                return End::Broken;
            }
            if let Some(held) = self.cluster.with(|c| c.faults.held_until(now, self.process)) {
                sleep(held - now).await;
                continue;
            }
            let mut late = self.latency(at);
            for fault in self.cluster.with(|c| c.faults.of_watches(now, self.process, self.call.kind.plural)) {
                match fault {
                    Fault::WatchEnds => return End::Properly,
                    Fault::WatchBreaks => return End::Broken,
                    Fault::WatchSilent => return End::Silent,
                    Fault::WatchSlow(by) => late += by,
                    _ => {}
                }
            }
            let news = self.cluster.with(|c| self.news(&c.store, at));
            let Some((news, version)) = news else { return self.gone() };
            if !news.is_empty() {
                sleep(late).await;
                let held = self.cluster.with(|c| c.faults.held_until(self.cluster.now(), self.process));
                if held.is_some() {
                    continue;
                }
                for (change, logged) in news {
                    self.send(change, &logged.object);
                    self.cluster.with(|c| c.checks.delivered(self.process, &logged.key, &logged.object, change, now));
                }
            } else if now >= bookmark {
                bookmark = now + BOOKMARK;
                if version > at {
                    self.bookmark(version);
                }
            }
            at = version.max(at);
            let next = self.cluster.with(|c| c.faults.next_change(now)).map_or(bookmark, |next| next.min(bookmark));
            tokio::select! {
                biased;
                _ = changed.changed() => {}
                () = sleep(next.saturating_sub(self.cluster.now())) => {}
            }
        }
    }

    fn latency(&self, at: u64) -> Duration {
        let seed = self.cluster.seed;
        Duration::from_millis(1 + dice(seed, (self.process, self.call.kind.plural, at)) % 20)
    }

    /// What this watch has to report since `at`, and up to which version that is. `None`: the history is gone.
    fn news(&self, store: &super::store::Store, at: u64) -> Option<(Vec<(Change, Logged)>, u64)> {
        let mine = |logged: &Logged| Some((self.seen_as(logged)?, logged.clone()));
        Some((store.since(at)?.filter_map(mine).collect(), store.version()))
    }

    /// An object that leaves what is selected is deleted, and one that enters it is added, for this watch.
    fn seen_as(&self, logged: &Logged) -> Option<Change> {
        let now = logged.change != Change::Deleted && self.call.selects(&logged.key, &logged.object);
        let before = logged.before.as_ref().is_some_and(|before| self.call.selects(&logged.key, before));
        match (before, now) {
            (false, false) => None,
            (false, true) => Some(Change::Added),
            (true, true) => Some(Change::Modified),
            (true, false) => Some(Change::Deleted),
        }
    }

    fn send(&self, change: Change, object: &Value) {
        let name = match change {
            Change::Added => "ADDED",
            Change::Modified => "MODIFIED",
            Change::Deleted => "DELETED",
        };
        self.line(&json!({"type": name, "object": object}));
    }

    fn bookmark(&self, version: u64) {
        if self.call.query.get("allowWatchBookmarks").is_some_and(|wanted| wanted == "true") {
            let kind = self.call.kind;
            self.line(&json!({"type": "BOOKMARK", "object": {"apiVersion": kind.api_version(), "kind": kind.kind,
                "metadata": {"resourceVersion": version.to_string(), "creationTimestamp": null}, "spec": {}}}));
        }
    }

    fn gone(&self) -> End {
        self.line(&json!({"type": "ERROR", "object": super::verbs::Refusal::new(
            410, "Expired", "too old resource version").body()}));
        End::Properly
    }

    fn line(&self, event: &Value) {
        let mut text = event.to_string();
        text.push('\n');
        drop(self.chunks.send(Ok(text.into())));
    }
}

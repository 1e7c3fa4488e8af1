//! Transitions as Kubernetes Events, published in the background: a tick never waits for them or fails by them.

use std::hash::{DefaultHasher, Hash, Hasher};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client, Resource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::sync::mpsc;

use super::{call::fenced, fence::Fence};
use crate::{
    api::{Rollout, reason::Reason},
    engine::Notice,
    ports::RolloutKey,
};

/// A fleet that is changed at once makes thousands of events. Those of one Rollout keep their order in one lane.
const LANES: usize = 8;
const QUEUE: usize = 2_000;
const NOTE_LIMIT: usize = 1_000;

/// What the log says and no Event: it comes by itself, and the Event of what follows says that it has come.
const NOT_PUBLISHED: [Reason; 2] = [Reason::PauseOver, Reason::Promoting];

type Message = (ObjectReference, Event);

/// Puts events into the queues.
#[derive(Clone, Debug)]
pub struct EventSender {
    lanes: Vec<mpsc::Sender<Message>>,
}

impl EventSender {
    /// Starts the publishers; they end when all senders are gone.
    pub fn start(client: Client, fence: &Fence, instance: Option<String>) -> Self {
        let reporter = Reporter { controller: "glidepath".into(), instance };
        let lane = |_| {
            let (queue, messages) = mpsc::channel(QUEUE);
            tokio::spawn(publish(client.clone(), fence.clone(), reporter.clone(), messages));
            queue
        };
        EventSender { lanes: (0..LANES).map(lane).collect() }
    }

    /// Queues an event; a full queue drops it, since status says the same.
    pub fn send(&self, rollout: &Rollout, notice: &Notice) {
        let key = RolloutKey::of(rollout);
        tracing::info!(rollout = %key, reason = %notice.reason, "{}", notice.message);
        if !NOT_PUBLISHED.contains(&notice.reason) {
            self.publish(rollout.object_ref(&()), notice);
        }
    }

    /// Queues an event about another object.
    pub fn send_about(&self, about: &ObjectReference, notice: &Notice) {
        let named = |text: &Option<String>| text.clone().unwrap_or_default();
        let (kind, namespace, name) = (named(&about.kind), named(&about.namespace), named(&about.name));
        tracing::info!(%kind, %namespace, %name, reason = %notice.reason, "{}", notice.message);
        self.publish(about.clone(), notice);
    }

    fn publish(&self, about: ObjectReference, notice: &Notice) {
        let mut hasher = DefaultHasher::new();
        (&about.kind, &about.namespace, &about.name).hash(&mut hasher);
        let lane = &self.lanes[hasher.finish() as usize % LANES];
        if lane.try_send((about, event_of(notice))).is_err() {
            tracing::warn!(reason = %notice.reason, "the queue of events is full");
        }
    }
}

fn event_of(notice: &Notice) -> Event {
    let mut note = notice.message.clone();
    if let Some((end, _)) = note.char_indices().nth(NOTE_LIMIT) {
        note.truncate(end);
    }
    Event {
        type_: if notice.warning { EventType::Warning } else { EventType::Normal },
        reason: notice.reason.to_string(),
        note: Some(note),
        action: "Rollout".into(),
        secondary: None,
    }
}

async fn publish(client: Client, fence: Fence, reporter: Reporter, mut messages: mpsc::Receiver<Message>) {
    while let Some((about, event)) = messages.recv().await {
        // A recorder folds events of one reason into a series that keeps the first text: "step 1 completed" for all
        // steps. The engine emits transitions only, so each gets a separate Event.
        let recorder = Recorder::new(client.clone(), reporter.clone());
        if let Err(error) = fenced(&fence, "publish an event", recorder.publish(&event, &about)).await {
            tracing::warn!(%error, "an event is missing");
        }
    }
}

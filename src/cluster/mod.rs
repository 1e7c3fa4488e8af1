//! The Kubernetes side of the engine's doors: watches that keep pruned tables, and guarded writes.
//!
//! [`Cluster`] is the controller's [`World`](crate::ports::World), and its state (`shared.rs`); what it does is in the files
//! beside it. What it observes (`observe.rs`) comes from the tables alone, so a fleet that has nothing to do makes no request
//! but its watches; every answer to a write goes into the tables at once (kube rule 5).

mod action_log;
mod answer;
mod api_client;
mod asked;
pub mod cached_pod;
pub mod cached_rollout;
mod call;
mod chain;
pub mod domain;
mod events;
mod evict;
mod evidence;
mod face;
#[cfg(test)]
pub(crate) mod fake_objects;
mod fence;
mod few;
mod findings;
mod first_look;
mod handback;
pub mod health;
mod history;
pub mod jobs;
pub mod kinds;
mod labels;
#[cfg(test)]
mod leader_tests;
pub mod load;
mod locks;
mod metadata;
mod nesting;
mod objects;
mod observe;
mod policies;
mod policy_tables;
mod problems;
mod quarantine;
pub mod raw_object;
mod recent;
pub mod records;
pub mod references;
pub mod repeated;
mod requests;
mod resources;
mod revision_annotation;
mod revisions;
mod router_kinds;
mod routes;
mod runs;
pub mod secrets;
pub mod selection;
mod selectors;
mod server_clock;
mod services;
mod shared;
mod snapshot;
mod status;
mod strays;
pub mod table;
mod tables;
pub mod targets;
mod termination;
mod terminations_seen;
mod text;
mod traffic;
mod triggers;
mod unavailable;
mod unreadable;
mod upkeep;
pub mod watch;
mod workload;
mod world;

pub use api_client::clients;
pub use events::EventSender;
pub use fence::{Fence, Term};
pub use health::{Health, Streams};
pub use requests::WatchRequests;
pub use resources::MANAGER;
pub use server_clock::ServerClock;
pub use shared::{Cluster, Settings};
pub use status::rollout_patch;

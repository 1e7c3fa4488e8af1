//! Mesh policies: how one [`MeshPolicy`](crate::api::MeshPolicy) becomes the objects of a mesh, or why it cannot.
//!
//! Pure. A policy is read with its profile and presets ([`settings`]), its names are looked up in what is known of the
//! cluster ([`Facts`]), and a mesh of [`MESHES`] plans the writes. Each mesh has a table ([`Cell`]) that says of every field
//! what it becomes or why the mesh does not have it; a policy with such a field is refused as a whole, unless it calls the field
//! `optional`. Nothing is dropped in silence, and nothing is written by half.
//!
//! A [`MeshFault`](crate::api::MeshFault) becomes objects of a mesh in the same way: see [`fault`].

mod cells;
pub mod change;
pub mod check;
pub mod consul;
pub mod drive;
mod durations;
mod effect;
mod facts;
pub mod fault;
mod fields;
mod former;
mod intent;
pub mod istio;
mod kind;
mod leftover;
pub mod linkerd;
mod others;
mod ownership;
mod paths;
mod plan;
mod pods;
mod pointer;
mod registry;
mod render;
mod settings;

pub use cells::{Becomes, Cell};
pub use facts::{Account, Facts, Port, Protocol, Release, Service, Workload};
pub use intent::{Intent, Target};
pub use kind::{MeshKind, MeshProvider};
pub use others::Other;
pub use ownership::POLICY_LABEL;
pub use paths::{fault_fields, fields};
pub use plan::{Conflict, MeshPlan, MeshWrite, PolicyName, Refusal};
pub use pods::{ContainerPort, Probe};
pub use registry::{MESHES, check_service, hand_back, mesh, plan, services};
pub use render::render;
pub use settings::PROFILES;

//! Routers: how one [`RouteIntent`] becomes the objects of a mesh.
//!
//! A router is pure. It lists the objects it needs, reads the weights from them and plans whole-object writes that
//! change only the fields it owns; the caller with a client reads and writes. Routers are found through [`ROUTERS`],
//! which also drives RBAC and watches.
//!
//! Without entries in `spec.traffic` there is no router, and the ratio of replicas determines the weight (rule S54):
//! every pod of both revisions is behind the same Service, so a canary with `c` of `n` pods gets about `c / n` of the
//! requests. Then [`routers`] returns an empty list, `Seen::route` stays `None`, and the engine chooses the pod counts
//! that come nearest to a step's weight.

mod asked;
mod consent;
pub mod consul;
mod context;
pub mod custom;
mod error;
mod expression;
pub mod gateway;
pub mod istio;
mod kind;
mod needs;
pub mod nginx;
mod objects;
mod own;
mod record;
mod registry;
mod resource;
pub mod smi;
mod together;
pub mod traefik;
mod weighted_list;
pub mod weights;

pub use consent::ALLOW_NAMESPACES;
pub use consul::error::ConsulError;
pub use context::{CrossNamespace, RouteContext, RouteScope};
pub use custom::error::CustomError;
pub use error::RouteError;
pub use gateway::error::GatewayError;
pub use kind::{Capabilities, RbacRule, Router, RouterKind, Versions, WatchedKind};
pub use needs::unmet;
pub use objects::{FIELD_MANAGER, ListRef, ObjectRef, Objects, Plan, PlannedWrite};
pub use registry::{ROUTERS, grain, pack, routers, routers_of};
pub use resource::{GroupResource, group_of};
pub use together::read_all;

//! The traffic objects of one tick: routes and Services as it observed them.
//!
//! A write is planned on these and conditional on their versions (rule S58), whatever the watches have received in the
//! meantime: an object that has moved since it was observed is a conflict, so a decision never overwrites what it has
//! not seen. Our own writes within the tick move what was observed on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use kube::api::Preconditions;

use super::{
    kinds::{CachedRoute, CachedService},
    locks::lock,
    table::Entry,
};
use crate::router::{ObjectRef, Objects, PlannedWrite};

/// What one tick has observed of its traffic.
#[derive(Debug, Default)]
pub struct Traffic {
    /// The last foreign writer of one of the routes.
    pub other_manager: Option<String>,
    routes: Mutex<Objects>,
    services: Mutex<BTreeMap<String, Arc<Entry<CachedService>>>>,
}

impl Traffic {
    /// What the tables hold now.
    pub fn new(
        routes: Objects,
        other_manager: Option<String>,
        services: BTreeMap<String, Arc<Entry<CachedService>>>,
    ) -> Self {
        Traffic { other_manager, routes: Mutex::new(routes), services: Mutex::new(services) }
    }

    /// The routers' objects.
    pub fn routes(&self) -> Objects {
        lock(&self.routes).clone()
    }

    /// One of the Rollout's Services.
    pub fn service(&self, name: &str) -> Option<Arc<Entry<CachedService>>> {
        lock(&self.services).get(name).cloned()
    }

    /// We wrote this route object.
    pub fn wrote_route(&self, written: &CachedRoute) {
        lock(&self.routes).insert(written.object());
    }

    /// We deleted this one.
    pub fn deleted_route(&self, gone: &ObjectRef) {
        let mut routes = lock(&self.routes);
        *routes = routes.after(&[PlannedWrite::Delete(gone.clone())]);
    }

    /// We wrote this Service.
    pub fn wrote_service(&self, written: Entry<CachedService>) {
        lock(&self.services).insert(written.key.name.clone(), Arc::new(written));
    }

    /// Only the very object that was observed may go.
    pub fn preconditions(&self, gone: &ObjectRef) -> Option<Preconditions> {
        let routes = lock(&self.routes);
        let object = routes.find(gone)?;
        let text = |field: &str| object["metadata"][field].as_str().map(str::to_owned);
        Some(Preconditions { uid: text("uid"), resource_version: text("resourceVersion") })
    }
}

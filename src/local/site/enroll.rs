//! Which versions are instances in a mesh: those that run where they are to run. What may be stopped leaves the mesh first.

use super::{apply::Site, placement::Placement, state::Inner};
use crate::{
    api::reason::Reason,
    engine::Notice,
    local::consul::{Instance, Mesh},
    ports::WorldError,
};

impl Site {
    /// Brings the instances in the mesh in line with the two addresses, and reports what has changed. Without a mesh there is
    /// nothing to do. That Consul cannot be reached is seen and reported by the observation that follows.
    pub(super) async fn enroll(&self) -> Result<(), WorldError> {
        let Some(mesh) = &self.inner.mesh else { return Ok(()) };
        let instances = self.inner.instances();
        match mesh.enroll(&instances).await {
            Ok(changes) => {
                changes.into_iter().for_each(|(place, is_there)| self.report(mesh, place, is_there));
                Ok(())
            }
            Err(error) if error.is_refusal() => Err(WorldError::Transient(error.to_string())),
            Err(_) => Ok(()),
        }
    }

    fn report(&self, mesh: &Mesh, place: usize, is_there: bool) {
        let mut state = self.inner.state();
        let (id, address) = (mesh.id(place), state.placement.places[place].address.clone());
        let (reason, message) = if is_there {
            let sidecar = format!("its sidecar: consul connect envoy -sidecar-for {id}");
            (Reason::AddressUp, format!("{address} is registered with Consul as {id}; {sidecar}"))
        } else {
            (Reason::AddressFree, format!("{address} is deregistered from Consul ({id})"))
        };
        self.inner.tell(&mut state, Notice { warning: false, reason, message });
    }
}

impl Inner {
    fn instances(&self) -> Vec<Instance> {
        let placement = self.state().placement.clone();
        [0, 1].into_iter().filter_map(|place| self.instance(&placement, place)).collect()
    }

    fn instance(&self, placement: &Placement, place: usize) -> Option<Instance> {
        let occupant = placement.places[place].occupant.as_deref()?;
        let version = placement.version(occupant).filter(|version| version.wanted > 0)?;
        let address = self.backends[place].address().clone();
        Some(Instance { place, address, revision: version.id.clone() })
    }
}

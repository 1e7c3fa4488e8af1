//! Which mesh a policy is for in this cluster, and the objects of that mesh around it.

use std::convert::Infallible;

use crate::{
    api::MeshPolicy,
    cluster::{shared::Cluster, table::ObjectKey},
    mesh::{self, MESHES, MeshKind},
    ports::WorldError,
    router::Objects,
};

impl Cluster {
    /// The kinds of a policy's mesh are watched from now on; where it names none, what says which one is installed.
    pub(super) fn need_mesh_kinds(&self, mesh: Option<&str>) {
        match mesh.map(mesh::mesh) {
            Some(named) => named.into_iter().for_each(|kind| self.need_kinds_of(kind)),
            None => MESHES
                .iter()
                .filter_map(|kind| kind.kinds.first())
                .for_each(|kind| self.router_kinds.need(&kind.resource())),
        }
    }

    fn need_kinds_of(&self, mesh: &MeshKind) {
        mesh.kinds.iter().for_each(|kind| self.router_kinds.need(&kind.resource()));
    }

    /// The mesh of a policy, or why there is none; an error while that is not known yet.
    pub(super) fn mesh_of(&self, policy: &MeshPolicy) -> Result<Result<&'static MeshKind, String>, WorldError> {
        let names = || MESHES.iter().map(|kind| kind.key).collect::<Vec<_>>().join(", ");
        if let Some(named) = &policy.spec.mesh {
            let Some(kind) = mesh::mesh(named) else {
                return Ok(Err(format!("there is no mesh {named}; there are {}", names())));
            };
            return Ok(if self.is_installed(kind)? { Ok(kind) } else { Err(self.not_installed(kind)) });
        }
        let mut installed = Vec::new();
        for kind in MESHES {
            if self.is_installed(kind)? {
                installed.push(kind);
            }
        }
        Ok(match installed.as_slice() {
            [one] => Ok(*one),
            [] => Err(format!("no mesh is installed whose kinds are known; there are {}", names())),
            several => {
                let found = several.iter().map(|kind| kind.key).collect::<Vec<_>>().join(" and ");
                Err(format!("is missing, and {found} are installed; set it to one of them"))
            }
        })
    }

    fn not_installed(&self, mesh: &MeshKind) -> String {
        let first = mesh.kinds.first().map(|kind| kind.definition()).unwrap_or_default();
        format!("{} is not installed: the API server does not serve {first}", mesh.key)
    }

    /// The kind that says whether a mesh is there.
    fn is_installed(&self, mesh: &MeshKind) -> Result<bool, WorldError> {
        let Some(first) = mesh.kinds.first() else { return Ok(false) };
        self.router_kinds.need(&first.resource());
        if self.router_kinds.is_absent(&first.resource()) {
            return Ok(false);
        }
        self.is_readable(first.resource())?;
        Ok(true)
    }

    fn is_readable(&self, resource: crate::router::GroupResource) -> Result<(), WorldError> {
        if self.router_kinds.is_absent(&resource) {
            return Ok(());
        }
        let Some(why) = self.router_kinds.trouble(&resource, "") else { return Ok(()) };
        // What is only looked for is there in a moment; anything else is logged until it is fixed.
        Err(if self.router_kinds.is_sought(&resource) { WorldError::NotReady(why) } else { WorldError::Transient(why) })
    }

    /// All objects of the mesh in the policy's namespace and in the mesh's root namespace; an error while one of its kinds cannot
    /// be read.
    pub(super) fn mesh_objects(
        &self,
        mesh: &'static MeshKind,
        key: &ObjectKey,
        root: &str,
    ) -> Result<Objects, WorldError> {
        self.need_kinds_of(mesh);
        let namespaces = if root == key.namespace { vec![root] } else { vec![key.namespace.as_str(), root] };
        let mut objects = Objects::default();
        for kind in mesh.kinds {
            self.is_readable(kind.resource())?;
            let Some(table) = self.tables.routes.get(&kind.resource()) else { continue };
            for entry in namespaces.iter().flat_map(|namespace| table.group(namespace, "")) {
                let Ok(object) = self.recent_routes.get(&entry, |kept| Ok::<_, Infallible>(kept.object()));
                objects.insert(object);
            }
        }
        for entry in self.policies.services.group(&key.namespace, "") {
            objects.insert(entry.value.object());
        }
        Ok(objects)
    }
}

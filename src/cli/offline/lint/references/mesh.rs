//! What a mesh does not use of the routes of a Rollout: those of two routers inside of one mesh, and VirtualServices for pods
//! in ambient mode without a waypoint.

use serde_json::Value;

use super::{
    named_routes::{self, Named},
    objects::{Found, Objects, Rollout},
};
use crate::{
    api::validate::Finding,
    router::{
        gateway::linkerd::parents,
        istio::ambient::{AmbientLabels, REMEDY, is_for_the_mesh},
    },
};

/// A route that takes effect for callers inside of the mesh, and the router that it is of.
struct Inside<'n> {
    route: &'n Named<'n>,
    is_istio: bool,
}

/// All entries of a Rollout together.
pub(super) fn check(rollout: &Rollout<'_>, files: &Objects<'_>, found: &mut Found) {
    let entries = rollout.spec.traffic.iter().enumerate();
    let named: Vec<Named<'_>> =
        entries.flat_map(|(number, entry)| named_routes::named(entry, &format!("spec.traffic[{number}]"))).collect();
    let inside: Vec<Inside<'_>> = named.iter().filter_map(|route| inside(rollout, files, route)).collect();
    let of = |is_istio: bool| inside.iter().find(|one| one.is_istio == is_istio).map(|one| one.route);
    if let Some((istio, gateway)) = of(true).zip(of(false)) {
        let message = format!(
            "{} \"{}\" and {} \"{}\" are both for the callers inside of the mesh, which uses one of the two; remove one from spec.traffic",
            istio.kind, istio.name, gateway.kind, gateway.name
        );
        found.push((rollout.index, Finding::error(&gateway.path, message)));
    }
    if let Some(route) = of(true).filter(|_| lacks_a_waypoint(rollout, files)) {
        let message =
            format!("pods in ambient mode whose Service has no waypoint: VirtualServices have no effect; {REMEDY}");
        found.push((rollout.index, Finding::error(&route.path, message)));
    }
}

fn inside<'n>(rollout: &Rollout<'_>, files: &Objects<'_>, route: &'n Named<'n>) -> Option<Inside<'n>> {
    let own = files.namespace(rollout.index);
    let index = files.find(rollout.index, route.group, route.kind, route.name, route.namespace.or(own))?;
    let object = &files.document(index).value;
    let is_istio = route.kind == "VirtualService";
    let has_hosts = |object: &Value| object["spec"]["hosts"].is_array();
    let is_inside = match (is_istio, route.root) {
        // A patch of an overlay says nothing of its gateways.
        (true, _) if has_hosts(object) => is_for_the_mesh(object),
        // A delegate is for whom its root is.
        (true, Some((name, namespace))) => {
            let root = files.find(rollout.index, route.group, route.kind, name, namespace.or(own));
            let root = root.map(|root| &files.document(root).value);
            root.is_some_and(|root| has_hosts(root) && is_for_the_mesh(root))
        }
        (true, None) => false,
        (false, _) => !parents(object, route.namespace.or(own).unwrap_or("default")).is_empty(),
    };
    is_inside.then_some(Inside { route, is_istio })
}

fn lacks_a_waypoint(rollout: &Rollout<'_>, files: &Objects<'_>) -> bool {
    let none = Value::Null;
    let own = files.namespace(rollout.index);
    let labels = |index: Option<usize>| index.map_or(&none, |index| &files.document(index).value["metadata"]["labels"]);
    let namespace = own.and_then(|own| files.find(rollout.index, "", "Namespace", own, None));
    let root = rollout.spec.services.as_ref().and_then(|services| services.root.as_deref());
    let service = root.and_then(|root| files.find(rollout.index, "", "Service", root, own));
    let pods = files.template(rollout).map_or(&none, |template| &template["metadata"]["labels"]);
    // What is not in the files may have the label.
    let is_known = namespace.is_some() && service.is_some();
    is_known && AmbientLabels { namespace: labels(namespace), service: labels(service), pods }.lack_a_waypoint()
}

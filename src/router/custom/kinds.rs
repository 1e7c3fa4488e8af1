//! Which kind an entry names, and the kinds that none may name: a Rollout must not become a way to write what its author may
//! not write.
//!
//! The controller may write more than the author of a Rollout: workloads, Services, its own records, the routes of the other
//! routers under their rules. Of a kind that it may write for `custom` alone, only numbers change, and only at the path and in
//! the entries that name the Rollout's Services; and rules are added that are copies of the rules of these lists, with a match
//! that [`template`](super::template) bounds.

use kube::core::{ApiResource, GroupVersionKind};
use std::borrow::Cow;

use crate::{
    api::{names, traffic::CustomTraffic},
    router::kind::{Versions, WatchedKind},
};

use super::error::Defect;

/// Groups that another router writes, under rules of its own.
const ROUTED: [(&str, &str); 4] = [
    ("networking.istio.io", "istio"),
    ("traefik.io", "traefik"),
    ("split.smi-spec.io", "smi"),
    ("consul.hashicorp.com", "consul"),
];
/// Groups of Kubernetes that do not end like this have no dot in them.
const KUBERNETES: &str = "k8s.io";
const OWN: &str = "glidepath.dev";

/// The kind of an entry whose preset is filled in; or the field that is at fault.
pub(super) fn kind_of(config: &CustomTraffic) -> Result<WatchedKind, Defect> {
    let api_version = config.api_version.as_deref().unwrap_or_default();
    let kind = config.kind.as_deref().unwrap_or_default();
    let Some((group, version)) = api_version.split_once('/') else {
        return Err(Defect::new("apiVersion", group_and_version(api_version)));
    };
    if names::subdomain(group).is_err() || names::label(version).is_err() {
        return Err(Defect::new("apiVersion", group_and_version(api_version)));
    }
    if let Some(why) = refused_group(group) {
        return Err(Defect::new("apiVersion", format!("objects of {api_version} cannot be written: {why}")));
    }
    if !kind.bytes().all(|letter| letter.is_ascii_alphanumeric()) || kind.is_empty() {
        return Err(Defect::new(
            "kind",
            format!("\"{kind}\" is not a kind; it has letters and digits, as in HTTPProxy"),
        ));
    }
    let plural = config.plural.clone().unwrap_or_else(|| regular_plural(group, version, kind));
    if names::label(&plural).is_err() {
        let message = format!("\"{plural}\" is not a resource; see the first column of `kubectl api-resources`");
        return Err(Defect::new("plural", message));
    }
    for (field, name) in [("kind", kind), ("plural", &plural)] {
        if name.to_ascii_lowercase().contains("secret") {
            let message = format!("objects of {kind} ({plural}) cannot be written: nothing that holds secrets is");
            return Err(Defect::new(field, message));
        }
    }
    Ok(WatchedKind {
        group: Cow::Owned(group.to_owned()),
        versions: Versions::Named(version.to_owned()),
        kind: Cow::Owned(kind.to_owned()),
        plural: Cow::Owned(plural),
    })
}

fn group_and_version(api_version: &str) -> String {
    format!("\"{api_version}\" is not the group and version of a custom resource, such as mesh.example.com/v1")
}

/// Why no Rollout may name kinds of a group.
fn refused_group(group: &str) -> Option<String> {
    let is_within = |whole: &str| group == whole || group.strip_suffix(whole).is_some_and(|rest| rest.ends_with('.'));
    if let Some((_, router)) = ROUTED.iter().find(|(routed, _)| *routed == group) {
        return Some(format!("use the router `{router}`"));
    }
    if group == "gateway.networking.k8s.io" {
        return Some("use the router `gateway`".to_owned());
    }
    if !group.contains('.') || is_within(KUBERNETES) {
        return Some("the group belongs to Kubernetes".to_owned());
    }
    is_within(OWN).then(|| "the group belongs to Glidepath".to_owned())
}

fn regular_plural(group: &str, version: &str, kind: &str) -> String {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind)).plural
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(api_version: &str, kind: &str, plural: Option<&str>) -> Result<WatchedKind, Defect> {
        kind_of(&CustomTraffic {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            plural: plural.map(str::to_owned),
            ..CustomTraffic::default()
        })
    }

    #[test]
    fn the_resource_is_the_regular_plural_unless_it_is_given() {
        for (kind, plural, resource) in [
            ("Route", None, "routes"),
            ("HTTPProxy", None, "httpproxies"),
            ("MeshRoute", Some("meshroutes"), "meshroutes"),
            ("Mesh", None, "meshes"),
        ] {
            let found = named("mesh.example.com/v1", kind, plural).unwrap();
            assert_eq!(found.definition(), format!("{resource}.mesh.example.com"));
            assert_eq!(found.newest(), "mesh.example.com/v1");
        }
    }

    // H7: what the controller may write for other reasons is no business of a Rollout.
    #[test]
    fn h7_kinds_that_the_controller_may_write_for_other_reasons_are_refused() {
        for (api_version, kind, plural, at) in [
            ("v1", "Service", None, "apiVersion"),
            ("apps/v1", "Deployment", None, "apiVersion"),
            ("batch/v1", "Job", None, "apiVersion"),
            ("autoscaling/v2", "HorizontalPodAutoscaler", None, "apiVersion"),
            ("rbac.authorization.k8s.io/v1", "ClusterRole", None, "apiVersion"),
            ("apiextensions.k8s.io/v1", "CustomResourceDefinition", None, "apiVersion"),
            ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", None, "apiVersion"),
            ("networking.k8s.io/v1", "Ingress", None, "apiVersion"),
            ("gateway.networking.k8s.io/v1", "HTTPRoute", None, "apiVersion"),
            ("networking.istio.io/v1", "VirtualService", None, "apiVersion"),
            ("glidepath.dev/v1alpha1", "Rollout", None, "apiVersion"),
            ("x.glidepath.dev/v1", "Thing", None, "apiVersion"),
            ("bitnami.com/v1alpha1", "SealedSecret", None, "kind"),
            ("mesh.example.com/v1", "Route", Some("secretroutes"), "plural"),
            ("mesh.example.com", "Route", None, "apiVersion"),
            ("mesh.example.com/v1/x", "Route", None, "apiVersion"),
            ("mesh.example.com/v1", "Ro ute", None, "kind"),
            ("mesh.example.com/v1", "Route", Some("routes/status"), "plural"),
        ] {
            let defect = named(api_version, kind, plural).unwrap_err();
            assert_eq!(defect.field, at, "{api_version} {kind}: {}", defect.message);
        }
        assert!(named("notk8s.io/v1", "Route", None).is_ok() && named("my-glidepath.dev/v1", "Route", None).is_ok());
    }
}

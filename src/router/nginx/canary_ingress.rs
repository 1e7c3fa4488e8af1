//! The canary Ingress: what it says now, and what it must say.

use serde_json::{Map, Value, json};

use super::{
    conditions::Conditions,
    kinds::{API_VERSION, GROUP, INGRESS, INGRESSES, annotation, users},
};
use crate::{
    api::{Percent, ROLLOUT_LABEL, traffic::NginxTraffic},
    engine::RouteIntent,
    router::{
        consent,
        context::RouteContext,
        error::RouteError,
        objects::{ObjectRef, Objects, PlannedWrite},
    },
};

/// The header routes that the annotations of a canary Ingress stand for, by name, separated by commas.
const HEADER_ROUTES: &str = "glidepath.dev/header-routes";
/// The class as an annotation, from before `spec.ingressClassName`.
const CLASS: &str = "kubernetes.io/ingress.class";
/// What ingress-nginx reads of a canary Ingress beside the canary annotations; the rest comes from the user's.
const COPIED: [&str; 6] = [
    "load-balance",
    "upstream-hash-by",
    "upstream-hash-by-subset",
    "upstream-hash-by-subset-size",
    "service-upstream",
    "affinity-canary-behavior",
];

/// The canary Ingress of one `nginx` entry.
pub(super) struct CanaryIngress<'a> {
    pub(super) ctx: &'a RouteContext,
    pub(super) config: &'a NginxTraffic,
}

/// A place that requests come in by: host and path.
type Place<'o> = (&'o str, &'o str);

impl CanaryIngress<'_> {
    /// By the name that Argo Rollouts gives it: two Rollouts may be behind one Ingress.
    fn name(&self) -> String {
        format!("{}-{}-canary", self.ctx.rollout_name, self.config.ingress)
    }

    pub(super) fn reference(&self) -> ObjectRef {
        ObjectRef { required: false, ..INGRESSES.reference(&self.ctx.namespace, &self.name()) }
    }

    /// The canary Ingress as it is; an error where another's has its name.
    pub(super) fn present<'o>(&self, current: &'o Objects) -> Result<Option<&'o Value>, RouteError> {
        let present = current.find(&self.reference());
        match present.is_none_or(|object| self.is_ours(object)) {
            true => Ok(present),
            false => Err(RouteError::IngressNotOurs { namespace: self.ctx.namespace.clone(), name: self.name() }),
        }
    }

    /// The canary's share; `None` when it cannot be read.
    pub(super) fn weight(&self, object: &Value) -> Option<Percent> {
        let number = |key: &str| annotation(object, &self.key(key))?.parse::<u64>().ok();
        let (weight, total) = (number("canary-weight")?, number("canary-weight-total")?.max(100));
        let points = u32::try_from(u128::from(weight.min(total)) * 10_000 / u128::from(total)).ok()?;
        Some(Percent::from_basis_points(points)).filter(|_| annotation(object, &self.key("canary")) == Some("true"))
    }

    /// The names of the header routes in it, sorted.
    pub(super) fn header_routes(object: &Value) -> Vec<String> {
        let names = annotation(object, HEADER_ROUTES).unwrap_or_default().split(',');
        let mut names: Vec<String> = names.filter(|name| !name.is_empty()).map(str::to_owned).collect();
        names.sort();
        names.dedup();
        names
    }

    /// What makes it as intended.
    pub(super) fn next(&self, current: &Objects, intent: &RouteIntent) -> Result<Option<PlannedWrite>, RouteError> {
        let present = self.present(current)?;
        let users = users(&self.ctx.namespace, &self.config.ingress);
        let users = consent::written(self.ctx, &users, current)?;
        let spec = self.spec(users, present)?;
        self.alone(current, &spec)?;
        let annotations = self.annotations(users, intent)?;
        if intent.canary.is_zero() && intent.headers.is_empty() {
            return Ok(self.removal(current));
        }
        let Some(present) = present else { return Ok(Some(PlannedWrite::Create(self.new_object(annotations, spec)))) };
        let mut next = present.clone();
        let kept = present["metadata"]["annotations"].as_object().into_iter().flatten();
        let kept = kept.filter(|(key, _)| !is_managed(key)).map(|(key, value)| (key.clone(), value.clone()));
        next["metadata"]["annotations"] = kept.chain(annotations).collect::<Map<_, _>>().into();
        next["metadata"]["ownerReferences"] = self.owner_references();
        next["spec"] = spec;
        Ok((next != *present).then_some(PlannedWrite::Replace(next)))
    }

    /// Its removal, if it is there.
    pub(super) fn removal(&self, current: &Objects) -> Option<PlannedWrite> {
        self.present(current).ok().flatten().map(|_| PlannedWrite::Delete(self.reference()))
    }

    /// The user's hosts and paths to the stable Service, with the canary Service in its place.
    fn spec(&self, users: &Value, present: Option<&Value>) -> Result<Value, RouteError> {
        let mut spec = Map::new();
        // A class that the API server has put in stays.
        let class = [Some(users), present].into_iter().flatten().map(|object| &object["spec"]["ingressClassName"]);
        if let Some(class) = class.into_iter().find(|class| class.is_string()) {
            spec.insert("ingressClassName".to_owned(), class.clone());
        }
        if let Some(tls) = users["spec"].get("tls").filter(|tls| tls.is_array()) {
            spec.insert("tls".to_owned(), tls.clone());
        }
        if let Some(backend) = self.to_canary(&users["spec"]["defaultBackend"]) {
            spec.insert("defaultBackend".to_owned(), backend);
        }
        let rules = users["spec"]["rules"].as_array().into_iter().flatten();
        let rules: Vec<Value> = rules.filter_map(|rule| self.rule(rule)).collect();
        if rules.is_empty() && !spec.contains_key("defaultBackend") {
            return Err(RouteError::NoPathToStable {
                ingress: format!("{}/{}", self.ctx.namespace, self.config.ingress),
                service: self.ctx.stable_service.clone(),
                exist: services(users),
            });
        }
        if !rules.is_empty() {
            spec.insert("rules".to_owned(), rules.into());
        }
        Ok(spec.into())
    }

    /// A rule with those of its paths that lead to stable.
    fn rule(&self, rule: &Value) -> Option<Value> {
        let ours = rule["http"]["paths"].as_array()?.iter().filter_map(|path| {
            let mut ours = path.clone();
            *ours.get_mut("backend")? = self.to_canary(&path["backend"])?;
            Some(ours)
        });
        let ours: Vec<Value> = ours.collect();
        let is_empty = ours.is_empty();
        let mut next = rule.clone();
        *next.pointer_mut("/http/paths")? = ours.into();
        (!is_empty).then_some(next)
    }

    /// A backend that is the stable Service, as the canary Service.
    fn to_canary(&self, backend: &Value) -> Option<Value> {
        let mut next = backend.clone();
        let name = next.pointer_mut("/service/name").filter(|name| name.as_str() == Some(&self.ctx.stable_service))?;
        *name = self.ctx.canary_service.as_str().into();
        Some(next)
    }

    /// That no canary Ingress of another leads from the same host and path: ingress-nginx reads one of them. Nor may an Ingress
    /// that is no canary lead to the canary Service: the upstream would be that one's, and without our weight.
    fn alone(&self, current: &Objects, spec: &Value) -> Result<(), RouteError> {
        self.no_plain_way(current)?;
        let ours = places(spec);
        let others = current.of_kind((GROUP, INGRESS), &self.ctx.namespace).filter(|other| {
            annotation(other, &self.key("canary")) == Some("true") && other["metadata"]["name"] != self.name().as_str()
        });
        for other in others {
            if let Some((host, path)) = places(&other["spec"]).into_iter().find(|place| ours.contains(place)) {
                return Err(RouteError::CanaryIngressTaken {
                    namespace: self.ctx.namespace.clone(),
                    name: other["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                    place: format!("{}{path}", if host.is_empty() { "*" } else { host }),
                });
            }
        }
        Ok(())
    }

    fn no_plain_way(&self, current: &Objects) -> Result<(), RouteError> {
        let plain = |other: &&Value| annotation(other, &self.key("canary")) != Some("true");
        let mut others = current.of_kind((GROUP, INGRESS), &self.ctx.namespace).filter(plain);
        let leads = |other: &Value| {
            let paths = other["spec"]["rules"].as_array().into_iter().flatten();
            let paths = paths.flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten());
            let backends = paths.map(|path| &path["backend"]).chain([&other["spec"]["defaultBackend"]]);
            backends.into_iter().any(|backend| backend["service"]["name"] == self.ctx.canary_service.as_str())
        };
        match others.find(|other| leads(other)) {
            None => Ok(()),
            Some(other) => Err(RouteError::CanaryServiceTaken {
                namespace: self.ctx.namespace.clone(),
                name: other["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
                service: self.ctx.canary_service.clone(),
            }),
        }
    }

    fn annotations(&self, users: &Value, intent: &RouteIntent) -> Result<Map<String, Value>, RouteError> {
        let points = intent.canary.basis_points();
        // Whole percents of 100 also mean the same to an ingress-nginx that does not know of a total.
        let (weight, total) = if points.is_multiple_of(100) { (points / 100, 100) } else { (points, 10_000) };
        let mut all = vec![
            ("canary", "true".to_owned()),
            ("canary-weight", weight.to_string()),
            ("canary-weight-total", total.to_string()),
        ];
        all.extend(Conditions::of(&intent.headers)?.annotations());
        let copied = |key: &'static str| Some((key, annotation(users, &self.key(key))?.to_owned()));
        all.extend(COPIED.into_iter().filter_map(copied));
        let mut annotations: Map<String, Value> =
            all.into_iter().map(|(key, text)| (self.key(key), text.into())).collect();
        if let Some(class) = annotation(users, CLASS) {
            annotations.insert(CLASS.to_owned(), class.into());
        }
        let mut names: Vec<&str> = intent.headers.iter().map(|route| route.name.as_str()).collect();
        names.sort_unstable();
        if !names.is_empty() {
            annotations.insert(HEADER_ROUTES.to_owned(), names.join(",").into());
        }
        Ok(annotations)
    }

    fn new_object(&self, annotations: Map<String, Value>, spec: Value) -> Value {
        json!({
            "apiVersion": API_VERSION,
            "kind": INGRESS,
            "metadata": {
                "name": self.name(),
                "namespace": self.ctx.namespace,
                "labels": { ROLLOUT_LABEL: self.ctx.rollout_name },
                "annotations": annotations,
                "ownerReferences": self.owner_references(),
            },
            "spec": spec,
        })
    }

    fn owner_references(&self) -> Value {
        json!([{
            "apiVersion": "glidepath.dev/v1alpha1",
            "kind": "Rollout",
            "name": self.ctx.rollout_name,
            "uid": self.ctx.rollout_uid,
            "controller": true,
        }])
    }

    fn is_ours(&self, object: &Value) -> bool {
        object["metadata"]["labels"][ROLLOUT_LABEL].as_str() == Some(&self.ctx.rollout_name)
    }

    /// An annotation of ingress-nginx.
    fn key(&self, name: &str) -> String {
        format!("{}/{name}", self.config.annotation_prefix())
    }
}

/// Whether an annotation is ours to set and to remove, whatever its prefix.
fn is_managed(key: &str) -> bool {
    let name = key.rsplit('/').next().unwrap_or_default();
    key == CLASS || key == HEADER_ROUTES || name == "canary" || name.starts_with("canary-") || COPIED.contains(&name)
}

/// Every host and path; the default backend is any host's `/`.
fn places(spec: &Value) -> Vec<Place<'_>> {
    let rules = spec["rules"].as_array().into_iter().flatten();
    let paths = rules.flat_map(|rule| {
        let host = rule["host"].as_str().unwrap_or_default();
        let paths = rule["http"]["paths"].as_array().into_iter().flatten();
        paths.map(move |path| (host, path["path"].as_str().unwrap_or("/")))
    });
    let default = spec["defaultBackend"].is_object().then_some(("", "/"));
    paths.chain(default).collect()
}

/// The Services that an Ingress leads to, for display.
fn services(object: &Value) -> String {
    let rules = object["spec"]["rules"].as_array().into_iter().flatten();
    let paths = rules.flat_map(|rule| rule["http"]["paths"].as_array().into_iter().flatten());
    let backends = paths.map(|path| &path["backend"]).chain([&object["spec"]["defaultBackend"]]);
    let mut names: Vec<String> = Vec::new();
    for name in backends.filter_map(|backend| backend["service"]["name"].as_str()).map(|name| format!("`{name}`")) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() { "no Service".to_owned() } else { names.join(", ") }
}

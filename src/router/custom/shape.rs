//! What an entry says together with its preset: the kind, where its weights are, and when they count.

use crate::{
    api::{
        Percent,
        traffic::{CustomBackends, CustomFields, CustomTraffic},
    },
    expr::object::ObjectCondition,
    router::{kind::WatchedKind, resource::group_of},
};

use super::{
    error::Defect,
    headers::Headers,
    kinds::kind_of,
    path::{Fields, Path},
    presets::{Preset, preset, presets},
};

/// The parts of an object that no weight is in.
const NO_WEIGHTS: [&str; 4] = ["apiVersion", "kind", "metadata", "status"];
/// The parts of a whole that a weight is a number of; the finest weight is one of them.
const BASIS_POINTS: u32 = 10_000;
/// The whole of two fields.
const PERCENT: u32 = 100;

/// An entry, understood.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) kind: WatchedKind,
    pub(super) weights: Weights,
    /// What all weights add up to, where that is fixed.
    pub(super) total: Option<u32>,
    /// The text of the condition.
    pub(super) verified: Option<String>,
    /// How header routes are written.
    pub(super) headers: Option<Headers>,
}

/// Where the weights are.
#[derive(Clone, Debug)]
pub(super) enum Weights {
    Lists(Backends),
    Fields { canary: Path, stable: Option<Path> },
}

/// The lists of backends and their entries.
#[derive(Clone, Debug)]
pub(super) struct Backends {
    pub(super) path: Path,
    pub(super) service: Fields,
    /// What that field says, with `{service}` and `{namespace}` to be filled in.
    pub(super) service_value: String,
    pub(super) namespace: Option<Fields>,
    pub(super) weight: Fields,
    pub(super) default_weight: Option<u32>,
}

impl Shape {
    /// What an entry says; or everything that is wrong with it.
    pub(super) fn of(entry: &CustomTraffic) -> Result<Self, Vec<Defect>> {
        let config = with_preset(entry).map_err(|defect| vec![defect])?;
        let mut defects = Vec::new();
        let kind = kind_of(&config).map_err(|defect| defects.push(defect)).ok();
        let weights = weights(&config, &mut defects);
        let total = config.total.or(config.fields.is_some().then_some(PERCENT));
        if let Some(total) = config.total.filter(|total| !is_whole(*total)) {
            defects.push(Defect::new("total", format!("{total} cannot express every percent; use 100, 1000 or 10000")));
        }
        if let Some(Err(error)) = config.verified.as_deref().map(ObjectCondition::compile) {
            defects.push(Defect::new("verified", error.to_string()));
        }
        if let Some(why) = kind.as_ref().filter(|_| entry.headers.is_some()).and_then(declared_by_preset) {
            defects.push(Defect::new("headers", why));
        }
        let headers = headers(&config, weights.as_ref(), &mut defects);
        match (kind, weights) {
            (Some(kind), Some(weights)) if defects.is_empty() => {
                Ok(Shape { kind, weights, total, verified: config.verified, headers })
            }
            _ => Err(defects),
        }
    }

    /// The finest weight that can be written.
    pub(super) fn grain(&self) -> Percent {
        let total = self.total.unwrap_or(BASIS_POINTS).min(BASIS_POINTS);
        Percent::from_basis_points(BASIS_POINTS / total.max(1))
    }
}

/// Whether a basis point or a multiple of it is a whole number of these parts.
fn is_whole(total: u32) -> bool {
    total > 0 && (BASIS_POINTS.is_multiple_of(total) || total.is_multiple_of(BASIS_POINTS))
}

/// The entry with what its preset says where it says nothing itself.
fn with_preset(entry: &CustomTraffic) -> Result<CustomTraffic, Defect> {
    let Some(name) = &entry.preset else { return Ok(entry.clone()) };
    let Some(preset) = preset(name) else {
        let all: Vec<&str> = presets().map(|preset| preset.name).collect();
        let message = format!(
            "there is no preset `{name}`; there are {}. A mesh without a preset needs apiVersion, kind and backends",
            all.join(", ")
        );
        return Err(Defect::new("preset", message));
    };
    let known = &preset.custom;
    let names_weights = entry.backends.is_some() || entry.fields.is_some();
    let names_kind = entry.kind.is_some();
    Ok(CustomTraffic {
        api_version: entry.api_version.clone().or_else(|| known.api_version.clone()),
        kind: entry.kind.clone().or_else(|| known.kind.clone()),
        plural: entry.plural.clone().or_else(|| known.plural.clone().filter(|_| !names_kind)),
        backends: entry.backends.clone().or_else(|| known.backends.clone().filter(|_| !names_weights)),
        fields: entry.fields.clone().or_else(|| known.fields.clone().filter(|_| !names_weights)),
        headers: entry.headers.clone().or_else(|| known.headers.clone().filter(|_| has_same_rules(entry, known))),
        total: entry.total.or(known.total),
        verified: entry.verified.clone().or_else(|| known.verified.clone()),
        ..entry.clone()
    })
}

/// Whether the lists of an entry are where those of its preset are: other lists are in rules of another shape.
fn has_same_rules(entry: &CustomTraffic, known: &CustomTraffic) -> bool {
    let path = |config: &CustomTraffic| config.backends.as_ref().map(|backends| backends.path.clone());
    entry.fields.is_none() && (entry.backends.is_none() || path(entry) == path(known))
}

/// Why an entry cannot say how header routes of a kind are written: the controller may write the kinds of presets without a
/// ClusterRole of the user's, and a Rollout must not be a way to write anything else into them (H7).
fn declared_by_preset(kind: &WatchedKind) -> Option<String> {
    let same = |preset: &&Preset| preset.kind.group == kind.group && preset.kind.plural == kind.plural;
    let preset = presets().find(same)?;
    Some(match preset.custom.headers {
        Some(_) => format!("the preset `{}` says it for {}; remove this", preset.name, kind.kind),
        None => format!("the preset `{}` has no header routes for {}; remove this", preset.name, kind.kind),
    })
}

/// The group and kind of an entry, whether it is otherwise valid or not.
pub fn named_kind(entry: &CustomTraffic) -> Option<(&str, &str)> {
    let known = entry.preset.as_deref().and_then(preset).map(|preset| &preset.custom);
    let api_version = entry.api_version.as_deref().or_else(|| known?.api_version.as_deref())?;
    let kind = entry.kind.as_deref().or_else(|| known?.kind.as_deref())?;
    Some((group_of(api_version), kind))
}

fn weights(config: &CustomTraffic, defects: &mut Vec<Defect>) -> Option<Weights> {
    match (&config.backends, &config.fields) {
        (Some(backends), None) => lists(backends, defects).map(Weights::Lists),
        (None, Some(fields)) => two_fields(fields, defects),
        (None, None) => {
            defects.push(Defect::new("backends", "set one of backends and fields: they say where the weights are"));
            None
        }
        (Some(_), Some(_)) => {
            defects.push(Defect::new("fields", "set one of backends and fields"));
            None
        }
    }
}

fn lists(config: &CustomBackends, defects: &mut Vec<Defect>) -> Option<Backends> {
    let path = path("backends.path", &config.path, defects);
    let service = fields("backends.service", &config.service, defects);
    let namespace = config.namespace.as_deref().map(|text| fields("backends.namespace", text, defects));
    let weight = fields("backends.weight", config.weight.as_deref().unwrap_or("weight"), defects);
    let service_value = config.service_value.clone().unwrap_or_else(|| SERVICE.to_owned());
    if !service_value.contains(SERVICE) {
        let message = format!("\"{service_value}\" is the same for both Services; it must contain {SERVICE}");
        defects.push(Defect::new("backends.serviceValue", message));
    }
    let default_weight = config.default_weight;
    let (path, service, weight) = (path?, service?, weight?);
    let namespace = match namespace {
        Some(parsed) => Some(parsed?),
        None => None,
    };
    Some(Backends { path, service, service_value, namespace, weight, default_weight })
}

fn headers(config: &CustomTraffic, weights: Option<&Weights>, defects: &mut Vec<Defect>) -> Option<Headers> {
    let headers = config.headers.as_ref()?;
    match weights? {
        Weights::Lists(backends) => Headers::of(headers, &backends.path, defects),
        Weights::Fields { .. } => {
            defects
                .push(Defect::new("headers", "header routes are rules beside others: they need backends, not fields"));
            None
        }
    }
}

/// Stands for the name of a Service.
pub(super) const SERVICE: &str = "{service}";
/// Stands for its namespace.
pub(super) const NAMESPACE: &str = "{namespace}";

fn two_fields(config: &CustomFields, defects: &mut Vec<Defect>) -> Option<Weights> {
    let canary = field("fields.canary", &config.canary, defects);
    let stable = config.stable.as_deref().map(|text| field("fields.stable", text, defects));
    if config.stable.as_ref() == Some(&config.canary) {
        defects.push(Defect::new("fields.stable", "stable and canary must be two fields"));
    }
    let stable = match stable {
        Some(parsed) => Some(parsed?),
        None => None,
    };
    Some(Weights::Fields { canary: canary?, stable })
}

fn field(at: &'static str, text: &str, defects: &mut Vec<Defect>) -> Option<Path> {
    let path = path(at, text, defects)?;
    if path.parent().is_none() {
        defects.push(Defect::new(at, format!("`{text}` must end with a field that holds the weight")));
        return None;
    }
    Some(path)
}

fn path(at: &'static str, text: &str, defects: &mut Vec<Defect>) -> Option<Path> {
    match Path::parse(text) {
        Ok(path) if NO_WEIGHTS.contains(&path.root()) => {
            defects.push(Defect::new(at, format!("`{text}` begins with {}, which holds no weights", path.root())));
            None
        }
        Ok(path) => Some(path),
        Err(message) => {
            defects.push(Defect::new(at, message));
            None
        }
    }
}

fn fields(at: &'static str, text: &str, defects: &mut Vec<Defect>) -> Option<Fields> {
    Fields::parse(text).map_err(|message| defects.push(Defect::new(at, message))).ok()
}

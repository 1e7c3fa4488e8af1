//! The service-splitter: the weights of the splits of our two subsets. They are percents with two decimals, and all of them add
//! up to 100.

use serde_json::Value;

use super::{error::ConsulError, service::ConsulService, spelling::Spelling};
use crate::{
    api::Percent,
    engine::Target,
    router::{error::RouteError, weights},
};

/// The kind as a custom resource.
pub(super) const SERVICE_SPLITTER: &str = "ServiceSplitter";
/// All weights together, in basis points.
const WHOLE: u64 = 10_000;

/// The weights of a splitter in basis points, and which of them are ours.
struct Weighed {
    weights: Vec<u64>,
    stable: usize,
    canary: usize,
}

impl Weighed {
    fn of(&self, index: usize) -> u64 {
        self.weights.get(index).copied().unwrap_or_default()
    }

    fn total(&self) -> u64 {
        self.weights.iter().sum()
    }

    /// The canary's part of what the others leave.
    fn share(&self) -> Option<Percent> {
        weights::share(self.of(self.stable), self.of(self.canary))
    }
}

/// The canary's share of our two splits; none where neither has weight.
pub fn share(service: &ConsulService, splitter: &Value) -> Result<Option<Percent>, RouteError> {
    weighed(service, splitter).map(|weighed| weighed.share())
}

/// The splitter with the canary's share of *our* part at `canary`; every other split keeps its weight. Weights that already
/// say so come back as they are.
pub fn with_share(service: &ConsulService, splitter: &Value, canary: Percent) -> Result<Value, RouteError> {
    let weighed = weighed(service, splitter)?;
    if weighed.share() == Some(canary) && weighed.total() == WHOLE && is_exact(&weighed, canary) {
        return Ok(splitter.clone());
    }
    let others = weighed.total() - weighed.of(weighed.stable) - weighed.of(weighed.canary);
    let place = || service.place(SERVICE_SPLITTER);
    let ours = WHOLE.checked_sub(others).filter(|ours| *ours > 0);
    let ours = ours.ok_or_else(|| RouteError::NoShareLeft { place: place() })?;
    let parts = ours * u64::from(canary.basis_points());
    if !parts.is_multiple_of(WHOLE) {
        return Err(RouteError::WeightNotExpressible { place: place(), weight: canary });
    }
    let to_canary = parts / WHOLE;
    let mut next = splitter.clone();
    write(service, &mut next, weighed.stable, ours - to_canary);
    write(service, &mut next, weighed.canary, to_canary);
    Ok(next)
}

/// Whether the weights say the share itself, and not one that is rounded to it.
fn is_exact(weighed: &Weighed, canary: Percent) -> bool {
    let ours = weighed.of(weighed.stable) + weighed.of(weighed.canary);
    weighed.of(weighed.canary) * WHOLE == ours * u64::from(canary.basis_points())
}

fn weighed(service: &ConsulService, splitter: &Value) -> Result<Weighed, RouteError> {
    let splits = service.spelling.list(service.spelling.body(splitter), "splits");
    let weight = |split: &Value| {
        let weight = service.spelling.field(split, "weight");
        basis_points(weight).ok_or_else(|| RouteError::InvalidWeight {
            place: service.place(SERVICE_SPLITTER),
            weight: weight.to_string(),
        })
    };
    Ok(Weighed {
        stable: position(service, splits, Target::Stable)?,
        canary: position(service, splits, Target::Canary)?,
        weights: splits.iter().map(weight).collect::<Result<_, _>>()?,
    })
}

/// As Consul counts: hundredths of a percent, rounded. Absent is 0.
fn basis_points(weight: &Value) -> Option<u64> {
    let percent = if weight.is_null() { 0.0 } else { weight.as_f64()? };
    (0.0..=100.0).contains(&percent).then(|| (percent * 100.0).round() as u64)
}

fn position(service: &ConsulService, splits: &[Value], target: Target) -> Result<usize, RouteError> {
    let subset = service.subset(target);
    let is_ours = |split: &Value| service.receives(split) && service.subset_of(split) == Some(subset);
    let mut ours = splits.iter().enumerate().filter(|(_, split)| is_ours(split)).map(|(index, _)| index);
    match (ours.next(), ours.count()) {
        (Some(index), 0) => Ok(index),
        (Some(_), more) => Err(RouteError::AmbiguousDestination {
            place: service.place(SERVICE_SPLITTER),
            wanted: format!("subset `{subset}`"),
            count: more + 1,
        }),
        (None, _) => Err(missing(service, target).into()),
    }
}

fn missing(service: &ConsulService, target: Target) -> ConsulError {
    let (subset, weight) = (service.subset(target), if target == Target::Stable { 100 } else { 0 });
    let list = service.spelling.path("splits");
    let lines = match service.spelling {
        Spelling::Resource { .. } => format!("`{list}`:\n- weight: {weight}\n  serviceSubset: {subset}"),
        Spelling::Entry => format!("`{list}`: {{\"Weight\": {weight}, \"ServiceSubset\": \"{subset}\"}}"),
    };
    ConsulError::SplitMissing {
        place: service.place(SERVICE_SPLITTER),
        target,
        what: format!("subset `{subset}` of service {}", service.name),
        lines,
    }
}

/// Whole percents stay whole numbers: the API server would write 95.0 as 95, which reads back as another value.
fn write(service: &ConsulService, splitter: &mut Value, index: usize, weight: u64) {
    let list = service.spelling.key("splits");
    let splits = service.spelling.body_mut(splitter).and_then(|body| body.get_mut(list.as_ref()));
    let split = splits.and_then(|splits| splits.get_mut(index)).and_then(Value::as_object_mut);
    let Some(split) = split else { return };
    let percent =
        if weight.is_multiple_of(100) { Value::from(weight / 100) } else { Value::from(weight as f64 / 100.0) };
    service.spelling.set(split, "weight", percent);
}

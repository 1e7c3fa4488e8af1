//! Weights in fields of their own: one for the canary, perhaps one for stable.

use serde_json::Value;

use super::{error::CustomError, path::Path, place::Place};
use crate::{
    api::Percent,
    router::{error::RouteError, weighted_list::whole, weights},
};

/// The weights of one object.
pub(super) struct TwoFields<'a> {
    pub(super) place: &'a Place,
    pub(super) canary: &'a Path,
    pub(super) stable: Option<&'a Path>,
    pub(super) total: u64,
}

impl TwoFields<'_> {
    /// The canary's share; `None` where neither has weight.
    pub(super) fn share(&self, object: &Value) -> Result<Option<Percent>, RouteError> {
        let canary = self.weight(object, self.canary)?.unwrap_or(0);
        let stable = match self.stable {
            Some(path) => self.weight(object, path)?.unwrap_or(0),
            None => self.total.saturating_sub(canary),
        };
        Ok(weights::share(stable, canary))
    }

    /// The object with the canary's weight.
    pub(super) fn with_weight(&self, object: &Value, canary: Percent) -> Result<Value, RouteError> {
        let mut next = object.clone();
        let weight = self.total * u64::from(canary.basis_points()) / 10_000;
        self.write(&mut next, self.canary, weight)?;
        if let Some(stable) = self.stable {
            self.write(&mut next, stable, self.total - weight)?;
        }
        Ok(next)
    }

    fn write(&self, object: &mut Value, path: &Path, weight: u64) -> Result<(), RouteError> {
        if self.weight(object, path)? == Some(weight) {
            return Ok(());
        }
        let Some((parent, field)) = path.parent() else { return Ok(()) };
        let holder = parent.find_mut(object).into_iter().next().and_then(Value::as_object_mut);
        if let Some(holder) = holder {
            holder.insert(field.to_owned(), weight.into());
        }
        Ok(())
    }

    /// The weight at a path; `None` where the field is absent and can be added.
    fn weight(&self, object: &Value, path: &Path) -> Result<Option<u64>, RouteError> {
        let Some((parent, field)) = path.parent() else { return Ok(None) };
        let holders = parent.find(object);
        let [Value::Object(holder)] = holders.as_slice() else { return Err(self.not_one(path, &holders)) };
        match holder.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(weight) => whole(weight).map(Some).ok_or_else(|| RouteError::InvalidWeight {
                place: self.place.to_string(),
                weight: match self.place.is_foreign {
                    true => "(not shown)".to_owned(),
                    false => weight.to_string().chars().take(40).collect(),
                },
            }),
        }
    }

    fn not_one(&self, path: &Path, holders: &[&Value]) -> RouteError {
        let found = match holders.len() {
            0 => "nothing".to_owned(),
            1 => "no object".to_owned(),
            several => format!("{several} fields"),
        };
        RouteError::from(CustomError::NotOneField { place: self.place.to_string(), path: path.to_string(), found })
    }
}

//! The object of an entry: its weights as they are and as they must be, and whether the mesh uses it.

use serde_json::Value;

use super::{
    error::CustomError,
    header_rules::HeaderRules,
    lists::Lists,
    path::Path,
    place::Place,
    shape::{Shape, Weights},
    two_fields::TwoFields,
};
use crate::{
    api::Percent,
    engine::RouteIntent,
    expr::object::ObjectCondition,
    router::{
        consent,
        context::RouteContext,
        error::RouteError,
        objects::{ObjectRef, Objects},
        weights::on_grain,
    },
};

/// The object of one `custom` entry.
pub(super) struct CustomObject<'a> {
    ctx: &'a RouteContext,
    shape: &'a Shape,
    place: Place,
}

impl<'a> CustomObject<'a> {
    /// The object of this namespace, or of the Rollout's, and name.
    pub(super) fn new(ctx: &'a RouteContext, shape: &'a Shape, namespace: Option<&str>, name: &str) -> Self {
        let namespace = namespace.unwrap_or(&ctx.namespace).to_owned();
        let is_foreign = namespace != ctx.namespace;
        let place = Place { kind: shape.kind.kind.to_string(), namespace, name: name.to_owned(), is_foreign };
        CustomObject { ctx, shape, place }
    }

    pub(super) fn namespace(&self) -> &String {
        &self.place.namespace
    }

    pub(super) fn reference(&self) -> ObjectRef {
        self.shape.kind.reference(&self.place.namespace, &self.place.name)
    }

    /// The object, where this Rollout may write it.
    fn present<'o>(&self, current: &'o Objects) -> Result<&'o Value, RouteError> {
        consent::written(self.ctx, &self.reference(), current)
    }

    /// The canary's share, once for each place that has one.
    pub(super) fn shares(&self, current: &Objects) -> Result<Vec<Option<Percent>>, RouteError> {
        let object = self.bare(self.present(current)?);
        let shares = match &self.shape.weights {
            Weights::Lists(_) => self.lists().map_or(Ok(Vec::new()), |lists| lists.shares(&object)),
            Weights::Fields { canary, stable } => {
                self.two_fields(canary, stable.as_ref()).share(&object).map(|share| vec![share])
            }
        };
        shares.map_err(|error| self.shown(error))
    }

    /// The names of the header routes that are there.
    pub(super) fn header_routes(&self, current: &Objects) -> Result<Vec<String>, RouteError> {
        let object = self.present(current)?;
        Ok(self.header_rules().map(|rules| rules.read(object)).unwrap_or_default())
    }

    /// The object with the intent where it says something else, and what blocks the rest.
    pub(super) fn next(&self, current: &Objects, intent: &RouteIntent) -> (Option<Value>, Vec<RouteError>) {
        let grain = self.shape.grain();
        let planned = self.present(current).and_then(|object| Ok((object, on_grain(intent.canary, grain)?)));
        let (object, canary) = match planned {
            Ok(planned) => planned,
            Err(refusal) => return (None, vec![refusal]),
        };
        let (mut next, mut refused) = self.with_weight(self.bare(object), canary);
        match self.header_rules() {
            _ if intent.headers.is_empty() => {}
            Some(rules) => refused.extend(rules.insert(&mut next, object, &intent.headers)),
            None => refused.push(not_declared()),
        }
        let refused = refused.into_iter().map(|error| self.shown(error)).collect();
        ((next != *object).then_some(next), refused)
    }

    /// An object without header routes of ours, with the canary's weight.
    fn with_weight(&self, object: Value, canary: Percent) -> (Value, Vec<RouteError>) {
        match &self.shape.weights {
            Weights::Lists(_) => match self.lists() {
                Some(lists) => lists.with_weight(&object, canary),
                None => (object, Vec::new()),
            },
            Weights::Fields { canary: path, stable } => {
                match self.two_fields(path, stable.as_ref()).with_weight(&object, canary) {
                    Ok(next) => (next, Vec::new()),
                    Err(refusal) => (object, vec![refusal]),
                }
            }
        }
    }

    /// An object without header routes of ours.
    fn bare(&self, object: &Value) -> Value {
        self.header_rules().map_or_else(|| object.clone(), |rules| rules.without(object))
    }

    fn header_rules(&self) -> Option<HeaderRules<'_>> {
        Some(HeaderRules { lists: self.lists()?, headers: self.shape.headers.as_ref()? })
    }

    /// Why the condition of the entry does not say yet that the mesh uses the object as it is.
    pub(super) fn pending(&self, current: &Objects) -> Option<String> {
        let (text, object) = (self.shape.verified.as_ref()?, self.present(current).ok()?);
        let why = match ObjectCondition::compile(text).and_then(|condition| condition.holds(object)) {
            Ok(true) => return None,
            // H7: nothing is shown of another namespace's object.
            Ok(false) | Err(_) if self.place.is_foreign => "is not true".to_owned(),
            Ok(false) => "is false".to_owned(),
            Err(error) => error.to_string(),
        };
        Some(format!("{} is not verified: `{text}` {why}", self.place))
    }

    fn lists(&self) -> Option<Lists<'_>> {
        let Weights::Lists(backends) = &self.shape.weights else { return None };
        Some(Lists { ctx: self.ctx, place: &self.place, backends, total: self.shape.total })
    }

    fn two_fields<'s>(&'s self, canary: &'s Path, stable: Option<&'s Path>) -> TwoFields<'s> {
        TwoFields { place: &self.place, canary, stable, total: u64::from(self.shape.total.unwrap_or(100)) }
    }

    /// Of another namespace's object nothing is shown (H7).
    fn shown(&self, error: RouteError) -> RouteError {
        if self.place.is_foreign { error.without_content() } else { error }
    }
}

/// The refusal of a header route where nothing says how to write it. It is also refused when the Rollout is validated.
fn not_declared() -> RouteError {
    let message = "header routes need it: it says what a match of a header looks like".to_owned();
    CustomError::Invalid { field: "headers", message }.into()
}

//! Why an object of a kind that a Rollout names cannot be read or planned.

use crate::api::reason::Reason;

/// A field of a `custom` entry that is at fault, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Defect {
    /// The field, relative to the entry.
    pub(super) field: &'static str,
    pub(super) message: String,
}

impl Defect {
    pub(super) fn new(field: &'static str, message: impl Into<String>) -> Self {
        Defect { field, message: message.into() }
    }
}

/// Why an object of a kind that a Rollout names cannot be read or planned. `place` is its kind, namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CustomError {
    /// The entry itself is at fault. It is also refused when the Rollout is validated.
    #[error("spec.traffic[].custom.{field}: {message}")]
    Invalid {
        /// The field of the entry.
        field: &'static str,
        /// Why, and what to do.
        message: String,
    },
    /// No list at the path names one of the Services.
    #[error(
        "{place} has no list at `{path}` with an entry for Service `{stable}` or `{canary}`; add both to the lists to split, or fix spec.traffic[].custom.backends"
    )]
    NoList {
        /// The object.
        place: String,
        /// The path of the lists.
        path: String,
        /// The stable Service.
        stable: String,
        /// The canary Service.
        canary: String,
    },
    /// A path of a weight leads nowhere, or to several places.
    #[error(
        "{place} has {found} at `{path}`; the path of a weight must lead to one field: fix spec.traffic[].custom.fields"
    )]
    NotOneField {
        /// The object.
        place: String,
        /// The path of the weight.
        path: String,
        /// What is there, for display.
        found: String,
    },
    /// A match that the entry does not say how to write.
    #[error(
        "header route `{route}` matches {what}, for which the router custom needs spec.traffic[].custom.{field}: set it if the mesh has such a match, or match otherwise"
    )]
    Undeclared {
        /// The name of the header route.
        route: String,
        /// What it matches, for display.
        what: String,
        /// The field of the entry.
        field: &'static str,
    },
    /// A rule that matches everything because it says nothing.
    #[error("{place} has nothing in `{field}` that a header could be added to; write there what it matches")]
    NoAlternatives {
        /// The rule.
        place: String,
        /// The list of its alternatives.
        field: String,
    },
    /// A header route would outrank another rule.
    #[error(
        "{place} cannot have a header route: with one more header to match, that would take requests from rule {other}, which has the same path; give rule {other} a longer path, or split it too"
    )]
    TakesRequests {
        /// The rule.
        place: String,
        /// The position of the rule that would lose requests.
        other: usize,
    },
}

impl CustomError {
    /// The first of the fields that are at fault.
    pub(super) fn of(defects: &[Defect]) -> Self {
        let first = defects.first();
        CustomError::Invalid {
            field: first.map_or("", |defect| defect.field),
            message: first.map(|defect| defect.message.clone()).unwrap_or_default(),
        }
    }

    /// The same error without anything that was read from the object.
    pub fn without_content(mut self) -> Self {
        if let CustomError::NotOneField { found, .. } = &mut self {
            "no single field".clone_into(found);
        }
        self
    }

    /// A CamelCase reason for conditions and events.
    pub fn reason(&self) -> Reason {
        match self {
            CustomError::Invalid { .. } | CustomError::Undeclared { .. } => Reason::RouteNotSupported,
            CustomError::NoAlternatives { .. } | CustomError::TakesRequests { .. } => Reason::RouteUnsupported,
            CustomError::NoList { .. } | CustomError::NotOneField { .. } => Reason::RouteNotFound,
        }
    }
}

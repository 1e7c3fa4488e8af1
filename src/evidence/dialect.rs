//! The door through which a run is checked against the language of its source before anything is asked.

use crate::api::analysis::{Counter, Histogram};

use super::query::IncrementsQuery;

/// What a source can be asked, as far as that shows without asking it: no I/O. The judges ask in values that name no
/// query language; each source has a dialect beside the code that writes its queries.
pub trait Dialect: Sync {
    /// Why this counter cannot be counted. Where one of its fields is at fault, the message begins with that field.
    fn counter(&self, counter: &Counter) -> Result<(), String>;

    /// Why this histogram cannot be counted, in the same form.
    fn histogram(&self, histogram: &Histogram) -> Result<(), String>;

    /// Why no query can be written for this question, for instance because it cannot tell its arms apart.
    fn window(&self, question: &IncrementsQuery) -> Result<(), String>;
}

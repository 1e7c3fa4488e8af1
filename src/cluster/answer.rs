//! What the API server answered to a write, or to a read, of one object: text, of which each caller reads what it wants.

use kube::core::ObjectMeta;

use super::raw_object::RawObject;
use crate::ports::WorldError;

/// What the API server answered with: one object.
#[derive(Clone, Debug)]
pub struct Answer {
    text: String,
    /// Its metadata.
    pub metadata: ObjectMeta,
}

impl Answer {
    /// Takes an answer, of which the metadata can be read.
    pub fn new(text: String) -> Result<Self, String> {
        let metadata = RawObject::of(&text)?.into_metadata();
        Ok(Answer { text, metadata })
    }

    /// The object.
    pub fn object(&self) -> Result<RawObject<'_>, WorldError> {
        RawObject::of(&self.text).map_err(WorldError::Transient)
    }
}

//! Content that is kept as compact JSON text. A tree of it takes several times as many bytes, and most objects rest
//! most of the time: it is decoded where it is used.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

/// A value as JSON text.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Box<str>);

impl Text {
    /// The text of a value; one that cannot be told is null.
    pub fn of(value: &impl Serialize) -> Self {
        let text = serde_json::to_string(value);
        Text(text.map_or_else(|_| "null".into(), String::into_boxed_str))
    }

    /// The value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// So many bytes are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

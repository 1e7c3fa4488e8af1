//! Content that is kept as compressed JSON text. A tree of it takes ten times as many bytes, and most objects rest most of
//! the time: it is decoded where it is used.
//!
//! The objects of a fleet have most of their text in common, field names above all. LZ4 refers to what it has seen before, so
//! each text is compressed behind a sample of such objects (`text/sample.jsonl`), which is not kept with it.

use std::fmt;

use lz4_flex::block::{DecompressError, compress_prepend_size_with_dict, decompress_size_prepended_with_dict};
use serde::{
    Serialize,
    de::{DeserializeOwned, Error},
};

/// Objects as the API server sends them, in a form as they are kept, one a line: a sample, which nothing else depends on.
const SAMPLE: &[u8] = include_bytes!("text/sample.jsonl");

/// A value as JSON text. Equal texts are kept as equal bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(Box<[u8]>);

impl Text {
    /// The text of a value; one that cannot be told is null.
    pub fn of(value: &impl Serialize) -> Self {
        serde_json::to_vec(value).unwrap_or_else(|_| b"null".to_vec()).into()
    }

    /// The value.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.json().map_err(Error::custom)?)
    }

    /// The text.
    pub fn json(&self) -> Result<Vec<u8>, DecompressError> {
        decompress_size_prepended_with_dict(&self.0, SAMPLE)
    }

    /// So many bytes are kept.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Vec<u8>> for Text {
    fn from(text: Vec<u8>) -> Self {
        Text(compress_prepend_size_with_dict(&text, SAMPLE).into())
    }
}

impl From<Box<str>> for Text {
    fn from(text: Box<str>) -> Self {
        String::from(text).into_bytes().into()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_read_as_it_was_written(text in ".{0,4000}", repeated in 0_usize..200) {
            let value = json!({"metadata": {"name": text}, "spec": vec![text.clone(); repeated.min(3)]});
            let kept = Text::of(&value);
            prop_assert_eq!(kept.read::<Value>().unwrap(), value.clone());
            prop_assert_eq!(Text::from(value.to_string().into_boxed_str()), kept);
        }
    }

    /// What it is for: the sample's own kinds under other names take a fraction of their text.
    #[test]
    fn objects_like_the_sample_are_kept_in_a_third_of_their_text() {
        for line in std::str::from_utf8(SAMPLE).unwrap().lines() {
            let other = line.replace("web", "checkout").replace("00000000-0000", "7c9e6679-7425");
            let kept = Text::from(other.clone().into_boxed_str());
            assert!(kept.len() * 3 < other.len(), "{} of {}: {other}", kept.len(), other.len());
        }
    }
}

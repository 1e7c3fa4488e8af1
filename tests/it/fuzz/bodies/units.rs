//! Percentages, durations and numbers of pods: what is read is written so that it is read as the same.

use std::{
    fmt::{Debug, Display},
    str::FromStr,
};

use glidepath::api::{
    common::{Delay, HumanDuration, Percent},
    pod_count::PodCount,
};
use serde::{Serialize, de::DeserializeOwned};

/// Reads the bytes as a text and as JSON of each unit.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    printed::<Percent>(&text);
    printed::<HumanDuration>(&text);
    for json in [bytes.to_vec(), serde_json::to_vec(&text).unwrap_or_default()] {
        let percent = recorded::<Percent>(&json);
        assert!(percent.is_none_or(|percent| percent <= Percent::FULL), "{percent:?}");
        recorded::<HumanDuration>(&json);
        recorded::<Delay>(&json);
        recorded::<PodCount>(&json);
    }
}

/// What people read is read back.
fn printed<T: FromStr + Display + Debug + PartialEq>(text: &str) {
    let Ok(read) = text.parse::<T>() else { return };
    let shown = read.to_string();
    assert!(shown.parse::<T>().is_ok_and(|again| again == read), "{text:?} is {read:?}, shown as {shown:?}");
}

/// What an object holds is read back.
fn recorded<T: Serialize + DeserializeOwned + Debug + PartialEq>(json: &[u8]) -> Option<T> {
    let read: T = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_string(&read).ok();
    let again = written.as_deref().and_then(|text| serde_json::from_str(text).ok());
    assert_eq!(again.as_ref(), Some(&read), "written as {written:?}");
    Some(read)
}

//! Secrets as they were read a moment ago: many questions of one run, and many runs of one namespace, need the same one.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::ports::{
    secrets::{SecretData, SecretError, Secrets},
    source::{Fault, SourceError},
};

/// So long a Secret is taken for what it was.
const FRESH: Duration = Duration::from_secs(30);
/// The most that are kept.
const MOST: usize = 512;

/// What was read, or why not, and when.
type Read = (Instant, Result<SecretData, SecretError>);

/// Secrets read through, and kept briefly.
pub struct Seen {
    secrets: Arc<dyn Secrets>,
    known: Mutex<HashMap<(String, String), Read>>,
}

impl Seen {
    /// Over these.
    pub fn new(secrets: Arc<dyn Secrets>) -> Self {
        Seen { secrets, known: Mutex::default() }
    }

    /// All values of a Secret.
    pub async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SourceError> {
        let place = (namespace.to_owned(), name.to_owned());
        let fresh = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&place).filter(|(read, _)| read.elapsed() < FRESH).map(|(_, data)| data.clone())
        };
        let data = match fresh {
            Some(data) => data,
            None => {
                let data = self.secrets.read(namespace, name).await;
                let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                known.retain(|_, (read, _)| read.elapsed() < FRESH);
                if known.len() < MOST {
                    known.insert(place, (Instant::now(), data.clone()));
                }
                data
            }
        };
        data.map_err(|error| SourceError::new(Fault::Denied, format!("cannot authenticate: {error}")))
    }

    /// One value of a Secret.
    pub async fn value(&self, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, SourceError> {
        value_of(&self.read(namespace, name).await?, namespace, name, key)
    }
}

/// One of a Secret's values.
pub fn value_of(data: &SecretData, namespace: &str, name: &str, key: &str) -> Result<Vec<u8>, SourceError> {
    let missing = || {
        let message = format!("cannot authenticate: Secret {namespace}/{name} has no key {key}");
        SourceError::new(Fault::Denied, message)
    };
    data.get(key).cloned().ok_or_else(missing)
}

/// A credential as it is sent: text without the line end that editors leave.
pub fn trimmed(value: &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8 text")?.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err("is empty");
    }
    if text.chars().any(char::is_control) {
        Err("contains a line break or another control character")
    } else {
        Ok(text.to_owned())
    }
}

//! Access to Secrets: read by name when they are needed, from the namespace of the object that references them.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;

/// A Secret's values by key. They have no `Debug`, so that no log and no message shows them.
pub type SecretData = Arc<BTreeMap<String, Vec<u8>>>;

/// Why a Secret has no values for us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// There is none of this name.
    #[error("Secret {0} does not exist")]
    Missing(String),
    /// The controller's account has no right to it.
    #[error(
        "the controller may not read Secret {0}; grant its ServiceAccount `get` on it (docs/controller.md, \"Secrets\")"
    )]
    Forbidden(String),
    /// The API server did not answer, or not so that it could be read.
    #[error("Secret {0} cannot be read from the API server")]
    Unavailable(String),
    /// There is no cluster, and it is not given in its place.
    #[error("Secret {0} is not given: name the folder with its keys as files, FOLDER/{0}/KEY, with --secrets FOLDER")]
    NotGiven(String),
    /// It is not in the folder that is given.
    #[error("Secret {name} cannot be read: {folder} is no folder with its keys as files of at most 1 MiB")]
    NoFolder {
        /// Its name.
        name: String,
        /// The folder.
        folder: String,
    },
}

/// Reads Secrets.
#[async_trait]
pub trait Secrets: Send + Sync {
    /// The values of one Secret.
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError>;
}

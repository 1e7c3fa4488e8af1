//! The Lease in the API server: three calls.

use async_trait::async_trait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};

use super::record::{Record, Stored};

/// The name of the Lease.
pub const NAME: &str = "glidepath-controller";

/// Why a call had no success.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The Lease is not the one that was read (any more), or exists already.
    #[error("the Lease has changed")]
    Conflict,
    /// Anything else. A write may have taken effect.
    #[error("{0}")]
    Failed(String),
}

/// Where the Lease is.
#[async_trait]
pub trait LeaseStore: Send + Sync {
    /// Reads it.
    async fn read(&self) -> Result<Option<Stored>, StoreError>;
    /// Creates it.
    async fn create(&self, record: &Record) -> Result<Stored, StoreError>;
    /// Replaces it if it is still the one stored.
    async fn replace(&self, stored: &Stored, record: &Record) -> Result<Stored, StoreError>;
}

/// The real one.
pub struct KubeLease {
    api: Api<Lease>,
}

impl KubeLease {
    /// The Lease in this namespace. The client should not retry.
    pub fn new(client: Client, namespace: &str) -> Self {
        KubeLease { api: Api::namespaced(client, namespace) }
    }
}

#[async_trait]
impl LeaseStore for KubeLease {
    async fn read(&self) -> Result<Option<Stored>, StoreError> {
        Ok(self.api.get_opt(NAME).await.map_err(failure)?.map(Stored::from))
    }

    async fn create(&self, record: &Record) -> Result<Stored, StoreError> {
        let new = Lease { metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() }, spec: None };
        let new = Stored::from(new).with(record);
        Ok(self.api.create(&params(), &new).await.map_err(failure)?.into())
    }

    async fn replace(&self, stored: &Stored, record: &Record) -> Result<Stored, StoreError> {
        let replaced = self.api.replace(NAME, &params(), &stored.with(record)).await;
        Ok(replaced.map_err(failure)?.into())
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(crate::cluster::MANAGER.into()), ..PostParams::default() }
}

/// A Lease that is gone is not the one that was read either.
fn failure(error: kube::Error) -> StoreError {
    match error {
        kube::Error::Api(status) if matches!(status.code, 404 | 409) => StoreError::Conflict,
        error => StoreError::Failed(error.to_string()),
    }
}

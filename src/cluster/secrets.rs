//! Secrets that analyses name for their Prometheus: read one by one when a question needs them, never watched or listed, so
//! that the controller needs no right to Secrets but those it is granted by name.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use super::call::read;
use crate::{
    api::reason::Reason,
    ports::{
        WorldError,
        secrets::{SecretData, SecretError, Secrets},
    },
};

/// Secrets of the API server behind this client.
pub struct ClusterSecrets(pub Client);

#[async_trait]
impl Secrets for ClusterSecrets {
    async fn read(&self, namespace: &str, name: &str) -> Result<SecretData, SecretError> {
        let api: Api<Secret> = Api::namespaced(self.0.clone(), namespace);
        let place = format!("{namespace}/{name}");
        let found = read(&format!("get Secret {place}"), api.get_opt(name)).await;
        let secret = found.map_err(|error| why(&error, place.clone()))?.ok_or(SecretError::Missing(place))?;
        Ok(Arc::new(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()))
    }
}

fn why(error: &WorldError, place: String) -> SecretError {
    match error {
        WorldError::Refused { reason, .. } if *reason == Reason::Forbidden => SecretError::Forbidden(place),
        _ => SecretError::Unavailable(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_server_refuses_says_what_to_do() {
        let refused = |reason: Reason| WorldError::Refused { reason, message: "x".into() };
        assert_eq!(SecretError::Missing("shop/prom".into()).to_string(), "Secret shop/prom does not exist");
        let forbidden = why(&refused(Reason::Forbidden), "shop/prom".into()).to_string();
        assert!(forbidden.contains("may not read Secret shop/prom; grant its ServiceAccount `get`"), "{forbidden}");
        let gone = why(&WorldError::Transient("no answer".into()), "shop/prom".into());
        assert_eq!(gone, SecretError::Unavailable("shop/prom".into()));
    }
}

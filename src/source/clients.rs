//! HTTP clients, one for each purpose, CA, client certificate and server name in use: a client keeps its connections.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Identity};

use super::{
    outbound::{Outbound, Purpose, SetUpError},
    trust,
};

/// Clients kept.
const CLIENTS: usize = 64;

/// What makes a client another one. It has no `Debug`: a private key is in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ClientKey {
    /// What its requests are for.
    pub purpose: Purpose,
    /// The CA certificates (PEM) that it trusts, in place of the machine's.
    pub ca: Option<Vec<u8>>,
    /// Its own certificate and private key (PEM).
    pub identity: Option<Vec<u8>>,
    /// The host behind another name.
    pub instead: Option<String>,
}

/// Clients under one policy.
pub struct Clients {
    outbound: Outbound,
    timeout: Duration,
    clients: Mutex<HashMap<ClientKey, Client>>,
}

impl Clients {
    /// Clients whose requests take `timeout` at the most.
    pub fn new(outbound: Outbound, timeout: Duration) -> Self {
        Clients { outbound, timeout, clients: Mutex::default() }
    }

    /// The policy.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// The client, or what is wrong with its certificates.
    pub fn client(&self, key: ClientKey) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(&key) {
            return Ok(known.clone());
        }
        let builder = match &key.ca {
            Some(pem) => trust::trusting(pem).ok_or("its CA is not a PEM certificate")?,
            None => trust::builder(),
        };
        let builder = match &key.identity {
            Some(pem) => builder.identity(
                Identity::from_pem(pem)
                    .map_err(|_| "its client certificate is not a PEM certificate with its private key")?,
            ),
            None => builder,
        };
        let made = self.outbound.client(builder, key.purpose, self.timeout, key.instead.clone());
        let made = made.map_err(|error: SetUpError| error.to_string())?;
        if clients.len() >= CLIENTS {
            clients.clear();
        }
        clients.insert(key, made.clone());
        Ok(made)
    }
}

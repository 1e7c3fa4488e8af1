//! The calls of Consul's HTTP API that a release needs: each in bounded time, with a bounded answer, without redirects.

use std::time::Duration;

use reqwest::{
    Method, StatusCode, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    access::Access,
    error::{CallError, shown},
};
use crate::source::{
    outbound::{self, Outbound, Purpose, Trouble},
    trust,
};

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read, in bytes: an entry is at most 512 KiB, thousands of instances have their place.
const LARGEST: usize = 4 << 20;

/// Who asks Consul.
pub struct Client {
    http: reqwest::Client,
    access: Access,
    timeout: Duration,
}

/// The parameters of a call: where the service is.
#[derive(Clone, Copy)]
enum Within {
    /// An agent's own data: it has no datacenter.
    Agent,
    /// The catalog and the config entries.
    Datacenter,
}

impl Client {
    /// With the certificates as they are now.
    pub fn new(access: Access) -> Result<Self, CallError> {
        Client::with_timeout(access, TIMEOUT)
    }

    pub(super) fn with_timeout(access: Access, timeout: Duration) -> Result<Self, CallError> {
        let wrong = |why: &str| CallError::Client(why.to_owned());
        let builder = match access.ca()? {
            Some(pem) => trust::trusting(&pem).ok_or_else(|| wrong("CONSUL_CACERT is not a PEM certificate"))?,
            None => trust::builder(),
        };
        let builder = match access.identity()? {
            Some(pem) => builder.identity(reqwest::Identity::from_pem(&pem).map_err(|_| {
                wrong("CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY are not a PEM certificate with its key")
            })?),
            None => builder,
        };
        let http = Outbound::default().client(builder, Purpose::Own, timeout, None);
        let http = http.map_err(|error| CallError::Client(error.to_string()))?;
        Ok(Client { http, access, timeout })
    }

    /// Where it is, for messages.
    pub fn address(&self) -> String {
        self.access.address.origin().ascii_serialization()
    }

    /// Whom it asks.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// A config entry; `None` when there is none.
    pub async fn entry(&self, kind: &str, name: &str) -> Result<Option<Value>, CallError> {
        let what = format!("the read of {kind} {name}");
        let (status, body) =
            self.call(Method::GET, &["config", kind, name], &[], Within::Datacenter, None, &what).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status => self.json(status, &body, &what).map(|entry: Map<String, Value>| Some(entry.into())),
        }
    }

    /// Writes a config entry if its `ModifyIndex` is still this one, 0 where there is to be none. `false`: it is not, which
    /// Consul answers with a success.
    pub async fn write(&self, entry: &Value, index: u64) -> Result<bool, CallError> {
        let [kind, name] = ["Kind", "Name"].map(|field| entry[field].as_str().unwrap_or_default());
        let what = format!("the write of {kind} {name}");
        let index = index.to_string();
        let cas = [("cas", index.as_str())];
        let (status, body) = self.call(Method::PUT, &["config"], &cas, Within::Datacenter, Some(entry), &what).await?;
        self.json(status, &body, &what)
    }

    /// Deletes a config entry on the same condition.
    pub async fn delete(&self, kind: &str, name: &str, index: u64) -> Result<bool, CallError> {
        let what = format!("the deletion of {kind} {name}");
        let index = index.to_string();
        let cas = [("cas", index.as_str())];
        let path = ["config", kind, name];
        let (status, body) = self.call(Method::DELETE, &path, &cas, Within::Datacenter, None, &what).await?;
        self.json(status, &body, &what)
    }

    /// How Consul compiles the entries of a service.
    pub async fn chain(&self, service: &str) -> Result<Value, CallError> {
        let what = format!("the read of the discovery chain of {service}");
        let datacenter = self.access.names.datacenter.clone();
        let compiled: Vec<(&str, &str)> = datacenter.iter().map(|name| ("compile-dc", name.as_str())).collect();
        let path = ["discovery-chain", service];
        let (status, body) = self.call(Method::GET, &path, &compiled, Within::Datacenter, None, &what).await?;
        self.json(status, &body, &what).map(|answer: Map<String, Value>| answer.into())
    }

    /// The instances that pass their checks: in the mesh by their sidecars, or by themselves.
    pub async fn passing(&self, service: &str, in_mesh: bool) -> Result<Vec<Value>, CallError> {
        let what = format!("the read of the instances of {service}");
        let path = ["health", if in_mesh { "connect" } else { "service" }, service];
        let passing = [("passing", "true")];
        let (status, body) = self.call(Method::GET, &path, &passing, Within::Datacenter, None, &what).await?;
        self.json(status, &body, &what)
    }

    /// What is registered at the agent under the name of the service, by id.
    pub async fn registered(&self, service: &str) -> Result<Map<String, Value>, CallError> {
        let what = format!("the read of the agent's instances of {service}");
        let filter = format!("Service == \"{service}\"");
        let path = ["agent", "services"];
        let (status, body) = self.call(Method::GET, &path, &[("filter", &filter)], Within::Agent, None, &what).await?;
        self.json(status, &body, &what)
    }

    /// Registers an instance at the agent, or changes it.
    pub async fn register(&self, instance: &Value) -> Result<(), CallError> {
        let what = format!("the registration of {}", instance["ID"].as_str().unwrap_or_default());
        let path = ["agent", "service", "register"];
        let (status, body) = self.call(Method::PUT, &path, &[], Within::Agent, Some(instance), &what).await?;
        self.done(status, &body, &what)
    }

    /// Deregisters an instance and its sidecar. One that is gone already is no error.
    pub async fn deregister(&self, id: &str) -> Result<(), CallError> {
        let what = format!("the deregistration of {id}");
        let path = ["agent", "service", "deregister", id];
        let (status, body) = self.call(Method::PUT, &path, &[], Within::Agent, None, &what).await?;
        if status == StatusCode::NOT_FOUND { Ok(()) } else { self.done(status, &body, &what) }
    }

    async fn call(
        &self,
        method: Method,
        path: &[&str],
        more: &[(&str, &str)],
        within: Within,
        body: Option<&Value>,
        what: &str,
    ) -> Result<(StatusCode, Vec<u8>), CallError> {
        let mut request = self.http.request(method, self.url(path, more, within)).headers(self.headers()?);
        if let Some(body) = body {
            request = request.json(body);
        }
        let failed = |trouble: Trouble| self.failed(&trouble, what);
        let response = request.send().await.map_err(|error| failed(outbound::trouble(&error)))?;
        let status = response.status();
        Ok((status, outbound::bounded(response, LARGEST).await.map_err(failed)?))
    }

    fn url(&self, path: &[&str], more: &[(&str, &str)], within: Within) -> Url {
        let mut url = self.access.address.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        let names = &self.access.names;
        let datacenter = names.datacenter.as_ref().filter(|_| matches!(within, Within::Datacenter));
        let named = [("ns", names.namespace.as_ref()), ("partition", names.partition.as_ref()), ("dc", datacenter)];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value?.as_str())));
        let all: Vec<(&str, &str)> = more.iter().copied().chain(named).collect();
        if !all.is_empty() {
            url.query_pairs_mut().extend_pairs(all);
        }
        url
    }

    fn headers(&self) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = self.access.token()? {
            let wrong = |_| CallError::Client("the token is not the value of a header".to_owned());
            let mut value = HeaderValue::from_str(&token).map_err(wrong)?;
            value.set_sensitive(true);
            headers.insert(HeaderName::from_static("x-consul-token"), value);
        }
        Ok(headers)
    }

    fn failed(&self, trouble: &Trouble, what: &str) -> CallError {
        let address = self.address();
        match trouble {
            Trouble::TooLong(_) => CallError::Unreadable { address, what: what.to_owned(), why: trouble.to_string() },
            Trouble::Silent => {
                let why = format!("no response within {} s", self.timeout.as_secs_f32().ceil());
                CallError::Unreachable { address, why }
            }
            _ => CallError::Unreachable { address, why: trouble.to_string() },
        }
    }

    /// Why a status is none of success.
    fn done(&self, status: StatusCode, body: &[u8], what: &str) -> Result<(), CallError> {
        if status.is_success() {
            return Ok(());
        }
        let token = self.access.token().ok().flatten();
        let (what, said) = (what.to_owned(), shown(body, token.as_deref()));
        Err(match status.as_u16() {
            401 | 403 => CallError::Denied { what, said },
            // Its leader is being elected, or the proxy in front of it has none.
            429 | 502..=504 => {
                CallError::Unreachable { address: self.address(), why: format!("HTTP {status}: {said}") }
            }
            300..=399 => CallError::Unreadable {
                address: self.address(),
                what,
                why: "it redirects, and redirects are not followed".to_owned(),
            },
            _ if said.contains("No cluster leader") => CallError::Unreachable { address: self.address(), why: said },
            status => CallError::Rejected { what, status, said },
        })
    }

    fn json<T: DeserializeOwned>(&self, status: StatusCode, body: &[u8], what: &str) -> Result<T, CallError> {
        self.done(status, body, what)?;
        let unreadable = |_| CallError::Unreadable {
            address: self.address(),
            what: what.to_owned(),
            why: "it is not the JSON that was expected".to_owned(),
        };
        serde_json::from_slice(body).map_err(unreadable)
    }
}

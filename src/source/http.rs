//! One request to a source other than Prometheus: under the policy for outbound requests, in a fair turn, in bounded time, with
//! a bounded answer, and failures as fixed messages: no word of a server gets into a status.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client, Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;

use super::{
    access::{Access, Reader},
    credentials::{self, Credentials, Unsent},
    outbound::{self, Denied, Outbound, Purpose, Trouble},
};
use crate::{
    api::{
        address::shown,
        analysis::{Auth, Tls},
    },
    ports::{
        secrets::Secrets,
        source::{Fault, SourceError},
    },
    reconcile::turns::{Class, NoTurn, Rules, Turns},
};

/// How long one request may take unless a query says otherwise.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long at most: the longest timeout of a `web` query.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(25);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 1 << 20;
/// How servers are shared.
const RULES: Rules = Rules {
    at_once: 4,
    per_lane: 3,
    waiting: 64,
    failures: 3,
    rest: Duration::from_secs(5),
    longest_rest: Duration::from_secs(60),
};

/// Whoever sends requests to sources.
pub struct Http {
    access: Access,
    turns: Turns,
}

/// A request, and what it is called in messages.
pub struct Call<'a> {
    /// For whom: the run's namespace.
    pub namespace: &'a str,
    /// The source and its field in messages, for instance `datadog`.
    pub field: &'static str,
    /// What the server is called, without credentials.
    pub name: String,
    url: Url,
    purpose: Purpose,
    method: Method,
    headers: HeaderMap,
    body: Option<(&'static str, Vec<u8>)>,
    timeout: Duration,
    client: Option<Client>,
    credentials: Option<Credentials>,
}

impl<'a> Call<'a> {
    fn new(namespace: &'a str, field: &'static str, url: Url, purpose: Purpose) -> Self {
        let name = format!("{field} at {}", shown(&url.origin().ascii_serialization()));
        let (method, headers) = (Method::GET, HeaderMap::new());
        let (body, client, credentials) = (None, None, None);
        Call { namespace, field, name, url, purpose, method, headers, body, timeout: TIMEOUT, client, credentials }
    }

    /// Whose Secrets are read for it.
    pub fn reader(&self) -> Reader<'a> {
        Reader { namespace: self.namespace, field: self.field }
    }

    /// With these parameters in its URL.
    pub fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }

    /// With a body, by POST.
    pub fn post(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        (self.method, self.body) = (Method::POST, Some((kind, body)));
        self
    }

    /// By this method.
    pub fn method(self, method: Method) -> Self {
        Call { method, ..self }
    }

    /// With these headers besides.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// With a header whose value is a secret.
    pub fn secret_header(mut self, name: &'static str, value: &str) -> Result<Self, SourceError> {
        let message = || format!("a credential of {} is not the value of a header", self.field);
        let mut value = HeaderValue::from_str(value).map_err(|_| SourceError::new(Fault::Denied, message()))?;
        value.set_sensitive(true);
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// With credentials.
    pub fn credentials(self, credentials: Option<Credentials>) -> Self {
        Call { credentials, ..self }
    }

    /// In less time.
    pub fn timeout(self, timeout: Duration) -> Self {
        Call { timeout: timeout.min(LONGEST_TIMEOUT), ..self }
    }

    /// What was answered cannot be used.
    pub fn unusable(&self, why: &str) -> SourceError {
        SourceError::new(Fault::Refused, format!("{}: {why}", self.name))
    }

    /// The answer as JSON of this shape.
    pub fn json<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, SourceError> {
        serde_json::from_slice(body).map_err(|_| self.unusable("its response is not the JSON that was expected"))
    }
}

impl Http {
    /// Under a policy.
    pub fn new(outbound: Outbound, secrets: Arc<dyn Secrets>) -> Self {
        Http { access: Access::new(outbound, secrets, LONGEST_TIMEOUT), turns: Turns::new(RULES) }
    }

    /// What Secrets are read with.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// A GET of a path below a base URL.
    pub fn below<'a>(
        &self,
        namespace: &'a str,
        field: &'static str,
        base: &str,
        path: &[&str],
    ) -> Result<Call<'a>, SourceError> {
        let mut url = self.permitted(field, Purpose::Prometheus, base)?;
        let wrong = || SourceError::new(Fault::Denied, format!("{field}.address: must be a base URL, without ? and #"));
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong());
        }
        url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(path);
        Ok(Call::new(namespace, field, url, Purpose::Prometheus))
    }

    /// A GET of a URL of the user's.
    pub fn at<'a>(&self, namespace: &'a str, field: &'static str, url: &str) -> Result<Call<'a>, SourceError> {
        Ok(Call::new(namespace, field, self.permitted(field, Purpose::Web, url)?, Purpose::Web))
    }

    fn permitted(&self, field: &str, purpose: Purpose, url: &str) -> Result<Url, SourceError> {
        let denied =
            |why: Denied| SourceError::new(Fault::Denied, format!("cannot ask {field} at {}: {why}", origin(url)));
        self.access.outbound().permit(purpose, url).map_err(denied)
    }

    /// The request with the credentials and certificates that are named.
    pub async fn authenticated<'a>(
        &self,
        call: Call<'a>,
        auth: Option<&Auth>,
        tls: Option<&Tls>,
    ) -> Result<Call<'a>, SourceError> {
        let client = match tls {
            Some(tls) if tls.server_name.is_some() => {
                let message = format!("{}.tls.serverName is only for a Prometheus", call.field);
                return Err(SourceError::new(Fault::Denied, message));
            }
            tls => self.access.client_for(call.reader(), call.purpose, tls, None).await?,
        };
        let credentials = match auth {
            Some(auth) => Some(self.access.credentials(call.reader(), auth).await?),
            None => None,
        };
        Ok(Call { client: Some(client), credentials, ..call })
    }

    /// The body of a 2xx answer.
    pub async fn send(&self, call: &Call<'_>) -> Result<Vec<u8>, SourceError> {
        let line = call.url.origin().ascii_serialization();
        let turn = self.turns.enter(&line, &[call.namespace], Class::Measurement).await;
        let busy = |no: NoTurn| SourceError::new(Fault::Busy, format!("{} is not asked now: {no}", call.name));
        let turn = turn.map_err(busy)?;
        let answer = self.exchange(call).await;
        turn.ended(!answer.as_ref().is_err_and(|error| matches!(error.fault, Fault::Silent | Fault::Unreachable)));
        answer
    }

    async fn exchange(&self, call: &Call<'_>) -> Result<Vec<u8>, SourceError> {
        let client = match &call.client {
            Some(client) => client.clone(),
            None => self.access.client_for(call.reader(), call.purpose, None, None).await?,
        };
        let mut request = client.request(call.method.clone(), call.url.clone()).timeout(call.timeout);
        if let Some((kind, body)) = &call.body {
            request = request.header(CONTENT_TYPE, *kind).body(body.clone());
        }
        let sent = credentials::send(request.headers(call.headers.clone()), call.credentials.as_ref()).await;
        let failed = |trouble: &Trouble| unreachable(call, trouble);
        let response = sent.map_err(|unsent| match unsent {
            Unsent::Credentials(error) => error,
            Unsent::Failed(error) => failed(&outbound::trouble(&error)),
        })?;
        let status = response.status().as_u16();
        match refusal(status) {
            None => outbound::bounded(response, LARGEST).await.map_err(|trouble| failed(&trouble)),
            Some((fault, why)) => Err(SourceError::new(fault, format!("{} {why} (HTTP {status})", call.name))),
        }
    }
}

/// What a status that is no success says.
fn refusal(status: u16) -> Option<(Fault, &'static str)> {
    Some(match status {
        200..=299 => return None,
        300..=399 => (Fault::Refused, "redirects, and redirects are not followed"),
        401 | 403 => (Fault::Denied, "rejected the credentials"),
        404 => (Fault::Refused, "has nothing at this path"),
        408 | 504 => (Fault::Silent, "could not answer in time"),
        429 => (Fault::Busy, "limits the rate of requests"),
        500..=599 => (Fault::Unreachable, "is unavailable"),
        _ => (Fault::Refused, "rejected the query"),
    })
}

fn unreachable(call: &Call<'_>, trouble: &Trouble) -> SourceError {
    let name = &call.name;
    match trouble {
        Trouble::Silent => {
            let seconds = call.timeout.as_secs_f32().ceil();
            SourceError::new(Fault::Silent, format!("no response from {name} within {seconds} s"))
        }
        Trouble::TooLong(_) => SourceError::new(Fault::Refused, format!("{name}: {trouble}")),
        Trouble::Denied(Denied::NoSuchHost)
        | Trouble::ConnectionRefused
        | Trouble::Broken
        | Trouble::Certificate(_) => SourceError::new(Fault::Unreachable, format!("cannot reach {name} ({trouble})")),
        Trouble::Denied(_) => SourceError::new(Fault::Denied, format!("cannot ask {name}: {trouble}")),
    }
}

/// A URL as far as messages show it: what follows the host may hold a token.
fn origin(url: &str) -> String {
    Url::parse(url).map_or_else(|_| "its address".to_owned(), |url| url.origin().ascii_serialization())
}

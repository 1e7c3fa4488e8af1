//! From what a run names to a Prometheus that can be asked: its URL as the policy permits it, its credentials, a client
//! that checks its certificate.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client, Response, Url,
    header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue},
};

use super::{
    access::{Access, Reader},
    clients::ClientKey,
    credentials::{self, Credentials, Unsent},
    outbound::{Denied, Outbound, Purpose},
    own_headers::{self, TENANT},
    secrets::trimmed,
    trust,
};
use crate::{
    api::{
        address::{self, shown},
        analysis::{PrometheusOwner, RunPrometheus},
    },
    ports::{
        secrets::Secrets,
        source::{Asking, Fault, SourceError},
    },
};

/// Where a Rollout names its Prometheus.
const FIELD: &str = "analysis.prometheus";
/// The largest file with credentials or certificates, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// The controller's own Prometheus, with its credentials in files. They are read again when they are needed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnPrometheus {
    /// Its base URL.
    pub address: String,
    /// The user name.
    pub username_file: Option<PathBuf>,
    /// The password.
    pub password_file: Option<PathBuf>,
    /// A token, in place of a user name.
    pub bearer_token_file: Option<PathBuf>,
    /// The CA certificates (PEM) that its certificate must be signed by.
    pub ca_file: Option<PathBuf>,
    /// The tenant, for Mimir and Cortex.
    pub tenant: Option<String>,
    /// More headers, one a line.
    pub headers_file: Option<PathBuf>,
    /// Named on the command line of a verb, so that messages may show the address and name the option.
    pub is_typed: bool,
}

/// Why the controller's own Prometheus cannot be used as it was named.
#[derive(Debug, thiserror::Error)]
pub enum OwnError {
    /// Its address.
    #[error("--prometheus {0}")]
    Address(&'static str),
    /// Two ways to authenticate, or half of one.
    #[error("set --prometheus-username-file and --prometheus-password-file, or --prometheus-bearer-token-file")]
    Auth,
    /// A file that cannot be read.
    #[error("cannot read {}: {}", .0.display(), .1)]
    File(PathBuf, &'static str),
    /// A tenant that cannot be sent.
    #[error("--prometheus-tenant {0}")]
    Tenant(&'static str),
    /// Headers that cannot be sent.
    #[error("--prometheus-headers-file: {}: {}", .0.display(), .1)]
    Headers(PathBuf, String),
}

impl OwnPrometheus {
    /// Looks at everything that can be wrong before anything is asked.
    pub async fn check(&self) -> Result<(), OwnError> {
        if let Err(problem) = address::base_url(&self.address) {
            return Err(OwnError::Address(problem));
        }
        let pair = self.username_file.is_some() == self.password_file.is_some();
        if !pair || self.username_file.is_some() && self.bearer_token_file.is_some() {
            return Err(OwnError::Auth);
        }
        for path in
            [&self.username_file, &self.password_file, &self.bearer_token_file, &self.ca_file].into_iter().flatten()
        {
            file(path).await.map_err(|why| OwnError::File(path.clone(), why))?;
        }
        if let Some(path) = &self.ca_file
            && trust::trusting(&file(path).await.unwrap_or_default()).is_none()
        {
            return Err(OwnError::File(path.clone(), "it contains no certificate"));
        }
        self.headers().await.map(drop)
    }

    /// The headers of a request, without credentials.
    async fn headers(&self) -> Result<HeaderMap, OwnError> {
        let mut headers = HeaderMap::new();
        if let Some(path) = &self.headers_file {
            let text = file(path).await.map_err(|why| OwnError::File(path.clone(), why))?;
            let lines = own_headers::of_lines(&String::from_utf8_lossy(&text));
            headers = lines.map_err(|why| OwnError::Headers(path.clone(), why))?;
        }
        if let Some(tenant) = &self.tenant {
            headers.insert(TENANT, own_headers::tenant(tenant).map_err(OwnError::Tenant)?);
        }
        Ok(headers)
    }
}

/// A server that can be asked.
pub struct Server {
    /// Tells servers apart whose questions may not be asked together.
    pub key: String,
    /// Its address without a path, for one-line messages.
    pub origin: String,
    /// For display: without credentials, and without the address if only the operator may know it.
    pub name: String,
    /// What to do when it does not answer.
    pub remedy: &'static str,
    client: Client,
    query: Url,
    /// The host that is asked for when the certificate has another name.
    host: Option<String>,
    headers: HeaderMap,
    /// What Thanos is asked to do when a store is down.
    partial_response: Option<bool>,
    credentials: Option<Credentials>,
}

impl Server {
    /// The answer to one query.
    pub async fn query(&self, form: &[(&str, &str)]) -> Result<Response, Unsent> {
        self.post(self.query.clone(), form).await
    }

    /// The answer to one query over a range of time.
    pub async fn query_range(&self, form: &[(&str, &str)]) -> Result<Response, Unsent> {
        let mut url = self.query.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push("query_range");
        }
        self.post(url, form).await
    }

    async fn post(&self, url: Url, form: &[(&str, &str)]) -> Result<Response, Unsent> {
        let mut form = form.to_vec();
        let partial = self.partial_response.map(|partial| partial.to_string());
        form.extend(partial.iter().map(|partial| ("partial_response", partial.as_str())));
        let request = self.client.post(url).headers(self.headers.clone()).form(&form);
        let request = match &self.host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        credentials::send(request, self.credentials.as_ref()).await
    }
}

/// The servers that runs name.
pub struct Servers {
    access: Access,
    own: Option<OwnPrometheus>,
}

/// A server as it is named, before anything is looked up.
struct NamedServer {
    purpose: Purpose,
    url: Url,
    key: String,
    name: String,
    remedy: &'static str,
    origin: String,
}

impl Servers {
    /// Servers under a policy; a question takes `timeout` at the most.
    pub fn new(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>, timeout: Duration) -> Self {
        Servers { access: Access::new(outbound, secrets, timeout), own }
    }

    /// The server of a run.
    pub async fn find(&self, asking: &Asking<'_>) -> Result<Arc<Server>, SourceError> {
        let (named, own) = self.named(asking)?;
        let found = match own {
            Some(own) => self.own(named, own).await,
            None => self.of_rollout(named, asking).await,
        };
        found.map(Arc::new)
    }

    fn named(&self, asking: &Asking<'_>) -> Result<(NamedServer, Option<&OwnPrometheus>), SourceError> {
        let wanted = asking.prometheus;
        // A run of an older release has the controller's address, and a Rollout may name it too.
        let own = self.own.as_ref().filter(|own| {
            let plain = is_plain(wanted);
            let same = own.address.trim_end_matches('/') == wanted.address.trim_end_matches('/');
            wanted.source == PrometheusOwner::Controller || same && plain
        });
        if let Some(own) = own {
            let (name, remedy) = match own.is_typed {
                true => (format!("Prometheus at {}", shown(&own.address)), "check --prometheus"),
                false => (
                    "the controller's Prometheus".to_owned(),
                    "check the controller's --prometheus; 'glidepath doctor --prometheus' does",
                ),
            };
            let url = self.url(Purpose::Own, &own.address).map_err(|denied| forbidden(&name, &denied, remedy))?;
            let (key, origin) = ("controller".to_owned(), url.origin().ascii_serialization());
            return Ok((NamedServer { purpose: Purpose::Own, url, key, name, remedy, origin }, Some(own)));
        }
        if wanted.source == PrometheusOwner::Controller {
            let message = "the controller has no Prometheus; set its --prometheus, or analysis.prometheus.address";
            return Err(SourceError::new(Fault::Denied, message.to_owned()));
        }
        let remedy = "check spec.analysis.prometheus.address";
        let name = format!("Prometheus at {}", shown(&wanted.address));
        let url = self.url(Purpose::Prometheus, &wanted.address).map_err(|denied| forbidden(&name, &denied, remedy))?;
        let key = if is_plain(wanted) { url.to_string() } else { format!("{url} {} {wanted:?}", asking.namespace) };
        let origin = url.origin().ascii_serialization();
        Ok((NamedServer { purpose: Purpose::Prometheus, url, key, name, remedy, origin }, None))
    }

    /// The address of queries. A question mark or a fragment in a base URL would make it another path's.
    fn url(&self, purpose: Purpose, base: &str) -> Result<Url, Denied> {
        let mut url = self.access.outbound().permit(purpose, base)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Denied::NoUrl);
        }
        url.path_segments_mut().map_err(|()| Denied::NoUrl)?.pop_if_empty().extend(["api", "v1", "query"]);
        Ok(url)
    }

    async fn own(&self, named: NamedServer, own: &OwnPrometheus) -> Result<Server, SourceError> {
        let unreadable = |path: &Path, why: &str| {
            tracing::warn!(path = %path.display(), why, "cannot read a file of the controller's Prometheus");
            SourceError::new(
                Fault::Denied,
                format!("the credentials of the controller's Prometheus cannot be read: {why}"),
            )
        };
        let read = async |path: &Path| file(path).await.map_err(|why| unreadable(path, why));
        let text = async |path: &Path| trimmed(&read(path).await?).map_err(|why| unreadable(path, why));
        let credentials = match (&own.username_file, &own.password_file, &own.bearer_token_file) {
            (Some(username), Some(password), _) => {
                Some(Credentials::Basic { username: text(username).await?, password: text(password).await? })
            }
            (_, _, Some(token)) => Some(Credentials::Bearer(text(token).await?)),
            _ => None,
        };
        let ca = match &own.ca_file {
            Some(path) => Some(read(path).await?),
            None => None,
        };
        let name = named.name.clone();
        let cannot = |why: String| SourceError::new(Fault::Denied, format!("cannot query {name}: {why}"));
        let key = ClientKey { purpose: named.purpose, ca, identity: None, instead: None };
        let client = self.access.client(key).map_err(cannot)?;
        let mut headers = own.headers().await.map_err(|error| cannot(error.to_string()))?;
        if credentials.is_some() {
            headers.remove(AUTHORIZATION);
        }
        Ok(Server { headers, ..named.server(client, credentials) })
    }

    async fn of_rollout(&self, mut named: NamedServer, asking: &Asking<'_>) -> Result<Server, SourceError> {
        let (reader, prometheus) = (Reader { namespace: asking.namespace, field: FIELD }, asking.prometheus);
        let mut headers = self.access.headers(reader, &prometheus.headers).await?;
        if let Some(tenant) = &prometheus.tenant {
            let wrong = |_| SourceError::new(Fault::Denied, format!("{FIELD}.tenant is not the value of a header"));
            headers.insert(TENANT, HeaderValue::from_str(tenant).map_err(wrong)?);
        }
        let credentials = match &prometheus.auth {
            Some(auth) => Some(self.access.credentials(reader, auth).await?),
            None => None,
        };
        if credentials.is_some() {
            headers.remove(AUTHORIZATION);
        }
        let (mut host, mut instead) = (None, None);
        let server_name = prometheus.tls.as_ref().and_then(|tls| tls.server_name.as_deref());
        if let Some(server_name) = server_name {
            let real = named.url.host_str().unwrap_or_default().to_owned();
            host = Some(named.url.port().map_or_else(|| real.clone(), |port| format!("{real}:{port}")));
            instead = Some(real.trim_matches(['[', ']']).to_owned());
            let wrong = |_| {
                let message = format!("cannot query {}: tls.serverName is not a host name", named.name);
                SourceError::new(Fault::Denied, message)
            };
            named.url.set_host(Some(server_name)).map_err(wrong)?;
        }
        let client = self.access.client_for(reader, named.purpose, prometheus.tls.as_ref(), instead).await?;
        let partial_response = prometheus.partial_response;
        Ok(Server { host, headers, partial_response, ..named.server(client, credentials) })
    }
}

impl NamedServer {
    fn server(self, client: Client, credentials: Option<Credentials>) -> Server {
        let NamedServer { url: query, key, name, remedy, origin, .. } = self;
        let headers = HeaderMap::new();
        Server { key, origin, name, remedy, client, query, host: None, headers, partial_response: None, credentials }
    }
}

/// Whether nothing but the address says how to ask: then namespaces share its answers.
fn is_plain(prometheus: &RunPrometheus) -> bool {
    let RunPrometheus { auth, tls, tenant, headers, partial_response, .. } = prometheus;
    auth.is_none() && tls.is_none() && tenant.is_none() && headers.is_empty() && partial_response.is_none()
}

fn forbidden(name: &str, denied: &Denied, remedy: &str) -> SourceError {
    SourceError::new(Fault::Denied, format!("cannot query {name}: {denied}; {remedy}"))
}

/// A file of bounded size. Its error messages are fixed: a path may point anywhere by mistake.
async fn file(path: &Path) -> Result<Vec<u8>, &'static str> {
    let about = tokio::fs::metadata(path).await.map_err(|_| "the file does not exist or is not readable")?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return Err("it is not a file of at most 1 MiB");
    }
    tokio::fs::read(path).await.map_err(|_| "it is not readable")
}

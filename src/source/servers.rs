//! From what a run names to a server that can be asked: its URL as the policy permits it, its credentials, a client
//! that checks its certificate. All of it is reloaded within seconds, so that a rotated password needs no restart.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, RequestBuilder, Url, header::HOST};

use super::{
    outbound::{Denied, Outbound, Purpose, SetUpError},
    secrets::{Seen, trimmed, value_of},
    trust,
};
use crate::{
    api::{
        address::{self, shown},
        analysis::{PrometheusAuth, PrometheusOwner, PrometheusTls},
    },
    ports::{
        secrets::Secrets,
        source::{Asking, Fault, SourceError},
    },
};

/// Clients kept: one for each CA and server name in use.
const CLIENTS: usize = 64;
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
        Ok(())
    }
}

/// How we say who we are. It has no `Debug`, so that nothing shows it.
#[derive(Clone)]
enum Credentials {
    Basic { username: String, password: String },
    Bearer(String),
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
    credentials: Option<Credentials>,
}

impl Server {
    /// A POST of one query.
    pub fn query(&self, form: &[(&str, &str)]) -> RequestBuilder {
        let request = self.client.post(self.query.clone()).form(form);
        let request = match &self.host {
            Some(host) => request.header(HOST, host),
            None => request,
        };
        match &self.credentials {
            Some(Credentials::Basic { username, password }) => request.basic_auth(username, Some(password)),
            Some(Credentials::Bearer(token)) => request.bearer_auth(token),
            None => request,
        }
    }
}

/// The servers that runs name.
pub struct Servers {
    outbound: Outbound,
    own: Option<OwnPrometheus>,
    secrets: Seen,
    timeout: Duration,
    clients: Mutex<HashMap<ClientKey, Client>>,
}

/// What makes a client another one.
#[derive(Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    purpose: Purpose,
    ca: Option<Vec<u8>>,
    /// The host behind another name.
    instead: Option<String>,
}

/// A server as it is named, before anything is looked up.
struct NamedServer {
    purpose: Purpose,
    url: Url,
    key: String,
    name: String,
    remedy: &'static str,
}

impl Servers {
    /// Servers under a policy; a question takes `timeout` at the most.
    pub fn new(outbound: Outbound, own: Option<OwnPrometheus>, secrets: Arc<dyn Secrets>, timeout: Duration) -> Self {
        Servers { outbound, own, secrets: Seen::new(secrets), timeout, clients: Mutex::default() }
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
            let plain = wanted.auth.is_none() && wanted.tls.is_none();
            let same = own.address.trim_end_matches('/') == wanted.address.trim_end_matches('/');
            wanted.source == PrometheusOwner::Controller || same && plain
        });
        if let Some(own) = own {
            let remedy = "check the controller's --prometheus; 'glidepath doctor --prometheus' does";
            let name = "the controller's Prometheus".to_owned();
            let url = self.url(Purpose::Own, &own.address).map_err(|denied| forbidden(&name, &denied, remedy))?;
            return Ok((
                NamedServer { purpose: Purpose::Own, url, key: "controller".to_owned(), name, remedy },
                Some(own),
            ));
        }
        if wanted.source == PrometheusOwner::Controller {
            let message = "the controller has no Prometheus; set its --prometheus, or analysis.prometheus.address";
            return Err(SourceError::new(Fault::Denied, message.to_owned()));
        }
        let remedy = "check spec.analysis.prometheus.address";
        let name = format!("Prometheus at {}", shown(&wanted.address));
        let url = self.url(Purpose::Prometheus, &wanted.address).map_err(|denied| forbidden(&name, &denied, remedy))?;
        let key = if wanted.auth.is_none() && wanted.tls.is_none() {
            url.to_string()
        } else {
            format!("{url} {} {:?} {:?}", asking.namespace, wanted.auth, wanted.tls)
        };
        Ok((NamedServer { purpose: Purpose::Prometheus, url, key, name, remedy }, None))
    }

    /// The address of queries. A question mark or a fragment in a base URL would make it another path's.
    fn url(&self, purpose: Purpose, base: &str) -> Result<Url, Denied> {
        let mut url = self.outbound.permit(purpose, base)?;
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
        self.server(named, credentials, ca, None)
    }

    async fn of_rollout(&self, named: NamedServer, asking: &Asking<'_>) -> Result<Server, SourceError> {
        let credentials = match &asking.prometheus.auth {
            Some(auth) => Some(self.credentials(asking.namespace, auth).await?),
            None => None,
        };
        let tls = asking.prometheus.tls.clone().unwrap_or_default();
        let ca = match &tls.ca_secret_ref {
            Some(ca) => {
                let key = ca.key.as_deref().unwrap_or("ca.crt");
                Some(self.secrets.value(asking.namespace, &ca.name, key).await?)
            }
            None => None,
        };
        self.server(named, credentials, ca, Some(&tls))
    }

    async fn credentials(&self, namespace: &str, auth: &PrometheusAuth) -> Result<Credentials, SourceError> {
        match (&auth.basic, &auth.bearer) {
            (Some(basic), None) => {
                let of = &basic.secret_ref;
                let all = self.secrets.read(namespace, &of.name).await?;
                let text = |key: &Option<String>, usual: &str| {
                    value_of(&all, namespace, &of.name, key.as_deref().unwrap_or(usual))
                        .and_then(|value| text_of(&value))
                };
                let username = text(&of.username_key, "username")?;
                Ok(Credentials::Basic { username, password: text(&of.password_key, "password")? })
            }
            (None, Some(bearer)) => {
                let key = bearer.secret_ref.key.as_deref().unwrap_or("token");
                let token = self.secrets.value(namespace, &bearer.secret_ref.name, key).await?;
                Ok(Credentials::Bearer(text_of(&token)?))
            }
            _ => Err(SourceError::new(
                Fault::Denied,
                "analysis.prometheus.auth: set exactly one of basic and bearer".into(),
            )),
        }
    }

    fn server(
        &self,
        named: NamedServer,
        credentials: Option<Credentials>,
        ca: Option<Vec<u8>>,
        tls: Option<&PrometheusTls>,
    ) -> Result<Server, SourceError> {
        let NamedServer { purpose, url: mut query, key, name, remedy } = named;
        let origin = query.origin().ascii_serialization();
        let cannot = |what: &str| SourceError::new(Fault::Denied, format!("cannot query {name}: {what}"));
        let (mut host, mut instead) = (None, None);
        if let Some(server_name) = tls.and_then(|tls| tls.server_name.as_deref()) {
            let real = query.host_str().unwrap_or_default().to_owned();
            host = Some(query.port().map_or_else(|| real.clone(), |port| format!("{real}:{port}")));
            instead = Some(real.trim_matches(['[', ']']).to_owned());
            query.set_host(Some(server_name)).map_err(|_| cannot("tls.serverName is not a host name"))?;
        }
        let client = self.client(ClientKey { purpose, ca, instead }).map_err(|why| cannot(&why))?;
        Ok(Server { key, origin, name, remedy, client, query, host, credentials })
    }

    fn client(&self, key: ClientKey) -> Result<Client, String> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(&key) {
            return Ok(known.clone());
        }
        let builder = match &key.ca {
            Some(pem) => trust::trusting(pem).ok_or("its CA is not a PEM certificate")?,
            None => trust::builder(),
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

fn forbidden(name: &str, denied: &Denied, remedy: &str) -> SourceError {
    SourceError::new(Fault::Denied, format!("cannot query {name}: {denied}; {remedy}"))
}

fn text_of(value: &[u8]) -> Result<String, SourceError> {
    trimmed(value).map_err(|why| SourceError::new(Fault::Denied, format!("a credential of analysis.prometheus {why}")))
}

/// A file of bounded size. Its error messages are fixed: a path may point anywhere by mistake.
async fn file(path: &Path) -> Result<Vec<u8>, &'static str> {
    let about = tokio::fs::metadata(path).await.map_err(|_| "the file does not exist or is not readable")?;
    if !about.is_file() || about.len() > LARGEST_FILE {
        return Err("it is not a file of at most 1 MiB");
    }
    tokio::fs::read(path).await.map_err(|_| "it is not readable")
}

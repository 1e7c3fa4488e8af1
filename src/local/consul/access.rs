//! Where Consul is, and as whom it is asked: the address and the names of the command line, and for the rest the variables
//! that Consul's own tools read.

use std::{fmt, io::Read as _, path::PathBuf};

use reqwest::Url;

/// The largest file with a token or certificates, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Consul's names of where the service is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The namespace (Enterprise).
    pub namespace: Option<String>,
    /// The admin partition (Enterprise).
    pub partition: Option<String>,
    /// The datacenter; by default the agent's.
    pub datacenter: Option<String>,
}

/// Where Consul is, and as whom it is asked.
#[derive(Clone, Debug)]
pub struct Access {
    /// The base URL of its HTTP API.
    pub address: Url,
    /// Where the service is.
    pub names: Names,
    token: Option<Token>,
    ca_file: Option<PathBuf>,
    certificate_files: Option<(PathBuf, PathBuf)>,
}

/// An ACL token, or the file that has it. Its `Debug` hides it.
#[derive(Clone)]
enum Token {
    Given(String),
    InFile(PathBuf),
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Given(_) => f.write_str("Given"),
            Token::InFile(path) => write!(f, "InFile({})", path.display()),
        }
    }
}

/// What is wrong with what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The address.
    #[error("--consul {0} is not an address of Consul's HTTP API; use one like http://127.0.0.1:8500")]
    Address(String),
    /// The address has a user name or a password.
    #[error("--consul contains credentials; set CONSUL_HTTP_TOKEN or CONSUL_HTTP_TOKEN_FILE instead")]
    Credentials,
    /// A client certificate without its key, or the other way round.
    #[error("set both CONSUL_CLIENT_CERT and CONSUL_CLIENT_KEY, or neither")]
    Pair,
    /// A file that cannot be used.
    #[error("{variable}: {} {why}", path.display())]
    File {
        /// Which names it.
        variable: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

impl Access {
    /// With an address and names that were typed; `variable` gives the environment. As in Consul's own tools a token file
    /// comes before a token. Files are read when they are needed.
    pub fn new(address: &str, typed: Names, variable: impl Fn(&str) -> Option<String>) -> Result<Self, AccessError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| set(name).map(PathBuf::from);
        let certificate_files = match (path("CONSUL_CLIENT_CERT"), path("CONSUL_CLIENT_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(AccessError::Pair),
        };
        let file = path("CONSUL_HTTP_TOKEN_FILE").map(Token::InFile);
        Ok(Access {
            address: base_url(address)?,
            names: Names {
                namespace: typed.namespace.or_else(|| set("CONSUL_NAMESPACE")),
                partition: typed.partition.or_else(|| set("CONSUL_PARTITION")),
                datacenter: typed.datacenter,
            },
            token: file.or_else(|| set("CONSUL_HTTP_TOKEN").map(Token::Given)),
            ca_file: path("CONSUL_CACERT"),
            certificate_files,
        })
    }

    /// The token as it is now: a file is read again for each request, so that a new token needs no restart.
    pub(super) fn token(&self) -> Result<Option<String>, AccessError> {
        match &self.token {
            None => Ok(None),
            Some(Token::Given(token)) => Ok(Some(token.trim().to_owned())),
            Some(Token::InFile(path)) => {
                let bytes = read("CONSUL_HTTP_TOKEN_FILE", path)?;
                Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
            }
        }
    }

    /// The CA certificates (PEM) that Consul's must be signed by.
    pub(super) fn ca(&self) -> Result<Option<Vec<u8>>, AccessError> {
        self.ca_file.as_ref().map(|path| read("CONSUL_CACERT", path)).transpose()
    }

    /// Our own certificate with its key (PEM).
    pub(super) fn identity(&self) -> Result<Option<Vec<u8>>, AccessError> {
        let Some((certificate, key)) = &self.certificate_files else { return Ok(None) };
        let mut both = read("CONSUL_CLIENT_CERT", certificate)?;
        both.push(b'\n');
        both.extend(read("CONSUL_CLIENT_KEY", key)?);
        Ok(Some(both))
    }
}

fn base_url(text: &str) -> Result<Url, AccessError> {
    let wrong = || AccessError::Address(text.to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AccessError::Credentials);
    }
    let is_http = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if is_http && url.query().is_none() && url.fragment().is_none() { Ok(url) } else { Err(wrong()) }
}

fn read(variable: &'static str, path: &PathBuf) -> Result<Vec<u8>, AccessError> {
    let wrong = |why: String| AccessError::File { variable, path: path.clone(), why };
    let file = std::fs::File::open(path).map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    let mut bytes = Vec::new();
    file.take(LARGEST_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| wrong(format!("cannot be read: {}", error.kind())))?;
    if bytes.len() as u64 > LARGEST_FILE { Err(wrong("is larger than 1 MiB".to_owned())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(address: &str, set: &[(&str, &str)]) -> Result<Access, AccessError> {
        let variable = |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Access::new(address, Names::default(), variable)
    }

    #[test]
    fn an_address_is_a_base_url_without_credentials() {
        for good in
            ["http://127.0.0.1:8500", "https://consul.example.com:8501/", "http://[::1]:8500", "http://a/prefix"]
        {
            assert!(access(good, &[]).is_ok(), "{good}");
        }
        for wrong in ["", "127.0.0.1:8500", "unix:///run/consul.sock", "http://a:8500/?token=x", "http://a/#b"] {
            assert!(matches!(access(wrong, &[]), Err(AccessError::Address(_))), "{wrong}");
        }
        let error = access("http://root:hunter2@a:8500", &[]).unwrap_err();
        assert_eq!(error, AccessError::Credentials);
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn the_variables_of_consul_are_read_and_what_is_typed_comes_first() {
        let set = [("CONSUL_NAMESPACE", "shop"), ("CONSUL_PARTITION", "eu"), ("CONSUL_HTTP_TOKEN", " secret \n")];
        let found = access("http://a", &set).unwrap();
        assert_eq!((found.names.namespace.as_deref(), found.names.partition.as_deref()), (Some("shop"), Some("eu")));
        assert_eq!(found.token().unwrap().as_deref(), Some("secret"));
        assert!(!format!("{found:?}").contains("secret"));
        let typed = Names { namespace: Some("other".into()), ..Names::default() };
        let found = Access::new("http://a", typed, |_| Some("shop".into())).unwrap();
        assert_eq!(found.names.namespace.as_deref(), Some("other"));
        let half = access("http://a", &[("CONSUL_CLIENT_CERT", "/a")]).unwrap_err();
        assert!(half.to_string().contains("CONSUL_CLIENT_KEY"), "{half}");
    }

    #[test]
    fn a_token_file_comes_before_a_token_and_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let name = path.display().to_string();
        let found = access("http://a", &[("CONSUL_HTTP_TOKEN_FILE", &name), ("CONSUL_HTTP_TOKEN", "another")]).unwrap();
        assert_eq!(found.token().unwrap().as_deref(), Some("first"));
        std::fs::write(&path, "second").unwrap();
        assert_eq!(found.token().unwrap().as_deref(), Some("second"));
        std::fs::remove_file(&path).unwrap();
        let error = found.token().unwrap_err().to_string();
        assert!(error.starts_with("CONSUL_HTTP_TOKEN_FILE: ") && error.contains("cannot be read"), "{error}");
        std::fs::write(&path, vec![b'a'; (1 << 20) + 1]).unwrap();
        assert!(found.token().unwrap_err().to_string().contains("larger than 1 MiB"));
    }
}

//! The address of a backend: `http://host:port`, nothing more.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use hyper::Uri;

/// Where one version answers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// Why a text is not an address that requests can be sent to.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum AddressError {
    /// Not a URL at all.
    #[error("`{0}` is not an address; use one like http://127.0.0.1:8081")]
    Syntax(String),
    /// HTTPS.
    #[error("`{0}`: https is not supported; use a plain http address, and terminate TLS before --listen")]
    Https(String),
    /// Another scheme, or none.
    #[error("`{0}` is not http; use an address like http://127.0.0.1:8081")]
    Scheme(String),
    /// More than host and port.
    #[error("`{0}` has a path; use only host and port: requests keep their path")]
    Path(String),
}

impl Address {
    /// `host:port`.
    pub fn authority(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// What a connection to it is made with.
    pub fn uri(&self) -> Uri {
        let uri = Uri::builder().scheme("http").authority(self.authority()).path_and_query("/").build();
        // It was read from a URI.
        uri.unwrap_or_default()
    }

    /// The host; an IPv6 address in its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is on this machine for sure.
    pub fn is_loopback(&self) -> bool {
        let bare = self.host.trim_matches(['[', ']']);
        bare == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}:{}", self.host, self.port)
    }
}

impl From<SocketAddr> for Address {
    fn from(socket: SocketAddr) -> Self {
        let host = match socket.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        Address { host, port: socket.port() }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri: Uri = text.parse().map_err(|_| AddressError::Syntax(text.to_owned()))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => return Err(AddressError::Https(text.to_owned())),
            _ => return Err(AddressError::Scheme(text.to_owned())),
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| AddressError::Syntax(text.to_owned()))?;
        if uri.path() != "/" || uri.query().is_some() {
            return Err(AddressError::Path(text.to_owned()));
        }
        Ok(Address { host: host.to_ascii_lowercase(), port: uri.port_u16().unwrap_or(80) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_host_and_port() {
        for (text, shown) in [
            ("http://127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("http://127.0.0.1:8081/", "http://127.0.0.1:8081"),
            ("http://Web.Example", "http://web.example:80"),
            ("http://[::1]:8081", "http://[::1]:8081"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), shown);
        }
        for (text, said) in [
            ("https://127.0.0.1:8081", "https is not supported"),
            ("127.0.0.1:8081", "is not http"),
            ("ftp://a", "is not http"),
            ("http://127.0.0.1:8081/app", "has a path"),
            ("http://127.0.0.1:8081?x=1", "has a path"),
            ("http://", "is not an address"),
            ("a b", "is not an address"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn loopback_is_known() {
        for (text, loopback) in [
            ("http://127.0.0.1:1", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://10.0.0.1:1", false),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().is_loopback(), loopback, "{text}");
        }
    }
}

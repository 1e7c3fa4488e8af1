//! Whom HTTPS trusts: the machine's own CA certificates; where there are none, Mozilla's, which are built in. A slim image
//! often has none, and that must not keep a controller from starting which asks everything by HTTP (C1).

use std::sync::OnceLock;

/// What is said once when a machine has no CA certificates.
pub const NONE_HERE: &str = "no CA certificates on this machine: HTTPS trusts the Mozilla roots built into this binary; \
                             install ca-certificates, or set SSL_CERT_FILE to a bundle, to trust your own";

/// A client under construction that trusts what this machine trusts.
pub fn builder() -> reqwest::ClientBuilder {
    let builder = bare();
    if has_system_roots() { builder } else { builder.tls_certs_only(built_in()) }
}

/// Whether this machine has CA certificates of its own. It is looked up once: a new bundle is trusted after a restart.
pub fn has_system_roots() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    // What a client does when it is made is what counts, on every operating system.
    *KNOWN.get_or_init(|| bare().no_proxy().build().is_ok())
}

/// A client under construction that trusts these CA certificates (PEM) and no others; `None` when there are none in it.
pub fn trusting(pem: &[u8]) -> Option<reqwest::ClientBuilder> {
    let certificates = reqwest::Certificate::from_pem_bundle(pem).ok().filter(|found| !found.is_empty())?;
    Some(bare().tls_certs_only(certificates))
}

/// The built-in roots as DER, for clients that are not made here.
pub fn built_in_der() -> Vec<Vec<u8>> {
    webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|root| root.as_ref().to_vec()).collect()
}

fn built_in() -> Vec<reqwest::Certificate> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    roots.filter_map(|root| reqwest::Certificate::from_der(root.as_ref()).ok()).collect()
}

fn bare() -> reqwest::ClientBuilder {
    // An error means that this process has a provider already, which serves as well.
    drop(rustls::crypto::ring::default_provider().install_default());
    reqwest::Client::builder()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_roots_make_a_client_and_a_text_without_certificates_none() {
        assert!(built_in().len() > 50 && built_in().len() == built_in_der().len());
        assert!(bare().tls_certs_only(built_in()).build().is_ok());
        for nothing in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA"] {
            assert!(trusting(nothing.as_bytes()).is_none_or(|builder| builder.build().is_err()), "{nothing}");
        }
    }
}

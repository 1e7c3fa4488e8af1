//! How the label of a proxy's metric names the Service that it sent a request to.

use serde::Deserialize;

/// A proxy's way to name Services. Port names with `-` are not understood where `-` separates the parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceNames {
    /// The DNS name, with more around it: `outbound|80||web.shop.svc.cluster.local`.
    #[default]
    Dns,
    /// Contour's statistics: `shop_web_80`.
    Contour,
    /// Traefik's services: `shop-web-80@kubernetescrd`, `shop-web-http-80@kubernetesgateway`.
    Traefik,
    /// Upstreams of ingress-nginx: `shop-web-80`.
    Upstream,
    /// The Service's name alone; another label has its namespace.
    Plain,
}

/// Ports have names of at most 15 characters; the hash in the name of a service of one IngressRoute is longer.
const PORT: &str = "[a-z0-9]{1,15}";
/// What follows the Service in Traefik's names.
const TRAEFIK: &str = "-(?:[a-z0-9]{1,15}@kubernetes(?:crd)?|(?:(?:http|grpc)-)?[0-9]{1,5}@kubernetesgateway)";

impl ServiceNames {
    /// The part that names the Service, by which arms are called.
    pub fn arm(self, service: &str, namespace: &str) -> String {
        match self {
            ServiceNames::Dns => format!("{service}.{namespace}"),
            ServiceNames::Contour => format!("{namespace}_{service}"),
            ServiceNames::Traefik | ServiceNames::Upstream | ServiceNames::Plain => format!("{namespace}-{service}"),
        }
    }

    /// A regular expression, anchored by PromQL, of the label's value. Names of Services and namespaces have no dots.
    pub fn pattern(self, service: &str, namespace: &str) -> String {
        match self {
            ServiceNames::Dns => format!("(.*[|])?{service}[.]{namespace}[.]svc([.].*)?"),
            ServiceNames::Contour => format!("{namespace}_{service}_[0-9]+"),
            ServiceNames::Traefik => format!("{namespace}-{service}{TRAEFIK}"),
            ServiceNames::Upstream => format!("{namespace}-{service}-{PORT}"),
            ServiceNames::Plain => service.to_owned(),
        }
    }

    /// The series with the arm in the label `arm`.
    pub fn named(self, series: &str, label: &str, namespace_label: &str) -> String {
        let replaced = |group: &str, pattern: &str| {
            format!(r#"label_replace({series}, "arm", "{group}", "{label}", "{pattern}")"#)
        };
        match self {
            ServiceNames::Dns => replaced("$2", "(.*[|])?([^.|]+[.][^.]+)[.]svc([.].*)?"),
            ServiceNames::Contour => replaced("$1", "([^_]+_[^_]+)_[0-9]+"),
            ServiceNames::Traefik => replaced("$1", &format!("(.+?){TRAEFIK}")),
            ServiceNames::Upstream => replaced("$1", &format!("(.+)-{PORT}")),
            ServiceNames::Plain => format!(r#"label_join({series}, "arm", "-", "{namespace_label}", "{label}")"#),
        }
    }
}

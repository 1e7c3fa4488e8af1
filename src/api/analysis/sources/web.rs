//! A number from a web endpoint: a request whose JSON response a JSONPath reads.

use jsonpath_rust::parser::{model::JpQuery, parse_json_path};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::api::{
    analysis::{
        auth::{Auth, Tls},
        header::Header,
    },
    common::HumanDuration,
};

/// How long the endpoint may take unless a metric says otherwise.
const TIMEOUT: HumanDuration = HumanDuration::secs(10);

/// A number from a web endpoint with a JSON response.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebQuery {
    /// An `http` or `https` URL, without credentials. A 2xx response is read; redirects are not followed.
    #[schemars(length(min = 1, max = 2048), regex(pattern = r"^https?://"))]
    pub url: String,
    /// The method. Default `GET`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<WebMethod>,
    /// Headers of the request.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub headers: Vec<Header>,
    /// The JSON body of a `POST`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16384))]
    pub body: Option<String>,
    /// The JSONPath (RFC 9535) of `result` in the response, for example `$.data.errorRate`: a number, a text that is one, or
    /// `true` (1) and `false` (0). With nothing there, or `null`, there is no data. Default `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub json_path: Option<String>,
    /// How long the endpoint may take. Default 10s, at most 25s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<HumanDuration>,
    /// Authentication. The Secrets are in the Rollout's namespace, and the controller must be allowed to read them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<Auth>,
    /// TLS verification and the client certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

/// How a web endpoint is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum WebMethod {
    /// To read.
    #[default]
    Get,
    /// To send a body.
    Post,
}

impl WebQuery {
    /// How long the endpoint may take.
    pub fn timeout(&self) -> std::time::Duration {
        self.timeout.unwrap_or(TIMEOUT).get()
    }

    /// The path to the number, or what is wrong with it. What would cost more than it says is refused: a second descent
    /// through everything (`..`), and a filter that begins at the root again.
    pub fn path(&self) -> Result<JpQuery, &'static str> {
        let text = self.json_path.as_deref().unwrap_or("$").trim();
        // kubectl and Argo Rollouts write it in braces.
        let text = text.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(text).trim();
        if !text.starts_with('$') {
            return Err("is not a JSONPath; write for example $.data.errorRate");
        }
        if text.matches("..").count() > 1 || text.matches('$').count() > 1 {
            return Err("costs too much; use `..` at most once, and `$` only at its beginning");
        }
        parse_json_path(text).map_err(|_| "is not a JSONPath; write for example $.data.errorRate")
    }

    /// The texts in which arguments are substituted, each with its field.
    pub fn texts_mut(&mut self) -> Vec<(String, &mut String)> {
        let mut texts = vec![("url".to_owned(), &mut self.url)];
        texts.extend(self.body.as_mut().map(|body| ("body".to_owned(), body)));
        texts.extend(self.json_path.as_mut().map(|path| ("jsonPath".to_owned(), path)));
        let values = self.headers.iter_mut().enumerate();
        texts.extend(values.filter_map(|(n, header)| Some((format!("headers[{n}].value"), header.value.as_mut()?))));
        texts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_of_rfc_9535_and_cheap() {
        let path = |text: &str| WebQuery { json_path: Some(text.into()), ..WebQuery::default() }.path();
        for fine in ["$", "$.a.b[0]", "{$.a}", "$..rate", "$.items[?@.name == 'x'].value"] {
            assert!(path(fine).is_ok(), "{fine}");
        }
        for (text, words) in [
            ("data.rate", "is not a JSONPath"),
            ("$.[", "is not a JSONPath"),
            ("$..a..b", "costs too much"),
            ("$.a[?@.b == $.c]", "costs too much"),
        ] {
            assert!(path(text).is_err_and(|problem| problem.contains(words)), "{text}");
        }
    }
}

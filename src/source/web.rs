//! Numbers from web endpoints: a request of the user's, and what a JSONPath selects in the response.

use jsonpath_rust::query::js_path_process;
use reqwest::{
    Method,
    header::{ACCEPT, HeaderMap, HeaderValue},
};
use serde_json::Value;

use super::{http::Http, number};
use crate::{
    api::analysis::{WebMethod, WebQuery},
    evidence::Answer,
    ports::source::{Fault, SourceError},
};

/// The number that the endpoint gives.
pub async fn ask(http: &Http, namespace: &str, query: &WebQuery) -> Result<Answer, SourceError> {
    let mut call = http.at(namespace, "web", &query.url)?.timeout(query.timeout());
    call = match (query.method.unwrap_or_default(), &query.body) {
        (WebMethod::Get, _) => call,
        (WebMethod::Post, Some(body)) => call.post("application/json", body.clone().into_bytes()),
        (WebMethod::Post, None) => call.method(Method::POST),
    };
    let accept = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    let headers = http.access().headers(call.reader(), &query.headers).await?;
    call = call.headers(accept).headers(headers);
    let call = http.authenticated(call, query.auth.as_ref(), query.tls.as_ref()).await?;
    let path = query.path().map_err(|why| SourceError::new(Fault::Refused, format!("web.jsonPath {why}")))?;
    let body: Value =
        serde_json::from_slice(&http.send(&call).await?).map_err(|_| call.unusable("its response is not JSON"))?;
    let found = js_path_process(&path, &body).map_err(|_| call.unusable("web.jsonPath cannot be evaluated"))?;
    let found: Vec<&Value> = found.into_iter().map(|found| found.val()).collect();
    match found.as_slice() {
        [] => Ok(Answer::Scalar(None)),
        [one] => number::of_json(one).map(Answer::Scalar).map_err(|why| call.unusable(why)),
        several => Ok(Answer::Several(several.len())),
    }
}

//! Access tokens of OAuth 2.0 by client credentials (RFC 6749, section 4.4): one request for all that wait, and the token
//! kept until shortly before it expires, or until a server refuses it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::time::Instant;

use super::{outbound, secrets::trimmed};
use crate::{
    api::address::shown,
    ports::source::{Fault, SourceError},
};

/// The largest answer of a token URL that is read, in bytes.
const LARGEST: usize = 64 << 10;
/// How long a token is used whose issuer does not say how long it is valid.
const USUAL: Duration = Duration::from_secs(300);
/// So much earlier than it expires a token is renewed: a request takes its time too.
const EARLY: Duration = Duration::from_secs(30);
/// How long a token is used at most, whatever its issuer says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// Tokens kept.
const MOST: usize = 256;

/// What a token is requested with. It has no `Debug`, so that nothing shows it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// Where.
    pub url: String,
    /// The client.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The scopes, separated by spaces.
    pub scope: String,
    /// The audience.
    pub audience: Option<String>,
}

/// A token and when it has to be renewed.
#[derive(Clone)]
struct Token {
    text: String,
    until: Instant,
}

type Cell = Arc<tokio::sync::Mutex<Option<Token>>>;

/// All tokens, by what they were requested with.
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<TokenRequest, Cell>>);

impl Tokens {
    /// The client that requests tokens with this.
    pub fn client(&self, request: TokenRequest, url: Url, http: Client) -> OAuth2Client {
        let mut cells = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if cells.len() >= MOST && !cells.contains_key(&request) {
            cells.clear();
        }
        let cell = Arc::clone(cells.entry(request.clone()).or_default());
        OAuth2Client { request, url, http, cell }
    }
}

/// Whoever needs a token.
#[derive(Clone)]
pub struct OAuth2Client {
    request: TokenRequest,
    url: Url,
    http: Client,
    cell: Cell,
}

/// What a token URL answers, as far as it is used.
#[derive(Deserialize)]
struct Issued {
    access_token: String,
    token_type: String,
    #[serde(default)]
    expires_in: Option<f64>,
}

impl OAuth2Client {
    /// A token that has not expired. While it is requested others wait for the same one.
    pub async fn token(&self) -> Result<String, SourceError> {
        let mut cell = self.cell.lock().await;
        if let Some(token) = cell.as_ref().filter(|token| Instant::now() < token.until) {
            return Ok(token.text.clone());
        }
        let token = self.issue().await?;
        let text = token.text.clone();
        *cell = Some(token);
        Ok(text)
    }

    /// This token was refused: it is not used again.
    pub async fn forget(&self, token: &str) {
        let mut cell = self.cell.lock().await;
        if cell.as_ref().is_some_and(|known| known.text == token) {
            *cell = None;
        }
    }

    async fn issue(&self) -> Result<Token, SourceError> {
        let TokenRequest { id, secret, scope, audience, .. } = &self.request;
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend((!scope.is_empty()).then_some(("scope", scope.as_str())));
        form.extend(audience.iter().map(|audience| ("audience", audience.as_str())));
        // The client's ID and secret are form-encoded before they are joined (RFC 6749, section 2.3.1).
        let request = self.http.post(self.url.clone()).form(&form).basic_auth(encoded(id), Some(encoded(secret)));
        let sent = request.header(reqwest::header::ACCEPT, "application/json").send().await;
        let unreachable = |why: outbound::Trouble| self.failed(Fault::Unreachable, &why.to_string());
        let response = sent.map_err(|error| unreachable(outbound::trouble(&error)))?;
        let status = response.status().as_u16();
        let body = outbound::bounded(response, LARGEST).await.map_err(unreachable)?;
        if status != 200 {
            return Err(self.failed(Fault::Denied, &format!("it responded HTTP {status}")));
        }
        let unusable = || self.failed(Fault::Denied, "its response has no bearer token");
        let issued: Issued = serde_json::from_slice(&body).map_err(|_| unusable())?;
        let text = trimmed(issued.access_token.as_bytes()).map_err(|_| unusable())?;
        if !issued.token_type.eq_ignore_ascii_case("bearer") || !text.is_ascii() {
            return Err(unusable());
        }
        let valid = issued.expires_in.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST));
        let valid = valid.unwrap_or(USUAL).min(LONGEST);
        Ok(Token { text, until: Instant::now() + valid.saturating_sub(EARLY.min(valid / 2)) })
    }

    fn failed(&self, fault: Fault, why: &str) -> SourceError {
        let place = shown(&self.request.url);
        SourceError::new(fault, format!("no OAuth2 token from {place} ({why}); check auth.oauth2 and its Secret"))
    }
}

/// A text as a form writes it.
fn encoded(text: &str) -> String {
    let Ok(mut url) = Url::parse("http://form/") else { return String::new() };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_secrets_are_form_encoded() {
        for (text, form) in [("plain-id", "plain-id"), ("a:b c&d=é", "a%3Ab+c%26d%3D%C3%A9"), ("", "")] {
            assert_eq!(encoded(text), form);
        }
    }
}

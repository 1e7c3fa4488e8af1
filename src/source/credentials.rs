//! How a request shows who sends it, and the sending itself: an access token that is refused is renewed once.

use std::fmt;

use reqwest::{RequestBuilder, Response, StatusCode};

use super::{oauth2::OAuth2Client, outbound::trouble, sigv4};
use crate::ports::source::{Fault, SourceError};

/// How we say who we are. It has no `Debug`, so that nothing shows it.
#[derive(Clone)]
pub enum Credentials {
    /// A user name and a password.
    Basic {
        /// The user name.
        username: String,
        /// The password.
        password: String,
    },
    /// A token.
    Bearer(String),
    /// A token that is requested.
    OAuth2(OAuth2Client),
    /// A signature.
    SigV4(sigv4::Keys),
}

/// Why a request has no response.
pub enum Unsent {
    /// There are no credentials for it.
    Credentials(SourceError),
    /// It failed.
    Failed(reqwest::Error),
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unsent::Credentials(error) => error.fmt(f),
            Unsent::Failed(error) => trouble(error).fmt(f),
        }
    }
}

impl From<reqwest::Error> for Unsent {
    fn from(error: reqwest::Error) -> Self {
        Unsent::Failed(error)
    }
}

impl From<SourceError> for Unsent {
    fn from(error: SourceError) -> Self {
        Unsent::Credentials(error)
    }
}

/// Sends a request with its credentials.
pub async fn send(request: RequestBuilder, credentials: Option<&Credentials>) -> Result<Response, Unsent> {
    match credentials {
        None => Ok(request.send().await?),
        Some(Credentials::Basic { username, password }) => {
            Ok(request.basic_auth(username, Some(password)).send().await?)
        }
        Some(Credentials::Bearer(token)) => Ok(request.bearer_auth(token).send().await?),
        Some(Credentials::SigV4(keys)) => {
            let (client, request) = request.build_split();
            let refused = |why: &str| SourceError::new(Fault::Denied, why.to_owned());
            Ok(client.execute(sigv4::signed(request?, keys, now()).map_err(refused)?).await?)
        }
        Some(Credentials::OAuth2(client)) => {
            let again = request.try_clone();
            let token = client.token().await?;
            let response = request.bearer_auth(&token).send().await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            client.forget(&token).await;
            match again {
                Some(again) => Ok(again.bearer_auth(client.token().await?).send().await?),
                None => Ok(response),
            }
        }
    }
}

/// AWS refuses a signature that is not of this moment, whatever time a run is judged for.
#[expect(clippy::disallowed_methods, reason = "a signature is of the moment in which it is sent")]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

//! What is needed to be let in, from the Secrets of a run's namespace: credentials, headers, certificates. All of it is read again
//! within seconds, so that a rotated password needs no restart.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Client,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::{
    clients::{ClientKey, Clients},
    credentials::Credentials,
    oauth2::{TokenRequest, Tokens},
    outbound::{Outbound, Purpose},
    secrets::{Seen, trimmed, value_of},
    sigv4::Keys,
};
use crate::{
    api::{
        address::shown,
        analysis::{Auth, AwsSecretRef, Header, OAuth2, ONE_AUTH, SecretKeyRef, Tls},
    },
    ports::{
        secrets::{SecretData, Secrets},
        source::{Fault, SourceError},
    },
};

/// Reads Secrets, and keeps the clients and the tokens that come of them.
pub struct Access {
    secrets: Seen,
    clients: Clients,
    tokens: Tokens,
}

/// Whose Secrets are read, and what the credentials are for, in messages: `analysis.prometheus`.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The field.
    pub field: &'a str,
}

impl Access {
    /// Under a policy; a request takes `timeout` at the most.
    pub fn new(outbound: Outbound, secrets: Arc<dyn Secrets>, timeout: Duration) -> Self {
        Access { secrets: Seen::new(secrets), clients: Clients::new(outbound, timeout), tokens: Tokens::default() }
    }

    /// The policy.
    pub fn outbound(&self) -> &Outbound {
        self.clients.outbound()
    }

    /// A client, or what is wrong with its certificates.
    pub fn client(&self, key: ClientKey) -> Result<Client, String> {
        self.clients.client(key)
    }

    /// A client that trusts and shows the certificates that are named.
    pub async fn client_for(
        &self,
        reader: Reader<'_>,
        purpose: Purpose,
        tls: Option<&Tls>,
        instead: Option<String>,
    ) -> Result<Client, SourceError> {
        let (mut ca, mut identity) = (None, None);
        if let Some(of) = tls.and_then(|tls| tls.ca_secret_ref.as_ref()) {
            ca = Some(self.secrets.value(reader.namespace, &of.name, of.key.as_deref().unwrap_or("ca.crt")).await?);
        }
        if let Some(of) = tls.and_then(|tls| tls.client_certificate_secret_ref.as_ref()) {
            let all = self.secrets.read(reader.namespace, &of.name).await?;
            let value = |key: &Option<String>, usual: &str| {
                value_of(&all, reader.namespace, &of.name, key.as_deref().unwrap_or(usual))
            };
            let mut pem = value(&of.certificate_key, "tls.crt")?;
            pem.push(b'\n');
            pem.extend(value(&of.private_key_key, "tls.key")?);
            identity = Some(pem);
        }
        let key = ClientKey { purpose, ca, identity, instead };
        let refused = |why: String| SourceError::new(Fault::Denied, format!("{}.tls: {why}", reader.field));
        self.client(key).map_err(refused)
    }

    /// Credentials by the one method that is named.
    pub async fn credentials(&self, reader: Reader<'_>, auth: &Auth) -> Result<Credentials, SourceError> {
        if !auth.is_one() {
            return Err(SourceError::new(Fault::Denied, format!("{}.auth: {ONE_AUTH}", reader.field)));
        }
        if let Some(basic) = &auth.basic {
            let of = &basic.secret_ref;
            let secret = self.secret(reader, &of.name).await?;
            let username = secret.text(&of.username_key, "username")?;
            return Ok(Credentials::Basic { username, password: secret.text(&of.password_key, "password")? });
        }
        if let Some(bearer) = &auth.bearer {
            return Ok(Credentials::Bearer(self.text(reader, &bearer.secret_ref, "token").await?));
        }
        if let Some(oauth2) = &auth.oauth2 {
            return self.oauth2(reader, oauth2).await;
        }
        let sigv4 = auth.sigv4.clone().unwrap_or_default();
        let service = sigv4.service.unwrap_or_else(|| "aps".to_owned());
        Ok(Credentials::SigV4(self.aws(reader, &sigv4.secret_ref, sigv4.region, service).await?))
    }

    /// The keys of an AWS identity.
    pub async fn aws(
        &self,
        reader: Reader<'_>,
        of: &AwsSecretRef,
        region: String,
        service: String,
    ) -> Result<Keys, SourceError> {
        let secret = self.secret(reader, &of.name).await?;
        let session = of.session_token_key.as_ref().map(|key| secret.text(&Some(key.clone()), "")).transpose()?;
        Ok(Keys {
            id: secret.text(&of.access_key_id_key, "access-key-id")?,
            secret: secret.text(&of.secret_access_key_key, "secret-access-key")?,
            session,
            region,
            service,
        })
    }

    /// One text of a Secret.
    pub async fn text(&self, reader: Reader<'_>, of: &SecretKeyRef, usual: &str) -> Result<String, SourceError> {
        self.secret(reader, &of.name).await?.text(&of.key, usual)
    }

    /// Headers with their values.
    pub async fn headers(&self, reader: Reader<'_>, headers: &[Header]) -> Result<HeaderMap, SourceError> {
        let wrong = |index: usize, why: &str| {
            SourceError::new(Fault::Denied, format!("{}.headers[{index}]: {why}", reader.field))
        };
        if let Some((index, why)) = Header::problems(headers).first() {
            return Err(wrong(*index, why));
        }
        let mut map = HeaderMap::new();
        for (index, header) in headers.iter().enumerate() {
            let text = match (&header.value, &header.secret_ref) {
                (_, Some(of)) => self.text(reader, of, "value").await?,
                (value, None) => value.clone().unwrap_or_default(),
            };
            let name = HeaderName::from_bytes(header.name.as_bytes());
            let name = name.map_err(|_| wrong(index, "its name is not that of a header"))?;
            let mut value =
                HeaderValue::from_str(&text).map_err(|_| wrong(index, "its value is not one of a header"))?;
            value.set_sensitive(true);
            map.insert(name, value);
        }
        Ok(map)
    }

    async fn oauth2(&self, reader: Reader<'_>, oauth2: &OAuth2) -> Result<Credentials, SourceError> {
        let of = &oauth2.secret_ref;
        let secret = self.secret(reader, &of.name).await?;
        let request = TokenRequest {
            url: oauth2.token_url.clone(),
            id: secret.text(&of.client_id_key, "client-id")?,
            secret: secret.text(&of.client_secret_key, "client-secret")?,
            scope: oauth2.scopes.join(" "),
            audience: oauth2.audience.clone(),
        };
        let refused = |why: String| SourceError::new(Fault::Denied, why);
        let url = self.outbound().permit(Purpose::Web, &oauth2.token_url).map_err(|denied| {
            refused(format!("no OAuth2 token from {}: {denied}; check auth.oauth2.tokenUrl", shown(&oauth2.token_url)))
        })?;
        let client = self.client(ClientKey { purpose: Purpose::Web, ca: None, identity: None, instead: None });
        Ok(Credentials::OAuth2(self.tokens.client(request, url, client.map_err(refused)?)))
    }

    async fn secret<'a>(&self, reader: Reader<'a>, name: &'a str) -> Result<Secret<'a>, SourceError> {
        Ok(Secret { data: self.secrets.read(reader.namespace, name).await?, reader, name })
    }
}

/// A Secret that was read.
struct Secret<'a> {
    data: SecretData,
    reader: Reader<'a>,
    name: &'a str,
}

impl Secret<'_> {
    /// The text of a key.
    fn text(&self, key: &Option<String>, usual: &str) -> Result<String, SourceError> {
        let key = key.as_deref().unwrap_or(usual);
        let value = value_of(&self.data, self.reader.namespace, self.name, key)?;
        let wrong = |why| SourceError::new(Fault::Denied, format!("a credential of {} {why}", self.reader.field));
        trimmed(&value).map_err(wrong)
    }
}

//! Signatures of AWS, Version 4, by the AWS project's own crate.

use std::time::SystemTime;

use aws_credential_types::Credentials as Identity;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::{
    Request,
    header::{HeaderName, HeaderValue},
};

/// The keys of an AWS identity, and what requests are signed for. It has no `Debug`, so that nothing shows it.
#[derive(Clone)]
pub struct Keys {
    /// The access key's ID.
    pub id: String,
    /// The secret access key.
    pub secret: String,
    /// The session token of temporary keys.
    pub session: Option<String>,
    /// The region.
    pub region: String,
    /// The service.
    pub service: String,
}

/// Signs a request as of a time. The error is fixed: it says nothing of the keys.
pub fn signed(mut request: Request, keys: &Keys, at: SystemTime) -> Result<Request, &'static str> {
    const CANNOT: &str = "the request cannot be signed for AWS";
    let identity = Identity::new(&keys.id, &keys.secret, keys.session.clone(), None, "Secret").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(&keys.region)
        .name(&keys.service)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .map_err(|_| CANNOT)?
        .into();
    let headers: Vec<(String, String)> = request
        .headers()
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect();
    let body = request.body().map_or(Some(&[][..]), |body| body.as_bytes()).ok_or(CANNOT)?;
    let (method, url) = (request.method().as_str(), request.url().as_str());
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let signable = SignableRequest::new(method, url, pairs, SignableBody::Bytes(body)).map_err(|_| CANNOT)?;
    let (instructions, _) = sign(signable, &parameters).map_err(|_| CANNOT)?.into_parts();
    for (name, value) in instructions.headers() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| CANNOT)?;
        let mut value = HeaderValue::from_str(value).map_err(|_| CANNOT)?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::{Method, Url};

    use super::*;

    /// `get-vanilla` and `post-vanilla-query` of the AWS Signature Version 4 test suite.
    #[test]
    fn requests_are_signed_as_the_test_suite_of_aws_says() {
        let keys = Keys {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session: None,
            region: "us-east-1".into(),
            service: "service".into(),
        };
        // 2015-08-30T12:36:00Z
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160);
        for (method, url, signature) in [
            (
                Method::GET,
                "https://example.amazonaws.com/",
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
            ),
            (
                Method::POST,
                "https://example.amazonaws.com/?Param1=value1",
                "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
            ),
        ] {
            let request = Request::new(method, Url::parse(url).unwrap());
            let request = signed(request, &keys, at).unwrap();
            let authorization = request.headers()["authorization"].to_str().unwrap();
            assert_eq!(
                authorization,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                     SignedHeaders=host;x-amz-date, Signature={signature}"
                )
            );
            assert_eq!(request.headers()["x-amz-date"], "20150830T123600Z");
        }
    }
}

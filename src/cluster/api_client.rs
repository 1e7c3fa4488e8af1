//! The clients for the API server: kube's stack around connections that keep little. kube's own keep up to 400 kB of
//! buffer each, and a burst's connections for as long as the server lets them.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use kube::{
    Client, Config,
    client::{Body, ClientBuilder, ConfigExt, retry::RetryPolicy},
};
use tower::{BoxError, ServiceBuilder, retry::RetryLayer};

use super::requests::WatchRequests;

/// A connection's buffer: a list comes in many pieces anyway.
const BUFFER: usize = 32 << 10;
/// An unused connection is closed after this long.
const UNUSED: Duration = Duration::from_secs(20);

/// A client, and one that does not retry inside one call. They share their connections.
pub fn clients(config: &Config, requests: &WatchRequests) -> kube::Result<(Client, Client)> {
    if config.proxy_url.is_some() {
        // What is to be said of a proxy that this build does not support, kube says.
        return Ok((through_proxy(config, true, requests)?, through_proxy(config, false, requests)?));
    }
    let mut connector = TimeoutConnector::new(config.rustls_https_connector()?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    // Without a timer nothing looks at connections that are not used any more.
    builder.http1_max_buf_size(BUFFER).pool_timer(TokioTimer::new()).pool_idle_timeout(UNUSED);
    let http: legacy::Client<_, Body> = builder.build(connector);
    let client = |retries: bool| -> kube::Result<Client> {
        let service = ServiceBuilder::new()
            .layer(config.base_uri_layer())
            .option_layer(retries.then(|| RetryLayer::new(RetryPolicy::server_retry())))
            .option_layer(config.auth_layer()?)
            .layer(config.extra_headers_layer()?)
            .map_err(BoxError::from)
            .service(http.clone());
        Ok(ClientBuilder::new(service, config.default_namespace.as_str()).with_layer(requests).build())
    };
    Ok((client(config.default_retry)?, client(false)?))
}

fn through_proxy(config: &Config, retries: bool, requests: &WatchRequests) -> kube::Result<Client> {
    let mut config = config.clone();
    config.default_retry &= retries;
    Ok(ClientBuilder::try_from(config)?.with_layer(requests).build())
}

//! Asks the gates of a local file. Whoever runs the file chose its endpoints, those on their own machine included.

use async_trait::async_trait;
use hyper::Uri;

use crate::{
    ports::gate::{GateAnswer, GateAsker, GateQuestion},
    source::{HttpGates, Outbound},
};

/// Asks wherever the file says.
pub struct FileGates;

#[async_trait]
impl GateAsker for FileGates {
    async fn ask(&self, namespace: &str, question: &GateQuestion) -> GateAnswer {
        let host = question.url.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_ascii_lowercase));
        let named: Vec<String> = host.into_iter().map(|host| host.trim_matches(['[', ']']).to_owned()).collect();
        match HttpGates::new(Outbound::new(named)) {
            Ok(gates) => gates.ask(namespace, question).await,
            Err(error) => GateAnswer::Unclear(error.to_string()),
        }
    }
}

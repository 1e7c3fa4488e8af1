//! Numbers from New Relic, by NRQL through NerdGraph (docs.newrelic.com, "NerdGraph tutorial: query and visualize data").

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{http::Http, number};
use crate::{
    api::analysis::{NewRelicQuery, NewRelicRegion},
    evidence::Answer,
    ports::source::SourceError,
};

/// The account and the query are variables, so that no query can end the document.
const DOCUMENT: &str = "query($account: Int!, $nrql: Nrql!) { actor { account(id: $account) { nrql(query: $nrql, timeout: 15) { results } } } }";
/// What a row says of its time, beside its values.
const TIMES: [&str; 3] = ["beginTimeSeconds", "endTimeSeconds", "timestamp"];

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    errors: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Data {
    actor: Option<Actor>,
}

#[derive(Deserialize)]
struct Actor {
    account: Option<Account>,
}

#[derive(Deserialize)]
struct Account {
    nrql: Option<Nrql>,
}

#[derive(Deserialize)]
struct Nrql {
    results: Option<Vec<Map<String, Value>>>,
}

/// The only value of the query's only row.
pub async fn ask(http: &Http, namespace: &str, query: &NewRelicQuery) -> Result<Answer, SourceError> {
    let address = query.address.as_deref().unwrap_or(match query.region.unwrap_or_default() {
        NewRelicRegion::Us => "https://api.newrelic.com",
        NewRelicRegion::Eu => "https://api.eu.newrelic.com",
    });
    let call = http.below(namespace, "newRelic", address, &["graphql"])?;
    let key = http.access().text(call.reader(), &query.secret_ref, "personal-api-key").await?;
    let body = json!({"query": DOCUMENT, "variables": {"account": query.account_id, "nrql": query.query}});
    let call = call.post("application/json", body.to_string().into_bytes()).secret_header("api-key", &key)?;
    let response: Response = call.json(&http.send(&call).await?)?;
    if response.errors.is_some_and(|errors| !errors.is_empty()) {
        return Err(call.unusable("it rejected the query, the account or the key"));
    }
    let rows = response.data.and_then(|data| data.actor?.account?.nrql?.results);
    let rows = rows.ok_or_else(|| call.unusable("its response has no results"))?;
    match rows.as_slice() {
        [] => Ok(Answer::Scalar(None)),
        [only] => value_of(only).map(Answer::Scalar).map_err(|why| call.unusable(why)),
        several => Ok(Answer::Several(several.len())),
    }
}

/// The value of a row that selects one: `{"count": 3}`, or of a percentile `{"percentile.duration": {"95": 0.2}}`.
fn value_of(row: &Map<String, Value>) -> Result<Option<f64>, &'static str> {
    let mut values = row.iter().filter(|(name, _)| !TIMES.contains(&name.as_str())).map(|(_, value)| value);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(Value::Object(inner)), None) if inner.len() == 1 => {
            inner.values().next().map_or(Ok(None), number::of_json)
        }
        (Some(one), None) => number::of_json(one),
        (Some(_), Some(_)) => Err("the query selects several values; select one"),
    }
}

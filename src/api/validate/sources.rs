//! Queries to sources other than Prometheus: addresses that can be asked, one way to authenticate, paths that can be read.

use std::time::Duration;

use crate::api::{
    address::base_url,
    analysis::{
        Auth, CloudWatchQuery, DatadogQuery, ExternalQuery, GraphiteQuery, Header, InfluxdbQuery, JobQuery,
        NewRelicQuery, ONE_AUTH, ONE_CALCULATION, Tls, WebMethod, WebQuery,
    },
    common::HumanDuration,
    strategy::host,
};

/// The longest time that a web endpoint may take.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(25);
/// The longest range of a query.
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);

/// What is wrong with a query, each with its field, for instance `web.url`.
pub fn source_problems(query: &ExternalQuery) -> Vec<(String, String)> {
    let mut found = Found::default();
    let source = match query {
        ExternalQuery::Web(query) => found.web(query),
        ExternalQuery::Job(query) => found.job(query),
        ExternalQuery::Datadog(query) => found.datadog(query),
        ExternalQuery::NewRelic(query) => found.new_relic(query),
        ExternalQuery::CloudWatch(query) => found.cloud_watch(query),
        ExternalQuery::Graphite(query) => found.graphite(query),
        ExternalQuery::Influxdb(query) => found.influxdb(query),
    };
    found.0.into_iter().map(|(field, problem)| (format!("{source}.{field}"), problem)).collect()
}

/// Fields of a source with what is wrong. Each source gives back its own field.
#[derive(Default)]
struct Found(Vec<(String, String)>);

impl Found {
    fn add(&mut self, field: &str, problem: &str) {
        self.0.push((field.to_owned(), problem.to_owned()));
    }

    fn web(&mut self, query: &WebQuery) -> &'static str {
        if let Err(problem) = host(&query.url) {
            self.add("url", problem);
        }
        if query.body.is_some() && query.method != Some(WebMethod::Post) {
            self.add("body", "is sent only with method: POST");
        }
        if let Err(problem) = query.path() {
            self.add("jsonPath", problem);
        }
        if query.timeout().is_zero() || query.timeout() > LONGEST_TIMEOUT {
            self.add("timeout", "must be above 0 and at most 25s");
        }
        for (index, problem) in Header::problems(&query.headers) {
            self.add(&format!("headers[{index}]"), &problem);
        }
        self.auth(query.auth.as_ref());
        self.tls(query.tls.as_ref());
        "web"
    }

    fn job(&mut self, query: &JobQuery) -> &'static str {
        self.0.extend(query.problems());
        "job"
    }

    fn datadog(&mut self, query: &DatadogQuery) -> &'static str {
        self.text("query", &query.query);
        self.interval(query.interval);
        self.address(query.address.as_deref());
        "datadog"
    }

    fn new_relic(&mut self, query: &NewRelicQuery) -> &'static str {
        if query.account_id == 0 {
            self.add("accountId", "must be at least 1");
        }
        self.text("query", &query.query);
        self.address(query.address.as_deref());
        "newRelic"
    }

    fn cloud_watch(&mut self, query: &CloudWatchQuery) -> &'static str {
        let letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
        if query.region.is_empty() || !query.region.chars().all(letter) {
            self.add("region", "is not the name of a region; write for example eu-west-1");
        }
        if query.metric_data_queries.iter().filter(|query| query.returns_data()).count() != 1 {
            self.add("metricDataQueries", "exactly one must return data; set returnData: false in the others");
        }
        for (index, query) in query.metric_data_queries.iter().enumerate() {
            if query.expression.is_some() == query.metric_stat.is_some() {
                self.add(&format!("metricDataQueries[{index}]"), ONE_CALCULATION);
            }
        }
        self.interval(query.interval);
        self.address(query.address.as_deref());
        "cloudWatch"
    }

    fn graphite(&mut self, query: &GraphiteQuery) -> &'static str {
        self.text("target", &query.target);
        self.interval(query.interval);
        self.address(Some(&query.address));
        self.auth(query.auth.as_ref());
        self.tls(query.tls.as_ref());
        "graphite"
    }

    fn influxdb(&mut self, query: &InfluxdbQuery) -> &'static str {
        self.text("org", &query.org);
        self.text("query", &query.query);
        self.address(Some(&query.address));
        self.tls(query.tls.as_ref());
        "influxdb"
    }

    fn text(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "is empty");
        }
    }

    fn interval(&mut self, interval: Option<HumanDuration>) {
        let Some(interval) = interval.map(|interval| interval.get()) else { return };
        if interval.as_secs() == 0 || interval.subsec_nanos() != 0 || interval > LONGEST_INTERVAL {
            self.add("interval", "must be whole seconds, from 1s to 24h");
        }
    }

    fn address(&mut self, address: Option<&str>) {
        if let Some(Err(problem)) = address.map(base_url) {
            self.add("address", problem);
        }
    }

    fn tls(&mut self, tls: Option<&Tls>) {
        if tls.is_some_and(|tls| tls.server_name.is_some()) {
            self.add("tls.serverName", "is only for a Prometheus; use the name on the certificate as the host");
        }
    }

    fn auth(&mut self, auth: Option<&Auth>) {
        if auth.is_some_and(|auth| !auth.is_one()) {
            self.add("auth", ONE_AUTH);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_asked_is_refused_with_its_field() {
        let problems = |yaml: &str| {
            let metric: crate::api::analysis::ThresholdMetric = serde_yaml::from_str(yaml).unwrap();
            let found = source_problems(&metric.external().unwrap());
            found.iter().map(|(field, problem)| format!("{field}: {problem}")).collect::<Vec<_>>()
        };
        let web = |more: &str| format!("web: {{url: 'https://x.example/a?b=c', {more}}}");
        let aws = |more: &str| format!("cloudWatch: {{region: eu-west-1, secretRef: {{name: s}}, {more}}}");
        let query = "{id: a, expression: b}";
        for fine in [
            web("jsonPath: $.a, timeout: 25s"),
            web("method: POST, body: '{}', headers: [{name: X-Team, value: a}]"),
            aws(&format!("metricDataQueries: [{query}, {{id: b, expression: c, returnData: false}}]")),
        ] {
            assert_eq!(problems(&fine), Vec::<String>::new(), "{fine}");
        }
        for (yaml, words) in [
            ("web: {url: 'https://a:hunter2@x'}".into(), "web.url: must not contain credentials"),
            ("web: {url: 'file:///etc/passwd'}".into(), "web.url: must start with https://"),
            (web("body: '{}'"), "web.body: is sent only with method: POST"),
            (web("jsonPath: data.rate"), "web.jsonPath: is not a JSONPath"),
            (web("timeout: 0s"), "web.timeout: must be above 0"),
            (web("timeout: 26s"), "web.timeout: must be above 0 and at most 25s"),
            (web("tls: {serverName: y}"), "web.tls.serverName: is only for a Prometheus"),
            (web("auth: {}"), "web.auth: set exactly one of basic"),
            (web("headers: [{name: Cookie, value: hunter2}]"), "web.headers[0]: Cookie is a credential"),
            ("datadog: {query: ' ', secretRef: {name: s}}".into(), "datadog.query: is empty"),
            ("datadog: {query: a, interval: 25h, secretRef: {name: s}}".into(), "datadog.interval: must be whole"),
            (
                "datadog: {query: a, address: 'https://hunter2@x', secretRef: {name: s}}".into(),
                "datadog.address: must not",
            ),
            (
                "newRelic: {accountId: 0, query: a, secretRef: {name: s}}".into(),
                "newRelic.accountId: must be at least 1",
            ),
            ("graphite: {address: 'https://x?y', target: a}".into(), "graphite.address: must be a base URL"),
            (
                "influxdb: {address: 'https://x', org: '', query: a, secretRef: {name: s}}".into(),
                "influxdb.org: is empty",
            ),
            (aws("metricDataQueries: []"), "cloudWatch.metricDataQueries: exactly one must return data"),
            (aws(&format!("metricDataQueries: [{query}, {query}]")), "cloudWatch.metricDataQueries: exactly one"),
            (aws("metricDataQueries: [{id: a}]"), "cloudWatch.metricDataQueries[0]: set exactly one of expression"),
            (
                format!("cloudWatch: {{region: 'a.b', secretRef: {{name: s}}, metricDataQueries: [{query}]}}"),
                "cloudWatch.region: is not the name",
            ),
        ] {
            let found = problems(&yaml);
            assert!(found.len() == 1 && found[0].starts_with(words), "{yaml}: {found:?}");
            assert!(!found[0].contains("hunter2"), "{found:?}");
        }
    }
}

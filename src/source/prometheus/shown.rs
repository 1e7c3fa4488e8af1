//! What a question is in PromQL, for people who want to ask it too.

use super::{buckets, pods, promql};
use crate::evidence::Query;

/// The queries that answer a question, each with what it counts. None where it is not asked in PromQL, or about the time before.
pub fn texts(query: &Query) -> Vec<(&'static str, String)> {
    match query {
        Query::Increments(query) => {
            let texts = promql::increments(&[query]).ok();
            texts.map(|texts| vec![("bad events", texts.bad), ("all events", texts.total)]).unwrap_or_default()
        }
        Query::Buckets(query) => {
            buckets::text(&[query]).ok().map(|text| vec![("requests by response time", text)]).unwrap_or_default()
        }
        Query::Pods(query) => vec![("value of each pod", pods::text(query))],
        Query::Scalar { query, .. } => vec![("value", query.clone())],
        Query::Range { query, .. } => vec![("values over time", query.clone())],
        Query::Spread(_) | Query::External { .. } => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{api::analysis::ExternalQuery, evidence::PodsQuery};

    #[test]
    fn a_question_is_shown_as_it_is_asked() {
        let at = Timestamp::UNIX_EPOCH;
        let query = "sum(rate(jobs_total[5m]))".to_owned();
        let range = Query::Range { query: query.clone(), start: at, end: at, step_seconds: 60 };
        assert_eq!(texts(&Query::Scalar { query: query.clone(), at }), [("value", query.clone())]);
        assert_eq!(texts(&range), [("values over time", query.clone())]);
        let external = ExternalQuery::Web(Box::default());
        assert_eq!(texts(&Query::External { query: external, at }), [], "in no PromQL");
        let pods = PodsQuery {
            query: query.clone(),
            pod_label: "pod".into(),
            namespace_label: "namespace".into(),
            arms: Default::default(),
            at,
            warm_up_seconds: 30,
        };
        let shown = texts(&Query::Pods(pods));
        assert!(shown.len() == 1 && shown[0].1.contains(&query), "{shown:?}");
    }
}

//! The PromQL that asks for one value per pod, and the reading of its answer.
//!
//! The user's query is wrapped so that each series says its pod in the label `arm`, as `namespace/pod`. A pod counts that
//! had a value already `warm_up_seconds` ago: a subquery of one second evaluates the same query once, then.

use super::answer::Failed;
use crate::evidence::{PodValue, PodsQuery};

/// More series are refused: a query for the pods of one Rollout has a few.
const MOST: usize = 2_000;

/// The query's text.
pub fn text(query: &PodsQuery) -> String {
    let PodsQuery { query, namespace_label, pod_label, warm_up_seconds, .. } = query;
    // The line feeds end a comment in the user's query.
    let named = format!("label_join((\n{query}\n), \"arm\", \"/\", \"{namespace_label}\", \"{pod_label}\")");
    if *warm_up_seconds == 0 {
        return named;
    }
    format!("{named} and on (arm) last_over_time({named}[1s:1s] offset {warm_up_seconds}s)")
}

/// The pods in an answer, whose samples are (value of the label `arm`, value).
pub fn read(query: &PodsQuery, samples: Vec<(String, f64)>) -> Result<Vec<PodValue>, Failed> {
    if samples.len() > MOST {
        let message = format!(
            "the query returns {} series, and at most {MOST} are read; select the pods of this Rollout, for example by \
             namespace",
            samples.len()
        );
        return Err(Failed::lasting(message));
    }
    samples.into_iter().map(|(arm, value)| pod(query, &arm, value)).collect()
}

fn pod(query: &PodsQuery, arm: &str, value: f64) -> Result<PodValue, Failed> {
    let (namespace, pod) = arm.split_once('/').unwrap_or_default();
    if pod.is_empty() {
        let label = &query.pod_label;
        let message = format!(
            "the query returns a series without the label {label}; keep it, as in sum by (namespace, {label}) (...), or set \
             podLabel"
        );
        return Err(Failed::lasting(message));
    }
    Ok(PodValue { namespace: namespace.to_owned(), pod: pod.to_owned(), value })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::analysis::Arms;

    fn query(warm_up_seconds: u32) -> PodsQuery {
        PodsQuery {
            query: "sum by (namespace, pod) (cpu) # of all".into(),
            pod_label: "exported_pod".into(),
            namespace_label: "namespace".into(),
            arms: Arms::default(),
            at: Timestamp::UNIX_EPOCH,
            warm_up_seconds,
        }
    }

    #[test]
    fn each_series_names_its_pod_and_young_pods_are_left_out() {
        let named =
            "label_join((\nsum by (namespace, pod) (cpu) # of all\n), \"arm\", \"/\", \"namespace\", \"exported_pod\")";
        assert_eq!(text(&query(0)), named);
        let warm = format!("{named} and on (arm) last_over_time({named}[1s:1s] offset 120s)");
        assert_eq!(text(&query(120)), warm);
    }

    #[test]
    fn pods_are_read_and_what_names_none_is_refused() {
        let of = |arm: &str| read(&query(0), vec![(arm.to_owned(), 0.5)]);
        let value = |namespace: &str| PodValue { namespace: namespace.into(), pod: "web-2-a".into(), value: 0.5 };
        assert_eq!(of("shop/web-2-a").unwrap(), [value("shop")]);
        assert_eq!(of("/web-2-a").unwrap(), [value("")]);
        for nameless in ["shop/", "/", ""] {
            let error = of(nameless).unwrap_err().error().to_string();
            assert!(error.contains("without the label exported_pod"), "{nameless}: {error}");
        }
        let many = read(&query(0), vec![("shop/web-2-a".to_owned(), 1.0); 2_001]).unwrap_err().error().to_string();
        assert!(many.contains("2001 series, and at most 2000"), "{many}");
    }
}

//! What fails a release is read before its traffic is decided: the same decision that finds a failure shifts the traffic
//! back (rules S14, S21, S33, S34 and S56).

use crate::api::{
    reason::Reason,
    status::{Course, Stage},
};

use super::{canary, draft::Draft, guards, losses, outcome, runs};

/// Reads what the analyses and the canary's pods say of a release in progress.
pub fn read(draft: &mut Draft<'_>) {
    match draft.course() {
        Course::Stepping => {
            canary::stop_clocks(draft);
            losses::follow(draft);
        }
        Course::Promoting => canary::stop_clocks(draft),
        _ => return,
    }
    guards::follow(draft);
    let Some((reason, message)) = failure(draft) else { return };
    draft.show_evidence();
    outcome::fail(draft, reason, &message);
}

/// Why the release fails in this tick. Scaled to zero it is suspended; a promotion is judged by the analysis after a switch.
fn failure(draft: &Draft<'_>) -> Option<(Reason, String)> {
    let steps = draft.course() == Course::Stepping;
    if steps && draft.replicas() == 0 || !steps && draft.stage() != Some(Stage::PostAnalysis) {
        return None;
    }
    if let Some(failure) = guards::failure(draft) {
        return Some(failure);
    }
    if let Some(message) = losses::failure(draft).filter(|_| steps) {
        return Some((Reason::CanaryLost, message.to_owned()));
    }
    runs::failure(draft).map(|evidence| (Reason::AnalysisFailed, evidence))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use crate::{
        api::{RolloutStatus, analysis::Verdict, status::Course},
        engine::{Input, RevisionSeen, RunSeen, Seen, TemplateSeen, step},
    };

    #[test]
    fn s33_an_abort_shows_the_evidence_that_it_rests_on() {
        let spec = serde_json::from_value(json!({
            "replicas": 2, "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
            "analysis": {"templates": [{"name": "errors"}]},
        }))
        .unwrap();
        let status: RolloutStatus = serde_json::from_value(json!({
            "stableRevision": {"id": "v1", "number": 1}, "currentRevision": {"id": "v2", "number": 2}, "attempt": 1,
            "state": {"stepping": {"step": 1, "clock": {"since": "1970-01-01T00:00:00Z"},
                "release": {"since": "1970-01-01T00:00:00Z"}}},
        }))
        .unwrap();
        let found = json!({"metrics": [{"name": "errors", "verdict": "Fail", "required": true, "canary": "9 %"}]});
        let run = RunSeen {
            verdict: Verdict::Fail,
            status: Arc::new(serde_json::from_value(found).unwrap()),
            ..RunSeen::default()
        };
        let of = |id: &str| RevisionSeen { id: id.into(), wanted: 1, available: 1, ..RevisionSeen::default() };
        let seen = Seen {
            template: Some(TemplateSeen { id: "v2".into(), ..TemplateSeen::default() }),
            replicas: 2,
            revisions: vec![of("v1"), of("v2")],
            runs: [("web-2-1-background".to_owned(), run)].into(),
            ..Seen::default()
        };
        let decision = step(&Input::of(&spec, &status, &seen));
        assert_eq!(decision.status.course(), Course::Aborted, "{}", decision.status.message);
        assert_eq!(decision.status.history[0].reason, "errors failed: 9 %");
        assert_eq!((decision.status.metrics.len(), decision.status.metrics[0].verdict), (1, Verdict::Fail));
    }
}

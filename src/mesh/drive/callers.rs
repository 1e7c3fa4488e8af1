//! The callers of a policy's Services, from the samples of a Prometheus; and those that were cut after they had succeeded.

use std::collections::HashMap;

use jiff::Timestamp;

use super::seen::{Metrics, ServiceCallers};
use crate::{
    api::policy::CallerOnRecord,
    mesh::{
        MeshKind,
        check::{Answer, Caller, CallerQuery, Checked, Verdict},
        check_service,
        facts::{Facts, Service},
    },
    router::Objects,
};

/// So many callers are recorded.
const MOST: usize = 20;
/// So many denials of a caller fail a change (rule P5).
const DENIALS: f64 = 3.0;

/// The callers that the samples of a query name, each with its label `arm`.
pub fn callers(
    kind: &'static MeshKind,
    query: &CallerQuery,
    counts: Vec<(String, f64)>,
    last: Vec<(String, f64)>,
) -> Vec<Caller> {
    let last: HashMap<String, f64> = last.into_iter().collect();
    let read = |(label, count): (String, f64)| {
        let seen = last.get(&label).and_then(|seconds| Timestamp::from_second(*seconds as i64).ok());
        kind.provider.caller(&label, count, seen, query.is_http)
    };
    counts.into_iter().filter_map(read).collect()
}

/// What becomes of the callers of each Service. `None` where the mesh's metrics do not say who called.
pub(super) fn checked<'a>(
    kind: &'static MeshKind,
    facts: &'a Facts,
    after: &Objects,
    seen: &[ServiceCallers],
) -> Option<Vec<(&'a Service, Checked)>> {
    let mut found = Vec::new();
    for one in seen {
        let Some(service) = facts.service(&one.service.0, &one.service.1) else { continue };
        found.push((service, check_service(kind, service, facts, after, one.callers.clone())?));
    }
    Some(found)
}

/// What the checks of all Services mean together. A Service that has no callers cuts none, but where none has any the metrics
/// are not there.
pub(super) fn verdict(checked: &[(&Service, Checked)]) -> Verdict {
    let any = |wanted: Verdict| checked.iter().any(|(_, checked)| checked.verdict() == wanted);
    let worst = [Verdict::Cut, Verdict::Depends, Verdict::Allowed].into_iter().find(|verdict| any(*verdict));
    worst.unwrap_or(Verdict::Unknown)
}

/// Those that may not call as before, as they are recorded.
pub(super) fn on_record(checked: &[(&Service, Checked)]) -> Vec<CallerOnRecord> {
    let of = |(service, checked): &(&Service, Checked)| {
        let troubled = checked.callers.iter().filter(|(_, answer)| *answer != Answer::Allowed);
        let record = |(caller, answer): &(Caller, Answer)| CallerOnRecord {
            service: service.name.clone(),
            caller: caller.to_string(),
            count: caller.count.round() as u64,
            last_seen: caller.last_seen,
            answer: answer.to_string(),
        };
        troubled.map(record).collect::<Vec<_>>()
    };
    let mut all: Vec<CallerOnRecord> = checked.iter().flat_map(of).collect();
    all.sort_by_key(|one| (one.answer.starts_with("depends"), std::cmp::Reverse(one.count)));
    all.truncate(MOST);
    all
}

/// A caller that was cut, as it is recorded.
pub(super) fn cut_on_record((of, caller): (&ServiceCallers, &Caller)) -> CallerOnRecord {
    CallerOnRecord {
        service: of.service.1.clone(),
        caller: caller.to_string(),
        count: caller.count.round() as u64,
        last_seen: caller.last_seen,
        answer: "denied since the change".to_owned(),
    }
}

/// The first caller that succeeded before and was denied since, often enough to be no accident.
pub(super) fn cut(metrics: &Metrics) -> Option<(&ServiceCallers, &Caller)> {
    let before = |denied: &ServiceCallers, caller: &Caller| {
        let of_service = metrics.before.iter().filter(|one| one.service == denied.service);
        of_service
            .flat_map(|one| &one.callers)
            .any(|known| (&known.workload, &known.identity) == (&caller.workload, &caller.identity))
    };
    let all = metrics.denied.iter().flat_map(|one| one.callers.iter().map(move |caller| (one, caller)));
    all.into_iter().find(|(one, caller)| caller.count >= DENIALS && before(one, caller))
}

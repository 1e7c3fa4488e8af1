//! Which share of the requests the canary gets, counted in a background run next to its metrics (rule S52).
//!
//! Only windows that lie wholly within the current epoch count, and no pod is left out: new pods get requests too.

use crate::{
    api::{
        analysis::{AnalysisRunSpec, AnalysisRunStatus, Builtin, Counter, ShareStatus, ShareVerdict},
        common::Percent,
    },
    stats::share::Split,
};

use super::{
    context::Context,
    defaults::Frozen,
    plan::Answered,
    query::{Answer, IncrementsQuery, Query},
    windows,
};

/// With no share planned, so many windows without a canary request verify it.
const SILENT_WINDOWS: u32 = 2;

/// The due questions, and when the next one is. Nothing where no share is planned.
pub fn asked(spec: &AnalysisRunSpec, status: &AnalysisRunStatus, context: &Context) -> (Vec<Query>, i64) {
    if spec.share.is_none() {
        return (Vec::new(), i64::MAX);
    }
    let known = known(status, context);
    let (ends, next) = windows::due(next_end(&known, context), &context.frozen, context.now);
    (ends.into_iter().map(|end| Query::Increments(question(spec, &context.frozen, end))).collect(), next)
}

/// Counts the answered windows. One without an answer is left out: a share needs no complete record, and the metrics
/// report what is wrong with the source.
pub fn counted(
    spec: &AnalysisRunSpec,
    status: &AnalysisRunStatus,
    answers: &[&Answered],
    context: &Context,
) -> Option<ShareStatus> {
    let planned = spec.share?;
    let mut share = known(status, context);
    for answer in answers {
        let Query::Increments(query) = &answer.query else { continue };
        if query.end.as_second() != next_end(&share, context) {
            continue;
        }
        share.through = Some(query.end);
        let Ok(Answer::Increments { canary, stable, .. }) = &answer.result else { continue };
        let (canary, stable) = (canary.unwrap_or_default().total, stable.unwrap_or_default().total);
        share.canary += canary;
        share.total += canary + stable;
        share.silent_windows = if canary == 0 && stable > 0 { share.silent_windows + 1 } else { 0 };
        share.verdict = judged(&share, planned);
    }
    Some(share)
}

fn judged(share: &ShareStatus, planned: Percent) -> ShareVerdict {
    let split = Split { canary: share.canary, total: share.total };
    let verified = if planned.is_zero() {
        share.silent_windows >= SILENT_WINDOWS
    } else {
        // What was proved once in this epoch stays proved.
        share.verdict == ShareVerdict::Verified || split.is_verified(planned.share())
    };
    match verified {
        true => ShareVerdict::Verified,
        false if split.is_broken(planned.share()) => ShareVerdict::Broken,
        false => ShareVerdict::Counting,
    }
}

/// What was counted in this epoch.
fn known(status: &AnalysisRunStatus, context: &Context) -> ShareStatus {
    let known = status.share.clone().filter(|share| share.epoch == context.epoch);
    known.unwrap_or_else(|| ShareStatus { epoch: context.epoch, ..ShareStatus::default() })
}

fn next_end(share: &ShareStatus, context: &Context) -> i64 {
    let through = share.through.map(|through| through.as_second());
    windows::next_end(through, context.epoch_since, context.frozen.window)
}

fn question(spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> IncrementsQuery {
    let requests = Counter::of_pack(Builtin::Requests);
    IncrementsQuery { warm_up_seconds: 0, ..windows::question(spec, frozen, [&requests, &requests], end) }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::evidence::{
        query::ArmCounts,
        run::{advance, plan},
    };

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn spec(share: Option<u32>, epoch: u32) -> AnalysisRunSpec {
        AnalysisRunSpec { share: share.map(Percent::whole), epoch, background: true, ..AnalysisRunSpec::default() }
    }

    /// Runs through these seconds, asked in each; every window has these counts.
    fn run(
        spec: &AnalysisRunSpec,
        mut status: AnalysisRunStatus,
        seconds: std::ops::RangeInclusive<i64>,
        counts: (u64, u64),
    ) -> AnalysisRunStatus {
        for now in seconds {
            let plan = plan(spec, &status, at(now));
            let answer = |(canary, stable): (u64, u64)| Answer::Increments {
                canary: Some(ArmCounts { bad: 0, total: canary }),
                stable: Some(ArmCounts { bad: 0, total: stable }),
                notes: Vec::new(),
            };
            let results = plan.queries.iter().map(|_| Ok::<_, String>(answer(counts))).collect();
            status = advance(spec, &status, &plan.answered(results), at(now));
        }
        status
    }

    #[test]
    fn s52_the_share_is_counted_per_epoch_and_verified() {
        let status = run(&spec(Some(25), 1), AnalysisRunStatus::default(), 990..=1100, (100, 300));
        let share = status.share.clone().unwrap();
        assert_eq!((share.canary, share.total, share.verdict), (600, 2400, ShareVerdict::Verified));
        let next = run(&spec(Some(50), 2), status, 1101..=1130, (100, 300)).share.unwrap();
        assert_eq!((next.epoch, next.total), (2, 0), "the windows since the new weight are not over");
    }

    #[test]
    fn s52_a_share_that_is_not_as_planned_is_told() {
        let share = |planned, counts| {
            run(&spec(planned, 1), AnalysisRunStatus::default(), 990..=1100, counts).share.map(|share| share.verdict)
        };
        assert_eq!(share(Some(25), (10, 390)), Some(ShareVerdict::Broken));
        assert_eq!(share(Some(25), (0, 0)), Some(ShareVerdict::Counting));
        assert_eq!(share(Some(0), (0, 400)), Some(ShareVerdict::Verified));
        assert_eq!(share(Some(0), (1, 400)), Some(ShareVerdict::Counting));
        assert_eq!(share(None, (100, 300)), None, "nothing is asked where no share is planned");
    }
}

//! A service level objective in words: availability, error budget and burn rates, as the burn rate judge and `glidepath slo`
//! show them. What was not measured is not claimed.

use crate::{
    api::analysis::{Arms, Counter, Histogram, Pack},
    stats::slo::BurnAlert,
};

use super::{
    query::{ArmCounts, BucketKind, BucketsQuery, IncrementsQuery, Scope},
    windows,
};

pub use crate::stats::slo::{ALERTS, Events, FAST, SLOW, Slo, sli, within_slo};

/// The windows of a report, in seconds: those of the alerts on fast and slow burns, and three days.
pub const REPORTED: [u64; 5] = [300, 1_800, 3_600, 21_600, 259_200];

impl From<ArmCounts> for Events {
    fn from(counts: ArmCounts) -> Self {
        Events { bad: counts.bad, total: counts.total }
    }
}

/// Whose events a report counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The pods, or the Services to callers, of a Rollout of this namespace.
    Service {
        /// The namespace.
        namespace: String,
        /// The Rollout.
        name: String,
    },
    /// Every series that the counters select.
    Selected,
}

/// How many events were bad in the window of so many seconds that ends at `end` (unix seconds) or a little earlier.
pub fn question(counted: &Counted, [bad, total]: [&Counter; 2], pack: Pack, end: i64, seconds: u64) -> IncrementsQuery {
    let (scope, arms) = match counted {
        Counted::Selected => (Scope::Selected, Arms::default()),
        Counted::Service { namespace, name } => (Scope::Service, arms(namespace, name)),
    };
    let window = IncrementsQuery {
        bad: bad.clone(),
        total: total.clone(),
        pack,
        arms,
        scope,
        end: windows::instant(end),
        window_seconds: 0,
        piece_seconds: None,
        warm_up_seconds: 0,
        whole_pods: false,
        bad_comes_later: false,
    };
    IncrementsQuery { scope, ..windows::of_service(window, seconds) }
}

/// How many requests had which response time in that window.
pub fn times_question(like: &IncrementsQuery, histogram: &Histogram, kind: BucketKind) -> BucketsQuery {
    BucketsQuery {
        histogram: histogram.clone(),
        kind,
        pack: like.pack,
        arms: like.arms.clone(),
        scope: like.scope,
        end: like.end,
        window_seconds: like.window_seconds,
        piece_seconds: like.piece_seconds,
        warm_up_seconds: like.warm_up_seconds,
        whole_pods: like.whole_pods,
    }
}

/// Arms of a Rollout whose revisions are not known: a service is all of them.
fn arms(namespace: &str, name: &str) -> Arms {
    let any = format!("{name}-0000000000");
    Arms {
        namespace: namespace.to_owned(),
        canary: any.clone(),
        stable: any,
        canary_service: Some(format!("{name}-canary")),
        stable_service: Some(name.to_owned()),
        ..Arms::default()
    }
}

/// `service 99.95 % over 30d, budget left 48 %, burn 1h 2.1x, 5m 3.0x, exhausted in 9d`. The availability is that of the
/// period where it was counted, else that of the longest window, which says nothing of the budget.
pub fn shown(slo: &Slo, period: Option<Events>, windows: &[(u64, Events)]) -> String {
    let longest = windows.iter().max_by_key(|(seconds, _)| *seconds).copied();
    let (seconds, events) = period.map(|period| (slo.period_seconds, period)).or(longest).unwrap_or_default();
    let Some(share) = availability(events) else { return format!("service without requests over {}", span(seconds)) };
    let mut parts = vec![format!("service {share} over {}", span(seconds))];
    let left = period.and_then(|period| slo.budget_left(period));
    parts.extend(left.map(budget));
    let burns =
        windows.iter().filter_map(|(seconds, events)| Some(format!("{} {}", span(*seconds), burn(slo.burn(*events)?))));
    let burns = burns.collect::<Vec<_>>().join(", ");
    parts.extend((!burns.is_empty()).then(|| format!("burn {burns}")));
    let hour = windows.iter().find(|(seconds, _)| *seconds == FAST.long_seconds).and_then(|(_, hour)| slo.burn(*hour));
    let exhausted =
        left.zip(hour).and_then(|(left, burn)| slo.exhausted_in(left, burn)).filter(|seconds| *seconds > 0.0);
    parts.extend(exhausted.map(|seconds| format!("exhausted in {}", span(seconds as u64))));
    parts.join(", ")
}

/// `99.95 %`: cut, not rounded, so that nothing short of all good events is 100 %. Nothing without events.
pub fn availability(events: Events) -> Option<String> {
    let good = u128::from(events.total - events.bad.min(events.total));
    let thousandths = (good * 100_000).checked_div(u128::from(events.total))?;
    let text = format!("{}.{:03}", thousandths / 1_000, thousandths % 1_000);
    Some(format!("{} %", text.trim_end_matches('0').trim_end_matches('.')))
}

/// `budget left 48 %`, `budget overspent by 12 %`.
pub fn budget(left: f64) -> String {
    let percent = left.abs() * 100.0;
    let percent = if percent < 10.0 { format!("{percent:.1}") } else { format!("{percent:.0}") };
    if left < 0.0 { format!("budget overspent by {percent} %") } else { format!("budget left {percent} %") }
}

/// `2.1x`, `14x`.
pub fn burn(burn: f64) -> String {
    if burn < 9.95 { format!("{burn:.1}x") } else { format!("{burn:.0}x") }
}

/// `9d`, `6h`, `30m`: in the largest unit of which there are at least two, or that it is a whole number of.
pub fn span(seconds: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let fits =
        |(length, _): &&(u64, &str)| seconds >= 2 * length || seconds >= *length && seconds.is_multiple_of(*length);
    match UNITS.iter().find(fits) {
        Some((length, unit)) => format!("{}{unit}", seconds / length),
        None => format!("{seconds}s"),
    }
}

/// Whether an alert's windows are among these, and burn.
pub fn is_on(alert: &BurnAlert, slo: &Slo, windows: &[(u64, Events)]) -> bool {
    let of = |seconds: u64| windows.iter().find(|(length, _)| *length == seconds).map(|(_, events)| *events);
    let pair = of(alert.long_seconds).zip(of(alert.short_seconds));
    pair.is_some_and(|(long, short)| alert.is_on(slo, long, short))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLO: Slo = Slo { objective: 0.999, period_seconds: 30 * 86_400 };

    fn events(bad: u64, total: u64) -> Events {
        Events { bad, total }
    }

    #[test]
    fn a_service_is_shown_in_one_line() {
        let windows = [(3_600, events(210, 100_000)), (300, events(30, 10_000))];
        assert_eq!(
            shown(&SLO, Some(events(520, 1_000_000)), &windows),
            "service 99.948 % over 30d, budget left 48 %, burn 1h 2.1x, 5m 3.0x, exhausted in 6d"
        );
        assert_eq!(shown(&SLO, None, &windows), "service 99.79 % over 1h, burn 1h 2.1x, 5m 3.0x");
        let overspent = shown(&SLO, Some(events(1_120, 1_000_000)), &[(3_600, events(0, 10)), (300, events(0, 0))]);
        assert_eq!(overspent, "service 99.888 % over 30d, budget overspent by 12 %, burn 1h 0.0x");
        assert_eq!(shown(&SLO, None, &[(300, events(0, 0))]), "service without requests over 5m");
        assert_eq!(shown(&SLO, None, &[]), "service without requests over 0s");
    }

    #[test]
    fn nothing_but_all_good_events_is_100_percent() {
        for (bad, total, text) in [
            (0, 10, Some("100 %")),
            (1, 100_000_000, Some("99.999 %")),
            (1, 1_000, Some("99.9 %")),
            (9, 9, Some("0 %")),
            (u64::MAX, 1, Some("0 %")),
            (0, u64::MAX, Some("100 %")),
            (0, 0, None),
        ] {
            assert_eq!(availability(events(bad, total)).as_deref(), text, "{bad} of {total}");
        }
    }

    #[test]
    fn spans_are_short() {
        for (seconds, text) in
            [(45, "45s"), (60, "1m"), (300, "5m"), (5_400, "90m"), (3_600, "1h"), (86_400, "1d"), (777_600, "9d")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn a_report_asks_for_whole_pieces() {
        let counter = Counter::of_pack(crate::api::analysis::Builtin::Requests);
        let counted = Counted::Service { namespace: "shop".into(), name: "checkout".into() };
        let month = question(&counted, [&counter, &counter], Pack::Istio, 1_700_000_123, 30 * 86_400);
        assert_eq!((month.piece_seconds, month.end.as_second() % 3_600, month.scope), (Some(3_600), 0, Scope::Service));
        assert_eq!(month.arms.stable_service.as_deref(), Some("checkout"));
        let own = question(&Counted::Selected, [&counter, &counter], Pack::Istio, 1_700_000_123, 300);
        assert_eq!((own.scope, own.end.as_second() % 60), (Scope::Selected, 0));
    }
}

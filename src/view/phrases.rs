//! Words that all views share: times, revisions, stages, outcomes, and what policies do.

use jiff::{SignedDuration, Timestamp};

use crate::api::{
    rollout::OnInconclusive,
    status::{Outcome, RevisionRef, Stage},
    strategy::OnTimeout,
};

/// What is said of a Rollout without a status.
pub fn unseen(class: Option<&str>) -> String {
    match class {
        Some(class) => format!("no controller with --class {class} has reconciled it yet"),
        None => "no controller has reconciled it yet".to_owned(),
    }
}

/// `#42`, or `a new revision` before it has a number.
pub fn number(revision: Option<&RevisionRef>) -> String {
    revision.map_or_else(|| "a new revision".into(), |revision| format!("#{}", revision.number))
}

/// The stage of a promotion.
pub fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Scale => "promoting: the new version scales to all its pods",
        Stage::RouteToCanary => "promoting: all traffic shifts to the new version's pods",
        Stage::MoveStable => "promoting: the stable target switches to the new version",
        Stage::PostAnalysis => "promoting: the new version is analyzed at 100 %",
        Stage::RouteToStable => "promoting: routes return to the stable target",
    }
}

/// An outcome (Aborted and RolledBack are both shown as `rolled back`).
pub fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Promoted | Outcome::FastPromoted => "promoted",
        Outcome::Aborted | Outcome::RolledBack => "rolled back",
        Outcome::Superseded => "superseded",
        Outcome::KeptControl => "not promoted: control kept",
    }
}

/// What no verdict in time does.
pub fn inconclusive(policy: OnInconclusive) -> &'static str {
    match policy {
        OnInconclusive::Hold => "holds and waits for an operator",
        OnInconclusive::Abort => "rolls back",
        OnInconclusive::Promote => "continues as if it had passed",
    }
}

/// What a gate that stays shut does in the end.
pub fn timeout(policy: OnTimeout) -> &'static str {
    match policy {
        OnTimeout::Hold => "it holds and waits for an operator",
        OnTimeout::Abort => "it rolls back",
        OnTimeout::Promote => "it continues anyway",
    }
}

/// A length of time in at most two units: `45s`, `3m12s`, `2h5m`, `6d4h`.
pub fn short(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| {
        if small == 0 { format!("{big}{big_unit}") } else { format!("{big}{big_unit}{small}{small_unit}") }
    };
    match total {
        0..60 => format!("{total}s"),
        60..3600 => two(total / 60, "m", total % 60, "s"),
        3600..86_400 => two(total / 3600, "h", total % 3600 / 60, "m"),
        _ => two(total / 86_400, "d", total % 86_400 / 3600, "h"),
    }
}

/// An age in one unit, as kubectl prints it: `45s`, `12m`, `5h`, `6d`.
pub fn age(duration: SignedDuration) -> String {
    let total = duration.as_secs().max(0);
    match total {
        0..120 => format!("{total}s"),
        120..7200 => format!("{}m", total / 60),
        7200..172_800 => format!("{}h", total / 3600),
        _ => format!("{}d", total / 86_400),
    }
}

/// A time to the second: `2026-11-21T14:02:10Z`.
pub fn time(at: Timestamp) -> String {
    at.strftime("%FT%TZ").to_string()
}

/// `14:02:10 UTC` for a time of today, else with the date.
pub fn clock(at: Timestamp, now: Timestamp) -> String {
    let same_day = at.strftime("%F").to_string() == now.strftime("%F").to_string();
    at.strftime(if same_day { "%H:%M:%S UTC" } else { "%F %H:%M UTC" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_short() {
        for (seconds, shown, aged) in [
            (0, "0s", "0s"),
            (45, "45s", "45s"),
            (192, "3m12s", "3m"),
            (300, "5m", "5m"),
            (7500, "2h5m", "2h"),
            (532_800, "6d4h", "6d"),
            (-3, "0s", "0s"),
        ] {
            let duration = SignedDuration::from_secs(seconds);
            assert_eq!((short(duration).as_str(), age(duration).as_str()), (shown, aged), "{seconds}");
        }
    }
}

//! The A/B judge joined to a metric: windows in, a metric's status out.
//!
//! A window counts for both variants or for neither, since leaving out one side's would itself break the sample ratio: so no
//! pod is left out while it warms up; instead nothing counts for `warmUp` after the run begins and after each change of
//! weight; windows in which only one variant has series count for none; and windows are read later than others, so that
//! those in which a change of weight was under way are known by then and left out too.

use serde::{Deserialize, Serialize};

use super::judge::{Judge, Memory, Problems, Since};
use crate::{
    api::{
        analysis::{AnalysisRunSpec, ConversionMetric, Measurement, MetricStatus, TrailEvidence, TrailWindow, Verdict},
        common::Percent,
        reason::MetricReason,
    },
    evidence::{
        context::{Context, keep_last, trail},
        defaults::{Defaults, Frozen},
        dialect::Dialect,
        format,
        no_data::NoData,
        plan::Answered,
        query::{Answer, ArmCounts, IncrementsQuery, Query},
        windows,
    },
    stats::{
        Counts,
        conversion::{ConversionConfig, ConversionSeen, ConversionState, Decision, FEWEST_CONVERSIONS, SplitSeen},
    },
};

/// A change of weight is settled within so many windows: those before it belong to neither weight.
const UNSETTLED_WINDOWS: i64 = 4;
/// Windows without a user before there is no data.
const SILENT_WINDOWS: i64 = 3;
/// Users that ought to have come before there is no data.
const SILENT_USERS: i64 = 10;
/// Weights that are remembered before their windows are read. Only a controller that sleeps through many needs more.
const MOST_PERIODS: usize = 16;

/// What the judge remembers. Times are unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ConversionMemory {
    /// The end of the last window that was read.
    through: Option<i64>,
    /// The weight that windows are counted under, then the later ones whose windows have not been read yet.
    periods: Vec<Period>,
    /// Counted time.
    counted: i64,
    /// Windows that had no series at all, after some that had.
    missed: u32,
    /// Windows in which one variant alone had series.
    one_sided: u32,
    last_candidate: Option<i64>,
    last_control: Option<i64>,
    /// Since when there is nothing to judge, and when to ask again after an error.
    silence: NoData,
    state: ConversionState,
}

/// A time without a change of weight.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Period {
    epoch: u32,
    since: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Percent>,
}

impl Judge for ConversionMetric {
    type Memory = ConversionMemory;

    fn problems(&self, dialect: &dyn Dialect) -> Problems {
        let wrong = ConversionMetric::problems(self).into_iter().map(|(field, problem)| (field, problem.to_owned()));
        let counters = [("successes", &self.successes), ("trials", &self.trials)];
        let unread = counters.into_iter().filter_map(|(field, counter)| Some((field, dialect.counter(counter).err()?)));
        wrong.chain(unread).map(|(field, problem)| (format!("conversion.{field}"), problem)).collect()
    }

    /// No pod is left out.
    fn window(&self, spec: &AnalysisRunSpec, frozen: &Frozen, end: i64) -> Option<IncrementsQuery> {
        let alike = windows::question(spec, frozen, [&self.successes, &self.trials], end);
        Some(IncrementsQuery { warm_up_seconds: 0, bad_comes_later: true, ..alike })
    }

    fn takes_alpha(&self) -> bool {
        true
    }

    /// A window after the warm-up, read late. What users of an earlier weight did counts on.
    fn soonest(&self, frozen: &Frozen, since: Since) -> i64 {
        let first = frozen.warm_up.saturating_add(frozen.window);
        if since == Since::NewWeight { 0 } else { windows::read_at(first, &read_late(frozen)) }
    }

    fn decides(&self) -> bool {
        true
    }

    fn begin(&self, context: &Context) -> ConversionMemory {
        ConversionMemory::new(context)
    }

    fn ask(&self, memory: &ConversionMemory, spec: &AnalysisRunSpec, context: &Context) -> (Vec<Query>, i64) {
        let (ends, next) = memory.due(context);
        let windows = ends.into_iter().filter_map(|end| self.window(spec, &context.frozen, end));
        (windows.map(Query::Increments).collect(), next)
    }

    fn advance(
        &self,
        memory: &mut ConversionMemory,
        status: &mut MetricStatus,
        answers: &[&Answered],
        context: &Context,
    ) {
        memory.notice(context);
        for answer in answers {
            let Query::Increments(query) = &answer.query else { continue };
            if query.end.as_second() != memory.next_end(context) {
                continue; // read before: a window is never revised
            }
            match &answer.result {
                Ok(Answer::Increments { canary, stable, notes }) => {
                    let of = |arm: &ArmCounts| Seen { conversions: arm.bad, users: arm.total };
                    let (candidate, control) = (canary.as_ref().map(of), stable.as_ref().map(of));
                    if let Some(trail) = trail(status, context) {
                        let before = || evidence(&memory.state.assess(&config(self, context)));
                        let window = context.frozen.window;
                        trail.take(query.end.as_second(), window, trail_window(candidate, control), before);
                    }
                    memory.count(candidate, control, context);
                    status.measurements.push(measured(query.end, candidate, control));
                    format::note(&mut status.notes, notes);
                    memory.silence.answered();
                }
                Ok(_) => memory.silence.failed("got a number instead of counts", context),
                Err(error) => memory.silence.failed(error, context),
            }
            if memory.silence.errors > 0 {
                break; // later windows wait, so that all are counted in order
            }
        }
        keep_last(&mut status.measurements);
        judge(self, status, memory, context);
    }

    fn sentence(&self, status: &MetricStatus) -> Option<String> {
        sentence(status)
    }
}

impl Memory for ConversionMemory {
    fn silence(&self) -> &NoData {
        &self.silence
    }

    fn through(&self) -> Option<i64> {
        self.through
    }
}

impl ConversionMemory {
    /// At the start of a run.
    fn new(context: &Context) -> Self {
        let period =
            Period { epoch: context.epoch, since: context.started.as_second(), share: context.candidate_share };
        let mut memory = ConversionMemory::default();
        memory.state.begin_epoch(period.share.map(Percent::share));
        memory.periods.push(period);
        memory
    }

    /// The ends of windows that are due, and when to look again.
    fn due(&self, context: &Context) -> (Vec<i64>, i64) {
        windows::due(self.next_end(context), &read_late(&context.frozen), context.now)
    }

    fn next_end(&self, context: &Context) -> i64 {
        let Frozen { window, warm_up, .. } = context.frozen;
        windows::next_end(self.through, windows::instant(context.started.as_second().saturating_add(warm_up)), window)
    }

    /// Remembers a change of weight until its windows are read.
    fn notice(&mut self, context: &Context) {
        let Some(last) = self.periods.last() else { return };
        let (epoch, share) = (context.epoch, context.candidate_share);
        if (last.epoch, last.share) == (epoch, share) {
            return;
        }
        let since = if last.epoch == epoch { context.now } else { context.epoch_since };
        if self.periods.len() == MOST_PERIODS {
            self.periods.remove(1);
        }
        self.periods.push(Period { epoch, since: since.as_second(), share });
    }

    fn count(&mut self, candidate: Option<Seen>, control: Option<Seen>, context: &Context) {
        let (end, length) = (self.next_end(context), context.frozen.window);
        self.through = Some(end);
        let came = |seen: Option<Seen>| seen.is_some_and(|seen| seen.users > 0);
        if came(candidate) {
            self.last_candidate = Some(end);
        }
        if came(control) {
            self.last_control = Some(end);
        }
        match (candidate, control) {
            _ if !self.enter(end - length, end, context) => {}
            (Some(candidate), Some(control)) => {
                self.counted += length;
                self.state.observe(joined(candidate, control));
            }
            (None, None) => self.missed += u32::from(self.counted > 0),
            _ => self.one_sided += 1,
        }
    }

    /// Goes on to the weight that a window lies under; `false` when it lies under none, or warms up.
    fn enter(&mut self, start: i64, end: i64, context: &Context) -> bool {
        while self.periods.get(1).is_some_and(|next| next.since <= start) {
            self.periods.remove(0);
            self.state.begin_epoch(self.periods.first().and_then(|period| period.share).map(Percent::share));
        }
        let unsettled = UNSETTLED_WINDOWS * context.frozen.window;
        let warm = self.periods.first().is_some_and(|period| start >= period.since + context.frozen.warm_up);
        warm && self.periods.get(1).is_none_or(|next| end <= next.since - unsettled)
    }

    /// What is missing to judge at all.
    fn missing(&self, counts: Counts, context: &Context) -> Option<MetricReason> {
        let frozen = &context.frozen;
        let at = self.through?;
        let begun = context.started.as_second() + frozen.warm_up;
        let silent = |last: Option<i64>, users: u64| {
            let expected = match i64::try_from(users).unwrap_or(i64::MAX) {
                0 => 0,
                users => SILENT_USERS.saturating_mul(self.counted) / users,
            };
            let allowed_silence = expected.max(SILENT_WINDOWS * frozen.window);
            at - last.unwrap_or(begun) >= allowed_silence
        };
        if silent(self.last_candidate, counts.nc) {
            Some(MetricReason::NoCandidateUsers)
        } else if silent(self.last_control, counts.nb) {
            Some(MetricReason::NoControlUsers)
        } else {
            None
        }
    }
}

/// Conversions come later than their users.
fn read_late(frozen: &Frozen) -> Frozen {
    Frozen { delay: frozen.delay + UNSETTLED_WINDOWS * frozen.window, ..*frozen }
}

/// What one variant did in one window.
#[derive(Clone, Copy)]
struct Seen {
    conversions: u64,
    users: u64,
}

fn joined(candidate: Seen, control: Seen) -> Counts {
    Counts { kc: candidate.conversions, nc: candidate.users, kb: control.conversions, nb: control.users }
}

fn config(metric: &ConversionMetric, context: &Context) -> ConversionConfig {
    let limits = Defaults::conversion(metric);
    ConversionConfig {
        alpha: context.frozen.alpha_conversion,
        difference: limits.difference,
        planned_users: limits.planned_users,
    }
}

fn judge(metric: &ConversionMetric, status: &mut MetricStatus, memory: &mut ConversionMemory, context: &Context) {
    let config = config(metric, context);
    let seen = memory.state.assess(&config);
    format::note(&mut status.notes, &notes(memory, &seen, context));
    let standing = standing(memory, &seen, context);
    memory.silence.conclude(standing, status, context);
    let (verdict, counts) = (status.verdict, seen.counts);
    status.canary = converted(counts.kc, counts.nc);
    status.stable = converted(counts.kb, counts.nb);
    status.comparison = match (seen.decision, &seen.split) {
        (Decision::Invalid, Some(split)) => split_text(split),
        _ => comparison(&seen, config.alpha),
    };
    status.needs = matches!(verdict, Verdict::Continue | Verdict::NoData).then(|| needs(&seen)).flatten();
    status.fail_progress = fail_progress(&seen);
    if let Some(trail) = &mut status.trail {
        trail.weigh(evidence(&seen));
    }
}

fn standing(memory: &ConversionMemory, seen: &ConversionSeen, context: &Context) -> (Verdict, MetricReason) {
    match seen.decision {
        Decision::Invalid => (Verdict::Inconclusive, MetricReason::Invalid),
        Decision::CandidateWins => (Verdict::Pass, MetricReason::CandidateWins),
        Decision::ControlWins => (Verdict::Fail, MetricReason::ControlWins),
        Decision::NoDifference => (Verdict::Inconclusive, MetricReason::NoDifference),
        Decision::Undecided if memory.silence.errors > 0 => (Verdict::NoData, MetricReason::SourceError),
        Decision::Undecided => match memory.missing(seen.counts, context) {
            Some(missing) => (Verdict::NoData, missing),
            None if memory.counted == 0 => (Verdict::Continue, MetricReason::WarmUp),
            None => (Verdict::Continue, MetricReason::Undecided),
        },
    }
}

fn fail_progress(seen: &ConversionSeen) -> f64 {
    (-part(seen)).max(0.0) + 0.0 // no minus zero
}

/// How far the difference is from 0, in half widths of its interval: at 1 the candidate wins, at -1 the control.
fn part(seen: &ConversionSeen) -> f64 {
    let part = seen.difference.as_ref().map_or(0.0, |difference| difference.value / difference.half_width);
    if part.is_finite() { part.clamp(-1.0, 1.0) } else { 0.0 }
}

/// For the trail: towards either winner, and the interval of the quotient of both rates.
fn evidence(seen: &ConversionSeen) -> TrailEvidence {
    let lift = seen.difference.as_ref().and_then(|difference| difference.lift());
    TrailEvidence {
        fail: fail_progress(seen),
        pass: part(seen).max(0.0),
        interval: lift.map(|(_, low, high)| ((1.0 + low).max(0.0), Some(1.0 + high))),
    }
}

fn trail_window(candidate: Option<Seen>, control: Option<Seen>) -> TrailWindow {
    let counts = |seen: Option<Seen>| seen.map_or([0, 0], |seen| [seen.conversions, seen.users]);
    TrailWindow::Counts { canary: counts(candidate), stable: counts(control) }
}

/// What a decision still needs.
fn needs(seen: &ConversionSeen) -> Option<String> {
    let short = |who: &str, conversions: u64| {
        let short = FEWEST_CONVERSIONS.saturating_sub(conversions);
        let plural = if short == 1 { "" } else { "s" };
        (short > 0).then(|| format!("{short} more conversion{plural} of the {who}"))
    };
    let counts = seen.counts;
    let mut parts: Vec<String> =
        [short("candidate", counts.kc), short("control", counts.kb)].into_iter().flatten().collect();
    parts.extend(
        seen.users_needed.filter(|users| *users > 0).map(|users| format!("about {} more users", format::about(users))),
    );
    if parts.is_empty() { Some("more users".to_owned()) } else { Some(parts.join(" and ")) }
}

fn converted(conversions: u64, users: u64) -> String {
    if users == 0 { "no users".to_owned() } else { format::rate(conversions, users) }
}

/// `lift +18.6 %, 95 % CS +2.1 to +35.2 %, p = 0.02`.
fn comparison(seen: &ConversionSeen, alpha: f64) -> String {
    let Some(difference) = seen.difference else { return String::new() };
    let mut parts = Vec::new();
    if let Some((lift, low, high)) = difference.lift() {
        let percent = |share: f64| format!("{:+.1}", share * 100.0);
        let sure = format::number((1.0 - alpha) * 100.0);
        parts.push(format!("lift {} %", percent(lift)));
        parts.push(format!("{sure} % CS {} to {} %", percent(low), percent(high)));
    }
    parts.push(format::p_value(difference.p));
    parts.join(", ")
}

fn notes(memory: &ConversionMemory, seen: &ConversionSeen, context: &Context) -> Vec<String> {
    let mut notes = Vec::new();
    match &seen.split {
        Some(split) => notes.push(format!("split: {}", split_text(split))),
        None if context.candidate_share.is_none() => {
            notes.push("split: not checked, because a header or cookie selects the variant".to_owned());
        }
        None => {}
    }
    if let Some(better) = &seen.better {
        let (who, chance) = match better.chance >= 0.5 {
            true => ("candidate", better.chance),
            false => ("control", 1.0 - better.chance),
        };
        notes.push(format!("best: the {who} with {} %", format::number(chance * 100.0)));
        let (candidate, control) = (format::points(better.loss_of_candidate), format::points(better.loss_of_control));
        notes.push(format!("expected loss: {candidate} points with the candidate, {control} with the control"));
    }
    let windows = |count: u32| if count == 1 { "1 window".to_owned() } else { format!("{count} windows") };
    if memory.one_sided > 0 {
        notes.push(format!("excluded: {} in which only one variant was counted", windows(memory.one_sided)));
    }
    if memory.missed > 0 {
        notes.push(format!("missed: {} without any series, past retention or not scraped", windows(memory.missed)));
    }
    notes
}

/// `planned 50 %, seen 45.2 % of 18,003 users, E = 4e6`.
fn split_text(split: &SplitSeen) -> String {
    let planned = format::number(split.planned * 100.0);
    let total = format::grouped(split.total);
    if split.total == 0 {
        return format!("planned {planned} %, no users yet");
    }
    let seen = split.candidate as f64 * 100.0 / split.total as f64;
    format!("planned {planned} %, seen {seen:.2} % of {total} users, E = {}", format::evidence(split.log_e))
}

fn measured(end: jiff::Timestamp, candidate: Option<Seen>, control: Option<Seen>) -> Measurement {
    let text =
        |seen: Option<Seen>| seen.map_or("none".to_owned(), |seen| format!("{}/{}", seen.conversions, seen.users));
    let value = format!("candidate {}, control {}", text(candidate), text(control));
    let both = candidate.is_some() && control.is_some();
    Measurement { at: Some(end), value, verdict: if both { Verdict::Continue } else { Verdict::NoData } }
}

/// What a decision says in a run's message.
fn sentence(metric: &MetricStatus) -> Option<String> {
    let MetricStatus { name, reason, canary, stable, comparison, .. } = metric;
    match reason {
        MetricReason::Invalid => Some(format!("{name}: users were not assigned as planned: {comparison}")),
        MetricReason::NoDifference => Some(format!("{name} shows no relevant difference: {comparison}")),
        MetricReason::ControlWins => {
            Some(format!("{name}: the control wins: candidate {canary}, control {stable}, {comparison}"))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "conversion_tests.rs"]
mod tests;

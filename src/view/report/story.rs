//! What was released when, how it ended and who decided, from the Rollout, its AnalysisRuns and its commands.

use jiff::Timestamp;

use super::{
    run::{self, RunPart},
    sources::{Sources, Which},
    timeline::{self, Moment},
};
use crate::{
    api::{
        Percent, Rollout, RolloutStatus,
        command::{CommandState, Verb},
        status::{HistoryEntry, Outcome, PastWeight, RevisionRef},
    },
    engine::items::items,
    view::{
        acts,
        history::{PastCommand, PastRelease, StepReached},
        phrases,
    },
};

/// The story of one release.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The Rollout's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its strategy, in one word.
    pub strategy: &'static str,
    /// What was released.
    pub revision: RevisionRef,
    /// The attempt, from 1.
    pub attempt: u32,
    /// The images of its containers; empty where they are not known.
    pub images: Vec<String>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it is in progress.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// Why it ended, or what it does now.
    pub reason: String,
    /// Who decided.
    pub decided_by: String,
    /// How far it got.
    pub step: Option<StepReached>,
    /// The canary's desired weights, oldest first.
    pub weights: Vec<PastWeight>,
    /// The requests that the canary served, as the metric with the most of them counted.
    pub served: Option<Served>,
    /// Everything with a time, in order.
    pub timeline: Vec<Moment>,
    /// Its analyses, oldest first.
    pub runs: Vec<RunPart>,
    /// Commands that were given in its time, oldest first.
    pub commands: Vec<PastCommand>,
    /// Whether analyses asked a source: without a cluster they did not.
    pub has_queries: bool,
    /// What cannot be reported any more, and why.
    pub gone: Vec<String>,
    /// The time of the report, while the release is in progress.
    pub as_of: Option<Timestamp>,
}

/// What the canary served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The metric that counted.
    pub metric: String,
    /// Requests that went wrong.
    pub bad: u64,
    /// All requests.
    pub total: u64,
    /// The end of the first stretch of time in which one went wrong.
    pub first_bad: Option<Timestamp>,
}

/// What the release in progress or a past one is, before its parts are looked for.
struct Release<'a> {
    revision: RevisionRef,
    attempt: u32,
    entry: Option<&'a HistoryEntry>,
    started_at: Timestamp,
    weights: Vec<PastWeight>,
}

impl Report {
    /// The report of a release; none if it is not on record.
    pub fn of(sources: &Sources<'_>, which: Which) -> Option<Report> {
        let status = sources.rollout.status.as_ref()?;
        let release = find(status, which)?;
        let (started_at, ended_at) = (release.started_at, release.entry.map(|entry| entry.ended_at));
        let runs = run::of_release(sources, &release.revision, started_at, ended_at);
        let commands = commands(sources, status, started_at, ended_at);
        let past = release.entry.map(|entry| {
            let steps = items(&sources.rollout.spec.strategy.steps());
            PastRelease::of(entry, status, &steps)
        });
        let gone = gone(sources, status, &release, &runs);
        let mut report = Report {
            name: sources.rollout.metadata.name.clone().unwrap_or_default(),
            namespace: sources.rollout.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned()),
            strategy: sources.rollout.spec.strategy.name(),
            revision: release.revision,
            attempt: release.attempt,
            images: past.as_ref().map_or_else(|| images(sources.rollout), |past| past.images.clone()),
            started_at,
            ended_at,
            outcome: release.entry.map(|entry| entry.outcome),
            reason: past.as_ref().map_or_else(|| status.message.clone(), |past| past.reason.clone()),
            decided_by: decided_by(past.as_ref(), &commands),
            step: past.as_ref().and_then(|past| past.step),
            weights: release.weights,
            served: served(&runs),
            timeline: Vec::new(),
            runs,
            commands,
            has_queries: !sources.is_local,
            gone,
            as_of: ended_at.is_none().then_some(sources.now),
        };
        report.timeline = report.moments();
        Some(report)
    }

    fn moments(&self) -> Vec<Moment> {
        let moment = |at: Timestamp, what: String| Moment { at, what };
        let mut all = vec![moment(self.started_at, format!("the release of {} began", self.title()))];
        all.extend(timeline::of_weights(&self.weights));
        all.extend(timeline::of_runs(&self.runs));
        let first = self.served.as_ref().and_then(|served| Some((served.first_bad?, &served.metric)));
        let first = first.map(|(at, metric)| (at, format!("the first failed canary request was counted ({metric})")));
        all.extend(first.map(|(at, what)| moment(at, what)));
        all.extend(timeline::of_commands(&self.commands));
        let end = self.ended_at.map(|at| (at, format!("the release was {}: {}", self.outcome_words(), self.reason)));
        all.extend(end.map(|(at, what)| moment(at, what)));
        // What happened in the same second stays in the order of cause and effect in which it was added.
        all.sort_by_key(|one| one.at);
        all
    }

    /// `#42`, or `#42 attempt 2`.
    pub fn title(&self) -> String {
        let attempt = if self.attempt > 1 { format!(" attempt {}", self.attempt) } else { String::new() };
        format!("#{}{attempt}", self.revision.number)
    }

    /// How it ended, in a word or two.
    pub fn outcome_words(&self) -> &'static str {
        self.outcome.map_or("in progress", phrases::outcome)
    }

    /// The end, or the time of the report.
    pub fn until(&self) -> Timestamp {
        self.ended_at.or(self.as_of).unwrap_or(self.started_at)
    }

    /// From the first stretch of time with a failed request to the decision that shifted all traffic back to stable.
    pub fn exposed(&self) -> Option<jiff::SignedDuration> {
        let first = self.served.as_ref()?.first_bad?;
        let is_back = matches!(self.outcome, Some(Outcome::Aborted | Outcome::RolledBack | Outcome::KeptControl));
        Some(self.ended_at.filter(|_| is_back)?.duration_since(first)).filter(|time| !time.is_negative())
    }

    /// The weight before each change, for charts: with the start, which has none.
    pub fn weight_steps(&self) -> Vec<(Timestamp, Percent)> {
        let mut steps = vec![(self.started_at, Percent::ZERO)];
        steps.extend(self.weights.iter().map(|weight| (weight.at, weight.weight)));
        if let (Some(end), Some(outcome)) = (self.ended_at, self.outcome) {
            let is_new = matches!(outcome, Outcome::Promoted | Outcome::FastPromoted);
            steps.push((end, if is_new { Percent::FULL } else { Percent::ZERO }));
        }
        steps
    }
}

/// The releases that are on record: number and attempt, newest first.
pub fn on_record(rollout: &Rollout) -> Vec<(u64, u32)> {
    let Some(status) = &rollout.status else { return Vec::new() };
    let current = status.current_revision.as_ref().filter(|_| status.state.release().is_some());
    let current = current.map(|revision| (revision.number, status.attempt));
    let past = status.history.iter().map(|entry| (entry.revision.number, entry.attempt));
    current.into_iter().chain(past).collect()
}

fn find(status: &RolloutStatus, which: Which) -> Option<Release<'_>> {
    let fits = |number: u64, attempt: u32| {
        which.release.is_none_or(|asked| asked == number) && which.attempt.is_none_or(|asked| asked == attempt)
    };
    let current = || {
        let (revision, release) = (status.current_revision.clone()?, status.state.release()?);
        Some(Release {
            revision,
            attempt: status.attempt,
            entry: None,
            started_at: release.since,
            weights: release.weights.clone(),
        })
    };
    let past = || {
        let entry = status.history.iter().find(|entry| fits(entry.revision.number, entry.attempt))?;
        Some(Release {
            revision: entry.revision.clone(),
            attempt: entry.attempt,
            entry: Some(entry),
            started_at: entry.started_at,
            weights: entry.weights.clone(),
        })
    };
    current().filter(|release| fits(release.revision.number, release.attempt)).or_else(past)
}

fn images(rollout: &Rollout) -> Vec<String> {
    let template = serde_json::to_value(&rollout.spec.template).unwrap_or_default();
    let containers = template.pointer("/spec/containers").and_then(serde_json::Value::as_array);
    let image = |container: &serde_json::Value| Some(container.get("image")?.as_str()?.to_owned());
    containers.into_iter().flatten().filter_map(image).collect()
}

fn decided_by(past: Option<&PastRelease>, commands: &[PastCommand]) -> String {
    let Some(past) = past else { return "not decided yet".to_owned() };
    if let Some(act) = past.aborted.as_ref().or(past.undone.as_ref()) {
        return act.by.clone().unwrap_or_else(|| "an unknown user".to_owned());
    }
    let promoted =
        commands.iter().filter(|command| command.verb == Verb::Promote && command.state == CommandState::Done);
    let mut by: Vec<&str> = promoted.map(|command| command.by.as_deref().unwrap_or("an unknown user")).collect();
    by.dedup();
    match by.as_slice() {
        [] => "Glidepath".to_owned(),
        by => format!("Glidepath, after promote by {}", by.join(", ")),
    }
}

fn served(runs: &[RunPart]) -> Option<Served> {
    let counted = runs.iter().flat_map(|run| &run.metrics).filter_map(|metric| {
        let (bad, total) = metric.canary_counts()?;
        Some(Served { metric: metric.status.name.clone(), bad, total, first_bad: metric.first_bad() })
    });
    // The first of several that counted as many: later analyses count fewer.
    counted.fold(None, |most: Option<Served>, next| match most {
        Some(most) if most.total >= next.total => Some(most),
        _ => Some(next),
    })
}

/// The commands of the release's time: the Rollout's record of the last ones, and objects that it no longer records.
fn commands(
    sources: &Sources<'_>,
    status: &RolloutStatus,
    from: Timestamp,
    until: Option<Timestamp>,
) -> Vec<PastCommand> {
    let mut all: Vec<PastCommand> = status.commands.iter().map(|record| PastCommand::of(record, status)).collect();
    let known: Vec<&str> = status.commands.iter().map(|record| record.uid.as_str()).collect();
    for command in sources.commands {
        let uid = command.metadata.uid.as_deref().unwrap_or_default();
        let answered = command.status.as_ref().and_then(|answer| Some((answer, answer.state?, answer.taken_at?)));
        let Some((answer, state, at)) = answered else { continue };
        if known.contains(&uid) || Some(&command.spec.rollout) != sources.rollout.metadata.name.as_ref() {
            continue;
        }
        all.push(PastCommand {
            verb: command.spec.verb,
            state,
            revision: acts::revision_at(status, at),
            by: command.spec.requested_by.clone(),
            why: command.spec.reason.clone(),
            message: answer.message.clone(),
            at,
        });
    }
    all.retain(|command| command.at >= from && until.is_none_or(|until| command.at <= until));
    all.sort_by_key(|one| one.at);
    all
}

/// What the cluster no longer has.
fn gone(sources: &Sources<'_>, status: &RolloutStatus, release: &Release<'_>, runs: &[RunPart]) -> Vec<String> {
    let mut gone = Vec::new();
    let is_judged = sources.rollout.spec.analysis.is_some() || !sources.rollout.spec.strategy.judged().is_empty();
    if runs.is_empty() && is_judged {
        gone.push(
            "There is no AnalysisRun of this release: it ended before its first analysis, or its runs were deleted, as \
             successfulRunHistoryLimit and unsuccessfulRunHistoryLimit say. Evidence, requests and queries cannot be \
             reported."
                .to_owned(),
        );
    }
    let trails = runs.iter().flat_map(|run| &run.metrics).filter(|metric| metric.points.is_empty());
    let without: Vec<&str> = trails.map(|metric| metric.status.name.as_str()).collect();
    if !without.is_empty() {
        gone.push(format!("The course of the evidence is not recorded for {}.", without.join(", ")));
    }
    if release.weights.is_empty() {
        gone.push("No weights are recorded of this release.".to_owned());
    }
    let oldest = status.commands.last().map(|record| record.taken_at);
    if status.commands.len() >= 20 && oldest.is_some_and(|oldest| oldest > release.started_at) {
        gone.push("Only the last 20 commands are recorded: earlier ones of this release are not shown.".to_owned());
    }
    if sources.is_local && !runs.is_empty() {
        gone.push("No queries were sent: the proxy of glidepath local counts requests itself.".to_owned());
    }
    gone.push("Events are not part of a report: the API server keeps them for about an hour.".to_owned());
    gone
}

#[cfg(test)]
#[path = "story_tests.rs"]
mod tests;

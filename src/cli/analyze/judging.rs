//! One run from its begin to its verdict: as time passes, or through a time of the past as fast as Prometheus answers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::period::Period;
use crate::{
    api::{
        AnalysisRun,
        analysis::{RunPhase, Verdict},
    },
    cli::{
        connect::now,
        exit::CliError,
        interrupt::Interrupts,
        render::{output::print, progress::Progress},
    },
    evidence::run::Live,
    ports::Source,
    reconcile::runs,
    view::phrases,
};

/// How often a line says how it stands while nothing changes.
const LINE_EVERY: SignedDuration = SignedDuration::from_secs(30);
/// The shortest step from one look to the next.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);

/// A run that was judged.
#[derive(Debug)]
pub struct Judging {
    /// With its status.
    pub run: AnalysisRun,
    /// Until when.
    pub until: Timestamp,
    /// Whether the user ended it.
    pub is_interrupted: bool,
}

impl Judging {
    /// How it ended, in one line.
    pub fn end(&self) -> String {
        let status = self.run.status.clone().unwrap_or_default();
        let lasted = status.started_at.map(|at| phrases::age(self.until.duration_since(at))).unwrap_or_default();
        match status.phase {
            RunPhase::Finished => format!("{:?} after {lasted}, at {}", status.verdict, phrases::time(self.until)),
            _ => format!("no verdict after {lasted}: {}", status.message),
        }
    }
}

/// Judges until a verdict, or for so long.
pub async fn live(
    source: &dyn Source,
    run: AnalysisRun,
    longest: Option<Duration>,
    tells: bool,
) -> Result<Judging, CliError> {
    let mut interrupts = Interrupts::new()?;
    let began = now();
    let ends = longest.and_then(|limit| began.checked_add(SignedDuration::try_from(limit).ok()?).ok());
    let mut judge = Judge::begin(run);
    let mut lines = Lines { tells, ..Lines::default() };
    loop {
        let wake = tokio::select! {
            wake = judge.look(source, now()) => wake,
            () = interrupts.come() => return Ok(judge.ended(now(), true)),
        };
        lines.tell(&judge, now())?;
        if judge.is_over() || ends.is_some_and(|ends| now() >= ends) {
            return Ok(judge.ended(now(), false));
        }
        let until = ends.map_or(wake, |ends| wake.min(ends)).max(now() + SHORTEST);
        let pause = Duration::try_from(until.duration_since(now())).unwrap_or_default();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = interrupts.come() => return Ok(judge.ended(now(), true)),
        }
    }
}

/// Judges a time of the past, look by look as a controller would have.
pub async fn replayed(source: &dyn Source, run: AnalysisRun, period: Period) -> Result<Judging, CliError> {
    let progress = Progress::begins();
    let seconds = u32::try_from(period.end.duration_since(period.start).as_secs()).unwrap_or(u32::MAX);
    progress.next("seconds replayed", seconds);
    Ok(through(source, run, period, &progress).await)
}

/// Judges a time of the past, and counts its seconds.
pub async fn through(source: &dyn Source, run: AnalysisRun, period: Period, progress: &Progress) -> Judging {
    let (mut judge, mut at) = (Judge::begin(run), period.start);
    loop {
        let next = judge.look(source, at).await.max(at + SHORTEST);
        if judge.is_over() || next > period.end {
            return judge.ended(at, false);
        }
        for _ in 0..next.duration_since(at).as_secs() {
            progress.one_done();
        }
        at = next;
    }
}

struct Judge {
    run: AnalysisRun,
    live: Live,
}

impl Judge {
    fn begin(run: AnalysisRun) -> Judge {
        let live = Live::of(&run.spec, run.status.clone().unwrap_or_default());
        Judge { run, live }
    }

    /// Asks what is due at this time, and judges it. Gives when the next question falls due.
    async fn look(&mut self, source: &dyn Source, at: Timestamp) -> Timestamp {
        runs::judge(&mut self.live, &self.run.spec, source, &|| at).await.0
    }

    fn is_over(&self) -> bool {
        self.live.status().phase != RunPhase::Running
    }

    fn ended(self, until: Timestamp, is_interrupted: bool) -> Judging {
        let status = Some(self.live.recorded(&self.run.spec));
        Judging { run: AnalysisRun { status, ..self.run }, until, is_interrupted }
    }
}

/// The lines while it is judged: one when the verdict changes, and one now and then.
#[derive(Default)]
struct Lines {
    tells: bool,
    last: Option<(Verdict, Timestamp)>,
}

impl Lines {
    fn tell(&mut self, judge: &Judge, at: Timestamp) -> Result<(), CliError> {
        let verdict = judge.live.status().verdict;
        let is_new = self.last.is_none_or(|(last, since)| last != verdict || at.duration_since(since) >= LINE_EVERY);
        if !self.tells || judge.is_over() || !is_new {
            return Ok(());
        }
        self.last = Some((verdict, at));
        let message = judge.live.recorded(&judge.run.spec).message;
        print(&format!("{}  {verdict:?}  {message}\n", phrases::time(at)))
    }
}

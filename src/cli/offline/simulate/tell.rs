//! The result of a scenario, human-readable and as JSON.

use serde_json::{Value, json};

use super::{read::Loaded, without_data};
use crate::{
    cli::{
        program::program,
        render::{
            paint::{Paint, Tone},
            table::wrap,
        },
    },
    evidence::grouped,
    sim::{
        Millis,
        time::shown,
        trace::{Failure, Line, Mark, Trace},
    },
};

/// Where a line's text begins.
const TEXT: usize = 15;
/// Longer lines are not read easily.
pub(super) const WIDEST: usize = 110;

/// What is printed on.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    pub paint: Paint,
    pub width: usize,
}

/// The timeline, and what it came to.
pub(super) fn text(loaded: &Loaded, story: &Trace, screen: Screen) -> String {
    let paint = screen.paint;
    let mut text = heading(loaded, story.seed, screen);
    for line in &story.lines {
        text += &one_line(line, screen);
    }
    if let Some(broken) = &story.failure {
        text += &format!("\n{}", failure_within(loaded, story.seed, broken, screen));
    } else {
        let summary = wrap(&summary(story), 10, screen.width);
        text += &format!("  {}  {}\n", paint.text(Tone::Good, "passed"), summary.trim());
    }
    text
}

fn heading(loaded: &Loaded, seed: u64, Screen { paint, width }: Screen) -> String {
    let description = &loaded.setting.scenario.description;
    let about =
        if description.is_empty() { String::new() } else { format!("\n{}", wrap(description, 2, width).trim_end()) };
    let load = without_data::load(&loaded.setting).map(|load| wrap(&format!("load: {load}"), 2, width));
    format!("{}  seed {seed}{about}\n{}", paint.text(Tone::Strong, &loaded.name), load.unwrap_or_default())
}

fn one_line(line: &Line, Screen { paint, width }: Screen) -> String {
    let (sign, tone) = match line.mark {
        Mark::Done => ("▶", Tone::Strong),
        Mark::Told => (" ", Tone::Plain),
        Mark::Warned => ("!", Tone::Warn),
        Mark::Place => (" ", Tone::Dim),
        Mark::Fault => ("~", Tone::Warn),
        Mark::Met => ("✓", Tone::Good),
        Mark::Failed => ("✗", Tone::Bad),
    };
    let text = wrap(&line.text, TEXT, width);
    format!("  {:>9}  {} {}\n", clock(line.at), paint.text(tone, sign), paint.text(toned(line.mark, tone), text.trim()))
}

/// Symbols are colored; of the texts only secondary and failed ones.
fn toned(mark: Mark, tone: Tone) -> Tone {
    if matches!(mark, Mark::Place | Mark::Failed | Mark::Done) { tone } else { Tone::Plain }
}

fn summary(story: &Trace) -> String {
    let all: u64 = story.versions.iter().map(|(_, answered)| answered.total).sum();
    let bad: u64 = story.versions.iter().map(|(_, answered)| answered.bad).sum();
    let met = if story.met == 1 { "1 expectation".to_owned() } else { format!("{} expectations", story.met) };
    let requests = match all + story.lost {
        0 => String::new(),
        _ => format!("; {} requests, {} errors, {} lost", grouped(all), grouped(bad), grouped(story.lost)),
    };
    format!("{met} in {} of simulated time{requests}", clock(story.end))
}

/// What failed, its position, the actual value, and how to reproduce it.
pub fn failure(loaded: &Loaded, seed: u64, failure: &Failure, paint: Paint) -> String {
    failure_within(loaded, seed, failure, Screen { paint, width: usize::MAX })
}

fn failure_within(loaded: &Loaded, seed: u64, failure: &Failure, Screen { paint, width }: Screen) -> String {
    let at = loaded.position(&failure.path);
    let place = format!("{}:{}:{}", loaded.name, at.line, at.column);
    let said = |label: &str, text: &str| format!("    {label:<6}  {}\n", wrap(text, 12, width).trim());
    let head = paint.text(Tone::Bad, "failed");
    let mut text = format!("  {head}  {place}  {} at {}\n", failure.path, clock(failure.at));
    text += &said("wanted", &failure.wanted);
    for (index, seen) in failure.seen.iter().enumerate() {
        text += &said(if index == 0 { "seen" } else { "" }, seen);
    }
    text += &said("there", &failure.place);
    // A command is pasted, so it is not wrapped.
    text + &format!("    again   {} simulate --scenario {} --seed {seed}\n", program(), loaded.name)
}

/// The same for scripts.
pub fn json(loaded: &Loaded, story: &Trace) -> Value {
    let lines =
        story.lines.iter().map(|line| json!({ "at": clock(line.at), "kind": kind(line.mark), "text": line.text }));
    let releases = story.releases.iter().map(|release| {
        json!({
            "image": release.image, "at": clock(release.at), "outcome": release.outcome, "held": release.held,
            "ended": release.ended.map(clock), "requests": release.answered.total, "errors": release.answered.bad,
        })
    });
    let versions = story
        .versions
        .iter()
        .map(|(image, answered)| json!({ "image": image, "requests": answered.total, "errors": answered.bad }));
    json!({
        "file": loaded.name,
        "description": loaded.setting.scenario.description,
        "seed": story.seed,
        "passed": story.passed(),
        "failure": story.failure.as_ref().map(|failure| failure_json(loaded, failure)),
        "end": clock(story.end),
        "expectationsMet": story.met,
        "requestsLost": story.lost,
        "versions": versions.collect::<Vec<_>>(),
        "releases": releases.collect::<Vec<_>>(),
        "timeline": lines.collect::<Vec<_>>(),
    })
}

pub(super) fn failure_json(loaded: &Loaded, failure: &Failure) -> Value {
    let at = loaded.position(&failure.path);
    json!({
        "path": failure.path, "line": at.line, "column": at.column, "at": clock(failure.at),
        "wanted": failure.wanted, "seen": failure.seen, "place": failure.place,
    })
}

fn kind(mark: Mark) -> &'static str {
    match mark {
        Mark::Done => "entry",
        Mark::Told => "event",
        Mark::Warned => "warning",
        Mark::Place => "place",
        Mark::Fault => "fault",
        Mark::Met => "expectation",
        Mark::Failed => "failure",
    }
}

/// The world's time: `1m30s`; milliseconds only where nothing else is there to say.
pub fn clock(at: Millis) -> String {
    shown(if at < 10_000 { at } else { at / 1000 * 1000 })
}

//! The status screen as a pure function: the most important line first, then steps, traffic, revisions, evidence, and
//! what to type next.

mod evidence;
mod traffic;

use jiff::Timestamp;

use self::traffic::traffic;
use crate::{
    api::{
        Rollout, RolloutStatus,
        rollout::OnInconclusive,
        status::{Course, Stage},
        strategy::{Gate, Observe, Ramp, Step},
    },
    cli::render::{
        paint::{Paint, Tone},
        table::{Cell, INDENT, columns, label, wrap},
    },
    view::{
        phrases::{self, Place},
        revision::RevisionView,
    },
};

/// Everything that the screen shows.
#[derive(Clone, Copy, Debug)]
pub struct Screen<'a> {
    /// The Rollout with its status.
    pub rollout: &'a Rollout,
    /// Its revisions that have pods, newest first.
    pub pods: &'a [RevisionView],
    /// The time.
    pub now: Timestamp,
    /// Whether to paint.
    pub color: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Whether it ends with the commands that are possible next.
    pub hints: bool,
}

/// The screen, with a line feed at its end.
pub fn screen(screen: &Screen<'_>) -> String {
    let paint = Paint { on: screen.color };
    let mut out = headline(screen, paint);
    let empty = RolloutStatus::default();
    let status = screen.rollout.status.as_ref().unwrap_or(&empty);
    out.push_str(&second_lines(screen, status, paint));
    if phrases::place(screen.rollout) == Place::Unseen {
        return out;
    }
    out.push('\n');
    out.push_str(&step_bar(screen, status, paint));
    out.push_str(&traffic(screen.rollout, status, screen.width, paint));
    out.push_str(&revisions(screen.pods, paint));
    out.push_str(&evidence::evidence(status, screen.width, paint));
    if screen.hints {
        out.push_str(&next_lines(&next_commands(screen.rollout, status), screen.width));
    }
    out
}

/// What to type next: on one line where there is room.
fn next_lines(next: &[(&str, String)], width: usize) -> String {
    if next.is_empty() {
        return String::new();
    }
    let typed: Vec<String> = next.iter().map(|(what, command)| format!("{what}: {command}")).collect();
    let line = typed.join("    ");
    let separator = if line.chars().count() + 2 > width { "\n  " } else { "    " };
    format!("\n  {}\n", typed.join(separator))
}

/// Name, namespace, strategy, phase, step, and what it does: `checkout  shop  canary   Progressing   step 4/7   ...`.
fn headline(screen: &Screen<'_>, paint: Paint) -> String {
    let meta = &screen.rollout.metadata;
    let name = paint.text(Tone::Strong, meta.name.as_deref().unwrap_or("?"));
    let namespace = meta.namespace.as_deref().unwrap_or("default");
    let status = screen.rollout.status.as_ref();
    let phase = status
        .and_then(|s| s.phase)
        .map_or_else(|| paint.text(Tone::Warn, "Unknown"), |phase| paint.text(phase.into(), &format!("{phase:?}")));
    let strategy = phrases::strategy(screen.rollout);
    let step = status.filter(|s| s.course() == Course::Stepping).map(|s| step_counter(screen.rollout, s));
    let step = step.map(|step| format!("   {step}")).unwrap_or_default();
    format!("{name}  {namespace}  {strategy}   {phase}{step}   {}\n", doing(screen.rollout, screen.now))
}

/// `step 4/7`, from 1.
pub fn step_counter(rollout: &Rollout, status: &RolloutStatus) -> String {
    let count = phrases::steps(rollout).len();
    format!("step {}/{count}", (status.step_index as usize + 1).min(count.max(1)))
}

/// What the rollout does right now, in a phrase.
pub fn doing(rollout: &Rollout, now: Timestamp) -> String {
    let empty = RolloutStatus::default();
    let status = rollout.status.as_ref().unwrap_or(&empty);
    let serving = phrases::number(status.stable_revision.as_ref());
    match phrases::place(rollout) {
        Place::Unseen => phrases::unseen(rollout),
        Place::FirstDeploy => {
            format!("first deploy: {} of {} pods available", status.available_replicas, status.desired_replicas)
        }
        Place::Idle => format!("{serving} receives 100 % of traffic"),
        Place::Held(held) => format!("held for {}", phrases::short(now.duration_since(held.since))),
        Place::Paused { in_file: true } => format!("paused by spec.paused at {}", status.weights.desired),
        Place::Paused { in_file: false } => format!("paused by command at {}", status.weights.desired),
        Place::Step(step) => doing_step(&step, status, now),
        Place::StepsDone => "all steps done".into(),
        Place::Promoting(stage) => phrases::stage_words(stage).into(),
        Place::Returning => format!("returning to {serving}"),
        Place::Aborted => format!("rolled back to {serving}"),
        Place::Kept => format!("{serving} stays after the test"),
    }
}

/// Whether a step waits for a verdict.
pub fn is_judged(step: &Step) -> bool {
    step.observe.is_some() || step.analysis.is_some() || step.decide.is_some()
}

fn doing_step(step: &Step, status: &RolloutStatus, now: Timestamp) -> String {
    let elapsed = phrases::elapsed(status, now);
    let spent = phrases::short(elapsed);
    let at = status.weights.desired;
    if let Some(Observe { at_least, .. }) = &step.observe {
        let least = at_least.map(|d| format!(" of at least {}", phrases::short(d.signed()))).unwrap_or_default();
        return format!("observing at {at} ({spent}{least})");
    }
    if let Some(pause) = &step.pause {
        let at = if at.is_zero() { String::new() } else { format!("at {at} ") };
        return match pause.duration {
            Some(duration) => format!("pausing {at}({spent} of {})", phrases::short(duration.signed())),
            None => format!("waits {at}until an operator promotes ({spent})"),
        };
    }
    if let Some(gate) = &step.gate {
        let who = if gate.is_approval() { "someone approves" } else { "a gate approves" };
        let at = if at.is_zero() { String::new() } else { format!("at {at} ") };
        return format!("waits {at}until {who}: {} ({spent})", gate.name);
    }
    if let Some(ramp) = &step.ramp {
        let (done, all) = ramp_position(ramp, status.sub_step());
        return format!("ramp to {}: at {at}, {done} of {all}", ramp.to);
    }
    if let Some(decide) = &step.decide {
        let most = phrases::short(decide.at_most.signed());
        return format!("A/B test {} ({spent} of at most {most})", users(status));
    }
    if step.analysis.is_some() {
        return format!("{} at {at} ({spent})", phrases::step_words(step));
    }
    if step.set_canary_scale.is_some() {
        return format!("canary {}", phrases::step_label(step));
    }
    format!("moving to {}", step.set_weight.unwrap_or(at))
}

/// Who meets the candidate of a test.
fn users(status: &RolloutStatus) -> String {
    let weight = status.weights.desired;
    if weight.is_zero() { "with matching users".into() } else { format!("with {weight} of the users") }
}

/// Which stride of a ramp a sub-step belongs to, from 1, and how many there are. Every stride has two sub-steps: move,
/// then wait (rule S17).
fn ramp_position(ramp: &Ramp, sub_step: u32) -> (u32, u32) {
    let span = ramp.to.basis_points().abs_diff(ramp.from.basis_points());
    let strides = span.div_ceil(ramp.by.basis_points().max(1)) + 1;
    ((sub_step / 2 + 1).min(strides), strides)
}

/// Under the headline: what is wrong, what is waited for, and when that ends.
fn second_lines(screen: &Screen<'_>, status: &RolloutStatus, paint: Paint) -> String {
    let mut out = String::new();
    let stalled = phrases::stalled(status);
    if let Some(stalled) = stalled {
        out.push_str(&paint.text(Tone::Bad, &wrap(stalled, 2, screen.width)));
    }
    if !phrases::is_seen(screen.rollout) && phrases::place(screen.rollout) != Place::Unseen {
        out.push_str("  the controller has not observed the latest spec yet\n");
    }
    for text in reasons(screen.rollout, status) {
        if Some(text) != stalled {
            out.push_str(&wrap(text, 2, screen.width));
        }
    }
    if let Some(limit) = limit(screen.rollout, status, screen.now) {
        out.push_str(&wrap(&limit, 2, screen.width));
    }
    out
}

/// The engine's message, unless the headline contains it already.
fn reasons<'a>(rollout: &'a Rollout, status: &'a RolloutStatus) -> Vec<&'a str> {
    let waiting = status.waiting_for.as_ref().map_or("", |waiting| waiting.message.as_str());
    let texts = match phrases::place(rollout) {
        Place::Unseen => vec![],
        Place::Held(held) => vec![held.message.as_str()],
        Place::Step(step) if step.observe.is_some() || step.pause.is_some() => vec![],
        Place::Step(step) if step.gate.as_ref().is_some_and(Gate::is_approval) => vec![],
        Place::Idle if status.phase == Some(crate::api::status::Phase::Healthy) && status.pinned.is_none() => vec![],
        Place::Aborted | Place::Kept | Place::Idle => vec![status.message.as_str()],
        _ if waiting.is_empty() => vec![status.message.as_str()],
        _ => vec![waiting],
    };
    texts.into_iter().filter(|text| !text.is_empty()).collect()
}

/// When the wait ends automatically, and what happens then.
pub fn limit(rollout: &Rollout, status: &RolloutStatus, now: Timestamp) -> Option<String> {
    let until = status.waiting_for.as_ref()?.until?;
    let left = phrases::short(until.duration_since(now));
    let Place::Step(step) = phrases::place(rollout) else {
        return matches!(phrases::place(rollout), Place::FirstDeploy | Place::Promoting(_))
            .then(|| format!("at most {left} more"));
    };
    if step.pause.is_some() {
        return Some(format!("continues in {left}"));
    }
    if let Some(gate) = &step.gate {
        return Some(format!("at most {left} more, then {}", phrases::timeout_words(gate)));
    }
    let Some(at_most) = step.at_most() else { return Some(format!("at most {left} more")) };
    let length = phrases::short(at_most.signed());
    let then = if status.state.extended() {
        inconclusive_words(rollout).to_owned()
    } else {
        format!("extends once by {length}")
    };
    Some(format!("at most {left} more, then {then}"))
}

/// What no verdict in time does.
pub fn inconclusive_words(rollout: &Rollout) -> &'static str {
    match rollout.spec.on_inconclusive.unwrap_or_default() {
        OnInconclusive::Hold => "holds and waits for an operator",
        OnInconclusive::Abort => "rolls back",
        OnInconclusive::Promote => "continues as if it had passed",
    }
}

/// `steps     ✓ 5 %  ✓ observe  ▶ 25 %  · pause`, wrapped between steps.
fn step_bar(screen: &Screen<'_>, status: &RolloutStatus, paint: Paint) -> String {
    let steps = phrases::steps(screen.rollout);
    if steps.is_empty() {
        return String::new();
    }
    let mut out = label("steps");
    let mut column = INDENT;
    for (index, step) in steps.iter().enumerate() {
        let (mark, tone) = step_mark(index, status);
        let mut text = phrases::step_label(step);
        if let (Some(ramp), Tone::Busy) = (&step.ramp, tone) {
            let (done, all) = ramp_position(ramp, status.sub_step());
            text = format!("{text} ({done}/{all})");
        }
        let item = format!("{mark} {text}");
        let length = item.chars().count();
        if column > INDENT && column + 2 + length > screen.width {
            out.push_str(&format!("\n{}", " ".repeat(INDENT)));
            column = INDENT;
        } else if column > INDENT {
            out.push_str("  ");
            column += 2;
        }
        out.push_str(&paint.text(tone, &item));
        column += length;
    }
    out.push('\n');
    out
}

fn step_mark(index: usize, status: &RolloutStatus) -> (&'static str, Tone) {
    let at = status.step_index as usize;
    match status.course() {
        Course::Promoting => ("✓", Tone::Good),
        Course::Stepping if index < at => ("✓", Tone::Good),
        Course::Stepping if index == at && status.held().is_some() => ("‖", Tone::Warn),
        Course::Stepping if index == at => ("▶", Tone::Busy),
        _ => ("·", Tone::Dim),
    }
}

fn revisions(pods: &[RevisionView], paint: Paint) -> String {
    if pods.is_empty() {
        return String::new();
    }
    let row = |revision: &RevisionView| -> Vec<Cell> {
        let number = if revision.number == 0 { "#?".into() } else { format!("#{}", revision.number) };
        let short = revision.available < revision.wanted;
        let tone = if short { Tone::Warn } else { Tone::Plain };
        vec![
            format!("{number} {}", revision.role.word()).into(),
            revision.id.as_str().into(),
            Cell::toned(tone, format!("{} of {} available", revision.available, revision.wanted)),
            revision.image.as_str().into(),
            Cell::toned(Tone::Dim, phrases::age(revision.age)),
        ]
    };
    let rows: Vec<Vec<Cell>> = pods.iter().map(row).collect();
    format!("  revisions\n{}", columns(paint, 4, &rows))
}

/// The possible next commands: the effect, and the command.
pub fn next_commands(rollout: &Rollout, status: &RolloutStatus) -> Vec<(&'static str, String)> {
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let option = phrases::option(rollout);
    let verb = |verb: &str| format!("glidepath {verb} {name}{option}");
    let abort = ("abort", verb("abort"));
    match phrases::place(rollout) {
        Place::Unseen | Place::FirstDeploy => vec![],
        Place::Idle if status.promoted.len() > 1 => vec![("go back", verb("undo"))],
        Place::Idle => vec![("release", format!("glidepath set image {name} CONTAINER=IMAGE{option}"))],
        Place::Held(_) => vec![abort, ("new attempt", verb("retry")), ("continue anyway", verb("promote"))],
        Place::Paused { in_file: true } => vec![abort],
        Place::Paused { in_file: false } => vec![abort, ("resume", verb("resume"))],
        Place::Step(step) if is_judged(&step) || step.ramp.is_some() => {
            vec![abort, ("end this wait", verb("promote"))]
        }
        Place::Step(step) if step.gate.as_ref().is_some_and(Gate::is_approval) => {
            vec![abort, ("approve", verb("promote"))]
        }
        Place::Step(step) if step.gate.is_some() => vec![abort, ("end this wait", verb("promote"))],
        Place::Step(step) if step.pause.is_some() => vec![abort, ("continue", verb("promote"))],
        Place::Step(_) | Place::StepsDone => vec![abort],
        Place::Promoting(None | Some(Stage::Scale | Stage::RouteToCanary | Stage::PostAnalysis)) => vec![abort],
        Place::Promoting(_) | Place::Returning => vec![("why", verb("explain"))],
        Place::Aborted | Place::Kept => vec![("new attempt", verb("retry")), ("why", verb("explain"))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    fn shown(sample: &samples::Sample) -> String {
        screen(&Screen {
            rollout: &sample.rollout,
            pods: &sample.pods,
            now: samples::NOW,
            color: false,
            width: 100,
            hints: true,
        })
    }

    #[test]
    fn screens() {
        for (name, sample) in samples::all() {
            insta::assert_snapshot!(format!("screen_{name}"), shown(&sample));
        }
    }

    #[test]
    fn colour_only_adds_escapes() {
        let escape = regex::Regex::new("\u{1b}\\[[0-9]*m").unwrap();
        for (name, sample) in samples::all() {
            let view = Screen {
                rollout: &sample.rollout,
                pods: &sample.pods,
                now: samples::NOW,
                color: true,
                width: 100,
                hints: true,
            };
            let painted = screen(&view);
            assert!(painted.contains('\u{1b}'), "{name}");
            assert_eq!(escape.replace_all(&painted, ""), shown(&sample), "{name}");
        }
    }

    #[test]
    fn a_pinned_revision_says_that_the_file_wants_another() {
        let mut sample = samples::healthy();
        let status = sample.rollout.status.as_mut().unwrap();
        status.pinned =
            Some(crate::api::status::Pinned { revision: "b7d0c41hze".into(), against: "k3v9x2m1qa".into() });
        status.message = "revision #41 is stable, pinned by undo until the template changes".into();
        assert!(shown(&sample).contains("\n  revision #41 is stable, pinned by undo until"), "{}", shown(&sample));
    }

    #[test]
    fn hints_are_left_out_where_there_is_nobody_to_take_them() {
        for (name, sample) in samples::all() {
            let view = |hints| Screen {
                rollout: &sample.rollout,
                pods: &sample.pods,
                now: samples::NOW,
                color: false,
                width: 100,
                hints,
            };
            let (with, without) = (screen(&view(true)), screen(&view(false)));
            assert!(with.starts_with(&without), "{name}");
            assert!(!without.contains("glidepath "), "{name}: {without}");
        }
    }

    #[test]
    fn a_comparison_that_does_not_fit_stands_on_its_own_line() {
        let sample = samples::observing();
        let view =
            Screen { rollout: &sample.rollout, pods: &[], now: samples::NOW, color: false, width: 80, hints: false };
        let text = screen(&view);
        assert!(text.contains("0.10 % (22/22,103)\n      ratio 1.2 [0.5, 2.9] p 1.0\n"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn many_steps_wrap_at_the_width() {
        let sample = samples::many_steps();
        let view =
            Screen { rollout: &sample.rollout, pods: &[], now: samples::NOW, color: false, width: 60, hints: true };
        let text = screen(&view);
        let too_long: Vec<&str> = text.lines().filter(|l| l.contains('·') && l.chars().count() > 60).collect();
        assert!(too_long.is_empty(), "{too_long:?}");
        insta::assert_snapshot!("screen_many_steps", text);
    }
}

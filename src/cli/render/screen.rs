//! The status screen: the most important line first, then steps, traffic, revisions, evidence, and what to type next.

mod evidence;
mod traffic;

use jiff::Timestamp;

use crate::{
    api::Rollout,
    cli::render::{
        hints,
        paint::{Paint, Tone},
        table::{Cell, INDENT, columns, label, wrap},
    },
    view::{
        doing::doing_so_far,
        evidence::evidence,
        phrases::{self, short},
        place::Place,
        revision::RevisionView,
        situation::Situation,
        step::{Mark, StepRow, steps},
        traffic::Traffic,
        waits::{Then, Until},
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
    let (rollout, width, paint) = (screen.rollout, screen.width, Paint { on: screen.color });
    let situation = Situation::of(rollout, screen.now);
    let mut out = headline(rollout, &situation, paint);
    out.push_str(&second_lines(&situation, screen.now, width, paint));
    if matches!(situation.place, Place::Unseen { .. }) {
        return out;
    }
    out.push('\n');
    out.push_str(&step_bar(&steps(rollout), width, paint));
    out.push_str(&Traffic::of(rollout).map(|traffic| traffic::line(&traffic, width, paint)).unwrap_or_default());
    out.push_str(&revisions(screen.pods, paint));
    out.push_str(&evidence::table(&evidence(rollout), width, paint));
    if screen.hints {
        out.push_str(&next_lines(rollout, &situation, width));
    }
    out
}

/// Name, namespace, strategy, phase, step, and what it does: `checkout  shop  canary   Progressing   step 4/7   ...`.
fn headline(rollout: &Rollout, situation: &Situation, paint: Paint) -> String {
    let name = paint.text(Tone::Strong, &situation.name);
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or("default");
    let phase = situation
        .phase
        .map_or_else(|| paint.text(Tone::Warn, "Unknown"), |phase| paint.text(phase.into(), &format!("{phase:?}")));
    let strategy = rollout.spec.strategy.name();
    let step = situation.counter.map(|counter| format!("   {counter}")).unwrap_or_default();
    format!("{name}  {namespace}  {strategy}   {phase}{step}   {}\n", doing_so_far(situation))
}

/// Under the headline: what is wrong, what is waited for, and when that ends.
fn second_lines(situation: &Situation, now: Timestamp, width: usize, paint: Paint) -> String {
    let mut out = String::new();
    if let Some(stalled) = &situation.stalled {
        out.push_str(&paint.text(Tone::Bad, &wrap(stalled, 2, width)));
    }
    if !situation.is_seen {
        out.push_str("  the controller has not observed the latest spec yet\n");
    }
    let limit = situation.until.map(|until| limit(until, now));
    for text in situation.said.iter().chain(&limit) {
        out.push_str(&wrap(text, 2, width));
    }
    out
}

/// When the wait ends automatically, and what happens then.
fn limit(until: Until, now: Timestamp) -> String {
    let left = short(until.at.duration_since(now));
    let then = match until.then {
        Then::Continues => return format!("continues in {left}"),
        Then::Ends => return format!("at most {left} more"),
        Then::TimesOut(policy) => phrases::timeout(policy).to_owned(),
        Then::NoVerdict { extends_by: Some(length), .. } => format!("extends once by {}", short(length.signed())),
        Then::NoVerdict { extends_by: None, policy } => phrases::inconclusive(policy).to_owned(),
    };
    format!("at most {left} more, then {then}")
}

/// `steps     ✓ 5 %  ✓ observe  ▶ 25 %  · pause`, wrapped between steps.
fn step_bar(steps: &[StepRow], width: usize, paint: Paint) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut out = label("steps");
    let mut column = INDENT;
    for step in steps {
        let (mark, tone) = match step.mark {
            Mark::Done => ("✓", Tone::Good),
            Mark::Held => ("‖", Tone::Warn),
            Mark::Current => ("▶", Tone::Busy),
            Mark::Ahead => ("·", Tone::Dim),
        };
        let item = format!("{mark} {}", step.label);
        let length = item.chars().count();
        if column > INDENT && column + 2 + length > width {
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

/// What to type next: on one line where there is room.
fn next_lines(rollout: &Rollout, situation: &Situation, width: usize) -> String {
    let next = hints::commands(rollout, situation).into_iter().chain(hints::why(rollout, situation));
    let typed: Vec<String> = next.map(|(effect, command)| format!("{effect}: {command}")).collect();
    if typed.is_empty() {
        return String::new();
    }
    let has_room = typed.join("    ").chars().count() + 2 <= width;
    format!("\n  {}\n", typed.join(if has_room { "    " } else { "\n  " }))
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

//! The status screen: the most important line first, then steps, traffic, revisions, evidence, and what to type next.

mod evidence;
mod pods;
mod traffic;

use jiff::{SignedDuration, Timestamp};

use crate::{
    api::Rollout,
    cli::render::{
        fitted::flow,
        hints,
        paint::{Paint, Tone},
        table::{Cell, INDENT, UNLIMITED, label, wrap},
    },
    view::{
        courses::Courses,
        doing::doing_so_far,
        evidence::evidence,
        guards,
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
    /// Columns of the terminal, or [`UNLIMITED`] without one.
    pub width: usize,
    /// Whether it ends with the commands that are possible next.
    pub hints: bool,
    /// How the evidence developed, for sparklines: on a terminal.
    pub courses: Option<&'a Courses>,
}

/// The screen, with a line feed at its end.
pub fn screen(screen: &Screen<'_>) -> String {
    let (rollout, width, paint) = (screen.rollout, screen.width, Paint { on: screen.color });
    let situation = Situation::of(rollout, screen.now);
    let mut out = headline(rollout, &situation, width, paint);
    out.push_str(&second_lines(&situation, screen.now, width, paint));
    if matches!(situation.place, Place::Unseen { .. }) {
        return out;
    }
    out.push('\n');
    out.push_str(&step_bar(&steps(rollout), width, paint));
    out.push_str(&Traffic::of(rollout).map(|traffic| traffic::line(&traffic, width, paint)).unwrap_or_default());
    out.push_str(&pods::revisions(screen.pods, width, paint));
    out.push_str(&pods::pods(screen.pods, width, paint));
    let courses = screen.courses.filter(|_| width != UNLIMITED);
    out.push_str(&evidence::table(&evidence(rollout), courses, width, paint));
    if let Some(counts) = guards::counted(rollout) {
        out.push_str(&wrap(&format!("guards: {}", guards::counts_in_words(counts, &rollout.spec.guards())), 2, width));
    }
    if screen.hints {
        out.push_str(&next_lines(rollout, &situation, width));
    }
    out
}

/// Name, namespace, strategy, phase, step, and what it does: `checkout  shop  canary   Progressing   step 4/7   ...`.
fn headline(rollout: &Rollout, situation: &Situation, width: usize, paint: Paint) -> String {
    let namespace = rollout.metadata.namespace.as_deref().unwrap_or("default");
    let phase = situation
        .phase
        .map_or_else(|| Cell::toned(Tone::Warn, "Unknown"), |phase| Cell::toned(phase.into(), format!("{phase:?}")));
    let mut parts = vec![
        (0, Cell::toned(Tone::Strong, situation.name.as_str())),
        (2, namespace.into()),
        (2, rollout.spec.strategy.name().into()),
        (3, phase),
    ];
    parts.extend(situation.counter.map(|counter| (3, counter.to_string().into())));
    parts.push((3, doing_so_far(situation).into()));
    flow(&parts, "", 2, width, paint)
}

/// Under the headline: what is wrong, what is waited for, and when that ends.
fn second_lines(situation: &Situation, now: Timestamp, width: usize, paint: Paint) -> String {
    let mut out = String::new();
    if let Some(stalled) = &situation.stalled {
        out.push_str(&paint.text(Tone::Bad, &wrap(stalled, 2, width)));
    }
    if !situation.is_seen {
        out.push_str(&wrap("the controller has not observed the latest spec yet", 2, width));
    }
    let tone = if situation.place == Place::Aborted { Tone::Bad } else { Tone::Plain };
    out.push_str(&situation.said.as_ref().map(|said| paint.text(tone, &wrap(said, 2, width))).unwrap_or_default());
    out.push_str(&situation.also_paused.as_ref().map(|text| wrap(text, 2, width)).unwrap_or_default());
    out.push_str(&situation.until.map(|until| wrap(&limit(until, now), 2, width)).unwrap_or_default());
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

/// `steps     ✓ 5 % (20s)  ✓ observe (21m)  ▶ 25 %  · pause`, wrapped between steps.
fn step_bar(steps: &[StepRow], width: usize, paint: Paint) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let parts: Vec<(usize, Cell)> = steps.iter().map(|step| (2, step_cell(step))).collect();
    flow(&parts, &label("steps"), INDENT, width, paint)
}

fn step_cell(step: &StepRow) -> Cell {
    let (mark, tone) = match step.mark {
        Mark::Done => ("✓", Tone::Good),
        Mark::Held => ("‖", Tone::Warn),
        Mark::Failed => ("✗", Tone::Bad),
        Mark::Current => ("▶", Tone::Busy),
        Mark::Ahead => ("·", Tone::Dim),
    };
    let took = step.took.map(|seconds| format!(" ({})", short(SignedDuration::from_secs(seconds))));
    Cell::toned(tone, format!("{mark} {}{}", step.label, took.unwrap_or_default()))
}

/// What to type next: on one line where there is room.
fn next_lines(rollout: &Rollout, situation: &Situation, width: usize) -> String {
    let next = hints::commands(rollout, situation).into_iter().chain(hints::why(rollout, situation));
    let typed: Vec<String> = next.map(|(effect, command)| format!("{effect}: {command}")).collect();
    if typed.is_empty() {
        return String::new();
    }
    let has_room = width != UNLIMITED && typed.join("    ").chars().count() + 2 <= width;
    format!("\n  {}\n", typed.join(if has_room { "    " } else { "\n  " }))
}

/// A text at the widths of small, usual and large terminals, and without one: the widths are named where texts differ.
#[cfg(test)]
pub fn at_widths(shown: impl Fn(usize) -> String) -> String {
    let texts = [("60", 60), ("80", 80), ("120", 120), ("a pipe", UNLIMITED)].map(|(name, width)| (name, shown(width)));
    texts.iter().map(|(name, text)| format!("──── {name}\n{text}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::render::printable::printable,
        view::samples::{self, Sample},
    };

    fn view<'a>(sample: &'a Sample, width: usize) -> Screen<'a> {
        Screen {
            rollout: &sample.rollout,
            pods: &sample.pods,
            now: samples::NOW,
            color: false,
            width,
            hints: true,
            courses: None,
        }
    }

    fn shown(sample: &Sample) -> String {
        screen(&view(sample, 100))
    }

    #[test]
    fn screens() {
        for (name, sample) in samples::all() {
            insta::assert_snapshot!(format!("screen_{name}"), at_widths(|width| screen(&view(&sample, width))));
        }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for (name, sample) in samples::all() {
            for width in [60, 80, 100, 120] {
                let text = screen(&view(&sample, width));
                let too_wide: Vec<&str> = text.lines().filter(|line| line.chars().count() > width).collect();
                assert!(too_wide.is_empty(), "{name} at {width}: {too_wide:#?}");
            }
        }
    }

    #[test]
    fn colour_only_adds_escapes() {
        let escape = regex::Regex::new("\u{1b}\\[[0-9]*m").unwrap();
        for (name, sample) in samples::all() {
            for width in [60, 100] {
                let painted = screen(&Screen { color: true, ..view(&sample, width) });
                let painted = printable(&painted);
                assert!(painted.contains('\u{1b}'), "{name}");
                assert_eq!(escape.replace_all(&painted, ""), screen(&view(&sample, width)), "{name}");
            }
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
            let (with, without) = (shown(&sample), screen(&Screen { hints: false, ..view(&sample, 100) }));
            assert!(with.starts_with(&without), "{name}");
            assert!(!without.contains("glidepath "), "{name}: {without}");
        }
    }

    #[test]
    fn a_comparison_that_does_not_fit_stands_on_its_own_line() {
        let text = screen(&view(&samples::observing(), 80));
        assert!(text.contains("0.10 % (22/22,103)\n      ratio 1.2 [0.5, 2.9] p 1.0\n"), "{text}");
    }

    /// They go before anything else does, and no pipe gets any.
    #[test]
    fn sparklines_need_room_and_a_terminal() {
        let sample = samples::aborted();
        let courses = Courses::of(&sample.rollout, &samples::runs());
        let shown = |width| screen(&Screen { courses: Some(&courses), ..view(&sample, width) });
        let wide = shown(140);
        assert!(wide.contains("▁▁▁▁▁▂▃▃▄▅▆█\n"), "{wide}");
        assert!(wide.contains("towards Fail"), "{wide}");
        for width in [60, 80, UNLIMITED] {
            assert_eq!(shown(width), screen(&view(&sample, width)), "at {width}");
        }
        let at_rest = Screen { courses: Some(&Courses::default()), ..view(&sample, 140) };
        assert_eq!(screen(&at_rest), screen(&view(&sample, 140)), "without a course");
    }

    #[test]
    fn many_steps_wrap_at_the_width() {
        let text = screen(&view(&Sample { pods: vec![], ..samples::many_steps() }, 60));
        let too_long: Vec<&str> = text.lines().filter(|l| l.contains('·') && l.chars().count() > 60).collect();
        assert!(too_long.is_empty(), "{too_long:?}");
        insta::assert_snapshot!("screen_many_steps", text);
    }

    /// What was counted goes first, then `settled`.
    #[test]
    fn the_traffic_line_drops_what_matters_least() {
        let traffic = |width| {
            let text = screen(&view(&samples::observing(), width));
            let line = text.lines().find(|line| line.contains("traffic")).unwrap_or_default();
            (line.contains("counted"), line.contains("settled"))
        };
        assert_eq!([traffic(UNLIMITED), traffic(90), traffic(80)], [(true, true), (false, true), (false, true)]);
        assert_eq!(traffic(70), (false, false));
    }
}

//! `history`: past rollouts and commands.

use jiff::Timestamp;

use crate::{
    api::command::CommandState,
    cli::{
        args::{
            global::{Global, OutputFormat},
            names::one_name,
        },
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            fitted::Table,
            output::{self, print},
            paint::{Paint, Tone},
            table::Cell,
        },
        target::pasteable,
    },
    view::{
        history::{History, PastCommand, PastRelease},
        phrases,
    },
};

/// Show past rollouts and commands of a Rollout
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath history checkout
  glidepath history checkout --limit 3   the last three rollouts and commands
  glidepath history checkout -o wide     with absolute times, revision ids and whole image names
  glidepath history checkout -o json     for scripts (docs/json.md)
  glidepath undo checkout --to-revision 40")]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
    /// Show at most this many rollouts and commands, the newest. The last 10 rollouts and 20 commands are recorded
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub limit: usize,
}

/// Prints the last rollouts and the last commands.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let name = one_name(&args.words, "history")?;
    let rollout = connect(global).await?.rollout(&name).await?;
    let history = History::of(&rollout, args.limit);
    let style = Style { now: now(), wide: global.output == OutputFormat::Wide, width: global.width() };
    let text = match output::shape(global.output, &rollout, || history.clone())? {
        Some(text) => text,
        None => text(&history, style, Paint { on: global.color_on() }),
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// How times and names are shown, and in how many columns.
#[derive(Clone, Copy, Debug)]
struct Style {
    now: Timestamp,
    wide: bool,
    width: usize,
}

/// Both tables.
fn text(history: &History, style: Style, paint: Paint) -> String {
    let mut out = String::new();
    if history.releases.is_empty() {
        out.push_str("no rollout has ended yet\n");
    } else {
        let head = vec!["REVISION", "OUTCOME", "STEP", "ENDED", "TOOK", "IMAGES", "REASON"];
        let rows = history.releases.iter().map(|release| release_row(release, style)).collect();
        out.push_str(&Table { indent: 0, head, rows }.text(style.width, paint));
    }
    if !history.commands.is_empty() {
        let head = vec!["COMMAND", "STATE", "REVISION", "BY", "WHEN", "WHY", "RESULT"];
        let rows = history.commands.iter().map(|command| command_row(command, style)).collect();
        out.push_str(&format!("\n{}", Table { indent: 0, head, rows }.text(style.width, paint)));
    }
    out
}

fn release_row(release: &PastRelease, style: Style) -> Vec<Cell> {
    let id = if style.wide { format!(" {}", release.revision.id) } else { String::new() };
    let attempt = if release.attempt > 1 { format!(" attempt {}", release.attempt) } else { String::new() };
    let images = release.images.iter().map(|image| if style.wide { image } else { without_registry(image) });
    vec![
        format!("#{}{id}{attempt}", release.revision.number).into(),
        Cell::toned(release.outcome.into(), phrases::outcome(release.outcome)),
        release.step.map_or_else(|| "-".into(), |step| step.to_string()).into(),
        when(release.ended_at, style).into(),
        phrases::short(release.ended_at.duration_since(release.started_at)).into(),
        images.collect::<Vec<_>>().join(", ").into(),
        release.why().into(),
    ]
}

/// `registry.example.com/shop/web:1.2` without what all images of a team have in common.
fn without_registry(image: &str) -> &str {
    image.rsplit_once('/').map_or(image, |(_, name)| name)
}

fn command_row(command: &PastCommand, style: Style) -> Vec<Cell> {
    let tone = if command.state == CommandState::Done { Tone::Good } else { Tone::Warn };
    vec![
        command.verb.as_str().into(),
        Cell::toned(tone, format!("{:?}", command.state)),
        command.revision.as_ref().map_or_else(|| "-".into(), |revision| format!("#{}", revision.number)).into(),
        command.by.as_deref().unwrap_or("unknown").into(),
        when(command.at, style).into(),
        command.why.as_deref().unwrap_or("-").into(),
        pasteable(&command.message).into(),
    ]
}

fn when(at: Timestamp, style: Style) -> String {
    if style.wide { phrases::time(at) } else { format!("{} ago", phrases::age(style.now.duration_since(at))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::render::screen::at_widths, view::samples};

    fn shown(sample: &samples::Sample, wide: bool, width: usize) -> String {
        let history = History::of(&sample.rollout, 10);
        text(&history, Style { now: samples::NOW, wide, width }, Paint { on: false })
    }

    #[test]
    fn histories() {
        for (name, sample) in [("healthy", samples::healthy()), ("aborted", samples::aborted_by_command())] {
            insta::assert_snapshot!(format!("history_{name}"), at_widths(|width| shown(&sample, false, width)));
            insta::assert_snapshot!(format!("history_{name}_wide"), shown(&sample, true, usize::MAX));
        }
        let nothing = samples::Sample { rollout: samples::rollout(None), pods: vec![] };
        assert_eq!(shown(&nothing, false, 100), "no rollout has ended yet\n");
    }

    #[test]
    fn a_history_fits_100_columns() {
        for sample in [samples::healthy(), samples::aborted_by_command()] {
            let text = shown(&sample, false, 100);
            assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        }
    }

    #[test]
    fn the_newest_are_kept_within_the_limit() {
        let history = History::of(&samples::healthy().rollout, 1);
        let releases: Vec<u64> = history.releases.iter().map(|release| release.revision.number).collect();
        assert_eq!((releases, history.commands.len()), (vec![41], 1));
    }

    /// Nanoseconds of unequal length make columns of times ragged.
    #[test]
    fn absolute_times_are_in_seconds() {
        let mut sample = samples::aborted_by_command();
        let status = sample.rollout.status.as_mut().unwrap();
        status.history[0].ended_at = "2026-11-21T14:04:29.360765186Z".parse().unwrap();
        let text = shown(&sample, true, usize::MAX);
        assert!(text.contains(" 2026-11-21T14:04:29Z "), "{text}");
    }
}

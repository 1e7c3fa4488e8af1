//! `history`: past rollouts and commands.

use jiff::Timestamp;

use crate::{
    api::{
        RolloutStatus,
        command::CommandState,
        status::{CommandRecord, HistoryEntry},
    },
    cli::{
        args::{
            global::{Global, OutputFormat},
            names::one_name,
        },
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            paint::{Paint, Tone},
            table::{Cell, columns},
        },
    },
    view::phrases,
};

/// Show past rollouts and commands of a Rollout
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath history checkout
  glidepath history checkout -o wide   with absolute times
  glidepath undo checkout --to-revision 40")]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
}

/// Prints the last 10 rollouts and the last 20 commands.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let name = one_name(&args.words, "history")?;
    let rollout = connect(global).await?.rollout(&name).await?;
    if let Some(text) = output::objects(global.output, std::slice::from_ref(&rollout), false)? {
        print(&text)?;
        return Ok(Exit::Done);
    }
    let status = rollout.status.unwrap_or_default();
    let paint = Paint { on: global.color_on() };
    print(&text(&status, now(), global.output == OutputFormat::Wide, paint))?;
    Ok(Exit::Done)
}

/// Both tables.
fn text(status: &RolloutStatus, now: Timestamp, wide: bool, paint: Paint) -> String {
    let mut out = String::new();
    if status.history.is_empty() {
        out.push_str("no rollout has ended yet\n");
    } else {
        let head = ["REVISION", "ATTEMPT", "OUTCOME", "ENDED", "TOOK", "IMAGES", "REASON"];
        let rows = status.history.iter().map(|entry| entry_row(entry, now, wide));
        out.push_str(&with_head(&head, rows, paint));
    }
    if !status.commands.is_empty() {
        let head = ["COMMAND", "STATE", "BY", "WHEN", "WHY", "MESSAGE"];
        let rows = status.commands.iter().map(|record| command_row(record, now, wide));
        out.push_str(&format!("\n{}", with_head(&head, rows, paint)));
    }
    out
}

fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<Cell>>, paint: Paint) -> String {
    let head: Vec<Cell> = head.iter().map(|text| Cell::toned(Tone::Dim, *text)).collect();
    let rows: Vec<Vec<Cell>> = std::iter::once(head).chain(rows).collect();
    columns(paint, 0, &rows)
}

fn entry_row(entry: &HistoryEntry, now: Timestamp, wide: bool) -> Vec<Cell> {
    let outcome = phrases::outcome(entry.outcome);
    vec![
        format!("#{} {}", entry.revision.number, entry.revision.id).into(),
        entry.attempt.to_string().into(),
        Cell::toned(entry.outcome.into(), outcome),
        when(entry.ended_at, now, wide).into(),
        phrases::short(entry.ended_at.duration_since(entry.started_at)).into(),
        entry.images.join(", ").into(),
        entry.reason.as_str().into(),
    ]
}

fn command_row(record: &CommandRecord, now: Timestamp, wide: bool) -> Vec<Cell> {
    let tone = if record.state == CommandState::Done { Tone::Good } else { Tone::Warn };
    vec![
        record.verb.as_str().into(),
        Cell::toned(tone, format!("{:?}", record.state)),
        record.requested_by.as_deref().unwrap_or("unknown").into(),
        when(record.taken_at, now, wide).into(),
        record.why.as_deref().unwrap_or("-").into(),
        record.message.as_str().into(),
    ]
}

fn when(at: Timestamp, now: Timestamp, wide: bool) -> String {
    if wide { at.to_string() } else { format!("{} ago", phrases::age(now.duration_since(at))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples;

    #[test]
    fn histories() {
        let status = samples::healthy().rollout.status.unwrap();
        let shown = |wide| text(&status, samples::NOW, wide, Paint { on: false });
        insta::assert_snapshot!("history", shown(false));
        insta::assert_snapshot!("history_wide", shown(true));
        assert_eq!(
            text(&RolloutStatus::default(), samples::NOW, false, Paint { on: false }),
            "no rollout has ended yet\n"
        );
    }
}

//! `explain`: why a rollout is in its current state, what happens next and when, and what would make it roll back.

use jiff::Timestamp;

use crate::{
    api::Rollout,
    cli::{
        args::{global::Global, names::one_name},
        connect::{connect, now},
        exit::{CliError, Exit},
        render::{
            hints,
            output::{self, print},
            table::wrap,
        },
        target::pasteable,
    },
    view::{explanation::Explanation, situation::Situation},
};

/// Explain a Rollout's current state and what happens next
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath explain checkout
  glidepath explain checkout -n shop
  glidepath explain checkout -o json   the sentences for scripts (docs/json.md)")]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
}

/// Prints the explanation.
pub async fn run(args: Args, global: &Global) -> Result<Exit, CliError> {
    let name = one_name(&args.words, "explain")?;
    let rollout = connect(global).await?.rollout(&name).await?;
    let now = now();
    let text = match output::shape(global.output, &rollout, || Explanation::of(&rollout, now))? {
        Some(text) => text,
        None => explain(&rollout, now, global.width()),
    };
    print(&text)?;
    Ok(Exit::Done)
}

/// The explanation: one paragraph per question.
pub fn explain(rollout: &Rollout, now: Timestamp, width: usize) -> String {
    let explanation = Explanation::of(rollout, now);
    let mut out = wrap(&pasteable(&explanation.summary), 0, width);
    if let Some(blocker) = &explanation.blocked_by {
        out.push_str(&wrap(&format!("It needs an external change to proceed: {blocker}"), 0, width));
    }
    if !explanation.observed {
        out.push_str(&wrap("The controller has not observed the latest spec yet.", 0, width));
    }
    out.push_str(&explanation.also_paused.map(|text| wrap(&text, 0, width)).unwrap_or_default());
    out.push_str(&explanation.continues_when.map(|text| wrap(&text, 0, width)).unwrap_or_default());
    for metric in &explanation.metrics {
        out.push_str(&wrap(metric, 2, width));
    }
    let more = [explanation.guards, explanation.rolls_back_when, explanation.without_verdict, explanation.next];
    for text in more.into_iter().flatten() {
        out.push_str(&wrap(&text, 0, width));
    }
    for (effect, command) in hints::commands(rollout, &Situation::of(rollout, now)) {
        out.push_str(&format!("  {effect}: {command}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::render::screen::at_widths, view::samples};

    #[test]
    fn explanations() {
        for (name, sample) in samples::all() {
            let shown = at_widths(|width| explain(&sample.rollout, samples::NOW, width));
            insta::assert_snapshot!(format!("explain_{name}"), shown);
        }
    }
}

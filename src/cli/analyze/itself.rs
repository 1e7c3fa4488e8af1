//! `--aa`: the pods of one version judged against each other on past data, piece by piece. Neither half is worse than the
//! other, so every Fail is a false one.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    args::AnalyzeArgs,
    judging,
    period::Period,
    subject::{self, Templates},
};
use crate::{
    api::{
        HumanDuration,
        analysis::{Arms, Verdict},
    },
    cli::{
        args::global::Global,
        exit::{CliError, Exit},
        render::{
            output::{self, API_VERSION, print},
            progress::Progress,
        },
    },
    ports::Source,
    view::phrases,
};

/// How far back when nothing is said.
const SINCE: HumanDuration = HumanDuration::secs(24 * 3600);
/// How long each analysis lasts when nothing is said.
const EACH: HumanDuration = HumanDuration::secs(3600);
/// What the last five characters of a pod's name are made of (k8s.io/apimachinery/pkg/util/rand).
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// Numbers that have no divisor in common with that, so that letters in such steps differ.
const STEPS: [usize; 9] = [1, 2, 4, 5, 7, 8, 10, 11, 13];

/// How each piece ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    undecided: u32,
    without_data: u32,
}

impl Counts {
    fn add(&mut self, verdict: Verdict) {
        let count = match verdict {
            Verdict::Pass => &mut self.passed,
            Verdict::Fail => &mut self.failed,
            Verdict::Continue => &mut self.undecided,
            Verdict::NoData | Verdict::Inconclusive => &mut self.without_data,
        };
        *count += 1;
    }

    fn all(self) -> u32 {
        self.passed + self.failed + self.undecided + self.without_data
    }
}

/// Judges every piece and prints how they ended. A false Fail is the exit code of a Fail.
pub async fn run(
    args: &AnalyzeArgs,
    global: &Global,
    templates: &Templates,
    source: &dyn Source,
    now: Timestamp,
) -> Result<Exit, CliError> {
    let (since, each) = (args.since.unwrap_or(SINCE), args.each.unwrap_or(EACH));
    let period = Period { start: now.checked_sub(since.signed()).unwrap_or(Timestamp::MIN), end: now };
    let pieces: Vec<Period> = period.pieces(each.signed().max(SignedDuration::from_mins(1))).collect();
    if pieces.is_empty() {
        return Err(CliError::Usage(format!(
            "--since {since} holds no piece of {each}; name a longer time, or a shorter --each"
        )));
    }
    let progress = Progress::begins();
    let (mut counts, mut why) = (Counts::default(), None);
    for (index, piece) in (0_usize..).zip(&pieces) {
        let run = subject::frozen(args, templates.clone(), halves(args, global, index))?;
        progress.next(format!("seconds replayed, part {} of {}", index + 1, pieces.len()), seconds(*piece));
        let judged = judging::through(source, run, *piece, &progress).await;
        let status = judged.run.status.unwrap_or_default();
        counts.add(status.verdict);
        if status.verdict != Verdict::Pass {
            why = Some(format!("{} to {}: {}", phrases::time(piece.start), phrases::time(piece.end), status.message));
        }
    }
    drop(progress);
    print(&shown(counts, why.as_deref(), args, each, global)?)?;
    Ok(match counts {
        Counts { failed: 1.., .. } => Exit::RolledBack,
        Counts { passed: 0, undecided: 0, .. } => Exit::WaitsForHuman,
        _ => Exit::Done,
    })
}

fn seconds(piece: Period) -> u32 {
    u32::try_from(piece.end.duration_since(piece.start).as_secs()).unwrap_or(u32::MAX)
}

/// Half of the pods against the other half, another half for each piece: those whose names end in some letters.
fn halves(args: &AnalyzeArgs, global: &Global, piece: usize) -> Arms {
    let workload = args.stable.clone().unwrap_or_default();
    let step = STEPS[piece % STEPS.len()];
    let letters = (0..ALPHABET.len() / 2).map(|index| char::from(ALPHABET[(index * step + piece) % ALPHABET.len()]));
    let pods = format!(".*[{}]", letters.collect::<String>());
    Arms { canary: workload.clone(), stable: workload, canary_pods: Some(pods), ..subject::arms(args, global) }
}

fn shown(
    counts: Counts,
    why: Option<&str>,
    args: &AnalyzeArgs,
    each: HumanDuration,
    global: &Global,
) -> Result<String, CliError> {
    let workload = args.stable.as_deref().unwrap_or_default();
    let report = json!({
        "apiVersion": API_VERSION,
        "kind": "SelfComparisonReport",
        "workload": workload,
        "each": each,
        "analyses": counts.all(),
        "failed": counts.failed,
        "passed": counts.passed,
        "undecided": counts.undecided,
        "withoutData": counts.without_data,
        "last": why,
    });
    if let Some(text) = output::value(global.output, &report)? {
        return Ok(text);
    }
    let all = counts.all();
    let mut text = format!(
        "{workload} judged against itself, half of its pods against the other half: {all} analyses of {each}\n\n  \
         failed        {:>3}   would have aborted a version that was fine\n  \
         passed        {:>3}\n  \
         no verdict    {:>3}   needed longer than {each}\n  \
         no data       {:>3}\n",
        counts.failed, counts.passed, counts.undecided, counts.without_data
    );
    if let Some(why) = why {
        text += &format!("\nthe last that did not pass, {why}\n");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn args(words: &[&str]) -> AnalyzeArgs {
        let command = AnalyzeArgs::augment_args(clap::Command::new("analyze")).no_binary_name(true);
        AnalyzeArgs::from_arg_matches(&command.get_matches_from(words)).unwrap()
    }

    #[test]
    fn each_piece_has_another_half_of_the_letters() {
        let args = args(&["--stable", "web-1", "--aa"]);
        let pods = |piece| halves(&args, &Global::default(), piece).canary_pods.unwrap();
        assert_ne!(pods(0), pods(1));
        for piece in 0..60 {
            let letters: std::collections::BTreeSet<char> = pods(piece)[3..].trim_end_matches(']').chars().collect();
            assert_eq!(letters.len(), 13, "{}", pods(piece));
        }
    }
}

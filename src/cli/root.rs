//! The root of the command line: which verbs there are, how help groups them, and where each goes.

use std::io::Write as _;

use clap::{CommandFactory as _, FromArgMatches as _};

use super::{
    args::global::Global,
    demo,
    exit::{CliError, Exit},
    local,
    offline::{lint, plan, simulate},
    render::printable::printable,
    verbs::{
        command as commands, completions, controller, crds, doctor, explain, get, history, set_image, status, undo,
        uninstall, version,
    },
};
use crate::api::command::Verb as Asked;

/// Progressive delivery for Kubernetes: canary, blue-green and A/B releases with statistical analysis
#[derive(clap::Parser, Debug)]
#[command(name = "glidepath", disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// List rollouts
    #[command(visible_alias = "list")]
    Get(get::Args),
    /// Show a rollout, watch it, or wait for its end
    Status(status::Args),
    /// Explain a rollout's current state and what happens next
    Explain(explain::Args),
    /// Show the history of a rollout
    History(history::Args),
    /// End the current wait, or skip the remaining steps with --full
    Promote(commands::PromoteArgs),
    /// Abort: shift all traffic to stable
    Abort(commands::Args),
    /// Pause the rollout
    Pause(commands::Args),
    /// Resume a paused rollout
    Resume(commands::Args),
    /// Start a new attempt after an abort or a hold
    Retry(commands::Args),
    /// Roll back to an earlier revision
    Undo(undo::UndoArgs),
    /// Restart the pods a few at a time, without a new revision
    Restart(commands::Args),
    /// Change a rollout's image, as kubectl does
    #[command(subcommand)]
    Set(Set),
    Lint(lint::LintArgs),
    Plan(plan::PlanArgs),
    Simulate(simulate::SimulateArgs),
    Demo(demo::DemoArgs),
    Local(local::LocalArgs),
    /// Check cluster, mesh, metrics and permissions
    Doctor(doctor::Args),
    /// Run the controller in the foreground
    Controller(Box<controller::Args>),
    Crds(crds::CrdsArgs),
    Uninstall(uninstall::Args),
    Completions(completions::CompletionsArgs),
    Version(version::VersionArgs),
}

impl Verb {
    /// Whether it asks an API server about a Rollout, so that `--local` may name one.
    fn is_about_rollouts(&self) -> bool {
        use Verb::{Abort, Explain, Get, History, Pause, Promote, Restart, Resume, Retry, Set, Status, Undo};
        matches!(
            self,
            Get(_)
                | Status(_)
                | Explain(_)
                | History(_)
                | Promote(_)
                | Abort(_)
                | Pause(_)
                | Resume(_)
                | Retry(_)
                | Restart(_)
                | Undo(_)
                | Set(_)
        )
    }
}

#[derive(clap::Subcommand, Debug)]
enum Set {
    /// Set container images; with --wait, the exit code reports the outcome
    Image(set_image::Args),
}

/// The groups of verbs in the help. A test checks that every verb is in a group.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Inspect", &["get", "status", "explain", "history"]),
    ("Act on a rollout", &["promote", "abort", "pause", "resume", "retry", "undo", "restart", "set"]),
    ("Validate and simulate, without a cluster", &["lint", "plan", "simulate", "demo"]),
    ("Release without a cluster", &["local"]),
    ("Install and run", &["controller", "doctor", "crds", "uninstall", "completions", "version"]),
];

const EXAMPLES: &str = "Examples:
  glidepath demo                          see a release on this machine
  glidepath lint rollouts/                validate the files of a repository
  glidepath plan rollouts/checkout.yaml   preview a release
  glidepath status checkout --watch       watch a rollout
  glidepath crds | kubectl apply --server-side -f -";

async fn run(verb: Verb, global: &Global) -> Result<Exit, CliError> {
    if global.local.is_some() && !verb.is_about_rollouts() {
        let words = "--local applies to commands on a Rollout: get, status, explain, history, promote, abort and so on";
        return Err(CliError::Usage(words.into()));
    }
    match verb {
        Verb::Get(args) => get::run(args, global).await,
        Verb::Status(args) => status::run(args, global).await,
        Verb::Explain(args) => explain::run(args, global).await,
        Verb::History(args) => history::run(args, global).await,
        Verb::Promote(args) => commands::promote(args, global).await,
        Verb::Undo(args) => undo::run(args, global).await,
        Verb::Abort(args) => commands::run(Asked::Abort, args, global).await,
        Verb::Pause(args) => commands::run(Asked::Pause, args, global).await,
        Verb::Resume(args) => commands::run(Asked::Resume, args, global).await,
        Verb::Retry(args) => commands::run(Asked::Retry, args, global).await,
        Verb::Restart(args) => commands::run(Asked::Restart, args, global).await,
        Verb::Set(Set::Image(args)) => set_image::run(args, global).await,
        Verb::Lint(args) => lint::run(&args, global),
        Verb::Plan(args) => plan::run(&args, global),
        Verb::Simulate(args) => simulate::run(&args, global),
        Verb::Demo(args) => demo::run(&args, global).await,
        Verb::Local(args) => local::run(&args, global).await,
        Verb::Doctor(args) => doctor::run(args, global).await,
        Verb::Controller(args) => controller::run(*args, global).await,
        Verb::Crds(args) => crds::run(&args),
        Verb::Uninstall(args) => uninstall::run(args, global).await,
        Verb::Completions(args) => completions::run(&args, command()),
        Verb::Version(args) => version::run(&args, global),
    }
}

/// Parses the arguments, runs the command, prints its error if any, and returns the exit code.
pub async fn main() -> Exit {
    let matches = command().get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(cli.verb, &cli.global).await {
        Ok(exit) => exit,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {}", printable(&error.to_string()));
            error.exit()
        }
    }
}

/// The command line with grouped help; completions are generated from it.
pub fn command() -> clap::Command {
    let command = Cli::command();
    let verbs = grouped(&command);
    command
        .bin_name(called_as(std::env::args().next().as_deref()))
        .help_template("{about}\n\n{usage-heading} {usage}{after-help}\n\nOptions:\n{options}")
        .after_help(format!("{verbs}{EXAMPLES}\n\nHelp for one verb: glidepath VERB --help"))
}

/// `kubectl glidepath` when kubectl runs the binary as its plugin.
fn called_as(arg0: Option<&str>) -> &'static str {
    let plugin =
        arg0.is_some_and(|path| path.rsplit(['/', '\\']).next().is_some_and(|name| name.starts_with("kubectl-")));
    if plugin { "kubectl glidepath" } else { "glidepath" }
}

fn grouped(command: &clap::Command) -> String {
    let mut text = String::new();
    for (heading, names) in GROUPS {
        let verbs: Vec<_> = names.iter().filter_map(|name| command.find_subcommand(name)).collect();
        if verbs.is_empty() {
            continue;
        }
        text += &format!("{heading}:\n");
        for verb in verbs {
            let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
            text += &format!("  {:<12} {}\n", verb.get_name(), about.lines().next().unwrap_or_default());
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_verb_stands_in_one_group() {
        command().debug_assert();
        for verb in command().get_subcommands() {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&verb.get_name())).count();
            assert_eq!(groups, 1, "{} stands in {groups} help groups", verb.get_name());
            assert!(verb.get_about().is_some(), "{} says nothing about itself", verb.get_name());
        }
    }

    #[test]
    fn kubectl_sees_its_own_name_in_the_help() {
        assert_eq!(called_as(Some("/usr/local/bin/kubectl-glidepath")), "kubectl glidepath");
        assert_eq!(called_as(Some("target/debug/glidepath")), "glidepath");
    }
}

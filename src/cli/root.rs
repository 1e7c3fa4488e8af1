//! The root of the command line: which verbs there are, and where each goes.

use std::{ffi::OsString, io::Write as _};

use clap::{
    CommandFactory as _, FromArgMatches as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    analyze,
    args::{
        global::{FOR_CI, Global},
        known::instead_of,
        local as local_option, names,
    },
    complete, demo,
    exit::{CliError, Exit},
    local, mesh,
    offline::{lint, plan, simulate},
    render::printable::printable,
    target::{self, pasteable},
    usage::with_help,
    verbs::{
        command as commands, completions, controller, crds, doctor, explain, get, help, history, man, report, runs,
        set_image, slo, status, undo, uninstall, version,
    },
};
use crate::api::command::Verb as Asked;

/// Progressive delivery for Kubernetes: canary, blue-green and A/B releases with statistical analysis
#[derive(clap::Parser, Debug)]
#[command(name = "glidepath", version, disable_help_subcommand = true, arg_required_else_help = true)]
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
    #[command(visible_alias = "describe")]
    Status(status::Args),
    /// Watch a rollout, like status --watch
    Watch(status::Args),
    /// Explain a rollout's current state and what happens next
    Explain(explain::Args),
    /// Show the history of a rollout
    History(history::Args),
    Slo(slo::Args),
    Report(report::Args),
    /// End the current wait, or skip the remaining steps with --full
    Promote(commands::PromoteArgs),
    /// Abort: shift all traffic to stable
    #[command(visible_alias = "terminate")]
    Abort(commands::Args),
    /// Pause the rollout
    Pause(commands::Args),
    /// Resume a paused rollout
    Resume(commands::Args),
    /// Start a new attempt after an abort or a hold
    Retry(commands::Args),
    /// Roll back to an earlier revision
    #[command(visible_alias = "rollback")]
    Undo(undo::UndoArgs),
    /// Restart the pods a few at a time, without a new revision
    Restart(commands::Args),
    /// Change a rollout's image, as kubectl does
    #[command(subcommand)]
    Set(Set),
    Lint(lint::LintArgs),
    Plan(plan::PlanArgs),
    Simulate(simulate::SimulateArgs),
    Analyze(Box<analyze::AnalyzeArgs>),
    Demo(demo::DemoArgs),
    Local(Box<local::LocalArgs>),
    Mesh(Box<mesh::MeshArgs>),
    /// Check cluster, mesh, metrics and permissions
    Doctor(doctor::Args),
    /// Run the controller in the foreground
    Controller(Box<controller::Args>),
    Crds(crds::CrdsArgs),
    Uninstall(uninstall::Args),
    #[command(visible_alias = "completion")]
    Completions(completions::CompletionsArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
    Version(version::VersionArgs),
    Help(help::HelpArgs),
}

impl Verb {
    /// The words of a verb that asks an API server about Rollouts, and whether it is about one of them: where `--local` may
    /// name one.
    fn about_rollouts(&mut self) -> Option<(&mut Vec<String>, bool)> {
        use Verb::{
            Abort, Explain, Get, History, Pause, Promote, Report, Restart, Resume, Retry, Set, Status, Undo, Watch,
        };
        Some(match self {
            Get(args) => (&mut args.words, false),
            Status(args) | Watch(args) => (&mut args.words, true),
            Explain(args) => (&mut args.words, true),
            History(args) => (&mut args.words, true),
            Report(args) => (&mut args.words, true),
            Promote(args) => (&mut args.common.words, true),
            Undo(args) => (&mut args.common.words, true),
            Abort(args) | Pause(args) | Resume(args) | Retry(args) | Restart(args) => (&mut args.words, true),
            Set(self::Set::Image(args)) => (&mut args.words, true),
            _ => return None,
        })
    }
}

#[derive(clap::Subcommand, Debug)]
enum Set {
    /// Set container images; with --wait, the exit code reports the outcome
    Image(set_image::Args),
}

async fn run(verb: Verb, global: &Global) -> Result<Exit, CliError> {
    if global.output.is_for_ci() && !matches!(verb, Verb::Lint(_) | Verb::Plan(_) | Verb::Simulate(_)) {
        return Err(CliError::Usage(FOR_CI.into()));
    }
    match verb {
        Verb::Get(args) => get::run(args, global).await,
        Verb::Status(args) => shown(args, global).await,
        Verb::Watch(args) => shown(status::Args { watch: true, ..args }, global).await,
        Verb::Explain(args) => explain::run(args, global).await,
        Verb::History(args) => history::run(args, global).await,
        Verb::Slo(args) => slo::run(args, global).await,
        Verb::Report(args) => report::run(args, global).await,
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
        Verb::Analyze(args) => analyze::run(*args, global).await,
        Verb::Demo(args) => demo::run(&args, global).await,
        Verb::Local(args) => local::run(&args, global).await,
        Verb::Mesh(args) => mesh::run(&args, global).await,
        Verb::Doctor(args) => doctor::run(args, global).await,
        Verb::Controller(args) => controller::run(*args, global).await,
        Verb::Crds(args) => crds::run(&args),
        Verb::Uninstall(args) => uninstall::run(args, global).await,
        Verb::Completions(args) => completions::run(&args, command()),
        Verb::Man(args) => man::run(&args, command()),
        Verb::Version(args) => version::run(&args, global),
        Verb::Help(args) => help::run(&args, command()),
    }
}

/// A Rollout, or the AnalysisRun that is named.
async fn shown(args: status::Args, global: &Global) -> Result<Exit, CliError> {
    match names::of_runs(&args.words) {
        Some(_) if args.watch || args.wait => {
            Err(CliError::Usage("an AnalysisRun is followed with 'get run NAME --watch'".into()))
        }
        Some(names) => runs::describe(&names, global).await,
        None => status::run(args, global).await,
    }
}

/// Parses the arguments, runs the command, prints its error if any, and returns the exit code.
pub async fn main() -> Exit {
    if let Some(words) = complete::asked() {
        // Whatever goes wrong, a shell at a half-typed line is not the place to say so.
        return complete::run(words, command()).unwrap_or(Exit::Failed);
    }
    let root = command();
    let arguments = local_option::in_order(std::env::args_os().collect(), |word| root.find_subcommand(word).is_some());
    let value = local_option::value(&arguments);
    let parsed = parser(root, &arguments).try_get_matches_from(&arguments);
    let cli = match parsed.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return misused(&error, value.as_deref()),
    };
    match settled_and_run(cli, value.is_some()).await {
        Ok(exit) => exit,
        Err(error) => {
            let exit = failed(&error);
            if let CliError::Usage(_) = error {
                note(value.as_deref());
            }
            exit
        }
    }
}

/// A word that went to `--local` may be the one that is missed elsewhere.
fn note(local: Option<&str>) {
    if let Some(local) = local {
        let _ = writeln!(std::io::stderr(), "\nnote: \"{}\" was read as the value of --local", printable(local));
    }
}

async fn settled_and_run(mut cli: Cli, is_one_word: bool) -> Result<Exit, CliError> {
    let about = cli.verb.about_rollouts();
    let or_local = if about.is_some() { CliError::or_local } else { std::convert::identity };
    if let Some(local) = &mut cli.global.local {
        let Some((words, wants_one)) = about else {
            let words = "--local applies to commands on a Rollout: get, status, explain, history, report, promote, abort and so on";
            return Err(CliError::Usage(words.into()));
        };
        local_option::settle(local, words, is_one_word, wants_one)?;
    }
    target::remember(cli.global.typed());
    run(cli.verb, &cli.global).await.map_err(or_local)
}

fn failed(error: &CliError) -> Exit {
    let text = pasteable(&error.to_string());
    let _ = writeln!(std::io::stderr(), "error: {}", printable(&text));
    error.exit()
}

/// With `--local` the name of the Rollout may be left out.
fn parser(root: clap::Command, arguments: &[OsString]) -> clap::Command {
    let is_local = arguments.iter().any(|word| word.to_string_lossy().starts_with("--local"));
    if is_local { optional_words(root) } else { root }
}

fn optional_words(command: clap::Command) -> clap::Command {
    command
        .mut_args(|arg| if arg.get_id() == "words" { arg.required(false) } else { arg })
        .mut_subcommands(optional_words)
}

/// Prints what is wrong with the arguments, or the help or version that was asked for.
fn misused(error: &clap::Error, local: Option<&str>) -> Exit {
    let word = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(word)) if error.kind() == ErrorKind::InvalidSubcommand => instead_of(word),
        _ => None,
    };
    if let Some(words) = word {
        return failed(&CliError::Usage(words));
    }
    let _ = error.print();
    if error.kind() == ErrorKind::MissingRequiredArgument {
        note(local);
    }
    if error.use_stderr() { Exit::Usage } else { Exit::Done }
}

/// The command line with grouped help; completions are generated from it.
pub fn command() -> clap::Command {
    with_help(Cli::command())
}

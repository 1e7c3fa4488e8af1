//! `promote`, `abort`, `pause`, `resume`, `retry`, `undo`, `restart`: each creates a `RolloutCommand` and reports its
//! result.

use std::time::Duration;

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{
    Api, Resource, ResourceExt,
    api::{ObjectMeta, PostParams},
};
use tokio::time::{Instant, sleep};

use crate::{
    api::{
        ROLLOUT_LABEL, Rollout, RolloutCommand,
        command::{CommandState, RolloutCommandSpec, Verb},
    },
    cli::{
        args::{global::Global, names::one_name},
        connect::{Connection, connect},
        exit::{CliError, Exit},
        render::{
            output::{self, print},
            waiting::while_waiting,
        },
    },
    view::commands::meant,
};

/// How long the answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the answer is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Arguments of abort, pause, resume, retry and restart
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The Rollout
    #[arg(value_name = "NAME", required = true)]
    pub words: Vec<String>,
    /// The reason, recorded in the history
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

/// End the current pause or observation, or skip the rest with --full
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Examples:
  glidepath promote checkout               ends the current pause or observation
  glidepath promote checkout --full        skips the remaining steps and analysis
  glidepath promote checkout --to-step 5   as 'glidepath status' numbers the steps
  glidepath promote checkout --reason \"load test ok\"")]
pub struct PromoteArgs {
    /// What every command takes
    #[command(flatten)]
    pub common: Args,
    /// Skip the remaining steps and analysis
    #[arg(long)]
    pub full: bool,
    /// Continue at this step, numbered from 1; skips no analysis without --full
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub to_step: Option<u32>,
}

/// What a verb adds to the plain command.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extra {
    full: bool,
    to_step: Option<u32>,
    to_revision: Option<u64>,
}

/// `promote`.
pub async fn promote(args: PromoteArgs, global: &Global) -> Result<Exit, CliError> {
    let extra = Extra { full: args.full, to_step: args.to_step, to_revision: None };
    give(Verb::Promote, args.common, extra, global).await
}

/// `undo` by command: the controller pins the revision, and the file stays as it is.
pub async fn undo(args: Args, to_revision: Option<u64>, global: &Global) -> Result<Exit, CliError> {
    give(Verb::Undo, args, Extra { to_revision, ..Extra::default() }, global).await
}

/// `abort`, `pause`, `resume`, `retry` and `restart`.
pub async fn run(verb: Verb, args: Args, global: &Global) -> Result<Exit, CliError> {
    give(verb, args, Extra::default(), global).await
}

async fn give(verb: Verb, args: Args, extra: Extra, global: &Global) -> Result<Exit, CliError> {
    let name = one_name(&args.words, verb.as_str())?;
    let connection = connect(global).await?;
    let (command, exit) = send(&connection, &name, verb, args.reason, extra, PATIENCE).await?;
    let text = match output::objects(global.output, std::slice::from_ref(&command), false)? {
        Some(text) => text,
        None => answer_line(&name, &command),
    };
    print(&text)?;
    Ok(exit)
}

/// Creates the command and waits for its answer.
pub(super) async fn send(
    connection: &Connection,
    name: &str,
    verb: Verb,
    reason: Option<String>,
    extra: Extra,
    timeout: Duration,
) -> Result<(RolloutCommand, Exit), CliError> {
    let rollout = connection.rollout(name).await?;
    let spec = RolloutCommandSpec { reason, requested_by: who(connection).await, ..spec(&rollout, verb, extra) };
    let commands: Api<RolloutCommand> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let wanted = RolloutCommand { metadata: metadata(&rollout, verb), spec, status: None };
    let created = commands
        .create(&PostParams::default(), &wanted)
        .await
        .map_err(|error| connection.error(format!("record the {} of Rollout \"{name}\"", verb.as_str()), &error))?;
    let answer = answer(connection, &commands, created, timeout);
    let command = while_waiting("waiting for a controller to execute it", answer).await?;
    let state = command.status.as_ref().and_then(|status| status.state);
    let exit = if state == Some(CommandState::Done) { Exit::Done } else { Exit::Failed };
    Ok((command, exit))
}

/// What the command means at this moment, and what the flags add.
fn spec(rollout: &Rollout, verb: Verb, extra: Extra) -> RolloutCommandSpec {
    let Extra { full, to_step, to_revision } = extra;
    RolloutCommandSpec { full, to_step, to_revision, ..meant(rollout, verb) }
}

/// Named after Rollout and verb, labelled, and owned by the Rollout so that it goes with it.
fn metadata(rollout: &Rollout, verb: Verb) -> ObjectMeta {
    let name = rollout.name_any();
    ObjectMeta {
        generate_name: Some(format!("{name}-{}-", verb.as_str())),
        namespace: rollout.namespace(),
        labels: (name.len() <= 63).then(|| [(ROLLOUT_LABEL.to_owned(), name)].into()),
        owner_references: rollout.owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The user name as authenticated by the API server, if it can be determined.
async fn who(connection: &Connection) -> Option<String> {
    let reviews: Api<SelfSubjectReview> = Api::all(connection.client.clone());
    let review = reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await.ok()?;
    review.status?.user_info?.username
}

/// Polls until the controller has processed the command or the timeout is over; returns the command as it is then.
async fn answer(
    connection: &Connection,
    commands: &Api<RolloutCommand>,
    mut command: RolloutCommand,
    timeout: Duration,
) -> Result<RolloutCommand, CliError> {
    let name = command.name_any();
    let deadline = Instant::now() + timeout;
    while command.status.as_ref().is_none_or(|status| status.state.is_none()) && Instant::now() < deadline {
        sleep(LOOK_EVERY.min(timeout)).await;
        command = commands
            .get(&name)
            .await
            .map_err(|error| connection.error(format!("read RolloutCommand \"{name}\""), &error))?;
    }
    Ok(command)
}

/// What became of it, in one line.
fn answer_line(rollout: &str, command: &RolloutCommand) -> String {
    let verb = command.spec.verb.as_str();
    let status = command.status.clone().unwrap_or_default();
    let message = if status.message.is_empty() { String::new() } else { format!(": {}", status.message) };
    let name = command.name_any();
    match status.state {
        Some(CommandState::Done) => format!("{rollout}: {verb} done{message}\n"),
        Some(CommandState::Refused) => format!("{rollout}: {verb} refused{message}\n"),
        Some(CommandState::Obsolete) => {
            format!(
                "{rollout}: {verb} rejected as stale{message}; the rollout has moved on: check 'glidepath status {rollout}' and retry\n"
            )
        }
        None => format!(
            "{rollout}: no controller responded within {}s; the {verb} is recorded as {name} and will be executed when one runs; check with 'glidepath doctor'\n",
            PATIENCE.as_secs()
        ),
    }
}

#[cfg(test)]
mod tests;
